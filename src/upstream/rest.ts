import { personOf, type Request } from '../call/call.ts'
import type { Protocol } from '../call/catalog.ts'
import { Fault } from '../call/fault.ts'
import { isPermit, type Permit } from '../policy/decide.ts'
import { isObject } from '../protocol/jsonrpc/message.ts'
import { rebuildAnswer } from '../protocol/librespot/answers.ts'
import { encodeRest } from '../protocol/rest/encode.ts'
import { clean } from '../protocol/rest/text.ts'
import { createBreaker } from './breaker.ts'
import { type Answer, createExchange, parseAnswer } from './exchange.ts'
import { createLane, type LaneEntry } from './lane.ts'
import { checkQuestion, type RestPlayer, UpstreamError } from './player.ts'

const defaults = {
  connectMs: 2_000,
  /** From `send` to the answer, waiting included. */
  callMs: 10_000,
  /** How long the player may be at one question; it keeps its place until then, answered for or not. */
  holdMs: 30_000,
  questionBytes: 256 * 1024,
  answerBytes: 1024 * 1024,
  lane: { running: 2, runningEach: 2, costly: 1, waiting: 128, waitingEach: 32, costlyEach: 8 },
  breaker: { failures: 5, openMs: 1_000, openMostMs: 30_000 },
}
export type RestLimits = Readonly<typeof defaults>

export interface RestOptions {
  /** The address of the player's web server, such as `http://127.0.0.1:3678`. */
  readonly url: string
  /** Whose calls it takes. */
  readonly protocol: Protocol
  /** Milliseconds that only ever grow. */
  now(): number
  /** Asks whether something is loaded at this moment, for rows that need it; such a row is not sent otherwise. */
  isLoaded?(ask: Ask): Promise<boolean>
  /** Whether a call that has got its turn would undo what was asked for after it. */
  isOvertaken?(permit: Permit): boolean
  readonly limits?: Partial<RestLimits>
}

/** @throws Fault or UpstreamError */
type Ask = (request: Request) => Promise<unknown>

/** A player behind plain HTTP: a few questions at a time, by turns, each answered in its own time or not at all. */
export interface Rest extends Pick<RestPlayer, 'send' | 'close'> {
  /** A question of the gateway's own, which changes nothing at the player. It takes its turn like the rest. */
  readonly ask: Ask
  /** Whether a call sent now would leave. */
  readonly up: boolean
}

interface Errand extends LaneEntry {
  readonly request: Request
  /** Whose it is; undefined for the gateway's own. */
  readonly permit: Permit | undefined
  deadline: NodeJS.Timeout
  isRunning: boolean
  /** Nobody waits any more. */
  isOver: boolean
  resolve(answer: unknown): void
  reject(error: unknown): void
}

export function createRest({ url, protocol, now, isLoaded, isOvertaken, limits: given }: RestOptions): Rest {
  const limits = { ...defaults, ...given }
  const exchange = createExchange(new URL(url), { ...limits, running: limits.lane.running })
  const breaker = createBreaker(limits.breaker, now)
  const lane = createLane<Errand>(limits.lane, (errand) => void run(errand))
  /** At the player, though nobody waits for them any more. */
  const overdue = new Set<Errand>()
  let isClosed = false
  lane.open()

  async function run(errand: Errand): Promise<void> {
    errand.isRunning = true
    try {
      const { request, permit } = errand
      if (permit && isOvertaken?.(permit)) return errand.resolve(null)
      if (request.operation.needs === 'track' && !(await isLoaded?.(look))) {
        throw new UpstreamError({ code: 409, message: 'nothing is loaded at the player', data: undefined })
      }
      // Given up on while the player was asked what it has: nobody expects it to be done any more.
      if (errand.isOver) return
      errand.resolve(await put(request))
    } catch (error) {
      errand.reject(error)
    } finally {
      clearTimeout(errand.deadline)
      overdue.delete(errand)
      lane.leave(errand)
    }
  }

  /** A question of the gateway's own, for what has its turn. */
  async function look(request: Request): Promise<unknown> {
    checkQuestion(request)
    return put(request)
  }

  /** Asks at once: for what has its turn. */
  async function put(request: Request): Promise<unknown> {
    const question = encodeRest(request)
    breaker.enter()
    const answer = await exchange.ask(question).catch((error: unknown) => {
      const fault = Fault.from(error)
      if (fault.code === 'too-large') breaker.leave()
      else breaker.fail()
      throw fault
    })
    if (isAway(answer)) breaker.fail(answer.retryAfter)
    else breaker.succeed()
    return read(request, answer)
  }

  function read({ operation }: Request, answer: Answer): unknown {
    const { status, text, type } = answer
    if (status === 204) return undefined
    if (status !== 200) throw refusal(operation.params, answer)
    if (text === '') return null
    // librespot-java says no type at all.
    if (type !== 'application/json' && type !== '') throw nonsense()
    return rebuildAnswer(operation, parseAnswer(text)) ?? null
  }

  function enter(request: Request, permit: Permit | undefined): Promise<unknown> {
    if (isClosed) throw new Fault('player-unreachable', 'the gateway is shutting down')
    if (overdue.size >= limits.lane.running) {
      throw new Fault('player-timeout', 'the player is still at something else', { retryAfter: 1 })
    }
    if (!breaker.closed) breaker.enter()
    const { operation } = request
    return new Promise((resolve, reject) => {
      const errand: Errand = {
        request,
        permit,
        person: permit ? personOf(permit.call.by) : '',
        costly: operation.bounds.costly === true,
        changes: permit !== undefined && !permit.call.capability.endsWith('.read'),
        deadline: setTimeout(expire, limits.callMs),
        isRunning: false,
        isOver: false,
        resolve,
        reject,
      }
      function expire() {
        errand.isOver = true
        if (errand.isRunning) overdue.add(errand)
        else lane.withdraw(errand)
        reject(new Fault('player-timeout', 'the player did not answer in time'))
      }
      if (lane.enter(errand)) return
      clearTimeout(errand.deadline)
      reject(new Fault('limited', 'too many calls are waiting for the player', { retryAfter: 1 }))
    })
  }

  return {
    async send(permit) {
      if (!isPermit(permit)) throw new Fault('internal', 'only a permit can be sent')
      if (permit.call.operation.protocol !== protocol) throw new Fault('internal', 'not a call of this player')
      // What cannot be written is not worth a turn.
      encodeRest(permit.call)
      return enter(permit.call, permit)
    },
    async ask(request) {
      checkQuestion(request)
      return enter(request, undefined)
    },
    get up() {
      return !isClosed && breaker.closed && overdue.size < limits.lane.running
    },
    async close() {
      if (isClosed) return
      isClosed = true
      for (const errand of lane.reset()) {
        clearTimeout(errand.deadline)
        errand.reject(new Fault('player-unreachable', 'the gateway is shutting down'))
      }
      await exchange.close()
    },
  }
}

/** The player is there and is not, as it says itself. */
function isAway({ status }: Answer): boolean {
  return status >= 502 && status <= 504
}

const nonsense = () => new Fault('player-unreachable', 'the player gave an answer that cannot be understood')

/** What became of a call that the player did not simply answer. Of its own words none but a short reason is passed on. */
function refusal(params: object, answer: Answer): Error {
  const { status, retryAfter } = answer
  if (status === 429) {
    return new Fault('limited', 'the player asks for a pause', { retryAfter: retryAfter ?? 1 })
  }
  if (isAway(answer)) {
    return new Fault('player-unreachable', 'the player is not ready', { retryAfter: retryAfter ?? 1 })
  }
  if (status === 401 || status === 403) return new Fault('player-unreachable', 'the player does not let the gateway in')
  // A redirect is none of these: whoever sends us elsewhere is not the player we know.
  if (status < 400 || status > 599) return nonsense()
  return new UpstreamError({ code: status, message: reasonOf(params, answer), data: undefined })
}

const reasons: ReadonlyMap<number, string> = new Map([
  [404, 'the player does not know this, or has no such thing'],
  [405, 'the player does not know this'],
  [409, 'the player is at something else'],
])

function reasonOf(params: object, { status, text }: Answer): string {
  if (status >= 500) return 'the player failed at this'
  const said = status === 400 ? parameterIn(params, text) : undefined
  return said ?? reasons.get(status) ?? 'the player does not take this'
}

/** librespot-java names the parameter it does not like, and why. */
function parameterIn(params: object, text: string): string | undefined {
  if (text.length > 1024) return undefined
  let said: unknown
  try {
    said = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!isObject(said) || typeof said.name !== 'string' || !Object.hasOwn(params, said.name)) return undefined
  const why =
    typeof said.reason === 'string'
      ? `: ${clean(said.reason, 80)
          .replace(/[^\w .,<>=&+-]/g, '')
          .trim()}`
      : ''
  return `the player does not take this ${said.name}${why}`
}
