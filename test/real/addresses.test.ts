import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest'
import { connectMpd, connectRpc, type MpdClient, type RpcClient } from './clients.ts'
import { type Gateway, startGateway } from './gateway.ts'
import { tunes } from './library.ts'
import { type Mopidy, startMopidy } from './mopidy.ts'
import { mpcAt } from './mpc.ts'
import { type Mpd, startMpd } from './mpd.ts'

let mopidy: Mopidy
let mpd: Mpd
let gateway: Gateway
const tokens: Record<string, string> = {}
const people = { ada: 'owner', mia: 'member', kim: 'kid', nora: 'keeper' } as const
type Person = keyof typeof people

/** A host of this machine that nobody is to ask anything. */
const asked: string[] = []
const tripwire = createServer((request, response) => {
  asked.push(`${request.method} ${request.url}`)
  response.writeHead(200, { 'content-type': 'audio/x-mpegurl' }).end('#EXTM3U\n')
})
let trap = ''

const four = (key: 'uri' | 'path') => tunes.slice(0, 4).map((tune) => tune[key])
/** Playlists as they may come from anywhere: the fifth entry is the one that leads astray. */
const lists = (key: 'uri' | 'path'): Readonly<Record<string, string>> => {
  const good = four(key).join('\n')
  return {
    clean: `${good}\n`,
    metadata: `${good}\nhttp://169.254.169.254/\n`,
    trapped: `${good}\n${trap}\n`,
    described: `#EXTM3U\n#EXTINF:-1,${tunes[0]?.title}\n${good}\n#EXTINF:-1,A song\n${trap}\n`,
    named: `${good}\n${trap.replace('127.0.0.9', 'localhost')}\n`,
    spelled: `${good}\n${trap.replace('127.0.0.9', '2130706441')}\n`,
    returned: `${good}\r\n${trap}\r\n`,
    parted: `${good}\nlocal:track:a${'\r'}${trap}\n`,
    nested: `${good}\nm3u:trapped.m3u8\n`,
    climbing: `${good}\n../../../../etc/passwd\n`,
    filed: `${good}\nfile:///etc/passwd\n`,
    long: `${Array.from({ length: 2_400 }, () => good).join('\n')}\n${trap}\n`,
  }
}
const astray = ['metadata', 'trapped', 'described', 'named', 'spelled', 'returned', 'parted', 'long']

const houses = [
  {
    player: 'home',
    key: 'uri',
    queue: async () =>
      ((await mopidy.rpc('core.tracklist.get_tl_tracks')) as { track: { uri: string } }[]).map(
        ({ track }) => track.uri,
      ),
    clear: () => mopidy.rpc('core.tracklist.clear'),
  },
  {
    player: 'den',
    key: 'path',
    queue: async () =>
      (await mpcAt(mpd.port)(['--format', '%file%', 'playlist'])).stdout.split('\n').filter((line) => line !== ''),
    clear: () => mpcAt(mpd.port)(['clear']),
  },
] as const

describe.skipIf(!inject('real').available)('addresses, in front of a real Mopidy and a real MPD', () => {
  beforeAll(async () => {
    await new Promise<void>((resolve) => tripwire.listen(0, '0.0.0.0', resolve))
    trap = `http://127.0.0.9:${(tripwire.address() as AddressInfo).port}/radio`
    ;[mopidy, mpd] = await Promise.all([startMopidy(), startMpd()])
    for (const [name, text] of Object.entries(lists('uri'))) {
      writeFileSync(join(mopidy.folder, 'playlists', `${name}.m3u8`), text)
    }
    for (const [name, text] of Object.entries(lists('path'))) {
      writeFileSync(join(mpd.folder, 'playlists', `${name}.m3u`), text)
    }
    gateway = await startGateway({
      players: { home: { kind: 'mopidy', http: mopidy.http, mpd: mopidy.mpd }, den: { kind: 'mpd', mpd: mpd.mpd } },
      users: people,
      change(config) {
        const roles = config.roles as Record<string, unknown>
        roles.kid = { grants: [{ allow: ['*'], when: { uris: { allow: ['local:', 'path:'] } } }] }
        // Whoever keeps the house's own radio may, and nobody else.
        roles.keeper = { grants: [{ allow: ['*'] }, { allow: ['*'], when: { uris: { allow: ['local:', trap] } } }] }
      },
    })
    for (const name of Object.keys(people)) tokens[name] = gateway.token(name)
  }, 120_000)
  afterAll(async () => {
    await gateway?.stop()
    await Promise.all([mopidy?.stop(), mpd?.stop()])
    await new Promise((resolve) => tripwire.close(resolve))
  })
  beforeEach(async () => {
    await Promise.all(houses.map(({ clear }) => clear()))
    asked.length = 0
  })

  const enter = async (name: Person, player: string): Promise<MpdClient> => {
    const client = await connectMpd(gateway, tokens[name] ?? '')
    if (player !== 'home') expect(await client.ask(`partition "${player}"\n`)).toBe('OK\n')
    return client
  }

  describe.each(houses)('$player', ({ player, key, queue }) => {
    test.each(astray)('a playlist that leads astray by its fifth entry (%s) is loaded by nobody', async (name) => {
      for (const person of ['ada', 'kim'] as const) {
        const client = await enter(person, player)
        for (const command of ['load', 'listplaylistinfo']) {
          expect(await client.ask(`${command} "${name}"\n`), `${person} ${command}`).toMatch(
            /^ACK \[4@0\] .* not allowed: uris|^ACK \[52@0\] .* control character/,
          )
        }
        expect(await client.ask(`load "${name}" 0:2\n`)).toMatch(/^ACK \[(?:4|52)@0\]/)
        client.close()
      }
      expect([await queue(), asked]).toEqual([[], []])
    })

    test('a playlist of files and of paths out of the library brings nothing of those to who has none', async () => {
      const client = await enter('kim', player)
      for (const name of ['filed', 'climbing', 'nested']) {
        // MPD leaves out of some what is not in its library, and says nothing of it.
        expect(await client.ask(`load "${name}"\n`), name).toMatch(
          player === 'home' ? /^ACK \[4@0\]/ : /^ACK \[4@0\]|^OK/,
        )
      }
      client.close()
      expect(new Set(await queue()).difference(new Set<string>(four(key)))).toEqual(new Set())
      expect(asked).toEqual([])
    })

    test('a clean one is loaded, and one that is not there is told as such', async () => {
      for (const person of ['ada', 'kim'] as const) {
        const client = await enter(person, player)
        expect(await client.ask('load "clean"\n')).toBe('OK\n')
        expect(await client.ask('load "nowhere"\n')).toMatch(/^ACK \[50@0\] \{load\}/)
        expect(await client.ask('listplaylistinfo "clean"\n')).toMatch(/^file: [\s\S]*\nOK\n$/)
        client.close()
      }
      expect(await queue()).toEqual([...four(key), ...four(key)])
    })

    test('what a search finds is added, by a kid too', async () => {
      const client = await enter('kim', player)
      expect(await client.ask(`findadd title "${tunes[0]?.title}"\n`)).toBe('OK\n')
      expect(await client.ask(`searchadd title "${tunes[1]?.title}"\n`)).toBe('OK\n')
      client.close()
      expect(await queue()).toEqual([tunes[0]?.[key], tunes[1]?.[key]])
    })

    test('a list that changes a playlist and then loads it is refused whole', async () => {
      const client = await enter('nora', player)
      const list = `command_list_begin\nplaylistadd "mine" "${four(key)[0]}"\nload "mine"\ncommand_list_end\n`
      expect(await client.ask(list)).toMatch(/^ACK \[4@1\] \{load\}/)
      const renamed =
        'command_list_begin\nrename "clean" "x"\nrename "trapped" "clean"\nload "clean"\ncommand_list_end\n'
      expect(await client.ask(renamed)).toMatch(/^ACK \[4@2\] \{load\}/)
      client.close()
      expect([await queue(), asked]).toEqual([[], []])
    })

    test('who swaps playlists while others load them gets nothing loaded that is not clean', async () => {
      const [swapper, loader] = await Promise.all([enter('nora', player), enter('kim', player)])
      const swap = async () => {
        for (let round = 0; round < 12; round++) {
          await swapper.ask('rename "clean" "kept"\n')
          await swapper.ask('rename "trapped" "clean"\n')
          await swapper.ask('rename "clean" "trapped"\n')
          await swapper.ask('rename "kept" "clean"\n')
        }
      }
      const load = async () => {
        for (let round = 0; round < 24; round++) await loader.ask('load "clean"\n')
      }
      await Promise.all([swap(), load()])
      swapper.close()
      loader.close()
      expect((await queue()).filter((uri) => uri.includes('127.0.0.9'))).toEqual([])
      expect(asked).toEqual([])
    })
  })

  describe('over JSON-RPC', () => {
    let rpc: RpcClient
    const open = async (name: Person) => {
      rpc = await connectRpc(gateway, tokens[name] ?? '')
      return rpc
    }
    const uri = 'm3u:trapped.m3u8'

    test('Mopidy itself adds nothing for the address of a playlist, and reads one without going anywhere', async () => {
      expect(await mopidy.rpc('core.tracklist.add', { uris: [uri] })).toEqual([])
      expect(await mopidy.rpc('core.library.lookup', { uris: [uri] })).toEqual({ [uri]: [] })
      expect(await mopidy.rpc('core.playlists.get_items', { uri })).toHaveLength(5)
      expect(await mopidy.rpc('core.playlists.lookup', { uri })).toMatchObject({ tracks: { length: 5 } })
      expect(asked).toEqual([])
    })

    test('each address of a playlist is judged when it is added, alone, among others and in a batch', async () => {
      await open('ada')
      const error = { error: { code: -32003, message: expect.stringContaining('uris') } }
      expect(await rpc.call('core.tracklist.add', { uris: [trap] })).toMatchObject(error)
      expect(await rpc.call('core.tracklist.add', { uris: [...four('uri'), trap] })).toMatchObject(error)
      expect(await rpc.call('core.library.lookup', { uris: [trap.replace('127.0.0.9', 'localhost')] })).toMatchObject(
        error,
      )
      const playlist = { __model__: 'Playlist', uri: 'm3u:a.m3u8', tracks: [{ __model__: 'Track', uri: trap }] }
      expect(await rpc.call('core.playlists.save', { playlist })).toMatchObject(error)
      rpc.close()
      expect([await houses[0].queue(), asked]).toEqual([[], []])
    })

    test('where a grant names the very host Mopidy goes there, so the tripwire is one', async () => {
      await open('nora')
      await rpc.call('core.library.lookup', { uris: [trap] })
      expect(asked.length).toBeGreaterThan(0)
      const before = asked.length
      const other = trap.replace('127.0.0.9', '127.0.0.10')
      expect(await rpc.call('core.library.lookup', { uris: [other] })).toMatchObject({ error: { code: -32003 } })
      expect(asked).toHaveLength(before)
      rpc.close()
    })

    test('a playlist that is saved while it is loaded is loaded as it was looked up, or not at all', async () => {
      const [saver, loader] = await Promise.all([open('nora'), enter('kim', 'home')])
      const playlist = (tracks: readonly string[]) => ({
        ...{ __model__: 'Playlist', uri: 'm3u:swapped.m3u8', name: 'swapped' },
        tracks: tracks.map((track) => ({ __model__: 'Track', uri: track })),
      })
      const save = async () => {
        for (let round = 0; round < 12; round++) {
          await saver.call('core.playlists.save', { playlist: playlist([...four('uri'), trap]) })
          await saver.call('core.playlists.save', { playlist: playlist(four('uri')) })
        }
      }
      const load = async () => {
        for (let round = 0; round < 24; round++) await loader.ask('load "swapped"\n')
      }
      await Promise.all([save(), load()])
      saver.close()
      loader.close()
      const found = await houses[0].queue()
      expect(found.length).toBeGreaterThan(0)
      expect(found.filter((each) => each.includes('127.0.0.9'))).toEqual([])
      expect(asked).toEqual([])
    })
  })
})
