import { type Call, personOf } from '../call/call.ts'
import { Fault } from '../call/fault.ts'
import type { Queue, QueueEntry } from '../call/known.ts'
import { addsToQueue, leastAdded } from '../call/queue.ts'
import type { PlayerLog } from './player.ts'
import type { QueueEye, Sighting } from './queue.ts'

/** Who added what to the queue of one player, whichever door they came by. It is forgotten with the process. */
export interface Ledger {
  /** The queue as it stands, with whose each entry is. @throws Fault */
  look(): Promise<Queue>
  /**
   * Runs what adds to the queue, and notes what came of it as the caller's. What there is no room for is taken out again.
   *
   * @param calls of one person. Nobody else's change of the queue is to be under way: else nobody knows whose is what
   * @returns what `go` returned, and the ids that were taken out
   * @throws whatever `go` throws
   */
  hear<T>(calls: readonly Call[], go: () => T | Promise<T>): Promise<{ readonly result: T; readonly taken: Taken }>
  close(): void
}

export type Taken = ReadonlySet<number>

export interface LedgerDeps {
  readonly eye: QueueEye
  /** How many entries more the person who makes this call may have there, where the queue is as the call has it. */
  room(call: Call): number
  /** Hears of a call that left so many more entries in the queue than it named. */
  counted?(call: Call, more: number): void
  /** Takes entries out of the queue. */
  remove(ids: readonly number[]): Promise<void>
  readonly log: PlayerLog
  /** Unix ms. */
  now(): number
}

/** Somebody adds to the queue, from before they are sent until all is seen that came of it. */
interface Hearing {
  readonly person: string
  /** What came, by its ids. */
  readonly came: Set<number>
  readonly era: number
  /** Nobody else did at the same time. */
  isAlone: boolean
  /** Unix ms; undefined while it goes on. Nobody knows what came of it, and until then it may still come. */
  doubtUntil?: number
}

type Owned = Pick<QueueEntry, 'owner' | 'among'>

/** How often what came is looked for, where the player does not answer: it may be busy bringing it. */
const looks = 30
const pauseMs = 500
const doubtMs = 60_000
const nothing: Taken = new Set()

export function createLedger({ eye, room, counted, remove, log, now }: LedgerDeps): Ledger {
  const hearings = new Set<Hearing>()
  let seen: Sighting | undefined
  let queue: Queue = { entries: [] }
  let before: Promise<unknown> = Promise.resolve()
  /** Grows with each time that the player may have been started anew. */
  let era = 0
  let isClosed = false

  const unwatch = eye.onLoss(() => {
    era++
    seen = undefined
    queue = { entries: [] }
  })

  /** Sees the queue as it is from now on. One look after the other, as each is held against the one before. */
  function refresh(): Promise<Queue> {
    const looking = before.then(see)
    before = looking.catch(() => {})
    return looking
  }

  async function see(): Promise<Queue> {
    const started = era
    const found = await eye.see(seen)
    if (era !== started) throw new Fault('player-unreachable', 'the player was started anew', { retryAfter: 1 })
    if (found !== seen) {
      queue = attribute(found.entries)
      seen = found
    }
    return queue
  }

  /** An entry keeps its owner wherever it is moved. One that is new is theirs who add now. */
  function attribute(entries: Sighting['entries']): Queue {
    const known = new Map(queue.entries.map((entry) => [entry.id, entry]))
    const isFirst = seen === undefined
    return {
      entries: entries.map((entry) => {
        const old = known.get(entry.id)
        if (old && old.uri === entry.uri) return old
        return isFirst ? entry : { ...entry, ...claim(entry.id) }
      }),
    }
  }

  /** Doubts come to an end. */
  function forgetDoubts(): void {
    for (const hearing of hearings) if ((hearing.doubtUntil ?? now()) < now()) hearings.delete(hearing)
  }

  function claim(id: number): Owned {
    forgetDoubts()
    for (const { came } of hearings) came.add(id)
    const people = [...new Set([...hearings].map(({ person }) => person))]
    const [owner] = people
    if (owner === undefined) return {}
    const isSure = people.length === 1 && [...hearings].every(({ doubtUntil }) => doubtUntil === undefined)
    return isSure ? { owner } : { among: people }
  }

  function begin(person: string): Hearing {
    forgetDoubts()
    const others = [...hearings].filter((hearing) => hearing.person !== person)
    for (const hearing of others) hearing.isAlone = false
    const hearing = { person, came: new Set<number>(), era, isAlone: others.length === 0 }
    hearings.add(hearing)
    return hearing
  }

  /** Sees what came of it, and takes out what is too much. */
  async function settle(hearing: Hearing, calls: readonly Call[]): Promise<Taken> {
    try {
      await eye.calm()
      await persist(hearing)
      hearings.delete(hearing)
      // Somebody else's could be among them.
      if (hearing.came.size === 0 || !hearing.isAlone || hearing.era !== era) return nothing
      const adding = calls.filter(addsToQueue)
      const taken = await cut(hearing, adding)
      const more = hearing.came.size - taken.size - adding.reduce((sum, call) => sum + leastAdded(call), 0)
      if (more > 0) for (const call of adding.slice(0, 1)) counted?.(call, more)
      return taken
    } catch (error) {
      if (hearings.has(hearing)) hearing.doubtUntil = now() + doubtMs
      log.warn({ error: Fault.from(error).message }, 'what was added to a queue cannot be told')
      return nothing
    }
  }

  async function persist(hearing: Hearing): Promise<void> {
    for (let left = looks; ; left--) {
      try {
        await refresh()
        return
      } catch (error) {
        if (left === 1 || era !== hearing.era || isClosed) throw error
        await new Promise((resolve) => setTimeout(resolve, pauseMs))
      }
    }
  }

  async function cut({ came }: Hearing, adding: readonly Call[]): Promise<Taken> {
    const before = { entries: queue.entries.filter(({ id }) => !came.has(id)) }
    const rooms = adding.map((call) => room({ ...call, known: { ...call.known, queue: before } }))
    const [most] = rooms.toSorted((a, b) => a - b)
    const there = queue.entries.flatMap(({ id }) => (came.has(id) ? [id] : []))
    // The player counts on: those that came last have the highest ids.
    const over = there.toSorted((a, b) => a - b).slice(Math.max(0, most ?? 0))
    if (over.length === 0) return nothing
    await remove(over)
    return new Set(over)
  }

  return {
    look: refresh,
    async hear(calls, go) {
      const [call] = calls
      if (!call) throw new Fault('internal', 'nobody calls')
      // What is there before is not theirs.
      await refresh().catch((error) => {
        // Who is counted goes no further; what others add is nobody's then.
        if (calls.some(({ known }) => known.queue)) throw error
        seen = undefined
      })
      const hearing = begin(personOf(call.by))
      let result: Awaited<ReturnType<typeof go>>
      try {
        result = await go()
      } catch (error) {
        await settle(hearing, calls)
        throw error
      }
      return { result, taken: await settle(hearing, calls) }
    },
    close() {
      isClosed = true
      unwatch()
    },
  }
}
