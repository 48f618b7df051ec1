import { WebSocket } from 'ws'
import { personOf, type Request } from '../call/call.ts'
import { Fault } from '../call/fault.ts'
import { isPermit } from '../policy/decide.ts'
import type { mopidy } from '../protocol/mopidy/catalog.ts'
import { encode } from '../protocol/mopidy/encode.ts'
import { type PlayerEvent, type Reply, readReply } from '../protocol/mopidy/reply.ts'
import { createLane, type LaneEntry } from './lane.ts'
import { checkQuestion, type PlayerLog, type RpcPlayer, UpstreamError } from './player.ts'

const defaults = {
  handshakeMs: 5_000,
  /** From `send` to the answer, waiting included. */
  callMs: 10_000,
  costlyMs: 30_000,
  /** How long a call may wait for the very first connection. */
  graceMs: 1_000,
  /** Silence after which the player is pinged, and silence after that which ends the connection. */
  idleMs: 20_000,
  pongMs: 10_000,
  retryFirstMs: 100,
  retryMostMs: 5_000,
  /** Mopidy handles one message after the other for everybody, so what is in flight stays little. */
  lane: { running: 32, runningEach: 24, costly: 2, waiting: 256, waitingEach: 64, costlyEach: 16 },
}
export type MopidyLimits = Readonly<typeof defaults>

const maxAnswerBytes = 64 * 1024 * 1024

export interface MopidyOptions {
  /** The address of Mopidy's HTTP port, such as `http://127.0.0.1:6680`. */
  readonly url: string
  now(): number
  /** 0 to 1, for the jitter of reconnecting. */
  random?(): number
  readonly log?: PlayerLog
  readonly limits?: Partial<MopidyLimits>
}

/** A Mopidy as the gateway itself has it: whoever listens to clients gets no more of it than an `RpcPlayer`. */
export interface MopidyPlayer extends RpcPlayer {
  /** A question of the gateway's own: these change nothing. It takes its turn like the rest. @throws as `send` */
  ask(question: Question): Promise<unknown>
  /** Hears when the connection stands, and when it broke; returns the way to stop hearing. */
  onStand(listener: () => void): () => void
}

type Read = `core.${'library' | 'mixer' | 'playback' | 'playlists' | 'tracklist'}.get_${string}` & keyof typeof mopidy
export type Question = Request<(typeof mopidy)[Read]>

interface Pending extends LaneEntry {
  readonly request: Request
  readonly deadline: NodeJS.Timeout
  sentAt?: number
  resolve(result: unknown): void
  reject(error: Error): void
}

/**
 * One Mopidy behind one persistent WebSocket, used by everybody with ids of our own.
 *
 * When the connection breaks, calls on their way fail and are never sent again: nobody knows whether they were done.
 */
export function createMopidy({ url, now, random = Math.random, log, limits: given }: MopidyOptions): MopidyPlayer {
  const limits = { ...defaults, ...given }
  const address = new URL('/mopidy/ws', url)
  address.protocol = 'ws:'

  const lane = createLane<Pending>(limits.lane, write)
  const listeners = new Set<(event: PlayerEvent) => void>()
  const standing = new Set<() => void>()
  /** What the player has not answered, oldest first, with what was given up on: that still occupies the player. */
  const inFlight = new Map<number, Pending>()
  let lastId = 0
  let socket: WebSocket | undefined
  let retry: NodeJS.Timeout | undefined
  let failures = 0
  let attemptedAt = 0
  let heardAt = 0
  let version: unknown
  let closed = false
  let grace: NodeJS.Timeout | undefined = setTimeout(() => {
    grace = undefined
    giveUp('the player does not answer')
  }, limits.graceMs)

  const unreachable = (why: string) => new Fault('player-unreachable', why, { retryAfter: 1 })

  /** Fails all that is in flight or waiting. */
  function giveUp(why: string): void {
    const all = [...inFlight.values(), ...lane.reset()]
    inFlight.clear()
    for (const pending of all) {
      clearTimeout(pending.deadline)
      pending.reject(unreachable(why))
    }
  }

  function connect(): void {
    clearTimeout(retry)
    retry = undefined
    attemptedAt = now()
    // No Origin: Mopidy judges browsers by it, and we are none.
    const ws = new WebSocket(address, {
      perMessageDeflate: false,
      maxPayload: maxAnswerBytes,
      handshakeTimeout: limits.handshakeMs,
    })
    socket = ws
    ws.on('open', () => {
      clearTimeout(grace)
      grace = undefined
      failures = 0
      heardAt = now()
      version = undefined
      log?.info({ url }, 'player connected')
      lane.open()
      for (const listener of standing) listener()
    })
    ws.on('message', (data: Buffer, isBinary) => {
      if (ws !== socket) return
      heardAt = now()
      let reply: Reply
      try {
        if (isBinary) throw new SyntaxError('a binary message')
        reply = readReply(data.toString())
      } catch (error) {
        // Mopidy sends HTML and bare NaN in places, without an id: whose answer it was cannot be known for sure.
        return drop(ws, 'the player sent what is no answer', error)
      }
      receive(reply)
    })
    ws.on('pong', () => {
      heardAt = now()
    })
    ws.on('error', (error) => drop(ws, 'the player cannot be reached', error))
    ws.on('close', () => drop(ws, 'the connection to the player broke'))
  }

  function drop(ws: WebSocket, why: string, error?: unknown): void {
    if (ws !== socket) return
    socket = undefined
    ws.terminate()
    clearTimeout(grace)
    grace = undefined
    version = undefined
    if (failures === 0 && !closed) log?.warn({ url, error: error instanceof Error ? error.message : undefined }, why)
    giveUp(why)
    for (const listener of standing) listener()
    if (closed) return
    const wait = Math.min(limits.retryFirstMs * 2 ** failures, limits.retryMostMs)
    failures++
    retry = setTimeout(connect, wait * (0.5 + random() / 2))
  }

  function write(pending: Pending): void {
    const id = ++lastId
    pending.sentAt = now()
    inFlight.set(id, pending)
    socket?.send(encode(id, pending.request))
  }

  function receive(reply: Reply): void {
    if ('event' in reply) {
      for (const listener of listeners) listener(reply.event)
      return
    }
    const pending = inFlight.get(reply.id)
    if (pending === undefined) return
    inFlight.delete(reply.id)
    clearTimeout(pending.deadline)
    if ('error' in reply) {
      pending.reject(new UpstreamError(reply.error))
    } else {
      if (isVersion(pending.request)) version = reply.result
      pending.resolve(reply.result)
    }
    lane.leave(pending)
  }

  const pulse = setInterval(() => {
    const ws = socket
    if (ws?.readyState !== WebSocket.OPEN) return
    const [oldest] = inFlight.values()
    if (oldest?.sentAt !== undefined && now() - oldest.sentAt > 2 * limits.costlyMs) {
      drop(ws, 'the player left a call without an answer')
    } else if (now() - heardAt >= limits.idleMs) {
      // While it works on a call Mopidy answers no ping.
      if (inFlight.size === 0 && now() - heardAt >= limits.idleMs + limits.pongMs) drop(ws, 'the player went silent')
      else ws.ping()
    }
  }, limits.pongMs / 2)
  pulse.unref()

  connect()

  function enter(request: Request, entry: LaneEntry): Promise<unknown> {
    const up = socket?.readyState === WebSocket.OPEN
    if (up && version !== undefined && isVersion(request)) return Promise.resolve(version)
    if (!up && grace === undefined) {
      // Somebody wants the player now, so do not sit out a long pause.
      if (retry && now() - attemptedAt >= 2 * limits.retryFirstMs) connect()
      return Promise.reject(unreachable('the player cannot be reached'))
    }
    return new Promise((resolve, reject) => {
      const pending: Pending = {
        request,
        ...entry,
        deadline: setTimeout(expire, entry.costly ? limits.costlyMs : limits.callMs),
        resolve,
        reject,
      }
      function expire() {
        // One in flight keeps its place until the answer comes: the player is still at it.
        lane.withdraw(pending)
        reject(new Fault('player-timeout', 'the player did not answer in time'))
      }
      if (lane.enter(pending)) return
      clearTimeout(pending.deadline)
      reject(new Fault('limited', 'too many calls are waiting for the player', { retryAfter: 1 }))
    })
  }

  return {
    send(permit) {
      if (!isPermit(permit)) return Promise.reject(new Fault('internal', 'only a permit can be sent'))
      const { by, capability, operation } = permit.call
      const costly = operation.bounds.costly === true
      return enter(permit.call, { person: personOf(by), costly, changes: !capability.endsWith('.read') })
    },
    async ask(question) {
      checkQuestion(question)
      return enter(question, { person: '', costly: question.operation.bounds.costly === true, changes: false })
    },
    onStand(listener) {
      standing.add(listener)
      return () => standing.delete(listener)
    },
    onEvent(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    get up() {
      return socket?.readyState === WebSocket.OPEN
    },
    async close() {
      if (closed) return
      closed = true
      clearTimeout(retry)
      retry = undefined
      clearTimeout(grace)
      grace = undefined
      clearInterval(pulse)
      const ws = socket
      if (ws === undefined) return
      const gone = new Promise((resolve) => ws.once('close', resolve))
      ws.close(1001)
      giveUp('the gateway is shutting down')
      const patience = setTimeout(() => ws.terminate(), limits.graceMs)
      await gone
      clearTimeout(patience)
    },
  }
}

/** Answered from memory: Mopidy starts a process for each. */
function isVersion({ operation }: Request): boolean {
  return operation.name === 'core.get_version'
}
