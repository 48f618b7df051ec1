import { Fault } from '../../call/fault.ts'
import type { Client, Job } from './job.ts'

/** Something on its way that can be let go. */
export interface Journey {
  /** Its client waits no longer, and hears nothing more. */
  cancel(): void
}

/** Reads that are asked once for all who ask the same at the same time. */
export interface Shares {
  ask(job: Job, client: Client): Journey
  /** Something may have changed: what was sent before answers nobody who asks from now on. */
  bump(): void
}

/** The longest answer that is kept for others than who asked first. */
const mostBytes = 256 * 1024
/** The longest question that others are looked for. */
const longestText = 4 * 1024

interface House {
  readonly start: (job: Job, client: Client) => Journey
  /** What anybody may join, by the question. */
  readonly open: Map<string, Share>
  /** What waits for its turn, by person and question: nobody else waits in that person's queue. */
  readonly waiting: Map<string, Share>
  epoch: number
}

/** Who asks the same as another and waits for that answer, or else asks for itself. */
class Joiner implements Journey {
  readonly #share: Share
  readonly #job: Job
  readonly #client: Client
  #own: Journey | undefined
  #isGone = false

  constructor(share: Share, job: Job, client: Client) {
    this.#share = share
    this.#job = job
    this.#client = client
  }

  askAlone(house: House): void {
    this.#own = house.start(this.#job, this.#client)
  }

  async hear(pieces: readonly Uint8Array[], count: number): Promise<void> {
    for (const piece of pieces) {
      if (this.#isGone) return
      const held = this.#client.out(piece)
      if (held !== undefined) await held
    }
    if (!this.#isGone) this.#client.done(count)
  }

  fail(fault: Fault): void {
    if (!this.#isGone) this.#client.fail(fault)
  }

  cancel(): void {
    this.#isGone = true
    if (this.#own) this.#own.cancel()
    else this.#share.forget(this)
  }
}

/** One read on its way, with all who wait for its answer. */
class Share implements Client, Journey {
  readonly #house: House
  readonly #key: string
  readonly #own: string
  /** Who asked first hears every piece as it comes. */
  #first: Client | undefined
  #journey: Journey | undefined
  #joiners: Set<Joiner> | undefined
  #pieces: Uint8Array[] = []
  #size = 0
  /** What the epoch was as it was sent; undefined until then. */
  #sentIn: number | undefined

  constructor(house: House, key: string, job: Job, client: Client) {
    this.#house = house
    this.#key = key
    this.#own = ownKey(key, job)
    this.#first = client
    house.waiting.set(this.#own, this)
    this.#journey = house.start(job, this)
  }

  get isCurrent(): boolean {
    return this.#sentIn === undefined || this.#sentIn === this.#house.epoch
  }

  join(job: Job, client: Client): Joiner {
    const joiner = new Joiner(this, job, client)
    this.#joiners ??= new Set()
    this.#joiners.add(joiner)
    return joiner
  }

  forget(joiner: Joiner): void {
    this.#joiners?.delete(joiner)
    this.#endUnheard()
  }

  turned(): void {
    forgetIn(this.#house.waiting, this.#own, this)
    this.#house.open.set(this.#key, this)
  }

  sent(): void {
    this.#sentIn = this.#house.epoch
  }

  out(bytes: Uint8Array): void | Promise<void> {
    this.#size += bytes.length
    if (this.#size <= mostBytes) this.#pieces.push(bytes)
    else this.#disband()
    return this.#first?.out(bytes)
  }

  /** Nobody waits for another's client to read. */
  held(): void {
    this.#disband()
  }

  done(count: number, held?: Promise<void>): void {
    const joiners = this.#close()
    this.#first?.done(count, held)
    for (const joiner of joiners) joiner.hear(this.#pieces, count).catch((error) => joiner.fail(Fault.from(error)))
  }

  fail(fault: Fault): void {
    const joiners = this.#close()
    this.#first?.fail(fault)
    for (const joiner of joiners) joiner.askAlone(this.#house)
  }

  cancel(): void {
    this.#first = undefined
    this.#endUnheard()
  }

  #disband(): void {
    this.#pieces = []
    for (const joiner of this.#close()) joiner.askAlone(this.#house)
    this.#endUnheard()
  }

  /** Nobody can join any more. */
  #close(): Iterable<Joiner> {
    forgetIn(this.#house.waiting, this.#own, this)
    forgetIn(this.#house.open, this.#key, this)
    const joiners = this.#joiners
    this.#joiners = undefined
    return joiners ?? []
  }

  #endUnheard(): void {
    if (this.#first || this.#joiners?.size) return
    this.#close()
    this.#journey?.cancel()
  }
}

function ownKey(key: string, { person }: Job): string {
  return `${person.id}\0${key}`
}

/** Another may stand there by now. */
function forgetIn(shares: Map<string, Share>, key: string, share: Share): void {
  if (shares.get(key) === share) shares.delete(key)
}

export function createShares(start: House['start']): Shares {
  const house: House = { start, open: new Map(), waiting: new Map(), epoch: 0 }

  return {
    ask(job, client) {
      if (job.text.length > longestText) return start(job, client)
      const key = job.tuning.text === '' ? job.text : `${job.tuning.text}\0${job.text}`
      const open = house.open.get(key)
      if (open?.isCurrent) return open.join(job, client)
      return house.waiting.get(ownKey(key, job))?.join(job, client) ?? new Share(house, key, job, client)
    },
    bump() {
      house.epoch++
    },
  }
}
