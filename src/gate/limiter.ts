import { type Call, personOf } from '../call/call.ts'
import type { Budget } from '../policy/rate.ts'

/** A budget that has nothing left, and the milliseconds until it has. */
export interface Empty {
  readonly budget: Budget
  readonly wait: number
}

export interface Limiter {
  /**
   * Draws one of each budget, or nothing at all.
   *
   * @returns what is empty; undefined when the call may go now
   */
  take(call: Call, budgets: readonly Budget[]): Empty | undefined
  /** Gives back what `take` drew, for a call that was admitted and then not sent. */
  giveBack(call: Call, budgets: readonly Budget[]): void
}

/**
 * A token bucket as GCRA keeps it: one timestamp a key, no timers. A key at rest is forgotten.
 *
 * The key is the person, not the connection, so no second client, door or reconnect finds a fuller bucket.
 */
export function createLimiter(capacity = 10_000): Limiter {
  const due = new Map<string, number>()

  const sweep = (now: number) => {
    for (const [key, time] of due) if (time <= now) due.delete(key)
  }

  return {
    take(call, budgets) {
      for (const budget of budgets) {
        const key = keyOf(call, budget)
        const empty = call.at + budget.rate.ms
        // Emptier than empty: the clock was set back. It fills up from here, or nobody could call until then.
        if ((due.get(key) ?? 0) > empty) due.set(key, empty)
        const wait = nextDue(due, call, budget) - call.at - budget.rate.ms
        if (wait > 0) return { wait, budget }
      }
      if (due.size >= capacity) sweep(call.at)
      for (const budget of budgets) due.set(keyOf(call, budget), nextDue(due, call, budget))
      return undefined
    },
    giveBack(call, budgets) {
      for (const budget of budgets) {
        const key = keyOf(call, budget)
        const time = due.get(key)
        if (time !== undefined) due.set(key, time - budget.rate.ms / budget.rate.count)
      }
    },
  }
}

function nextDue(due: ReadonlyMap<string, number>, call: Call, budget: Budget): number {
  const { count, ms } = budget.rate
  return Math.max(due.get(keyOf(call, budget)) ?? call.at, call.at) + ms / count
}

/** What is only observed has a bucket of its own, so that it takes nothing out of one that binds. */
function keyOf({ by }: Call, { counts, rate, isObserved = false }: Budget): string {
  return JSON.stringify([personOf(by), counts, rate.count, rate.ms, isObserved])
}
