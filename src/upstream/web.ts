import { type Dispatcher, Pool } from 'undici'
import { personOf } from '../call/call.ts'
import { Fault } from '../call/fault.ts'
import { isPermit, type Permit } from '../policy/decide.ts'
import { faultOf } from './exchange.ts'
import { createLane, type LaneEntry } from './lane.ts'

const defaults = {
  connectMs: 2_000,
  /** To the header of an answer, and from each piece of it to the next, not counting while the client takes nothing. */
  silenceMs: 15_000,
  /** From `request` to the last byte, waiting included. */
  wholeMs: 60_000,
  bytes: 32 * 1024 * 1024,
  headerBytes: 16 * 1024,
  lane: { running: 24, runningEach: 6, costly: 1, waiting: 512, waitingEach: 128, costlyEach: 1 },
}
export type WebLimits = Readonly<typeof defaults>

/** One file: why it may be fetched, where it is at the player, and the fields of the header that go along. */
export interface Errand {
  readonly permit: Permit
  readonly method: 'GET' | 'HEAD'
  /** As the player has it, written by us. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
}

/** The files that a player's web server gives away: never asked twice for one request, no redirects followed. */
export interface WebServer {
  /**
   * What @fastify/reply-from takes in the place of undici. Of all that it gives, only the errand counts that came along
   * with the header; an answer that is no file, nor the news that one has not changed or is elsewhere, is a Fault.
   */
  readonly dispatcher: Pick<Dispatcher, 'request'>
  /** The header of a request for @fastify/reply-from, which copies it from place to place: only the errand is in it. */
  carry(errand: Errand): Record<string, never>
  close(): Promise<void>
}

/** So that no header of a client can be taken for one. */
const errandKey = Symbol('errand')

interface Waiting extends LaneEntry {
  start(): void
}

/** @param url the address of the player's web server, such as `http://127.0.0.1:6680` */
export function createWebServer({ url, limits: given }: { url: string; limits?: Partial<WebLimits> }): WebServer {
  const limits = { ...defaults, ...given }
  const pool = new Pool(new URL(url).origin, {
    connections: limits.lane.running,
    pipelining: 1,
    connect: { timeout: limits.connectMs },
    headersTimeout: limits.silenceMs,
    bodyTimeout: limits.silenceMs,
    maxResponseSize: limits.bytes,
    maxHeaderSize: limits.headerBytes,
    keepAliveTimeout: 4_000,
    keepAliveMaxTimeout: 4_000,
    allowH2: false,
  })
  const lane = createLane<Waiting>(limits.lane, (entry) => entry.start())
  let isClosed = false
  lane.open()

  /** Resolves when it is this person's turn. @throws Fault `limited`, or `player-timeout` when it never came */
  function enter(permit: Permit, patience: AbortSignal): Promise<Waiting> {
    return new Promise((resolve, reject) => {
      const tired = () => {
        lane.withdraw(entry)
        reject(new Fault('player-timeout', 'the player is still at other files'))
      }
      const entry: Waiting = {
        person: personOf(permit.call.by),
        costly: false,
        changes: false,
        start() {
          patience.removeEventListener('abort', tired)
          resolve(entry)
        },
      }
      patience.addEventListener('abort', tired, { once: true })
      if (lane.enter(entry)) return
      patience.removeEventListener('abort', tired)
      reject(new Fault('limited', 'too many files are waiting for the player', { retryAfter: 1 }))
    })
  }

  async function fetch<T>({ permit, method, path, headers }: Errand, opaque: T | undefined) {
    if (isClosed) throw new Fault('player-unreachable', 'the gateway is shutting down')
    const patience = AbortSignal.timeout(limits.wholeMs)
    const place = await enter(permit, patience)
    const leave = () => lane.leave(place)
    try {
      const response = await pool.request<T>({
        method,
        path,
        headers: { ...headers, 'accept-encoding': 'identity' },
        signal: patience,
        ...(opaque !== undefined && { opaque }),
      })
      const { body } = response
      body.on('error', () => {})
      body.once('close', leave)
      const wrong = refusalOf(response, limits.bytes)
      if (!wrong) return response
      body.destroy()
      throw wrong
    } catch (error) {
      if (!(error instanceof Fault)) leave()
      throw faultOf(error)
    }
  }

  type Callback<T> = (error: Error | null, data: Dispatcher.ResponseData<T>) => void
  function request<T = null>(options: Dispatcher.RequestOptions<T>, callback: Callback<T>): void
  function request<T = null>(options: Dispatcher.RequestOptions<T>): Promise<Dispatcher.ResponseData<T>>
  function request<T>(options: Dispatcher.RequestOptions<T>, callback?: Callback<T>): unknown {
    const answer = errandOf(options.headers).then((errand) => fetch(errand, options.opaque))
    if (!callback) return answer
    answer.then(
      (response) => callback(null, response),
      // Whoever hears of an error looks at nothing else.
      (error: Error) => Reflect.apply(callback, undefined, [error]),
    )
    return undefined
  }

  return {
    dispatcher: { request },
    carry: (errand) => Object.assign({}, { [errandKey]: errand }),
    async close() {
      if (isClosed) return
      isClosed = true
      await pool.destroy()
    },
  }
}

async function errandOf(headers: unknown): Promise<Errand> {
  const errand: unknown = typeof headers === 'object' && headers !== null ? Reflect.get(headers, errandKey) : undefined
  if (!isErrand(errand)) throw new Fault('internal', 'only a permit can be sent')
  return errand
}

function isErrand(value: unknown): value is Errand {
  return typeof value === 'object' && value !== null && 'permit' in value && isPermit(value.permit)
}

/** Why an answer is none of ours to hand on; its body, which may say more than anybody should know, is never read. */
function refusalOf({ statusCode: status, headers }: Dispatcher.ResponseData<unknown>, most: number): Fault | undefined {
  if (status === 401 || status === 403 || status === 404 || status === 405 || status === 410) {
    return new Fault('unknown-operation', 'the player has no such file')
  }
  if (!passed.has(status)) return new Fault('player-unreachable', 'the player failed at this')
  const encoding = headers['content-encoding']
  if (encoding !== undefined && encoding !== 'identity') {
    return new Fault('player-unreachable', 'the player compresses, which nobody asked for')
  }
  if (Number(headers['content-length'] ?? 0) > most) {
    return new Fault('player-unreachable', 'the file is larger than one may be')
  }
  return undefined
}

const passed: ReadonlySet<number> = new Set([200, 301, 302, 303, 304, 307, 308])
