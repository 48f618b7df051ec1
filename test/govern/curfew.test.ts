import { describe, expect, test } from 'vitest'
import type { User } from '../../src/call/call.ts'
import { type CurfewLimits, createCurfew } from '../../src/govern/curfew.ts'
import { closing } from '../../src/policy/closing.ts'
import { compile } from '../../src/policy/policy.ts'
import type { Override, Policy } from '../../src/policy/role.ts'
import { createPuppet, createStage, person, rows, settle } from './stage.ts'

const zone = 'Europe/Berlin'
const noon = Date.parse('2026-03-10T12:00:00+01:00')
const eight = Date.parse('2026-03-10T20:00:00+01:00')

const ben = person('ben', 'kid')
const anna = person('anna', 'owner')

function policyOf(atEnd: string): Policy {
  return compile(
    {
      owner: { grants: [{ allow: ['*'] }] },
      kid: {
        grants: [
          { allow: ['playback.*'], when: { hours: { allow: '07:00-20:00', atEnd } } },
          { allow: ['volume.set', 'queue.add', 'status.read'] },
        ],
      },
      early: { grants: [{ allow: ['playback.*'], when: { hours: { allow: '07:00-13:00', atEnd } } }] },
    },
    { zone },
  )
}

function set(atEnd = 'fade 30s', limits: Partial<CurfewLimits> = {}) {
  const puppet = createPuppet()
  let policy = policyOf(atEnd)
  const stage = createStage(() => policy, eight - 60_000)
  /** The roles of accounts that were changed since. */
  const roles = new Map<string, readonly string[]>()
  const curfew = createCurfew({
    ...stage.deps,
    players: new Map([['home', puppet]]),
    closing: (by, player, since, at) =>
      closing(policy, { ...by, roles: roles.get(by.id) ?? by.roles }, player, since, at),
    limits,
  })
  stage.hear = curfew.hear
  /** Lets so much time pass and looks once a second, as the gateway does. */
  const pass = async (ms: number) => {
    for (const end = stage.now + ms; stage.now < end; ) {
      stage.now += Math.min(1_000, end - stage.now)
      curfew.look()
      await settle()
    }
  }
  /** Has somebody press play, one minute before eight. */
  const play = async (by: User = ben) => {
    stage.call(by, rows.play)
    puppet.behind({ state: 'playing' })
    curfew.look()
    await settle()
  }
  const lift = (...overrides: Override[]) => {
    policy = { ...policy, overrides }
  }
  const state = () => puppet.picture.picture?.state
  const volume = () => puppet.picture.picture?.volume
  return { puppet, stage, curfew, pass, play, lift, roles, state, volume, told: puppet.told }
}

describe('stop', () => {
  test('pauses what they made play when their hours end, and is recorded', async () => {
    const { play, pass, told, stage } = set('stop')
    await play()
    await pass(59_000)
    expect(told).toEqual([])
    await pass(1_000)
    expect(told).toEqual(['pause true'])
    expect(stage.records.at(-1)).toMatchObject({
      name: 'curfew',
      account: null,
      door: 'house',
      player: 'home',
      operation: 'pause',
      outcome: 'allowed',
      rule: 'curfew',
    })
  })

  test('once: whoever plays it from elsewhere then is not fought', async () => {
    const { play, pass, told, puppet } = set('stop')
    await play()
    await pass(61_000)
    puppet.behind({ state: 'playing' })
    await pass(600_000)
    expect(told).toEqual(['pause true'])
  })

  test('what could not be paused is tried again, ever less often, and said once', async () => {
    const { play, pass, told, puppet, stage, state } = set('stop')
    puppet.broken = true
    await play()
    await pass(60_000 + 100_000)
    expect(told.length).toBeGreaterThan(3)
    expect(told.length).toBeLessThan(8)
    expect(stage.lines.filter((line) => line.includes('did not do'))).toHaveLength(1)
    puppet.broken = false
    await pass(600_000)
    expect(state()).toBe('paused')
  })

  test('a player that is away at the border is looked at when it is back', async () => {
    const { play, pass, told, puppet } = set('stop')
    await play()
    puppet.behind(undefined)
    await pass(60_000)
    expect(told).toEqual([])
    puppet.behind({ state: 'playing', volume: 40 })
    await pass(3_000)
    expect(told).toEqual(['pause true'])
  })
})

describe('finish', () => {
  /** Begins a song of four minutes, one minute before eight. */
  const setSong = async () => {
    const house = set('finish')
    await house.play()
    house.puppet.behind({ uri: 'long', position: 0, duration: 240_000, at: house.stage.now })
    return house
  }

  test('pauses when the next song begins', async () => {
    const { pass, told, puppet, stage } = await setSong()
    await pass(200_000)
    expect(told).toEqual([])
    puppet.behind({ uri: 'next', position: 0, at: stage.now })
    await pass(2_000)
    expect(told).toEqual(['pause true'])
    puppet.behind({ state: 'playing' })
    await pass(600_000)
    expect(told).toEqual(['pause true'])
  })

  test('pauses when the same begins again, or never ends', async () => {
    const { pass, told } = await setSong()
    await pass(240_000)
    expect(told).toEqual([])
    await pass(4_000)
    expect(told).toEqual(['pause true'])
  })

  test('is over when it has ended by itself', async () => {
    const { pass, told, puppet } = await setSong()
    await pass(100_000)
    puppet.behind({ state: 'stopped', uri: null })
    await pass(10_000)
    puppet.behind({ state: 'playing', uri: 'another' })
    await pass(600_000)
    expect(told).toEqual([])
  })

  test('leaves it to whoever takes over, and to hours that are lifted', async () => {
    const { pass, told, play } = await setSong()
    await pass(100_000)
    await play(anna)
    await pass(600_000)
    expect(told).toEqual([])
    const other = await setSong()
    await other.pass(100_000)
    other.lift({ who: 'kid', until: other.stage.now + 3_600_000 })
    await other.pass(600_000)
    expect(other.told).toEqual([])
  })

  test('does not wait for what has no end', async () => {
    const { play, pass, told, puppet } = set('finish')
    await play()
    puppet.behind({ uri: 'https://radio.example/', duration: null })
    await pass(62_000)
    expect(told).toEqual(['pause true'])
  })
})

describe('a fade', () => {
  test('turns it down in steps, pauses, and puts the volume back where it was', async () => {
    const { play, pass, told, volume, state } = set()
    await play()
    await pass(60_000 + 30_000)
    const steps = told.slice(0, -2)
    expect(steps.length).toBeGreaterThan(10)
    expect(steps.length).toBeLessThanOrEqual(20)
    const volumes = steps.map((step) => Number(step.replace('setvol ', '')))
    expect(volumes).toEqual(volumes.toSorted((a, b) => b - a))
    expect(volumes[0]).toBeLessThan(40)
    expect(volumes.at(-1)).toBeLessThan(4)
    expect(told.slice(-2)).toEqual(['pause true', 'setvol 40'])
    expect([volume(), state()]).toEqual([40, 'paused'])
    await pass(600_000)
    expect(told).toHaveLength(steps.length + 2)
  })

  test('takes as long where the volume is not known, and then pauses', async () => {
    const { play, pass, told, puppet } = set()
    await play()
    puppet.behind({ volume: null })
    await pass(60_000 + 29_000)
    expect(told).toEqual([])
    await pass(1_000)
    expect(told).toEqual(['pause true'])
  })

  test('goes on where the person themself turns it up, who may do that and not play', async () => {
    const { play, pass, told, stage, state, puppet } = set()
    await play()
    await pass(70_000)
    stage.call(ben, rows.setvol, { level: 80 })
    puppet.behind({ volume: 80 })
    stage.call(ben, rows.add, { uri: 'a' })
    await pass(20_000)
    expect(state()).toBe('paused')
    expect(told.at(-1)).toBe('setvol 40')
  })

  test('goes on where somebody turns a knob, and is not undone by one that is turned down', async () => {
    const { play, pass, told, puppet, state } = set()
    await play()
    await pass(65_000)
    puppet.behind({ volume: 3 })
    const { length } = told
    await pass(15_000)
    expect(told).toHaveLength(length)
    await pass(10_000)
    expect(state()).toBe('paused')
    expect(told.at(-1)).toBe('setvol 40')
  })

  test('ends where somebody allowed changes the volume, which is theirs from then on', async () => {
    const { play, pass, told, puppet, stage, volume, state } = set()
    await play()
    await pass(75_000)
    const { length } = told
    stage.call(anna, rows.setvol, { level: 30 })
    puppet.behind({ volume: 30 })
    await pass(600_000)
    expect(told).toHaveLength(length)
    expect([volume(), state()]).toEqual([30, 'playing'])
  })

  test('ends where somebody allowed presses play, and the volume is what it was', async () => {
    const { play, pass, told, stage, volume, state } = set()
    await play()
    await pass(75_000)
    stage.call(anna, rows.next)
    await pass(600_000)
    expect(told.at(-1)).toBe('setvol 40')
    expect(told).not.toContain('pause true')
    expect([volume(), state()]).toEqual([40, 'playing'])
  })

  test('ends when it stops playing by itself, with the volume put back', async () => {
    const { play, pass, told, puppet } = set()
    await play()
    await pass(75_000)
    puppet.behind({ state: 'stopped' })
    await pass(60_000)
    expect(told.at(-1)).toBe('setvol 40')
    expect(told).not.toContain('pause true')
  })

  test.each(['paused', 'stopped'] as const)(
    'goes on where it is %s for a moment, at any time of it',
    async (silent) => {
      for (const when of [1_000, 15_000, 29_000, 30_000]) {
        const { play, pass, told, puppet, state, volume } = set()
        await play()
        await pass(60_000 + when - 1_000)
        puppet.behind({ state: silent })
        await pass(2_000)
        puppet.behind({ state: 'playing' })
        await pass(60_000)
        expect(told).toContain('pause true')
        expect([volume(), state()]).toEqual([40, 'paused'])
      }
    },
  )

  test('ends when the hours are lifted meanwhile, and begins again when that is over', async () => {
    const { play, pass, told, lift, volume, state } = set()
    await play()
    await pass(75_000)
    lift({ who: 'ben', until: eight + 3_600_000 })
    await pass(10_000)
    expect(told.at(-1)).toBe('setvol 40')
    expect(state()).toBe('playing')
    await pass(3_700_000)
    expect([volume(), state()]).toEqual([40, 'paused'])
  })

  test('steps that fail are left out, and a volume that cannot be put back is put back later', async () => {
    const { play, pass, told, puppet, volume } = set()
    await play()
    await pass(70_000)
    puppet.broken = true
    await pass(15_000)
    puppet.broken = false
    await pass(4_000)
    puppet.broken = told.at(-1) === 'pause true'
    await pass(3_000)
    puppet.broken = true
    await pass(30_000)
    puppet.broken = false
    await pass(60_000)
    expect(volume()).toBe(40)
    expect(told.at(-1)).toBe('setvol 40')
  })

  test('is brought to its end when the gateway ends', async () => {
    const { play, pass, curfew, told, volume, state } = set()
    await play()
    await pass(75_000)
    await curfew.close()
    expect(told.slice(-2)).toEqual(['pause true', 'setvol 40'])
    expect([volume(), state()]).toEqual([40, 'paused'])
    curfew.look()
    await settle()
    expect(told.at(-1)).toBe('setvol 40')
  })

  test('by a clock that is stepped on it ends at once, and stepped back behind the border it never was', async () => {
    const on = set()
    await on.play()
    await on.pass(65_000)
    on.stage.now += 3_600_000
    await on.pass(1_000)
    expect(on.state()).toBe('paused')

    const back = set()
    await back.play()
    await back.pass(75_000)
    back.stage.now -= 3_600_000
    await back.pass(5_000)
    expect([back.volume(), back.state()]).toEqual([40, 'playing'])
    await back.pass(3_700_000)
    expect(back.state()).toBe('paused')
  })

  test('stepped back by less, it goes down all the same', async () => {
    const { play, pass, stage, told, state } = set()
    await play()
    await pass(75_000)
    stage.now -= 10_000
    await pass(20_000)
    expect(state()).toBe('paused')
    const volumes = told.slice(0, -2).map((step) => Number(step.replace('setvol ', '')))
    expect(volumes).toEqual(volumes.toSorted((a, b) => b - a))
  })
})

describe('who had it play', () => {
  test('is whoever pressed play last: an owner’s music goes on', async () => {
    const { play, pass, told } = set('stop')
    await play(ben)
    await play(anna)
    await pass(600_000)
    expect(told).toEqual([])
  })

  test('is not whoever adds to the queue after their own hours, while others play', async () => {
    const { play, pass, told, stage } = set('stop')
    await play(anna)
    await pass(120_000)
    stage.call(ben, rows.add, { uri: 'a' })
    await pass(600_000)
    expect(told).toEqual([])
  })

  test('is not whoever was refused', async () => {
    const { play, pass, told, stage } = set('stop')
    await play(ben)
    expect(() => stage.call(person('eve', 'early'), rows.play)).toThrow('not allowed')
    await pass(60_000)
    expect(told).toEqual(['pause true'])
  })

  test('is nobody where it was begun elsewhere', async () => {
    const { pass, told, puppet } = set('stop')
    puppet.behind({ state: 'playing' })
    await pass(600_000)
    expect(told).toEqual([])
  })

  test('is somebody still who signed out or whose account is gone', async () => {
    const { play, pass, told } = set('stop')
    await play(person('ben', 'kid', { until: eight - 30_000 }))
    await pass(60_000)
    expect(told).toEqual(['pause true'])
  })

  test('has the roles of the moment: hours that end earlier end what plays', async () => {
    const { play, pass, told, roles, stage } = set('stop')
    stage.now = noon + 2 * 3_600_000
    await play()
    await pass(5_000)
    expect(told).toEqual([])
    roles.set('ben', ['early'])
    await pass(1_000)
    expect(told).toEqual(['pause true'])
  })

  test('and of one who may at any time by now nothing is ended', async () => {
    const { play, pass, told, roles } = set('stop')
    await play()
    roles.set('ben', ['owner'])
    await pass(600_000)
    expect(told).toEqual([])
  })

  test('paused at the border it is let be, unless it was asked for just before', async () => {
    const { play, pass, told, puppet, stage } = set('stop')
    await play()
    puppet.behind({ state: 'paused' })
    await pass(58_000)
    // It plays at once, which shows only after the border.
    stage.call(ben, rows.play)
    await pass(4_000)
    expect(told).toEqual([])
    puppet.behind({ state: 'playing' })
    await pass(1_000)
    expect(told).toEqual(['pause true'])
    puppet.behind({ state: 'playing' })
    await pass(60_000)
    expect(told).toHaveLength(1)
  })
})
