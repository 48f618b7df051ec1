import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest'
import { connectMpd, connectRpc, type MpdClient, type RpcClient, unmask } from './clients.ts'
import { type Gateway, startGateway } from './gateway.ts'
import { tunes } from './library.ts'
import { type Mopidy, startMopidy } from './mopidy.ts'
import { startTap, type Tap, until } from './tools.ts'

let mopidy: Mopidy
let taps: { http: Tap; mpd: Tap }
let gateway: Gateway
const tokens: Record<string, string> = {}
const mpd: Record<string, MpdClient> = {}
const ws: Record<string, RpcClient> = {}
const track = tunes[0]?.uri ?? ''

const people = { ada: 'owner', mia: 'member', gus: 'guest', kim: 'kid' } as const
/** What reached the player; that the gateway goes on watching it is nobody's doing. */
const bytes = () =>
  unmask(taps.http.bytes()) +
  taps.mpd
    .bytes()
    .toString()
    .replace(/^idle\n/gm, '')
const http = (who: string, method: string, params?: unknown) =>
  gateway.rpc(tokens[who] ?? '', { jsonrpc: '2.0', id: 1, method, ...(params !== undefined && { params }) })

describe.skipIf(!inject('real').available)('the doors, in front of a real Mopidy', () => {
  beforeAll(async () => {
    mopidy = await startMopidy()
    taps = { http: await startTap('127.0.0.1', mopidy.httpPort), mpd: await startTap('127.0.0.1', mopidy.mpdPort) }
    gateway = await startGateway({
      players: {
        home: { kind: 'mopidy', http: `http://127.0.0.1:${taps.http.port}`, mpd: `127.0.0.1:${taps.mpd.port}` },
      },
      users: people,
      // The suite asks far more than a person does; rates have tests of their own.
      change: (config) => {
        for (const role of Object.values(config.roles)) delete role.rates
      },
    })
    await until(async () => (await gateway.http('/readyz')).status === 200)
    for (const name of Object.keys(people)) {
      const token = gateway.token(name)
      tokens[name] = token
      mpd[name] = await connectMpd(gateway, token)
      ws[name] = await connectRpc(gateway, token)
    }
  })

  afterAll(async () => {
    for (const client of [...Object.values(mpd), ...Object.values(ws)]) client.close()
    await gateway?.stop()
    await taps?.http.close()
    await taps?.mpd.close()
    await mopidy?.stop()
  })

  beforeEach(async () => {
    await mopidy.rpc('core.playback.stop')
    await mopidy.rpc('core.tracklist.clear')
    await mopidy.rpc('core.mixer.set_volume', [20])
    taps.http.clear()
    taps.mpd.clear()
  })

  /** The same wish through each door; the answer as text. */
  const doors = {
    http: async (who: string, { method, params }: Wish) => JSON.stringify(await http(who, method, params)),
    websocket: async (who: string, { method, params }: Wish) => JSON.stringify(await ws[who]?.call(method, params)),
    mpd: async (who: string, { line }: Wish) => (await mpd[who]?.ask(`${line}\n`)) ?? '',
  } as const
  type DoorName = keyof typeof doors
  const doorNames = Object.keys(doors) as DoorName[]

  interface Wish {
    readonly method: string
    readonly params?: unknown
    readonly line: string
    /** What of it would be seen at the player. */
    readonly mark: { readonly rpc: RegExp; readonly mpd: RegExp }
  }
  const wishes = {
    volume: (level: number): Wish => ({
      method: 'core.mixer.set_volume',
      params: [level],
      line: `setvol ${level}`,
      mark: { rpc: new RegExp(`set_volume.*${level}`), mpd: new RegExp(`setvol "${level}"`) },
    }),
    clear: { method: 'core.tracklist.clear', line: 'clear', mark: { rpc: /tracklist\.clear/, mpd: /^clear$/m } },
    next: { method: 'core.playback.next', line: 'next', mark: { rpc: /playback\.next/, mpd: /^next$/m } },
    pause: { method: 'core.playback.pause', line: 'pause 1', mark: { rpc: /playback\.pause/, mpd: /^pause "1"$/m } },
    add: (uri: string): Wish => ({
      method: 'core.tracklist.add',
      params: { uris: [uri] },
      line: `add "${uri}"`,
      mark: { rpc: /tracklist\.add/, mpd: /^add / },
    }),
    refresh: { method: 'core.library.refresh', line: 'update', mark: { rpc: /library\.refresh/, mpd: /^update/m } },
  } as const satisfies Record<string, Wish | ((value: never) => Wish)>

  const refused = (door: DoorName, answer: string) =>
    door === 'mpd'
      ? expect(answer).toMatch(/^ACK \[4@0\] \{\w+\} you don't have permission/)
      : expect(answer).toContain('-32003')
  const accepted = (answer: string) => expect(answer).not.toMatch(/ACK|"error"/)

  describe.each(doorNames)('a member through the %s door', (door) => {
    const as = (wish: Wish) => doors[door]('mia', wish)

    test('plays, queues, searches and sets the volume, and Mopidy says so', async () => {
      const search = { method: 'core.library.search', params: { query: { any: ['dawn'] } }, line: 'search any dawn' }
      const found = await as({ ...search, mark: { rpc: /search/, mpd: /search/ } })
      expect(found).toContain('local:track:')

      accepted(await as(wishes.add(track)))
      expect(await mopidy.rpc('core.tracklist.get_length')).toBe(1)

      accepted(await as({ method: 'core.playback.play', line: 'play', mark: { rpc: /play/, mpd: /play/ } }))
      await until(async () => (await mopidy.rpc('core.playback.get_state')) === 'playing')

      accepted(await as(wishes.volume(33)))
      expect(await mopidy.rpc('core.mixer.get_volume')).toBe(33)

      accepted(await as(wishes.pause))
      await until(async () => (await mopidy.rpc('core.playback.get_state')) === 'paused')
    })
  })

  describe.each(doorNames)('for each role the %s door lets through what it may and nothing else', (door) => {
    const cases: [who: keyof typeof people, allowed: Wish, denied: Wish | undefined][] = [
      ['ada', wishes.refresh, undefined],
      ['mia', wishes.clear, wishes.add('file:///etc/passwd')],
      ['gus', wishes.add('local:track:x.flac'), wishes.clear],
      ['kim', wishes.pause, wishes.next],
    ]
    test.each(cases)('%s', async (who, allowed, denied) => {
      const mark = (wish: Wish) => (door === 'mpd' ? wish.mark.mpd : wish.mark.rpc)
      if (denied) {
        refused(door, await doors[door](who, denied))
        expect(bytes()).not.toMatch(mark(denied))
      }
      await doors[door](who, allowed)
      expect(bytes()).toMatch(mark(allowed))
    })
  })

  describe('kid with maxVolume 40', () => {
    test.each(doorNames)('%s: 41 is refused and never arrives, 40 passes', async (door) => {
      refused(door, await doors[door]('kim', wishes.volume(41)))
      expect(bytes()).not.toMatch(/set_?vol/)
      accepted(await doors[door]('kim', wishes.volume(40)))
      expect(await mopidy.rpc('core.mixer.get_volume')).toBe(40)
    })

    test('by name', async () => {
      expect(await http('kim', 'core.mixer.set_volume', { volume: 41 })).toMatchObject({
        error: {
          code: -32003,
          data: { code: 'forbidden', capability: 'volume.set', rule: expect.stringContaining('maxVolume') },
        },
      })
      expect(await ws.kim?.call('core.mixer.set_volume', { volume: 41 })).toMatchObject({ error: { code: -32003 } })
      expect(await http('kim', 'core.mixer.set_volume', { volume: 40 })).toMatchObject({ result: true })
    })

    test('in a batch: the one is refused, the others go', async () => {
      const batch = [41, 39, 100].map((volume, id) => ({
        jsonrpc: '2.0',
        id,
        method: 'core.mixer.set_volume',
        params: [volume],
      }))
      expect(await gateway.rpc(tokens.kim ?? '', batch)).toMatchObject([
        { id: 0, error: { code: -32003 } },
        { id: 1, result: true },
        { id: 2, error: { code: -32003 } },
      ])
      expect(await mopidy.rpc('core.mixer.get_volume')).toBe(39)
      expect(bytes()).not.toMatch(/set_volume[^\n]*(41|100)/)
    })

    test('in a notification: nothing is answered, nothing arrives', async () => {
      expect(
        await gateway.rpc(tokens.kim ?? '', { jsonrpc: '2.0', method: 'core.mixer.set_volume', params: [41] }),
      ).toBeUndefined()
      expect(bytes()).not.toMatch(/set_volume/)
    })

    test('in a command list: one ACK with its place, and not a byte of the list arrives', async () => {
      const answer = await mpd.kim?.ask('command_list_begin\nstatus\nsetvol 10\nsetvol 41\nstatus\ncommand_list_end\n')
      expect(answer).toMatch(/^ACK \[4@2\] \{setvol\} you don't have permission/)
      expect(bytes()).toBe('')
      expect(await mpd.kim?.ask('ping\n')).toBe('OK\n')
    })

    test.each(['volume +30', 'setvol 041', 'setvol +41', 'setvol 4_1', 'setvol "41"', 'setvol 1e2', 'setvol ٤١'])(
      'spelt %s',
      async (line) => {
        expect(await mpd.kim?.ask(`${line}\n`)).toMatch(/^ACK/)
        expect(bytes()).not.toMatch(/set_?vol|volume +/)
      },
    )
  })

  describe.each(['file:///etc/passwd', 'http://127.0.0.1:6680/', 'gopher://x/', 'FILE:///etc/passwd', 'nosuch:thing'])(
    '%s is refused for roles with uriSchemes',
    (uri) => {
      const roles = ['mia', 'gus', 'kim'] as const
      const rpcCalls: [string, unknown][] = [
        ['core.tracklist.add', { uris: [uri] }],
        ['core.tracklist.add', [null, null, [track, uri]]],
        ['core.tracklist.add', { tracks: [{ __model__: 'Track', uri }], uris: [track] }],
        ['core.library.lookup', { uris: [uri] }],
        ['core.library.get_images', { uris: [uri] }],
        ['core.library.browse', { uri }],
      ]
      test.each(roles)('%s · JSON-RPC', async (who) => {
        for (const [method, params] of rpcCalls) {
          expect(await http(who, method, params), method).toMatchObject({ error: { code: -32003 } })
          expect(await ws[who]?.call(method, params), method).toMatchObject({ error: { code: -32003 } })
        }
        expect(bytes()).not.toContain(uri)
        expect(await mopidy.rpc('core.tracklist.get_length')).toBe(0)
      })

      test.each(roles)('%s · MPD', async (who) => {
        for (const line of [
          `add "${uri}"`,
          `addid "${uri}"`,
          // Without a slash it is the name of a playlist, and may be looked for.
          ...(uri.includes('/') ? [`load "${uri}"`] : []),
          `lsinfo "${uri}"`,
          `albumart "${uri}" 0`,
        ]) {
          expect(await mpd[who]?.ask(`${line}\n`), line).toMatch(/^ACK \[[24]@0\]/)
        }
        expect(await mpd[who]?.ask(`command_list_begin\nstatus\nadd "${uri}"\ncommand_list_end\n`)).toMatch(
          /^ACK \[4@1\]/,
        )
        expect(bytes()).not.toContain(uri)
      })

      test('a member · in a playlist to be saved, however deep', async () => {
        const playlist = (tracks: unknown) => ({
          playlist: { __model__: 'Playlist', uri: 'm3u:test.m3u8', name: 'test', tracks },
        })
        const deep = [
          [{ __model__: 'Track', uri }],
          [{ __model__: 'Track', uri: track, album: { __model__: 'Album', uri } }],
          [{ __model__: 'Track', uri: track, artists: [{ __model__: 'Artist', uri }] }],
          [{ __model__: 'Track', uri: track, album: { __model__: 'Album', artists: [{ __model__: 'Artist', uri }] } }],
        ]
        for (const tracks of deep) {
          expect(await http('mia', 'core.playlists.save', playlist(tracks))).toMatchObject({ error: { code: -32003 } })
        }
        expect(bytes()).not.toContain('playlists.save')
        const fine = await http('mia', 'core.playlists.save', playlist([{ __model__: 'Track', uri: track }]))
        expect(JSON.stringify(fine)).not.toContain('-32003')
        expect(bytes()).toContain('playlists.save')
      })
    },
  )

  describe('one door does not trouble another', () => {
    test('clients of different roles keep their ids and answers apart', async () => {
      const answers = await Promise.all(
        Array.from({ length: 50 }, async (_, i) => {
          const who = i % 2 === 0 ? 'mia' : 'gus'
          return (await ws[who]?.call(i % 3 === 0 ? 'core.playback.get_state' : 'core.mixer.get_volume'))?.result
        }),
      )
      expect(answers).toEqual(Array.from({ length: 50 }, (_, i) => (i % 3 === 0 ? 'stopped' : 20)))
    })

    test('a volume change by MPD is an event on the WebSocket and wakes an idle MPD client', async () => {
      const idler = await connectMpd(gateway, tokens.gus)
      const woken = idler.ask('idle mixer\n')
      const before = ws.kim?.events.length ?? 0
      await new Promise((resolve) => setTimeout(resolve, 300))
      await mpd.mia?.ask('setvol 25\n')
      expect(await woken).toBe('changed: mixer\nOK\n')
      await until(() => ws.kim?.events.slice(before).some((e) => e.event === 'volume_changed' && e.volume === 25))
      idler.close()
    })
  })
})
