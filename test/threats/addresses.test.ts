import { expect } from 'vitest'
import type { mopidy } from '../../src/protocol/mopidy/catalog.ts'
import { call, openMpd, openWs, post } from './clients.ts'
import { evil } from './evil.ts'
import { attack, type House, type HouseOptions, heard, openHouse } from './harness.ts'

const song = 'local:track:Demo/01.flac'

/** What names stand for in the network of these tests. */
const names: Readonly<Record<string, readonly string[]>> = {
  'radio.example': ['93.184.216.34', '2606:2800:220:1::1'],
  'two-faced.example': ['93.184.216.34', '10.0.0.1'],
  'inside.example': ['192.168.1.5'],
  'itself.example': ['::1'],
  'metadata.example': ['::ffff:169.254.169.254'],
  'link.example': ['fe80::1%eth0'],
  'nas.local': ['192.168.1.5'],
}

const openNamed = (options: HouseOptions) =>
  openHouse({
    ...options,
    lookup: async (name) => {
      const found = names[name]
      if (!found) throw Object.assign(new Error(name), { code: 'ENOTFOUND' })
      return found.map((address) => ({ address }))
    },
    change: (config) => ({
      ...config,
      roles: {
        ...config.roles,
        keeper: {
          grants: [
            { allow: ['*'] },
            { allow: ['*'], when: { uris: { allow: ['local:', 'm3u:', 'http://nas.local/music/'] } } },
          ],
        },
        trier: { mode: 'observe', grants: [{ allow: ['status.read'] }] },
      } as typeof config.roles,
    }),
  })

const track = (uri: string) => ({ __model__: 'Track', uri })
const saved = (uri: string) => ({
  playlist: { __model__: 'Playlist', uri: 'm3u:a.m3u8', name: 'a', tracks: [track(song), track(uri)] },
})
/** The methods that take an address which is not the name of a playlist, with one in each place. */
const methods: readonly [keyof typeof mopidy, (uri: string) => unknown][] = [
  ['core.library.browse', (uri) => ({ uri })],
  ['core.library.get_images', (uri) => ({ uris: [song, uri] })],
  ['core.library.lookup', (uri) => [[uri]]],
  ['core.library.refresh', (uri) => ({ uri })],
  ['core.library.search', (uri) => ({ query: { any: ['a'] }, uris: [uri] })],
  ['core.library.search', (uri) => ({ query: { uri: [uri] } })],
  ['core.playlists.save', saved],
  ['core.tracklist.add', (uri) => ({ uris: [song, song, song, song, uri] })],
  ['core.tracklist.filter', (uri) => ({ criteria: { uri: [uri] } })],
]

const commands: readonly ((uri: string) => string)[] = [
  ...[
    'add',
    'addid',
    'lsinfo',
    'listall',
    'listallinfo',
    'listfiles',
    'readcomments',
    'getfingerprint',
    'update',
    'rescan',
  ],
  ...['playlistadd x', 'mount x', 'sticker list song'],
].map((command) => (uri: string) => `${command} "${uri}"`)

const quoted = (uri: string) => uri.replaceAll('\\', '\\\\')

/** The playlist as somebody put it there past the gateway. */
function store({ demo }: House, name: string, uris: readonly string[]): void {
  demo.state.savePlaylist(`m3u:${name}.m3u8`, name, uris.map(track) as never)
}

const queueOf = ({ demo }: House) => demo.state.queue.map(({ track }) => track.uri)

attack(
  'Addresses',
  [
    {
      id: 'D1',
      attack: 'this machine, this network and what tells secrets, in every spelling, by every method, by the owner',
      async run(house) {
        const ws = await openWs(house, { token: house.owner.token })
        for (const uri of evil) {
          for (const [method, params] of methods) {
            const { error } = await ws.rpc({ jsonrpc: '2.0', id: 1, method, params: params(uri) })
            expect([-32003, -32602], `${method} ${uri}`).toContain(error?.code)
          }
        }
        ws.close()
        for (const uri of evil) {
          const code = await call(house, house.owner.token, 'core.library.lookup', { uris: [uri] })
          expect([-32003, -32602], uri).toContain(code)
        }
        expect(heard(house).filter((line) => /library|tracklist|playlists/.test(line))).toEqual([])
      },
    },
    {
      id: 'D2',
      attack: 'the same by every command of MPD, by the owner',
      async run(house) {
        const mpd = await openMpd(house, house.owner)
        for (const uri of evil) {
          for (const command of commands) {
            const line = command(quoted(uri))
            expect(await mpd.ask(`${line}\n`), line).toMatch(/^ACK \[[24]@0\]/)
          }
          for (const command of ['find', 'search', 'list album', 'count', 'playlistfind']) {
            const line = `${command} "(file == '${quoted(quoted(uri))}')"`
            expect(await mpd.ask(`${line}\n`), line).toMatch(/^ACK \[[24]@0\]/)
          }
        }
        mpd.close()
      },
    },
    {
      id: 'D3',
      attack: 'a name for it, or for it among others, or for nothing',
      reaches: [/^core\.library\.lookup \{"uris":\["http:\/\/radio\.example\/"\]\}$/],
      async run(house) {
        const look = (name: string) =>
          call(house, house.owner.token, 'core.library.lookup', { uris: [`http://${name}/`] })
        for (const name of [...Object.keys(names).slice(1), 'nowhere.example', 'LOCALHOST', 'x.localhost.']) {
          expect(await look(name), name).toBe(-32003)
        }
        expect(await look('radio.example')).toBe(0)
      },
    },
    {
      id: 'D4',
      attack: 'one among many: a batch, a list, a model within a model',
      reaches: [/^core\.tracklist\.add \{"uris":\["local:track:Demo\/01\.flac"\]\}$/],
      async run(house) {
        const [bad] = evil
        const add = (uri: string, id: number) => ({
          jsonrpc: '2.0',
          id,
          method: 'core.tracklist.add',
          params: { uris: [uri] },
        })
        const batch = await post(house, house.owner.token, JSON.stringify([add(song, 1), add(bad ?? '', 2)]))
        expect(batch.json[1]).toMatchObject({ id: 2, error: { code: -32003 } })
        const deep = { ...track(song), album: { __model__: 'Album', artists: [{ __model__: 'Artist', uri: bad }] } }
        const playlist = { __model__: 'Playlist', uri: 'm3u:a.m3u8', name: 'a', tracks: [deep] }
        expect(await call(house, house.owner.token, 'core.playlists.save', { playlist })).toBe(-32003)
        const mpd = await openMpd(house, house.owner)
        const list = `command_list_begin\nadd "${song}"\nadd "${bad}"\ncommand_list_end\n`
        expect(await mpd.ask(list)).toMatch(/^ACK \[4@1\] \{add\}/)
        mpd.close()
      },
    },
    {
      id: 'D5',
      attack: 'a playlist that somebody else made: the fifth entry leads astray',
      reaches: [/^(?:listplaylist|load|listplaylistinfo) "(?:bad|good)"$/],
      async run(house) {
        const good = [song]
        const mpd = await openMpd(house, house.owner)
        for (const uri of [...evil.slice(0, 20), 'http://inside.example/', 'http://nowhere.example/']) {
          store(house, 'bad', [...good, ...good, ...good, ...good, uri])
          for (const command of ['load "bad"', 'load "bad" 0:2', 'listplaylistinfo "bad"']) {
            expect(await mpd.ask(`${command}\n`), `${command} ${uri}`).toMatch(/^ACK \[4@0\] .* not allowed: uris/)
          }
        }
        expect(heard(house).filter((line) => /^load|^listplaylistinfo/.test(line))).toEqual([])
        store(house, 'good', good)
        expect(await mpd.ask('load "good"\n')).toBe('OK\n')
        mpd.close()
      },
    },
    {
      id: 'D6',
      attack: 'a playlist that is made and loaded in one list, or changed while another loads it',
      reaches: [/^(?:listplaylist|load) "swapped"$/, /^core\.playlists\.save /],
      async run(house) {
        const keeper = house.person('keeper')
        const mpd = await openMpd(house, keeper)
        const list = 'command_list_begin\nplaylistadd "x" "http://nas.local/music/a"\nload "x"\ncommand_list_end\n'
        expect(await mpd.ask(list)).toMatch(/^ACK \[4@1\] \{load\}/)
        mpd.close()

        store(house, 'swapped', [song])
        const loader = await openMpd(house, house.owner)
        const save = async (uri: string) => {
          const playlist = { __model__: 'Playlist', uri: 'm3u:swapped.m3u8', name: 'swapped', tracks: [track(uri)] }
          expect(await call(house, keeper.token, 'core.playlists.save', { playlist })).toBe(0)
        }
        const swap = async () => {
          for (let round = 0; round < 20; round++) await save(round % 2 ? song : 'http://nas.local/music/a')
        }
        const load = async () => {
          for (let round = 0; round < 40; round++) await loader.ask('load "swapped"\n')
        }
        await Promise.all([swap(), load()])
        loader.close()
        // The player does as it is told in its order: what it had when it was to load is what was looked up.
        expect(queueOf(house).filter((uri) => uri.startsWith('http'))).toEqual([])
      },
    },
    {
      id: 'D7',
      attack: 'beyond the one host that a grant names',
      reaches: [
        /^core\.library\.lookup \{"uris":\["(?:http:\/\/nas\.local\/music\/a|HTTP:\/\/NAS\.local\.:80\/music\/a)"\]\}$/,
      ],
      async run(house) {
        const keeper = house.person('keeper')
        const look = (uri: string) => call(house, keeper.token, 'core.library.lookup', { uris: [uri] })
        for (const uri of ['http://nas.local/music/a', 'HTTP://NAS.local.:80/music/a'])
          expect(await look(uri), uri).toBe(0)
        for (const uri of [
          ...[
            'http://nas.local/',
            'http://nas.local/musical',
            'http://nas.local/music%2Fa',
            'http://nas.local//music/a',
          ],
          ...['http://nas.local:8080/music/a', 'https://nas.local/music/a', 'ftp://nas.local/music/a'],
          ...['http://x.nas.local/music/a', 'http://192.168.1.5/music/a', 'http://nas.local@10.0.0.1/music/a'],
          ...['http://10.0.0.1/?http://nas.local/music/a', 'http://nas.local\\@10.0.0.1/music/a'],
        ]) {
          expect([-32003, -32602], uri).toContain(await look(uri))
        }
        expect(
          await call(house, house.owner.token, 'core.library.lookup', { uris: ['http://nas.local/music/a'] }),
        ).toBe(-32003)
      },
    },
    {
      id: 'D8',
      attack: 'by somebody who is only observed, and may do nothing of it',
      reaches: [/^core\.library\.lookup \{"uris":\["local:track:Demo\/01\.flac"\]\}$/, /^listplaylist "tried"$/],
      async run(house) {
        const trier = house.person('trier')
        expect(await call(house, trier.token, 'core.library.lookup', { uris: [song] })).toBe(0)
        for (const uri of evil) {
          expect([-32003, -32602], uri).toContain(
            await call(house, trier.token, 'core.library.lookup', { uris: [uri] }),
          )
        }
        store(house, 'tried', [song, 'http://10.0.0.1/'])
        const mpd = await openMpd(house, trier)
        expect(await mpd.ask('load "tried"\n')).toMatch(/^ACK \[4@0\] .* not allowed: uris/)
        mpd.close()
      },
    },
  ],
  openNamed,
)
