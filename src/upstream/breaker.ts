import { Fault } from '../call/fault.ts'

/** Keeps questions from a player that does not answer, so that nobody waits for it in vain. */
export interface Breaker {
  /**
   * One more may ask. While the player is being tried again only one may, and that one has to say how it went.
   *
   * @throws Fault `player-unreachable` with the seconds until the next trial
   */
  enter(): void
  /** It answered. */
  succeed(): void
  /** It did not. @param seconds how long it asked to be left alone */
  fail(seconds?: number): void
  /** The one that entered never asked. */
  leave(): void
  /** Whether somebody may ask now. */
  readonly closed: boolean
}

export interface BreakerLimits {
  /** Failures in a row until it opens. */
  readonly failures: number
  /** How long it is open at first, and at most: it doubles with each trial that fails. */
  readonly openMs: number
  readonly openMostMs: number
}

export function createBreaker(limits: BreakerLimits, now: () => number): Breaker {
  let failures = 0
  let openUntil = Number.NEGATIVE_INFINITY
  let isTrying = false

  const isBroken = () => failures >= limits.failures
  const isOpen = () => now() < openUntil || (isBroken() && isTrying)

  return {
    enter() {
      if (isOpen()) {
        const wait = Math.max(openUntil - now(), 1_000)
        throw new Fault('player-unreachable', 'the player does not answer', { retryAfter: Math.ceil(wait / 1000) })
      }
      isTrying = isBroken()
    },
    succeed() {
      failures = 0
      isTrying = false
      openUntil = Number.NEGATIVE_INFINITY
    },
    fail(seconds = 0) {
      failures++
      isTrying = false
      const doubled = limits.openMs * 2 ** Math.min(failures - limits.failures, 30)
      const wait = Math.max(isBroken() ? Math.min(doubled, limits.openMostMs) : 0, seconds * 1000)
      if (wait > 0) openUntil = Math.max(openUntil, now() + wait)
    },
    leave() {
      isTrying = false
    },
    get closed() {
      return !isOpen()
    },
  }
}
