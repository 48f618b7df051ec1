import { type AddressInfo, createConnection, type Socket } from 'node:net'
import { connect, type TLSSocket } from 'node:tls'
import type { User } from '../../src/call/call.ts'
import { Fault } from '../../src/call/fault.ts'
import type { AuditRecord } from '../../src/gate/audit.ts'
import { createGate, type Gate } from '../../src/gate/gate.ts'
import { createLimiter } from '../../src/gate/limiter.ts'
import type { Credential, Identity, Sessions } from '../../src/identity/identity.ts'
import { createAuthority, createKey, createServer } from '../../src/listen/certificate.ts'
import { createHosts, type Hosts } from '../../src/listen/hosts.ts'
import { type App, createHttp, type HttpDeps, type HttpLimits } from '../../src/listen/http.ts'
import { createAnswer } from '../../src/listen/rpc.ts'
import type { Permit } from '../../src/policy/decide.ts'
import { compile } from '../../src/policy/policy.ts'
import type { RpcPlayer } from '../../src/upstream/player.ts'

export const policy = compile({
  owner: { grants: [{ allow: ['*'] }] },
  kid: {
    grants: [
      { allow: ['status.read', 'playback.control'] },
      { allow: ['volume.set'], when: { maxVolume: 40 } },
      { allow: ['queue.add', 'library.read'], when: { uriSchemes: ['local', 'spotify'] } },
    ],
    rates: { 'playback.control': '3/1h' },
  },
})

export const ada: User = user('ada', ['owner'])
export const kim: User = user('kim', ['kid'])

function user(name: string, roles: readonly string[]): User {
  return { kind: 'user', id: `id-${name}`, name, roles, session: `s-${name}`, until: 2e15, from: '127.0.0.1' }
}

/** A player that remembers what reached it. */
export function createPlayer(reply: (permit: Permit) => unknown = ({ call }) => ({ ...call.args })) {
  const heard: { readonly name: string; readonly args: unknown }[] = []
  const rpc: RpcPlayer = {
    up: true,
    async send(permit) {
      heard.push({ name: permit.call.operation.name, args: { ...permit.call.args } })
      return reply(permit)
    },
    onEvent: () => () => {},
    close: async () => {},
  }
  return { rpc, heard }
}

export function createTestGate() {
  const audit: AuditRecord[] = []
  const gate = createGate({ policy: () => policy, limiter: createLimiter(), audit: { write: (r) => audit.push(r) } })
  return { gate, audit }
}

/** Tokens are `ada` and `kim`; the cookie's value is the refresh token, which is the name after `r-`. */
export function createTestIdentity() {
  const people = new Map([ada, kim].map((person) => [person.name, person]))
  const asked: string[] = []
  const find = (name: string) => {
    const person = people.get(name)
    if (!person) throw new Fault('bad-credentials', 'not valid')
    return person
  }
  const nameIn = (credential: Exclude<Credential, { kind: 'none' }>) => {
    if (credential.kind === 'cookie') return credential.value.slice(2)
    return credential.kind === 'bearer' || credential.kind === 'basic' ? credential.token : ''
  }
  const identity: Pick<Identity, 'identify' | 'renew'> = {
    async identify(credential, from) {
      asked.push(credential.kind)
      return credential.kind === 'none' ? { kind: 'anonymous', from } : find(nameIn(credential))
    },
    renew: (principal) => people.get(principal.name),
  }
  const tokens = (name: string) => ({
    accessToken: name,
    expiresIn: 600,
    refreshToken: `r-${name}`,
    session: `s-${name}`,
    user: find(name),
  })
  const sessions: HttpDeps['sessions'] & Partial<Sessions> = {
    async login(name, password) {
      asked.push(`login ${name}`)
      if (name === 'busy') throw new Fault('limited', 'too many wrong ones', { retryAfter: 7 })
      if (password !== 'right') throw new Fault('bad-credentials', 'name or password is wrong')
      return tokens(name)
    },
    async refresh(token) {
      asked.push(`refresh ${token}`)
      return tokens(token.slice(2))
    },
    logout: (principal) => void asked.push(`logout ${principal.name}`),
    ticket: (principal) => `ticket-for-${principal.name}`,
    async setup(token, name) {
      asked.push(`setup ${token} ${name}`)
      if (token !== 'once') throw new Fault('forbidden', 'the link is used or too old')
    },
    jwks: () => ({ keys: [{ kty: 'OKP', kid: 'k1' }] }),
  }
  return { identity, sessions, asked, people }
}

const authorityKey = createKey()
export const authority = await createAuthority(authorityKey, Date.now())
export const tls = await createServer(
  { key: authorityKey, until: Date.now() + 1e9 },
  ['localhost', '127.0.0.1'],
  Date.now(),
)

/** What further routes share with the door. */
export interface Parts {
  readonly gate: Gate
  readonly identity: Pick<Identity, 'identify' | 'renew'>
  readonly hosts: Hosts
}

/** The whole HTTP door on a free port, with fakes behind it. */
export async function openHouse(
  options: {
    limits?: Partial<HttpLimits>
    reply?: (permit: Permit) => unknown
    up?: boolean
    ready?: boolean
    config?: 'current' | 'invalid'
    /** Adds routes of other doors. */
    routes?: (app: App, parts: Parts) => Promise<void> | void
  } = {},
) {
  const player = createPlayer(options.reply)
  const { gate, audit } = createTestGate()
  const { identity, sessions, asked, people } = createTestIdentity()
  const logged: unknown[] = []
  const hosts = createHosts(['music.home'])
  const app = await createHttp({
    tls: { ...tls, ALPNProtocols: ['http/1.1'], handshakeTimeout: 5_000 },
    hosts,
    gate,
    identity,
    sessions,
    players: new Map([
      [
        'home',
        { answer: createAnswer({ gate, player: 'home', rpc: player.rpc, now: () => 1e12 }), up: options.up ?? true },
      ],
      ['attic', { up: true }],
    ]),
    defaultPlayer: 'home',
    log: { error: (...line: unknown[]) => void logged.push(line) } as HttpDeps['log'],
    ready: () => options.ready ?? true,
    config: () => options.config ?? 'current',
    now: () => 1e12,
    ...(options.limits && { limits: options.limits }),
  })
  await options.routes?.(app, { gate, identity, hosts })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const port = (app.server.address() as AddressInfo).port
  return { app, port, player, audit, asked, people, logged, close: () => app.close() }
}

export type House = Awaited<ReturnType<typeof openHouse>>

export function dial(port: number): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, ca: authority, servername: 'localhost' }, () => resolve(socket))
    socket.once('error', reject)
  })
}

/** A TCP connection that never begins to speak TLS. */
export function dialPlain(port: number): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port }, () => resolve(socket))
    socket.on('error', () => {})
  })
}

/** Everything that comes back until the other side closes. */
export async function raw(port: number, ...pieces: readonly (string | Uint8Array)[]): Promise<string> {
  const socket = await dial(port)
  for (const piece of pieces) socket.write(piece)
  return closed(socket)
}

export function closed(socket: TLSSocket | Socket): Promise<string> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    socket.on('error', () => {})
    socket.once('close', () => resolve(Buffer.concat(chunks).toString('latin1')))
  })
}

export interface Reply {
  readonly status: number
  readonly headers: ReadonlyMap<string, string>
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into whatever came
  readonly json: any
}

export interface Ask {
  readonly method?: string
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
}

/** One request on a connection of its own, written as it is given. */
export async function ask(port: number, { method = 'GET', path = '/', headers = {}, body }: Ask): Promise<Reply> {
  const all = {
    Host: `localhost:${port}`,
    Connection: 'close',
    ...(body !== undefined && { 'Content-Length': `${Buffer.byteLength(body)}` }),
    ...headers,
  }
  const head = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return parse(await raw(port, `${method} ${path} HTTP/1.1\r\n${head.join('')}\r\n`, body ?? ''))
}

export function parse(text: string): Reply {
  const split = text.indexOf('\r\n\r\n')
  const [first = '', ...lines] = text.slice(0, split).split('\r\n')
  const headers = new Map(
    lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 2)]),
  )
  const body = text.slice(split + 4)
  const json = body !== '' && /json/.test(headers.get('content-type') ?? '') ? JSON.parse(body) : undefined
  return { status: Number(first.split(' ')[1]), headers, text: body, json }
}

/** A JSON-RPC POST as ada. */
export function call(port: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Reply> {
  return ask(port, {
    method: 'POST',
    path: '/mopidy/rpc',
    headers: { Authorization: 'Bearer ada', 'Content-Type': 'application/json', ...headers },
    body: typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body),
  })
}

export function request(method: string, params?: unknown, id: unknown = 1) {
  return { jsonrpc: '2.0', id, method, ...(params !== undefined && { params }) }
}
