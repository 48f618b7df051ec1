import { randomBytes, randomUUID } from 'node:crypto'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { afterEach, beforeAll, expect, test, vi } from 'vitest'
import { WebSocket } from 'ws'
import type { User } from '../../src/call/call.ts'
import { Fault } from '../../src/call/fault.ts'
import type { AuditRecord } from '../../src/gate/audit.ts'
import { createGate } from '../../src/gate/gate.ts'
import { createLimiter } from '../../src/gate/limiter.ts'
import type { Credential } from '../../src/identity/identity.ts'
import {
  createAuthority,
  createServer as createCertificate,
  createKey,
  type Pair,
} from '../../src/listen/certificate.ts'
import { createHosts } from '../../src/listen/hosts.ts'
import { createAnswer } from '../../src/listen/rpc.ts'
import { attachWebsocket, type WebsocketDoor, type WebsocketLimits } from '../../src/listen/websocket.ts'
import { compile } from '../../src/policy/policy.ts'
import { createMopidy } from '../../src/upstream/mopidy.ts'
import { answer, type FakePlayer, startFakePlayer, userNamed } from '../upstream/fake.ts'

const policy = compile({
  owner: { grants: [{ allow: ['*'] }] },
  guest: { grants: [{ allow: ['status.read', 'library.read'] }] },
  kid: { grants: [{ allow: ['status.read', 'playback.control'] }, { allow: ['volume.set'], when: { maxVolume: 40 } }] },
  nobody: { grants: [] },
})

let pair: Pair
beforeAll(async () => {
  const key = createKey()
  const now = Date.now()
  await createAuthority(key, now)
  pair = await createCertificate({ key, until: now + 86_400_000 }, ['localhost', '127.0.0.1'], now)
})

const ends: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

/** Accounts in memory: a bearer token, a cookie or a ticket is somebody's name. */
function createPeople() {
  const people = new Map<string, User>(
    ['owner', 'guest', 'kid', 'nobody'].map((role) => [role, userNamed(role, [role])] as const),
  )
  const tickets = new Map<string, string>()
  const listeners = new Set<() => void>()
  const find = (name: string | undefined): User => {
    const user = people.get(name ?? '')
    if (!user) throw new Fault('bad-credentials', 'wrong credentials')
    return user
  }
  return {
    tickets,
    /** Every credential that was shown. */
    shown: [] as Credential[],
    change(name: string, user: User | undefined) {
      if (user) people.set(name, user)
      else people.delete(name)
      for (const listener of listeners) listener()
    },
    /** As a clock that runs on: nobody is told. */
    expire(name: string, until: number) {
      people.set(name, { ...find(name), until })
    },
    find,
    async identify(credential: Credential, from: string) {
      this.shown.push(credential)
      await new Promise((resolve) => setImmediate(resolve))
      switch (credential.kind) {
        case 'none':
          return { kind: 'anonymous', from } as const
        case 'bearer':
        case 'basic':
          return find(credential.token)
        case 'cookie':
          return find(credential.value)
        case 'ticket': {
          const name = tickets.get(credential.ticket)
          tickets.delete(credential.ticket)
          return find(name)
        }
        case 'mpd':
        case 'certificate':
          throw new Fault('bad-credentials', 'not here')
      }
    },
    renew(user: User): User | undefined {
      const now = people.get(user.id)
      return now && now.until > Date.now() ? now : undefined
    },
    onChange(listener: () => void) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}

interface Setting {
  readonly fake: FakePlayer
  readonly people: ReturnType<typeof createPeople>
  readonly audit: readonly AuditRecord[]
  readonly door: WebsocketDoor
  readonly server: Server
  readonly port: number
  readonly host: string
  /** Opens a socket and waits until it is open. */
  open(name: string, path?: string): Promise<Peer>
  /** Sends bytes over TLS and returns what comes back until the end. */
  raw(text: string): Promise<string>
  /** An upgrade that would do, with changes. */
  upgrade(changes?: Readonly<Record<string, string | undefined>>, line?: string): string
}

async function setUp(limits: Partial<WebsocketLimits> = {}): Promise<Setting> {
  const fake = await startFakePlayer()
  const rpc = createMopidy({ url: fake.url, now: Date.now, limits: { retryFirstMs: 10 } })
  const people = createPeople()
  const audit: AuditRecord[] = []
  const gate = createGate({
    policy: () => policy,
    limiter: createLimiter(),
    audit: { write: (record) => audit.push(record) },
  })
  const player = (name: string) => ({ rpc, answer: createAnswer({ gate, player: name, rpc, now: Date.now }) })
  const server = createServer({ cert: pair.cert, key: pair.key })
  const door = attachWebsocket(server, {
    gate,
    identity: people,
    players: new Map([
      ['home', player('home')],
      ['attic', player('attic')],
    ]),
    defaultPlayer: 'home',
    hosts: createHosts(['localhost']),
    limits: { closeMs: 200, ...limits },
    now: Date.now,
    newId: randomUUID,
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  ends.push(async () => {
    await door.close()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    await rpc.close()
    await fake.close()
  })
  await vi.waitFor(() => expect(rpc.up).toBe(true))
  const host = `localhost:${port}`
  return {
    fake,
    people,
    audit,
    door,
    server,
    port,
    host,
    async open(name, path = '/mopidy/ws') {
      const peer = connect(`wss://${host}${path}`, { authorization: `Bearer ${name}` })
      await peer.opened
      return peer
    },
    raw: (text) => raw(port, text),
    upgrade(changes = {}, line = 'GET /mopidy/ws HTTP/1.1') {
      const headers: Readonly<Record<string, string | undefined>> = {
        Host: host,
        Connection: 'Upgrade',
        Upgrade: 'websocket',
        'Sec-WebSocket-Version': '13',
        'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
        Authorization: 'Bearer owner',
        ...changes,
      }
      const lines = Object.entries(headers).flatMap(([name, value]) =>
        value === undefined ? [] : [`${name}: ${value}`],
      )
      return `${[line, ...lines].join('\r\n')}\r\n\r\n`
    },
  }
}

interface Peer {
  readonly ws: WebSocket
  readonly opened: Promise<void>
  /** The close code, once it is closed. */
  readonly closed: Promise<number>
  /** Everything it was told, parsed. */
  readonly heard: readonly Heard[]
  send(message: unknown): void
  /** Waits until so much was heard. */
  hear(count: number): Promise<readonly Heard[]>
}

interface Heard {
  readonly id?: string | number | null
  readonly event?: string
  readonly result?: unknown
  readonly error?: { readonly code: number; readonly data?: { readonly code?: string } }
}

function connect(url: string, headers: Record<string, string>, options: { autoPong?: boolean } = {}): Peer {
  const ws = new WebSocket(url, { headers, rejectUnauthorized: false, ...options })
  const heard: Heard[] = []
  const opened = new Promise<void>((resolve, reject) => {
    ws.once('open', resolve)
    ws.once('error', reject)
  })
  const closed = new Promise<number>((resolve) => ws.once('close', resolve))
  ws.on('error', () => undefined)
  ws.on('message', (data: Buffer) => heard.push(JSON.parse(data.toString())))
  ends.push(() => ws.terminate())
  return {
    ws,
    opened,
    closed,
    heard,
    send: (message) => ws.send(typeof message === 'string' ? message : JSON.stringify(message)),
    async hear(count) {
      await vi.waitFor(() => expect(heard.length).toBeGreaterThanOrEqual(count), { timeout: 3_000, interval: 5 })
      return heard
    },
  }
}

function dial(port: number): TLSSocket {
  const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, servername: 'localhost' })
  socket.setNoDelay()
  socket.on('error', () => undefined)
  ends.push(() => void socket.destroy())
  return socket
}

async function raw(port: number, text: string): Promise<string> {
  const socket = dial(port)
  let got = ''
  socket.on('data', (data) => {
    got += data.toString('latin1')
  })
  socket.write(text)
  // A socket that was upgraded stays open, and is done when it has said so.
  await vi.waitFor(() => expect(socket.closed || got.startsWith('HTTP/1.1 101')).toBe(true), { timeout: 3_000 })
  socket.destroy()
  return got
}

/** A socket that was upgraded, for frames no library would send. */
async function openRaw({
  port,
  upgrade,
}: Setting): Promise<{ socket: TLSSocket; closed: Promise<number | undefined> }> {
  const socket = dial(port)
  let got = Buffer.alloc(0)
  socket.on('data', (data: Buffer) => {
    got = Buffer.concat([got, data])
  })
  socket.write(upgrade())
  await vi.waitFor(() => expect(got.includes('\r\n\r\n')).toBe(true))
  const start = got.indexOf('\r\n\r\n') + 4
  const closed = new Promise<number | undefined>((resolve) => {
    socket.once('close', () => {
      const frame = got.subarray(start)
      const at = frame.lastIndexOf(0x88)
      resolve(at < 0 ? undefined : frame.readUInt16BE(at + 2))
    })
  })
  return { socket, closed }
}

function frame(opcode: number, payload: string | Buffer, { fin = true, masked = true, rsv = 0 } = {}): Buffer {
  const bytes = Buffer.from(payload)
  const first = (fin ? 0x80 : 0) | rsv | opcode
  const length = bytes.length < 126 ? [bytes.length] : [126, bytes.length >> 8, bytes.length & 255]
  length[0] = (length[0] ?? 0) | (masked ? 0x80 : 0)
  return Buffer.concat([Buffer.from([first, ...length]), masked ? Buffer.alloc(4) : Buffer.alloc(0), bytes])
}

const ask = (id: string | number | null, method: string, params?: unknown) => ({
  jsonrpc: '2.0',
  id,
  method,
  ...(params !== undefined && { params }),
})
const getState = (id: string | number) => ask(id, 'core.playback.get_state')
const settle = () => new Promise((resolve) => setTimeout(resolve, 30))

// --- the handshake

test.each<[string, number, Record<string, string | undefined>, string?]>([
  ['an evil Origin', 403, { Origin: 'https://evil.example' }],
  ['the Origin null', 403, { Origin: 'null' }],
  ['the Origin file://', 403, { Origin: 'file://' }],
  ['our name with http', 403, { Origin: 'http://localhost' }],
  ['version 8', 426, { 'Sec-WebSocket-Version': '8' }],
  ['no version', 426, { 'Sec-WebSocket-Version': undefined }],
  ['HTTP/1.0', 400, {}, 'GET /mopidy/ws HTTP/1.0'],
  ['POST', 405, {}, 'POST /mopidy/ws HTTP/1.1'],
  ['a body with a length', 400, { 'Content-Length': '5' }],
  ['a chunked body', 400, { 'Transfer-Encoding': 'chunked' }],
  ['h2c beside websocket', 400, { Upgrade: 'h2c, websocket' }],
  ['h2c alone', 400, { Upgrade: 'h2c' }],
  ['a key of the wrong length', 400, { 'Sec-WebSocket-Key': 'c2hvcnQ=' }],
  ['no key', 400, { 'Sec-WebSocket-Key': undefined }],
  ['a name that is not ours', 421, { Host: 'evil.example' }],
])('trap f · an upgrade with %s: %i before any 101', async (_, status, changes, line) => {
  const setting = await setUp()
  expect(await setting.raw(setting.upgrade(changes, line))).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
  expect(setting.people.shown).toEqual([])
  expect(setting.fake.received).toEqual([])
})

test('trap f · an upgrade with two Hosts: 400', async () => {
  const setting = await setUp()
  const text = setting.upgrade().replace('\r\n', `\r\nHost: ${setting.host}\r\n`)
  expect(await setting.raw(text)).toMatch(/^HTTP\/1.1 400 /)
})

test('an upgrade that keeps to the rules: 101, without extensions or subprotocol', async () => {
  const setting = await setUp()
  const changes = {
    Origin: `https://${setting.host}`,
    'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits',
    'Sec-WebSocket-Protocol': 'chat',
  }
  const answer = await setting.raw(setting.upgrade(changes))
  expect(answer).toMatch(/^HTTP\/1.1 101 /)
  expect(answer).not.toMatch(/sec-websocket-(extensions|protocol)/i)
})

test.each([
  '/mopidy/ws/x',
  '//mopidy/ws',
  '/Mopidy/ws',
  '/mopidy/ws%2f',
  '/mopidy/%77s',
  '/players/none/mopidy/ws',
  '/players/__proto__/mopidy/ws',
  '/players/home/../attic/mopidy/ws',
  'https://localhost/mopidy/ws',
  '/mopidy/rpc',
  '/',
])('nothing is at %s: 404', async (path) => {
  const setting = await setUp()
  expect(await setting.raw(setting.upgrade({}, `GET ${path} HTTP/1.1`))).toMatch(/^HTTP\/1.1 404 /)
})

test.each(['/mopidy/ws', '/mopidy/ws/', '/players/attic/mopidy/ws', '/players/attic/mopidy/ws/'])(
  'a player is at %s',
  async (path) => {
    const { open, audit } = await setUp()
    const peer = await open('owner', path)
    peer.send(getState(1))
    expect(await peer.hear(1)).toEqual([{ jsonrpc: '2.0', id: 1, result: null }])
    expect(audit).toMatchObject([{ door: 'websocket', player: path.includes('attic') ? 'attic' : 'home' }])
  },
)

test.each<[string, Record<string, string | undefined>, string?]>([
  ['nothing', { Authorization: undefined }],
  ['a wrong token', { Authorization: 'Bearer stranger' }],
  ['an Authorization that is none', { Authorization: 'Digest x' }],
  ['a token in the query', { Authorization: undefined }, 'access_token=owner'],
  ['a token in the query beside a good header', {}, 'token=owner'],
  ['a JWT as ticket', { Authorization: undefined }, 'ticket=eyJhbGciOiJFZERTQSJ9.e30.c2ln'],
  ['two tickets', { Authorization: undefined }, 'ticket=a&ticket=b'],
  ['a ticket nobody issued', { Authorization: undefined }, 'ticket=stranger'],
])('who shows %s: 401 before any 101, and the player hears nothing', async (_, changes, query) => {
  const setting = await setUp()
  const line = `GET /mopidy/ws${query === undefined ? '' : `?${query}`} HTTP/1.1`
  const answer = await setting.raw(setting.upgrade(changes, line))
  expect(answer).toMatch(/^HTTP\/1.1 401 /)
  expect(answer).toMatch(/\r\nwww-authenticate: Bearer/)
  expect(answer).not.toContain('owner')
  expect(setting.door.size).toBe(0)
  expect(setting.fake.received).toEqual([])
})

test('a role that may do nothing anywhere is told so at the root', async () => {
  const setting = await setUp()
  expect(await setting.raw(setting.upgrade({ Authorization: 'Bearer nobody' }))).toMatch(/^HTTP\/1.1 403 /)
})

test('a ticket opens one WebSocket, once', async () => {
  const { host, people } = await setUp()
  people.tickets.set('one-time', 'guest')
  const first = connect(`wss://${host}/mopidy/ws?ticket=one-time`, {})
  await first.opened
  await expect(connect(`wss://${host}/mopidy/ws?ticket=one-time`, {}).opened).rejects.toThrow('401')
})

test('a cookie does for our own pages only', async () => {
  const setting = await setUp()
  const cookie = { Authorization: undefined, Cookie: '__Host-stagedoor=owner' }
  const from = (Origin: string | undefined) => setting.raw(setting.upgrade({ ...cookie, Origin }))
  expect(await from(undefined)).toMatch(/^HTTP\/1.1 403 /)
  expect(await from('https://evil.example')).toMatch(/^HTTP\/1.1 403 /)
  expect(await from(`https://${setting.host}`)).toMatch(/^HTTP\/1.1 101 /)
})

test('W12 · an account has so many WebSockets, and gets its places back', async () => {
  const { open } = await setUp({ perAccount: 2 })
  const first = await open('owner')
  await open('owner')
  await expect(open('owner')).rejects.toThrow('429')
  await open('guest')
  first.ws.close()
  await first.closed
  await vi.waitFor(() => open('owner'))
})

test('W12 · an address has so many WebSockets', async () => {
  const { open } = await setUp({ perAddress: 2 })
  await open('owner')
  await open('guest')
  await expect(open('kid')).rejects.toThrow('429')
})

test('W12 · an address that keeps knocking is told to wait', async () => {
  const setting = await setUp({ upgrades: { count: 3, ms: 60_000 } })
  for (let i = 0; i < 3; i++) {
    expect(await setting.raw(setting.upgrade({ Authorization: 'Bearer wrong' }))).toMatch(/^HTTP\/1.1 401 /)
  }
  expect(await setting.raw(setting.upgrade())).toMatch(/^HTTP\/1.1 429 .*\r\nretry-after: \d/s)
})

// --- questions and answers

test('W3 · questions in the packet of the upgrade are judged and answered in order', async () => {
  const setting = await setUp()
  const { port, upgrade, fake } = setting
  const socket = dial(port)
  let got = ''
  socket.on('data', (data) => {
    got += data.toString('latin1')
  })
  const questions = [getState(1), ask(2, 'core.mixer.set_volume', [90]), ask(3, 'core.playback.pause')]
  const frames = questions.map((question) => frame(1, JSON.stringify(question)))
  socket.write(Buffer.concat([Buffer.from(upgrade({ Authorization: 'Bearer kid' })), ...frames]))
  await vi.waitFor(() => expect(got).toMatch(/"id":1.*"id":2,"error".*"id":3/s))
  expect(fake.methods).toEqual(['core.playback.get_state', 'core.playback.pause'])
})

test('what a role may not do is refused by position, by name, in a batch, and never reaches the player', async () => {
  const { open, fake, audit } = await setUp()
  const kid = await open('kid')
  kid.send(ask(1, 'core.mixer.set_volume', [41]))
  kid.send(ask(2, 'core.mixer.set_volume', { volume: 41 }))
  kid.send([ask(3, 'core.mixer.set_volume', [41]), ask(4, 'core.mixer.set_volume', [40])])
  kid.send({ jsonrpc: '2.0', method: 'core.mixer.set_volume', params: [42] })
  kid.send(ask(5, 'core.tracklist.clear'))
  const heard = (await kid.hear(4)).flat()
  expect(heard.map(({ id, error }) => [id, error?.code])).toEqual([
    [1, -32003],
    [2, -32003],
    [3, -32003],
    [4, undefined],
    [5, -32003],
  ])
  expect(fake.received.map((text) => JSON.parse(text))).toMatchObject([{ params: { volume: 40 } }])
  expect(audit.map(({ outcome }) => outcome)).toEqual(['denied', 'denied', 'denied', 'allowed', 'denied', 'denied'])
})

test('two clients with the same ids each hear their own answers', async () => {
  const { open, fake } = await setUp()
  fake.onQuestion = ({ method }) => method
  const [one, two] = [await open('owner'), await open('owner')]
  for (const id of [1, 2, 3]) {
    one.send(ask(id, 'core.playback.get_state'))
    two.send(ask(id, 'core.mixer.get_volume'))
  }
  expect((await one.hear(3)).map(({ id, result }) => [id, result])).toEqual(
    [1, 2, 3].map((id) => [id, 'core.playback.get_state']),
  )
  expect((await two.hear(3)).map(({ id, result }) => [id, result])).toEqual(
    [1, 2, 3].map((id) => [id, 'core.mixer.get_volume']),
  )
})

test('answers come in the order of the questions though the player answers in reverse', async () => {
  const { open, fake } = await setUp()
  const late: (() => void)[] = []
  fake.onQuestion = ({ id }, socket) => {
    late.unshift(() => answer(socket, id, id))
    if (late.length === 10) for (const each of late) each()
  }
  const peer = await open('owner')
  const ids = Array.from({ length: 10 }, (_, i) => `q${i}`)
  for (const id of ids) peer.send(getState(id))
  expect((await peer.hear(10)).map(({ id }) => id)).toEqual(ids)
})

test('what follows a batch does not overtake its items', async () => {
  const { open, fake } = await setUp()
  fake.onQuestion = ({ id }, socket) => {
    setTimeout(() => answer(socket, id, null), 5)
  }
  const peer = await open('owner')
  peer.send([ask(1, 'core.tracklist.clear'), ask(2, 'core.tracklist.shuffle')])
  peer.send(ask(3, 'core.playback.play'))
  await peer.hear(2)
  expect(fake.methods).toEqual(['core.tracklist.clear', 'core.tracklist.shuffle', 'core.playback.play'])
})

test('a notification is judged and not answered', async () => {
  const { open, fake } = await setUp()
  const peer = await open('owner')
  peer.send({ jsonrpc: '2.0', method: 'core.playback.pause' })
  peer.send(getState(7))
  expect((await peer.hear(1)).map(({ id }) => id)).toEqual([7])
  expect(fake.methods).toEqual(['core.playback.pause', 'core.playback.get_state'])
})

test.each<[string, string, number]>([
  ['no JSON', '{', -32700],
  [
    'a duplicate key',
    '{"jsonrpc":"2.0","id":1,"method":"core.playback.get_state","method":"core.playback.stop"}',
    -32600,
  ],
  ['an unknown member', '{"jsonrpc":"2.0","id":1,"method":"core.playback.get_state","x":1}', -32600],
  ['nesting without end', `${'['.repeat(10_000)}${']'.repeat(10_000)}`, -32600],
  ['an unknown method', '{"jsonrpc":"2.0","id":1,"method":"core.playback.core"}', -32601],
  ['a wrong type', '{"jsonrpc":"2.0","id":1,"method":"core.mixer.set_volume","params":["50"]}', -32602],
])('%s gets its error, reaches no player, and the connection goes on', async (_, text, code) => {
  const { open, fake } = await setUp()
  const peer = await open('owner')
  peer.send(text)
  peer.send(getState('after'))
  const [wrong, right] = await peer.hear(2)
  expect(wrong?.error?.code).toBe(code)
  expect(right?.id).toBe('after')
  expect(fake.methods).toEqual(['core.playback.get_state'])
})

test('W5 · a forbidden method in fragments with pings in between is refused as a whole', async () => {
  const setting = await setUp()
  const socket = dial(setting.port)
  let got = ''
  socket.on('data', (data) => {
    got += data.toString('latin1')
  })
  socket.write(setting.upgrade({ Authorization: 'Bearer kid' }))
  const text = JSON.stringify(ask(1, 'core.tracklist.clear'))
  socket.write(frame(1, text.slice(0, 30), { fin: false }))
  socket.write(frame(9, 'hello'))
  socket.write(frame(0, text.slice(30)))
  await vi.waitFor(() => expect(got).toContain('-32003'))
  expect(setting.fake.received).toEqual([])
})

// --- limits

test.each<[string, Buffer, number]>([
  ['a binary frame', frame(2, JSON.stringify(getState(1))), 1003],
  ['an unmasked frame', frame(1, '{}', { masked: false }), 1002],
  ['a reserved bit', frame(1, '{}', { rsv: 0x40 }), 1002],
  ['a reserved opcode', frame(3, '{}'), 1002],
  ['bad UTF-8', frame(1, Buffer.from([0x22, 0xc3, 0x28, 0x22])), 1007],
  ['the close code 1005', frame(8, Buffer.from([0x03, 0xed])), 1002],
  ['the close code 999', frame(8, Buffer.from([0x03, 0xe7])), 1002],
  ['a claim of 2^40 bytes', Buffer.from([0x81, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]), 1009],
  ['300 KiB', Buffer.from([0x81, 0xff, 0, 0, 0, 0, 0, 4, 0xb0, 0, 0, 0, 0, 0]), 1009],
  [
    '65 fragments',
    Buffer.concat([frame(1, '', { fin: false }), ...Array(64).fill(frame(0, 'x', { fin: false }))]),
    1008,
  ],
  [
    '20,000 empty fragments',
    Buffer.concat(
      Array(20_000)
        .fill(frame(1, '', { fin: false }))
        .fill(frame(0, '', { fin: false }), 1),
    ),
    1008,
  ],
])('W6, W10 · %s ends the connection: the player hears nothing', async (_, bytes, code) => {
  const setting = await setUp()
  const { socket, closed } = await openRaw(setting)
  socket.write(bytes)
  expect(await closed).toBe(code)
  expect(setting.fake.received).toEqual([])
  const other = await setting.open('owner')
  other.send(getState(1))
  await other.hear(1)
})

test('W6 · a frame that comes byte by byte ends the connection', async () => {
  const setting = await setUp()
  const { socket, closed } = await openRaw(setting)
  for (const byte of frame(1, 'x'.repeat(1_000))) {
    socket.write(Buffer.from([byte]))
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(await closed).toBe(1008)
})

test.each<[string, Buffer]>([
  ['a fragment that nothing follows', frame(1, '{"jsonrpc"', { fin: false })],
  ['half a frame', frame(1, '{"jsonrpc":"2.0"}').subarray(0, 12)],
  ['half a header', Buffer.from([0x81])],
  ['a header and no more', frame(1, '{}').subarray(0, 6)],
])('W6 · %s is not held for long', async (_, bytes) => {
  const setting = await setUp({ incompleteMs: 50, sweepMs: 10 })
  const { socket, closed } = await openRaw(setting)
  const patient = await setting.open('owner')
  socket.write(bytes)
  expect(await closed).toBe(1008)
  patient.send(getState(1))
  await patient.hear(1)
})

test.each<[string, (ws: WebSocket) => void]>([
  ['messages', (ws) => ws.send('{}')],
  ['pings', (ws) => ws.ping()],
  ['pongs', (ws) => ws.pong()],
])('W8 · a flood of %s ends the connection', async (_, send) => {
  const { open } = await setUp({ frames: { count: 100, ms: 1_000 } })
  const peer = await open('owner')
  for (let i = 0; i < 2_000; i++) send(peer.ws)
  // ws itself breaks off without a code when too many pongs wait to be taken.
  expect([1013, 1006]).toContain(await peer.closed)
})

test('W8 · a flood over many connections is one flood', async () => {
  const { open } = await setUp({ frames: { count: 100, ms: 60_000 } })
  const peers = await Promise.all(Array.from({ length: 4 }, () => open('owner')))
  for (const { ws } of peers) for (let i = 0; i < 30; i++) ws.send('{}')
  expect([1013, 1006]).toContain(await Promise.race(peers.map(({ closed }) => closed)))
})

test('trap g · W9 · a client that never reads is not kept in memory, and the others go on', async () => {
  const limits = { held: 1024 * 1024, overflow: 4 * 1024 * 1024 }
  const { open, fake, door } = await setUp(limits)
  const song = randomBytes(350_000).toString('hex')
  fake.onQuestion = ({ method }) => (method === 'core.tracklist.get_tl_tracks' ? song : 'playing')
  const peer = await open('owner')
  peer.ws.pause()
  const before = process.memoryUsage().rss
  for (let i = 0; i < 250; i++) peer.send(ask(i, 'core.tracklist.get_tl_tracks'))
  await vi.waitFor(() => expect(door.size).toBe(0), { timeout: 10_000 })
  // 175 MB were asked for; a few of them were fetched, and then it was over.
  expect(fake.received.length).toBeLessThan(100)
  expect(process.memoryUsage().rss - before).toBeLessThan(150 * 1024 * 1024)
  const other = await open('owner')
  other.send(getState(1))
  expect(await other.hear(1)).toMatchObject([{ result: 'playing' }])
})

test('trap g · events for a client that never reads end its connection, and only its own', async () => {
  const { open, fake, door } = await setUp({ held: 256 * 1024, overflow: 0 })
  const [slow, quick] = [await open('owner'), await open('owner')]
  slow.ws.pause()
  const event = JSON.stringify({ event: 'stream_title_changed', title: 'x'.repeat(50_000) })
  for (let i = 0; i < 2_000 && door.size === 2; i++) {
    fake.broadcast(event)
    await quick.hear(i + 1)
  }
  expect(door.size).toBe(1)
  expect(quick.ws.readyState).toBe(WebSocket.OPEN)
})

test('while a client does not take its answers, no more of its questions are read', async () => {
  const { open, fake } = await setUp({ lowMark: 1024, inProgress: 2 })
  const song = 'x'.repeat(4 * 1024 * 1024)
  fake.onQuestion = () => song
  const peer = await open('owner')
  peer.ws.pause()
  for (let i = 0; i < 20; i++) peer.send(getState(i))
  await fake.waitFor(1)
  await settle()
  expect(fake.received.length).toBeLessThan(10)
  peer.ws.resume()
  expect((await peer.hear(20)).map(({ id }) => id)).toEqual(Array.from({ length: 20 }, (_, i) => i))
})

test('so many questions of a client are worked on at once, and the rest wait in its socket', async () => {
  const { open, fake } = await setUp({ inProgress: 4 })
  const late: (() => void)[] = []
  fake.onQuestion = ({ id }, socket) => {
    late.push(() => answer(socket, id, null))
  }
  const peer = await open('owner')
  for (let i = 0; i < 50; i++) peer.send(getState(i))
  await fake.waitFor(4)
  await settle()
  expect(fake.received).toHaveLength(4)
  fake.onQuestion = () => null
  for (const each of late) each()
  expect((await peer.hear(50)).map(({ id }) => id)).toEqual(Array.from({ length: 50 }, (_, i) => i))
})

test('a peer that gives no sign of life is dropped, one that answers pings stays', async () => {
  const { host, open, door } = await setUp({ heartbeatMs: 60 })
  const alive = await open('owner')
  const dead = connect(`wss://${host}/mopidy/ws`, { authorization: 'Bearer owner' }, { autoPong: false })
  await dead.opened
  expect(await dead.closed).toBe(1006)
  await vi.waitFor(() => expect(door.size).toBe(1))
  expect(alive.ws.readyState).toBe(WebSocket.OPEN)
})

// --- events

test('J10 · events reach those who may see them, from one subscription', async () => {
  const { open, fake } = await setUp()
  const [owner, guest, kid] = [await open('owner'), await open('guest'), await open('kid')]
  const events = [
    { event: 'volume_changed', volume: 40 },
    { event: 'tracklist_changed' },
    { event: 'playlist_changed', playlist: { __model__: 'Playlist', uri: 'm3u:secret' } },
    { event: 'nobody_knows_this', secret: true },
    { event: 'constructor' },
    { event: 'seeked', time_position: 1 },
  ]
  for (const event of events) fake.broadcast(JSON.stringify(event))
  const names = async (peer: Peer, count: number) => (await peer.hear(count)).map(({ event }) => event)
  expect(await names(owner, 4)).toEqual(['volume_changed', 'tracklist_changed', 'playlist_changed', 'seeked'])
  expect(await names(guest, 2)).toEqual(['volume_changed', 'seeked'])
  expect(await names(kid, 2)).toEqual(['volume_changed', 'seeked'])
  expect(fake.handshakes).toHaveLength(1)
})

// --- the end of a sign-in

test('W4 · A9 · a revocation ends the open connections of that account and no others', async () => {
  const { open, people } = await setUp()
  const [kid, guest] = [await open('kid'), await open('guest')]
  people.change('kid', undefined)
  expect(await kid.closed).toBe(4401)
  guest.send(getState(1))
  await guest.hear(1)
})

test('W4 · a connection ends when its token does, though nothing is sent', async () => {
  const { open, people } = await setUp({ sweepMs: 10 })
  people.expire('kid', Date.now() + 150)
  const kid = await open('kid')
  expect(await kid.closed).toBe(4401)
})

test('a role that was taken away is gone for the next message and the next event', async () => {
  const { open, people, fake } = await setUp()
  const peer = await open('owner')
  peer.send(ask(1, 'core.tracklist.clear'))
  await peer.hear(1)
  people.change('owner', { ...people.find('owner'), roles: ['kid'] })
  fake.broadcast('{"event":"tracklist_changed"}')
  peer.send(ask(2, 'core.tracklist.clear'))
  const [, second] = await peer.hear(2)
  expect(second).toMatchObject({ id: 2, error: { code: -32003 } })
  expect(fake.methods).toEqual(['core.tracklist.clear'])
})

test('a revocation in the middle of a batch stops the rest of it', async () => {
  const { open, people, fake } = await setUp()
  fake.onQuestion = () => {
    people.change('owner', undefined)
    return null
  }
  const peer = await open('owner')
  peer.send([ask(1, 'core.playback.pause'), ask(2, 'core.tracklist.clear')])
  expect(await peer.closed).toBe(4401)
  await settle()
  expect(fake.methods).toEqual(['core.playback.pause'])
})

// --- the player comes and goes

test('when the player dies in the middle of calls its clients get faults, stay, and are served again', async () => {
  const { open, fake } = await setUp()
  fake.onQuestion = () => undefined
  const peer = await open('owner')
  for (const id of [1, 2, 3]) peer.send(ask(id, 'core.playback.pause'))
  await fake.waitFor(3)
  fake.kill()
  for (const { error } of await peer.hear(3)) expect(error).toMatchObject({ code: -32010 })
  fake.onQuestion = () => 'playing'
  await vi.waitFor(async () => {
    peer.send(getState('again'))
    await peer.hear(peer.heard.length + 1)
    expect(peer.heard.at(-1)).toMatchObject({ id: 'again', result: 'playing' })
  })
  expect(fake.methods.filter((method) => method === 'core.playback.pause')).toHaveLength(3)
})

test('at shutdown everybody is told, and nobody new comes in', async () => {
  const setting = await setUp()
  const peer = await setting.open('owner')
  await setting.door.close()
  expect(await peer.closed).toBe(1001)
  await expect(setting.open('owner')).rejects.toThrow('503')
})

test('shutting down waits for nobody who does not answer', async () => {
  const setting = await setUp({ closeMs: 50 })
  const { socket } = await openRaw(setting)
  socket.pause()
  await setting.door.close()
  expect(setting.door.size).toBe(0)
})
