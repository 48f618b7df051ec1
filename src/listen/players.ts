import type { ServerResponse } from 'node:http'
import type { FastifyRequest } from 'fastify'
import { createCall, type Origin, type User } from '../call/call.ts'
import type { Capability } from '../call/capability.ts'
import type { Operation } from '../call/catalog.ts'
import { Fault } from '../call/fault.ts'
import type { Scale } from '../call/scale.ts'
import type { Gate } from '../gate/gate.ts'
import type { Identity } from '../identity/identity.ts'
import { house } from '../protocol/house/catalog.ts'
import type { WebClient } from '../protocol/web/clients.ts'
import { filePath } from '../protocol/web/files.ts'
import { lookAt } from '../upstream/picture.ts'
import type { Picture, PicturePlayer } from '../upstream/player.ts'
import type { OpenPlayer } from '../upstream/players.ts'
import { createTally } from './bucket.ts'
import { type App, prefixesOf } from './http.ts'
import { currently, type SignInDeps, signIn } from './signin.ts'

const defaults = {
  /** Readers of a player's state, all together and of one account. */
  streams: 64,
  streamsEach: 8,
  /** How often readers are told that we are there; who has not read for so long is sent away. */
  beatMs: 25_000,
  sweepMs: 500,
}
export type PlayersLimits = Readonly<typeof defaults>

/** A player of any kind, as pages see it. */
export interface ShownPlayer {
  readonly kind: string
  readonly up: boolean
  /** Left out for a player that tells nothing of what it does. */
  readonly picture?: PicturePlayer
  /** The web clients it serves: the path of each at this gateway, from the root, and what it takes to open it. */
  readonly web?: readonly { readonly path: string; readonly capability: Capability }[]
  /** The path at this gateway, from the root, of a picture as the player calls it; undefined for one we do not serve. */
  art?(address: string): string | undefined
}

export interface PlayersDeps extends SignInDeps {
  readonly gate: Pick<Gate, 'admit' | 'may' | 'capabilitiesOf' | 'volumeScale'>
  readonly identity: Pick<Identity, 'identify' | 'renew' | 'onChange'>
  /** All of them, by name, in the order of the configuration. */
  readonly players: ReadonlyMap<string, ShownPlayer>
  readonly limits?: Partial<PlayersLimits>
  now(): number
}

/** Serves `/players`, and what each of them is doing: once, or for as long as somebody listens. */
export function playersRoutes(app: App, deps: PlayersDeps): void {
  const { gate, players, now } = deps
  const streams = createStreams(app, deps)

  const preParsing = async (request: FastifyRequest) => {
    request.user = await signIn(deps, request)
  }
  /** @throws Fault */
  function admit(request: FastifyRequest, player: string, operation: Operation): User {
    const by = currently(deps, request)
    const origin: Origin = { id: request.id, by, door: 'http', player, at: now() }
    gate.admit(createCall(origin, { operation, args: {} }))
    if (by.kind !== 'user') throw new Fault('unauthenticated', 'sign in first')
    return by
  }

  app.get('/players', { exposeHeadRoute: false, preParsing }, async (request) => {
    const by = admit(request, '', house['GET /players'])
    return [...players].flatMap(([name, { kind, up, web = [] }]) => {
      const capabilities = gate.capabilitiesOf(by, name)
      const pages = web.filter(({ capability }) => capabilities.includes(capability)).map(({ path }) => path)
      return capabilities.length === 0
        ? []
        : [{ name, kind, up, capabilities, ...(pages.length > 0 && { web: pages }) }]
    })
  })

  for (const [name, { picture: watched, art }] of players) {
    if (!watched) continue
    const show = (by: User, picture: Picture) => {
      const scale = gate.volumeScale(by, name, now())
      const may = { queue: gate.may(by, name, 'queue.read'), art: gate.may(by, name, 'library.read') && art }
      return view(picture, may, scale)
    }
    app.get(`/players/${name}/state`, { exposeHeadRoute: false, preParsing }, async (request, reply) => {
      const by = admit(request, name, house['GET /players/{name}/state'])
      if (!wantsStream(request)) {
        const picture = await lookAt(watched)
        // Looking may take a while, in which a sign-in can end.
        const reader = deps.identity.renew(by)
        if (!reader) throw new Fault('unauthenticated', 'the sign-in has ended: sign in again')
        if (picture) return show(reader, picture)
        throw new Fault('player-unreachable', 'what the player is doing is not known', { retryAfter: 1 })
      }
      streams.open(by, {
        mayRead: (user) => gate.may(user, name, 'status.read'),
        write: (user) => JSON.stringify(watched.picture ? show(user, watched.picture) : null),
        onChange: (listener) => watched.onPicture(listener),
        // From here on the answer is ours.
        begin() {
          reply.hijack()
          for (const [header, value] of Object.entries(reply.getHeaders())) {
            if (value !== undefined) reply.raw.setHeader(header, value)
          }
          return reply.raw.writeHead(200, { 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' })
        },
      })
      return reply
    })
  }
}

/** A player as pages see it, its own pages as near to the root as they are served. */
export function shown(player: OpenPlayer, name: string, defaultPlayer: string): ShownPlayer {
  const { kind, picture, web } = player
  const [prefix = ''] = prefixesOf(name, defaultPlayer)
  const pages = web?.clients.filter(({ art }) => !art) ?? []
  return {
    kind,
    ...(picture && { picture }),
    web: pages.map(({ path, capability }) => ({ path: prefix + path, capability })),
    ...(web && { art: artOf(name, web.clients) }),
    get up() {
      return player.up
    },
  }
}

/** Where the pictures are that a player keeps itself, when its web clients are served and they are among them. */
export function artOf(name: string, clients: readonly WebClient[]): NonNullable<ShownPlayer['art']> {
  const client = clients.find(({ art }) => art)
  return (address) => {
    const path = client && filePath(client, address)
    return path === undefined ? undefined : `/players/${name}${path}`
  }
}

/** What a player is doing, by what somebody may see of it. What they may not see is null, as is what is not known. */
function view(
  picture: Picture,
  may: { readonly queue: boolean; readonly art: ShownPlayer['art'] | false },
  scale: Scale | undefined,
): Picture {
  const { art, uri, volume } = picture
  return {
    ...picture,
    uri: may.queue ? uri : null,
    volume: volume === null || !scale ? volume : scale.shown(volume),
    art: art === null || !may.art ? null : (may.art(art) ?? null),
  }
}

/** RFC 9110 §12.5.1: whoever only takes anything gets it once. */
function wantsStream({ headers: { accept = '' } }: FastifyRequest): boolean {
  return accept.split(',').some((range) => range.split(';')[0]?.trim().toLowerCase() === 'text/event-stream')
}

interface Source {
  mayRead(by: User): boolean
  /** The whole of what there is to tell, as of now. */
  write(by: User): string
  onChange(listener: () => void): () => void
  begin(): ServerResponse
}

interface Stream {
  readonly response: ServerResponse
  tell(): void
  /** Looks again who is reading, and ends the stream of whoever may not any more. */
  renew(): void
  /** Ends the stream of whoever has not read since the last time. */
  beat(): void
  /** Renews, and tells what is otherwise by now though the player did nothing. */
  review(): void
}

/** Server-sent events (HTML §9.2): each says everything, so that a slow reader misses what is old and nothing else. */
function createStreams(app: App, deps: PlayersDeps) {
  const { identity } = deps
  const limits = { ...defaults, ...deps.limits }
  const streams = new Set<Stream>()
  const accounts = createTally()

  /** @throws Fault `limited` */
  function open(reader: User, source: Source): void {
    if (streams.size >= limits.streams || accounts.of(reader.id) >= limits.streamsEach) {
      throw new Fault('limited', 'too many pages are listening already', { retryAfter: 10 })
    }
    let by = reader
    let isStale = false
    let said = ''
    let wasBlocked = false
    const response = source.begin()
    const isOver = () => response.writableEnded || response.destroyed
    const isBlocked = () => response.writableNeedDrain

    const stream: Stream = {
      response,
      tell() {
        if (isOver()) return
        isStale = isBlocked()
        if (isStale) return
        said = source.write(by)
        response.write(`data: ${said}\n\n`)
      },
      renew() {
        if (isOver()) return
        const user = identity.renew(by)
        if (!user || !source.mayRead(user)) return void response.end()
        by = user
      },
      beat() {
        if (isBlocked() && wasBlocked) response.destroy()
        else if (!isOver() && !isBlocked()) response.write(':\n\n')
        wasBlocked = isBlocked()
      },
      review() {
        stream.renew()
        if (!isOver() && said !== source.write(by)) stream.tell()
      },
    }
    response.on('drain', () => {
      wasBlocked = false
      if (isStale) stream.tell()
    })
    response.on('error', () => response.destroy())
    const stop = source.onChange(() => {
      stream.renew()
      stream.tell()
    })
    streams.add(stream)
    accounts.add(by.id)
    response.once('close', () => {
      stop()
      streams.delete(stream)
      accounts.remove(by.id)
    })
    response.write('retry: 3000\n\n')
    stream.tell()
  }

  const renewAll = () => {
    for (const stream of streams) stream.renew()
  }
  const stop = identity.onChange(renewAll)
  const timers = [
    // Nobody tells of an hour that has come, or of a newer configuration.
    setInterval(() => {
      for (const stream of streams) stream.review()
    }, limits.sweepMs),
    setInterval(() => {
      for (const stream of streams) stream.beat()
    }, limits.beatMs),
  ]
  app.addHook('preClose', async () => {
    stop()
    for (const timer of timers) clearInterval(timer)
    for (const { response } of streams) response.end()
  })
  return { open }
}
