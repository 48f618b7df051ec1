import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer as createPlainServer, type Server, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { createServer, type TLSSocket } from 'node:tls'
import { addressOf, sourceOf } from '../../call/address.ts'
import type { User } from '../../call/call.ts'
import type { Identity } from '../../identity/identity.ts'
import { createBuckets, createTally } from '../bucket.ts'
import { fingerprintOf } from '../certificate.ts'
import { destroyOnTlsError, type Tls } from '../tls.ts'
import { type MpdClient, type MpdClientDeps, mpdClientDefaults, serveMpd } from './client.ts'
import { createPeers } from './peers.ts'

const defaults = {
  ...mpdClientDefaults,
  /** By one entrance. */
  connections: 512,
  /** From one source, by one entrance. */
  connectionsEach: 64,
  /** That have not signed in, handshakes included. */
  strangers: 128,
  /** What one source may say without signing in, over all its connections. */
  knocks: { count: 600, ms: 60_000 },
  /** Between two looks at every connection's deadlines and person. */
  checkMs: 500,
  /** Between two words about connections that found no place. */
  tellMs: 60_000,
}
export type MpdDoorLimits = Readonly<typeof defaults>

export interface MpdDoorOptions extends Omit<MpdClientDeps, 'identity' | 'limits' | 'log'> {
  readonly identity: Pick<Identity, 'identify' | 'renew' | 'onChange'>
  readonly log?: MpdClientDeps['log']
  readonly newId?: () => string
  readonly limits?: Partial<MpdDoorLimits>
}

/** One of the ways in. */
export interface Entrance {
  readonly host: string
  readonly port: number
  /** Asked for with each connection that comes. */
  readonly bounds?: () => EntranceBounds
}

/** What is left out is as in the door's limits. */
export interface EntranceBounds {
  /** Seconds that a client may be silent outside of `idle`. */
  readonly timeout?: number
  readonly connections?: number
  readonly connectionsEach?: number
}

/** Without TLS, for whoever comes from these ranges of addresses (CIDR), and at most for what these roles may. */
export interface PlainEntrance extends Entrance {
  readonly plain: { readonly from: readonly string[]; readonly roles: readonly string[] }
}

export interface TlsEntrance extends Entrance {
  readonly tls: Pick<Tls, 'mpdOptions' | 'apply'>
}

export interface MpdDoor {
  /** Takes a client over any stream. `from` is its address without the port. */
  handle(socket: Duplex, from: string): void
  /** Resolves to the port. */
  listen(where: TlsEntrance | PlainEntrance): Promise<number>
  close(): Promise<void>
}

/** A connection's place among all, from its first packet to its end. */
interface Place {
  readonly source: string
  end(): void
}

/** What comes by one entrance, and how much of it may. */
type Hall = ReturnType<typeof createHall>

function createHall(limits: () => MpdDoorLimits, ceiling?: readonly string[]) {
  return { limits, ceiling, places: new Set<Place>(), bySource: createTally() }
}

/** For tools that take a client at a time and watch over it themselves. */
const silent = { warn: () => {} }

export function createMpdDoor(options: MpdDoorOptions): MpdDoor {
  const { log = silent, newId = randomUUID } = options
  const limits = { ...defaults, ...options.limits }
  const halls = new Set<Hall>()
  /** Oldest first. */
  const strangers = new Set<Place>()
  const takeKnock = createBuckets(limits.knocks)
  const takeWord = createBuckets({ count: 1, ms: limits.tellMs })
  const clients = new Set<MpdClient>()
  const closers = new Set<() => Promise<void>>()
  /** Device tokens that were used in the clear. */
  const exposed = new Set<string>()
  let turnedAway = 0

  const check = () => {
    for (const client of clients) client.check()
  }
  const timer = setInterval(check, limits.checkMs).unref()
  const forget = options.identity.onChange(check)

  function open({ bounds = () => ({}) }: Pick<Entrance, 'bounds'>, ceiling?: readonly string[]): Hall {
    const hall = createHall(() => {
      const { timeout, connections, connectionsEach } = bounds()
      return {
        ...limits,
        ...(timeout !== undefined && { silenceMs: timeout * 1000 }),
        ...(connections !== undefined && { connections }),
        ...(connectionsEach !== undefined && { connectionsEach }),
      }
    }, ceiling)
    halls.add(hall)
    return hall
  }

  const inside = open({})

  /** A place for the socket as long as it is open; undefined, and the socket destroyed, when there is none. */
  function admit(socket: Duplex, from: string, { places, bySource, limits: most }: Hall): Place | undefined {
    const source = sourceOf(from)
    const { connections, connectionsEach } = most()
    if (places.size >= connections || bySource.of(source) >= connectionsEach) {
      socket.destroy()
      turnAway(from, places.size)
      return undefined
    }
    // Who comes to sign in takes a moment, who fills the door stays: so the oldest stranger makes room.
    const [oldest] = strangers
    if (oldest && strangers.size >= limits.strangers) oldest.end()
    const leave = () => {
      if (!places.delete(place)) return
      strangers.delete(place)
      bySource.remove(source)
    }
    const place: Place = {
      source,
      end() {
        leave()
        socket.destroy()
      },
    }
    places.add(place)
    strangers.add(place)
    bySource.add(source)
    socket.once('close', leave)
    return place
  }

  /** Once in a while for all of them: a crowd at the door is not to fill the log as well. */
  function turnAway(from: string, open: number): void {
    turnedAway++
    if (!takeWord('', options.now())) return
    log.warn({ from, open, times: turnedAway }, 'the MPD door has no place left for a connection')
    turnedAway = 0
  }

  function serve(socket: Duplex, from: string, place: Place, hall: Hall, fingerprint?: string): void {
    const { ceiling } = hall
    const arrival = {
      from,
      id: newId(),
      ceiling,
      fingerprint,
      knock: () => takeKnock(place.source, options.now()),
      onSignIn(user: User) {
        strangers.delete(place)
        if (ceiling) expose(user)
      },
    }
    const client = serveMpd(socket, arrival, { ...options, log, limits: hall.limits() })
    clients.add(client)
    socket.once('close', () => clients.delete(client))
  }

  function expose({ id, name, session, from }: User): void {
    if (exposed.has(session)) return
    exposed.add(session)
    log.warn({ account: id, name, session, from }, 'a device token came over the network in the clear')
  }

  function listenTls(tls: TlsEntrance['tls'], hall: Hall): Server {
    const server = createServer({ ...socketOptions, ...tls.mpdOptions() })
    const handshakes = new Map<string, Place>()
    // Counted before TLS: a handshake that never ends takes a descriptor as well.
    server.prependListener('connection', (raw: Socket) => {
      const place = admit(raw, addressOf(raw), hall)
      if (!place) return
      const key = endpointOf(raw)
      handshakes.set(key, place)
      raw.once('close', () => handshakes.get(key) === place && handshakes.delete(key))
    })
    server.on('secureConnection', (socket: TLSSocket) => {
      const place = handshakes.get(endpointOf(socket))
      if (!place || !hall.places.has(place)) return socket.destroy()
      // Shown in this handshake, or in the one that it resumes.
      const certificate = socket.getPeerX509Certificate()
      serve(socket, addressOf(socket), place, hall, certificate && fingerprintOf(certificate))
    })
    destroyOnTlsError(server)
    tls.apply(server)
    return server
  }

  function listenPlain(ranges: readonly string[], hall: Hall): Server {
    const isWelcome = createPeers(ranges)
    return createPlainServer(socketOptions, (socket) => {
      const from = addressOf(socket)
      const place = isWelcome(from) ? admit(socket, from, hall) : undefined
      if (place) serve(socket, from, place, hall)
      else socket.destroy()
    })
  }

  return {
    handle(socket, from) {
      const place = admit(socket, from, inside)
      if (place) serve(socket, from, place, inside)
    },
    async listen(where) {
      const { host, port } = where
      const server =
        'plain' in where
          ? listenPlain(where.plain.from, open(where, where.plain.roles))
          : listenTls(where.tls, open(where))
      server.listen(port, host)
      await once(server, 'listening')
      // Such as too many open files: the next connection may go well.
      server.on('error', () => {})
      closers.add(() => new Promise((resolve) => server.close(() => resolve())))
      const address = server.address()
      const opened = typeof address === 'object' && address ? address.port : port
      if ('plain' in where) {
        const { from, roles } = where.plain
        log.warn({ host, port: opened, from, roles }, 'MPD without TLS: device tokens can be read on the network')
      }
      return opened
    },
    async close() {
      clearInterval(timer)
      forget()
      const closing = [...closers].map((close) => close())
      for (const { places } of halls) for (const place of places) place.end()
      await Promise.all(closing)
    },
  }
}

/** A device that lost its network says no goodbye, and idles for hours when it has not: the system finds out which. */
const socketOptions = { noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 } as const

function endpointOf({ remoteAddress, remotePort }: Socket): string {
  return JSON.stringify([remoteAddress, remotePort])
}
