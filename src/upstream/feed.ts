import { WebSocket } from 'ws'
import type { LibrespotEvent } from '../protocol/librespot/events.ts'
import type { PlayerLog } from './player.ts'

/** The events of one player, over one WebSocket that is made anew when it breaks. */
export interface Feed {
  readonly up: boolean
  close(): Promise<void>
}

export interface FeedLimits {
  readonly handshakeMs: number
  readonly retryFirstMs: number
  readonly retryMostMs: number
  readonly messageBytes: number
  /** Events are counted by windows of this length. Beyond so many of one, only the latest of each type is told, at its end. */
  readonly windowMs: number
  readonly eventsEach: number
  /** And beyond so many, or so many bytes, the connection ends: somebody has to stop reading. */
  readonly messagesMost: number
  readonly bytesMost: number
  /** How long a player may say nothing until it is pinged, and then until it is given up. */
  readonly silenceMs: number
}

export interface FeedOptions {
  readonly address: URL
  /** An event of a message; undefined for what is none. */
  read(message: unknown): LibrespotEvent | undefined
  /** Hears every event. Must not throw. */
  tell(event: LibrespotEvent): void
  /** Hears when the connection stands, and when it broke: what happened in between was heard by nobody. */
  stands(isUp: boolean): void
  readonly limits: FeedLimits
  now(): number
  /** 0 to 1, for the jitter of reconnecting. */
  random(): number
  readonly log?: PlayerLog | undefined
}

export function createFeed({ address, read, tell, stands, limits, now, random, log }: FeedOptions): Feed {
  const url = address.origin
  let socket: WebSocket | undefined
  let retry: NodeJS.Timeout | undefined
  let failures = 0
  let stoodSince = Number.POSITIVE_INFINITY
  let heardAt = 0
  let isUp = false
  let isClosed = false
  let window: NodeJS.Timeout | undefined
  let messages = 0
  let bytes = 0
  let told = 0
  /** The latest of each type, in the order they came. */
  const held = new Map<string, LibrespotEvent>()

  function connect(): void {
    retry = undefined
    // No Origin: players judge browsers by it, and we are none.
    const ws = new WebSocket(address, {
      perMessageDeflate: false,
      maxPayload: limits.messageBytes,
      handshakeTimeout: limits.handshakeMs,
      followRedirects: false,
    })
    socket = ws
    ws.on('open', () => {
      isUp = true
      stoodSince = now()
      heardAt = now()
      log?.info({ url }, 'player connected')
      stands(true)
    })
    ws.on('pong', () => {
      heardAt = now()
    })
    ws.on('message', (data: Buffer, isBinary) => {
      if (ws === socket && !isBinary) hear(ws, data)
    })
    ws.on('error', (error) => drop(ws, 'the player cannot be reached', error))
    ws.on('close', () => drop(ws, 'the connection to the player broke'))
  }

  function drop(ws: WebSocket, why: string, error?: Error): void {
    if (ws !== socket) return
    socket = undefined
    ws.terminate()
    forget()
    const wasUp = isUp
    isUp = false
    // One that ends every connection at once has not really come back.
    if (now() - stoodSince >= limits.retryMostMs) failures = 0
    stoodSince = Number.POSITIVE_INFINITY
    if (failures === 0 && !isClosed) log?.warn({ url, error: error?.message }, why)
    if (wasUp) stands(false)
    if (isClosed) return
    const wait = Math.min(limits.retryFirstMs * 2 ** failures, limits.retryMostMs)
    failures = Math.min(failures + 1, 30)
    retry = setTimeout(connect, wait * (0.5 + random() / 2))
  }

  function hear(ws: WebSocket, data: Buffer): void {
    heardAt = now()
    window ??= setTimeout(turn, limits.windowMs)
    messages++
    bytes += data.length
    if (messages > limits.messagesMost || bytes > limits.bytesMost) {
      drop(ws, 'the player floods us with events')
      return
    }
    const event = readSafely(data)
    if (!event) return
    if (told < limits.eventsEach) {
      told++
      tell(event)
    } else {
      held.delete(event.type)
      held.set(event.type, event)
    }
  }

  function readSafely(data: Buffer): LibrespotEvent | undefined {
    try {
      return read(JSON.parse(data.toString()))
    } catch {
      return undefined
    }
  }

  /** A window has ended. */
  function turn(): void {
    const events = [...held.values()]
    forget()
    if (events.length > 0) {
      window = setTimeout(turn, limits.windowMs)
      told = events.length
    }
    for (const event of events) tell(event)
  }

  function forget(): void {
    clearTimeout(window)
    window = undefined
    messages = 0
    bytes = 0
    told = 0
    held.clear()
  }

  const pulse = setInterval(() => {
    const ws = socket
    if (!isUp || !ws || now() - heardAt < limits.silenceMs) return
    if (now() - heardAt >= 2 * limits.silenceMs) drop(ws, 'the player went silent')
    else ws.ping()
  }, limits.silenceMs / 4)
  pulse.unref()

  connect()

  return {
    get up() {
      return isUp
    },
    async close() {
      if (isClosed) return
      isClosed = true
      clearTimeout(retry)
      clearInterval(pulse)
      const ws = socket
      if (!ws) return
      const gone = new Promise((resolve) => ws.once('close', resolve))
      drop(ws, 'the gateway is shutting down')
      await gone
    },
  }
}
