import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createCall, type Principal, type User } from '../../src/call/call.ts'
import type { Capability } from '../../src/call/capability.ts'
import { catalog, type Operation, op, refuse } from '../../src/call/catalog.ts'
import { decide, isPermit, mayEver, type Permit } from '../../src/policy/decide.ts'
import { compile, type RolesConfig } from '../../src/policy/policy.ts'
import { isNarrowed, sees } from '../../src/policy/sight.ts'
import { level, uri } from '../../src/protocol/mpd/param.ts'

const rows = catalog('mpd', {
  ping: op('anyone'),
  tagtypes: op('signed-in'),
  status: op('status.read'),
  lsinfo: op('library.read', { uri }),
  setvol: op('volume.set', { level }),
  volume: op('volume.set'),
  add: op('queue.add', { uri }),
  load: op('queue.add'),
  kill: op('server.admin'),
  loud: op('options.set', { level }),
  config: refuse('server.admin', 'not over the wire'),
})

const roles: RolesConfig = {
  owner: { grants: [{ allow: ['*'] }] },
  kid: {
    grants: [
      { allow: ['status.read', 'options.*'], when: { maxVolume: 40 } },
      { allow: ['library.read', 'queue.add'], on: ['bath', 'kitchen'], when: { uriSchemes: ['local', 'path'] } },
      { allow: ['volume.set'], on: ['bath'], when: { maxVolume: 60 } },
      { allow: ['volume.set'], when: { maxVolume: 40 } },
    ],
  },
  loud: { grants: [{ allow: ['volume.*'] }] },
  both: { grants: [{ allow: ['queue.add'], when: { uriSchemes: ['local'], maxVolume: 10 } }] },
}
const policy = compile(roles)

const user = (...names: string[]): User => ({
  kind: 'user',
  id: 'u',
  name: 'ben',
  roles: names,
  session: 's',
  until: 1000,
  from: '::1',
})
const nobody: Principal = { kind: 'anonymous', from: '::1' }

function ask(by: Principal, operation: Operation, args: object = {}, player = 'home', at = 0) {
  return decide(policy, createCall({ id: 'r', by, door: 'mpd', player, at }, { operation, args: { ...args } }))
}
function outcome(...asked: Parameters<typeof ask>): string {
  const decision = ask(...asked)
  if (decision.allowed) return decision.permit.rule
  const { denial } = decision
  return 'condition' in denial ? `${denial.reason} ${denial.condition.rule}` : denial.reason
}

describe('who is nobody', () => {
  test('may do what anyone may, and nothing else', () => {
    expect(outcome(nobody, rows.ping)).toBe('anyone')
    expect(outcome(nobody, rows.tagtypes)).toBe('not-granted')
    expect(outcome(nobody, rows.status)).toBe('not-granted')
  })
})

describe('grants', () => {
  test('nothing is allowed that none allows', () => {
    expect(outcome(user('kid'), rows.kill)).toBe('not-granted')
    expect(outcome(user(), rows.status)).toBe('not-granted')
    expect(outcome(user(), rows.tagtypes)).toBe('signed-in')
  })

  test('a role nobody defined grants nothing, whatever its name', () => {
    for (const name of ['constructor', '__proto__', 'toString', 'Owner', 'owner ', '*']) {
      expect(outcome(user(name), rows.status)).toBe('not-granted')
    }
  })

  test('are alternatives, by role and by player', () => {
    expect(outcome(user('kid'), rows.setvol, { level: 61 }, 'bath')).toBe(
      'constraint roles.kid.grants[3].when.maxVolume',
    )
    expect(outcome(user('kid'), rows.setvol, { level: 60 }, 'bath')).toBe('roles.kid.grants[2]')
    expect(outcome(user('kid'), rows.setvol, { level: 60 }, 'home')).toBe(
      'constraint roles.kid.grants[3].when.maxVolume',
    )
    expect(outcome(user('kid', 'loud'), rows.setvol, { level: 100 })).toBe('roles.loud.grants[0]')
  })

  test('are for the players they name', () => {
    expect(outcome(user('kid'), rows.add, { uri: 'local:a' }, 'kitchen')).toBe('roles.kid.grants[1]')
    expect(outcome(user('kid'), rows.add, { uri: 'local:a' }, 'home')).toBe('not-granted')
  })
})

describe('conditions', () => {
  test.each([
    [0, true],
    [40, true],
    [41, false],
    [100, false],
  ])('a kid · setvol %i at home: %s', (level, allowed) => {
    expect(ask(user('kid'), rows.setvol, { level }).allowed).toBe(allowed)
  })

  test('deny what they cannot see', () => {
    expect(outcome(user('kid'), rows.volume)).toBe('unprovable roles.kid.grants[3].when.maxVolume')
    expect(outcome(user('kid'), rows.load, {}, 'bath')).toBe('unprovable roles.kid.grants[1].when.uriSchemes')
    expect(outcome(user('owner'), rows.volume)).toBe('roles.owner.grants[0]')
  })

  test('of one grant bind together', () => {
    expect(outcome(user('both'), rows.add, { uri: 'local:a' })).toBe('roles.both.grants[0]')
    expect(outcome(user('both'), rows.add, { uri: 'http:a' })).toBe('constraint roles.both.grants[0].when.uriSchemes')
  })

  test('judge what a call shows, whatever it is for', () => {
    expect(outcome(user('kid'), rows.loud, { level: 41 })).toBe('constraint roles.kid.grants[0].when.maxVolume')
    expect(outcome(user('kid'), rows.lsinfo, { uri: 'http://h/' }, 'bath')).toBe(
      'constraint roles.kid.grants[1].when.uriSchemes',
    )
  })

  test('reads of what shows nothing pass: the root of the library has no address', () => {
    expect(outcome(user('kid'), rows.lsinfo, { uri: '' }, 'bath')).toBe('roles.kid.grants[1]')
  })

  test.each(['file:///etc/passwd', 'FILE:///x', 'http://127.0.0.1:6680/', 'HTTPS://h/', '//h/x', 'local2:x', 'loca:x'])(
    '%j is not local',
    (uri) => {
      try {
        expect(ask(user('kid'), rows.add, { uri }, 'bath').allowed).toBe(false)
      } catch (error) {
        expect(error).toMatchObject({ code: 'bad-arguments' })
      }
    },
  )

  test('a scheme is the same in capital letters', () => {
    expect(ask(user('kid'), rows.add, { uri: 'LOCAL:a' }, 'bath').allowed).toBe(true)
  })
})

describe('a ceiling', () => {
  const under = (...ceilings: string[][]): User => ({ ...user('owner'), ceilings })

  test('must allow the call as well', () => {
    expect(outcome(under(['kid']), rows.kill)).toBe('not-granted')
    expect(outcome(under(['kid']), rows.setvol, { level: 41 })).toBe('constraint roles.kid.grants[3].when.maxVolume')
    expect(outcome(under(['kid']), rows.setvol, { level: 40 })).toBe('roles.owner.grants[0] and roles.kid.grants[3]')
  })

  test('gives nothing by itself', () => {
    expect(outcome({ ...user('kid'), ceilings: [['owner']] }, rows.kill)).toBe('not-granted')
    expect(outcome({ ...user(), ceilings: [['owner']] }, rows.status)).toBe('not-granted')
  })

  test('of several, each binds; an empty or unknown one lets nothing through', () => {
    expect(outcome(under(['owner'], ['kid']), rows.kill)).toBe('not-granted')
    expect(outcome(under([]), rows.status)).toBe('not-granted')
    expect(outcome(under(['gone']), rows.status)).toBe('not-granted')
  })

  test('of players binds too', () => {
    const there: User = { ...user('owner'), players: ['bath'] }
    expect(outcome(there, rows.status, {}, 'bath')).toBe('roles.owner.grants[0]')
    expect(outcome(there, rows.status, {}, 'home')).toBe('not-granted')
    expect(outcome({ ...there, players: [] }, rows.status, {}, 'home')).toBe('not-granted')
  })
})

describe('time', () => {
  test('a sign-in ends when it ends, for everything', () => {
    expect(outcome(user('owner'), rows.status, {}, 'home', 999)).toBe('roles.owner.grants[0]')
    expect(outcome(user('owner'), rows.status, {}, 'home', 1000)).toBe('expired')
    expect(outcome(user('owner'), rows.ping, {}, 'home', 1001)).toBe('expired')
  })
})

describe('what nobody may', () => {
  test('is refused to the owner', () => expect(outcome(user('owner'), rows.config)).toBe('refused'))
})

describe('a permit', () => {
  test('cannot be made by hand', () => {
    const decision = ask(user('owner'), rows.status)
    if (!decision.allowed) throw new Error('denied')
    const { permit } = decision
    const lookalike = { call: permit.call, rule: permit.rule } as unknown as Permit
    expect(isPermit(permit)).toBe(true)
    expect(isPermit(lookalike)).toBe(false)
    expect(isPermit(Object.create(Object.getPrototypeOf(permit)))).toBe(false)
    expect(isPermit(structuredClone({ ...permit }))).toBe(false)
    expect(Object.isFrozen(permit)).toBe(true)
  })
})

describe('what may ever be', () => {
  const ever = (by: Principal, player: string, capability: Capability) => mayEver(policy, by, player, capability)

  test('is what any grant covers there, under every ceiling', () => {
    expect(ever(user('kid'), 'bath', 'queue.add')).toBe(true)
    expect(ever(user('kid'), 'home', 'queue.add')).toBe(false)
    expect(ever({ ...user('owner'), ceilings: [['kid']] }, 'home', 'server.admin')).toBe(false)
    expect(ever({ ...user('owner'), players: ['bath'] }, 'home', 'status.read')).toBe(false)
    expect(ever(nobody, 'home', 'status.read')).toBe(false)
  })
})

describe('what is seen of an answer', () => {
  const asked = (by: Principal, operation: Operation = rows.lsinfo, player = 'bath', at = 0) =>
    createCall({ id: 'r', by, door: 'mpd', player, at }, { operation, args: {} })
  const look = (by: Principal, uri: string, ...rest: [Operation?, string?, number?]) =>
    sees(policy, asked(by, ...rest), uri)

  test('is what the caller could have named', () => {
    expect(look(user('owner'), 'http://h')).toBe(true)
    expect(look(user('kid'), 'local:a')).toBe(true)
    expect(look(user('kid'), 'http://h')).toBe(false)
    expect(look(user('kid'), 'local:a', rows.lsinfo, 'home')).toBe(false)
    expect(look(user('kid'), 'local:a', rows.lsinfo, 'bath', 1000)).toBe(false)
    expect(look(nobody, 'local:a')).toBe(false)
  })

  test('passes every ceiling, in whatever order', () => {
    expect(look({ ...user('owner'), ceilings: [['owner'], ['kid']] }, 'http://h')).toBe(false)
    expect(look({ ...user('kid'), ceilings: [['owner']] }, 'http://h')).toBe(false)
    expect(isNarrowed(policy, asked({ ...user('owner'), ceilings: [['kid']] }))).toBe(true)
    expect(isNarrowed(policy, asked({ ...user('owner'), ceilings: [['owner']] }))).toBe(false)
    expect(isNarrowed(policy, asked({ ...user('owner'), ceilings: [[]] }))).toBe(true)
  })

  test('is narrowed by a condition on addresses and by no other, unless another grant has none', () => {
    expect(isNarrowed(policy, asked(user('kid')))).toBe(true)
    expect(isNarrowed(policy, asked(user('kid'), rows.status))).toBe(false)
    expect(isNarrowed(policy, asked(user('kid', 'owner')))).toBe(false)
    expect(isNarrowed(policy, asked(user('kid'), rows.tagtypes))).toBe(false)
    expect(isNarrowed(policy, asked({ ...user('owner'), players: ['home'] }))).toBe(true)
    expect(isNarrowed(policy, asked(nobody))).toBe(true)
  })

  test('is everything, to whoever is allowed the call and not narrowed', () => {
    const names = fc.subarray(['owner', 'kid', 'loud', 'both', 'gone'])
    const by = fc.record({ roles: names, ceilings: fc.array(names, { maxLength: 2 }) })
    const row = fc.constantFrom<Operation>(rows.lsinfo, rows.status, rows.setvol, rows.add, rows.tagtypes, rows.ping)
    const args = fc.record({ level: fc.nat(100), uri: fc.constantFrom('local:a', 'http://h', 'a/b') })
    const player = fc.constantFrom('bath', 'home')
    const address = fc.oneof(fc.string(), fc.constantFrom('http://h', 'a/b', '//x'))
    fc.assert(
      fc.property(by, row, args, player, address, ({ roles, ceilings }, operation, given, where, uri) => {
        const call = createCall(
          { id: 'r', by: { ...user(...roles), ceilings }, door: 'mpd', player: where, at: 0 },
          { operation, args: given },
        )
        fc.pre(decide(policy, call).allowed && !isNarrowed(policy, call))
        expect(sees(policy, call, uri)).toBe(true)
      }),
    )
  })
})
