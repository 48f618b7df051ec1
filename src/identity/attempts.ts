import { Fault } from '../call/fault.ts'

/** One try at a password, counted as a failure until it proves otherwise. */
export interface Attempt {
  /** The password was right, or was never looked at. */
  forget(): void
}

export interface Attempts {
  /**
   * Reserves a place in front of the password hash.
   *
   * @param account the folded name, whether there is such an account or not
   * @param known whether this account has signed in from this source before
   * @throws Fault `limited`
   */
  begin(account: string, source: string, known: boolean): Attempt
  /** Counts a wrong device token. @throws Fault `limited` instead of the caller's fault when there were too many */
  fail(source: string): void
}

const minute = 60_000
const second = 1000

/** From all sources together, and again from each source where the account has been before. */
const perAccount = { count: 5, ms: 5 * minute }
/** From everybody, for all accounts. */
const overall = { count: 60, ms: minute }
/** Mistakes that are free; from the next one on each doubles the wait. As OpenSSH's PerSourcePenalties. */
const freeMistakes = 4
const maxPenalty = 10 * minute
const capacity = 10_000

/**
 * Limits on guessing, in front of everything expensive.
 *
 * Failures of an account count whatever their source, so a crowd gains nothing over one. Whoever signed in to the
 * account from a source before has a count of their own there: nobody can be locked out by a stranger's failures.
 */
export function createAttempts(now: () => number): Attempts {
  /** The times of recent tries, by the JSON of what they were at. */
  const recent = new Map<string, readonly number[]>()
  let everybody: readonly number[] = []
  const sources = new Map<string, { readonly failures: number; readonly until: number }>()

  function waitFor(tries: readonly number[] | undefined, { count, ms }: typeof overall): number {
    const times = within(tries, ms, now())
    return times.length < count ? 0 : (times[times.length - count] ?? 0) + ms - now()
  }

  function penaltyOf(source: string): number {
    const found = sources.get(source)
    return found ? found.until - now() : 0
  }

  function penalise(source: string): void {
    const before = sources.get(source)
    const failures = before && before.until > now() - maxPenalty ? before.failures + 1 : 1
    const penalty = failures <= freeMistakes ? 0 : Math.min(second * 2 ** (failures - freeMistakes), maxPenalty)
    replace(sources, source, { failures, until: now() + penalty })
  }

  function pardon(source: string): void {
    const before = sources.get(source)
    if (!before) return
    const failures = Math.max(0, before.failures - 1)
    sources.set(source, { failures, until: failures <= freeMistakes ? Math.min(before.until, now()) : before.until })
  }

  return {
    begin(account, source, known) {
      const key = JSON.stringify(known ? [account, source] : [account])
      const own = waitFor(recent.get(key), perAccount)
      const wait = known ? own : Math.max(own, waitFor(everybody, overall), penaltyOf(source))
      if (wait > 0) throw tooMany(wait)
      const at = now()
      replace(recent, key, [...within(recent.get(key), perAccount.ms, at), at])
      if (!known) everybody = [...within(everybody, overall.ms, at), at]
      // The penalty stands while the hash runs, or parallel tries would all be the first.
      if (!known) penalise(source)
      let open = true
      return {
        forget() {
          if (!open) return
          open = false
          recent.set(key, without(recent.get(key), at))
          if (known) return
          everybody = without(everybody, at)
          pardon(source)
        },
      }
    },
    fail(source) {
      const wait = penaltyOf(source)
      if (wait > 0) throw tooMany(wait)
      penalise(source)
    },
  }
}

function tooMany(wait: number): Fault {
  return new Fault('limited', 'too many failed sign-ins: try again later', { retryAfter: Math.ceil(wait / second) })
}

/** Puts an entry last; the oldest gives way. What is limited adds none, so it takes thousands of sources to get here. */
function replace<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key)
  const [oldest] = map.keys()
  if (map.size >= capacity && oldest !== undefined) map.delete(oldest)
  map.set(key, value)
}

function within(times: readonly number[] | undefined, ms: number, now: number): readonly number[] {
  return (times ?? []).filter((at) => at > now - ms && at <= now)
}

function without(times: readonly number[] | undefined, at: number): readonly number[] {
  const index = (times ?? []).indexOf(at)
  return index < 0 ? (times ?? []) : (times ?? []).toSpliced(index, 1)
}
