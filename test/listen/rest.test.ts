import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Operation } from '../../src/call/catalog.ts'
import { goLibrespot } from '../../src/protocol/librespot/go.ts'
import { librespotJava } from '../../src/protocol/librespot/java.ts'
import { song } from '../upstream/fakelibrespot.ts'
import { type Ask, ask, closed, dial, parse, type Reply, raw } from './house.ts'
import { type LibrespotHouse, openLibrespotHouse, tokenOf } from './librespot.ts'

const track = 'spotify:track:67Hna13dNDkZvBpTXRIaOJ'

let house: LibrespotHouse
beforeAll(async () => {
  house = await openLibrespotHouse()
})
afterAll(() => house.close())
beforeEach(() => {
  house.go.state.track = song()
  house.java.state.track = song()
  // Some of its calls end it.
  house.java.status = 204
  house.go.state.volume = 20_000
  house.go.state.steps = 65_535
  house.audit.length = 0
  house.alarms.length = 0
})

interface Send extends Omit<Ask, 'body'> {
  readonly body?: unknown
  readonly as?: string | undefined
}

function send({ as = 'owner', headers = {}, body, ...more }: Send): Promise<Reply> {
  const text = typeof body === 'string' || body === undefined ? body : JSON.stringify(body)
  return ask(house.port, {
    ...more,
    headers: {
      ...(as !== '' && { Authorization: `Bearer ${tokenOf(as)}` }),
      ...(body !== undefined && { 'Content-Type': 'application/json' }),
      ...headers,
    },
    ...(text !== undefined && { body: text }),
  })
}

const post = (path: string, body?: unknown, more: Partial<Send> = {}) => send({ method: 'POST', path, body, ...more })

/** Everything that reached any of the players. */
const sent = () => house.go.bytes + house.java.bytes + house.pi.bytes

/** Sends what must not get through: it gets this status, and no player a byte. */
async function refused(status: number, request: Send): Promise<Reply> {
  const before = sent()
  const reply = await send(request)
  expect([reply.status, reply.text.slice(0, 300)]).toEqual([status, expect.any(String)])
  expect(sent(), 'what the players got').toBe(before)
  return reply
}

describe('every row', () => {
  const kinds = [
    { player: 'home', catalog: goLibrespot, prefixes: ['/players/home', ''] },
    { player: 'attic', catalog: librespotJava, prefixes: ['/players/attic'] },
  ] as const
  const rows = kinds.flatMap(({ catalog, player, prefixes }) =>
    prefixes.flatMap((prefix) =>
      Object.values(catalog as Readonly<Record<string, Operation>>).map((operation) => ({
        title: `${operation.name.replace(' ', ` ${prefix}`)}`,
        operation,
        player,
        prefix,
      })),
    ),
  )
  const playerOf = (player: string) => (player === 'home' ? house.go : house.java)

  // `/` at the root is the page, and the events are of WebSockets.
  const ordinary = rows.filter(({ operation, prefix }) => {
    return (
      operation.refused === undefined && `${prefix}${operation.name}` !== 'GET /' && operation.name !== 'GET /events'
    )
  })

  test.for(ordinary.filter(({ operation }) => operation.alarm))(
    '$title: the alarm rings for who may not, whatever comes with it',
    async ({ operation, prefix }) => {
      const { method, path } = requestOf(operation, {})
      await refused(403, { method, path: prefix + path, body: '{"a":', as: 'only status.read' })
      await refused(403, { method, path: `${prefix + path}?a=b`, as: 'only status.read' })
      expect(house.alarms.map(({ operation: { name } }) => name)).toEqual([operation.name, operation.name])
    },
  )

  test('there are rows to try, of both kinds', () => {
    expect(ordinary.length).toBeGreaterThan(50)
    expect(rows.filter(({ operation }) => operation.refused !== undefined).length).toBeGreaterThan(8)
  })

  test.for(ordinary)(
    '$title: goes to the player for who has just what it takes',
    async ({ operation, prefix, player }) => {
      for (const args of samplesOf(operation)) {
        const needed = [
          operation.capability,
          ...Object.entries(operation.also ?? {}).flatMap(([name, more]) => (name in args ? [more] : [])),
        ]
        const { method, path, body } = requestOf(operation, args)
        const fake = playerOf(player)
        const before = fake.requests.length
        const reply = await send({
          method,
          path: prefix + path,
          body,
          as: needed.map((name) => `only ${name}`).join('+'),
        })
        expect([200, 204], reply.text).toContain(reply.status)
        const last = fake.requests.slice(before).at(-1)
        expect(`${last?.method} ${decodeURIComponent(last?.path ?? '')}`).toBe(`${method} ${decodeURIComponent(path)}`)
      }
    },
  )

  test.for(ordinary)('$title: stays here for who has everything but what it takes', async ({ operation, prefix }) => {
    for (const args of samplesOf(operation)) {
      const { method, path, body } = requestOf(operation, args)
      const also = Object.entries(operation.also ?? {}).flatMap(([name, more]) => (name in args ? [more] : []))
      for (const lacking of [operation.capability, ...also]) {
        const reply = await refused(403, { method, path: prefix + path, body, as: `no ${lacking}` })
        expect(reply.json).toMatchObject({ code: 'forbidden', capability: lacking })
      }
      expect((await refused(401, { method, path: prefix + path, body, as: '' })).json.code).toBe('unauthenticated')
      expect(house.audit.at(-1)?.outcome).toBe('denied')
    }
  })

  test.for(rows.filter(({ operation }) => operation.refused !== undefined))(
    '$title: nobody gets there, and whoever tries is told of',
    async ({ operation, prefix }) => {
      const [method = '', path = ''] = operation.name.split(' ')
      for (const each of method === 'ANY' ? ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] : [method]) {
        for (const below of path.endsWith('*') ? ['x', 'x/y', ''] : [undefined]) {
          const where = prefix + (below === undefined ? path : path.replace('*', below))
          house.alarms.length = 0
          for (const more of [{}, { body: '{"a":', headers: { 'Content-Type': 'text/plain' } }]) {
            await refused(403, { method: each, path: where, ...(each === 'HEAD' ? {} : more) })
          }
          await refused(403, { method: each, path: `${where}?scope=streaming` })
          expect(house.alarms.map(({ operation: { name } }) => name)).toEqual(Array(3).fill(operation.name))
          expect(house.audit.at(-1)).toMatchObject({ outcome: 'denied', reason: 'alarm', operation: operation.name })
          await refused(401, { method: each, path: where, as: '' })
        }
      }
    },
  )
})

describe('paths', () => {
  test.for([
    '/players/home',
    '/players/home/status/',
    '/players/home//status',
    '/players/home/./status',
    '/players/home/x/../status',
    '/players/home/%2e%2e/home/status',
    '/players/home/stat%75s',
    '/players/home/player%2Fvolume',
    '/players/home/Status',
    '/players/HOME/status',
    '/players/cellar/status',
    '/players/pi/status',
    '/players/home/status;x',
    '/players/home/instance',
    '/players/attic/status',
    '/players/attic/tok%65n/x',
    '/players/attic/metadata/track',
    '/status/',
    '//status',
    '/player',
    '/instance',
    '/web-api%2fx',
  ])('GET %s is nothing, whoever asks', async (path) => {
    expect((await refused(404, { path })).json.code).toBe('unknown-operation')
    // Below the players a stranger does not even hear of nothing.
    await refused(path.startsWith('/players/') ? 401 : 404, { path, as: '' })
  })

  test.for([
    '/metadata/track/..%2f..%2ftoken%2fx',
    '/metadata/track/%2e%2e',
    '/metadata/track/spotify:track:67Hna13dNDkZvBpTXRIaOJ%2f..',
    '/metadata/track/spotify:track:67Hna13dNDkZvBpTXRIaOJ%00',
    '/metadata/track/a%252fb',
    '/metadata/track/a/b',
    '/search/',
    '/search/a%2fb',
    '/search/a%5cb',
    '/search/%25',
    '/search/%ff',
    '/profile/alice/followers/x',
    '/profile/../followers',
  ])('POST %s is no path of a row', async (path) => {
    const reply = await send({ method: 'POST', path: `/players/attic${path}` })
    expect([400, 404]).toContain(reply.status)
    expect(house.java.asked.at(-1)).not.toContain(path.split('/')[1])
  })

  test('a name that is none of its kind stays here', async () => {
    await refused(400, { method: 'POST', path: '/players/attic/metadata/track/notauri' })
    await refused(400, { method: 'POST', path: '/players/attic/metadata/lyrics/spotify:track:67Hna13dNDkZvBpTXRIaOJ' })
    await refused(400, { method: 'POST', path: '/players/attic/profile/al%20ice/followers' })
  })

  test('the root of the default player stays the page', async () => {
    const reply = await send({ path: '/' })
    expect([reply.status, reply.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8'])
    expect((await send({ path: '/players/home/' })).json).toEqual({ playback_ready: true })
  })

  test.for([
    ['POST', '/status', 'GET'],
    ['HEAD', '/status', 'GET'],
    ['OPTIONS', '/status', 'GET'],
    ['PUT', '/player/volume', 'GET, POST'],
    ['DELETE', '/player/play', 'POST'],
    ['GET', '/player/pause', 'POST'],
    ['HEAD', '/player/pause', 'POST'],
    ['OPTIONS', '/player/pause', 'POST'],
    ['GET', '/token', 'POST'],
  ] as const)('%s %s is another method than there is', async ([method, path, allow]) => {
    const reply = await refused(405, { method, path: `/players/home${path}` })
    expect(reply.headers.get('allow')).toBe(allow)
    await refused(401, { method, path: `/players/home${path}`, as: '' })
  })

  test('a header does not change the method', async () => {
    const headers = { 'X-HTTP-Method-Override': 'POST', 'X-Method-Override': 'POST', 'X-HTTP-Method': 'POST' }
    await refused(405, { path: '/players/home/player/pause', headers })
  })

  test.for(['/status?', '/status?x=1', '/player/volume?volume=1', '/?x', '/events?x'])(
    'GET %s has a query, and the player takes none',
    async (path) => {
      await refused(400, { path: `/players/home${path}` })
    },
  )

  test('the events are told over a WebSocket only', async () => {
    const reply = await refused(426, { path: '/events' })
    expect(reply.headers.get('upgrade')).toBe('websocket')
  })
})

describe('bodies', () => {
  const form = { 'Content-Type': 'application/x-www-form-urlencoded' }

  test.for([
    ['cmd=load&uri=spotify:album:6mb6lVLNrcUgLnEN8QnDJd', form],
    ['{"cmd":"load","uri":"spotify:album:6mb6lVLNrcUgLnEN8QnDJd"}', {}],
    ['pos=1', form],
    ['=', form],
    ['%', form],
  ] as const)('a body does not override the path of librespot-java: %s', async ([body, headers]) => {
    await refused(400, { method: 'POST', path: '/players/attic/player/pause', body, headers })
  })

  test('nor does a query', async () => {
    await refused(400, { method: 'POST', path: '/players/attic/player/pause?cmd=load' })
    await refused(400, { method: 'POST', path: '/players/attic/player/pause?' })
    await refused(400, { method: 'POST', path: '/players/attic/player/seek?pos=1', body: 'pos=1', headers: form })
  })

  test('a form and JSON are the same to librespot-java, and go out as one form of ours', async () => {
    for (const [body, headers] of [
      ['pos=1000', form],
      ['%70os=%31000', { 'Content-Type': 'application/x-www-form-urlencoded; charset=UTF-8' }],
      [{ pos: 1000 }, {}],
    ] as const) {
      await send({ method: 'POST', path: '/players/attic/player/seek', body, headers })
      expect(house.java.requests.at(-1)).toMatchObject({ path: '/player/seek', body: 'pos=1000' })
    }
  })

  test.for([
    'pos=1&pos=2',
    'pos=1&Pos=2',
    'pos=1&x=2',
    'pos=01',
    'pos=1.0',
    'pos=1e3',
    'pos=-1',
    'pos=',
    'pos',
    'pos=1;x=2',
    '',
  ])('a form that could be read in two ways stays here: %s', async (body) => {
    await refused(400, { method: 'POST', path: '/players/attic/player/seek', body, headers: form })
  })

  test.for([
    '{"position":1,"position":2}',
    '{"Position":1}',
    '{"position":1,"POSITION":2}',
    '{"position":1,"x":2}',
    '{"position":null}',
    '{"position":"1"}',
    '{"position":1.5}',
    '{"position":-1}',
    '{"position":86400001}',
    '{"position":9007199254740993}',
    '{"position":1}x',
    '[1]',
    '1',
    'null',
    '{"__proto__":1}',
    '{}',
    '{',
    '\ufeff{"position":1}',
    '{"position":{"a":{"a":{"a":{"a":{"a":1}}}}}}',
  ])('JSON that could be read in two ways stays here: %s', async (body) => {
    await refused(400, { method: 'POST', path: '/players/home/player/seek', body })
  })

  test.for([
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/json, text/plain',
    'application/json; charset=latin1',
    'text/json',
  ])('go-librespot would take anything, and %s is refused here', async (type) => {
    await refused(415, {
      method: 'POST',
      path: '/players/home/player/seek',
      body: '{"position":1}',
      headers: { 'Content-Type': type },
    })
  })

  test('librespot-java is sent no text/plain either', async () => {
    await refused(415, {
      method: 'POST',
      path: '/players/attic/player/seek',
      body: 'pos=1',
      headers: { 'Content-Type': 'text/plain' },
    })
  })

  test('GET has no body', async () => {
    await refused(400, { path: '/players/home/status', body: {} })
    await refused(400, { path: '/players/home/status', headers: { 'Transfer-Encoding': 'chunked' }, body: '0\r\n\r\n' })
  })

  test('200 MB are refused before they come', async () => {
    const before = sent()
    const head = (more: string) =>
      `POST /players/home/player/seek HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${tokenOf('owner')}\r\nContent-Type: application/json\r\n${more}\r\n\r\n`
    expect(await raw(house.port, head('Content-Length: 209715200'))).toMatch(
      /^HTTP\/1\.1 413 [\s\S]*more than 16384 bytes/,
    )
    const piece = ' '.repeat(0x10000)
    const chunks = Array.from({ length: 8 }, () => `10000\r\n${piece}\r\n`)
    expect(await raw(house.port, head('Transfer-Encoding: chunked'), ...chunks)).toMatch(/^HTTP\/1\.1 413 /)
    expect(sent()).toBe(before)
  })
})

describe('pages of other origins', () => {
  const cookie = { Authorization: '', Cookie: `__Host-stagedoor=${tokenOf('owner')}` }

  test.for([
    ['of another page', { Origin: 'https://evil.example' }],
    ['of no page', {}],
    ['of a page without an address', { Origin: 'null' }],
    ['of ours without TLS', { Origin: 'http://localhost' }],
  ] as const)('a cookie that comes with a request %s is no sign-in', async ([, headers]) => {
    const all = { Cookie: cookie.Cookie, ...headers }
    await refused(403, { method: 'POST', path: '/players/home/player/pause', as: '', headers: all })
    await refused(403, {
      method: 'POST',
      path: '/players/attic/player/seek',
      as: '',
      body: 'pos=1',
      headers: { ...all, 'Content-Type': 'application/x-www-form-urlencoded' },
    })
  })

  test('a cookie of our own page is', async () => {
    const headers = { Cookie: cookie.Cookie, Origin: `https://localhost:${house.port}` }
    expect((await send({ method: 'POST', path: '/players/home/player/pause', as: '', headers })).status).toBe(200)
  })

  test('a name that is not ours, as DNS rebinding has it, is nobody here', async () => {
    await refused(421, { path: '/players/home/status', headers: { Host: 'evil.example' } })
    await refused(421, { method: 'POST', path: '/players/home/player/pause', headers: { Host: 'evil.example' } })
  })
})

describe('what the player could not bear', () => {
  test.for([
    'spotify:track:7N42dgm5tFLK9N8MT7fHC8',
    'spotify:track:ZZZZZZZZZZZZZZZZZZZZZZ',
    'spotify:track:67Hna13dNDkZvBpTXRIaOJ/../x',
    'spotify:track:67Hna13dNDkZvBpTXRIaO',
    'spotify:track:',
    'spotify:album:6mb6lVLNrcUgLnEN8QnDJd',
    'file:///etc/passwd',
    ' spotify:track:67Hna13dNDkZvBpTXRIaOJ',
    'spotify:track:67Hna13dNDkZvBpTXRIaOJ\n',
    '',
  ])('%s is no track', async (uri) => {
    await refused(400, { method: 'POST', path: '/player/next', body: { uri } })
    await refused(400, { method: 'POST', path: '/player/add_to_queue', body: { uri } })
    await refused(400, { method: 'POST', path: '/players/attic/player/addToQueue', body: { uri } })
  })

  test('the largest id there is goes', async () => {
    const uri = 'spotify:track:7N42dgm5tFLK9N8MT7fHC7'
    expect((await post('/player/add_to_queue', { uri })).status).toBe(200)
    expect(house.go.state.queue.at(-1)).toBe(uri)
  })

  test('skipping while nothing is loaded is refused here, and the player lives', async () => {
    house.go.state.track = null
    for (const path of ['/player/next', '/player/prev']) {
      const asked = house.go.requests.length
      expect((await post(path)).status).toBe(409)
      expect(house.go.asked.slice(asked)).toEqual(['GET /status'])
    }
    expect(house.go.crashed).toBe(false)
  })

  test('a volume beyond the steps does not begin again at zero', async () => {
    for (const volume of [65_536, 65_538, -1, 1.5, '1', null]) {
      await refused(400, { method: 'POST', path: '/player/volume', body: { volume } })
    }
    await refused(400, { method: 'POST', path: '/players/attic/player/set-volume', body: { volume: 65_538 } })
    await refused(400, { method: 'POST', path: '/players/attic/player/set-volume', body: { volume: 1, step: 1 } })
  })
})

describe('volume', () => {
  const set = async (volume: number) => {
    house.go.tell({ type: 'volume', data: { value: volume, max: 65_535 } })
    await expect.poll(() => house.home.live?.volume).toBe(volume)
  }
  const asked = () =>
    house.go.requests
      .filter(({ method, path }) => `${method} ${path}` === 'POST /player/volume')
      .map(({ body }) => JSON.parse(body))

  test('a relative one goes out as the absolute one it comes to', async () => {
    await set(20_000)
    expect((await post('/player/volume', { volume: 1_000, relative: true })).status).toBe(200)
    expect(asked().at(-1)).toEqual({ volume: 21_000 })
    await post('/player/volume', { volume: -65_535, relative: true })
    expect(asked().at(-1)).toEqual({ volume: 0 })
  })

  test('a ceiling sees where it leads', async () => {
    await set(20_000)
    const up = { method: 'POST', path: '/player/volume', as: 'kid' }
    expect((await send({ ...up, body: { volume: 6_000, relative: true } })).status).toBe(200)
    const reply = await refused(403, { ...up, body: { volume: 300, relative: true } })
    expect(reply.json).toMatchObject({ code: 'forbidden', rule: 'roles.kid.grants[1].when.maxVolume' })
    await refused(403, { ...up, body: { volume: 27_000 } })
    expect((await send({ ...up, body: { volume: 26_214 } })).status).toBe(200)
  })

  test('many small steps at once do not add up beyond the ceiling', async () => {
    await set(20_000)
    const count = asked().length
    const replies = await Promise.all(
      Array.from({ length: 10 }, () => post('/player/volume', { volume: 1_000, relative: true }, { as: 'kid' })),
    )
    expect(replies.map(({ status }) => status).sort()).toEqual([...Array(6).fill(200), ...Array(4).fill(403)])
    expect(
      asked()
        .slice(count)
        .every(({ volume }) => volume <= 26_214),
    ).toBe(true)
    expect(house.go.state.volume).toBe(26_000)
  })

  test('while nobody knows where it stands, who has a ceiling is refused and the others wait', async () => {
    const other = await openLibrespotHouse()
    try {
      other.go.kill()
      await expect.poll(() => other.home.live).toBe(undefined)
      const before = other.go.bytes
      const up = (as: string) =>
        ask(other.port, {
          method: 'POST',
          path: '/player/volume',
          headers: { Authorization: `Bearer ${tokenOf(as)}`, 'Content-Type': 'application/json' },
          body: '{"volume":1}',
        })
      expect((await up('kid')).json).toMatchObject({ code: 'forbidden', rule: 'roles.kid.grants[1].when.maxVolume' })
      expect((await up('no volume.set')).json).toMatchObject({ code: 'forbidden' })
      expect((await up('owner')).json).toMatchObject({ status: 502, code: 'player-unreachable' })
      expect(other.go.bytes).toBe(before)
    } finally {
      await other.close()
    }
  })

  test('what nobody knows the end of is not for who has a ceiling', async () => {
    for (const path of ['/player/volume-up', '/player/volume-down']) {
      await refused(403, { method: 'POST', path: `/players/attic${path}`, as: 'kid' })
    }
    await refused(403, { method: 'POST', path: '/players/attic/player/set-volume', body: { step: 1 }, as: 'kid' })
    expect(
      (await send({ method: 'POST', path: '/players/attic/player/set-volume', body: { volume: 26_000 }, as: 'kid' }))
        .status,
    ).toBe(204)
    await refused(403, {
      method: 'POST',
      path: '/players/attic/player/set-volume',
      body: { volume: 26_300 },
      as: 'kid',
    })
  })
})

describe('answers', () => {
  test('tell nothing of whose login it is', async () => {
    const { status, json, text } = await send({ path: '/status', as: 'only status.read' })
    expect([status, json.device_type, json.track.name]).toEqual([200, 'computer', 'Teardrop'])
    expect(text).not.toMatch(/alice|d3adb33f|kept/)
  })

  test('say null where it was done, and nothing where there is no session', async () => {
    expect((await post('/player/pause')).text).toBe('null')
    house.go.session = false
    const { status, text } = await post('/player/pause')
    house.go.session = true
    expect([status, text]).toEqual([204, ''])
  })

  test('are problems when the player has one, with the time to wait where it is known', async () => {
    house.java.status = 500
    expect((await post('/players/attic/player/pause')).json).toMatchObject({ status: 502, code: 'player-unreachable' })
    house.java.status = 400
    expect((await post('/players/attic/player/pause')).json).toMatchObject({ status: 400, code: 'bad-arguments' })
    house.java.status = 404
    expect((await post('/players/attic/player/pause')).json).toMatchObject({ status: 404 })
    house.java.status = 503
    house.java.headers = { 'retry-after': '7' }
    const { status, json, headers } = await post('/players/attic/player/pause')
    house.java.headers = {}
    expect([status, headers.get('content-type')?.split(';')[0], json.code]).toEqual([
      502,
      'application/problem+json',
      'player-unreachable',
    ])
    expect(headers.get('retry-after')).toBe('7')
  })

  test('a sign-in that ended while the body came is none', async () => {
    const name = 'only playback.control+kid'
    const before = sent()
    const socket = await dial(house.port)
    const text = closed(socket)
    socket.write(
      `POST /players/home/player/seek HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${tokenOf(name)}\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n{"posi`,
    )
    await expect.poll(() => house.people.asked.at(-1)).toBe(name)
    house.people.revoke(name)
    socket.write('tion":1}')
    expect(parse(await text).status).toBe(401)
    expect(sent()).toBe(before)
  })
})

/** One value for each kind of thing that a row may ask for. A new kind has to have one here, or its test fails. */
const values = [
  true,
  1000,
  1,
  track,
  'spotify:album:6mb6lVLNrcUgLnEN8QnDJd',
  'Kitchen radio',
  'track',
  'none',
  'teardrop',
  'alice',
]

function valueFor(schema: TSchema, name: string): unknown {
  const check = Compile(schema)
  const value = values.find((each) => check.Check(each))
  if (value === undefined) throw new Error(`no value here fits ${name}`)
  return value
}

/** Arguments that a row takes: as few as possible, and all of them where that is allowed. */
function samplesOf({ params, together }: Operation): Readonly<Record<string, unknown>>[] {
  const entries = Object.entries(params).map(([name, { schema, count }]) => ({
    name,
    count,
    value: valueFor(schema, name),
  }))
  const few = entries.filter(({ count }) => count === 'one')
  const choices = [few, entries, ...entries.map((one) => [...few.filter((other) => other !== one), one])]
  const samples = choices
    .map((chosen) => Object.fromEntries(chosen.map(({ name, value }) => [name, value])))
    .filter((args) => together?.(args) === undefined)
  return [...new Map(samples.map((args) => [JSON.stringify(args), args])).values()]
}

function requestOf(
  { name }: Operation,
  args: Readonly<Record<string, unknown>>,
): { method: string; path: string; body?: unknown } {
  const [method = '', template = ''] = name.split(' ')
  const rest = { ...args }
  const path = template.replace(/\{(\w+)\}/g, (_, param: string) => {
    const value = String(rest[param])
    delete rest[param]
    return encodeURIComponent(value).replaceAll('%3A', ':')
  })
  return { method, path, ...(Object.keys(rest).length > 0 && { body: rest }) }
}
