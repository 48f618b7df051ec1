import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest'
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
let album: string
const tokens: Record<string, string> = {}
const people = { kim: 'kid', leo: 'kid', mia: 'member', ada: 'owner' } as const
type Person = keyof typeof people
let clients: MpdClient[] = []

/** Both players as they are without the gateway, by title, in order. */
interface House {
  readonly player: 'home' | 'den'
  /** How a tune and a whole album are named there. */
  name(index: number): string
  album(): string
  titles(): Promise<readonly string[]>
  clear(): Promise<unknown>
  /** Adds past the gateway. */
  add(index: number): Promise<unknown>
  restart(): Promise<void>
}

const titleOf = new Map(tunes.flatMap(({ uri, path, title }) => [[uri, title] as const, [path, title] as const]))
const direct = (words: readonly string[]) => mpcAt(mpd.port)([...words])

const houses: readonly House[] = [
  {
    player: 'home',
    name: (index) => tunes[index]?.uri ?? '',
    album: () => album,
    async titles() {
      const entries = (await mopidy.rpc('core.tracklist.get_tl_tracks')) as { track: { uri: string } }[]
      return entries.map(({ track }) => titleOf.get(track.uri) ?? track.uri)
    },
    clear: () => mopidy.rpc('core.tracklist.clear'),
    add: (index) => mopidy.rpc('core.tracklist.add', { uris: [tunes[index]?.uri] }),
    restart: () => mopidy.restart(),
  },
  {
    player: 'den',
    name: (index) => tunes[index]?.path ?? '',
    album: () => 'Anna Ring',
    async titles() {
      const { stdout } = await direct(['--format', '%file%', 'playlist'])
      return stdout.split('\n').flatMap((line) => (line === '' ? [] : [titleOf.get(line) ?? line]))
    },
    clear: () => direct(['clear']),
    add: (index) => direct(['add', tunes[index]?.path ?? '']),
    restart: () => mpd.restart(),
  },
]

async function connect(who: Person, player: string): Promise<MpdClient> {
  const client = await connectMpd(gateway, tokens[who])
  clients.push(client)
  expect(await client.ask(`partition ${player}\n`)).toBe('OK\n')
  return client
}

interface Answer {
  readonly result?: unknown
  readonly error?: { readonly code: number; readonly message: string }
}
const rpc = (who: Person, method: string, params: unknown = {}) =>
  gateway.rpc(tokens[who] ?? '', {
    jsonrpc: '2.0',
    id: 1,
    method: `core.tracklist.${method}`,
    params,
  }) as Promise<Answer>

/** What the gateway took out by itself. */
function taken(): readonly { operation: string; touches: string; says: string | null }[] {
  const db = new DatabaseSync(join(gateway.dir, 'data/audit.sqlite'), { readOnly: true })
  try {
    const sql = "SELECT operation, touches, says FROM decision WHERE door = 'house' AND name = 'queue' ORDER BY id"
    return db.prepare(sql).all() as never
  } finally {
    db.close()
  }
}

async function inTurn(indexes: readonly number[], act: (index: number) => Promise<unknown>): Promise<void> {
  for (const index of indexes) await act(index)
}

const quote = (text: string) => `"${text.replace(/[\\"]/g, '\\$&')}"`
const titles = (...indexes: number[]) => indexes.map((index) => tunes[index]?.title)

describe.skipIf(!inject('real').available)('the queue of a real Mopidy and a real MPD', () => {
  beforeAll(async () => {
    ;[mopidy, mpd] = await Promise.all([startMopidy(), startMpd()])
    const found = (await mopidy.rpc('core.library.browse', ['local:directory?type=album'])) as {
      uri: string
      name: string
    }[]
    album = found.find(({ name }) => name.includes('First Light'))?.uri ?? ''
    gateway = await startGateway({
      players: {
        home: { kind: 'mopidy', http: mopidy.http, mpd: mopidy.mpd },
        den: { kind: 'mpd', mpd: mpd.mpd },
      },
      users: people,
      change(config: ConfigFile) {
        for (const role of Object.values(config.roles)) delete role.rates
        config.roles.kid = {
          grants: [
            { allow: ['status.read', 'library.read', 'queue.read', 'playback.*', 'options.set'] },
            { allow: ['queue.*'], when: { queue: { max: 10, perPerson: 3, own: true } } },
          ],
        }
      },
    })
    await until(async () => (await gateway.http('/readyz')).status === 200)
    for (const name of Object.keys(people)) tokens[name] = gateway.token(name)
  })

  afterAll(async () => {
    await gateway?.stop()
    await mopidy?.stop()
    await mpd?.stop()
  })

  beforeEach(async () => {
    for (const house of houses) await house.clear()
  })

  afterEach(() => {
    for (const client of clients) client.close()
    clients = []
  })

  describe.each(houses)('$player', (house) => {
    const add = async (who: Person, ...indexes: number[]) => {
      const client = await connect(who, house.player)
      for (const index of indexes) expect(await client.ask(`add ${quote(house.name(index))}\n`)).toBe('OK\n')
      return client
    }

    test('a kid takes out what is theirs and nothing else, wherever it has been moved', async () => {
      const mia = await add('mia', 0)
      const kim = await add('kim', 1, 2)
      await add('leo', 3)
      for (const line of [
        'delete 0',
        'delete 3',
        'delete 0:2',
        'delete 1:',
        'move 0 2',
        'swap 1 0',
        'shuffle',
        'clear',
      ]) {
        expect(await kim.ask(`${line}\n`)).toMatch(
          /^ACK \[4@0\] .*: not allowed: queue own, and not all of that is yours\n/,
        )
      }
      expect(await house.titles()).toEqual(titles(0, 1, 2, 3))
      // Mia turns all around; what is whose stays as it was.
      for (const line of ['move 1 3', 'swap 0 1']) expect(await mia.ask(`${line}\n`)).toBe('OK\n')
      expect(await house.titles()).toEqual(titles(2, 0, 3, 1))
      expect(await kim.ask('delete 1\n')).toMatch('queue own')
      expect(await kim.ask('delete 3\n')).toBe('OK\n')
      expect(await kim.ask('move 0 2\n')).toBe('OK\n')
      expect(await house.titles()).toEqual(titles(0, 3, 2))
      expect(await mia.ask('shuffle\n')).toBe('OK\n')
      const mine = (await house.titles()).indexOf(tunes[2]?.title ?? '')
      expect(await kim.ask(`delete ${mine}\n`)).toBe('OK\n')
      expect((await house.titles()).toSorted()).toEqual(titles(0, 3).toSorted())
      expect(await mia.ask('clear\n')).toBe('OK\n')
    })

    test('by another device it is the same person, and by another account it is not', async () => {
      const first = await add('kim', 0)
      first.close()
      const again = await connect('kim', house.player)
      const leo = await connect('leo', house.player)
      expect(await leo.ask('delete 0\n')).toMatch('queue own')
      expect(await again.ask('delete 0\n')).toBe('OK\n')
    })

    test('three are theirs and no more, one by one and in a list', async () => {
      await add('mia', 0, 1, 2, 3, 4)
      const kim = await add('kim', 5, 6)
      const list = (...indexes: number[]) =>
        `command_list_begin\n${indexes.map((index) => `add ${quote(house.name(index))}\n`).join('')}command_list_end\n`
      expect(await kim.ask(list(7, 8))).toMatch(
        /^ACK \[4@1\] \{add\} .*: not allowed: queue perPerson 3, and 3 in it are yours\n/,
      )
      expect(await house.titles()).toEqual(titles(0, 1, 2, 3, 4, 5, 6))
      expect(await kim.ask(list(7))).toBe('OK\n')
      expect(await kim.ask(`addid ${quote(house.name(8))}\n`)).toMatch('perPerson 3')
      await add('leo', 9)
      expect(await (await connect('mia', house.player)).ask(`add ${quote(house.name(0))}\n`)).toBe('OK\n')
      // Ten are in it now: that binds the kids alone.
      const leo = await connect('leo', house.player)
      expect(await leo.ask(`add ${quote(house.name(1))}\n`)).toMatch('queue max 10, and 10 are in it')
      await add('mia', 1)
      // What goes makes room.
      expect(await kim.ask('delete 5\n')).toBe('OK\n')
      expect(await kim.ask(`add ${quote(house.name(8))}\n`)).toMatch('queue max 10')
    })

    test('an album is cut back to what there is room for, nothing of others, and it is recorded once', async () => {
      await add('mia', 8, 9)
      const kim = await add('kim', 10)
      const before = taken().length
      expect(await kim.ask(`add ${quote(house.album())}\n`)).toBe('OK\n')
      expect(await house.titles()).toEqual([...titles(8, 9, 10), ...titles(0, 1)])
      const records = await until(() => (taken().length > before ? taken().slice(before) : undefined))
      expect(records).toHaveLength(1)
      expect(records?.[0]?.touches).toMatch(/"entry":\["id \d+","id \d+"\]|"entry":\["id \d+"\]/)
      expect(await kim.ask(`add ${quote(house.album())}\n`)).toMatch('perPerson 3')
      // Who has no such condition gets it whole.
      expect(await (await connect('mia', house.player)).ask(`add ${quote(house.album())}\n`)).toBe('OK\n')
      expect(await house.titles()).toHaveLength(9)
    })

    test('who hangs up at once has what came of it all the same', async () => {
      for (let round = 0; round < 6; round++) {
        const kim = await connect('kim', house.player)
        void kim.ask(`add ${quote(house.album())}\n`)
        kim.close()
      }
      const kim = await connect('kim', house.player)
      await until(async () => /perPerson 3/.test(await kim.ask(`add ${quote(house.name(0))}\n`)))
      expect(await house.titles()).toHaveLength(3)
    })

    test('what came past the gateway is nobody’s', async () => {
      await house.add(0)
      const kim = await add('kim', 1)
      await house.add(2)
      expect(await kim.ask('delete 0\n')).toMatch('queue own')
      expect(await kim.ask('delete 2\n')).toMatch('queue own')
      expect(await kim.ask('delete 1\n')).toBe('OK\n')
    })

    test('after the player was started anew all is nobody’s', async () => {
      const kim = await add('kim', 0)
      await house.restart()
      await until(async () => (await gateway.http('/readyz')).status === 200)
      await house.clear()
      await house.add(0)
      await until(async () => (await kim.ask('status\n')).endsWith('OK\n'))
      expect(await kim.ask('delete 0\n')).toMatch('queue own')
    })

    test('a batch of fifty is not more than one after the other', async () => {
      const kim = await connect('kim', house.player)
      const lines = Array.from({ length: 50 }, (_, i) => `add ${quote(house.name(i % 12))}\n`)
      expect(await kim.ask(`command_list_begin\n${lines.join('')}command_list_end\n`)).toMatch(/^ACK \[4@3\]/)
      expect(await house.titles()).toEqual([])
      // All at once, and then from another device.
      await kim.ask(lines.join(''))
      for (let i = 1; i < lines.length; i++) await kim.next()
      expect(await (await connect('kim', house.player)).ask(lines[0] ?? '')).toMatch('perPerson 3')
      expect(await house.titles()).toHaveLength(3)
    })
  })

  describe('by both doors of Mopidy', () => {
    const uris = (...indexes: number[]) => indexes.map((index) => tunes[index]?.uri)
    const [home] = houses as readonly [House]

    test('what is added by one counts at the other, and can be taken out there', async () => {
      const kim = await connect('kim', 'home')
      expect(await kim.ask(`add ${quote(home.name(0))}\n`)).toBe('OK\n')
      const added = await rpc('kim', 'add', { uris: uris(1) })
      expect(added.result).toHaveLength(1)
      expect((await rpc('kim', 'add', { uris: uris(2, 3) })).error).toMatchObject({
        code: -32003,
        message: expect.stringContaining('queue perPerson 3, and 2 in it are yours'),
      })
      expect(await kim.ask(`addid ${quote(home.name(4))}\n`)).toMatch(/^Id: \d+\nOK\n$/)
      expect((await rpc('kim', 'add', { uris: uris(5) })).error?.message).toMatch('perPerson 3')
      const [{ tlid }] = added.result as [{ tlid: number }]
      expect(await kim.ask(`deleteid ${tlid}\n`)).toBe('OK\n')
      expect((await rpc('kim', 'remove', { criteria: { uri: uris(0) } })).result).toHaveLength(1)
      expect(await home.titles()).toEqual(titles(4))
    })

    test('of an album the answer holds what was left', async () => {
      const { result } = await rpc('kim', 'add', { uris: [album] })
      const entries = (await mopidy.rpc('core.tracklist.get_tl_tracks')) as unknown[]
      expect(entries).toHaveLength(3)
      expect(result).toEqual(entries)
      expect((await rpc('mia', 'add', { uris: [album] })).result).toHaveLength(4)
    })

    test('others’ by any criteria, spans and shuffling stay where they are', async () => {
      const [other] = (await rpc('mia', 'add', { uris: uris(0) })).result as [{ tlid: number }]
      const [mine] = (await rpc('kim', 'add', { uris: uris(1) })).result as [{ tlid: number }]
      await rpc('mia', 'add', { uris: uris(1, 2) })
      const attempts: [string, unknown][] = [
        ['remove', { criteria: { tlid: [mine.tlid, other.tlid] } }],
        ['remove', { criteria: { uri: uris(1) } }],
        ['remove', { criteria: { name: [tunes[0]?.title] } }],
        ['remove', { criteria: { tlid: [9_999] } }],
        ['move', { start: 0, end: 0, to_position: 3 }],
        ['move', { start: 1, end: 3, to_position: 0 }],
        ['shuffle', { end: 0 }],
        ['shuffle', {}],
        ['clear', {}],
      ]
      for (const [method, params] of attempts) expect((await rpc('kim', method, params)).error?.code).toBe(-32003)
      expect(await home.titles()).toEqual(titles(0, 1, 1, 2))
      expect((await rpc('kim', 'move', { start: 1, end: 1, to_position: 0 })).error).toBeUndefined()
      expect(await home.titles()).toEqual(titles(1, 0, 1, 2))
      expect((await rpc('kim', 'remove', { criteria: { tlid: [mine.tlid] } })).result).toHaveLength(1)
    })

    test('two at once, kids and member, by both doors: everything is whose it is', async () => {
      const kim = await connect('kim', 'home')
      const mia = await connect('mia', 'home')
      const all = [0, 1, 2, 3, 4]
      await Promise.all([
        inTurn(all, (index) => kim.ask(`add ${quote(home.name(index))}\n`)),
        inTurn(all, () => mia.ask(`add ${quote(home.name(11))}\n`)),
        ...all.map((index) => rpc('leo', 'add', { uris: uris(5 + index) })),
      ])
      const there = await home.titles()
      const of = (...indexes: number[]) => there.filter((title) => titles(...indexes).includes(title)).length
      expect([of(0, 1, 2, 3, 4), of(5, 6, 7, 8, 9)]).toEqual([3, 3])
      expect(of(11)).toBe(5)
      for (let i = 0; i < there.length; i++) {
        const owner = titles(0, 1, 2, 3, 4).includes(there[i])
        const answer = await kim.ask(`command_list_begin\nprio 1 ${i}\nclear\ncommand_list_end\n`)
        expect(answer).toMatch(owner ? /^ACK \[4@1\]/ : /^ACK \[4@0\]/)
      }
    })
  })
})
