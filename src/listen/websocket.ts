import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import { addressOf, sourceOf } from '../call/address.ts'
import type { User } from '../call/call.ts'
import type { Capability, Standing } from '../call/capability.ts'
import { Fault } from '../call/fault.ts'
import type { Gate } from '../gate/gate.ts'
import type { Identity } from '../identity/identity.ts'
import { messageLimits } from '../protocol/jsonrpc/message.ts'
import type { RpcPlayer } from '../upstream/player.ts'
import { createBuckets, createTally } from './bucket.ts'
import { credentialOf } from './credential.ts'
import type { Hosts } from './hosts.ts'
import { HttpFault } from './problem.ts'
import { type Hear, type Room, rpcRoom, type Seat } from './room.ts'
import type { Answer } from './rpc.ts'
import { hasNothing } from './threshold.ts'
import { checkUpgrade, refuseUpgrade, targetOf } from './upgrade.ts'
import { type Client, clientDefaults, createClient } from './wsclient.ts'

const defaults = {
  ...clientDefaults,
  perAccount: 16,
  /** Messages, pings and pongs of one account. */
  frames: { count: 1_000, ms: 1_000 },
  perAddress: 64,
  /** Upgrades under way, before anybody knows whose they are. */
  unidentified: 128,
  /** Upgrades by address. */
  upgrades: { count: 128, ms: 60_000 },
  messageBytes: messageLimits.bytes,
  heartbeatMs: 30_000,
  sweepMs: 500,
  /** How long a peer may take to say goodbye. */
  closeMs: 2_000,
}
export type WebsocketLimits = Readonly<typeof defaults>

/** A player as this door serves it. */
export interface ServedPlayer {
  readonly rpc: RpcPlayer
  readonly answer: Answer
}

export interface WebsocketDeps {
  readonly gate: Gate
  readonly identity: Pick<Identity, 'identify' | 'renew' | 'onChange'>
  /** The players that speak JSON-RPC, by name. */
  readonly players: ReadonlyMap<string, ServedPlayer>
  /** The players that are not spoken to over WebSockets, by name. */
  readonly others?: Iterable<string>
  /** What else is served, such as the events of the librespot family. */
  readonly rooms?: readonly Room[]
  /** The player at the root. */
  readonly defaultPlayer: string
  readonly limits?: Partial<WebsocketLimits>
  readonly hosts: Hosts
  now(): number
  /** A name for a request. */
  newId(): string
}

export interface WebsocketDoor {
  readonly size: number
  /** Says goodbye to everybody and takes nobody any more. */
  close(): Promise<void>
}

/**
 * Serves `/mopidy/ws` and other rooms on an HTTPS server.
 *
 * Everything about the handshake is judged before ws sees it, and before anything of the player is touched. While a
 * player is down its clients stay connected and their questions get faults: who reconnects finds the same player down,
 * and a house full of clients that all come back at once helps nobody.
 */
export function attachWebsocket(server: Server, deps: WebsocketDeps): WebsocketDoor {
  const { gate, identity, now } = deps
  const limits = { ...defaults, ...deps.limits }
  const rooms = [...[...deps.players].map(([name, player]) => rpcRoom(name, player)), ...(deps.rooms ?? [])]
  const names = new Set([...rooms.map((room) => room.player), ...(deps.others ?? [])])
  const clients = new Map<Client, Room>()
  const accounts = createTally()
  const addresses = createTally()
  const takeUpgrade = createBuckets(limits.upgrades)
  const takeFrameOf = createBuckets(limits.frames)
  let unidentified = 0
  let closing = false

  const options = {
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: limits.messageBytes,
    // A byte of payload may cost much more of memory when it comes in many pieces.
    maxFragments: 64,
    maxBufferedChunks: 256,
    skipUTF8Validation: false,
    closeTimeout: limits.closeMs,
    handleProtocols: () => false as const,
  }
  const sockets = new WebSocketServer(options)

  /** `stream` is the socket itself, and for a request with a body Node's own idea of what follows the body. */
  function onUpgrade(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    for (const each of [request.socket, stream]) each.on('error', () => request.socket.destroy())
    admit(request, stream, head).catch((error: unknown) => refuseUpgrade(request, Fault.from(error), deps.newId()))
  }

  async function admit(request: IncomingMessage, stream: Duplex, head: Buffer): Promise<void> {
    const { socket } = request
    const from = addressOf(socket)
    const peer = sourceOf(from)
    if (closing) throw shuttingDown()
    if (!takeUpgrade(peer, now())) throw tooMany('too many connections in a short time')
    deps.hosts.check(request)
    checkUpgrade(request)
    const target = targetOf(request.url)
    const player = target?.player ?? deps.defaultPlayer
    const room = rooms.find((each) => each.player === player && each.paths.includes(target?.path ?? ''))
    // Whoever has not signed in learns nothing of the players' names.
    if (!room && target?.player === undefined) throw nothing()
    const isOwn = deps.hosts.isOwnOrigin(request)
    if (isOwn === false) throw new Fault('forbidden', 'a page of another origin may not connect')
    if (addresses.of(peer) >= limits.perAddress) throw tooMany('too many connections from this address')
    if (unidentified >= limits.unidentified) throw tooMany('too many connections at once')

    const credential =
      target?.ticket === undefined
        ? credentialOf(request.headers)
        : ({ kind: 'ticket', ticket: target.ticket } as const)
    // RFC 6455 §10.2: browsers send cookies along with the WebSocket of any page, so the page must be ours.
    if (credential.kind === 'cookie' && !isOwn) throw new Fault('forbidden', 'a cookie needs the Origin it belongs to')

    addresses.add(peer)
    socket.once('close', () => addresses.remove(peer))
    unidentified++
    const by = await identity.identify(credential, from).finally(() => unidentified--)
    if (socket.destroyed) return
    if (closing) throw shuttingDown()
    if (by.kind !== 'user') throw new Fault('unauthenticated', 'sign in first')
    if (!room) throw nothing()
    if (gate.capabilitiesOf(by, player).length === 0) {
      const isTold = target?.player === undefined && hasNothing(gate, by, names)
      throw isTold ? new Fault('forbidden', 'nothing there is for you') : nothing()
    }
    if (accounts.of(by.id) >= limits.perAccount) throw tooMany('too many connections of this account')
    room.admit?.(by, deps.newId())
    const visit = createVisit(room, by, request.headers.host ?? '')
    sockets.handleUpgrade(request, stream, head, (ws) => open(ws, by, room, visit))
    if (visit.client === undefined) visit.seat?.leave()
  }

  /** What a client has at its player alone; it is asked for before anything is answered, so that it can be refused. */
  function createVisit(room: Room, by: User, host: string): Visit {
    const visit: Visit = { seat: undefined, client: undefined }
    visit.seat = room.join?.({
      by,
      host,
      tell: (capability, write) => visit.client && tell(visit.client, room, capability, write),
      end: () => visit.client?.end('gone'),
    })
    return visit
  }

  function open(ws: WebSocket, by: User, room: Room, visit: Visit): void {
    const { newId } = deps
    const { seat } = visit
    const answer = seat ? seat.answer : room.answer
    const isOrdered = seat === undefined
    const renew = (user: User) => identity.renew(user)
    const takeFrame = () => takeFrameOf(by.id, now())
    const client = createClient({ ws, by, answer, isOrdered, limits, newId, renew, takeFrame, overflowing })
    visit.client = client
    clients.set(client, room)
    accounts.add(by.id)
    ws.on('close', () => {
      seat?.leave()
      clients.delete(client)
      accounts.remove(by.id)
    })
  }

  function overflowing(): number {
    let sum = 0
    for (const client of clients.keys()) sum += Math.max(0, client.held() - limits.held)
    return sum
  }

  /** One event to those who may see it, written once for all who see the same. */
  function fanOut(room: Room, ...[capability, write, tellsVolume = false]: Parameters<Hear>): void {
    /** By how loud a person's 100 is. */
    const texts = new Map<number, string>()
    for (const [client, theirs] of clients) {
      if (theirs !== room) continue
      tell(client, room, capability, () => {
        const scale = tellsVolume ? gate.volumeScale(client.by, room.player, now()) : undefined
        const most = scale?.most ?? 100
        const text = texts.get(most) ?? write(scale)
        texts.set(most, text)
        return text
      })
    }
  }

  function tell(client: Client, { player }: Room, capability: Capability | Standing, write: () => string): void {
    if (client.by.until > now() && gate.may(client.by, player, capability)) client.deliver(write())
  }

  function sweep(): void {
    const at = now()
    for (const client of clients.keys()) {
      if (client.by.until <= at) client.renew()
      client.checkIncomplete(at)
    }
  }

  const stops = rooms.map((room) => room.listen((...event) => fanOut(room, ...event)))
  stops.push(
    identity.onChange(() => {
      for (const client of clients.keys()) client.renew()
    }),
  )
  const timers = [
    setInterval(sweep, limits.sweepMs),
    setInterval(() => {
      for (const client of clients.keys()) client.beat()
    }, limits.heartbeatMs),
  ]
  server.on('upgrade', onUpgrade)

  return {
    get size() {
      return clients.size
    },
    async close() {
      closing = true
      for (const stop of stops) stop()
      for (const timer of timers) clearInterval(timer)
      const gone = [...clients.keys()].map(({ ws }) => new Promise((resolve) => ws.once('close', resolve)))
      for (const client of clients.keys()) client.end('closing')
      await Promise.all(gone)
    },
  }
}

/** A client and its seat, which come about one after the other. */
interface Visit {
  seat: Seat | undefined
  client: Client | undefined
}

/** As where a player's name is nobody's, or not this person's. */
function nothing(): Fault {
  return new HttpFault(404, 'unknown-operation', 'nothing is here')
}

function tooMany(detail: string): Fault {
  return new Fault('limited', detail, { retryAfter: 10 })
}

function shuttingDown(): Fault {
  return new HttpFault(503, 'limited', 'the gateway is shutting down')
}
