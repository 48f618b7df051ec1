import { type Call, personOf } from '../call/call.ts'
import type { Capability } from '../call/capability.ts'
import { isAddition, leastAdded } from '../call/queue.ts'
import type { Quota } from '../policy/rate.ts'

/** What one person took of one capability at one moment. */
export interface Draw {
  readonly person: string
  readonly capability: string
  /** Unix ms. */
  readonly at: number
  readonly weight: number
  /** From then on nothing counts it any more. */
  readonly until: number
}

/** Where draws outlive the process. Whatever it cannot do it throws a Fault for. */
export interface QuotaStore {
  /** What this person drew, as far as it was not forgotten. */
  read(person: string): readonly (Draw & { readonly id: number })[]
  /** Writes these and forgets those, all or nothing. What was written when it returns, no crash takes away. @returns their ids */
  write(draws: readonly Draw[], forgotten: readonly number[]): readonly number[]
}

/** Why a quota does not take a call. */
export interface Shortage {
  readonly quota: Quota
  /** What the call would have taken. */
  readonly weight: number
  readonly left: Left
  /** Milliseconds until there is room for it; undefined when there never will be, as it is more than the whole. */
  readonly wait: number | undefined
}

export interface Left {
  readonly remaining: number
  /** Milliseconds until there is one more; 0 when it is full. */
  readonly resetMs: number
}

export interface Quotas {
  /**
   * Draws what a call takes from all of these, or nothing. It is not written before `keep`.
   *
   * @throws Fault when what was drawn before cannot be read
   */
  take(call: Call, quotas: readonly Quota[]): Shortage | undefined
  /** Gives back what was taken since the last `keep`: for a list that is not sent. */
  giveBack(): void
  /** Writes what was taken; when that fails, nothing was. @throws Fault */
  keep(): void
  /** Draws what a call that has gone turned out to be besides, room or not. What cannot be written now is written later. */
  charge(call: Pick<Call, 'by' | 'at'>, quotas: readonly Quota[], more: number): void
  /** @throws Fault when what was drawn before cannot be read */
  left(call: Pick<Call, 'by' | 'at'>, quota: Quota): Left
}

/** A draw as it is kept in memory. */
interface Entry {
  readonly draw: Draw
  weight: number
  /** Its number in the store; undefined before it is there. */
  id: number | undefined
  /** What the clock showed when it was found to be behind the draw. */
  seen: number | undefined
}

type Log = Entry[]

/** Keeps nothing: for what need not outlive the process. */
const forgetful: QuotaStore = { read: () => [], write: (draws) => draws.map(() => 0) }

/**
 * A log of draws for each person and capability: in no stretch of time as long as a quota's is there more than it allows.
 *
 * The key is the person, not the connection, so no second client, door or reconnect finds more left. A log holds at most
 * as many draws as the quota has; the store has them all, so only the people of late are held in memory.
 */
export function createQuotas(store: QuotaStore = forgetful, mostPeople = 256): Quotas {
  /** By person and capability, whoever came last at the end. */
  const people = new Map<string, Map<string, Log>>()
  let pending: { readonly log: Log; readonly entry: Entry; readonly weight: number }[] = []
  /** Charged, and not written yet. */
  let owed: Entry[] = []
  let forgotten: number[] = []

  function logOf(by: Call['by'], capability: Capability): Log {
    const person = personOf(by)
    const logs = people.get(person) ?? load(person)
    people.delete(person)
    people.set(person, logs)
    const log = logs.get(capability) ?? []
    logs.set(capability, log)
    return log
  }

  function load(person: string): Map<string, Log> {
    const logs = new Map<string, Log>()
    for (const { id, ...draw } of store.read(person)) {
      const log = logs.get(draw.capability) ?? []
      log.push({ draw, weight: draw.weight, id, seen: undefined })
      logs.set(draw.capability, log)
    }
    for (const other of people.keys()) {
      if (people.size < mostPeople || owed.length + pending.length > 0) break
      people.delete(other)
    }
    return logs
  }

  /** Lets go of what no quota counts any more. */
  function trim(log: Log, at: number, longest: number): void {
    let kept = 0
    for (const entry of log) {
      const { draw, id } = entry
      if (timeOf(entry, at) + Math.max(draw.until - draw.at, longest) > at) log[kept++] = entry
      else if (id !== undefined) forgotten.push(id)
    }
    log.length = kept
  }

  function draw(call: Pick<Call, 'by' | 'at'>, quotas: readonly Quota[], weigh: (capability: Capability) => number) {
    const person = personOf(call.by)
    return [...new Set(quotas.map(({ counts }) => counts))].map((capability) => {
      const log = logOf(call.by, capability)
      const span = Math.max(...quotas.filter(({ counts }) => counts === capability).map(({ rate }) => rate.ms))
      const weight = weigh(capability)
      const last = log.at(-1)
      // A list is one draw.
      if (last && last.id === undefined && last.draw.at === call.at && last.draw.until === call.at + span) {
        last.weight += weight
        return { log, entry: last, weight }
      }
      const made = { person, capability, at: call.at, weight, until: call.at + span }
      const entry: Entry = { draw: made, weight, id: undefined, seen: undefined }
      log.push(entry)
      return { log, entry, weight }
    })
  }

  function giveBack(): void {
    for (const { log, entry, weight } of pending) {
      entry.weight -= weight
      if (entry.weight === 0) log.splice(log.indexOf(entry), 1)
    }
    pending = []
  }

  function keep(): void {
    const entries = [...new Set([...owed, ...pending.map(({ entry }) => entry)])]
    if (entries.length === 0) return
    try {
      const ids = store.write(
        entries.map(({ draw, weight }) => ({ ...draw, weight })),
        forgotten,
      )
      for (const [i, entry] of entries.entries()) entry.id = ids[i]
    } catch (error) {
      giveBack()
      throw error
    }
    forgotten = []
    pending = []
    owed = []
  }

  return {
    take(call, quotas) {
      for (const quota of quotas) {
        const log = logOf(call.by, quota.counts)
        trim(log, call.at, quota.rate.ms)
        const weight = weightOf(call, quota.counts)
        const wait = waitFor(log, call.at, quota, weight)
        if (wait !== 0) return { quota, weight, wait, left: leftOf(log, call.at, quota) }
      }
      pending.push(...draw(call, quotas, (capability) => weightOf(call, capability)))
      return undefined
    },
    giveBack,
    keep,
    charge(call, quotas, more) {
      try {
        owed.push(...draw(call, quotas, () => more).map(({ entry }) => entry))
        keep()
      } catch {
        // It counts all the same, and the next call of this person that has a quota is refused or writes it as well.
      }
    },
    left: (call, quota) => leftOf(logOf(call.by, quota.counts), call.at, quota),
  }
}

/** As many as it adds, where it adds: a call is one thing to do otherwise. */
function weightOf(call: Call, capability: Capability): number {
  return isAddition(capability) ? leastAdded(call) : 1
}

/**
 * When it was drawn, as far as the clock of now can say.
 *
 * A draw in the future was made before the clock was set back: it counts as of the moment when that was seen, or nobody
 * could draw until then; and as of its own once the clock has come there again.
 */
function timeOf(entry: Entry, at: number): number {
  if (entry.draw.at <= at) {
    entry.seen = undefined
    return entry.draw.at
  }
  entry.seen = Math.min(entry.seen ?? at, at)
  return entry.seen
}

/** What the draws come to that count in `ms`: all that most calls need, and a list asks it of each of its thousands. */
function sumOf(log: Log, at: number, ms: number): number {
  let sum = 0
  for (const entry of log) if (timeOf(entry, at) + ms > at) sum += entry.weight
  return sum
}

/** The draws that this quota counts, the oldest first, and what they come to. */
function counted(log: Log, at: number, ms: number) {
  const draws = log
    .map((entry) => ({ time: timeOf(entry, at), weight: entry.weight }))
    .filter(({ time }) => time + ms > at)
    .sort((a, b) => a.time - b.time)
  return { draws, sum: draws.reduce((all, { weight }) => all + weight, 0) }
}

/** Milliseconds until no more than `most` is drawn; 0 when that is so. */
function waitUntil({ draws, sum }: ReturnType<typeof counted>, most: number, at: number, ms: number): number {
  let rest = sum
  for (const { time, weight } of draws) {
    if (rest <= most) break
    rest -= weight
    if (rest <= most) return time + ms - at
  }
  return 0
}

function waitFor(log: Log, at: number, { rate: { count, ms } }: Quota, weight: number): number | undefined {
  if (weight > count) return undefined
  return sumOf(log, at, ms) + weight <= count ? 0 : waitUntil(counted(log, at, ms), count - weight, at, ms)
}

function leftOf(log: Log, at: number, { rate: { count, ms } }: Quota): Left {
  const drawn = counted(log, at, ms)
  return {
    remaining: Math.max(0, count - drawn.sum),
    resetMs: drawn.sum === 0 ? 0 : waitUntil(drawn, Math.min(count, drawn.sum) - 1, at, ms),
  }
}
