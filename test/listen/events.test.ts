import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { WebSocket } from 'ws'
import { raw } from './house.ts'
import { type LibrespotHouse, openLibrespotHouse, tokenOf } from './librespot.ts'

let house: LibrespotHouse
beforeAll(async () => {
  house = await openLibrespotHouse({ websocket: { heartbeatMs: 100 } })
})
afterAll(() => house.close())
beforeEach(() => {
  house.audit.length = 0
})

const open: WebSocket[] = []
afterEach(async () => {
  for (const ws of open.splice(0)) ws.terminate()
  await vi.waitFor(() => expect(house.door.size).toBe(0))
})

/** Somebody who listens; `closed` is the code they are sent away with. */
async function listen(
  path = '/events',
  as = 'owner',
  headers: Readonly<Record<string, string>> = {},
  port = house.port,
) {
  const ws = new WebSocket(`wss://localhost:${port}${path}`, {
    rejectUnauthorized: false,
    headers: { ...(as !== '' && { authorization: `Bearer ${tokenOf(as)}` }), ...headers },
  })
  open.push(ws)
  const heard: unknown[] = []
  ws.on('message', (data) => heard.push(JSON.parse(data.toString())))
  ws.on('error', () => {})
  const closed = new Promise<number>((resolve) => ws.once('close', resolve))
  const refused = new Promise<number>((resolve) =>
    ws.once('unexpected-response', (_, reply) => resolve(reply.statusCode ?? 0)),
  )
  const status = await Promise.race([new Promise<101>((resolve) => ws.once('open', () => resolve(101))), refused])
  return { ws, heard, closed, status }
}

const volume = (value: number) => ({ type: 'volume', data: { value, max: 65_535 } })

test('one event goes to everybody who may hear it, from one reader at the player', async () => {
  const [ada, kim] = await Promise.all([listen(), listen('/players/home/events', 'only status.read')])
  house.go.tell(volume(1))
  await vi.waitFor(() => expect([ada.heard, kim.heard]).toEqual([[volume(1)], [volume(1)]]))
  expect(house.go.readers).toBe(1)
  expect(house.audit.map(({ operation, outcome, door }) => [operation, outcome, door])).toEqual(
    Array(2).fill(['GET /events', 'allowed', 'websocket']),
  )
})

test('events of librespot-java are in its own words, and of its own player', async () => {
  const [java, go] = await Promise.all([listen('/players/attic/events'), listen()])
  house.java.tell({ event: 'volumeChanged', value: 0.5, username: 'alice' })
  await vi.waitFor(() => expect(java.heard).toEqual([{ event: 'volumeChanged', value: 0.5 }]))
  expect(go.heard).toEqual([])
})

test('what is in no catalog is told to nobody, and of what is only what is named', async () => {
  const ada = await listen()
  house.go.tell({ type: 'login', data: { username: 'alice' } })
  house.go.tell({ type: 'active', data: { username: 'alice' } })
  await vi.waitFor(() => expect(ada.heard).toEqual([{ type: 'active', data: null }]))
})

test.for([
  ['nobody', '/events', 403],
  ['no status.read', '/events', 403],
  ['no status.read', '/players/attic/events', 403],
  ['', '/events', 401],
  ['owner', '/events/', 404],
  ['owner', '/events/x', 404],
  ['owner', '//events', 404],
  ['owner', '/Events', 404],
  ['owner', '/%65vents', 404],
  ['owner', '/players/home//events', 404],
  ['owner', '/players/pi/events', 404],
  ['owner', '/players/cellar/events', 404],
  ['owner', '/mopidy/ws', 404],
  ['owner', '/player/pause', 404],
  ['owner', '/events?token=x', 401],
] as const)('%s at %s: %i, and the player hears nothing', async ([as, path, status]) => {
  const before = house.go.bytes + house.java.bytes
  const { ws, ...peer } = await listen(path, as)
  expect(peer.status).toBe(status)
  expect(house.go.bytes + house.java.bytes).toBe(before)
})

test.for(['/players/home/../home/events', '/players/home/%2e%2e/home/events', '/./events', '/players/home/events#'])(
  '%s is no other way there',
  async (path) => {
    const head = `Host: localhost\r\nAuthorization: Bearer ${tokenOf('owner')}\r\nConnection: Upgrade\r\nUpgrade: websocket`
    const key = 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='
    expect(await raw(house.port, `GET ${path} HTTP/1.1\r\n${head}\r\n${key}\r\n\r\n`)).toMatch(/^HTTP\/1\.1 404 /)
  },
)

test('a cookie with the Origin of another page, or of none, opens nothing', async () => {
  const cookie = `__Host-stagedoor=${tokenOf('owner')}`
  for (const origin of ['https://evil.example', 'null', undefined]) {
    const { status } = await listen('/events', '', { cookie, ...(origin && { origin }) })
    expect(status).toBe(403)
  }
  const own = await listen('/events', '', { cookie, origin: `https://localhost:${house.port}` })
  expect(own.status).toBe(101)
})

test.for([
  ['a text', (ws: WebSocket) => ws.send('{"type":"volume"}')],
  ['bytes', (ws: WebSocket) => ws.send(Buffer.from([1]))],
  ['nothing', (ws: WebSocket) => ws.send('')],
] as const)('the player would ignore %s, and we take none', async ([, say]) => {
  const { ws, closed } = await listen()
  const before = house.go.bytes
  say(ws)
  expect(await closed).toBe(1008)
  expect(house.go.bytes).toBe(before)
})

test('a long message ends it before it is there', async () => {
  const { ws, closed } = await listen()
  ws.send(Buffer.alloc(1024 * 1024))
  expect(await closed).toBe(1009)
})

test('a sign-in that ended hears no more', async () => {
  const { closed, heard } = await listen('/events', 'only status.read+kid')
  house.people.revoke('only status.read+kid')
  house.go.tell(volume(2))
  expect(await closed).toBe(4401)
  expect(heard).toEqual([])
})

test('who gives no sign of life is sent away', async () => {
  const { ws } = await listen()
  ws.pause()
  await vi.waitFor(() => expect(house.door.size).toBe(0), 3_000)
})

test('who does not read is sent away, and the others go on hearing', { timeout: 20_000 }, async () => {
  const other = await openLibrespotHouse({ websocket: { held: 64 * 1024, overflow: 64 * 1024 } })
  try {
    const [slow, quick] = await Promise.all([
      listen('/events', 'owner', {}, other.port),
      listen('/events', 'kid', {}, other.port),
    ])
    slow.ws.pause()
    const data = { uri: 'u', name: 'x', artist_names: Array(100).fill('x'.repeat(2_000)), album_name: 'x' }
    for (let sent = 0; other.door.size > 1; sent++) {
      other.go.tell({ type: 'metadata', data })
      await new Promise((resolve) => setTimeout(resolve, 40))
      if (sent > 500) throw new Error('nobody was sent away')
    }
    const said = () => {
      other.go.tell(volume(3))
      expect(quick.heard).toContainEqual(volume(3))
    }
    await vi.waitFor(said, { timeout: 5_000, interval: 200 })
    expect(quick.ws.readyState).toBe(WebSocket.OPEN)
  } finally {
    await other.close()
  }
})

test('the door without an upgrade says what it is', async () => {
  const reply = await raw(
    house.port,
    `GET /players/attic/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${tokenOf('owner')}\r\n\r\n`,
  )
  expect(reply).toMatch(/^HTTP\/1\.1 426 [\s\S]*\r\nupgrade: websocket\r\n/)
})
