import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest'
import type { ConfigFile } from '../../src/config/schema.ts'
import { connectMpd, type MpdClient } from './clients.ts'
import { type Gateway, startGateway } from './gateway.ts'
import { tunes } from './library.ts'
import { type Mopidy, startMopidy } from './mopidy.ts'
import { mpcAt } from './mpc.ts'
import { type Mpd, startMpd } from './mpd.ts'
import { until } from './tools.ts'

let mopidy: Mopidy
let mpd: Mpd
let gateway: Gateway
let owner: string
let kid: string
const clients: MpdClient[] = []

/** The hour on the other side of the day: it is over now, and will be for hours. */
const closed = (() => {
  const hour = (new Date().getUTCHours() + 12) % 24
  const two = (n: number) => String(n).padStart(2, '0')
  return { zone: 'Etc/UTC', allow: `${two(hour)}:00-${two((hour + 1) % 24)}:00` }
})()

/** A player with a room's ceiling of 60, as the test reaches it past the gateway. */
interface Room {
  readonly name: string
  volume(): Promise<number>
  turn(volume: number): Promise<void>
  state(): Promise<string>
  /** Through the gateway, as the owner. */
  set(volume: number): Promise<void>
  louder(by: number): Promise<void>
}

const direct = () => mpcAt(mpd.port)
const status = async (format: string) => (await direct()(['status', format])).stdout.trim()

async function ask(token: string, line: string): Promise<string> {
  const client = await connectMpd(gateway, token)
  clients.push(client)
  return client.ask(`${line}\n`)
}

async function askAt(token: string, player: string, line: string): Promise<void> {
  const client = await connectMpd(gateway, token)
  clients.push(client)
  expect(await client.ask(`partition ${player}\n`)).toBe('OK\n')
  expect(await client.ask(`${line}\n`)).toBe('OK\n')
}

const rooms: readonly Room[] = [
  {
    name: 'home',
    volume: async () => Number(await mopidy.rpc('core.mixer.get_volume')),
    turn: async (volume) => void (await mopidy.rpc('core.mixer.set_volume', [volume])),
    state: async () => String(await mopidy.rpc('core.playback.get_state')),
    set: (volume) => askAt(owner, 'home', `setvol ${volume}`),
    louder: (by) => askAt(owner, 'home', `volume ${by}`),
  },
  {
    name: 'den',
    volume: async () => Number((await status('%volume%')).replace('%', '')),
    turn: async (volume) => void (await direct()(['volume', String(volume)])),
    state: () => status('%state%'),
    set: (volume) => askAt(owner, 'den', `setvol ${volume}`),
    louder: (by) => askAt(owner, 'den', `volume ${by}`),
  },
]

interface Row {
  readonly name: string
  readonly player: string
  readonly operation: string
  readonly touches: string
  readonly outcome: string
  readonly door: string
}

/** What the house did, as the audit has it. */
function records(): readonly Row[] {
  const db = new DatabaseSync(join(gateway.dir, 'data/audit.sqlite'), { readOnly: true })
  try {
    const sql = "SELECT name, player, operation, touches, outcome, door FROM decision WHERE door = 'house' ORDER BY id"
    return db.prepare(sql).all() as unknown as Row[]
  } finally {
    db.close()
  }
}

describe.skipIf(!inject('real').available)('what the gateway keeps, at a real Mopidy and a real MPD', () => {
  beforeAll(async () => {
    ;[mopidy, mpd] = await Promise.all([startMopidy(), startMpd()])
    // The software mixer of MPD has a volume once something has played.
    await direct()(['add', tunes[0]?.path ?? ''])
    await direct()(['play'])
    gateway = await startGateway({
      players: {
        home: { kind: 'mopidy', http: mopidy.http, mpd: mopidy.mpd, maxVolume: 60 },
        den: { kind: 'mpd', mpd: mpd.mpd, maxVolume: { max: { '00:00': 60, '12:00': 60 } } },
      },
      users: { ada: 'owner', kim: 'day' },
      change(config: ConfigFile) {
        for (const role of Object.values(config.roles)) delete role.rates
        const grants = () => [{ allow: ['status.read', 'queue.read', 'queue.add', 'volume.set'] }]
        const fade = { allow: ['playback.*'], when: { hours: { ...closed, atEnd: 'fade 4s' } } }
        config.roles.day = { grants: [...grants(), { allow: ['playback.*'] }] }
        config.roles.night = { grants: [...grants(), fade] }
      },
    })
    await until(async () => (await gateway.http('/readyz')).status === 200)
    owner = gateway.token('ada')
    kid = gateway.token('kim')
  })

  afterAll(async () => {
    for (const client of clients) client.close()
    await gateway?.stop()
    await mopidy?.stop()
    await mpd?.stop()
  })

  beforeEach(async () => {
    for (const room of rooms) await room.turn(20)
  })

  describe.each(rooms)('the ceiling of $name', ({ name, volume, turn, set, louder }) => {
    const corrections = () => records().filter((row) => row.player === name && row.name === 'governor')

    test('turned up past the gateway it is pulled back, recorded once', async () => {
      const before = corrections().length
      await turn(95)
      await until(async () => (await volume()) === 60)
      const found = await until(() => (corrections().length > before ? corrections().slice(before) : undefined))
      expect(found).toEqual([
        {
          name: 'governor',
          player: name,
          operation: name === 'home' ? 'core.mixer.set_volume' : 'setvol',
          touches: '{"volume":[60]}',
          outcome: 'allowed',
          door: 'house',
        },
      ])
      // Its own answer to that is none to be answered.
      await new Promise((resolve) => setTimeout(resolve, 3_000))
      expect(corrections()).toHaveLength(before + 1)
    })

    test('what the owner sets through the gateway stays, until it is turned up further', async () => {
      await set(58)
      await until(async () => (await volume()) === 58)
      await louder(20)
      await until(async () => (await volume()) === 78)
      await new Promise((resolve) => setTimeout(resolve, 7_000))
      expect(await volume()).toBe(78)
      await turn(90)
      await until(async () => (await volume()) === 60)
    })

    test('a hand that does not give up is let be after six times', async () => {
      const before = corrections().length
      const end = Date.now() + 12_000
      while (Date.now() < end) {
        await turn(90)
        await new Promise((resolve) => setTimeout(resolve, 300))
      }
      await until(() => corrections().length > before)
      // Some of the six are those of the tests before.
      expect(corrections().length - before).toBeLessThanOrEqual(6)
      expect(await volume()).toBe(90)
      const warned = gateway.log().match(/cannot be kept below the ceiling[^\n]*/g) ?? []
      expect(warned.length).toBeLessThanOrEqual(2)
      expect(warned.length).toBeGreaterThan(0)
    })
  })

  test('when the hours of who had it play are over, it is turned down, paused, and as loud as before', async () => {
    await mopidy.rpc('core.tracklist.clear')
    await mopidy.rpc('core.tracklist.add', { uris: tunes.slice(0, 4).map(({ uri }) => uri) })
    await mopidy.rpc('core.mixer.set_volume', [40])
    expect(await ask(kid, 'play')).toBe('OK\n')
    await until(async () => (await rooms[0]?.state()) === 'playing')
    const made = gateway.cli(['user', 'role', 'kim', 'night'])
    expect(made.status, made.stderr).toBe(0)
    await until(async () => (await rooms[0]?.state()) === 'paused')
    await until(async () => (await rooms[0]?.volume()) === 40)
    const rows = await until(() => {
      const found = records().filter((row) => row.name === 'curfew')
      return found.at(-1)?.touches === '{"volume":[40]}' ? found : undefined
    })
    expect(rows.map(({ operation }) => operation).slice(-2)).toEqual(['core.playback.pause', 'core.mixer.set_volume'])
    const steps = rows.slice(0, -2).map(({ touches }) => JSON.parse(touches).volume[0])
    expect(steps.length).toBeGreaterThan(1)
    expect(steps).toEqual(steps.toSorted((a, b) => b - a))
    // And who it is about may not play.
    expect(await ask(kid, 'play')).toContain('you don\'t have permission for "play": not allowed: hours')
  })
})
