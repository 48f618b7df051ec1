import { describe, expect, test } from 'vitest'
import { type Call, createCall, type Door, type Principal } from '../../src/call/call.ts'
import { catalog, op } from '../../src/call/catalog.ts'
import { createLimiter } from '../../src/gate/limiter.ts'
import type { Budget } from '../../src/policy/rate.ts'

const { status: operation } = catalog('mpd', { status: op('status.read') })
const user = (id: string): Principal => ({
  kind: 'user',
  id,
  name: id,
  roles: [],
  session: 's',
  until: Infinity,
  from: '::1',
})
const call = (at: number, by = user('ann'), door: Door = 'mpd'): Call =>
  createCall({ id: 'r', by, door, player: 'home', at }, { operation, args: {} })
const budget = (count: number, ms: number, counts: Budget['counts'] = '*'): Budget => ({
  counts,
  rate: { count, ms, rule: 'r' },
})

describe('a budget', () => {
  test('may be spent at once, and comes back evenly', () => {
    const limiter = createLimiter()
    const three = [budget(3, 3000)]
    for (let i = 0; i < 3; i++) expect(limiter.take(call(0), three)).toBeUndefined()
    expect(limiter.take(call(0), three)?.wait).toBe(1000)
    expect(limiter.take(call(999), three)?.wait).toBe(1)
    expect(limiter.take(call(1000), three)).toBeUndefined()
    expect(limiter.take(call(1000), three)?.wait).toBe(1000)
  })

  test('never holds more than itself, however long one rests', () => {
    const limiter = createLimiter()
    const two = [budget(2, 1000)]
    limiter.take(call(0), two)
    const late = 1_000_000
    expect(limiter.take(call(late), two)).toBeUndefined()
    expect(limiter.take(call(late), two)).toBeUndefined()
    expect(limiter.take(call(late), two)).toBeDefined()
  })

  test('is one for all doors, and one for each person', () => {
    const limiter = createLimiter()
    const one = [budget(1, 1000)]
    expect(limiter.take(call(0, user('ann'), 'mpd'), one)).toBeUndefined()
    expect(limiter.take(call(0, user('ann'), 'http'), one)).toBeDefined()
    expect(limiter.take(call(0, user('ann'), 'websocket'), one)).toBeDefined()
    expect(limiter.take(call(0, user('ben'), 'mpd'), one)).toBeUndefined()
  })

  test('is drawn with the others or not at all', () => {
    const limiter = createLimiter()
    const wide = budget(2, 1000)
    const narrow = budget(1, 1000, 'status.read')
    expect(limiter.take(call(0), [wide, narrow])).toBeUndefined()
    expect(limiter.take(call(0), [wide, narrow])?.budget).toBe(narrow)
    expect(limiter.take(call(0), [wide])).toBeUndefined()
    expect(limiter.take(call(0), [wide])).toBeDefined()
  })

  test('given back can be spent again', () => {
    const limiter = createLimiter()
    const one = [budget(1, 1000)]
    expect(limiter.take(call(0), one)).toBeUndefined()
    limiter.giveBack(call(0), one)
    expect(limiter.take(call(0), one)).toBeUndefined()
    expect(limiter.take(call(0), one)).toBeDefined()
  })

  test('neither opens nor stays shut when the clock is set back', () => {
    const limiter = createLimiter()
    const one = [budget(1, 1000)]
    limiter.take(call(1_000_000), one)
    expect(limiter.take(call(0), one)?.wait).toBe(1000)
    expect(limiter.take(call(999), one)?.wait).toBe(1)
    expect(limiter.take(call(1000), one)).toBeUndefined()
  })

  test('is kept when many keys are at rest, and only those are forgotten', () => {
    const limiter = createLimiter(10)
    const one = [budget(1, 1000)]
    for (let i = 0; i < 50; i++) limiter.take(call(i * 10, user(`u${i}`)), one)
    expect(limiter.take(call(500, user('u49')), one)).toBeDefined()
    expect(limiter.take(call(2000, user('u49')), one)).toBeUndefined()
  })
})
