import { describe, expect, test } from 'vitest'
import { createCall, type Principal, type User } from '../../src/call/call.ts'
import { catalog, type Operation, op, refuse } from '../../src/call/catalog.ts'
import { Fault } from '../../src/call/fault.ts'
import type { AuditRecord } from '../../src/gate/audit.ts'
import { createGate, Refusal } from '../../src/gate/gate.ts'
import { createLimiter } from '../../src/gate/limiter.ts'
import { isPermit } from '../../src/policy/decide.ts'
import { compile, type RolesConfig } from '../../src/policy/policy.ts'
import { level, uri } from '../../src/protocol/mpd/param.ts'

const rows = catalog('mpd', {
  ping: op('anyone'),
  status: op('status.read'),
  setvol: op('volume.set', { level }),
  volume: op('volume.set'),
  add: op('queue.add', { uri }),
  clear: op('queue.clear'),
  config: refuse('server.admin', 'not over the wire'),
})
const ben: User = { kind: 'user', id: 'u1', name: 'ben', roles: ['kid'], session: 's1', until: 1000, from: '192.0.2.1' }
const nobody: Principal = { kind: 'anonymous', from: '192.0.2.1' }
const kid: RolesConfig = {
  kid: {
    grants: [{ allow: ['status.read', 'queue.add'] }, { allow: ['volume.set'], when: { maxVolume: 40 } }],
    rates: { 'queue.add': '2/1m' },
  },
}

function setup(roles = kid) {
  const records: AuditRecord[] = []
  let policy = compile(roles)
  const gate = createGate({
    policy: () => policy,
    limiter: createLimiter(),
    audit: { write: (record) => records.push(record) },
  })
  const call = (operation: Operation, args: object = {}, by: Principal = ben, at = 0) =>
    createCall({ id: 'r1', by, door: 'mpd', player: 'home', at }, { operation, args: { ...args } })
  const outcomes = () => records.map(({ operation, outcome }) => `${operation} ${outcome}`)
  const reload = (next: RolesConfig) => {
    policy = compile(next)
  }
  return { gate, call, records, outcomes, reload }
}

function fault(work: () => unknown): Fault {
  try {
    work()
  } catch (error) {
    if (error instanceof Fault) return error
    throw error
  }
  throw new Error('let through')
}

describe('admit', () => {
  test('gives a permit and leaves one record', () => {
    const { gate, call, records } = setup()
    expect(isPermit(gate.admit(call(rows.setvol, { level: 40 })))).toBe(true)
    expect(records).toEqual([
      {
        at: 0,
        request: 'r1',
        account: 'u1',
        name: 'ben',
        session: 's1',
        from: '192.0.2.1',
        door: 'mpd',
        player: 'home',
        operation: 'setvol',
        capability: 'volume.set',
        touches: { volume: [40] },
        outcome: 'allowed',
        rule: 'roles.kid.grants[1]',
        reason: null,
        says: null,
      },
    ])
  })

  test('says what was refused and by which rule', () => {
    const { gate, call, records } = setup()
    const refusal = fault(() => gate.admit(call(rows.setvol, { level: 41 })))
    expect(refusal.code).toBe('forbidden')
    expect(refusal.message).toBe('not allowed: maxVolume 40')
    expect(refusal.details).toEqual({ capability: 'volume.set', rule: 'roles.kid.grants[1].when.maxVolume' })
    expect(records).toMatchObject([{ outcome: 'denied', reason: 'constraint', touches: { volume: [41] } }])
    expect(fault(() => gate.admit(call(rows.volume))).message).toContain('cannot be known')
    expect(fault(() => gate.admit(call(rows.clear))).message).toBe(
      'not allowed: queue.clear (empty the queue) is not granted to kid at home',
    )
  })

  test('tells those who have not signed in to do so, and no more', () => {
    const { gate, call, records } = setup()
    expect(fault(() => gate.admit(call(rows.status, {}, nobody)))).toMatchObject({ code: 'unauthenticated' })
    expect(fault(() => gate.admit(call(rows.config, {}, nobody)))).toMatchObject({ code: 'unauthenticated' })
    expect(fault(() => gate.admit(call(rows.status, {}, ben, 1000)))).toMatchObject({ code: 'unauthenticated' })
    expect(records.map(({ account }) => account)).toEqual([null, null, 'u1'])
    expect(isPermit(gate.admit(call(rows.ping, {}, nobody)))).toBe(true)
  })

  test('limits per person and says how long to wait', () => {
    const { gate, call, outcomes } = setup()
    const add = () => gate.admit(call(rows.add, { uri: 'local:a' }))
    add()
    add()
    expect(fault(add)).toMatchObject({
      code: 'limited',
      details: { retryAfter: 30, rule: 'roles.kid.rates.queue.add' },
    })
    expect(outcomes()).toEqual(['add allowed', 'add allowed', 'add limited'])
  })

  test('a refusal costs nothing of a budget', () => {
    const { gate, call } = setup({
      kid: { grants: [{ allow: ['queue.add'], when: { uriSchemes: ['local'] } }], rates: { 'queue.add': '1/1m' } },
    })
    expect(fault(() => gate.admit(call(rows.add, { uri: 'http:x' }))).code).toBe('forbidden')
    expect(isPermit(gate.admit(call(rows.add, { uri: 'local:x' })))).toBe(true)
  })

  test('asks for the policy anew each time: a reload reaches whoever is connected', () => {
    const { gate, call, reload } = setup()
    gate.admit(call(rows.status))
    reload({ kid: { grants: [{ allow: ['queue.read'] }] } })
    expect(fault(() => gate.admit(call(rows.status))).code).toBe('forbidden')
  })

  test('records are short, whatever was asked', () => {
    const { gate, call, records } = setup()
    gate.admit(call(rows.add, { uri: `local:${'x'.repeat(5000)}` }))
    expect(String(records[0]?.touches.uri?.[0])).toHaveLength(200)
  })
})

describe('admitAll', () => {
  test('admits a list in its order', () => {
    const { gate, call, outcomes } = setup()
    const permits = gate.admitAll([call(rows.status), call(rows.setvol, { level: 10 })])
    expect(permits.map(({ call }) => call.operation.name)).toEqual(['status', 'setvol'])
    expect(permits.every(isPermit)).toBe(true)
    expect(outcomes()).toEqual(['status allowed', 'setvol allowed'])
  })

  test('one refusal refuses all, says where, gives budgets back and claims nothing was done', () => {
    const { gate, call, outcomes } = setup()
    const add = call(rows.add, { uri: 'local:a' })
    for (let i = 0; i < 5; i++) {
      const attempt = () => gate.admitAll([add, add, call(rows.clear)])
      expect(attempt).toThrow(Refusal)
      try {
        attempt()
      } catch (error) {
        expect(error).toMatchObject({ index: 2, fault: { code: 'forbidden' } })
      }
    }
    expect(outcomes().slice(0, 3)).toEqual(['clear denied', 'add dropped', 'add dropped'])
    expect(outcomes()).not.toContain('add allowed')
    expect(gate.admitAll([add, add])).toHaveLength(2)
  })

  test('a list draws on the budget command by command', () => {
    const { gate, call } = setup()
    const add = call(rows.add, { uri: 'local:a' })
    expect(() => gate.admitAll([add, add, add])).toThrow(Refusal)
  })
})

test('what is announced is what may ever be', () => {
  const { gate } = setup()
  expect(gate.capabilitiesOf(ben, 'home')).toEqual(['status.read', 'queue.add', 'volume.set'])
  expect(gate.capabilitiesOf(nobody, 'home')).toEqual([])
  expect(gate.may(ben, 'home', 'queue.clear')).toBe(false)
})

describe('somebody who is refused without end', () => {
  test('cannot push the records of others out: after 600 one a minute says that there were more', () => {
    const { gate, call, records } = setup()
    for (let i = 0; i < 5000; i++) fault(() => gate.admit(call(rows.clear)))
    expect(records).toHaveLength(601)
    expect(records.slice(0, 600).every(({ reason }) => reason === 'not-granted')).toBe(true)
    expect(records.at(-1)?.reason).toBe('flood')
  })

  test('a list that is refused after hundreds of commands costs no more, however often it comes', () => {
    const { gate, call, records } = setup()
    const list = [...Array.from({ length: 300 }, () => call(rows.status)), call(rows.clear)]
    for (let i = 0; i < 10; i++) expect(() => gate.admitAll(list)).toThrow(Refusal)
    expect(records).toHaveLength(601)
  })

  test('is still recorded with all that he is allowed, and so is everybody else', () => {
    const { gate, call, records } = setup()
    for (let i = 0; i < 5000; i++) fault(() => gate.admit(call(rows.clear)))
    records.length = 0
    gate.admit(call(rows.status))
    fault(() => gate.admit(call(rows.clear, {}, { ...ben, id: 'u2' })))
    expect(records.map(({ account, outcome }) => [account, outcome])).toEqual([
      ['u1', 'allowed'],
      ['u2', 'denied'],
    ])
  })
})

describe('looking at an answer', () => {
  const narrow: RolesConfig = {
    kid: { grants: [{ allow: ['queue.add'], when: { uriSchemes: ['local'] } }], rates: { '*': '1/1m' } },
  }
  test('asks the policy of the moment, and counts and records nothing', () => {
    const { gate, call, records, reload } = setup(narrow)
    const asked = call(rows.add, { uri: 'local:a' })
    for (let i = 0; i < 5; i++) {
      expect(gate.sees(asked, 'local:b')).toBe(true)
      expect(gate.sees(asked, 'http://h')).toBe(false)
      expect(gate.isNarrowed(asked)).toBe(true)
    }
    expect(records).toEqual([])
    gate.admit(asked)
    reload(kid)
    expect(gate.sees(asked, 'http://h')).toBe(true)
    expect(gate.isNarrowed(asked)).toBe(false)
  })
})
