import { describe, expect, test } from 'vitest'
import { createCall, type Principal, type User } from '../../src/call/call.ts'
import { alarming, catalog, type Operation, op, refuse } from '../../src/call/catalog.ts'
import { Fault } from '../../src/call/fault.ts'
import type { AuditRecord } from '../../src/gate/audit.ts'
import { createGate } from '../../src/gate/gate.ts'
import { createLimiter } from '../../src/gate/limiter.ts'
import { compile, type RolesConfig } from '../../src/policy/policy.ts'
import { decode } from '../../src/protocol/mpd/decode.ts'
import { uri, level as volume } from '../../src/protocol/mpd/param.ts'
import { tokenize } from '../../src/protocol/mpd/token.ts'
import { resolve } from '../../src/protocol/resolve.ts'

const rows = catalog('mpd', {
  status: op('status.read'),
  setvol: op('volume.set', { level: volume }),
  volume: op('volume.set'),
  add: op('queue.add', { uri }),
  clear: op('queue.clear'),
  kill: alarming(op('server.admin')),
  pair: op('player.takeover'),
  config: refuse('server.admin', 'not over the wire'),
})

const roles: RolesConfig = {
  kid: {
    mode: 'observe',
    grants: [
      { allow: ['status.read'] },
      { allow: ['volume.set'], when: { maxVolume: 40 } },
      { allow: ['queue.add'], on: ['bath'], when: { uriSchemes: ['local'] } },
    ],
    rates: { 'status.read': '2/1m' },
  },
  soft: { mode: 'observe', grants: [{ allow: ['volume.set'], when: { maxVolume: { max: 40, over: 'clamp' } } }] },
  slow: { mode: 'observe', grants: [{ allow: ['volume.set'], when: { maxVolume: { max: 50, over: 'scale' } } }] },
  strict: { grants: [{ allow: ['status.read'] }, { allow: ['volume.set'], when: { maxVolume: 30 } }] },
  owner: { grants: [{ allow: ['*'] }] },
  tight: { grants: [{ allow: ['*'] }], rates: { 'status.read': '2/1m' } },
}

function user(...names: string[]): User {
  return { kind: 'user', id: 'u1', name: 'ben', roles: names, session: 's', until: 1e6, from: '192.0.2.1' }
}

function setup() {
  const records: AuditRecord[] = []
  const alarms: string[] = []
  const policy = compile(roles, { zone: 'UTC' })
  const gate = createGate({
    policy: () => policy,
    limiter: createLimiter(),
    audit: { write: (record) => records.push(record) },
    alarm: ({ operation }) => void alarms.push(operation.name),
  })
  const call = (by: Principal, operation: Operation, args: object = {}) =>
    createCall({ id: 'r1', by, door: 'mpd', player: 'home', at: 0 }, { operation, args: { ...args } })
  /** What becomes of it: the arguments that go, or the refusal. */
  const ask = (by: Principal, operation: Operation, args: object = {}) => {
    try {
      return gate.admit(call(by, operation, args)).call.args
    } catch (error) {
      if (error instanceof Fault) return error.message
      throw error
    }
  }
  const last = () => {
    const { outcome, reason, rule, says } = records.at(-1) as AuditRecord
    return { outcome, reason, rule, says }
  }
  return { gate, call, ask, last, records, alarms }
}

describe('a role that is only observed', () => {
  test.each<[string, Operation, object, string, string | null]>([
    [
      'above its ceiling',
      rows.setvol,
      { level: 90 },
      'not allowed: maxVolume 40',
      'roles.kid.grants[1].when.maxVolume',
    ],
    [
      'what cannot be seen',
      rows.volume,
      {},
      'not allowed: maxVolume 40, and what this would do cannot be known',
      'roles.kid.grants[1].when.maxVolume',
    ],
    ['what it was not granted', rows.clear, {}, 'not allowed: queue.clear', ''],
    ['another player', rows.add, { uri: 'local:a' }, 'not allowed: queue.add', ''],
  ])(
    'is let do %s, as it was asked, and that is recorded with what it would have been told',
    (_, row, args, says, rule) => {
      const { ask, last } = setup()
      expect(ask(user('kid'), row, args)).toEqual(args)
      expect(last()).toMatchObject({ outcome: 'allowed', reason: 'observed', rule })
      expect(last().says).toMatch(new RegExp(`^${says}`))
    },
  )

  test('leaves no such mark by what it may do', () => {
    const { ask, last } = setup()
    expect(ask(user('kid'), rows.setvol, { level: 40 })).toEqual({ level: 40 })
    expect(last()).toEqual({ outcome: 'allowed', reason: null, rule: 'roles.kid.grants[1]', says: null })
  })

  test.each([
    ['soft', 'not allowed: maxVolume: 90 would become 40'],
    ['slow', 'not allowed: maxVolume: 90 is louder than their 100 would be: 50'],
  ])('is not turned down: %s', (role, says) => {
    const { ask, last, gate } = setup()
    expect(ask(user(role), rows.setvol, { level: 90 })).toEqual({ level: 90 })
    expect(last()).toEqual({
      outcome: 'allowed',
      reason: 'observed',
      rule: `roles.${role}.grants[0].when.maxVolume`,
      says,
    })
    expect(gate.volumeScale(user(role), 'home', 0), 'and sees the volume as it is').toBe(undefined)
  })

  test('is refused what outlives a song all the same, and the house is told', () => {
    const { ask, last, alarms } = setup()
    expect(ask(user('kid'), rows.kill)).toMatch(/^not allowed: server\.admin/)
    expect(last()).toMatchObject({ outcome: 'denied', reason: 'alarm' })
    expect(alarms).toEqual(['kill'])
    expect(ask(user('kid'), rows.pair)).toMatch(/^not allowed: player\.takeover/)
    expect(ask(user('kid', 'owner'), rows.kill), 'unless another role of theirs has it').toEqual({})
  })

  test('is refused what is refused to everybody', () => {
    const { ask } = setup()
    expect(ask(user('kid'), rows.config)).toMatch(/^not offered here: /)
    expect(ask(user('kid', 'owner'), rows.config)).toMatch(/^not offered here: /)
  })

  test('is bound by its own token: its end, its players', () => {
    const { ask } = setup()
    expect(ask({ ...user('kid'), until: 0 }, rows.status)).toMatch(/^the sign-in has ended/)
    expect(ask({ ...user('kid'), players: ['bath'] }, rows.status)).toMatch(/^not allowed: status\.read/)
  })

  test('makes everybody observed who has it besides other roles', () => {
    const { ask, last } = setup()
    expect(ask(user('strict', 'kid'), rows.setvol, { level: 90 })).toEqual({ level: 90 })
    expect(last().reason).toBe('observed')
  })

  test('is shown everything: what is announced, what is seen', () => {
    const { gate, call } = setup()
    const shown = gate.capabilitiesOf(user('kid'), 'home')
    expect(shown).toContain('queue.clear')
    expect(shown).toContain('queue.add')
    expect(shown).not.toContain('server.admin')
    expect(shown).not.toContain('player.takeover')
    const add = call(user('kid'), rows.add, { uri: 'http://h/' })
    expect(gate.sees(add, 'http://h/')).toBe(true)
    expect(gate.isNarrowed(add)).toBe(false)
  })
})

test('what has to be known to judge a call is looked up for the observed too, so that the record is right', () => {
  const { gate, last, records } = setup()
  const up = (volume: string) => decode(tokenize(new TextEncoder().encode(`volume ${volume}`)))
  const origin = { id: 'r1', by: user('kid'), door: 'mpd', player: 'home', at: 0 } as const
  expect(gate.mattersOf(createCall(origin, up('+5')))).toEqual(['volume'])
  gate.admit(createCall(origin, resolve(up('+5'), 30, undefined), { volume: 30 }))
  expect(last().reason).toBe(null)
  gate.admit(createCall(origin, resolve(up('+5'), 38, undefined), { volume: 38 }))
  expect(last()).toMatchObject({ reason: 'observed', says: 'not allowed: maxVolume 40' })
  expect(records.at(-1)?.touches).toEqual({ volume: [43] })
})

describe('a ceiling above an observed role', () => {
  const under = (...ceilings: string[][]): User => ({ ...user('kid'), ceilings })

  test('binds: what it refuses is refused', () => {
    const { ask, last } = setup()
    expect(ask(under(['strict']), rows.setvol, { level: 31 })).toMatch(/^not allowed: maxVolume 30/)
    expect(last()).toMatchObject({ outcome: 'denied', rule: 'roles.strict.grants[1].when.maxVolume' })
    expect(ask(under(['strict']), rows.clear)).toMatch(/^not allowed: queue\.clear/)
    expect(ask(under([]), rows.status)).toMatch(/^not allowed/)
    expect(ask(under(['strict']), rows.setvol, { level: 30 })).toEqual({ level: 30 })
  })

  test('that is observed itself binds nobody whose own role is enforced less', () => {
    const { ask, last } = setup()
    const by = { ...user('strict'), ceilings: [['kid']] }
    expect(ask(by, rows.setvol, { level: 31 }), 'the own role still binds').toMatch(/^not allowed: maxVolume 30/)
    expect(ask({ ...user('owner'), ceilings: [['kid']] }, rows.setvol, { level: 90 })).toEqual({ level: 90 })
    expect(last()).toMatchObject({ reason: 'observed', rule: 'roles.kid.grants[1].when.maxVolume' })
    expect(ask({ ...user('owner'), ceilings: [['kid']] }, rows.kill)).toMatch(/^not allowed: server\.admin/)
  })

  test('shows no more than it allows', () => {
    const { gate } = setup()
    expect(gate.capabilitiesOf(under(['strict']), 'home')).toEqual(['status.read', 'volume.set'])
  })
})

describe('the rates of an observed role', () => {
  test('are recorded, and stop nobody', () => {
    const { ask, last, records } = setup()
    for (let i = 0; i < 3; i++) expect(ask(user('kid'), rows.status)).toEqual({})
    expect(last()).toMatchObject({ outcome: 'allowed', reason: 'observed', rule: 'roles.kid.rates.status.read' })
    expect(last().says).toMatch(/^too many/)
    expect(records.slice(0, 2).map(({ reason }) => reason)).toEqual([null, null])
  })

  test('are not those of a ceiling, which bind', () => {
    const { ask } = setup()
    const by = { ...user('kid'), ceilings: [['tight']] }
    for (let i = 0; i < 2; i++) expect(ask(by, rows.status)).toEqual({})
    expect(ask(by, rows.status)).toMatch(/^too many/)
  })
})
