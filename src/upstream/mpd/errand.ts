import { Fault } from '../../call/fault.ts'
import { createLane, type Lane, type LaneEntry, type LaneLimits } from '../lane.ts'
import type { Client, Job } from './job.ts'
import { type Asker, gone, type Line } from './line.ts'
import type { Taker } from './pool.ts'
import type { TakeSeat } from './seat.ts'
import { retuning, type Tuning } from './tuning.ts'

export interface ErrandLimits {
  readonly lane: LaneLimits
  /** How long an asker without a seat may leave its answer unread while it keeps a turn from others. */
  readonly graceMs: number
}

/** The errands to one player. */
export interface Errands {
  start(job: Job, client: Client): Errand
  /** Ends what is out of time. */
  sweep(): void
  /** Resolves when all that adds to the queue is over that is under way now: other answers may wait long to be read. */
  calm(): Promise<void>
  close(): void
}

interface House {
  readonly lane: Lane<Errand>
  readonly active: Set<Errand>
  readonly takeSeat: TakeSeat
  readonly graceMs: number
  now(): number
  /** Something may have changed at the player. */
  changed(): void
  ended(errand: Errand): void
}

/**
 * Waits for its turn, then for a line, has the line made ready, asks, and hands on the answer.
 *
 * A client that does not read holds the line, not the turn: it takes a seat, and others go on.
 */
export class Errand implements LaneEntry, Taker, Asker {
  readonly person: string
  readonly costly: boolean
  readonly changes = false
  readonly tuning: Tuning
  deadline: number
  readonly adds: boolean
  readonly #house: House
  readonly #job: Job
  /** Undefined when nobody waits for the answer any more. */
  #client: Client | undefined
  #step: 'turn' | 'line' | 'tuning' | 'asking' | 'held' | 'lingering' | 'over' = 'turn'
  #hasTurn = false
  #line: Line | undefined
  /** Gives the seat back. */
  #leaveSeat: (() => void) | undefined
  #grace: NodeJS.Timeout | undefined
  #isAgain = false
  #isLate = false

  constructor(house: House, job: Job, client: Client) {
    this.#house = house
    this.#job = job
    this.#client = client
    this.person = job.person.id
    this.costly = job.costly
    this.tuning = job.tuning
    this.deadline = job.until
    this.adds = job.adds === true
    house.active.add(this)
    if (!house.lane.enter(this)) {
      this.failed(new Fault('limited', 'too many are waiting for the player', { retryAfter: 1 }))
    }
  }

  /** Its turn has come. */
  start(): void {
    this.#hasTurn = true
    this.#client?.turned?.()
    this.#reach(false)
  }

  #reach(fresh: boolean): void {
    this.#step = 'line'
    this.#job.from.take(this, fresh)
  }

  got(line: Line) {
    const job = this.#job
    this.#line = line
    if (line.channels !== job.channels && line.channels !== '') {
      line.drop(gone())
      return this.#reach(true)
    }
    const text = retuning(line.tuning, job.tuning) + (line.channels === job.channels ? '' : job.channels)
    if (text === '') return this.#speak(line)
    this.#step = 'tuning'
    const ready: Asker = {
      out() {},
      done: (count) => {
        if (count !== Number.POSITIVE_INFINITY) {
          line.drop(gone())
          return this.#untuned()
        }
        line.tuning = job.tuning
        line.channels = job.channels
        if (this.#client) this.#speak(line)
        else this.#end()
      },
      fail: (fault) => this.#untuned(fault),
    }
    // One list: what is set is set at once, or this line is not used.
    line.ask(`command_list_begin\n${text}command_list_end\n`, ready)
  }

  /** Nothing of the client's was sent yet, so even a change may take another line. */
  #untuned(fault = new Fault('player-unreachable', 'the player no longer takes the settings of this connection')) {
    this.#line = undefined
    if (this.#isAgain || this.#isLate || !this.#client) return this.failed(fault)
    this.#isAgain = true
    this.#reach(true)
  }

  #speak(line: Line) {
    const { text, frame } = this.#job
    this.#step = 'asking'
    if (text === '') return this.done(Number.POSITIVE_INFINITY)
    this.#client?.sent?.()
    line.ask(text, this, frame)
  }

  out(bytes: Uint8Array): void | Promise<void> {
    return this.#client?.out(bytes)
  }

  held(): void {
    this.#step = 'held'
    this.#client?.held?.()
    this.deadline = Number.POSITIVE_INFINITY
    if (this.#sit() === undefined) return
    this.#grace = setTimeout(() => {
      const fault = this.#sit()
      if (fault) this.#line?.drop(fault)
    }, this.#house.graceMs)
  }

  resumed(): void {
    clearTimeout(this.#grace)
    this.#step = 'asking'
    this.deadline = this.#house.now() + this.#job.ms
    this.#client?.resumed?.()
  }

  /** From the turn to a seat; the fault when there is none. */
  #sit(): Fault | undefined {
    if (!this.#hasTurn) return undefined
    try {
      if (!this.#job.isSeated) this.#leaveSeat = this.#house.takeSeat(this.#job.person)
    } catch (error) {
      return Fault.from(error)
    }
    this.#leaveTurn()
    return undefined
  }

  #leaveTurn(): void {
    if (!this.#hasTurn) return
    this.#hasTurn = false
    this.#house.lane.leave(this)
  }

  done(count: number, held?: Promise<void>) {
    const client = this.#client
    if (this.#line) this.#job.settle?.(this.#line, count)
    this.#end()
    if (!held) return client?.done(count)
    held.then(
      () => client?.done(count),
      (error) => client?.fail(Fault.from(error)),
    )
  }

  /** The line broke, by the player's doing or by ours. */
  fail(fault: Fault) {
    const line = this.#line
    const isUnheard = line?.heard === false
    if (isUnheard && this.#job.isRead && this.#client && !this.#isAgain && !this.#isLate) {
      this.#isAgain = true
      this.#line = undefined
      return this.#reach(true)
    }
    if (isUnheard && this.#isLate && this.costly) return this.#linger(fault)
    this.failed(fault)
  }

  failed(fault: Fault): void {
    const client = this.#client
    this.#end()
    client?.fail(fault)
  }

  /** The player is still at it for all we know, so its turn is kept a while longer. */
  #linger(fault: Fault): void {
    const client = this.#client
    this.#client = undefined
    this.#step = 'lingering'
    this.deadline = this.#house.now() + this.#job.ms
    client?.fail(fault)
  }

  #end(): void {
    if (this.#step === 'over') return
    const wasAsked = this.#step !== 'turn' && this.#step !== 'line'
    this.#step = 'over'
    clearTimeout(this.#grace)
    this.#house.active.delete(this)
    this.#house.ended(this)
    if (wasAsked && !this.#job.isRead) this.#house.changed()
    this.#leaveSeat?.()
    if (this.#line) this.#job.from.give(this.#line)
    this.#leaveTurn()
  }

  /** Its time is over. */
  expire(fault: Fault) {
    if (this.#step === 'lingering') return this.#end()
    this.#isLate = true
    if (this.#stop()) this.failed(fault)
    else this.#line?.drop(fault)
  }

  /**
   * Nobody waits for it any more. What was asked is heard to its end, as the player works on it anyway; unless its client
   * left it unread.
   */
  cancel(): void {
    this.#client = undefined
    if (this.#stop()) this.#end()
    else if (this.#step === 'held') this.#line?.drop(gone())
  }

  /** Stops waiting; false when it does not wait. */
  #stop(): boolean {
    if (this.#step === 'turn') this.#house.lane.withdraw(this)
    else if (this.#step === 'line') this.#job.from.withdraw(this)
    else return false
    return true
  }
}

const late = () => new Fault('player-timeout', 'the player did not answer in time')

export function createErrands(
  takeSeat: TakeSeat,
  limits: ErrandLimits,
  now: () => number,
  changed: () => void,
): Errands {
  const active = new Set<Errand>()
  const lane = createLane<Errand>(limits.lane, (errand) => errand.start())
  const waiters = new Set<{ readonly left: Set<Errand>; done(): void }>()
  const ended = (errand: Errand) => {
    for (const waiter of waiters) {
      if (!waiter.left.delete(errand) || waiter.left.size > 0) continue
      waiters.delete(waiter)
      waiter.done()
    }
  }
  const house: House = { lane, active, takeSeat, graceMs: limits.graceMs, now, changed, ended }
  lane.open()

  return {
    start: (job, client) => new Errand(house, job, client),
    sweep() {
      const time = now()
      for (const errand of active) if (errand.deadline <= time) errand.expire(late())
    },
    calm() {
      const left = new Set([...active].filter(({ adds }) => adds))
      return new Promise((resolve) => (left.size === 0 ? resolve() : waiters.add({ left, done: resolve })))
    },
    close() {
      for (const errand of [...active]) errand.expire(gone())
    },
  }
}
