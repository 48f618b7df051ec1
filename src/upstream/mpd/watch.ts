import { Fault } from '../../call/fault.ts'
import { subsystems } from '../../protocol/mpd/events.ts'
import type { PlayerLog } from '../player.ts'
import { askAll, type Line } from './line.ts'

/** A line of our own that rests in an idle: it tells at once what changes, when the player comes and goes, and what it can do. */
export interface Watch {
  /** Whether nothing that changes goes unseen now. */
  readonly up: boolean
  /** The commands the player knows; undefined until it said. */
  readonly offers: ReadonlySet<string> | undefined
  /** The player was heard elsewhere: tries at once what it would try again in a while. */
  hurry(): void
  close(): void
}

export interface WatchLimits {
  readonly answerMs: number
  readonly retryFirstMs: number
  readonly retryMostMs: number
}

const mostAnswer = 64 * 1024

/**
 * @param tell hears each subsystem that changes; after a break all of them, as nobody saw what did
 * @param about what the log is told it is about
 * @param lost hears of each break
 */
export function createWatch(
  enter: () => Promise<Line>,
  tell: (subsystem: string) => void,
  limits: WatchLimits,
  now: () => number,
  about: object,
  log?: PlayerLog,
  lost?: () => void,
): Watch {
  let line: Line | undefined
  let retry: NodeJS.Timeout | undefined
  let failures = 0
  let isMissed = false
  let isUp = false
  let isClosed = false
  let offers: ReadonlySet<string> | undefined

  async function watchOver(): Promise<void> {
    retry = undefined
    let restsSince = Number.POSITIVE_INFINITY
    try {
      line = await enter()
      if (isClosed) return line.drop(closing())
      offers = await learn(line, limits.answerMs)
      const first = askAll(line, 'idle\n', mostAnswer)
      isUp = true
      restsSince = now()
      if (isMissed) log?.info(about, 'player answers again')
      // Whoever came while it was away, also before it was there at all, was told nothing but that.
      if (isMissed) for (const name of subsystems.keys()) if (name !== 'message') tell(name)
      isMissed = false
      await listen(line, first)
    } catch (error) {
      const fault = Fault.from(error)
      line?.drop(fault)
      if (!isMissed && !isClosed) log?.warn({ ...about, error: fault.message }, 'player does not answer')
    }
    isUp = false
    isMissed = true
    lost?.()
    if (isClosed) return
    // One that ends every idle at once has not really come back.
    if (now() - restsSince >= limits.retryMostMs) failures = 0
    retry = setTimeout(watchOver, Math.min(limits.retryFirstMs * 2 ** failures, limits.retryMostMs))
    failures++
  }

  void watchOver()

  return {
    get up() {
      return isUp && line?.alive === true
    },
    get offers() {
      return offers
    },
    hurry() {
      if (!retry) return
      clearTimeout(retry)
      void watchOver()
    },
    close() {
      isClosed = true
      clearTimeout(retry)
      line?.drop(closing())
    },
  }

  /** @throws Fault when it breaks, and it goes on until then */
  async function listen(at: Line, first: Promise<string>): Promise<never> {
    for (let answer = await first; ; ) {
      if (!answer.startsWith('changed: ')) throw new Fault('player-unreachable', 'the player does not idle')
      const next = askAll(at, 'idle\n', mostAnswer)
      for (const [, name = ''] of answer.matchAll(/^changed: (\w+)$/gm)) {
        // A message is for who subscribed, and this line did not.
        if (subsystems.has(name) && name !== 'message') tell(name)
      }
      answer = await next
    }
  }
}

const closing = () => new Fault('player-unreachable', 'the gateway is shutting down')

/** What the player knows, permitted to us or not; undefined when it does not say. @throws Fault */
async function learn(line: Line, ms: number): Promise<ReadonlySet<string> | undefined> {
  const late = setTimeout(() => line.drop(new Fault('player-timeout', 'the player did not answer in time')), ms)
  try {
    const names = new Set<string>()
    for (const question of ['commands\n', 'notcommands\n']) {
      const answer = await askAll(line, question, mostAnswer)
      for (const [, name = ''] of answer.matchAll(/^command: ([a-z_]{1,40})$/gm)) names.add(name)
    }
    return names.size > 0 ? names : undefined
  } finally {
    clearTimeout(late)
  }
}
