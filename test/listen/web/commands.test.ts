import { afterEach, describe, expect, test } from 'vitest'
import { createInquiry } from '../../../src/listen/inquiry.ts'
import { webCommandRoutes } from '../../../src/listen/web/commands.ts'
import { createForwarded } from '../../../src/listen/web/forwarded.ts'
import { resolve } from '../../../src/protocol/resolve.ts'
import { type WebClient, webClients } from '../../../src/protocol/web/clients.ts'
import { createExtensions, type ExtensionLimits } from '../../../src/upstream/extensions.ts'
import { ask } from '../house.ts'
import { file, openUpstream, openWebHouse } from './house.ts'

type Upstream = Awaited<ReturnType<typeof openUpstream>>
let upstream: Upstream
let house: Awaited<ReturnType<typeof openWebHouse>>

async function open(reply?: Parameters<typeof openUpstream>[0], limits?: Partial<ExtensionLimits>) {
  upstream = await openUpstream(reply)
  const clients = [...webClients.values()]
  const extensions = createExtensions({ url: upstream.url, ...(limits && { limits }) })
  house = await openWebHouse({
    upstream,
    clients,
    also(app, parts) {
      const players = new Map([['home', { clients, extensions }]])
      const forwarded = createForwarded('a secret of this house')
      const nothing = async () => ({})
      // What the playlists of a session hold is looked up, and it is nothing.
      const lookUps = { adds: async () => ({ adds: [] }), hosts: nothing, volume: nothing, queue: nothing }
      const inquiry = createInquiry({ gate: parts.gate, resolve, lookUps })
      webCommandRoutes(app, { ...parts, players, defaultPlayer: 'home', forwarded, inquiry, now: () => 1e12 })
      app.addHook('onClose', () => extensions.close())
    },
  })
}

afterEach(async () => {
  await house?.close()
  await upstream?.close()
})

const json = (value: unknown) => file(JSON.stringify(value), { 'Content-Type': 'application/json' })
const words = (text: string, status = '200 OK') => file(text, { 'Content-Type': 'text/html; charset=UTF-8' }, status)
const iris = (result: unknown) => ({ id: 1, jsonrpc: '2.0', method: 'x', result })

/** A well-formed call of each row that somebody may make: what is sent, what is answered, and what comes of it. */
const radio = { enabled: 0, seed_artists: [], seed_genres: [], seed_tracks: [], results: [] }
const session = {
  started: true,
  startTime: null,
  skipThreshold: 2,
  playlists: [],
  playedTracks: [],
  remainingPlaylistTracks: [],
}
const message = iris({ message: 'done' })
const calls: Readonly<Record<string, { query?: string; body?: unknown; answer?: unknown }>> = {
  'GET /party/vote': { answer: 'voted' },
  'POST /party/add': { body: 'local:track:a.flac', answer: '' },
  'GET /party/config': { query: '?key=style', answer: "'dark.css'" },
  'GET /muse/config': { answer: { mopidy: { host: 'x' }, snapcast: {} } },
  'GET /pibox/api/tracklist/': { answer: { tracklist: [] } },
  'GET /pibox/api/tracklist': { answer: { tracklist: [] } },
  'POST /pibox/api/tracklist': { body: { track: 'local:track:a.flac' }, answer: { tracklist: [], error: null } },
  'POST /pibox/api/vote': { body: { uri: 'local:track:a.flac' } },
  'GET /pibox/api/session': { answer: session },
  'POST /pibox/api/session': { body: { skipThreshold: 2 } },
  'DELETE /pibox/api/session': {},
  'GET /pibox/api/suggestions': { answer: { suggestions: [] } },
  'GET /pibox/config': { answer: {} },
  'POST /settings/shutdown': {},
  'POST /settings/reboot': {},
  'GET /iris/http/get_config': { answer: iris({ config: { country: 'NZ' } }) },
  'GET /iris/http/get_connections': { answer: iris({ connections: [] }) },
  'GET /iris/http/get_pinned': { answer: iris({ pinned: [] }) },
  'GET /iris/http/get_queue_metadata': { answer: iris({ queue_metadata: {} }) },
  'GET /iris/http/get_radio': { answer: iris({ radio }) },
  'GET /iris/http/get_shared_config': { answer: iris({ shared_config: {} }) },
  'GET /iris/http/get_version': { answer: iris({ version: { current: '3.70.0' } }) },
  'GET /iris/http/get_commands': { answer: iris({ commands: {} }) },
  'GET /iris/http/get_lyrics': { query: '?path=/a-lyrics&connection_id=ABC', answer: iris('<p>') },
  'POST /iris/http/add_queue_metadata': { body: { tlids: [1] }, answer: message },
  'POST /iris/http/clean_queue_metadata': {},
  'POST /iris/http/load_more_tracks': {},
  'POST /iris/http/change_radio': { body: { reset: true }, answer: iris({ radio }) },
  'POST /iris/http/stop_radio': { body: {}, answer: message },
  'POST /iris/http/set_pinned': { body: { pinned: [] }, answer: message },
  'POST /iris/http/restart': { answer: message },
  'POST /iris/http/upgrade': { answer: message },
  'POST /iris/http/local_scan': { answer: message },
  'POST /iris/http/test': { answer: message },
}

const rows = [...webClients.values()].flatMap((client) =>
  Object.values(client.commands).map((operation) => ({ name: operation.name, client, operation })),
)
const sockets = rows.filter(({ name }) => name.endsWith('/ws'))
const refused = rows.filter(({ operation }) => operation.refused !== undefined)
const callable = rows.filter((row) => !sockets.includes(row) && !refused.includes(row))
/** What the kid of this house has. */
const kids = new Set<string>(['status.read', 'queue.add', 'library.read', 'playback.control'])

function call(name: string, who: string, more: Record<string, string> = {}, prefix = '') {
  const [method = '', path = ''] = name.replace('ANY', 'POST').replace('*', 'x').split(' ')
  const { query = '', body } = calls[name] ?? {}
  const form = path.startsWith('/settings/')
  const text = typeof body === 'string' ? body : body === undefined ? undefined : JSON.stringify(body)
  const type = form ? 'application/x-www-form-urlencoded' : 'application/json'
  return ask(house.port, {
    method,
    path: `${prefix}${path}${query}`,
    headers: { Authorization: `Bearer ${who}`, ...(text !== undefined && { 'Content-Type': type }), ...more },
    ...(text !== undefined && { body: text }),
  })
}

function answered(name: string): string {
  const { answer } = calls[name] ?? {}
  return answer === undefined ? words('') : typeof answer === 'string' ? words(answer) : json(answer)
}

describe('every row', () => {
  test('has a call here, and every call a row', () => {
    expect(callable.map(({ name }) => name).sort()).toEqual(Object.keys(calls).sort())
  })

  test.each(callable.map(({ name }) => name))('%s · the owner: sent once, as we write it', async (name) => {
    await open(() => answered(name))
    const { status, text } = await call(name, 'ada')
    expect([status, text.includes('Traceback')]).toEqual([200, false])
    const [method, path] = name.split(' ')
    const query = decodeURIComponent(calls[name]?.query ?? '')
    expect(upstream.lines().map((line) => decodeURIComponent(line ?? ''))).toEqual([
      `${method} ${path}${query} HTTP/1.1`,
    ])
    const [sent = ''] = upstream.heard
    expect(sent).toMatch(/x-forwarded-for: fd/)
    expect(sent).not.toMatch(/authorization|cookie|bearer/i)
    const { body } = calls[name] ?? {}
    if (typeof body === 'object') expect(JSON.parse(sent.split('\r\n\r\n')[1] ?? '')).toEqual(body)
  })

  test.each(callable.filter(({ operation }) => !kids.has(operation.capability)).map(({ name }) => name))(
    '%s · the kid: refused, recorded, and nothing sent',
    async (name) => {
      await open()
      const { status, json: problem } = await call(name, 'kim')
      expect([status, problem.code]).toEqual([403, 'forbidden'])
      expect(house.audit.map(({ outcome, operation }) => [outcome, operation])).toEqual([['denied', name]])
      expect(upstream.heard).toEqual([])
    },
  )

  test.each(refused.map(({ name, operation }) => [name, operation.alarm === true] as const))(
    '%s · nobody, whatever comes with it: alarm %j',
    async (name, isAlarm) => {
      await open()
      for (const who of ['ada', 'kim']) {
        const more = /^(POST|ANY)/.test(name) ? { 'Content-Type': 'text/plain' } : {}
        expect((await call(name, who, more)).status).toBe(403)
      }
      expect(house.audit.map(({ outcome, reason }) => [outcome, reason === 'alarm'])).toEqual([
        ['denied', isAlarm],
        ['denied', isAlarm],
      ])
      expect(upstream.heard).toEqual([])
    },
  )

  test.each(rows.map(({ name }) => name))('%s · a stranger: 401 and nothing sent', async (name) => {
    await open()
    expect((await call(name, 'nobody')).status).toBe(401)
    expect(upstream.heard).toEqual([])
    expect(house.audit).toEqual([])
  })

  test.each(sockets.map(({ name }) => name))('%s is told over a WebSocket', async (name) => {
    await open()
    expect((await call(name, 'ada')).status).toBe(426)
  })

  test.each(callable.filter(({ operation }) => operation.alarm).map(({ name }) => name))(
    '%s · the kid, with a body that is none: the alarm rings all the same',
    async (name) => {
      await open()
      const [method = '', path = ''] = name.split(' ')
      const headers = { Authorization: 'Bearer kim', 'Content-Type': 'application/json' }
      expect((await ask(house.port, { method, path, headers, body: '{"a":' })).status).toBe(403)
      expect(house.audit.map(({ reason }) => reason)).toEqual(['alarm'])
    },
  )
})

describe('a path', () => {
  test.each([
    'GET /iris/http/__init__',
    'GET /iris/http/proxy_request',
    'POST /iris/http/proxy_request',
    'POST /iris/http/get_config/',
    'POST /iris/http/Run_Command',
    'POST /iris/http/run_command/../get_config',
    'POST /iris/http/run%5fcommand',
    'POST /iris/http/',
    'GET /iris/http/get_config%00',
    'GET /party/vote/',
    'GET /party/Vote',
    'GET /party/../party/vote',
    'POST /party/vote2',
    'GET /pibox/api/other',
    'POST /mopidy/settings',
    'GET /players/attic/party/vote',
  ])('%s, which is in no catalog: 404 whatever the role', async (name) => {
    await open()
    const [method = '', path = ''] = name.split(' ')
    for (const who of ['ada', 'kim', undefined]) {
      const headers = who === undefined ? {} : { Authorization: `Bearer ${who}` }
      const nothing = who === undefined && path.startsWith('/players/') ? [401] : [400, 404]
      expect(nothing).toContain((await ask(house.port, { method, path, headers })).status)
    }
    expect(upstream.heard).toEqual([])
  })

  test.each([
    ['HEAD /party/vote', 'GET'],
    ['POST /party/vote', 'GET'],
    ['GET /party/add', 'POST'],
    ['PUT /party/add', 'POST'],
    ['POST /iris/http/get_config', 'GET'],
    ['GET /iris/http/set_pinned', 'POST'],
    ['PATCH /pibox/api/session', 'GET, POST, DELETE'],
  ])('%s: 405, as there is %s', async (name, allow) => {
    await open()
    const [method = '', path = ''] = name.split(' ')
    const { status, headers } = await ask(house.port, { method, path, headers: { Authorization: 'Bearer ada' } })
    expect([status, headers.get('allow')]).toEqual([405, allow])
    expect(upstream.heard).toEqual([])
  })

  test('below the player’s own name is the same', async () => {
    await open(() => words('voted'))
    expect((await call('GET /party/vote', 'ada', {}, '/players/home')).text).toBe('voted')
    expect(upstream.lines()).toEqual(['GET /party/vote HTTP/1.1'])
  })
})

describe('what is sent', () => {
  test.each([
    ['file:///etc/passwd', 'kim', 403],
    ['http://10.0.0.1/', 'kim', 403],
    ['local:track:../../etc', 'ada', 400],
    ['local:track:a\r\nHost: x', 'ada', 400],
    ['a.flac', 'ada', 400],
    ['', 'ada', 400],
    ['\xff', 'ada', 400],
  ])('party/add %j by %s: %i, and nothing sent', async (uri, who, status) => {
    await open()
    const headers = { Authorization: `Bearer ${who}`, 'Content-Type': 'application/json' }
    const body = uri === '\xff' ? new Uint8Array([0xff]) : uri
    expect((await ask(house.port, { method: 'POST', path: '/party/add', headers, body })).status).toBe(status)
    expect(upstream.heard).toEqual([])
  })

  test('party/add as a page of it sends it: the text itself, in clothes of our own', async () => {
    await open(() => words(''))
    for (const type of ['application/json', 'text/plain', 'text/plain;charset=UTF-8']) {
      const headers = { Authorization: 'Bearer kim', 'Content-Type': type }
      const body = 'local:track:a.flac'
      expect((await ask(house.port, { method: 'POST', path: '/party/add', headers, body })).status).toBe(200)
    }
    for (const sent of upstream.heard) {
      expect(sent).toMatch(/content-type: text\/plain; charset=utf-8\r\n/)
      expect(sent.split('\r\n\r\n')[1]).toBe('local:track:a.flac')
    }
  })

  test.each([
    ['/iris/http/set_pinned', 'application/json', '{"pinned":[],"pinned":[]}'],
    ['/iris/http/set_pinned', 'application/json', '{"pinned":[],"connection_id":"X"}'],
    ['/iris/http/set_pinned', 'text/plain', '{"pinned":[]}'],
    ['/iris/http/set_pinned', 'application/x-www-form-urlencoded', 'pinned=1'],
    ['/iris/http/set_pinned?pinned=1', 'application/json', '{"pinned":[]}'],
    ['/iris/http/change_radio', 'application/json', '{"reset":true,"seed_artists":["spotify:artist:x&y"]}'],
    ['/pibox/api/session', 'application/json', '{"skipThreshold":0}'],
    ['/pibox/api/session', 'application/json', '[]'],
  ])('%s with %s %s: refused, and nothing sent', async (path, type, body) => {
    await open()
    const headers = { Authorization: 'Bearer ada', 'Content-Type': type }
    const { status } = await ask(house.port, { method: 'POST', path, headers, body })
    expect([400, 415]).toContain(status)
    expect(upstream.heard).toEqual([])
  })

  test('tells Pibox one voter for each account, and not the one they say they are', async () => {
    await open(() => json({ tracklist: [] }))
    for (const who of ['ada', 'ada', 'kim']) {
      const person = house.people.get('kim')
      if (person) house.people.set('kim', { ...person, roles: ['owner'] })
      await call('GET /pibox/api/tracklist', who, { 'X-Pibox-Fingerprint': 'somebody' })
    }
    const voters = upstream.heard.map((head) => /x-pibox-fingerprint: (\S+)/.exec(head)?.[1])
    expect(voters[0]).toMatch(/^[0-9a-f]{32}$/)
    expect([voters[1] === voters[0], voters[2] === voters[0]]).toEqual([true, false])
  })
})

describe('a browser that shows its cookie by itself', () => {
  const cookie = { Cookie: '__Host-stagedoor=r-ada' }
  const vote = (headers: Record<string, string>) =>
    ask(house.port, { path: '/party/vote', headers: { ...cookie, ...headers } })

  test.each([
    {},
    { 'Sec-Fetch-Site': 'cross-site' },
    { 'Sec-Fetch-Site': 'same-site' },
    { 'Sec-Fetch-Site': 'none' },
    { Referer: 'https://evil.example/' },
    { Referer: 'http://localhost/party/' },
    { 'Sec-Fetch-Site': 'same-origin', 'Sec-Fetch-Dest': 'empty', Origin: 'https://evil.example' },
    // What the sign-in page sends people on to, whoever made the link; and a picture of another client's page.
    { 'Sec-Fetch-Site': 'same-origin', 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'document' },
    { 'Sec-Fetch-Site': 'same-origin', 'Sec-Fetch-Mode': 'no-cors', 'Sec-Fetch-Dest': 'image' },
    { 'Sec-Fetch-Site': 'same-origin' },
  ])('votes for nobody with %j', async (headers) => {
    await open(() => words('voted'))
    expect((await vote(headers as Record<string, string>)).status).toBe(403)
    expect(upstream.heard).toEqual([])
  })

  test('votes from a page of ours', async () => {
    await open(() => words('voted'))
    expect((await vote({ 'Sec-Fetch-Site': 'same-origin', 'Sec-Fetch-Dest': 'empty' })).text).toBe('voted')
    expect((await vote({ Referer: `https://localhost:${house.port}/party/index.html` })).text).toBe('voted')
  })

  test('adds nothing for a page of another origin', async () => {
    await open()
    const add = (headers: Record<string, string>) =>
      ask(house.port, {
        method: 'POST',
        path: '/party/add',
        headers: { ...cookie, 'Content-Type': 'text/plain', ...headers },
        body: 'local:track:a',
      })
    expect((await add({})).status).toBe(403)
    expect((await add({ Origin: 'https://evil.example' })).status).toBe(403)
    expect(upstream.heard).toEqual([])
    expect((await add({ Origin: `https://localhost:${house.port}` })).status).toBe(200)
  })
})

describe('an answer', () => {
  test('holds what its row says, and no more', async () => {
    const config = {
      config: {
        country: 'NZ',
        is_root: true,
        spotify_username: 'me@example.com',
        spotify_authorization_url: 'https://jamesbarnsley.co.nz',
        snapcast_host: '10.0.0.1',
        shared_config: { spotify: { token: 'secret' } },
      },
    }
    await open(() => json(iris(config)))
    const { json: told, text, headers } = await call('GET /iris/http/get_config', 'kim')
    expect(told.result).toEqual({ config: { country: 'NZ', shared_config: {} } })
    expect(text).not.toMatch(/secret|me@|10\.0/)
    expect(headers.get('access-control-allow-origin')).toBeUndefined()
  })

  test('in words is words: never a page', async () => {
    await open(() => file('<script>alert(1)</script>\n\u0007', { 'Content-Type': 'text/html', 'Set-Cookie': 'a=b' }))
    const { headers } = await call('GET /party/vote', 'ada')
    expect(headers.get('content-type')).toBe('text/plain; charset=utf-8')
    expect(headers.get('x-content-type-options')).toBe('nosniff')
    expect(headers.get('set-cookie')).toBeUndefined()
  })

  test.each([
    ['409 Conflict', 'You have requested too many songs', 409, 'You have requested too many songs'],
    ['404 Not Found', '<html>Traceback /home/pi</html>', 404, 'the player does not take this'],
    ['500 Internal Server Error', 'Unable to add: /home/pi', 502, 'the player failed at this'],
    ['302 Found', '', 502, 'the player failed at this'],
    ['403 Forbidden', 'no', 502, 'the player does not let the gateway in'],
  ])('%s %j becomes %i %j', async (said, text, status, detail) => {
    await open(() => file(text, { 'Content-Type': 'text/html', Location: 'https://evil.example' }, said))
    const answer = await call('POST /party/add', 'ada')
    expect([answer.status, answer.json.detail]).toEqual([status, detail])
    expect(upstream.heard.length).toBe(1)
  })

  test('of another shape, compressed or endless is none', async () => {
    const wrong = [
      json({ tracklist: 'x' }),
      words('<html>'),
      file('x', { 'Content-Encoding': 'gzip', 'Content-Type': 'application/json' }),
      file('', { 'Content-Length': '99999999', 'Content-Type': 'application/json' }),
    ]
    await open(() => wrong.shift())
    for (let i = 0; i < 4; i++) {
      expect((await call('GET /pibox/api/tracklist', 'ada')).json.code).toBe('player-unreachable')
    }
  })

  test('that does not come is waited for so long and no longer, and what nobody waits for is not sent', async () => {
    await open(() => undefined, {
      callMs: 200,
      holdMs: 2_000,
      lane: { running: 1, runningEach: 1, costly: 1, waiting: 2, waitingEach: 1, costlyEach: 1 },
    })
    const all = await Promise.all([1, 2, 3].map(() => call('GET /pibox/api/session', 'ada')))
    expect(all.map(({ status }) => status).sort()).toEqual([429, 504, 504])
    expect(upstream.heard.length).toBe(1)
  })
})

test('no client’s commands lie below another’s path', () => {
  const all: readonly WebClient[] = [...webClients.values()]
  for (const { name, operation, client } of rows) {
    const owner = all.find(({ path }) => name.split(' ')[1]?.startsWith(path))
    expect([operation.name, owner?.name ?? client.name]).toEqual([name, client.name])
  }
})
