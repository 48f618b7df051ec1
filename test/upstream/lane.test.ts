import { expect, test } from 'vitest'
import { createLane, type LaneEntry } from '../../src/upstream/lane.ts'

const limits = { running: 2, runningEach: 2, costly: 1, waiting: 4, waitingEach: 3, costlyEach: 2 }

interface Entry extends LaneEntry {
  readonly name: string
}

function setUp(open = true) {
  const started: string[] = []
  const lane = createLane<Entry>(limits, ({ name }) => started.push(name))
  if (open) lane.open()
  return { started, lane }
}

const entry = (name: string, person = 'ada', kind: Partial<Entry> = {}): Entry => ({
  name,
  person,
  costly: false,
  changes: false,
  ...kind,
})

test('so many run at once, and the next starts when one has ended', () => {
  const { lane, started } = setUp()
  const first = entry('a')
  for (const each of [first, entry('b'), entry('c')]) lane.enter(each)
  expect(started).toEqual(['a', 'b'])
  lane.leave(first)
  expect(started).toEqual(['a', 'b', 'c'])
})

test('those who wait take turns by person, so nobody waits behind another person’s pile', () => {
  const { lane, started } = setUp()
  const running = [entry('a1'), entry('a2')]
  for (const each of [...running, entry('a3'), entry('a4'), entry('a5'), entry('b1', 'bob')]) {
    expect(lane.enter(each)).toBe(true)
  }
  for (const each of running) lane.leave(each)
  expect(started).toEqual(['a1', 'a2', 'a3', 'b1'])
})

test('a costly entry waits for a costly one and lets the others pass', () => {
  const { lane, started } = setUp()
  const search = entry('search', 'ada', { costly: true })
  for (const each of [search, entry('search again', 'ada', { costly: true }), entry('pause', 'bob')]) lane.enter(each)
  expect(started).toEqual(['search', 'pause'])
  lane.leave(search)
  expect(started).toEqual(['search', 'pause', 'search again'])
})

test('what a person asks for after a waiting change does not overtake it', () => {
  const { lane, started } = setUp()
  const search = entry('search', 'bob', { costly: true })
  lane.enter(search)
  lane.enter(entry('add', 'ada', { costly: true, changes: true }))
  lane.enter(entry('play', 'ada', { changes: true }))
  expect(started).toEqual(['search'])
  lane.leave(search)
  expect(started).toEqual(['search', 'add', 'play'])
})

test('waiting is bounded for one person, for costly ones and for all', () => {
  const { lane } = setUp(false)
  expect(lane.enter(entry('1', 'ada', { costly: true }))).toBe(true)
  expect(lane.enter(entry('2', 'ada', { costly: true }))).toBe(true)
  expect(lane.enter(entry('3', 'ada', { costly: true }))).toBe(false)
  expect(lane.enter(entry('3', 'ada'))).toBe(true)
  expect(lane.enter(entry('4', 'ada'))).toBe(false)
  expect(lane.enter(entry('4', 'bob'))).toBe(true)
  expect(lane.enter(entry('5', 'eve'))).toBe(false)
})

test('who was withdrawn never starts and frees what waited behind it', () => {
  const { lane, started } = setUp()
  const search = entry('search', 'bob', { costly: true })
  const add = entry('add', 'ada', { costly: true, changes: true })
  for (const each of [search, add, entry('play', 'ada', { changes: true })]) lane.enter(each)
  lane.withdraw(add)
  expect(started).toEqual(['search', 'play'])
  lane.leave(search)
  expect(started).toEqual(['search', 'play'])
})

test('a reset hands over what waited and forgets what ran', () => {
  const { lane, started } = setUp()
  for (const each of ['a', 'b', 'c', 'd']) lane.enter(entry(each))
  expect(lane.reset().map(({ name }) => name)).toEqual(['c', 'd'])
  lane.enter(entry('e'))
  expect(started).toEqual(['a', 'b'])
  lane.open()
  lane.enter(entry('f'))
  expect(started).toEqual(['a', 'b', 'e', 'f'])
})

test('one person leaves places to others, costly ones too', () => {
  const started: string[] = []
  const lane = createLane<Entry>(
    { running: 4, runningEach: 3, costly: 2, waiting: 9, waitingEach: 9, costlyEach: 9 },
    ({ name }) => started.push(name),
  )
  lane.open()
  const first = entry('a1', 'ada', { costly: true })
  for (const each of [first, entry('a2', 'ada', { costly: true }), entry('a3'), entry('a4'), entry('a5')])
    lane.enter(each)
  expect(started, 'one costly, two others').toEqual(['a1', 'a3', 'a4'])
  lane.enter(entry('b1', 'bob', { costly: true }))
  expect(started).toEqual(['a1', 'a3', 'a4', 'b1'])
  lane.leave(first)
  expect(started, 'ada has a place again, and bob has the other costly one').toEqual(['a1', 'a3', 'a4', 'b1', 'a2'])
})
