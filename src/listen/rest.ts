import type { IncomingMessage } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { type Call, createCall, type Origin } from '../call/call.ts'
import { isCapability } from '../call/capability.ts'
import type { Catalog, Operation } from '../call/catalog.ts'
import { Fault } from '../call/fault.ts'
import type { Known } from '../call/known.ts'
import type { Gate } from '../gate/gate.ts'
import { goLibrespot } from '../protocol/librespot/go.ts'
import { librespotJava } from '../protocol/librespot/java.ts'
import { resolveVolume, showAnswer } from '../protocol/librespot/volume.ts'
import { bodyKind, bodyLimits, parseBody } from '../protocol/rest/body.ts'
import { decodeRest } from '../protocol/rest/decode.ts'
import { allowedMethods, findRow, queryOf } from '../protocol/rest/route.ts'
import { type RestPlayer, UpstreamError } from '../upstream/player.ts'
import { type App, noRoute, prefixesOf } from './http.ts'
import { type Inquiry, straight } from './inquiry.ts'
import { HttpFault } from './problem.ts'
import { currently, type SignInDeps, signIn } from './signin.ts'
import { createUnread, type Unread } from './unread.ts'

/** A player of the librespot family with an HTTP API, as this door serves it. */
export interface RestServed {
  readonly kind: 'go-librespot' | 'librespot-java'
  readonly player: Pick<RestPlayer, 'send' | 'live'>
}

export interface RestDeps extends SignInDeps {
  readonly gate: Pick<Gate, 'admit' | 'mayCall' | 'mattersOf' | 'volumeScale'>
  /** The players with an HTTP API, by name. */
  readonly players: ReadonlyMap<string, RestServed>
  /** The player at the root, when it is one of these. */
  readonly defaultPlayer: string
  readonly inquiry?: Inquiry
  now(): number
}

const catalogs: Readonly<Record<RestServed['kind'], Catalog>> = {
  'go-librespot': goLibrespot,
  'librespot-java': librespotJava,
}

/** Serves `/players/NAME/…` as the players' own APIs, and the default player's at the root as well, except for `/`. */
export function restRoutes(app: App, deps: RestDeps): void {
  const unread = createUnread()
  for (const [name, { kind, player }] of deps.players) {
    const catalog = catalogs[kind]
    for (const prefix of prefixesOf(name, deps.defaultPlayer)) {
      for (const path of new Set(Object.values(catalog).map(routeOf))) {
        if (prefix + path !== '/') restRoute(app, { deps, name, player, catalog, prefix, path, unread })
      }
    }
  }
}

/** Where the framework is to look for a row: the rest of a path that is not fixed is the catalog's to judge. */
function routeOf({ name }: Operation): string {
  const [, path = ''] = name.split(' ')
  return path.replace(/\{.*$/, '*')
}

interface Place {
  readonly deps: RestDeps
  readonly name: string
  readonly player: RestServed['player']
  readonly catalog: Catalog
  readonly prefix: string
  /** Below the prefix. */
  readonly path: string
  readonly unread: Unread
}

function restRoute(app: App, { deps, name, player, catalog, prefix, path, unread }: Place): void {
  const { gate, now, inquiry = straight } = deps
  const target = ({ raw }: FastifyRequest) => (raw.url ?? '').slice(prefix.length)
  const origin = (request: FastifyRequest): Origin => {
    return { id: request.id, by: currently(deps, request), door: 'http', player: name, at: now() }
  }

  /** All that can be said before the body is read. */
  async function judge(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const operation = rowOf(catalog, request, target(request), reply)
    request.user = await signIn(deps, request)
    const isAlarming = operation.alarm && !gate.mayCall(currently(deps, request), name, operation)
    // Whatever came with it: the gate says no, and who runs the house is told.
    if (operation.refused !== undefined || isAlarming) gate.admit(createCall(origin(request), { operation, args: {} }))
    if (queryOf(target(request)) !== undefined) throw new Fault('malformed', `${operation.name} takes no query`)
    if (operation.name === 'GET /events') throw new HttpFault(426, 'malformed', 'the events are told over a WebSocket')
    checkBody(request.raw, operation)
  }

  /** What came with it is not read: whoever it is may do nothing here. */
  function trespass(request: FastifyRequest): void {
    const operation = findRow(catalog, request.method, target(request))?.operation
    if (operation === undefined || !isCapability(operation.capability)) return
    gate.admit(createCall(origin(request), { operation, args: {} }))
  }

  app.route({
    method: app.supportedMethods,
    url: prefix + path,
    exposeHeadRoute: false,
    config: { raw: true, player: name, trespass },
    bodyLimit: bodyLimits.bytes,
    preParsing: judge,
    async handler(request, reply) {
      const { method } = request
      const decoded = decodeRest(catalog, { method, path: target(request), body: bodyOf(request) })
      const { needs, shows } = decoded.operation
      const scaleOf = ({ by, at }: Origin) => gate.volumeScale(by, name, at)
      /** A change of volume as what it comes to, where that is known; what it is not known of, only some may ask. */
      const resolve = (from: Origin, known?: Known): Call => {
        const call = createCall(from, decoded, known)
        const { live } = player
        const isAsked = needs === 'steps' || (needs === 'volume' && gate.mattersOf(call).includes('volume'))
        return live && isAsked ? createCall(from, resolveVolume(decoded, live, scaleOf(from)), known) : call
      }
      const go = async ([asked]: readonly Call[]) => {
        // Between looking where the volume stands and sending nothing may happen, so there is no waiting in between.
        const call = resolve(asked as Call, asked?.known)
        const value = await outcome(player.send(gate.admit(call)))
        return shows === 'volume' ? showAnswer(value, scaleOf(call)) : value
      }
      const asked = resolve(origin(request))
      return answer(reply, request, await inquiry.pass(() => origin(request), [asked], go), unread)
    },
  })
}

/** @throws Fault 404 or 405 */
export function rowOf(catalog: Catalog, { method }: FastifyRequest, target: string, reply: FastifyReply): Operation {
  const route = findRow(catalog, method, target)
  if (route) return route.operation
  const methods = allowedMethods(catalog, target)
  throw noRoute(reply, methods.length === 0 ? undefined : methods)
}

/** @throws Fault of whatever the player did; what it refused is the caller's fault */
export async function outcome(sent: Promise<unknown>): Promise<unknown> {
  try {
    return await sent
  } catch (error) {
    if (!(error instanceof UpstreamError)) throw error
    const { code, message } = error
    if (code < 400 || code > 499) throw new Fault('player-unreachable', message)
    throw new HttpFault(code, code === 404 ? 'unknown-operation' : 'bad-arguments', message)
  }
}

/** Undefined is no content; null is said, as the players say it. */
export function answer(reply: FastifyReply, { user }: FastifyRequest, value: unknown, unread: Unread): FastifyReply {
  if (value === undefined) return reply.code(204).send()
  const text = JSON.stringify(value)
  unread(user?.id ?? '', text.length, reply.raw)
  return reply.type('application/json').send(text)
}

/** @throws Fault for a body where none belongs, and for one of another kind than the row takes */
export function checkBody({ method, headers }: IncomingMessage, { body }: Operation): void {
  const empty = headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0
  if (method === 'GET') {
    if (!empty) throw new Fault('malformed', 'GET takes no body')
    return
  }
  const type = headers['content-type']
  if (type === undefined && empty) return
  // What a browser sends for any page without asking (text/plain, and forms where they are not called for) is not it.
  const kind = bodyKind(type)
  if (kind === 'json' || (kind === 'form' && body === 'form')) return
  const form = body === 'form' ? ' or application/x-www-form-urlencoded' : ''
  throw new HttpFault(415, 'malformed', `the body must be application/json${form}`)
}

/** @throws Fault */
export function bodyOf({ body, headers }: FastifyRequest, limits = bodyLimits): unknown {
  const kind = bodyKind(headers['content-type'])
  return body instanceof Uint8Array && kind ? parseBody(kind, body, limits) : undefined
}
