import httpProxy from '@fastify/http-proxy'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { createCall } from '../../call/call.ts'
import type { Operation } from '../../call/catalog.ts'
import { Fault } from '../../call/fault.ts'
import type { Gate } from '../../gate/gate.ts'
import type { WebClient } from '../../protocol/web/clients.ts'
import { filePath, openingOf, redirection } from '../../protocol/web/files.ts'
import type { WebServer } from '../../upstream/web.ts'
import { createBuckets } from '../bucket.ts'
import { type App, prefixesOf } from '../http.ts'
import { currently, type SignInDeps, signIn } from '../signin.ts'
import { isNavigation, isUnknown, nothing } from '../threshold.ts'
import type { Forwarded } from './forwarded.ts'
import { createOpenings, type Openings } from './opening.ts'
import { pagePolicy } from './policy.ts'

/** The web clients of one player, as this door serves them. */
export interface WebServed {
  readonly clients: readonly WebClient[]
  readonly files: WebServer
  /** The address of the player's web server, such as `http://127.0.0.1:6680`. */
  readonly url: string
}

export interface WebDeps extends SignInDeps {
  readonly gate: Pick<Gate, 'admit' | 'foresee'>
  /** The players with web clients, by name. */
  readonly players: ReadonlyMap<string, WebServed>
  /** The player at the root, when it is one of these. */
  readonly defaultPlayer: string
  readonly forwarded: Forwarded
  now(): number
}

declare module 'fastify' {
  interface FastifyRequest {
    /** The file that is asked for; set where there may be one. */
    webPath: string | undefined
  }
}

/** Files of one account; a page is dozens, and a list of albums hundreds. */
const perAccount = { count: 2_000, ms: 20_000 }

/** Serves the files of web clients at the paths where Mopidy has them, and below `/players/NAME`. */
export async function webFileRoutes(app: App, deps: WebDeps): Promise<void> {
  app.decorateRequest('webPath', undefined)
  const parts = { openings: createOpenings(deps), take: createBuckets(perAccount) }
  for (const [player, served] of deps.players) {
    const prefixes = prefixesOf(player, deps.defaultPlayer)
    for (const client of served.clients) {
      const operation = openingOf(client)
      if (!operation) continue
      for (const prefix of prefixes) {
        await fileRoutes(app, { ...parts, deps, player, served, client, operation, prefix, prefixes })
      }
    }
  }
}

interface Place {
  readonly deps: WebDeps
  readonly openings: Openings
  readonly take: ReturnType<typeof createBuckets>
  readonly player: string
  readonly served: WebServed
  readonly client: WebClient
  readonly operation: Operation
  readonly prefix: string
  /** All that the player is served at. */
  readonly prefixes: readonly string[]
}

async function fileRoutes(app: App, place: Place): Promise<void> {
  const { deps, openings, take, player, served, client, operation, prefix, prefixes } = place
  const { files, url } = served
  const { origin } = new URL(url)

  /** All that can be said without the player. */
  async function judge(request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
    const [path = ''] = (request.raw.url ?? '').split('?', 1)
    request.webPath = path.startsWith(prefix) ? filePath(client, path.slice(prefix.length)) : undefined
    if (request.webPath === undefined) throw nothing()
    // It would outlive the page, and could answer for us without any of the policy below.
    if (request.headers['service-worker'] !== undefined) throw nothing()
    try {
      request.user = await signIn(deps, request)
    } catch (error) {
      if (!isNavigation(request) || !isUnknown(error)) throw error
      return reply
        .code(303)
        .header('location', `/?next=${encodeURIComponent(prefix + request.webPath)}`)
        .send()
    }
    const now = deps.now()
    if (!take(request.user.id, now)) throw new Fault('limited', 'too many files', { retryAfter: 10 })
    return undefined
  }

  function send(request: FastifyRequest, reply: FastifyReply): unknown {
    const { webPath: path, headers, method } = request
    const by = currently(deps, request)
    if (path === undefined || by.kind !== 'user') throw new Fault('unauthenticated', 'sign in first')
    const permit = openings.open(
      createCall({ id: request.id, by, door: 'http', player, at: deps.now() }, { operation, args: {} }),
      by,
    )
    const host = headers.host ?? ''
    const errand = {
      permit,
      method: method === 'HEAD' ? ('HEAD' as const) : ('GET' as const),
      path,
      headers: { ...asked(request), ...deps.forwarded.fields(client, by, host) },
    }
    let location: string | undefined
    return reply.from(path, {
      rewriteRequestHeaders: () => files.carry(errand),
      queryString: () => '',
      // Left out, it would ask up to ten times more.
      retryDelay: () => null,
      rewriteHeaders(given) {
        location = given.location
        const told = passed(given)
        return { ...told, ...ours(client, { host, prefixes, type: told['content-type'] }) }
      },
      onResponse(_request, _reply, { statusCode, stream }) {
        if (statusCode === 200) return void (method === 'HEAD' ? bodiless(reply, stream) : reply.send(stream))
        if (statusCode === 304) return bodiless(reply, stream)
        stream.destroy()
        const target = location === undefined ? undefined : redirection(client, origin, path, location)
        for (const name of ['content-length', 'content-type', 'etag', 'last-modified']) reply.removeHeader(name)
        if (target === undefined) return void reply.send(elsewhere())
        reply.header('location', prefix + target).send()
      },
      onError: (_reply, { error }) => void reply.send(Fault.from(error.cause ?? error)),
    })
  }

  await app.register(httpProxy, {
    upstream: url,
    prefix: `${prefix}${client.path}`,
    rewritePrefix: client.path,
    httpMethods: ['GET', 'HEAD'],
    config: { raw: true, player },
    undici: files.dispatcher,
    disableRequestLogging: true,
    disableCache: true,
    proxyPayloads: false,
    preHandler: judge,
    handler: send,
  })
}

function bodiless(reply: FastifyReply, stream: { resume(): unknown }): void {
  stream.resume()
  reply.send()
}

const elsewhere = () => new Fault('player-unreachable', 'the player sends people elsewhere')

/** What of a request's header the player hears. */
function asked({ headers }: FastifyRequest): Readonly<Record<string, string>> {
  const { 'if-none-match': tags = '', 'if-modified-since': since = '' } = headers
  return {
    accept: '*/*',
    ...(/^[\x20-\x7e]{1,512}$/.test(tags) && { 'if-none-match': tags }),
    ...(date.test(since) && { 'if-modified-since': since }),
  }
}

/** RFC 9110 §5.6.7. */
const date = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/

type Headers = Readonly<Record<string, string | string[] | undefined>>

/** What of an answer's header comes through, and only as it should be. */
function passed(given: Headers): Readonly<Record<string, string>> {
  const shapes: Readonly<Record<string, RegExp>> = {
    'content-type': /^[\w.+-]+\/[\w.+-]+(?:; ?charset="?[\w-]+"?)?$/,
    'content-length': /^\d{1,12}$/,
    etag: /^(?:W\/)?"[\x21\x23-\x7e]{0,200}"$/,
    'last-modified': date,
  }
  return Object.fromEntries(
    Object.entries(shapes).flatMap(([name, shape]) => {
      const value = given[name]
      return typeof value === 'string' && shape.test(value) ? [[name, value]] : []
    }),
  )
}

/** What we say to each file of a client. */
function ours(
  client: WebClient,
  { host, prefixes, type = '' }: { host: string; prefixes: readonly string[]; type?: string | undefined },
): Readonly<Record<string, string>> {
  const lasting = client.art ? 'private, max-age=604800' : 'private, max-age=3600'
  return {
    'content-security-policy': pagePolicy(client, host, prefixes),
    'cache-control': type === '' || type.startsWith('text/html') ? 'private, no-cache' : lasting,
    // Only to ourselves: what asks is recognised by it.
    'referrer-policy': 'same-origin',
    'cross-origin-opener-policy': 'same-origin',
    'permissions-policy': 'camera=(), microphone=(), geolocation=(), usb=(), serial=(), payment=()',
  }
}
