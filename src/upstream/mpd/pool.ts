import { Fault } from '../../call/fault.ts'
import { gone, type Line } from './line.ts'
import type { Tuning } from './tuning.ts'

/** Somebody who wants a line. */
export interface Taker {
  /** What it will want in force: a line that has it already is preferred. */
  readonly tuning: Tuning
  got(line: Line): void
  failed(fault: Fault): void
}

/** Where lines are taken from and given back to. */
export interface Source {
  /** @param fresh one that nobody used before */
  take(taker: Taker, fresh: boolean): void
  /** Takes a taker out again that has not got one yet. */
  withdraw(taker: Taker): void
  give(line: Line): void
}

export interface PoolLimits {
  /** Open at once. */
  readonly connections: number
  /** How long a line is kept that nobody uses. */
  readonly unusedMs: number
  /** After a connect was refused while others work, until the next. */
  readonly pauseMs: number
  /** How long a player may take to say whether a line is in step. */
  readonly answerMs: number
}

export interface Pool extends Source {
  sweep(): void
  close(): void
}

/** Lines that anybody may use, one at a time, opened on demand. */
export function createPool(dial: () => Promise<Line>, limits: PoolLimits, now: () => number): Pool {
  const lines = new Set<Line>()
  /** The latest used is the last. */
  const free: Line[] = []
  /** Given back, and not yet known to be in step. */
  const checked = new Set<Line>()
  /** Who waits, and whether only a fresh one will do. */
  const waiting = new Map<Taker, boolean>()
  let dialing = false
  let pausedUntil = Number.NEGATIVE_INFINITY
  let isClosed = false

  function fitting({ text }: Tuning): Line | undefined {
    for (let i = free.length - 1; i >= 0; i--) {
      if (free[i]?.tuning.text === text) return free.splice(i, 1)[0]
    }
    return free.shift()
  }

  function advance(): void {
    if (isClosed || dialing || waiting.size === 0) return
    if (lines.size > free.length && now() < pausedUntil) return
    if (lines.size >= limits.connections) {
      free[0]?.drop(gone()) // Which brings us here again.
      return
    }
    dialing = true
    dial().then(opened, refused)
  }

  function opened(line: Line): void {
    dialing = false
    lines.add(line)
    line.onEnd(() => {
      lines.delete(line)
      checked.delete(line)
      const index = free.indexOf(line)
      if (index >= 0) free.splice(index, 1)
      advance()
    })
    if (isClosed || !line.alive) {
      lines.delete(line)
      line.drop(gone())
    } else hand(line, true)
    advance()
  }

  function refused(error: unknown): void {
    dialing = false
    const fault = Fault.from(error)
    // Others are at work, so a line will be free soon: all that the player has may be taken.
    const isFull = lines.size > free.length
    if (isFull) pausedUntil = now() + limits.pauseMs
    for (const [taker, fresh] of [...waiting]) {
      if (isFull && !fresh) continue
      waiting.delete(taker)
      taker.failed(fault)
    }
    advance()
  }

  function hand(line: Line, isFresh: boolean) {
    for (const [taker, fresh] of waiting) {
      if (fresh && !isFresh) continue
      waiting.delete(taker)
      return taker.got(line)
    }
    line.usedAt = now()
    free.push(line)
  }

  function offer(line: Line): void {
    hand(line, false)
    advance()
  }

  return {
    take(taker, fresh) {
      if (isClosed) return taker.failed(gone())
      const line = fresh ? undefined : fitting(taker.tuning)
      if (line) return taker.got(line)
      waiting.set(taker, fresh)
      advance()
    },
    withdraw: (taker) => void waiting.delete(taker),
    give(line) {
      if (!line.alive) return
      if (!line.doubtful) return offer(line)
      // At once, so that whoever is next need not wait for it.
      line.usedAt = now()
      checked.add(line)
      line.check(() => {
        checked.delete(line)
        offer(line)
      })
    },
    sweep() {
      const before = now() - limits.unusedMs
      for (const line of free.filter(({ usedAt }) => usedAt <= before)) line.drop(gone())
      const late = now() - limits.answerMs
      for (const line of [...checked]) if (line.usedAt <= late) line.drop(gone())
      advance()
    },
    close() {
      isClosed = true
      for (const taker of waiting.keys()) taker.failed(gone())
      waiting.clear()
      for (const line of [...lines]) line.drop(gone())
    },
  }
}
