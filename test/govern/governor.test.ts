import { expect, test } from 'vitest'
import { createCall, type Principal, type Request } from '../../src/call/call.ts'
import { createGovernor, type GovernorLimits } from '../../src/govern/governor.ts'
import { compile } from '../../src/policy/policy.ts'
import { type RoomVolume, roomCeiling } from '../../src/policy/room.ts'
import { createPuppet, createStage, person, rows, settle } from './stage.ts'

const policy = compile({
  owner: { grants: [{ allow: ['*'] }] },
  kid: { grants: [{ allow: ['volume.set'], when: { maxVolume: 40 } }] },
})
const owner = person('anna', 'owner')
const noon = Date.parse('2026-03-10T12:00:00+01:00')

function set(max: RoomVolume = 60, limits: Partial<GovernorLimits> = {}) {
  const puppet = createPuppet()
  const stage = createStage(() => policy, noon)
  const contests: string[] = []
  const ceiling = roomCeiling(max, { zone: 'Europe/Berlin' })
  const governor = createGovernor({
    ...stage.deps,
    rooms: new Map([['home', { ...puppet, ceiling }]]),
    onContest: (player) => contests.push(player),
    limits,
  })
  stage.hear = governor.hear
  /** Lets so much time pass and looks once a second, as the gateway does. */
  const pass = async (ms: number) => {
    for (const end = stage.now + ms; stage.now < end; ) {
      stage.now += Math.min(1_000, end - stage.now)
      governor.look()
      await settle()
    }
  }
  const behind = async (volume: number | null) => {
    puppet.behind({ volume })
    await settle()
  }
  const permitted = async (volume: number) => {
    stage.call(owner, rows.setvol, { level: volume })
    await behind(volume)
  }
  const volume = () => puppet.picture.picture?.volume
  return { puppet, stage, governor, contests, pass, behind, permitted, volume, told: puppet.told }
}

test('a knob beyond the ceiling is turned back to it, once, and recorded as the governor’s call', async () => {
  const { behind, told, volume, stage, pass } = set()
  await behind(95)
  await pass(10_000)
  expect(told).toEqual(['setvol 60'])
  expect(volume()).toBe(60)
  expect(stage.records).toMatchObject([
    {
      name: 'governor',
      account: null,
      from: 'house',
      door: 'house',
      player: 'home',
      operation: 'setvol',
      capability: 'volume.set',
      touches: { volume: [60] },
      outcome: 'allowed',
      rule: 'governor',
    },
  ])
})

test('up to the ceiling nothing is done, one above it something is', async () => {
  const { behind, told, pass } = set()
  for (const volume of [0, 59, 60]) await behind(volume)
  await pass(3_000)
  expect(told).toEqual([])
  await behind(61)
  expect(told).toEqual(['setvol 60'])
})

test('many events at once are one correction, and what comes while it is under way is seen afterwards', async () => {
  const { puppet, told, pass, volume } = set()
  puppet.isSlow = true
  for (const volume of [61, 70, 80, 90]) puppet.behind({ volume })
  await settle()
  expect(told).toEqual(['setvol 60'])
  // What it did with that does not show, as the knob was turned on.
  puppet.isSlow = false
  await pass(3_000)
  expect(told).toEqual(['setvol 60', 'setvol 60'])
  expect(volume()).toBe(60)
})

test('a knob that fights is followed six times, then let be for a minute, and said once', async () => {
  const { behind, told, pass, stage, contests } = set()
  const fight = async (seconds: number) => {
    for (let i = 0; i < seconds; i++) {
      await behind(90)
      await pass(1_000)
    }
  }
  await fight(60)
  expect(told).toHaveLength(6)
  expect(contests).toEqual(['home'])
  expect(stage.lines).toEqual(['governor: the volume cannot be kept below the ceiling, and is let be for a while'])
  // And then it begins again.
  await fight(20)
  expect(told).toHaveLength(12)
})

test('what it was let be with is turned back when the rest is over, though nothing is told', async () => {
  const { behind, told, pass, volume } = set()
  for (let i = 0; i < 7; i++) {
    await behind(90)
    await pass(1_000)
  }
  await behind(90)
  await pass(30_000)
  expect(volume()).toBe(90)
  await pass(35_000)
  expect(volume()).toBe(60)
  expect(told).toHaveLength(7)
})

test('what an owner sets through the gateway stays', async () => {
  const { permitted, told, pass, volume } = set()
  await permitted(80)
  await pass(120_000)
  expect(volume()).toBe(80)
  expect(told).toEqual([])
})

test('and a slider that is drawn, whose places show late and again', async () => {
  const { stage, puppet, told, pass } = set()
  for (const level of [61, 65, 70, 80]) stage.call(owner, rows.setvol, { level })
  for (const volume of [61, 70, 65, 80]) {
    puppet.behind({ volume })
    await pass(200)
  }
  await pass(60_000)
  expect(told).toEqual([])
})

test('until it is turned up further: then it is the ceiling that counts', async () => {
  const { permitted, behind, pass, told } = set()
  await permitted(80)
  await pass(10_000)
  await behind(85)
  expect(told).toEqual(['setvol 60'])
  await pass(10_000)
  await behind(80)
  expect(told).toEqual(['setvol 60', 'setvol 60'])
})

test('turned down from behind it stays there, and does not go up again', async () => {
  const { permitted, behind, pass, told } = set()
  await permitted(80)
  await pass(10_000)
  await behind(75)
  await pass(10_000)
  expect(told).toEqual([])
  await behind(80)
  expect(told).toEqual(['setvol 60'])
})

test('what was permitted and then turned down through the gateway cannot be had back by a knob', async () => {
  const { permitted, behind, pass, told } = set()
  await permitted(80)
  await permitted(40)
  await behind(80)
  await pass(10_000)
  expect(told).toEqual(['setvol 60'])
})

test('a permitted volume that never arrives is a permission for nobody', async () => {
  const { stage, behind, pass, told } = set()
  stage.call(owner, rows.setvol, { level: 80 })
  await pass(10_000)
  await behind(80)
  expect(told).toEqual(['setvol 60'])
})

test('a call that was refused permits nothing', async () => {
  const { stage, behind, told } = set()
  expect(() => stage.call(person('ben', 'kid'), rows.setvol, { level: 80 })).toThrow('not allowed: maxVolume 40')
  await behind(80)
  expect(told).toEqual(['setvol 60'])
})

test('a change is asked to be resolved for everybody, and one that was not permits nothing', async () => {
  const { governor, stage, behind, told } = set()
  const louder = { operation: rows.volume, args: { change: 20 } }
  const asked = (by: Principal, player = 'home', request: Request = louder) =>
    governor.mattersOf(createCall({ id: 'r', by, door: 'mpd', player, at: stage.now }, request))
  expect(asked(owner)).toEqual(['volume'])
  expect(asked(owner, 'elsewhere')).toEqual([])
  expect(asked(owner, 'home', { operation: rows.setvol, args: { level: 80 } })).toEqual([])
  expect(asked({ kind: 'house', name: 'queue', from: 'house' })).toEqual([])
  stage.call(owner, louder.operation, louder.args)
  await behind(80)
  expect(told).toEqual(['setvol 60'])
})

test('the border of an hour pulls down what is too loud then, permitted or not', async () => {
  const { stage, permitted, pass, told, volume } = set({ max: { '07:00': 80, '20:00': 45 } })
  stage.now = Date.parse('2026-03-10T19:59:50+01:00')
  await permitted(95)
  await pass(9_000)
  expect(told).toEqual([])
  await pass(1_000)
  expect(told).toEqual(['setvol 45'])
  await pass(60_000)
  expect(volume()).toBe(45)
})

test('by the clock on the wall, also where it is put forward and where it is set back', async () => {
  const { stage, behind, pass, volume } = set({ max: { '00:00': 20, '02:30': 50, '03:30': 40 } })
  stage.now = Date.parse('2026-03-29T01:59:58+01:00')
  await behind(70)
  expect(volume()).toBe(20)
  // From 02:00 to 03:00 there is no time: it is 03:00, and that is after 02:30.
  await pass(3_000)
  await behind(70)
  await pass(2_000)
  expect(volume()).toBe(50)
  stage.now = Date.parse('2026-03-29T00:30:00+01:00')
  await pass(1_000)
  expect(volume()).toBe(20)
})

test('a clock that is set back by hours in the midst of a rest does not make the rest longer', async () => {
  const { stage, behind, pass, volume } = set()
  for (let i = 0; i < 7; i++) {
    await behind(90)
    await pass(1_000)
  }
  await behind(90)
  stage.now -= 5 * 3_600_000
  await pass(1_000)
  expect(volume()).toBe(60)
})

test('a volume that is not known, and a player that has gone, are left alone until they are back', async () => {
  const { puppet, behind, pass, told } = set()
  await behind(null)
  puppet.behind(undefined)
  await pass(10_000)
  expect(told).toEqual([])
  // It starts again as loud as it can.
  await behind(100)
  expect(told).toEqual(['setvol 60'])
})

test('what could not be sent is tried again, not without end, and said once', async () => {
  const { puppet, behind, pass, told, stage, volume } = set()
  puppet.broken = true
  await behind(90)
  await pass(30_000)
  expect(told).toHaveLength(6)
  expect(stage.lines).toEqual([
    'governor: the volume was not turned back',
    'governor: the volume cannot be kept below the ceiling, and is let be for a while',
  ])
  puppet.broken = false
  await pass(60_000)
  expect(volume()).toBe(60)
})

test('a player of coarse steps that ends above the ceiling is told a little less', async () => {
  const { puppet, behind, pass, told, volume } = set()
  puppet.takes = (volume) => Math.min(100, 2 + Math.floor(volume / 5) * 5)
  await behind(90)
  await pass(5_000)
  expect(told).toEqual(['setvol 60', 'setvol 58'])
  expect(volume()).toBe(57)
})

test('and one whose steps make a permitted volume a little more keeps it', async () => {
  const { stage, behind, pass, told } = set()
  stage.call(owner, rows.setvol, { level: 80 })
  await behind(82)
  await pass(60_000)
  expect(told).toEqual([])
})

test('closed, it does nothing more', async () => {
  const { governor, behind, told } = set()
  governor.close()
  await behind(90)
  governor.look()
  expect(told).toEqual([])
})
