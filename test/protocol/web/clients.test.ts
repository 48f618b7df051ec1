import { describe, expect, test } from 'vitest'
import { createCall } from '../../../src/call/call.ts'
import type { Catalog } from '../../../src/call/catalog.ts'
import { webClients as names } from '../../../src/config/player.ts'
import { rebuildWebAnswer } from '../../../src/protocol/web/answers.ts'
import { isFile, otherClient, webClients } from '../../../src/protocol/web/clients.ts'
import { muse } from '../../../src/protocol/web/muse.ts'
import { musicbox } from '../../../src/protocol/web/musicbox.ts'
import { party } from '../../../src/protocol/web/party.ts'
import { readPath } from '../../../src/protocol/web/path.ts'
import { pibox } from '../../../src/protocol/web/pibox.ts'
import { again, codeOf, receive, sent } from '../rest/wire.ts'

const origin = { id: 'r', by: { kind: 'anonymous', from: '::1' }, door: 'http', player: 'home', at: 0 } as const
const client = (name: string) => webClients.get(name) ?? otherClient('/none/')

test('each client that the configuration knows has a row', () => {
  expect([...webClients.keys()].sort()).toEqual([...names].sort())
  for (const [name, { path }] of webClients) expect(path).toBe(`/${name}/`)
})

test('no page may be framed, run scripts from elsewhere, or look like one of ours', () => {
  for (const { name, policy } of webClients.values()) {
    expect(policy, name).toMatch(/^default-src 'none'/)
    expect(policy, name).not.toMatch(/script-src[^;]*(?:https?:|\*|data:|blob:)/)
    // Mopidy-Mobile compiles what it says.
    if (name !== 'mobile') expect(policy, name).not.toContain('unsafe-eval')
    expect(policy, name).toMatch(/frame-ancestors 'none'|sandbox/)
  }
})

describe('what is a file', () => {
  test.each([
    [true, 'iris', '/'],
    [true, 'iris', '/app.min.js'],
    [true, 'iris', '/assets/MaterialIcons-Regular.woff2'],
    [true, 'iris', '/queue/history'],
    [false, 'iris', '/http/get_config'],
    [false, 'iris', '/HTTP/get_config'],
    [false, 'iris', '/http'],
    [false, 'iris', '/ws'],
    [false, 'iris', '/ws/'],
    [true, 'party', '/index.html'],
    [false, 'party', '/vote'],
    [false, 'party', '/add'],
    [false, 'party', '/config'],
    [false, 'party', '/anything'],
    [false, 'pibox', '/api/session'],
    [false, 'pibox', '/config'],
    [false, 'pibox', '/ws'],
    [true, 'pibox', '/session'],
    [false, 'muse', '/config'],
    [true, 'mobile', '/lib/x.js'],
    [false, 'mobile', '/anything'],
    [true, 'local', '/0a-640x640.png'],
    [false, 'local', '/'],
    [false, 'local', '/index.html'],
    [false, 'local', '/deep/0a.png'],
  ])('%s: %s %s', (is, name, path) => expect(isFile(client(name), readPath(path) ?? ['..'])).toBe(is))

  test('of a client that nobody knows, what ends like one', () => {
    const other = otherClient('/other/', 'library.read')
    expect([other.path, other.capability, Object.keys(other.commands), other.sockets]).toEqual([
      '/other/',
      'library.read',
      [],
      [],
    ])
    expect(isFile(other, [''])).toBe(true)
    expect(isFile(other, ['app.js'])).toBe(true)
    expect(isFile(other, ['restart'])).toBe(false)
    expect(isFile(other, ['api', ''])).toBe(false)
  })
})

const commands: readonly (readonly [Catalog, string, string, string, string])[] = [
  [party, 'GET /party/vote', '', 'playback.skip', 'GET /party/vote'],
  [party, 'GET /party/config?key=max_results', '', 'status.read', 'GET /party/config?key=max_results'],
  [party, 'POST /party/add', 'local:track:a.flac', 'queue.add', ' · local:track:a.flac'],
  [pibox, 'GET /pibox/api/tracklist/', '', 'queue.read', 'GET /pibox/api/tracklist/'],
  [pibox, 'GET /pibox/api/tracklist', '', 'queue.read', 'GET /pibox/api/tracklist'],
  [pibox, 'POST /pibox/api/tracklist', '{"track":"local:a"}', 'queue.add', '{"track":"local:a"}'],
  [pibox, 'POST /pibox/api/vote', '{"uri":"local:a"}', 'queue.edit', '{"uri":"local:a"}'],
  [pibox, 'GET /pibox/api/session', '', 'queue.read', 'GET /pibox/api/session'],
  [
    pibox,
    'POST /pibox/api/session',
    '{"skipThreshold":3,"playlists":[{"uri":"m3u:a.m3u8","name":"a"}],"shuffle":true}',
    'queue.replace',
    '{"skipThreshold":3,"playlists":[{"uri":"m3u:a.m3u8","name":"a"}],"shuffle":true}',
  ],
  [pibox, 'DELETE /pibox/api/session', '', 'queue.clear', 'DELETE /pibox/api/session'],
  [pibox, 'GET /pibox/api/suggestions', '', 'library.read', 'GET /pibox/api/suggestions'],
  [pibox, 'GET /pibox/config', '', 'status.read', 'GET /pibox/config'],
  [pibox, 'GET /pibox/ws', '', 'status.read', 'GET /pibox/ws'],
  [muse, 'GET /muse/config', '', 'status.read', 'GET /muse/config'],
  [musicbox, 'POST /settings/shutdown', '', 'server.admin', 'POST /settings/shutdown'],
  [musicbox, 'POST /settings/reboot', '', 'server.admin', 'POST /settings/reboot'],
]

describe('commands of extensions', () => {
  const type = (body: string) => (body.startsWith('local:') ? 'text/plain' : 'application/json')
  test.each(commands)('%#: %s', (rows, line, body, capability, wire) => {
    const request = receive(rows, line, body, type(body))
    expect(createCall(origin, request).capability).toBe(capability)
    expect(sent(request)).toContain(wire)
    expect(again(rows, request).args).toEqual(request.args)
  })

  test('every one was tried', () => {
    const tried = new Set(commands.map(([rows, line, body]) => receive(rows, line, body, type(body)).operation))
    const all = [party, pibox, muse, musicbox].flatMap((rows: Catalog) => Object.values(rows))
    expect(all.filter((row) => row.refused === undefined && !tried.has(row)).map(({ name }) => name)).toEqual([])
  })

  test.each<[string, Catalog, string, string?]>([
    ['unknown-operation', party, 'POST /party/vote'],
    ['unknown-operation', party, 'GET /party/add'],
    ['unknown-operation', party, 'GET /party/nothing'],
    ['bad-arguments', party, 'GET /party/vote?x=1'],
    ['bad-arguments', party, 'GET /party/config'],
    ['bad-arguments', party, 'GET /party/config?key=enabled'],
    ['malformed', party, 'GET /party/config?key=style&key=style'],
    ['bad-arguments', pibox, 'POST /pibox/api/tracklist', '{"track":"/etc/passwd"}'],
    ['bad-arguments', pibox, 'POST /pibox/api/session', '{"skipThreshold":0}'],
    ['bad-arguments', pibox, 'POST /pibox/api/session', '{"skipThreshold":"3"}'],
    ['unknown-operation', pibox, 'PUT /pibox/api/session', '{}'],
    ['unknown-operation', musicbox, 'POST /setting'],
  ])('%s: %#', (code, rows, ...what) => expect(codeOf(() => receive(rows, ...what))).toBe(code))

  test('a text that is no address is none', () => {
    for (const text of ['', '/etc/passwd', 'a'.repeat(2049), 'nothing']) {
      expect(codeOf(() => receive(party, 'POST /party/add', text, 'text/plain'))).toBe('bad-arguments')
    }
    // The grammar of addresses is the gate's.
    const line = receive(party, 'POST /party/add', 'local:a\r\nX: y', 'text/plain')
    expect(codeOf(() => createCall(origin, line))).toBe('bad-arguments')
  })

  test('every list that a session is to play is seen', () => {
    const body = '{"skipThreshold":3,"playlists":[{"uri":"m3u:a.m3u8","name":"a"},{"uri":"file:///x","name":"b"}]}'
    expect(createCall(origin, receive(pibox, 'POST /pibox/api/session', body)).touches.uri).toEqual([
      'm3u:a.m3u8',
      'file:///x',
    ])
  })

  test.each(['GET /settings', 'GET /settings/', 'POST /settings/save', 'GET /settings/shutdown', 'PUT /settings/x/y'])(
    '%s is refused to everybody, and raises an alarm',
    (line) => {
      const call = createCall(origin, receive(musicbox, line, '{"password":1}'))
      expect([call.refused !== undefined, call.operation.alarm]).toEqual([true, true])
    },
  )
})

test('answers hold what pages need', () => {
  expect(rebuildWebAnswer(party['GET /party/vote'], 'Skipping...')).toBe('Skipping...')
  expect(
    rebuildWebAnswer(muse['GET /muse/config'], { mopidy: { host: '10.0.0.1', port: 6680 }, snapcast: { host: 'x' } }),
  ).toEqual({
    mopidy: {},
    snapcast: {},
  })
  const info = { __model__: 'Track', uri: 'local:a', name: 'A', comment: 'secret' }
  expect(
    rebuildWebAnswer(pibox['GET /pibox/api/tracklist/'], { tracklist: [{ info, votes: 1, voted: false }] }),
  ).toEqual({
    tracklist: [{ info: { uri: 'local:a', name: 'A' }, votes: 1, voted: false }],
  })
  expect(rebuildWebAnswer(pibox['POST /pibox/api/vote'], { secret: 1 })).toBeUndefined()
})
