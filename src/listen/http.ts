import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Server, ServerOptions } from 'node:https'
import type { Socket } from 'node:net'
import rateLimit from '@fastify/rate-limit'
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify'
import { addressOf, sourceOf } from '../call/address.ts'
import type { User } from '../call/call.ts'
import { Fault } from '../call/fault.ts'
import type { Gate } from '../gate/gate.ts'
import type { Identity, Sessions } from '../identity/identity.ts'
import { rpcError } from '../protocol/jsonrpc/error.ts'
import { messageLimits, parseMessage } from '../protocol/jsonrpc/message.ts'
import { authRoutes } from './auth.ts'
import { createTally } from './bucket.ts'
import type { Hosts } from './hosts.ts'
import { pageRoutes } from './page.ts'
import { HttpFault, headersOf, problem, rawProblem, statusOf } from './problem.ts'
import type { Answer } from './rpc.ts'
import { currently, signIn as signInOf } from './signin.ts'
import { statusRoutes } from './status.ts'
import { cross, isNavigation, isUnknown, pathOf, playerIn } from './threshold.ts'
import { createUnread, type Unread } from './unread.ts'

const defaults = {
  /** Of one peer. */
  requests: { count: 6_000, ms: 10_000 },
  /** Each of sign-in, setup and refresh. */
  signIns: { count: 30, ms: 60_000 },
  connections: 1_024,
  connectionsPerPeer: 64,
  /** From the first byte of a request to the end of its header, and to the end of its body. */
  headersMs: 5_000,
  requestMs: 10_000,
  keepAliveMs: 14_000,
  /** Without a byte in either direction. */
  silenceMs: 120_000,
  /** How often the three above are looked at. */
  checkMs: 1_000,
  /** How long a peer may take to finish when we close. */
  closeMs: 2_000,
}
export type HttpLimits = Readonly<typeof defaults>

/** A player as this door serves it; without `answer` it does not speak JSON-RPC. */
export interface HttpPlayer {
  readonly answer?: Answer
  readonly up: boolean
}

export interface HttpDeps {
  readonly tls: ServerOptions
  readonly hosts: Hosts
  readonly gate: Pick<Gate, 'capabilitiesOf' | 'quotasOf'>
  readonly identity: Pick<Identity, 'identify' | 'renew'>
  readonly sessions: Pick<Sessions, 'login' | 'refresh' | 'logout' | 'ticket' | 'setup' | 'jwks'>
  readonly players: ReadonlyMap<string, HttpPlayer>
  readonly defaultPlayer: string
  readonly log: { error(about: object, text: string): void }
  readonly limits?: Partial<HttpLimits>
  /** Whether what we need ourselves (accounts, keys) is there. */
  ready(): boolean
  /** Whether a player may be paired now by whoever comes; none when left out. */
  isPairing?(player: string): boolean
  /** Whether the newest configuration is in force; `current` when left out. */
  config?(): 'current' | 'invalid'
  now(): number
}

export type App = FastifyInstance<Server>

declare module 'fastify' {
  interface FastifyRequest {
    /** What to say in place of any refusal, so that none tells of the player. */
    mask: Fault | undefined
    /** Who sent it; set where the route asks for sign-in. */
    user: User | undefined
  }
  interface FastifyContextConfig {
    /** A JSON-RPC route: bodies arrive as bytes and errors leave as JSON-RPC. */
    rpc?: true
    /** Its own hooks judge the path, as it is written, and the media type; bodies arrive as bytes. */
    raw?: true
    /** It is of this player, and there for nobody who has nothing to do with it. */
    player?: string
    /** Strangers may POST here while the player may be paired. */
    knock?: true
    /**
     * Puts on record what somebody was after who has nothing to do with the player, before they hear that there is none.
     * It may throw what it likes.
     */
    trespass?(request: FastifyRequest): void
  }
}

/** The HTTPS door, not listening yet: the WebSocket door attaches to its `server`. */
export async function createHttp(deps: HttpDeps): Promise<App> {
  const limits = checkLimits({ ...defaults, ...deps.limits })
  const app: App = fastify({
    // Node reads its deadlines from these options only; and fastify overwrites two of them with its own.
    https: {
      ...deps.tls,
      headersTimeout: limits.headersMs,
      requestTimeout: limits.requestMs,
      keepAliveTimeout: limits.keepAliveMs,
      connectionsCheckingInterval: limits.checkMs,
      maxHeaderSize: 16 * 1024,
      insecureHTTPParser: false,
      shouldUpgradeCallback: ({ headers }) =>
        app.server.listenerCount('upgrade') > 0 && headers.upgrade?.toLowerCase() === 'websocket',
    },
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.keepAliveMs,
    connectionTimeout: limits.silenceMs,
    maxRequestsPerSocket: 100_000,
    bodyLimit: messageLimits.bytes,
    logger: false, // a line per request costs as much as the request; the audit has what matters
    genReqId: () => randomUUID(),
    requestIdHeader: false,
    return503OnClosing: false,
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: false } },
    clientErrorHandler: refuseUnreadable,
    frameworkErrors: (error, request, reply) => void answerFault(deps, toFault(error, request), request, reply),
  })
  const sockets = capConnections(app.server, limits)
  // Node checks no deadlines any more while it closes, and would wait for whoever never finishes.
  app.addHook('preClose', async () => {
    setTimeout(() => {
      for (const socket of sockets) socket.destroy()
    }, limits.closeMs).unref()
  })

  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, async (request: FastifyRequest, body: Buffer) =>
    request.routeOptions.config.rpc || request.routeOptions.config.raw ? body : parseMessage(body),
  )
  app.decorateRequest('user', undefined)
  app.decorateRequest('mask', undefined)
  await app.register(rateLimit, {
    max: limits.requests.count,
    timeWindow: limits.requests.ms,
    keyGenerator: ({ socket }: FastifyRequest) => sourceOf(addressOf(socket)),
    enableDraftSpec: true,
    addHeadersOnExceeding: { 'ratelimit-limit': false, 'ratelimit-remaining': false, 'ratelimit-reset': false },
    errorResponseBuilder: (_request, { ttl }) =>
      new Fault('limited', 'too many requests from your address', { retryAfter: Math.ceil(ttl / 1000) }),
  })

  const paths = new Map<string, string[]>()
  const owners = new Map<string, string>()
  app.addHook('onRoute', ({ url, method, config }) => {
    paths.set(url, [...(paths.get(url) ?? []), ...[method].flat()])
    if (config?.player !== undefined) owners.set(url, config.player)
  })
  /** The player that a request is for, be it there or not. */
  const playerOf = (request: FastifyRequest) => {
    const path = pathOf(request)
    return playerIn(path) ?? request.routeOptions.config?.player ?? owners.get(path)
  }
  // The router decodes and normalises; a path is ours only as it is written.
  const isStrange = (request: FastifyRequest) =>
    request.is404 || (pathOf(request) !== request.routeOptions.url && !request.routeOptions.config.raw)
  const limitUnknown = app.rateLimit()
  app.addHook('onRequest', async (request, reply) => {
    // RFC 9112 §9.3.2: what was pipelined waits for its turn, which never comes when the answer before ends the connection.
    if (reply.raw.socket === null) await once(reply.raw, 'socket')
    reply.headers(securityHeaders).header('x-request-id', request.id)
    if (!request.headers.host?.toLowerCase().startsWith('localhost')) {
      reply.header('strict-transport-security', 'max-age=31536000') // localhost is shared with whatever else runs there
    }
    deps.hosts.check(request.raw)
    if (!isStrange(request)) return
    await limitUnknown.call(app, request, reply)
    if (playerOf(request) === undefined) throw noRoute(reply, paths.get(pathOf(request)))
  })
  app.addHook('preParsing', async (request, reply) => {
    const player = playerOf(request)
    if (player !== undefined) request.mask = await cross(deps, request, player)
    if (isStrange(request)) throw noRoute(reply, paths.get(pathOf(request)))
    if (!request.routeOptions.config.raw) checkMediaType(request.raw)
  })
  app.setNotFoundHandler((_request, reply) => {
    throw noRoute(reply, undefined)
  })
  app.setErrorHandler(async (error, request, reply) => answerFault(deps, toFault(error, request), request, reply))

  const signIn = async (request: FastifyRequest) => {
    request.user = await signInOf(deps, request)
  }
  const strict = { max: limits.signIns.count, timeWindow: limits.signIns.ms }
  statusRoutes(app, deps)
  pageRoutes(app)
  authRoutes(app, deps, { signIn, strict })
  const unread = createUnread()
  for (const [name, { answer }] of deps.players) {
    if (!answer) continue
    for (const prefix of prefixesOf(name, deps.defaultPlayer))
      rpcRoute(app, deps, `${prefix}/mopidy/rpc`, { player: name, answer, signIn, unread })
  }
  return app
}

/** Where a player is: the default one at the root as well. */
export function prefixesOf(player: string, defaultPlayer: string): readonly string[] {
  return player === defaultPlayer ? ['', `/players/${player}`] : [`/players/${player}`]
}

function rpcRoute(
  app: App,
  deps: HttpDeps,
  url: string,
  parts: {
    readonly player: string
    readonly answer: Answer
    readonly signIn: (request: FastifyRequest) => Promise<void>
    readonly unread: Unread
  },
): void {
  const { player, answer, signIn, unread } = parts
  app.post(url, { config: { rpc: true, player }, preParsing: signIn }, async (request, reply) => {
    const body = request.body instanceof Uint8Array ? request.body : new Uint8Array()
    const text = await answer(body, { id: request.id, door: 'http', by: () => currently(deps, request) })
    if (text === undefined) return reply.code(204).send()
    unread(request.user?.id ?? '', text.length, reply.raw)
    return reply.type('application/json').send(text)
  })
}

/** @throws Error when a limit is none: @fastify/rate-limit would quietly take its own default instead */
function checkLimits(limits: HttpLimits): HttpLimits {
  const numbers = Object.entries(limits).flatMap(([name, limit]) =>
    Object.values(typeof limit === 'number' ? { limit } : limit).map((value: unknown) => [name, value] as const),
  )
  const wrong = numbers.find(([, value]) => !Number.isSafeInteger(value) || Number(value) < 1)
  if (wrong) throw new Error(`the limit ${wrong[0]} is not a positive integer`)
  return limits
}

/** Descriptors are few: no peer may take them all, nor all peers together those of the players and the store. */
function capConnections(server: Server, limits: HttpLimits): ReadonlySet<Socket> {
  server.maxConnections = limits.connections
  const open = createTally()
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    const peer = sourceOf(addressOf(socket))
    if (open.of(peer) >= limits.connectionsPerPeer) return socket.destroy()
    open.add(peer)
    sockets.add(socket)
    socket.once('close', () => {
      open.remove(peer)
      sockets.delete(socket)
    })
  })
  return sockets
}

const securityHeaders = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
}

/** Exactly this: what a browser sends without asking (forms, text/plain) and odd spellings are not it. */
const mediaType = /^application\/json(?:; ?charset=utf-8)?$/
const charset = /utf-8$/i

function checkMediaType({ method, headers }: IncomingMessage): void {
  if (method !== 'POST') return
  const empty = headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0
  const given = headers['content-type']
  if (given === undefined && empty) return
  if (given === undefined || !mediaType.test(given.replace(charset, 'utf-8'))) {
    throw new HttpFault(415, 'malformed', 'the body must be application/json')
  }
}

/** What to say of a path without the method asked for: 405 when it has others, 404 when there is no such path. */
export function noRoute(reply: FastifyReply, methods: readonly string[] | undefined): Fault {
  if (methods === undefined) return new Fault('unknown-operation', 'nothing here')
  reply.header('allow', methods.join(', '))
  return new HttpFault(405, 'unknown-operation', `only ${methods.join(', ')}`)
}

/** The framework's own errors, in our words. */
function toFault(error: unknown, { routeOptions }: FastifyRequest): Fault {
  if (error instanceof Fault || !(error instanceof Error)) return Fault.from(error)
  const { statusCode, validation } = error as Error & { statusCode?: number; validation?: unknown }
  if (validation !== undefined) return new Fault('bad-arguments', error.message)
  if (statusCode === 413)
    return new Fault('too-large', `more than ${routeOptions.bodyLimit ?? messageLimits.bytes} bytes`)
  if (statusCode === 415) return new HttpFault(415, 'malformed', 'the body must be application/json')
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new Fault('malformed', 'the request cannot be read', { cause: error })
  }
  return Fault.from(error)
}

/** The connection ends with the answer: whoever got one error may have been misunderstood before. */
async function answerFault(
  deps: HttpDeps,
  found: Fault,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<unknown> {
  if (found.code === 'internal') deps.log.error({ err: found.cause, request_id: request.id }, 'internal error')
  const fault = request.mask ?? found
  await drain(request.raw)
  const path = pathOf(request)
  const isNamed = playerIn(path) !== undefined
  // Of any player whatever, so that it does not tell which are there.
  if (isNamed && isUnknown(fault) && isNavigation(request)) {
    return reply.redirect(`/?next=${encodeURIComponent(path)}`, 303)
  }
  // The framework may have said it before, and then the order of the fields would tell why.
  reply.removeHeader('connection').code(statusOf(fault)).headers(headersOf(fault)).header('connection', 'close')
  const isRpc = isNamed ? path.endsWith('/mopidy/rpc') : request.routeOptions.config?.rpc
  // Where nothing is there is no JSON-RPC either.
  return isRpc && fault.code !== 'unknown-operation'
    ? reply.type('application/json').send(JSON.stringify(rpcError(fault, null, request.id)))
    : reply.type('application/problem+json').send(JSON.stringify(problem(fault, request.id)))
}

/** Lets the rest of a body run out unread, so that the answer is not lost in a reset; within the limit and the deadline. */
function drain(request: IncomingMessage): Promise<void> {
  return new Promise((resolve) => {
    if (request.complete || request.destroyed || Number(request.headers['content-length']) > messageLimits.bytes) {
      return resolve()
    }
    let rest = messageLimits.bytes
    request.on('data', (chunk: Buffer) => {
      rest -= chunk.length
      if (rest < 0) resolve()
    })
    for (const event of ['end', 'close', 'error']) request.once(event, () => resolve())
    request.resume()
  })
}

/** What Node's parser refused, or what was not there in time: answered if nothing was yet, and closed. */
function refuseUnreadable(error: NodeJS.ErrnoException, socket: Socket & { _httpMessage?: ServerResponse }): void {
  // Whatever else is reported here is of TLS: an answer would wait forever for a handshake that failed or never came.
  const isOfHttp = /^(HPE|ERR_HTTP)_/.test(error.code ?? '')
  if (!isOfHttp || !socket.writable || socket._httpMessage?.headersSent) return void socket.destroy()
  const fault = unreadable.get(error.code ?? '') ?? new Fault('malformed', 'not HTTP/1.1')
  socket.end(rawProblem(fault, randomUUID()), () => socket.destroy())
}

const unreadable: ReadonlyMap<string, Fault> = new Map([
  ['ERR_HTTP_REQUEST_TIMEOUT', new HttpFault(408, 'malformed', 'the request did not arrive in time')],
  ['HPE_HEADER_OVERFLOW', new HttpFault(431, 'too-large', 'the header is too large')],
])
