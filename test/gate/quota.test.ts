import fc from 'fast-check'
import Type from 'typebox'
import { describe, expect, test } from 'vitest'
import { createCall, type User } from '../../src/call/call.ts'
import type { Capability } from '../../src/call/capability.ts'
import { catalog, needing, type Operation, op } from '../../src/call/catalog.ts'
import { Fault } from '../../src/call/fault.ts'
import type { Known } from '../../src/call/known.ts'
import { many, param, replaceable } from '../../src/call/param.ts'
import type { AuditRecord } from '../../src/gate/audit.ts'
import { createGate, Refusal } from '../../src/gate/gate.ts'
import { createLimiter } from '../../src/gate/limiter.ts'
import { createQuotas, type Draw, type QuotaStore } from '../../src/gate/quota.ts'
import { compile, type RolesConfig } from '../../src/policy/policy.ts'
import type { Quota } from '../../src/policy/rate.ts'

const uris = many(param(Type.String(), 'uri'))
const rows = catalog('mpd', {
  next: op('playback.skip'),
  status: op('status.read'),
  add: op('queue.add', { uris }),
  load: needing('adds', op('queue.add')),
  clear: op('queue.clear'),
  setvol: op('volume.set', { level: replaceable(param(Type.Integer(), 'volume')) }),
})
const minute = 60_000
const hour = 60 * minute

/** A store as SQLite is one, in memory; it can be out of order. */
function createStore() {
  const kept = new Map<number, Draw>()
  let ids = 0
  const state = { broken: false, writes: 0 }
  const store: QuotaStore = {
    read(person) {
      if (state.broken) throw new Fault('internal', 'quota.sqlite: the disk is full')
      return [...kept].flatMap(([id, draw]) => (draw.person === person ? [{ id, ...draw }] : []))
    },
    write(draws, forgotten) {
      if (state.broken) throw new Fault('internal', 'quota.sqlite: the disk is full')
      state.writes++
      for (const id of forgotten) kept.delete(id)
      return draws.map((draw) => {
        kept.set(++ids, draw)
        return ids
      })
    },
  }
  return { store, kept, state }
}

const user = (id = 'u1', roles = ['kid'], more: Partial<User> = {}): User => ({
  kind: 'user',
  id,
  name: 'ben',
  roles,
  session: 's1',
  until: Number.MAX_SAFE_INTEGER,
  from: '::1',
  ...more,
})
const callOf = (operation: Operation, args: object, by: User, at: number, known?: Known) =>
  createCall({ id: 'r', by, door: 'mpd', player: 'home', at }, { operation, args: { ...args } }, known)
const quota = (count: number, ms: number, counts: Capability = 'playback.skip'): Quota => ({
  counts,
  rate: { count, ms, rule: 'r' },
})

describe('a quota', () => {
  const six = [quota(6, hour)]
  const skip = (at: number, by = user()) => callOf(rows.next, {}, by, at)

  test('is no bucket: what was drawn comes back when it is as old as the window, and not before', () => {
    const quotas = createQuotas()
    for (let i = 0; i < 6; i++) expect(quotas.take(skip(i * minute), six)).toBeUndefined()
    // A token bucket of 6/1h would give one more after ten minutes.
    expect(quotas.take(skip(30 * minute), six)).toMatchObject({ wait: 30 * minute, left: { remaining: 0 } })
    expect(quotas.take(skip(hour - 1), six)?.wait).toBe(1)
    expect(quotas.take(skip(hour), six)).toBeUndefined()
    expect(quotas.take(skip(hour), six)?.wait).toBe(minute)
  })

  test('is one for each person', () => {
    const quotas = createQuotas()
    for (let i = 0; i < 6; i++) quotas.take(skip(0), six)
    expect(quotas.take(skip(0), six)).toBeDefined()
    expect(quotas.take(skip(0, user('u2')), six)).toBeUndefined()
  })

  test('counts the addresses of what is added, and says what will never fit', () => {
    const quotas = createQuotas()
    const ten = [quota(10, hour, 'queue.add')]
    const add = (n: number, at = 0) =>
      callOf(rows.add, { uris: Array.from({ length: n }, (_, i) => `local:${i}`) }, user(), at)
    expect(quotas.take(add(6), ten)).toBeUndefined()
    expect(quotas.take(add(3, 1), ten)).toBeUndefined()
    expect(quotas.take(add(2, 2), ten)).toMatchObject({ weight: 2, wait: hour - 2, left: { remaining: 1 } })
    expect(quotas.take(add(8, 2), ten)).toMatchObject({ wait: hour - 1 })
    expect(quotas.take(add(11, 2), ten)).toMatchObject({ wait: undefined })
    expect(quotas.take(add(1, 2), ten)).toBeUndefined()
  })

  test('what goes with another is drawn with it or not at all', () => {
    const quotas = createQuotas()
    const both = [quota(2, hour), quota(1, hour, 'queue.add')]
    expect(quotas.take(skip(0), both)).toBeUndefined()
    expect(quotas.take(skip(0), both)?.quota.counts).toBe('queue.add')
    expect(quotas.take(skip(0), [quota(2, hour)])).toBeUndefined()
    expect(quotas.take(skip(0), [quota(2, hour)])).toBeDefined()
  })

  test('given back can be drawn again, and leaves nothing in the store', () => {
    const { store, kept, state } = createStore()
    const quotas = createQuotas(store)
    for (let i = 0; i < 4; i++) expect(quotas.take(skip(0), six)).toBeUndefined()
    quotas.keep()
    for (let i = 0; i < 2; i++) expect(quotas.take(skip(0), six)).toBeUndefined()
    quotas.giveBack()
    quotas.keep()
    expect(state.writes).toBe(1)
    expect([...kept.values()]).toMatchObject([{ weight: 4 }])
    for (let i = 0; i < 2; i++) expect(quotas.take(skip(0), six)).toBeUndefined()
    expect(quotas.take(skip(0), six)).toBeDefined()
  })

  test('is as far drawn after a restart as before', () => {
    const { store } = createStore()
    for (let i = 0; i < 6; i++) {
      const quotas = createQuotas(store)
      expect(quotas.take(skip(i * minute), six)).toBeUndefined()
      quotas.keep()
    }
    expect(createQuotas(store).take(skip(10 * minute), six)?.wait).toBe(50 * minute)
  })

  test('is not drawn from when nothing can be written, and takes up again afterwards', () => {
    const { store, state } = createStore()
    const quotas = createQuotas(store)
    quotas.take(skip(0), six)
    quotas.keep()
    state.broken = true
    expect(quotas.take(skip(1), six)).toBeUndefined()
    expect(() => quotas.keep()).toThrow(Fault)
    state.broken = false
    expect(quotas.left(skip(1), six[0] as Quota)).toEqual({ remaining: 5, resetMs: hour - 1 })
    expect(() =>
      createQuotas({
        ...store,
        read: () => {
          throw new Fault('internal', 'no')
        },
      }).take(skip(1), six),
    ).toThrow(Fault)
  })

  test('what was charged besides counts, beyond the whole of it, and is written when that can be done', () => {
    const { store, state } = createStore()
    const quotas = createQuotas(store)
    const ten = [quota(10, hour, 'queue.add')]
    const add = (at: number) => callOf(rows.add, { uris: ['local:a'] }, user(), at)
    quotas.take(add(0), ten)
    quotas.keep()
    state.broken = true
    quotas.charge(add(1), ten, 14)
    state.broken = false
    expect(quotas.left(add(1), ten[0] as Quota)).toEqual({ remaining: 0, resetMs: hour })
    expect(quotas.take(add(2), ten)?.wait).toBe(hour - 1)
    quotas.keep()
    expect(createQuotas(store).take(add(2), ten)?.wait).toBe(hour - 1)
  })

  test('a clock set back neither opens it nor keeps it shut for longer than its window', () => {
    const { store } = createStore()
    const quotas = createQuotas(store)
    const day = 24 * hour
    for (let i = 0; i < 6; i++) quotas.take(skip(1000 * day), six)
    quotas.keep()
    expect(quotas.take(skip(day), six)?.wait).toBe(hour)
    expect(quotas.take(skip(day + hour - 1), six)?.wait).toBe(1)
    expect(quotas.take(skip(day + hour), six)).toBeUndefined()
    quotas.keep()
    // What was let go of does not come back with the process, nor with its time.
    expect(createQuotas(store).left(skip(day + hour), six[0] as Quota).remaining).toBe(5)
    expect(quotas.take(skip(1000 * day), six)).toBeUndefined()
  })

  test('a machine that wakes up with an old clock gives nothing away when the right one is known', () => {
    const { store } = createStore()
    const before = createQuotas(store)
    for (let i = 0; i < 6; i++) before.take(skip(18 * hour), six)
    before.keep()
    const after = createQuotas(store)
    expect(after.take(skip(17 * hour + 17 * minute), six)).toBeDefined()
    expect(after.take(skip(18 * hour + 20 * minute), six)?.wait).toBe(40 * minute)
  })

  test('holds the people of late in memory and loses nobody’s count', () => {
    const { store } = createStore()
    const quotas = createQuotas(store, 3)
    for (let round = 0; round < 6; round++) {
      for (let i = 0; i < 10; i++) {
        expect(quotas.take(skip(round, user(`u${i}`)), six)).toBeUndefined()
        quotas.keep()
      }
    }
    for (let i = 0; i < 10; i++) expect(quotas.take(skip(7, user(`u${i}`)), six)).toBeDefined()
  })

  test('never more in any window, and never refused with room, whatever the order of calls, restarts and broken disks', () => {
    const step = fc.record({
      wait: fc.integer({ min: 0, max: 40 }),
      who: fc.constantFrom('ann', 'ben'),
      weight: fc.integer({ min: 1, max: 4 }),
      after: fc.constantFrom('keep', 'keep', 'keep', 'restart', 'drop', 'broken'),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), fc.integer({ min: 3, max: 8 }), (steps, count) => {
        const { store, state } = createStore()
        const ms = 100
        const limit = [quota(count, ms, 'queue.add')]
        let quotas = createQuotas(store, 1)
        let at = 0
        const drawn: { who: string; at: number; weight: number }[] = []
        for (const { wait, who, weight, after } of steps) {
          at += wait
          const uris = Array.from({ length: weight }, (_, i) => `local:${i}`)
          const short = quotas.take(callOf(rows.add, { uris }, user(who), at), limit)
          const sum = drawn.reduce((n, one) => n + (one.who === who && one.at + ms > at ? one.weight : 0), 0)
          expect(short === undefined).toBe(sum + weight <= count)
          if (short) {
            const later = drawn.filter((one) => one.who === who && one.at + ms > at + (short.wait ?? 0))
            if (short.wait !== undefined)
              expect(later.reduce((n, one) => n + one.weight, weight)).toBeLessThanOrEqual(count)
            continue
          }
          state.broken = after === 'broken'
          if (after === 'drop') quotas.giveBack()
          else if (after === 'broken') expect(() => quotas.keep()).toThrow(Fault)
          else {
            quotas.keep()
            drawn.push({ who, at, weight })
          }
          state.broken = false
          if (after === 'restart') quotas = createQuotas(store, 1)
        }
      }),
    )
  })

  test('never more in any stretch of real time while the clock is only ever set back', () => {
    const step = fc.record({
      wait: fc.integer({ min: 0, max: 60 }),
      back: fc.integer({ min: 0, max: 500 }),
      restart: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const { store } = createStore()
        const limit = [quota(3, 100)]
        let quotas = createQuotas(store)
        let [time, clock] = [0, 1e6]
        const drawn: number[] = []
        for (const { wait, back, restart } of steps) {
          time += wait
          clock += wait - (back > 450 ? back : 0)
          if (restart) quotas = createQuotas(store)
          if (quotas.take(skip(clock), limit)) continue
          quotas.keep()
          drawn.push(time)
          expect(drawn.filter((one) => one + 100 > time).length).toBeLessThanOrEqual(3)
        }
      }),
    )
  })
})

const roles: RolesConfig = {
  kid: {
    grants: [{ allow: ['playback.skip', 'queue.add', 'queue.clear', 'status.read'] }],
    quotas: { 'playback.skip': '6/1h', 'queue.add': '20/15m' },
    rates: { 'status.read': '5/1m' },
  },
  tryout: { mode: 'observe', grants: [{ allow: ['*'] }], quotas: { 'playback.skip': '1/1h' } },
  adult: { grants: [{ allow: ['*'] }] },
  teen: { grants: [{ allow: ['playback.skip'] }], quotas: { 'playback.skip': '12/1h' } },
  reader: { grants: [{ allow: ['status.read'] }] },
  cellar: { grants: [{ allow: ['playback.skip'], on: ['cellar'] }] },
}

function setup(store?: QuotaStore) {
  const records: AuditRecord[] = []
  const gate = createGate({
    policy: () => compile(roles, { zone: 'Europe/Berlin' }),
    limiter: createLimiter(),
    ...(store && { quotas: createQuotas(store) }),
    audit: { write: (record) => records.push(record) },
  })
  /** What the caller is told; undefined for what goes. */
  const tell = (operation: Operation, args: object = {}, by = user(), at = noon, known?: Known) => {
    try {
      gate.admit(callOf(operation, args, by, at, known))
      return undefined
    } catch (error) {
      if (error instanceof Fault) return error
      throw error
    }
  }
  return { gate, records, tell }
}
/** 12:00 in Berlin, in winter. */
const noon = Date.UTC(2030, 0, 15, 11)

describe('at the gate', () => {
  test('a refusal says how many, when there is one again, and by which rule', () => {
    const { tell, records } = setup()
    for (let i = 0; i < 6; i++) expect(tell(rows.next, {}, user(), noon + i * minute)).toBeUndefined()
    const fault = tell(rows.next, {}, user(), noon + 20 * minute)
    expect(fault?.message).toBe('not more than 6 playback.skip in 1 h: again at 13:00')
    expect(fault).toMatchObject({
      code: 'limited',
      details: {
        capability: 'playback.skip',
        rule: 'roles.kid.quotas.playback.skip',
        limit: 6,
        remaining: 0,
        reset: 2400,
        retryAfter: 2400,
        until: noon + hour,
      },
    })
    expect(records.at(-1)).toMatchObject({ outcome: 'limited', reason: 'quota', says: fault?.message })
    expect(tell(rows.next, {}, user(), noon + hour - 20_000)?.message).toBe(
      'not more than 6 playback.skip in 1 h: again in 20 s',
    )
    expect(tell(rows.next, {}, user(), noon + hour)).toBeUndefined()
  })

  test('says what is left when a call asks for more, and what can never be', () => {
    const { tell } = setup()
    const uris = (n: number) => ({ uris: Array.from({ length: n }, (_, i) => `local:${i}`) })
    expect(tell(rows.add, uris(17))).toBeUndefined()
    expect(tell(rows.add, uris(5))?.message).toBe(
      'not more than 20 queue.add in 15 min, and 3 are left: again at 12:15',
    )
    expect(tell(rows.add, uris(21))).toMatchObject({
      code: 'forbidden',
      message: 'not more than 20 queue.add in 15 min, and these are 21',
      details: { rule: 'roles.kid.quotas.queue.add', limit: 20, remaining: 3 },
    })
  })

  test('what adds nobody knows how much is looked up, and refused where that is not known', () => {
    const { gate, tell } = setup()
    const call = callOf(rows.load, {}, user(), noon)
    expect(gate.mattersOf(call)).toEqual(['adds'])
    expect(gate.mattersOf({ ...call, known: { adds: [] } })).toEqual([])
    expect(tell(rows.load)).toMatchObject({ code: 'forbidden' })
    const adds = Array.from({ length: 15 }, (_, i) => `local:${i}`)
    expect(tell(rows.load, {}, user(), noon, { adds })).toBeUndefined()
    expect(tell(rows.load, {}, user(), noon, { adds })).toMatchObject({ code: 'limited', details: { remaining: 5 } })
    expect(tell(rows.load, {}, user('u1', ['adult']), noon, { adds })).toBeUndefined()
  })

  test('of several roles the most generous counts, every ceiling binds on top', () => {
    const { gate } = setup()
    const limits = (by: User) =>
      gate
        .quotasOf(by, ['home'], noon)
        .filter((each) => each.capability === 'playback.skip')
        .map(({ limit }) => limit)
    expect(limits(user('u', ['kid']))).toEqual([6])
    expect(limits(user('u', ['kid', 'teen']))).toEqual([12])
    expect(limits(user('u', ['kid', 'adult']))).toEqual([])
    expect(limits(user('u', ['adult'], { ceilings: [['kid'], ['teen']] }))).toEqual([6, 12])
  })

  test('a role that does not allow it lifts nothing, neither here nor elsewhere', () => {
    const { gate, tell } = setup()
    const by = user('u', ['kid', 'reader', 'cellar'])
    expect(gate.quotasOf(by, ['home', 'cellar'], noon)).toMatchObject([
      { capability: 'queue.add', players: ['home', 'cellar'] },
      { capability: 'playback.skip', players: ['home'] },
    ])
    for (let i = 0; i < 6; i++) tell(rows.next, {}, by)
    expect(tell(rows.next, {}, by)?.code).toBe('limited')
  })

  test('one refusal refuses the whole list, names its place and draws nothing', () => {
    const { store, kept, state } = createStore()
    const { gate, tell } = setup(store)
    const next = callOf(rows.next, {}, user(), noon)
    const list = (n: number, ...more: (typeof next)[]) => [...Array.from({ length: n }, () => next), ...more]
    for (let i = 0; i < 3; i++) {
      expect(() => gate.admitAll(list(100))).toThrow(
        expect.objectContaining({ index: 6, fault: expect.objectContaining({ code: 'limited' }) }),
      )
      expect(() => gate.admitAll(list(3, { ...next, by: user('u1', ['reader']) }))).toThrow(Refusal)
    }
    expect(kept.size).toBe(0)
    expect(gate.admitAll(list(6))).toHaveLength(6)
    expect(state.writes).toBe(1)
    expect(tell(rows.next)?.code).toBe('limited')
  })

  test('a list whose draws cannot be written does not go', () => {
    const { store, state } = createStore()
    const { gate, records } = setup(store)
    const [status, next] = [callOf(rows.status, {}, user(), noon), callOf(rows.next, {}, user(), noon)]
    gate.admit(next)
    state.broken = true
    expect(() => gate.admitAll([status, next])).toThrow(
      expect.objectContaining({ index: 1, fault: expect.objectContaining({ code: 'internal' }) }),
    )
    expect(records.slice(1).map(({ operation, outcome, reason }) => [operation, outcome, reason])).toEqual([
      ['next', 'limited', 'uncounted'],
      ['status', 'dropped', null],
    ])
  })

  test('what cannot be counted is refused, and whatever has no quota goes on', () => {
    const { store, state } = createStore()
    const { tell } = setup(store)
    state.broken = true
    const fault = tell(rows.next)
    expect(fault).toMatchObject({ code: 'internal', details: { rule: 'roles.kid.quotas.playback.skip' } })
    expect(fault?.message).toBe(
      'what is left of 6 playback.skip in 1 h cannot be counted at the moment, so this is refused',
    )
    expect(tell(rows.clear)).toBeUndefined()
    expect(tell(rows.next, {}, user('u2', ['adult']))).toBeUndefined()
    expect(tell(rows.next, {}, user('u3', ['tryout']))).toBeUndefined()
    state.broken = false
    expect(tell(rows.next)).toBeUndefined()
  })

  test('what a quota refuses costs nothing of a rate', () => {
    const { gate } = setup()
    const policy = compile({
      kid: { grants: [{ allow: ['*'] }], quotas: { 'playback.skip': '1/1h' }, rates: { '*': '3/1m' } },
    })
    const records: AuditRecord[] = []
    const own = createGate({ policy: () => policy, limiter: createLimiter(), audit: { write: (r) => records.push(r) } })
    const next = callOf(rows.next, {}, user(), noon)
    own.admit(next)
    for (let i = 0; i < 5; i++) expect(() => own.admit(next)).toThrow(/not more than/)
    own.admit(callOf(rows.status, {}, user(), noon))
    expect(gate).toBeDefined()
  })

  test('an observed role is told nothing and stopped by nothing; the record says what would have been', () => {
    const { tell, records, gate } = setup()
    const by = user('u', ['tryout'])
    for (let i = 0; i < 3; i++) expect(tell(rows.next, {}, by)).toBeUndefined()
    expect(records.map(({ outcome, reason, rule }) => [outcome, reason, rule])).toEqual([
      ['allowed', null, 'roles.tryout.grants[0]'],
      ['allowed', 'observed', 'roles.tryout.quotas.playback.skip'],
      ['allowed', 'observed', 'roles.tryout.quotas.playback.skip'],
    ])
    expect(records[1]?.says).toBe('not more than 1 playback.skip in 1 h: again at 13:00')
    expect(gate.quotasOf(by, ['home'], noon)).toEqual([])
  })

  test('what is put in the place of what was asked is counted by the ceiling that lets only that pass', () => {
    const set = (over: 'clamp' | 'scale') => {
      const policy = compile({
        kid: { grants: [{ allow: ['volume.set'], when: { maxVolume: { max: 40, over } } }] },
        low: { grants: [{ allow: ['volume.set'], when: { maxVolume: 40 } }], quotas: { 'volume.set': '2/1h' } },
      })
      const own = createGate({ policy: () => policy, limiter: createLimiter(), audit: { write: () => {} } })
      const by = user('u', ['kid'], { ceilings: [['low']] })
      return () => own.admit(callOf(rows.setvol, { level: 90 }, by, noon)).call.touches.volume
    }
    for (const over of ['clamp', 'scale'] as const) {
      const loud = set(over)
      expect([loud(), loud()]).toEqual(over === 'clamp' ? [[40], [40]] : [[36], [36]])
      expect(loud).toThrow('not more than 2 volume.set')
    }
  })

  test('a list of two thousand is counted in one go, however much was drawn before', () => {
    const policy = compile({ kid: { grants: [{ allow: ['queue.add'] }], quotas: { 'queue.add': '9999/1d' } } })
    const { store } = createStore()
    const before = Array.from({ length: 7_900 }, (_, i): Draw => {
      return { person: 'u1', capability: 'queue.add', at: noon + i, weight: 1, until: noon + 24 * hour }
    })
    store.write(before, [])
    const own = createGate({
      policy: () => policy,
      limiter: createLimiter(),
      quotas: createQuotas(store),
      audit: { write: () => {} },
    })
    const add = callOf(rows.add, { uris: ['local:a'] }, user(), noon + 8_000)
    const list = (count: number) => Array.from({ length: count }, () => add)
    expect(() => own.admitAll(list(2_100))).toThrow(expect.objectContaining({ index: 2_099 }))
    expect(own.admitAll(list(2_099))).toHaveLength(2_099)
  })

  test('somebody with another name, session or device is the same person', () => {
    const { tell } = setup()
    for (let i = 0; i < 6; i++)
      expect(
        tell(rows.next, {}, user('u1', ['kid'], { name: `n${i}`, session: `s${i}`, from: `::${i}` })),
      ).toBeUndefined()
    expect(tell(rows.next)?.code).toBe('limited')
  })

  test('what turned out to be more is charged', () => {
    const { gate } = setup()
    const call = callOf(rows.add, { uris: ['local:album:1'] }, user(), noon)
    gate.admit(call)
    gate.charge(call, 11)
    gate.charge({ ...call, by: user('u9', ['adult']) }, 11)
    expect(gate.quotasOf(user(), ['home'], noon)).toContainEqual({
      capability: 'queue.add',
      limit: 20,
      windowMs: 15 * minute,
      remaining: 8,
      resetMs: 15 * minute,
      players: ['home'],
    })
  })
})
