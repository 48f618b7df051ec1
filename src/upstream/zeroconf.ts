import { zeroconf } from '../protocol/librespot/zeroconf.ts'
import type { PlayerLog, RestPlayer } from './player.ts'
import { createRest, type RestLimits } from './rest.ts'

/** The door by which Spotify's apps find a player and hand it to somebody. */
export interface ZeroconfPlayer extends Pick<RestPlayer, 'send' | 'close'> {
  /** Whether it answered when it was last asked. */
  readonly up: boolean
}

export interface ZeroconfOptions {
  /** Such as `http://127.0.0.1:4070`. */
  readonly url: string
  /** Milliseconds that only ever grow. */
  clock?(): number
  readonly log?: PlayerLog | undefined
  readonly limits?: Partial<RestLimits>
  /** How often it is asked whether it is still there. */
  readonly probeMs?: number
}

const probe = { operation: zeroconf['GET /'], args: { action: 'getInfo' } }

/** One question at a time: these players are small, and a wrong one can end them. */
const limits: Partial<RestLimits> = {
  lane: { running: 1, runningEach: 1, costly: 1, waiting: 16, waitingEach: 4, costlyEach: 4 },
  questionBytes: 8 * 1024,
  answerBytes: 64 * 1024,
}

export function createZeroconf(options: ZeroconfOptions): ZeroconfPlayer {
  const { url, clock = () => performance.now(), log, probeMs = 30_000 } = options
  const rest = createRest({ url, protocol: 'zeroconf', now: clock, limits: { ...limits, ...options.limits } })
  let isThere = false
  let isMissed = false
  let isClosed = false
  let next: NodeJS.Timeout | undefined

  async function look(): Promise<void> {
    try {
      await rest.ask(probe)
      if (isMissed) log?.info({ url }, 'player answers again')
      isThere = true
      isMissed = false
    } catch {
      if (!isMissed && !isClosed) log?.warn({ url }, 'player does not answer')
      isThere = false
      isMissed = true
    }
    if (!isClosed) next = setTimeout(look, probeMs)
  }

  void look()

  return {
    send: (permit) => rest.send(permit),
    get up() {
      return isThere && rest.up
    },
    async close() {
      isClosed = true
      clearTimeout(next)
      await rest.close()
    },
  }
}
