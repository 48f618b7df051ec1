import { expect, test } from 'vitest'
import { createCall, type User } from '../../src/call/call.ts'
import { catalog, op } from '../../src/call/catalog.ts'
import { forecast } from '../../src/policy/forecast.ts'
import { compile, type RolesConfig } from '../../src/policy/policy.ts'
import type { Policy } from '../../src/policy/role.ts'
import { level } from '../../src/protocol/mpd/param.ts'

const { setvol, status } = catalog('mpd', { setvol: op('volume.set', { level }), status: op('status.read') })
const roles: RolesConfig = {
  kid: {
    grants: [
      { allow: ['volume.set'], when: { maxVolume: { max: { '07:00': 60, '12:00': 60, '20:00': 40 } } } },
      { allow: ['status.read'], when: { hours: ['mon-fri 07:00-20:00'] } },
    ],
  },
  night: { grants: [{ allow: ['volume.set'], when: { maxVolume: { max: { '06:00': 10, '22:00': 80 } } } }] },
}
const policy = compile(roles, { zone: 'Europe/Berlin' })

function turn(
  at: string,
  { operation = setvol as typeof setvol | typeof status, volume = 50, by = {}, within = policy } = {},
) {
  const user: User = {
    kind: 'user',
    id: 'u1',
    name: 'kim',
    roles: ['kid'],
    session: 's',
    until: Date.parse(at) + 1,
    from: '::1',
    ...by,
  }
  const args = operation === setvol ? { level: volume } : {}
  const call = createCall({ id: 'r', by: user, door: 'mpd', player: 'home', at: Date.parse(at) }, { operation, args })
  const found = forecast(within, call)
  return found && `${new Date(found.at).toISOString()} ${found.decision.allowed ? 'allowed' : 'denied'}`
}

test('the next border at which the answer is another, and not merely the next border', () => {
  expect(turn('2026-01-07T06:30:00Z')).toBe('2026-01-07T19:00:00.000Z denied') // not at twelve
  expect(turn('2026-01-07T21:00:00Z')).toBe('2026-01-08T06:00:00.000Z allowed')
})

test('none where there never is one', () => {
  expect(turn('2026-01-07T06:30:00Z', { volume: 40 })).toBe(undefined)
  expect(turn('2026-01-07T06:30:00Z', { volume: 61 })).toBe(undefined)
})

test('over a weekend, and over the change of the clock', () => {
  expect(turn('2026-03-27T19:30:00Z', { operation: status })).toBe('2026-03-30T05:00:00.000Z allowed')
})

test('by all grants of all roles and ceilings together', () => {
  expect(turn('2026-01-07T18:00:00Z', { by: { roles: ['kid', 'night'] } })).toBe('2026-01-07T19:00:00.000Z denied')
  expect(turn('2026-01-07T19:30:00Z', { by: { roles: ['kid', 'night'] } })).toBe('2026-01-07T21:00:00.000Z allowed')
  // Never loud enough by both: one ends when the other begins.
  expect(turn('2026-01-07T12:00:00Z', { by: { ceilings: [['night']] } })).toBe(undefined)
})

test('an override ends', () => {
  const until = Date.parse('2026-01-07T20:30:00Z')
  const within: Policy = { ...policy, overrides: [{ who: 'kid', until }] }
  expect(turn('2026-01-07T19:30:00Z', { operation: status, within })).toBe('2026-01-07T20:30:00.000Z denied')
})

test('the end of a sign-in is none: it is renewed', () => {
  expect(turn('2026-01-07T18:59:59Z')).toBe('2026-01-07T19:00:00.000Z denied')
})
