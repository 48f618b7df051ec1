import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { createServer, type TLSSocket } from 'node:tls'
import { addressOf, sourceOf } from '../../call/address.ts'
import type { Identity } from '../../identity/identity.ts'
import { createBuckets, createTally } from '../bucket.ts'
import { destroyOnTlsError, type Tls } from '../tls.ts'
import { type MpdClient, type MpdClientDeps, mpdClientDefaults, serveMpd } from './client.ts'

const defaults = {
  ...mpdClientDefaults,
  connections: 512,
  /** From one source. */
  connectionsEach: 64,
  /** That have not signed in, handshakes included. */
  strangers: 128,
  /** What one source may say without signing in, over all its connections. */
  knocks: { count: 600, ms: 60_000 },
  /** Between two looks at every connection's deadlines and person. */
  checkMs: 500,
}
export type MpdDoorLimits = Readonly<typeof defaults>

export interface MpdDoorOptions extends Omit<MpdClientDeps, 'identity' | 'newId' | 'limits' | 'knock' | 'onSignIn'> {
  readonly identity: Pick<Identity, 'identify' | 'renew' | 'onChange'>
  readonly newId?: () => string
  readonly limits?: Partial<MpdDoorLimits>
}

export interface MpdDoor {
  /** Takes a client over any stream. `from` is its address without the port. */
  handle(socket: Duplex, from: string): void
  /** Listens with TLS; resolves to the port. */
  listen(where: { host: string; port: number; tls: Pick<Tls, 'mpdOptions' | 'apply'> }): Promise<number>
  close(): Promise<void>
}

/** A connection's place among all, from its first packet to its end. */
interface Place {
  readonly source: string
  end(): void
}

export function createMpdDoor(options: MpdDoorOptions): MpdDoor {
  const limits = { ...defaults, ...options.limits }
  const newId = options.newId ?? randomUUID
  const places = new Set<Place>()
  const bySource = createTally()
  /** Oldest first. */
  const strangers = new Set<Place>()
  const takeKnock = createBuckets(limits.knocks)
  const clients = new Set<MpdClient>()
  const closers = new Set<() => Promise<void>>()

  const check = () => {
    for (const client of clients) client.check()
  }
  const timer = setInterval(check, limits.checkMs).unref()
  const forget = options.identity.onChange(check)

  /** A place for the socket as long as it is open; undefined, and the socket destroyed, when there is none. */
  function admit(socket: Duplex, from: string): Place | undefined {
    const source = sourceOf(from)
    if (places.size >= limits.connections || bySource.of(source) >= limits.connectionsEach) {
      socket.destroy()
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

  function serve(socket: Duplex, from: string, place: Place): void {
    const knock = () => takeKnock(place.source, options.now())
    const client = serveMpd(socket, from, { ...options, newId, limits, knock, onSignIn: () => strangers.delete(place) })
    clients.add(client)
    socket.once('close', () => clients.delete(client))
  }

  return {
    handle(socket, from) {
      const place = admit(socket, from)
      if (place) serve(socket, from, place)
    },
    async listen({ host, port, tls }) {
      const server = createServer({ noDelay: true, ...tls.mpdOptions() })
      const handshakes = new Map<string, Place>()
      // Counted before TLS: a handshake that never ends takes a descriptor as well.
      server.prependListener('connection', (raw: Socket) => {
        const place = admit(raw, addressOf(raw))
        if (!place) return
        const key = endpointOf(raw)
        handshakes.set(key, place)
        raw.once('close', () => handshakes.get(key) === place && handshakes.delete(key))
      })
      server.on('secureConnection', (socket: TLSSocket) => {
        const place = handshakes.get(endpointOf(socket))
        if (place && places.has(place)) serve(socket, addressOf(socket), place)
        else socket.destroy()
      })
      destroyOnTlsError(server)
      tls.apply(server)
      server.listen(port, host)
      await once(server, 'listening')
      // Such as too many open files: the next connection may go well.
      server.on('error', () => {})
      closers.add(() => new Promise((resolve) => server.close(() => resolve())))
      const address = server.address()
      return typeof address === 'object' && address ? address.port : port
    },
    async close() {
      clearInterval(timer)
      forget()
      const closing = [...closers].map((close) => close())
      for (const place of places) place.end()
      await Promise.all(closing)
    },
  }
}

function endpointOf({ remoteAddress, remotePort }: Socket): string {
  return JSON.stringify([remoteAddress, remotePort])
}
