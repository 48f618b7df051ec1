import { expect } from 'vitest'
import { until } from '../real/tools.ts'
import { call, openWs, post } from './clients.ts'
import { attack, type House, heard, type Person } from './harness.ts'

/** The same message on both doors that speak JSON-RPC: the error codes, 0 for none, `closed` for no answer at all. */
async function codes(house: House, { token }: Person, message: string | Buffer): Promise<(number | 'closed')[]> {
  const ws = await openWs(house, { token })
  const { json } = await post(house, token, message)
  const said = (await ws.say(message)) as { closed?: true; error?: { code: number } }
  ws.close()
  return [json.error?.code ?? 0, said.closed ? 'closed' : (said.error?.code ?? 0)]
}

async function refused(house: House, person: Person, messages: readonly (string | Buffer)[], ...known: number[]) {
  for (const message of messages) {
    for (const code of await codes(house, person, message)) {
      expect([...known, 'closed'], `${message.slice(0, 90)} was answered with ${code}`).toContain(code)
    }
  }
}

const request = (method: string, params = '{}', id = '1') =>
  `{"jsonrpc":"2.0","id":${id},"method":${JSON.stringify(method)},"params":${params}}`
const harmless = '"method":"core.playback.get_state"'
const harmful = '"method":"core.tracklist.clear"'

attack('JSON-RPC', [
  {
    id: 'J1',
    attack: 'a method that stands twice, or is spelled with escapes, is not decided upon and sent as another',
    async run(house) {
      await refused(
        house,
        house.kid,
        [
          `{"jsonrpc":"2.0","id":1,${harmless},${harmful}}`,
          `{"jsonrpc":"2.0","id":1,${harmful},${harmless}}`,
          `{"jsonrpc":"2.0","id":1,${harmless},"\\u006dethod":"core.tracklist.clear"}`,
          `{"jsonrpc":"2.0","id":1,"method":"core.mixer.set_volume","params":{"volume":10,"volume":100}}`,
          `{"jsonrpc":"2.0","id":1,"method":"core.mixer.set_volume","params":{"volume":10},"params":{"volume":100}}`,
        ],
        -32600,
      )
      // An escaped value is the value, and judged as such.
      await refused(house, house.kid, ['{"jsonrpc":"2.0","id":1,"method":"core.tracklist.\\u0063lear"}'], -32003)
    },
  },
  {
    id: 'J2',
    attack: 'keys that are prototypes',
    async run(house) {
      const names = ['__proto__', 'constructor', 'prototype']
      await refused(
        house,
        house.owner,
        names.flatMap((name) => [
          `{"jsonrpc":"2.0","id":1,${harmless},"${name}":{"polluted":true}}`,
          `{"jsonrpc":"2.0","id":1,${harmless},"params":{"${name}":{"polluted":true}}}`,
          `{"jsonrpc":"2.0","id":1,"method":"core.library.search","params":{"query":{"${name}":["x"]}}}`,
          `{"jsonrpc":"2.0","id":1,"method":"${name}"}`,
          `[{"jsonrpc":"2.0","id":1,"method":"core.${name}"}]`.slice(1, -1),
        ]),
        -32600,
        -32601,
        -32602,
      )
    },
  },
  {
    id: 'J3',
    attack: 'batches: a forbidden call among others, nested, empty, or endless',
    reaches: [/^core\.mixer\.set_volume \{"volume":11\}$/],
    async run(house) {
      const batch = [request('core.mixer.set_volume', '{"volume":11}'), request('core.tracklist.clear', '{}', '2')]
      const { json } = await post(house, house.kid.token, `[${batch}]`)
      expect(json).toMatchObject([
        { id: 1, result: true },
        { id: 2, error: { code: -32003 } },
      ])
      const nested = (await post(house, house.kid.token, `[[${batch}]]`)).json
      expect(nested).toMatchObject([{ error: { code: -32600 } }])
      await refused(
        house,
        house.kid,
        ['[]', `[${Array(51).fill(batch[0])}]`, `[${Array(1_500).fill(batch[0])}]`],
        -32600,
      )
    },
  },
  {
    id: 'J4',
    attack: 'names that are almost a method, or reach behind one',
    async run(house) {
      const names = [
        'CORE.playback.stop',
        'core.Playback.stop',
        ' core.playback.stop',
        'core.playback.stop ',
        'core.playback.stop\u00a0',
        'core.playback.stop\u0000',
        'core.playback.stop.',
        'core.playback..stop',
        'core.pl\u0430yback.stop',
        'core.playback.stop.__class__',
        'core.playback.actor_ref',
        'core.actor_ref.stop',
        'core.playback.__init__',
        'core.mixer',
        'core',
        '',
        'playback.stop',
        'toString',
        'core.library.get_distinct2',
      ]
      await refused(
        house,
        house.owner,
        names.map((name) => request(name)),
        -32601,
      )
    },
  },
  {
    id: 'J5',
    attack: 'ids that parsers change',
    async run(house) {
      const ids = ['9007199254740993', '1e400', '-0', '1.5', 'NaN', '{"a":1}', '[1]', 'true', `"${'x'.repeat(60_000)}"`]
      await refused(
        house,
        house.owner,
        ids.map((id) => request('core.playback.stop', '{}', id)),
        -32600,
        -32700,
      )
      for (const id of ['null', '"\u00e9"', '9007199254740991', '0', '-1', '""']) {
        const { text } = await post(house, house.owner.token, request('core.playback.get_state', '{}', id))
        expect(text).toContain(`"id":${id}`)
      }
    },
  },
  {
    id: 'J6',
    attack: 'depth, long keys, very many keys',
    async run(house) {
      const deep = (levels: number) => request('core.playback.stop', `{"a":${'['.repeat(levels)}${']'.repeat(levels)}}`)
      const keys = Array.from({ length: 20_000 }, (_, i) => `"k${i}":1`).join()
      await refused(
        house,
        house.owner,
        [
          deep(33),
          deep(100_000),
          '['.repeat(200_000),
          request('core.playback.stop', `{"${'k'.repeat(65_000)}":1}`),
          request('core.playback.stop', `{${keys}}`),
          request('core.mixer.set_volume', '{"volume":1e308}'),
          request('core.mixer.set_volume', `{"volume":${'9'.repeat(5_000)}}`),
        ],
        -32600,
        -32602,
        -32700,
      )
      const over = await post(house, house.owner.token, 'x'.repeat(256 * 1024 + 1)).catch(() => undefined)
      expect([413, undefined]).toContain(over?.status)
    },
  },
  {
    id: 'J7',
    attack: 'text that is not UTF-8, or is more than one reading of it',
    async run(house) {
      const stop = request('core.playback.stop')
      await refused(
        house,
        house.owner,
        [
          Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(stop)]),
          Buffer.from(stop, 'utf16le'),
          Buffer.from(stop.replace('1', '"\u00e9"'), 'latin1'),
          Buffer.concat([
            Buffer.from('{"jsonrpc":"2.0","id":"'),
            Buffer.from([0xc0, 0xaf]),
            Buffer.from('","method":"x"}'),
          ]),
          stop.replace('"id":1', '"id":"\\ud800"'),
          request('core.playlists.create', '{"name":"\\udfff"}'),
        ],
        -32600,
        -32700,
      )
    },
  },
  {
    id: 'J8',
    attack: 'a forbidden call as a notification, which is answered by nobody',
    async run(house) {
      const note = '{"jsonrpc":"2.0","method":"core.tracklist.clear"}'
      const answer = await post(house, house.kid.token, note)
      expect([answer.status, answer.text]).toEqual([204, ''])
      const mine = () => house.log.filter(({ account, outcome }) => account === house.kid.id && outcome === 'denied')
      expect(mine()).toMatchObject([{ operation: 'core.tracklist.clear', door: 'http' }])
      const ws = await openWs(house, { token: house.kid.token })
      expect(await ws.rpc({ jsonrpc: '2.0', method: 'core.tracklist.clear' }).constructor).toBe(Promise)
      await until(() => mine().length === 2)
      ws.close()
    },
  },
  {
    id: 'J9',
    attack: 'parameters by position, models and deprecated ones that carry what the named ones may not',
    reaches: [/^core\.mixer\.set_volume \{"volume":39\}$/],
    async run(house) {
      const { kid, owner } = house
      expect(await call(house, kid.token, 'core.mixer.set_volume', [39])).toBe(0)
      expect(await call(house, kid.token, 'core.mixer.set_volume', [41])).toBe(-32003)
      expect(await call(house, kid.token, 'core.mixer.set_volume', { volume: 10, level: 100 })).toBe(-32602)
      expect(await call(house, kid.token, 'core.mixer.set_volume', [10, 100])).toBe(-32602)
      const track = { __model__: 'Track', uri: 'file:///etc/passwd' }
      expect(await call(house, owner.token, 'core.tracklist.add', { tracks: [track], uris: [] })).toBe(-32003)
      expect(await call(house, owner.token, 'core.tracklist.add', [[track], 0, []])).toBe(-32003)
      expect(await call(house, owner.token, 'core.tracklist.add', { tracks: [track] })).toBe(-32602)
      const tlTrack = { __model__: 'TlTrack', tlid: 1, track }
      expect(await call(house, owner.token, 'core.playback.play', { tl_track: tlTrack })).toBe(-32003)
      for (const name of ['Playlist', 'Thread', 'Track']) {
        const playlist = { __model__: name, uri: 'm3u:x.m3u8', name: 'x', tracks: [track], evil: 1 }
        expect(await call(house, owner.token, 'core.playlists.save', { playlist })).toBe(-32602)
      }
    },
  },
  {
    id: 'J10',
    attack: 'a guest listens for what others do with their playlists',
    reaches: [/^core\.playlists\.create \{"name":"private"\}$/, /^core\.mixer\.set_volume \{"volume":12\}$/],
    async run(house) {
      const [owner, guest] = await Promise.all([
        openWs(house, { token: house.owner.token }),
        openWs(house, { token: house.guest.token }),
      ])
      await call(house, house.owner.token, 'core.playlists.create', { name: 'private' })
      await call(house, house.owner.token, 'core.mixer.set_volume', { volume: 12 })
      // The player tells in order: who has heard of the volume has heard all there was to hear.
      const heardOf = (texts: readonly string[], event: string) => texts.some((text) => text.includes(`"${event}"`))
      await until(() => heardOf(owner.texts, 'volume_changed') && heardOf(guest.texts, 'volume_changed'))
      expect(heardOf(owner.texts, 'playlist_changed')).toBe(true)
      expect(heardOf(guest.texts, 'playlist_changed')).toBe(false)
      owner.close()
      guest.close()
    },
  },
  {
    id: 'J11',
    attack: 'addresses that make the player look where only it can',
    disturbs: true,
    async run(house) {
      const addresses = [
        'http://169.254.169.254/latest/meta-data/',
        'http://2852039166/',
        'http://0xa9fea9fe/',
        'http://[::ffff:169.254.169.254]/',
        'HTTP://localhost:6680/',
        'https://evil.example/redirect',
        'rtsp://127.0.0.1/',
        'file:///etc/passwd',
        'FILE:/etc/passwd',
        'local:track:../../../etc/passwd',
        'local:track:%2e%2e/%2e%2e/etc/passwd',
        'm3u:../../secret.m3u8',
        'data:text/plain,x',
        'smb://127.0.0.1/share',
        ' http://127.0.0.1/',
        '//127.0.0.1/',
        '/etc/passwd',
      ]
      for (const uri of addresses) {
        for (const { token } of [house.kid, house.guest, house.member]) {
          expect([-32003, -32602], uri).toContain(await call(house, token, 'core.tracklist.add', { uris: [uri] }))
          expect([-32003, -32602], uri).toContain(await call(house, token, 'core.library.browse', { uri }))
          expect([-32003, -32602], uri).toContain(
            await call(house, token, 'core.library.get_images', { uris: ['local:track:a', uri] }),
          )
        }
        house.jump(10_000) // adding is rare for a guest
        expect([-32003, -32602], uri).toContain(await call(house, house.member.token, 'core.playlists.lookup', { uri }))
      }
      const playlist = { uri: 'm3u:http://169.254.169.254/' }
      expect(await call(house, house.member.token, 'core.playlists.lookup', playlist)).toBe(-32602)
      expect(heard(house).filter((line) => /tracklist|library|playlists/.test(line))).toEqual([])
    },
  },
])
