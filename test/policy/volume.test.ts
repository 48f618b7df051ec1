import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createCall, type Request, type User } from '../../src/call/call.ts'
import type { Known } from '../../src/call/known.ts'
import { decide } from '../../src/policy/decide.ts'
import { mattersOf } from '../../src/policy/matter.ts'
import { compile, type RolesConfig } from '../../src/policy/policy.ts'
import { volumeScale } from '../../src/policy/scale.ts'
import { goLibrespot } from '../../src/protocol/librespot/go.ts'
import { javaVolume, librespotJava } from '../../src/protocol/librespot/java.ts'
import { resolveVolume } from '../../src/protocol/librespot/volume.ts'
import { mopidy } from '../../src/protocol/mopidy/catalog.ts'
import { mpd } from '../../src/protocol/mpd/catalog.ts'
import { resolve } from '../../src/protocol/resolve.ts'

type Setting = NonNullable<NonNullable<RolesConfig[string]['grants'][number]['when']>['maxVolume']>

const noon = Date.UTC(2026, 5, 1, 12)
const night = Date.UTC(2026, 5, 1, 22)

const setvol = (level: number): Request => ({ operation: mpd.setvol, args: { level } })
const turn = (change: number): Request => ({ operation: mpd.volume, args: { change } })
const mute = (on: boolean): Request => ({ operation: mopidy['core.mixer.set_mute'], args: { mute: on } })

function house(kid: Setting | readonly Setting[], more: RolesConfig = {}) {
  const grants = [kid].flat().map((maxVolume) => ({ allow: ['volume.set'], when: { maxVolume } }))
  return compile({ kid: { grants }, member: { grants: [{ allow: ['*'] }] }, ...more }, { zone: 'UTC' })
}

function person(roles: readonly string[] = ['kid'], ...ceilings: readonly (readonly string[])[]): User {
  return { kind: 'user', id: 'kim', name: 'kim', roles, ceilings, session: 's', until: 1e15, from: '::1' }
}

function ask(
  policy: ReturnType<typeof compile>,
  request: Request,
  about: { by?: User; at?: number; known?: Known } = {},
) {
  const { by = person(), at = noon, known } = about
  return decide(policy, createCall({ id: 'r', by, door: 'mpd', player: 'home', at }, request, known))
}

/** What is set: the argument; or the sentence of a refusal. */
function set(...asked: Parameters<typeof ask>): unknown {
  const decision = ask(...asked)
  if (decision.allowed) return Object.values(decision.permit.call.args)[0]
  return 'says' in decision.denial ? decision.denial.says() : decision.denial.reason
}

describe('over the ceiling', () => {
  test('refuse: it is refused, and says until when', () => {
    const policy = house({ max: { '07:00': 60, '20:00': 40 } })
    expect([set(policy, setvol(60)), set(policy, setvol(61))]).toEqual([60, 'maxVolume 60 until 20:00'])
    expect(set(policy, setvol(41), { at: night })).toBe('maxVolume 40 until Tuesday 07:00')
    expect(ask(policy, setvol(41), { at: night })).toMatchObject({ denial: { until: Date.UTC(2026, 5, 2, 7) } })
    expect(set(house(40), setvol(41))).toBe('maxVolume 40')
  })

  test('clamp: it is as loud as may be, at that hour', () => {
    const policy = house({ max: { '07:00': 60, '20:00': 40 }, over: 'clamp' })
    expect([59, 61, 100].map((level) => set(policy, setvol(level)))).toEqual([59, 60, 60])
    expect([39, 61, 100].map((level) => set(policy, setvol(level), { at: night }))).toEqual([39, 40, 40])
  })

  test.each(['clamp', 'scale'] as const)('%s: what was put in the place of a call is not changed again', (over) => {
    const policy = house({ max: 33, over })
    const [condition] = policy.roles.get('kid')?.grants[0]?.conditions ?? []
    const call = createCall({ id: 'r', by: person(), door: 'mpd', player: 'home', at: noon }, setvol(90))
    const verdict = condition?.judge(call, 'volume.set')
    const instead = verdict?.holds ? verdict.instead : undefined
    expect(instead?.touches.volume).toEqual([33])
    expect(condition?.judge(instead ?? call, 'volume.set')).toEqual({ holds: true })
  })

  test('scale: 100 is as loud as may be, at that hour', () => {
    const policy = house({ max: { '07:00': 60, '20:00': 40 }, over: 'scale' })
    expect([0, 50, 100].map((level) => set(policy, setvol(level)))).toEqual([0, 30, 60])
    expect([0, 50, 100].map((level) => set(policy, setvol(level), { at: night }))).toEqual([0, 20, 40])
    expect(volumeScale(policy, person(), 'home', night)?.most).toBe(40)
  })

  test.each(['refuse', 'clamp', 'scale'] as const)('%s with a ceiling of 0: silence, and muting', (over) => {
    const policy = house({ max: 0, over })
    expect(set(policy, setvol(0))).toBe(0)
    expect(set(policy, setvol(1))).toBe(over === 'refuse' ? 'maxVolume 0' : 0)
    expect(ask(policy, mute(true)).allowed).toBe(true)
    expect(ask(policy, resolve(mute(false), 1, undefined)).allowed).toBe(false)
  })
})

describe('whose 100 it is', () => {
  test('the loudest of several grants counts, and the lowest of several ceilings', () => {
    const policy = house([
      { max: 30, over: 'scale' },
      { max: 60, over: 'scale' },
    ])
    expect(set(policy, setvol(100))).toBe(60)
    const both = house({ max: 60, over: 'scale' }, { quiet: { grants: [{ allow: ['*'], when: { maxVolume: 40 } }] } })
    expect(set(both, setvol(100), { by: person(['kid'], ['quiet']) })).toBe(40)
    expect(set(both, setvol(50), { by: person(['kid'], ['quiet']) })).toBe(20)
  })

  test('a token for the role that its owner has anyway does not scale twice', () => {
    const policy = house({ max: 40, over: 'scale' })
    expect(set(policy, setvol(100), { by: person(['kid'], ['kid'], ['kid']) })).toBe(40)
    expect(volumeScale(policy, person(['kid'], ['kid']), 'home', noon)?.most).toBe(40)
  })

  test('a louder grant that is not scaled leaves volumes as they are', () => {
    const policy = house([{ max: 30, over: 'scale' }, 60])
    expect([20, 50, 60].map((level) => set(policy, setvol(level)))).toEqual([20, 50, 60])
    expect(volumeScale(policy, person(), 'home', noon)).toBeUndefined()
    // Above it there is only the other grant left, which sets as much as it may.
    expect(set(policy, setvol(80))).toBe(30)
  })

  test('nobody else is scaled: a member, the house itself, who has not signed in', () => {
    const policy = house({ max: 40, over: 'scale' })
    expect(set(policy, setvol(100), { by: person(['member']) })).toBe(100)
    expect(volumeScale(policy, person(['member']), 'home', noon)).toBeUndefined()
    expect(volumeScale(policy, { kind: 'house', name: 'governor', from: 'house' }, 'home', noon)).toBeUndefined()
    expect(volumeScale(policy, { kind: 'anonymous', from: '::1' }, 'home', noon)).toBeUndefined()
  })
})

describe('what has to be looked up', () => {
  const volume = (policy: ReturnType<typeof compile>, request: Request, by = person()) =>
    mattersOf(policy, createCall({ id: 'r', by, door: 'mpd', player: 'home', at: noon }, request))

  test('relative changes and unmuting of whoever has a ceiling, and nothing of anybody else', () => {
    for (const over of ['refuse', 'clamp', 'scale'] as const) {
      const policy = house({ max: 40, over })
      expect([volume(policy, turn(5)), volume(policy, mute(false))]).toEqual([['volume'], ['volume']])
      expect([volume(policy, setvol(50)), volume(policy, mute(true))]).toEqual([[], []])
      expect(volume(policy, turn(5), person(['member']))).toEqual([])
      expect(volume(policy, mute(false), person(['member']))).toEqual([])
    }
  })

  test('unmuting is judged by the volume that comes back, as the player has it', () => {
    for (const over of ['refuse', 'clamp', 'scale'] as const) {
      const policy = house({ max: 40, over })
      expect(ask(policy, resolve(mute(false), 40, volumeScale(policy, person(), 'home', noon))).allowed).toBe(true)
      expect(ask(policy, resolve(mute(false), 41, volumeScale(policy, person(), 'home', noon))).allowed).toBe(false)
      expect(ask(policy, mute(false)).allowed).toBe(false)
    }
  })
})

describe('in the player’s own steps', () => {
  const over = fc.constantFrom('refuse' as const, 'clamp' as const, 'scale' as const)
  const go = (volume: number, steps: number, relative = false, from = 0): Request => {
    const request = { operation: goLibrespot['POST /player/volume'], args: { volume, ...(relative && { relative }) } }
    return resolveVolume(request, { volume: from, steps })
  }

  test('nothing that is let through is above the ceiling, however it was asked for', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 100 }),
        over,
        fc.constantFrom(64, 100, 65_535),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: -1, max: 1, noNaN: true }),
        (max, over, steps, from, to) => {
          const policy = house({ max, over })
          const scale = volumeScale(policy, person(), 'home', noon)
          const start = Math.round(from * steps)
          const change = Math.round(to * steps)
          const relative = { operation: goLibrespot['POST /player/volume'], args: { volume: change, relative: true } }
          for (const request of [
            go(Math.abs(change), steps),
            resolveVolume(relative, { volume: start, steps }, scale),
          ]) {
            const decision = ask(policy, request)
            if (decision.allowed)
              expect(Number(decision.permit.call.args.volume) * 100).toBeLessThanOrEqual(max * steps)
            else expect(over).toBe('refuse')
          }
        },
      ),
      { numRuns: 1_000 },
    )
  })

  test('librespot-java counts to 65536', () => {
    const java = (volume: number): Request => ({
      operation: librespotJava['POST /player/set-volume'],
      args: { volume },
    })
    const most = Math.floor(javaVolume * 0.45)
    expect(set(house({ max: 45, over: 'clamp' }), java(javaVolume))).toBe(most)
    expect(set(house({ max: 45, over: 'scale' }), java(javaVolume))).toBe(most)
    expect(set(house(45), java(most + 1))).toBe('maxVolume 45')
  })
})
