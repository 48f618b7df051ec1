import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createCall } from '../../../src/call/call.ts'
import type { Catalog } from '../../../src/call/catalog.ts'
import { rebuildWebAnswer } from '../../../src/protocol/web/answers.ts'
import {
  broadcastCapability,
  decodeIris,
  encodeIris,
  iris,
  irisHttp,
  readIris,
  rebuildIris,
  writeBroadcast,
  writeIrisAnswer,
  writeIrisError,
} from '../../../src/protocol/web/iris.ts'
import { knownLines } from '../librespot/rows.ts'
import { again, codeOf, receive, sent } from '../rest/wire.ts'

const origin = { id: 'r', by: { kind: 'anonymous', from: '::1' }, door: 'websocket', player: 'home', at: 0 } as const
const rows: Catalog = iris
const ask = (method: string, params?: unknown, id: unknown = 17) =>
  decodeIris({ jsonrpc: '2.0', id, method, ...(params !== undefined && { params }) })

test("each method of Iris' object has a row, and none is made up", () => {
  expect(Object.keys(iris).sort()).toEqual([...knownLines('web/iris-3.70.txt')].sort())
})

/** What each method that may be called takes, and how it is asked for by Iris' own pages. */
const samples: Readonly<Record<string, readonly [string, unknown?]>> = {
  get_config: ['status.read'],
  get_connections: ['status.read'],
  get_pinned: ['status.read'],
  get_queue_metadata: ['status.read'],
  get_radio: ['status.read'],
  get_shared_config: ['status.read'],
  get_version: ['status.read'],
  set_username: ['status.read', { username: 'Ada' }],
  update_connection: ['status.read', { username: null, client_id: 'a1b2c3' }],
  add_queue_metadata: ['queue.edit', { tlids: [1, 2], added_from: 'local:album:x', added_by: 'Ada' }],
  clean_queue_metadata: ['queue.edit'],
  load_more_tracks: ['queue.add'],
  change_radio: [
    'queue.replace',
    { reset: true, seed_artists: ['spotify:artist:1'], seed_genres: [], seed_tracks: [] },
  ],
  stop_radio: ['playback.control', { seed_artists: [], seed_genres: [], seed_tracks: [] }],
  set_pinned: ['playlists.edit', { pinned: [{ uri: 'local:album:x', name: 'X' }] }],
  broadcast: [
    'messages.send',
    { method: 'notification', params: { notification: { content: 'Ada paused playback' } } },
  ],
  send_message: [
    'messages.send',
    { recipient: 'AB12', method: 'notification', params: { notification: { content: 'Hello' } } },
  ],
  get_commands: ['server.admin'],
  restart: ['server.admin'],
  upgrade: ['server.admin'],
  local_scan: ['server.admin'],
  test: ['server.admin'],
}

describe('by its socket', () => {
  test('every method that may be called is tried here', () => {
    const open = Object.values(rows).filter(({ refused }) => refused === undefined)
    expect(open.map(({ name }) => name).sort()).toEqual(Object.keys(samples).sort())
  })

  test.each(Object.entries(samples))('%s takes %j, and is written anew', (method, [capability, params]) => {
    const request = ask(method, params)
    expect(request.id).toBe(17)
    expect(createCall(origin, request).capability).toBe(capability)
    const wire = JSON.parse(encodeIris(4, request))
    expect(wire).toEqual({ jsonrpc: '2.0', id: 4, method, params: { ...request.args } })
    expect(decodeIris(wire)).toEqual({ ...request, id: 4 })
  })

  test('what a page sends along without need is left behind', () => {
    const pinned = [{ uri: 'local:a', name: 'A', tracks: [{ uri: 'file:///x' }], images: {} }]
    expect({ ...ask('set_pinned', { pinned }).args }).toEqual({ pinned: [{ uri: 'local:a', name: 'A' }] })
    const notification = { content: 'a', render_content: '<b>', key: 1 }
    const args = ask('broadcast', { method: 'notification', params: { notification, reload: true } }).args
    expect({ ...args }).toEqual({ method: 'notification', params: { notification: { content: 'a' } } })
  })

  const refused: readonly (readonly [string, string, unknown])[] = [
    ['a reload for every browser', 'broadcast', { method: 'reload' }],
    ['settings for every browser', 'broadcast', { method: 'share_config_received', params: {} }],
    ['a notification of another kind', 'broadcast', { method: 'notification', params: {} }],
    ['an answer in the name of Iris', 'send_message', { recipient: 'A', id: 5, result: {} }],
    ["another's connection", 'set_username', { username: 'x', connection_id: 'ABC' }],
    ["another's connection", 'update_connection', { username: 'x', connection_id: 'ABC' }],
    ['a name of two lines', 'set_username', { username: 'a\nb' }],
    ['a seed that ends up in an address', 'change_radio', { reset: true, seed_tracks: ['spotify:track:x&limit=1'] }],
    ['a seed that is a file', 'change_radio', { reset: true, seed_tracks: ['file:///x'] }],
    ['a pin without an address', 'set_pinned', { pinned: [{ name: 'x' }] }],
    ['a pin that is a path', 'set_pinned', { pinned: [{ uri: '/etc/passwd' }] }],
    ['params nobody knows', 'get_config', { x: 1 }],
  ]
  test.each(refused)('%s: %s is refused', (_, method, params) =>
    expect(codeOf(() => ask(method, params))).toBe('bad-arguments'),
  )

  test.each([
    ['malformed', []],
    ['malformed', { id: 1, method: 'get_config' }],
    ['malformed', { jsonrpc: '2.0', id: null, method: 'get_config' }],
    ['malformed', { jsonrpc: '2.0', id: 1.5, method: 'get_config' }],
    ['malformed', { jsonrpc: '2.0', id: {}, method: 'get_config' }],
    ['malformed', { jsonrpc: '2.0', id: 1, method: ['get_config'] }],
    ['malformed', { jsonrpc: '2.0', id: 1, method: 'get_config', recipient: 'x' }],
    ['malformed', { jsonrpc: '2.0', id: 1, method: 'get_config', params: [] }],
    ['unknown-operation', { jsonrpc: '2.0', id: 1, method: '__class__' }],
    ['unknown-operation', { jsonrpc: '2.0', id: 1, method: '__proto__' }],
    ['unknown-operation', { jsonrpc: '2.0', id: 1, method: 'constructor' }],
    ['unknown-operation', { jsonrpc: '2.0', id: 1, method: 'core' }],
    ['unknown-operation', { jsonrpc: '2.0', id: 1, method: 'actor_ref' }],
    ['unknown-operation', { jsonrpc: '2.0', id: 1, method: 'Run_command' }],
    ['fine', { jsonrpc: '2.0', method: 'get_config' }],
  ])('%s: %j', (code, message) => expect(codeOf(() => decodeIris(message))).toBe(code))

  test('what nobody may call is told from what it was called with', () => {
    for (const method of ['run_command', 'set_commands', 'set_data', 'do_fetch', 'setup']) {
      const call = createCall(origin, ask(method, { id: 1, url: 'http://127.0.0.1/' }))
      expect([call.refused !== undefined, call.operation.alarm, { ...call.args }], method).toEqual([true, true, {}])
    }
  })

  test('what its pages ask for by themselves raises no alarm', () => {
    // Each of these is sent when a page is opened, or a login at Spotify is wanted.
    const pages = [
      'get_commands',
      'get_config',
      'get_shared_config',
      'get_radio',
      'get_pinned',
      'refresh_spotify_token',
      'broadcast',
    ]
    for (const method of pages) expect(rows[method]?.alarm, method).toBeUndefined()
    for (const method of ['restart', 'upgrade', 'local_scan', 'test']) expect(rows[method]?.alarm, method).toBe(true)
  })
})

describe('what Iris says', () => {
  test('an answer is the one to an id of ours, and its error is one of these two', () => {
    expect(readIris({ jsonrpc: '2.0', id: 4, method: 'get_radio', result: { radio: 1 } })).toEqual({
      id: 4,
      result: { radio: 1 },
    })
    expect(
      readIris({ jsonrpc: '2.0', error: { id: 4, code: 32601, message: 'no /opt/iris/core.py', traceback: 'x' } }),
    ).toEqual({
      id: 4,
      error: { code: 32601, message: 'no …' },
    })
    for (const value of [null, [], 'x', {}, { id: 'x', result: 1 }, { error: {} }])
      expect(readIris(value)).toBeUndefined()
  })

  test('settings are without logins, addresses and names of accounts', () => {
    const config = {
      is_root: true,
      spotify_username: 'secret',
      country: 'NZ',
      locale: 'en_NZ',
      snapcast_host: 'secret',
      spotify_authorization_url: 'https://secret/',
      shared_config: { spotify: { access_token: 'secret' } },
    }
    expect(rebuildIris(iris.get_config, { config })).toEqual({
      config: { country: 'NZ', locale: 'en_NZ', shared_config: {} },
    })
    expect(rebuildIris(iris.get_shared_config, { shared_config: config })).toEqual({ shared_config: {} })
    const commands = { 1: { url: 'http://secret/', additional_headers: 'authorization: secret' } }
    expect(rebuildIris(iris.get_commands, { commands })).toEqual({ commands: {} })
    const connection = { connection_id: 'AB', ip: '192.168.1.7', created: 'x', client_id: 'y' }
    expect(rebuildIris(iris.get_connections, { connections: [connection] })).toEqual({
      connections: [{ connection_id: 'AB', created: 'x' }],
    })
  })

  test('every method that may be called has a shape for its answer, but those that never answer', () => {
    const silent = ['clean_queue_metadata', 'load_more_tracks']
    for (const method of Object.keys(samples)) {
      const row = rows[method]
      if (row && !silent.includes(method))
        expect(
          codeOf(() => rebuildIris(row, 'nonsense')),
          method,
        ).toBe('player-unreachable')
    }
    expect(rebuildIris(iris.clean_queue_metadata, { secret: 1 })).toBeNull()
  })

  test.each([
    ['connection_added', 'status.read'],
    ['queue_metadata_changed', 'status.read'],
    ['notification', 'status.read'],
    ['radio_started', 'status.read'],
    ['upgrade_error', 'server.admin'],
    ['test_finished', 'server.admin'],
    ['spotify_token_changed', undefined],
    ['share_config_received', undefined],
    ['shared_config_changed', undefined],
    ['commands_changed', undefined],
    ['reload', undefined],
    ['constructor', undefined],
  ])('%s is for who has %s', (method, capability) => expect(broadcastCapability(method)).toBe(capability))

  test('a broadcast is rebuilt', () => {
    const connection = { connection_id: 'AB', ip: '192.168.1.7', username: 'A\nB' }
    const read = readIris({ jsonrpc: '2.0', method: 'connection_added', params: { connection } })
    expect(read).toEqual({
      method: 'connection_added',
      params: { connection: { connection_id: 'AB', username: 'A B' } },
    })
    expect(readIris({ jsonrpc: '2.0', method: 'upgrade_updated', params: { output: '/opt' } })).toEqual({
      method: 'upgrade_updated',
      params: {},
    })
    expect(readIris({ jsonrpc: '2.0', method: 'spotify_token_changed', params: {} })).toBeUndefined()
    expect(readIris({ jsonrpc: '2.0', method: 'radio_started', params: { radio: 1 } })).toBeUndefined()
  })

  test('pages find what they look for', () => {
    expect(JSON.parse(writeIrisAnswer(17, 'get_radio', { radio: 1 }))).toEqual({
      jsonrpc: '2.0',
      id: 17,
      method: 'get_radio',
      result: { radio: 1 },
    })
    expect(JSON.parse(writeIrisError(17, 'restart', { message: 'no' }))).toEqual({
      jsonrpc: '2.0',
      id: 17,
      method: 'restart',
      error: { message: 'no', id: 17 },
    })
    expect(JSON.parse(writeBroadcast({ method: 'notification', params: {} }))).toEqual({
      jsonrpc: '2.0',
      method: 'notification',
      params: {},
    })
  })
})

describe('by HTTP', () => {
  test.each([
    ['GET /iris/http/get_config', '', 'GET /iris/http/get_config'],
    [
      'GET /iris/http/get_lyrics?path=/Queen-bohemian-rhapsody-lyrics&connection_id=AB12',
      '',
      'GET /iris/http/get_lyrics?path=%2FQueen',
    ],
    ['POST /iris/http/restart', '', 'POST /iris/http/restart · application/json · {}'],
    ['POST /iris/http/stop_radio', '{}', 'POST /iris/http/stop_radio · application/json · {}'],
  ])('%s', (line, body, wire) => {
    const request = receive(irisHttp, line, body)
    expect(sent(request)).toContain(wire)
    expect(again(irisHttp, request).args).toEqual(request.args)
  })

  test.each([
    ['bad-arguments', 'GET /iris/http/get_lyrics?path=.evil.example/x&connection_id=AB12'],
    ['bad-arguments', 'GET /iris/http/get_lyrics?path=@evil.example/x&connection_id=AB12'],
    ['bad-arguments', 'GET /iris/http/get_lyrics?path=/../x&connection_id=AB12'],
    ['bad-arguments', 'GET /iris/http/get_lyrics?path=/a?b&connection_id=AB12'],
    ['bad-arguments', 'GET /iris/http/get_lyrics?path=/a'],
    ['bad-arguments', 'GET /iris/http/get_config?x=1'],
    ['unknown-operation', 'POST /iris/http/get_config'],
    ['unknown-operation', 'GET /iris/http/stop_radio'],
    ['unknown-operation', 'GET /iris/http/actor_ref'],
    ['unknown-operation', 'GET /iris/http/__class__'],
    ['unknown-operation', 'GET /iris/http/get_config/'],
    ['unknown-operation', 'GET /iris/http/'],
    ['unknown-operation', 'GET /iris/http/proxy_request'],
  ])('%s: %s', (code, line) => expect(codeOf(() => receive(irisHttp, line))).toBe(code))

  test('what changes the machine raises an alarm however it is asked for', () => {
    for (const method of [
      'restart',
      'upgrade',
      'local_scan',
      'test',
      'run_command',
      'set_commands',
      'do_fetch',
      'stop',
    ]) {
      for (const way of ['GET', 'POST']) {
        const call = createCall(origin, receive(irisHttp, `${way} /iris/http/${method}`))
        expect([call.operation.alarm, way === 'GET' ? call.refused !== undefined : true], method).toEqual([true, true])
      }
    }
  })

  test('whose connection it is cannot be known there', () => {
    const call = createCall(origin, receive(irisHttp, 'POST /iris/http/update_connection', '{"connection_id":"AB"}'))
    expect(call.refused).toEqual(expect.any(String))
  })

  test('an answer stands in its envelope', () => {
    const row = irisHttp['GET /iris/http/get_config']
    if (!row) throw new Error('no row')
    const answer = {
      id: 1,
      jsonrpc: '2.0',
      method: 'get_config',
      result: { config: { country: 'NZ', is_root: true } },
      secret: 1,
    }
    expect(rebuildWebAnswer(row, answer)).toEqual({
      id: 1,
      jsonrpc: '2.0',
      method: 'get_config',
      result: { config: { country: 'NZ' } },
    })
  })
})

test('whatever comes from either side, nothing but a Fault is thrown', () => {
  const message = fc.record({
    jsonrpc: fc.constant('2.0'),
    id: fc.oneof(fc.integer(), fc.jsonValue()),
    method: fc.constantFrom(...Object.keys(iris), 'notification', 'radio_changed'),
    params: fc.jsonValue(),
    result: fc.jsonValue(),
    error: fc.jsonValue(),
  })
  fc.assert(
    fc.property(fc.oneof(message, fc.jsonValue()), (value) => {
      readIris(value)
      return !codeOf(() => decodeIris(value)).startsWith('not')
    }),
    { numRuns: 500 },
  )
})
