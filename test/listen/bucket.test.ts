import { expect, test } from 'vitest'
import { createBuckets, createTally } from '../../src/listen/bucket.ts'

test('a bucket gives so many at once, and then as many again in its time', () => {
  const take = createBuckets({ count: 2, ms: 1_000 })
  expect([take('a', 0), take('a', 0), take('a', 0), take('b', 0)]).toEqual([true, true, false, true])
  expect([take('a', 500), take('a', 500)]).toEqual([true, false])
  expect([take('c', 0, 2), take('c', 0)]).toEqual([true, false])
})

test('a clock that was set back makes a bucket full, once', () => {
  const take = createBuckets({ count: 2, ms: 1_000 })
  expect(take('a', 3_600_000)).toBe(true)
  expect([take('a', 0), take('a', 0), take('a', 0), take('a', 500)]).toEqual([true, true, false, true])
})

test('full buckets make room for a new key, others do not', () => {
  const take = createBuckets({ count: 1, ms: 1_000 }, 2)
  expect([take('a', 0), take('b', 0), take('c', 0)]).toEqual([true, true, false])
  expect(take('c', 1_000)).toBe(true)
})

test('a tally counts by key and never below nothing', () => {
  const tally = createTally()
  tally.add('a')
  tally.add('a')
  tally.remove('a')
  expect(tally.of('a')).toBe(1)
  tally.remove('a')
  tally.remove('a')
  expect(tally.of('a')).toBe(0)
})
