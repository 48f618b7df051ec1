import type { FastifyReply, FastifyRequest } from 'fastify'
import { type Call, createCall, type Origin, type User } from '../../call/call.ts'
import { isCapability } from '../../call/capability.ts'
import type { Catalog, Operation } from '../../call/catalog.ts'
import { Fault } from '../../call/fault.ts'
import type { Gate } from '../../gate/gate.ts'
import { bodyKind, bodyLimits, parseBody } from '../../protocol/rest/body.ts'
import { decodeRest } from '../../protocol/rest/decode.ts'
import { findRow } from '../../protocol/rest/route.ts'
import type { WebClient } from '../../protocol/web/clients.ts'
import type { Extensions } from '../../upstream/extensions.ts'
import { credentialOf, isAmbient } from '../credential.ts'
import type { Hosts } from '../hosts.ts'
import { type App, prefixesOf } from '../http.ts'
import { type Inquiry, straight } from '../inquiry.ts'
import { HttpFault } from '../problem.ts'
import { answer, outcome, rowOf } from '../rest.ts'
import { currently, type SignInDeps, signIn } from '../signin.ts'
import { createUnread, type Unread } from '../unread.ts'
import type { Forwarded } from './forwarded.ts'

/** The extensions of one player, as this door serves them. */
export interface CommandsServed {
  readonly clients: readonly WebClient[]
  readonly extensions: Pick<Extensions, 'send'>
}

export interface CommandDeps extends SignInDeps {
  readonly gate: Pick<Gate, 'admit' | 'mayCall'>
  /** The players with web clients, by name. */
  readonly players: ReadonlyMap<string, CommandsServed>
  /** The player at the root, when it is one of these. */
  readonly defaultPlayer: string
  readonly forwarded: Forwarded
  readonly inquiry?: Inquiry
  now(): number
}

/** Pages keep settings and lists of what they like in one body. */
const limits = { ...bodyLimits, bytes: 256 * 1024, depth: 8 }

/** Serves the commands of web clients' own extensions, each by its row. */
export function webCommandRoutes(app: App, deps: CommandDeps): void {
  const unread = createUnread()
  for (const [player, { clients, extensions }] of deps.players) {
    for (const client of clients) {
      const { commands: catalog } = client
      for (const prefix of prefixesOf(player, deps.defaultPlayer)) {
        for (const path of new Set(Object.values(catalog).map(routeOf))) {
          commandRoute(app, { deps, player, client, catalog, extensions, prefix, path, unread })
        }
      }
    }
  }
}

function routeOf({ name }: Operation): string {
  const [, path = ''] = name.split(' ')
  return path
}

interface Place {
  readonly deps: CommandDeps
  readonly player: string
  readonly client: WebClient
  readonly catalog: Catalog
  readonly extensions: Pick<Extensions, 'send'>
  readonly prefix: string
  /** Below the prefix. */
  readonly path: string
  readonly unread: Unread
}

function commandRoute(app: App, place: Place): void {
  const { deps, player, client, catalog, extensions, prefix, path, unread } = place
  const { gate, now, inquiry = straight } = deps
  const target = ({ raw }: FastifyRequest) => (raw.url ?? '').slice(prefix.length)
  const origin = (request: FastifyRequest): Origin => {
    return { id: request.id, by: currently(deps, request), door: 'http', player, at: now() }
  }

  /** All that can be said before the body is read. */
  async function judge(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const operation = rowOf(catalog, request, target(request), reply)
    request.user = await signIn(deps, request)
    checkPage(deps.hosts, request, operation)
    const isAlarming = operation.alarm && !gate.mayCall(currently(deps, request), player, operation)
    // Whatever came with it: the gate says no, and who runs the house is told.
    if (operation.refused !== undefined || isAlarming) gate.admit(createCall(origin(request), { operation, args: {} }))
    if (operation.name.endsWith('/ws')) throw new HttpFault(426, 'malformed', 'that is told over a WebSocket')
    kindOf(request, operation)
  }

  /** What came with it is not read: whoever it is may do nothing here. */
  function trespass(request: FastifyRequest): void {
    const operation = findRow(catalog, request.method, target(request))?.operation
    if (operation === undefined || !isCapability(operation.capability)) return
    checkPage(deps.hosts, request, operation)
    gate.admit(createCall(origin(request), { operation, args: {} }))
  }

  app.route({
    method: app.supportedMethods,
    url: prefix + path,
    exposeHeadRoute: false,
    config: { raw: true, player, trespass },
    bodyLimit: limits.bytes,
    preParsing: judge,
    async handler(request, reply) {
      const { method } = request
      const operation = rowOf(catalog, request, target(request), reply)
      const decoded = decodeRest(catalog, { method, path: target(request), body: bodyOf(request, operation) })
      const value = await inquiry.pass(
        () => origin(request),
        [createCall(origin(request), decoded)],
        ([call]) => {
          const permit = gate.admit(call as Call)
          const fields = deps.forwarded.fields(client, userOf(permit.call.by), request.headers.host ?? '')
          return outcome(extensions.send(permit, fields))
        },
      )
      if (typeof value !== 'string') return answer(reply, request, value ?? {}, unread)
      unread(request.user?.id ?? '', value.length, reply.raw)
      return reply.type('text/plain; charset=utf-8').send(value)
    },
  })
}

function userOf(by: Origin['by']): User {
  if (by.kind !== 'user') throw new Fault('unauthenticated', 'sign in first')
  return by
}

/**
 * Some extensions change something when they are merely looked at. So a browser that shows its cookie by itself has to show
 * as well that a script of one of our pages made it: there is no Origin on a GET, and to be looked at or shown as a picture
 * takes no more than a link, such as the `next` of our own sign-in page.
 *
 * @throws Fault `forbidden`
 */
function checkPage(hosts: Hosts, { headers, raw }: FastifyRequest, { capability }: Operation): void {
  if (raw.method !== 'GET' || capability.endsWith('.read') || !isAmbient(credentialOf(headers))) return
  const { 'sec-fetch-site': site, 'sec-fetch-dest': dest, referer } = headers
  const page = URL.parse(referer ?? '')
  const isOwn =
    site === undefined
      ? page?.protocol === 'https:' && page.host === headers.host?.toLowerCase()
      : site === 'same-origin' && dest === 'empty'
  if (!isOwn || hosts.isOwnOrigin(raw) === false) throw new Fault('forbidden', 'only for pages of this very gateway')
}

/** How the body is to be read; undefined for none. @throws Fault for a body where none belongs, and for one of another kind */
function kindOf(
  { raw: { method, headers } }: FastifyRequest,
  { body }: Operation,
): 'json' | 'form' | 'text' | undefined {
  const empty = headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0
  if (empty) return undefined
  if (method === 'GET') throw new Fault('malformed', 'GET takes no body')
  const type = headers['content-type']
  const kind = bodyKind(type)
  // A page that sends a mere text calls it JSON, or a text; one of another origin has been refused before.
  if (body === 'text' && (kind === 'json' || /^text\/plain(?:; ?charset=utf-8)?$/i.test(type ?? ''))) return 'text'
  if (body === 'form' ? kind === 'form' : kind === 'json') return kind
  throw new HttpFault(415, 'malformed', `the body must be ${body === 'form' ? 'a form' : 'application/json'}`)
}

/** @throws Fault */
function bodyOf(request: FastifyRequest, operation: Operation): unknown {
  const kind = kindOf(request, operation)
  return request.body instanceof Uint8Array && kind ? parseBody(kind, request.body, limits) : undefined
}
