import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import MopidyClient from 'mopidy'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { WebSocket } from 'ws'
import { type Gateway, startGateway } from './gateway.ts'
import { type Mopidy, startMopidy } from './mopidy.ts'
import { run, startTunnel, type Tunnel, until } from './tools.ts'

let mopidy: Mopidy
let gateway: Gateway
let tunnel: Tunnel
const tokens: Record<string, string> = {}

describe.skipIf(!inject('real').available)('unmodified clients, in front of a real Mopidy', () => {
  beforeAll(async () => {
    mopidy = await startMopidy()
    gateway = await startGateway({
      players: { home: { kind: 'mopidy', http: mopidy.http, mpd: mopidy.mpd } },
      users: { mia: 'member', kim: 'kid' },
    })
    for (const name of ['mia', 'kim']) tokens[name] = gateway.token(name)
    tunnel = await startTunnel({ host: '127.0.0.1', port: gateway.mpd, ca: gateway.caFile })
    await until(async () => (await gateway.http('/readyz')).status === 200)
  })
  afterAll(async () => {
    await tunnel?.close()
    await gateway?.stop()
    await mopidy?.stop()
  })

  describe('mopidy.js, unmodified, over WebSocket', () => {
    // biome-ignore lint/suspicious/noExplicitAny: the client builds its methods at run time, from core.describe
    const online = async (who: string): Promise<any> => {
      const webSocket = new WebSocket(`wss://127.0.0.1:${gateway.https}/mopidy/ws`, {
        ca: gateway.ca,
        headers: { authorization: `Bearer ${tokens[who]}` },
      })
      const client = new MopidyClient({ webSocket: webSocket as never, autoConnect: true } as never)
      await new Promise<void>((resolve) => client.on('state:online', () => resolve()))
      return client
    }

    test('a member searches, queues, plays, hears events, sets the volume', async () => {
      const client = await online('mia')
      const events: string[] = []
      client.on('event', (name: string) => events.push(name))
      const [found] = await client.library.search({ query: { any: ['dawn'] } })
      const uri = found.tracks[0].uri
      const added = await client.tracklist.add({ uris: [uri] })
      expect(added[0].track.uri).toBe(uri)
      await client.playback.play({ tlid: added[0].tlid })
      await until(async () => (await mopidy.rpc('core.playback.get_state')) === 'playing')
      await client.mixer.setVolume([31])
      expect(await mopidy.rpc('core.mixer.get_volume')).toBe(31)
      await until(() => events.some((name) => name.includes('volumeChanged')))
      expect(events.some((name) => name.includes('trackPlaybackStarted'))).toBe(true)
      await client.playback.stop()
      await client.close()
    })

    test('a kid has no method for what is not theirs, and an error beyond the ceiling', async () => {
      const client = await online('kim')
      expect(client.playback.next).toBeUndefined()
      expect(client.tracklist.clear).toBeUndefined()
      await expect(client.mixer.setVolume([41])).rejects.toThrow(/maxVolume/)
      await client.mixer.setVolume([40])
      expect(await mopidy.rpc('core.mixer.get_volume')).toBe(40)
      await client.close()
    })
  })

  describe('mpc, unmodified, through a TLS tunnel', () => {
    const mpc = (who: string, ...args: string[]) =>
      run('mpc', ['--host', `${tokens[who]}@127.0.0.1`, '--port', String(tunnel.port), ...args])

    test('a member: search, add, play, volume, pause, clear', async () => {
      await mopidy.rpc('core.tracklist.clear')
      const found = await mpc('mia', 'search', 'any', 'dawn')
      const uri = found.stdout.split('\n').find((line) => line.startsWith('local:')) ?? ''
      expect(uri, found.stderr).not.toBe('')
      expect((await mpc('mia', 'add', uri)).status).toBe(0)
      // Mopidy says OK before it has begun: its next status may still be the old one.
      const shows = (words: string) => until(async () => (await mpc('mia', 'status')).stdout.includes(words))
      expect((await mpc('mia', 'play')).status).toBe(0)
      await shows('[playing]')
      expect((await mpc('mia', 'volume', '35')).status).toBe(0)
      await shows('volume: 35%')
      expect((await mpc('mia', 'pause')).status).toBe(0)
      await shows('[paused]')
      expect((await mpc('mia', 'playlist')).stdout.trim()).not.toBe('')
      expect((await mpc('mia', 'ls')).status).toBe(0)
      expect((await mpc('mia', 'clear')).status).toBe(0)
      expect(await mopidy.rpc('core.tracklist.get_length')).toBe(0)
    })

    test('a kid: status yes, clear and volume 41 no, in mpc’s own words', async () => {
      expect((await mpc('kim', 'status')).status).toBe(0)
      const clear = await mpc('kim', 'clear')
      expect(clear.status).not.toBe(0)
      expect(clear.stderr).toMatch(/permission/)
      expect((await mpc('kim', 'volume', '41')).stderr).toMatch(/maxVolume 40/)
    })

    test('without a token: told to sign in', async () => {
      const { status, stderr } = await run('mpc', ['--host', '127.0.0.1', '--port', String(tunnel.port), 'status'])
      expect(status).not.toBe(0)
      expect(stderr).toMatch(/permission/)
    })
  })

  describe('python-mpd2, unmodified, through a TLS tunnel', () => {
    test('signs in, lists, idles, is refused by its own exception', async () => {
      const script = join(gateway.dir, 'client.py')
      writeFileSync(
        script,
        `
import sys, mpd, threading, time
port, kid, member = int(sys.argv[1]), sys.argv[2], sys.argv[3]
c = mpd.MPDClient(); c.timeout = 20; c.connect('127.0.0.1', port); c.password(member)
print('state', c.status()['state'])
print('found', len(c.search('any', 'dawn')) > 0)
c.command_list_ok_begin(); c.status(); c.currentsong(); print('list', len(c.command_list_end()))
k = mpd.MPDClient(); k.timeout = 20; k.connect('127.0.0.1', port); k.password(kid)
try: k.clear(); print('cleared')
except mpd.CommandError as e: print('refused', e)
try: k.setvol(41); print('loud')
except mpd.CommandError as e: print('refused', e)
threading.Timer(0.5, lambda: c.setvol(22)).start()
print('idle', k.idle('mixer'))
print('volume', k.status()['volume'])
k.close(); k.disconnect()
`,
      )
      const { stdout, stderr } = await run('/usr/bin/python3', [
        script,
        String(tunnel.port),
        tokens.kim ?? '',
        tokens.mia ?? '',
      ])
      expect(stderr).toBe('')
      expect(stdout.split('\n')).toEqual([
        expect.stringMatching(/^state (stop|pause|play)$/),
        'found True',
        'list 2',
        expect.stringMatching(/^refused \[4@0\] \{clear\} you don't have permission/),
        expect.stringMatching(/^refused \[4@0\] \{setvol\} .*maxVolume 40/),
        "idle ['mixer']",
        'volume 22',
        '',
      ])
    })
  })

  describe('curl', () => {
    const curl = (...args: string[]) => run('curl', ['--silent', '--show-error', '--cacert', gateway.caFile, ...args])
    const at = (path: string) => `https://localhost:${gateway.https}${path}`
    const call = ['-H', 'content-type: application/json', '-d', '{"jsonrpc":"2.0","id":1,"method":"core.get_version"}']

    test('a device token as Bearer and as Basic password', async () => {
      const bearer = await curl('-H', `authorization: Bearer ${tokens.mia}`, ...call, at('/mopidy/rpc'))
      expect(JSON.parse(bearer.stdout)).toMatchObject({ id: 1, result: expect.stringMatching(/^\d+\./) })
      const basic = await curl('-u', `mia:${tokens.mia}`, ...call, at('/players/home/mopidy/rpc'))
      expect(JSON.parse(basic.stdout)).toEqual(JSON.parse(bearer.stdout))
    })

    test('nothing and something wrong', async () => {
      expect((await curl('-i', ...call, at('/mopidy/rpc'))).stdout).toMatch(
        /^HTTP\/1.1 401.*www-authenticate: Bearer/is,
      )
      expect((await curl('-u', 'mia:wrong', ...call, at('/mopidy/rpc'))).stdout).toContain('-32002')
      expect((await curl('-i', at('/nowhere'))).stdout).toMatch(/404.*application\/problem\+json/s)
    })
  })
})
