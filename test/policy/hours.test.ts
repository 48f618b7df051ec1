import { describe, expect, test } from 'vitest'
import { createCall, type User } from '../../src/call/call.ts'
import { catalog, needing, op } from '../../src/call/catalog.ts'
import { decide, mayEver } from '../../src/policy/decide.ts'
import { isEmptyWindow } from '../../src/policy/hours.ts'
import { mattersOf } from '../../src/policy/matter.ts'
import { overridden } from '../../src/policy/override.ts'
import { compile, type RolesConfig } from '../../src/policy/policy.ts'
import { isOpen, type Override } from '../../src/policy/role.ts'
import { volumeScale } from '../../src/policy/scale.ts'
import { isNarrowed, sees } from '../../src/policy/sight.ts'
import { level, uri } from '../../src/protocol/mpd/param.ts'

const rows = catalog('mpd', {
  status: op('status.read'),
  lsinfo: op('library.read', { uri }),
  play: op('playback.control'),
  setvol: op('volume.set', { level }),
  volume: needing('volume', op('volume.set')),
})
const zone = 'Europe/Berlin'
type Setting = NonNullable<NonNullable<RolesConfig[string]['grants'][number]['when']>['hours']>

function ms(text: string, where = zone): number {
  return Temporal.PlainDateTime.from(text).toZonedDateTime(where).epochMilliseconds
}
const user = (...roles: string[]): User => ({
  kind: 'user',
  id: 'ben-id',
  name: 'ben',
  roles,
  session: 's',
  until: Number.MAX_SAFE_INTEGER,
  from: '::1',
})
const policyOf = (hours: Setting) =>
  compile({ kid: { grants: [{ allow: ['status.read'], when: { hours } }] } }, { zone })

function say(
  policy: ReturnType<typeof compile>,
  at: number,
  by = user('kid'),
  row: keyof typeof rows = 'status',
  args = {},
) {
  const decision = decide(
    policy,
    createCall({ id: 'r', by, door: 'mpd', player: 'home', at }, { operation: rows[row], args }),
  )
  if (decision.allowed) return 'allowed'
  return 'says' in decision.denial ? decision.denial.says() : decision.denial.reason
}
const isAllowed = (hours: Setting, at: string) => say(policyOf(hours), ms(at)) === 'allowed'

describe('a window', () => {
  // 2026-06-01 is a Monday.
  test.each([
    ['07:00-20:00', '2026-06-07T07:00', true],
    ['07:00-20:00', '2026-06-07T06:59', false],
    ['07:00-20:00', '2026-06-07T20:00', false],
    ['mon-fri 07:00-20:00', '2026-06-05T19:59', true],
    ['mon-fri 07:00-20:00', '2026-06-06T12:00', false],
    ['sat,sun 08:00-21:30', '2026-06-06T21:29', true],
    ['sat, sun 08:00-21:30', '2026-06-07T21:29', true],
    ['sat,sun 08:00-21:30', '2026-06-08T12:00', false],
    ['sat-mon 08:00-21:30', '2026-06-06T12:00', true],
    ['sat-mon 08:00-21:30', '2026-06-07T12:00', true],
    ['sat-mon 08:00-21:30', '2026-06-08T12:00', true],
    ['sat-mon 08:00-21:30', '2026-06-09T12:00', false],
    ['sun-sat 08:00-09:00', '2026-06-10T08:30', true],
    ['wed-wed 08:00-09:00', '2026-06-10T08:30', true],
    ['wed-wed 08:00-09:00', '2026-06-11T08:30', false],
    ['mon-tue,fri 08:00-09:00', '2026-06-03T08:30', false],
    ['00:00-24:00', '2026-06-07T23:59', true],
    ['20:00-24:00', '2026-06-08T00:00', false],
    ['22:00-00:00', '2026-06-07T23:59', true],
    ['22:00-00:00', '2026-06-08T00:00', false],
    ['fri 22:00-02:00', '2026-06-05T23:00', true],
    ['fri 22:00-02:00', '2026-06-06T01:59', true],
    ['fri 22:00-02:00', '2026-06-05T01:00', false],
    ['fri 22:00-02:00', '2026-06-06T22:30', false],
    ['sun 22:00-02:00', '2026-06-08T01:00', true],
    ['07:00-07:00', '2026-06-08T07:00', false],
  ] as const)('%s · %s: %s', (hours, at, allowed) => expect(isAllowed(hours, at)).toBe(allowed))

  test('of several, each opens', () => {
    const hours = ['mon-fri 07:00-20:00', 'sat,sun 08:00-21:30', 'mon 06:00-08:00']
    expect(isAllowed(hours, '2026-06-01T06:30')).toBe(true)
    expect(isAllowed(hours, '2026-06-02T06:30')).toBe(false)
    expect(isAllowed(hours, '2026-06-06T21:00')).toBe(true)
  })

  test('goes by its own zone, that of the configuration otherwise', () => {
    const seven = ms('2026-06-01T07:30')
    expect(say(policyOf({ allow: '07:00-08:00' }), seven)).toBe('allowed')
    expect(say(policyOf({ zone: 'America/New_York', allow: ['07:00-08:00'] }), seven)).not.toBe('allowed')
    expect(say(policyOf({ zone: 'America/New_York', allow: ['01:00-02:00'] }), seven)).toBe('allowed')
  })

  test('is empty when it ends as it begins', () => {
    expect(['07:00-07:00', 'mon 00:00-00:00', '00:00-24:00', '22:00-00:00'].map(isEmptyWindow)).toEqual([
      ...[true, true, false, false],
    ])
  })

  test.each([
    [undefined, 'finish'],
    ['finish', 'finish'],
    ['stop', 'stop'],
    ['fade 30s', { fadeMs: 30_000 }],
  ] as const)('at its end: %s', (atEnd, meant) => {
    const { roles } = policyOf({ allow: '07:00-20:00', ...(atEnd && { atEnd }) })
    expect(roles.get('kid')?.grants[0]?.conditions[0]?.hours?.atEnd).toEqual(meant)
  })
})

describe('a refusal', () => {
  const school = ['mon-fri 07:00-20:00', 'sat,sun 08:00-21:30']

  test.each([
    ['mon-fri 07:00-20:00', '2026-06-05T20:00', 'hours mon-fri 07:00-20:00, again from Monday 07:00'],
    ['07:00-20:00', '2026-06-05T06:00', 'hours 07:00-20:00, again from 07:00'],
    [school, '2026-06-05T23:00', 'hours mon-fri 07:00-20:00 and sat,sun 08:00-21:30, again from Saturday 08:00'],
    [
      ['mon 07:00-08:00', 'tue 07:00-08:00', 'wed 07:00-08:00', 'thu 07:00-08:00'],
      '2026-06-01T09:00',
      'hours mon 07:00-08:00 and tue 07:00-08:00 and wed 07:00-08:00 and more, again from Tuesday 07:00',
    ],
    ['sun 02:15-02:45', '2026-03-24T12:00', 'hours sun 02:15-02:45, again from 2026-04-05 02:15'],
    ['07:00-07:00', '2026-06-05T06:00', 'hours 07:00-07:00'],
  ])('%j · %s: %s', (hours, at, said) => expect(say(policyOf(hours), ms(at))).toBe(said))

  test('says until when, to the millisecond', () => {
    const at = ms('2026-06-05T20:00')
    const call = createCall(
      { id: 'r', by: user('kid'), door: 'mpd', player: 'home', at },
      { operation: rows.status, args: {} },
    )
    const decision = decide(policyOf('mon-fri 07:00-20:00'), call)
    expect(decision).toMatchObject({ denial: { reason: 'constraint', until: ms('2026-06-08T07:00') } })
    expect(decide(policyOf('mon-fri 07:00-20:00'), { ...call, at: ms('2026-06-08T07:00') }).allowed).toBe(true)
  })

  test('names a ceiling until the next one', () => {
    const policy = compile(
      { kid: { grants: [{ allow: ['volume.set'], when: { maxVolume: { max: { '07:00': 80, '20:00': 45 } } } }] } },
      { zone },
    )
    const set = (at: string, level: number) => say(policy, ms(at), user('kid'), 'setvol', { level })
    expect(set('2026-06-05T19:59', 80)).toBe('allowed')
    expect(set('2026-06-05T20:00', 46)).toBe('maxVolume 45 until Saturday 07:00')
    expect(set('2026-06-05T20:00', 45)).toBe('allowed')
    expect(set('2026-06-06T00:00', 46)).toBe('maxVolume 45 until 07:00')
    expect(set('2026-06-06T07:00', 81)).toBe('maxVolume 80 until 20:00')
  })

  test('names a ceiling over a change of the clock, by what the clock shows', () => {
    const policy = compile(
      { kid: { grants: [{ allow: ['volume.set'], when: { maxVolume: { max: { '02:30': 20, '06:00': 80 } } } }] } },
      { zone },
    )
    const set = (at: number) => say(policy, at, user('kid'), 'setvol', { level: 21 })
    const forward = ms('2026-03-29T01:59')
    expect(set(forward)).toBe('allowed')
    expect(set(forward + 60_000), 'it shows 03:00').toBe('maxVolume 20 until 06:00')
    const back = ms('2026-10-25T02:30')
    expect(set(back)).toBe('maxVolume 20 until 02:00')
    expect(set(back + 30 * 60_000), 'it shows 02:00 again').toBe('allowed')
    expect(set(back + 60 * 60_000)).toBe('maxVolume 20 until 06:00')
  })

  test('of a ceiling with a zone of its own goes by that', () => {
    const max = { '07:00': 80, '20:00': 45 }
    const when = { maxVolume: { max, zone: 'America/New_York' } }
    const policy = compile({ kid: { grants: [{ allow: ['volume.set'], when }] } }, { zone })
    const at = ms('2026-06-05T20:00', 'America/New_York')
    expect(say(policy, at - 1, user('kid'), 'setvol', { level: 80 })).toBe('allowed')
    expect(say(policy, at, user('kid'), 'setvol', { level: 80 })).toBe('maxVolume 45 until Saturday 07:00')
  })
})

describe('a grant whose time is over', () => {
  const policy = compile(
    {
      kid: {
        grants: [
          { allow: ['status.read', 'playback.control'], when: { hours: '07:00-20:00' } },
          { allow: ['library.read'], when: { hours: '07:00-20:00' } },
          { allow: ['library.read'], when: { uriSchemes: ['local'] } },
          { allow: ['volume.set'], when: { hours: '07:00-20:00', maxVolume: { max: 80, over: 'scale' } } },
          { allow: ['volume.set'], when: { maxVolume: { max: 40, over: 'scale' } } },
        ],
      },
      shut: {
        grants: [{ allow: ['volume.set'], when: { hours: '07:00-20:00', maxVolume: { max: 50, over: 'scale' } } }],
      },
      owner: { grants: [{ allow: ['*'] }] },
    },
    { zone },
  )
  const [noon, night] = [ms('2026-06-05T12:00'), ms('2026-06-05T22:00')]
  const asked = (at: number, by = user('kid'), operation: (typeof rows)[keyof typeof rows] = rows.lsinfo) =>
    createCall({ id: 'r', by, door: 'mpd', player: 'home', at }, { operation, args: {} })

  test('is announced all the same: only calls are refused', () => {
    expect(mayEver(policy, user('kid'), 'home', 'playback.control')).toBe(true)
    expect(say(policy, night, user('kid'), 'play')).toBe('hours 07:00-20:00, again from Saturday 07:00')
  })

  test('shows what the other grants show, for a question of that time', () => {
    expect(isNarrowed(policy, asked(noon))).toBe(false)
    expect(sees(policy, asked(noon), 'spotify:track:a')).toBe(true)
    expect(isNarrowed(policy, asked(night))).toBe(true)
    expect(sees(policy, asked(night), 'spotify:track:a')).toBe(false)
    expect(sees(policy, asked(night), 'local:a')).toBe(true)
    expect(decide(policy, asked(night)).allowed).toBe(true)
  })

  test('an answer that comes after the border is for the question from before it', () => {
    const before = asked(ms('2026-06-05T20:00') - 1)
    expect(decide(policy, before).allowed).toBe(true)
    expect(sees(policy, before, 'spotify:track:a')).toBe(true)
  })

  test('does not say how loud it may be, and what is set and shown agree', () => {
    expect(volumeScale(policy, user('kid'), 'home', noon)?.shown(80)).toBe(100)
    expect(volumeScale(policy, user('kid'), 'home', night)?.shown(40)).toBe(100)
    const call = createCall(
      { id: 'r', by: user('kid'), door: 'mpd', player: 'home', at: night },
      { operation: rows.setvol, args: { level: 100 } },
    )
    const decision = decide(policy, call)
    expect(decision.allowed && decision.permit.call.touches.volume).toEqual([40])
  })

  test('alone leaves the slider where it is', () => {
    expect(volumeScale(policy, user('shut'), 'home', night)?.shown(50)).toBe(100)
  })

  test('has nothing looked up', () => {
    expect(mattersOf(policy, asked(noon, user('shut'), rows.volume))).toEqual(['volume'])
    expect(mattersOf(policy, asked(night, user('shut'), rows.volume))).toEqual([])
  })

  test('binds as a ceiling, too', () => {
    const under = { ...user('owner'), ceilings: [['kid']] }
    expect(say(policy, noon, under, 'play')).toBe('allowed')
    expect(say(policy, night, under, 'play')).toBe('hours 07:00-20:00, again from Saturday 07:00')
  })
})

describe('an override', () => {
  const shut = { hours: 'mon-fri 07:00-20:00' }
  const policy = compile(
    {
      kid: { grants: [{ allow: ['playback.control'], when: shut }] },
      guest: { grants: [{ allow: ['status.read'], when: shut }] },
      low: { grants: [{ allow: ['volume.set'], when: { ...shut, maxVolume: 40 } }] },
      owner: { grants: [{ allow: ['*'] }] },
    },
    { zone },
  )
  const night = ms('2026-06-05T21:00')
  const hour = 3_600_000
  const play = (override: Override, at = night, by = user('kid', 'guest'), row: keyof typeof rows = 'play') =>
    say({ ...policy, overrides: [override] }, at, by, row) === 'allowed'

  test('for an account or a role lifts the hours, until it ends', () => {
    for (const who of ['ben-id', 'kid']) {
      const override = { who, from: night, until: night + hour }
      expect(play(override)).toBe(true)
      expect(play(override, night + hour - 1)).toBe(true)
      expect(play(override, night + hour)).toBe(false)
    }
  })

  test('is not for others, nor for the grants of another role', () => {
    expect(play({ who: 'ada-id', from: night, until: night + hour })).toBe(false)
    expect(play({ who: 'guest', from: night, until: night + hour })).toBe(false)
    expect(play({ who: 'kid', from: night, until: night + hour }, night, user('kid', 'guest'), 'status')).toBe(false)
    expect(play({ who: 'ben-id', from: night, until: night + hour }, night, user('kid', 'guest'), 'status')).toBe(true)
    expect(play({ who: '', from: night, until: night + hour })).toBe(false)
  })

  test('for a role lifts it where the role is a ceiling', () => {
    const tablet = { ...user('owner'), ceilings: [['kid']] }
    expect(play({ who: 'guest', from: night, until: night + hour }, night, tablet)).toBe(false)
    expect(play({ who: 'kid', from: night, until: night + hour }, night, tablet)).toBe(true)
  })

  test('may be for one player', () => {
    expect(play({ who: 'kid', player: 'home', from: night, until: night + hour })).toBe(true)
    expect(play({ who: 'kid', player: 'bath', from: night, until: night + hour })).toBe(false)
  })

  test('a clock that was set back does not make it longer', () => {
    expect(play({ who: 'kid', from: night, until: night + hour }, night - 1)).toBe(false)
  })

  test('lifts hours and nothing else', () => {
    const lifted = { ...policy, overrides: [{ who: 'low', from: night, until: night + hour }] }
    expect(say(lifted, night, user('low'), 'setvol', { level: 40 })).toBe('allowed')
    expect(say(lifted, night, user('low'), 'setvol', { level: 41 })).toBe('maxVolume 40')
    expect(say(lifted, night, user('low'), 'play')).toBe('not-granted')
    const [grant] = lifted.roles.get('low')?.grants ?? []
    const asking = { by: user('low'), player: 'home', at: night }
    expect(grant && [isOpen(lifted, grant, asking), isOpen(policy, grant, asking)]).toEqual([true, false])
  })

  test('is put to a policy once, not with each call', () => {
    let [given, overrides]: [typeof policy, readonly Override[]] = [policy, []]
    const ask = overridden(
      () => given,
      () => overrides,
    )
    expect(ask()).toBe(policy)
    overrides = [{ who: 'kid', until: night + hour }]
    const first = ask()
    expect(first.overrides).toBe(overrides)
    expect(ask()).toBe(first)
    given = { ...policy, zone: 'UTC' }
    expect(ask()).toMatchObject({ zone: 'UTC', overrides })
    overrides = []
    expect(ask()).toBe(given)
  })
})
