import { expect } from 'vitest'
import { library } from '../../src/demo/stage.ts'
import { until } from '../real/tools.ts'
import { ask, openMpd, openWs } from './clients.ts'
import { attack, type House, type HouseOptions, openHouse, type Person } from './harness.ts'

const songs = library.map(({ uri }) => uri)
const album = library[0]?.album.uri ?? ''
/** What comes to the player of those who may, and how the gateway itself looks at the queue. */
const reaches = [
  /^core\.tracklist\.(get_version|get_length|get_tl_tracks|add|remove|move|clear|shuffle) /,
  /^core\.playlists\.|^core\.library\.|^listplaylist/,
  /^(add|addid|load|delete|deleteid|move|moveid|swap|swapid|shuffle|clear|command_list\w*)\b/,
]

/** Three of a kid's own, twelve in all, and nobody else's to change. */
function open(options: HouseOptions) {
  const when = { queue: { max: 12, perPerson: 3, own: true } }
  const kid = { grants: [{ allow: ['status.read', 'library.read', 'playlists.read'] }, { allow: ['queue.*'], when }] }
  const guest = { grants: [{ allow: ['status.read', 'queue.add'] }], quotas: { 'queue.add': '6/1h' } }
  const change: HouseOptions['change'] = (config) => ({ ...config, roles: { ...config.roles, kid, guest } })
  return openHouse({ ...options, change })
}

const uris = ({ demo }: House) => demo.state.queue.map(({ track }) => track.uri)
const empty = ({ demo }: House) => demo.state.remove(demo.state.queue)
const list = (lines: readonly string[]) =>
  `command_list_begin\n${lines.map((line) => `${line}\n`).join('')}command_list_end\n`

async function mpdOf(house: House, { token }: Person) {
  return openMpd(house, { token })
}

interface Told {
  readonly error?: { readonly code: number; readonly message: string }
  readonly result?: never
}
async function rpc(house: House, { token }: Person, method: string, params: unknown = {}): Promise<Told> {
  const message = { jsonrpc: '2.0', id: 1, method: `core.tracklist.${method}`, params }
  return (await ask(house, '/mopidy/rpc', { token, json: message })).json as unknown as Told
}

/** Adds what a person may. */
async function add(house: House, person: Person, ...indexes: number[]): Promise<void> {
  const { error } = await rpc(house, person, 'add', { uris: indexes.map((index) => songs[index]) })
  expect(error).toBeUndefined()
}

const idOf = (house: House, index: number) =>
  house.demo.state.queue.find(({ track }) => track.uri === songs[index])?.tlid

attack(
  'the queue',
  [
    {
      id: 'Q1',
      attack: "somebody else's, by every way to name it",
      reaches,
      async run(house) {
        empty(house)
        await add(house, house.member, 0, 1)
        await add(house, house.kid, 2)
        const mpd = await mpdOf(house, house.kid)
        const [theirs, own] = [idOf(house, 0), idOf(house, 2)]
        for (const line of [
          ...['delete 0', 'delete 1:3', 'delete 1:', 'delete 2:9', `deleteid ${theirs}`, 'deleteid 99999', 'clear'],
          ...['move 0 2', 'move 0:2 1', `moveid ${theirs} 2`, 'swap 0 2', 'swap 2 0', `swapid ${own} ${theirs}`],
          ...['shuffle', 'shuffle 1:', 'prio 9 0', `prioid 9 ${own} ${theirs}`, `rangeid ${theirs} 1:2`, 'swap 2 2'],
        ]) {
          expect(await mpd.ask(`${line}\n`), line).toMatch(/^ACK \[4@0\]/)
        }
        for (const [method, params] of [
          ['remove', { criteria: { tlid: [own, theirs] } }],
          ['remove', { criteria: { uri: [songs[2], songs[1]] } }],
          ['remove', { criteria: { name: ['Demo Curtain'] } }],
          ['move', { start: 0, end: 0, to_position: 2 }],
          ['move', [1, 3, 0]],
          ['shuffle', { end: 0 }],
          ['shuffle', { start: null, end: null }],
          ['clear', {}],
        ] as const) {
          expect((await rpc(house, house.kid, method, params)).error?.code, method).toBe(-32003)
        }
        expect(uris(house)).toEqual([0, 1, 2].map((index) => songs[index]))
        // Theirs goes all the same, and who has no such condition may do everything.
        expect(await mpd.ask('move 2 0\n')).toBe('OK\n')
        expect(await mpd.ask('delete 0\n')).toBe('OK\n')
        mpd.close()
        expect((await rpc(house, house.member, 'clear')).error).toBeUndefined()
      },
    },
    {
      id: 'Q2',
      attack: 'a list whose first command makes a place another',
      reaches,
      async run(house) {
        empty(house)
        await add(house, house.kid, 0)
        await add(house, house.member, 1)
        await add(house, house.kid, 2)
        const mpd = await mpdOf(house, house.kid)
        for (const lines of [
          ['delete 0', 'delete 0'],
          ['swap 0 2', 'delete 1'],
          ['move 0 2', 'delete 0'],
          [`add ${songs[3]}`, 'delete 1:'],
          ['delete 2', 'delete 1'],
          ['delete 0', 'delete 1', 'delete 0'],
        ]) {
          expect(await mpd.ask(list(lines)), lines.join()).toMatch(/^ACK \[4@[12]\]/)
        }
        expect(uris(house)).toEqual([0, 1, 2].map((index) => songs[index]))
        expect(await mpd.ask(list(['delete 2', 'delete 0']))).toBe('OK\n')
        expect(uris(house)).toEqual([songs[1]])
        mpd.close()
      },
    },
    {
      id: 'Q3',
      attack: 'another device, another door, a connection anew: more than three',
      reaches,
      async run(house) {
        empty(house)
        const other = { ...house.kid, token: house.tokenOf(house.kid) }
        await add(house, house.kid, 0)
        await add(house, other, 1)
        const first = await mpdOf(house, other)
        expect(await first.ask(`add ${songs[2]}\n`)).toBe('OK\n')
        first.close()
        for (const person of [house.kid, other, { ...house.kid, token: house.tokenOf(house.kid) }]) {
          expect((await rpc(house, person, 'add', { uris: [songs[3]] })).error?.message).toMatch('perPerson 3')
          const mpd = await mpdOf(house, person)
          expect(await mpd.ask(`addid ${songs[3]}\n`)).toMatch('perPerson 3')
          mpd.close()
        }
        expect(uris(house)).toHaveLength(3)
      },
    },
    {
      id: 'Q4',
      attack: 'an address that is a whole album',
      reaches,
      async run(house) {
        empty(house)
        await add(house, house.member, 9)
        await add(house, house.kid, 8)
        const { result } = await rpc(house, house.kid, 'add', { uris: [album], at_position: 0 })
        expect(result).toEqual(house.demo.state.queue.slice(0, 2))
        expect(uris(house)).toEqual([0, 1, 9, 8].map((index) => songs[index]))
        const leo = house.person('kid')
        const mpd = await mpdOf(house, leo)
        expect(await mpd.ask(list([`add ${album}`, `add ${songs[10]}`]))).toBe('OK\n')
        expect(uris(house)).toHaveLength(7)
        mpd.close()
        // The twelve are for all together.
        await add(house, house.member, 11, 12, 13)
        const eve = house.person('kid')
        expect((await rpc(house, eve, 'add', { uris: [album] })).result).toHaveLength(2)
        expect(uris(house)).toHaveLength(12)
        expect((await rpc(house, house.member, 'add', { uris: [album] })).result).toHaveLength(5)
      },
    },
    {
      id: 'Q5',
      attack: 'fifty in one batch, in one list, in one go',
      reaches,
      async run(house) {
        empty(house)
        const batch = Array.from({ length: 50 }, (_, id) => {
          return { jsonrpc: '2.0', id, method: 'core.tracklist.add', params: { uris: [songs[id % 20]] } }
        })
        await ask(house, '/mopidy/rpc', { token: house.kid.token, json: batch })
        expect(uris(house)).toHaveLength(3)
        const leo = house.person('kid')
        const mpd = await mpdOf(house, leo)
        const lines = batch.map(({ params }) => `add ${params.uris[0]}`)
        expect(await mpd.ask(list(lines))).toMatch(/^ACK \[4@3\]/)
        mpd.send(lines.map((line) => `${line}\n`).join(''))
        for (let i = 0; i < lines.length; i++) await mpd.next()
        mpd.close()
        expect(uris(house)).toHaveLength(6)
        const eve = house.person('kid')
        const ws = await openWs(house, { token: eve.token })
        await Promise.all(batch.map((message) => ws.rpc(message)))
        ws.close()
        expect(uris(house)).toHaveLength(9)
      },
    },
    {
      id: 'Q6',
      attack: 'hanging up before the answer, again and again',
      reaches,
      async run(house) {
        empty(house)
        house.demo.faults.slow = 30
        house.demo.faults.only = /^add$/
        for (let i = 0; i < 8; i++) {
          const mpd = await mpdOf(house, house.kid)
          mpd.send(`add ${album}\n`)
          mpd.close()
        }
        const mpd = await mpdOf(house, house.kid)
        await until(async () => /perPerson 3/.test(await mpd.ask(`add ${songs[9]}\n`)))
        expect(uris(house)).toHaveLength(3)
        // And they are theirs.
        expect(await mpd.ask('clear\n')).toBe('OK\n')
        mpd.close()
      },
    },
    {
      id: 'Q7',
      attack: 'a stored playlist of a thousand',
      reaches,
      async run(house) {
        empty(house)
        const tracks = Array.from({ length: 1_000 }, (_, i) => ({ uri: songs[i % 20] ?? '' }))
        house.demo.state.savePlaylist('m3u:Long.m3u8', 'Long', tracks)
        const mpd = await mpdOf(house, house.kid)
        const answer = await mpd.ask('load Long\n')
        // Refused for what it holds, or cut back to what there is room for.
        expect(answer).toMatch(/^OK|^ACK \[4@0\]/)
        expect(uris(house).length).toBeLessThanOrEqual(3)
        house.demo.state.deletePlaylist('m3u:Long.m3u8')
        mpd.close()
      },
    },
    {
      id: 'Q8',
      attack: 'three doors at the same time',
      reaches,
      async run(house) {
        empty(house)
        const ws = await openWs(house, { token: house.kid.token })
        const mpd = await mpdOf(house, house.kid)
        const ada = house.person('member')
        const message = { jsonrpc: '2.0', id: 1, method: 'core.tracklist.add', params: { uris: [songs[0]] } }
        await Promise.all([
          ...Array.from({ length: 5 }, () => ws.rpc(message)),
          ...Array.from({ length: 5 }, () => rpc(house, house.kid, 'add', { uris: [songs[0]] })),
          ...Array.from({ length: 5 }, () => rpc(house, ada, 'add', { uris: [songs[1]] })),
          mpd.ask(list([`add ${songs[0]}`, `add ${songs[0]}`])),
        ])
        const count = (index: number) => uris(house).filter((uri) => uri === songs[index]).length
        expect(count(0)).toBeLessThanOrEqual(3)
        expect(count(1)).toBe(5)
        // Whose each of them is was never in doubt.
        for (const { tlid, track } of house.demo.state.queue) {
          const { error } = await rpc(house, house.kid, 'remove', { criteria: { tlid: [tlid] } })
          expect(error === undefined).toBe(track.uri === songs[0])
        }
        expect([count(0), count(1)]).toEqual([0, 5])
        ws.close()
        mpd.close()
      },
    },
    {
      id: 'Q9',
      attack: 'a second account that helps the first',
      reaches,
      async run(house) {
        empty(house)
        const leo = house.person('kid')
        await add(house, house.kid, 0, 1, 2)
        await add(house, leo, 3)
        expect((await rpc(house, leo, 'clear')).error?.message).toMatch('queue own')
        const id = idOf(house, 0)
        expect((await rpc(house, leo, 'remove', { criteria: { tlid: [id] } })).error?.message).toMatch('queue own')
        // Each has three, and all together twelve.
        for (let i = 0; i < 5; i++) await rpc(house, house.person('kid'), 'add', { uris: [songs[4], songs[5]] })
        expect(uris(house)).toHaveLength(12)
      },
    },
    {
      id: 'Q10',
      attack: 'what the player itself or another remote put there, taken for their own',
      reaches,
      async run(house) {
        empty(house)
        house.demo.state.add([songs[0] ?? ''])
        await add(house, house.kid, 1)
        house.demo.state.add([songs[2] ?? ''])
        await add(house, house.kid, 3)
        for (const index of [0, 2]) {
          const criteria = { tlid: [idOf(house, index)] }
          expect((await rpc(house, house.kid, 'remove', { criteria })).error?.message).toMatch('queue own')
        }
        expect((await rpc(house, house.kid, 'remove', { criteria: { tlid: [idOf(house, 1)] } })).error).toBeUndefined()
        // By its address they would take out one that is not theirs.
        house.demo.state.add([songs[3] ?? ''])
        const criteria = { uri: [songs[3]] }
        expect((await rpc(house, house.kid, 'remove', { criteria })).error?.message).toMatch('queue own')
      },
    },
    {
      id: 'Q11',
      attack: 'a player that hung up meanwhile, whose ids may mean something else',
      reaches,
      disturbs: true,
      async run(house) {
        empty(house)
        await add(house, house.kid, 0)
        house.demo.faults.crash = true
        await rpc(house, house.member, 'get_length')
        delete house.demo.faults.crash
        await until(async () => (await rpc(house, house.member, 'get_length')).error === undefined)
        const criteria = { tlid: [idOf(house, 0)] }
        expect((await rpc(house, house.kid, 'remove', { criteria })).error?.message).toMatch('queue own')
        expect(uris(house)).toEqual([songs[0]])
      },
    },
    {
      id: 'Q12',
      attack: 'a player that does not tell what is in its queue',
      reaches,
      async run(house) {
        empty(house)
        house.demo.faults.only = /get_version|get_length/
        house.demo.faults.traceback = true
        house.demo.faults.nan = true
        const { error } = await rpc(house, house.kid, 'add', { uris: [songs[0]] })
        expect(error).toBeDefined()
        expect(uris(house)).toEqual([])
      },
      disturbs: true,
    },
    {
      id: 'Q13',
      attack: 'an album as one of six, by somebody with a quota',
      reaches,
      async run(house) {
        empty(house)
        const { result } = await rpc(house, house.guest, 'add', { uris: [album] })
        expect(result).toHaveLength(5)
        await add(house, house.guest, 7)
        expect((await rpc(house, house.guest, 'add', { uris: [songs[8]] })).error?.message).toMatch('6 queue.add')
        expect(uris(house)).toHaveLength(6)
      },
    },
  ],
  open,
)
