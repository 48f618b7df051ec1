import { describe, expect, test } from 'vitest'
import type { User } from '../../src/call/call.ts'
import { closing } from '../../src/policy/closing.ts'
import { compile, type RolesConfig } from '../../src/policy/policy.ts'
import type { Override } from '../../src/policy/role.ts'

const zone = 'Europe/Berlin'
const at = (text: string) => Temporal.PlainDateTime.from(text).toZonedDateTime(zone).epochMilliseconds

const grant = (hours: unknown, allow = 'playback.*', on?: string[]) =>
  ({ allow: [allow], ...(on && { on }), when: { hours } }) as RolesConfig[string]['grants'][number]
const till = (window: string, atEnd: string) => ({ allow: window, atEnd })

function ask(
  grants: RolesConfig[string]['grants'],
  text: string,
  given: {
    since?: string
    by?: Partial<User>
    overrides?: readonly Override[]
    mode?: 'observe'
    player?: string
  } = {},
) {
  const { since = text, by = {}, overrides = [], mode, player = 'home' } = given
  const roles: RolesConfig = {
    kid: { grants, ...(mode && { mode }) },
    free: { grants: [{ allow: ['*'] }] },
    guest: { grants: [grant(till('08:00-18:00', 'stop'))] },
    reader: { grants: [{ allow: ['status.read'] }] },
  }
  const policy = { ...compile(roles, { zone }), overrides }
  const ben: User = { kind: 'user', id: 'u1', name: 'ben', roles: ['kid'], session: 's', until: 0, from: '::1', ...by }
  return closing(policy, ben, player, at(since), at(text))
}

const night = [grant(till('07:00-20:00', 'fade 30s'))]

describe('the hours of somebody are over', () => {
  test('from the minute they end, and not before', () => {
    expect(ask(night, '2026-03-10T19:59:59.999')).toBe(undefined)
    expect(ask(night, '2026-03-10T20:00')).toEqual({ fadeMs: 30_000 })
  })

  test('by the zone they were given in, through both changes of the clock', () => {
    const short = [grant(till('01:00-02:30', 'stop'))]
    // 02:30 does not come: the clock goes from 02:00 to 03:00.
    expect(ask(short, '2026-03-29T01:59:59')).toBe(undefined)
    expect(ask(short, '2026-03-29T03:00')).toBe('stop')
    // 02:00 to 03:00 comes twice, and so does half of it.
    const first = Date.parse('2026-10-25T02:15:00+02:00')
    const policy = compile({ kid: { grants: short } }, { zone })
    const ben: User = { kind: 'user', id: 'u', name: 'ben', roles: ['kid'], session: 's', until: 0, from: '::1' }
    const over = (minutes: number) => closing(policy, ben, 'home', first, first + minutes * 60_000)
    expect([0, 15, 44, 45, 60, 75].map((minutes) => over(minutes) ?? 'open')).toEqual([
      'open',
      'stop',
      'stop',
      'open',
      'open',
      'stop',
    ])
  })

  test('when no grant of theirs is open, of several roles too', () => {
    expect(ask([...night, grant(till('07:00-22:00', 'stop'))], '2026-03-10T21:00')).toBe(undefined)
    expect(ask(night, '2026-03-10T21:00', { by: { roles: ['kid', 'free'] } })).toBe(undefined)
    expect(ask([...night, { allow: ['playback.control'] }], '2026-03-10T21:00')).toBe(undefined)
  })

  test('whether their sign-in has ended or not: to sign out is no way past it', () => {
    expect(ask(night, '2026-03-10T20:00', { by: { until: 0 } })).toEqual({ fadeMs: 30_000 })
  })

  test('at players and for capabilities that they are about', () => {
    const room = [grant(till('07:00-20:00', 'stop'), 'playback.*', ['den'])]
    expect(ask(room, '2026-03-10T21:00', { player: 'den' })).toBe('stop')
    expect(ask(room, '2026-03-10T21:00', { player: 'home' })).toBe(undefined)
    expect(ask([grant(till('07:00-20:00', 'stop'), 'queue.add')], '2026-03-10T21:00')).toBe(undefined)
  })

  test('not because they lost their role: that is not a matter of hours', () => {
    expect(ask(night, '2026-03-10T21:00', { by: { roles: ['reader'] } })).toBe(undefined)
    expect(ask(night, '2026-03-10T21:00', { by: { roles: ['nobody'] } })).toBe(undefined)
  })

  test('not where the role is only observed', () => {
    expect(ask(night, '2026-03-10T21:00', { mode: 'observe' })).toBe(undefined)
  })

  test('not while it was lifted, for the person or for the role', () => {
    const until = at('2026-03-10T22:00')
    for (const who of ['u1', 'kid']) {
      const overrides = [{ who, until }]
      expect(ask(night, '2026-03-10T21:59:59', { overrides })).toBe(undefined)
      expect(ask(night, '2026-03-10T22:00', { overrides, since: '2026-03-10T21:59:59' })).toEqual({ fadeMs: 30_000 })
    }
    expect(ask(night, '2026-03-10T21:00', { overrides: [{ who: 'u1', player: 'den', until }] })).toBeDefined()
  })

  test('when those of what they came by are over, a token’s or a door’s', () => {
    const ceilings = [['guest']]
    expect(ask(night, '2026-03-10T17:59', { by: { ceilings } })).toBe(undefined)
    expect(ask(night, '2026-03-10T18:00', { by: { ceilings } })).toBe('stop')
    // Both over: the stricter speaks.
    expect(ask(night, '2026-03-10T21:00', { by: { ceilings } })).toBe('stop')
  })
})

describe('what becomes of what plays', () => {
  test('is what the window says that has just ended', () => {
    const grants = [grant(till('mon-fri 07:00-20:00', 'finish')), grant(till('sat,sun 08:00-21:30', 'stop'))]
    expect(ask(grants, '2026-03-10T20:00', { since: '2026-03-10T19:59' })).toBe('finish')
    expect(ask(grants, '2026-03-14T21:30', { since: '2026-03-14T21:29' })).toBe('stop')
  })

  test('is the most patient of those that ended together', () => {
    const both = [grant(till('07:00-20:00', 'stop')), grant(till('08:00-20:00', 'fade 10s'))]
    expect(ask(both, '2026-03-10T20:00', { since: '2026-03-10T19:59' })).toEqual({ fadeMs: 10_000 })
  })

  test('is the most patient of all where none was open then: a role that was given meanwhile', () => {
    const both = [grant(till('07:00-20:00', 'stop')), grant(till('08:00-19:00', 'fade 10s'))]
    expect(ask(both, '2026-03-10T21:00')).toEqual({ fadeMs: 10_000 })
  })
})
