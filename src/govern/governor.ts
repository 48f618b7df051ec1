import type { Call } from '../call/call.ts'
import { messageOf } from '../call/fault.ts'
import type { Matter } from '../call/known.ts'
import type { Wall } from '../policy/clock.ts'
import type { Hand } from '../upstream/hand.ts'
import type { PicturePlayer } from '../upstream/player.ts'
import { createSteward, type Ear, type GovernLog, isWithin, type StewardDeps } from './house.ts'

/** A room whose volume is kept. */
export interface Room {
  readonly picture: PicturePlayer
  readonly hand: Hand
  readonly ceiling: Wall<number>
}

export interface Governor extends Ear {
  /** Looks at every room, whether anything was told of it or not: what was missed or failed is made good. */
  look(): void
  close(): void
}

export interface GovernorDeps extends StewardDeps {
  readonly rooms: ReadonlyMap<string, Room>
  readonly log: GovernLog
  /** Hears that a player is turned up again and again, and is let be for a while. Must neither throw nor block. */
  onContest?(player: string): void
  readonly limits?: Partial<GovernorLimits>
}

const defaults = {
  /** Corrections in a minute or what `windowMs` is; after that the player is let be for as long. */
  corrections: 6,
  windowMs: 60_000,
  /** How long a player may take until it shows what it was told. */
  settleMs: 1_000,
  /** How long a volume that somebody was permitted to set may be on its way. */
  arriveMs: 5_000,
}
export type GovernorLimits = Readonly<typeof defaults>

/** A player that ends up so little above what it was told has coarse steps; one further above was turned up. */
const coarse = 3

/**
 * Keeps the volume of each room below its ceiling, whatever turned it up.
 *
 * What somebody was permitted to set through the gateway stays, also above the ceiling, for as long as it is not turned up
 * further and the ceiling is the same; turned down elsewhere, it may not be turned up again there (ADR 16).
 */
export function createGovernor(deps: GovernorDeps): Governor {
  const keepers = new Map([...deps.rooms].map(([name, room]) => [name, keep(name, room, deps)]))
  return {
    hear: (call) => keepers.get(call.player)?.hear(call),
    // What somebody is permitted is known only where it leads.
    mattersOf({ by, operation, player }) {
      return operation.needs === 'volume' && by.kind === 'user' && keepers.has(player) ? volume : none
    },
    look() {
      for (const { look } of keepers.values()) look()
    },
    close() {
      for (const { close } of keepers.values()) close()
    },
  }
}

const none: readonly Matter[] = []
const volume: readonly Matter[] = ['volume']

/** What was permitted above the ceiling. */
interface Leave {
  /** What was permitted last. */
  readonly last: number
  /** The loudest of what may still be on its way. */
  readonly most: number
  /** When it was permitted (Unix ms), and the ceiling then. */
  readonly at: number
  readonly ceiling: number
  readonly hasArrived: boolean
}

function keep(player: string, { picture: watched, hand, ceiling: wall }: Room, deps: GovernorDeps) {
  const { log, now, onContest } = deps
  const limits = { ...defaults, ...deps.limits }
  const steward = createSteward('governor', player, hand, deps)
  let leave: Leave | undefined
  /** When it was turned back (Unix ms), within the window. */
  let corrected: number[] = []
  let restsSince: number | undefined
  let isSending = false
  /** Corrections since it was last seen within its ceiling, and how much lower they have to aim. */
  let tries = 0
  let short = 0
  let isTroubled = false
  let isClosed = false

  /** Whether what was permitted covers that volume; what it does no longer cover is over. */
  function isOnLeave(at: number, ceiling: number, volume: number): boolean {
    if (leave?.ceiling !== ceiling) leave = undefined
    if (!leave) return false
    const { last, most, hasArrived } = leave
    // Until then it may still be what it was, or what was set in between.
    if (isWithin(leave.at, at, limits.arriveMs)) return volume <= most + coarse
    const isCovered = volume > ceiling && volume <= (hasArrived ? last : last + coarse)
    leave = isCovered ? { ...leave, last: volume, hasArrived: true } : undefined
    return isCovered
  }

  function look(): void {
    const volume = watched.picture?.volume ?? null
    if (volume === null || isClosed) return
    const at = now()
    const ceiling = wall.at(at)
    if (isOnLeave(at, ceiling, volume) || volume <= ceiling) {
      tries = 0
      short = 0
    } else if (!isSending && mayCorrect(at, ceiling)) correct(at, volume, ceiling)
  }

  function mayCorrect(at: number, ceiling: number): boolean {
    if (restsSince !== undefined) {
      if (isWithin(restsSince, at, limits.windowMs)) return false
      restsSince = undefined
      corrected = []
    }
    corrected = corrected.filter((then) => isWithin(then, at, limits.windowMs))
    // What it shows may be older than the last correction.
    const last = corrected.at(-1)
    if (last !== undefined && isWithin(last, at, limits.settleMs)) return false
    if (corrected.length < limits.corrections) return true
    restsSince = at
    log.warn({ player, ceiling }, 'governor: the volume cannot be kept below the ceiling, and is let be for a while')
    onContest?.(player)
    return false
  }

  function correct(at: number, volume: number, ceiling: number): void {
    if (tries > 0 && volume <= ceiling + coarse) short += volume - ceiling
    tries++
    corrected.push(at)
    isSending = true
    steward.volume(Math.max(0, ceiling - short)).then(
      () => {
        isSending = false
        isTroubled = false
      },
      (error: unknown) => {
        isSending = false
        if (!isTroubled) log.warn({ player, reason: messageOf(error) }, 'governor: the volume was not turned back')
        isTroubled = true
      },
    )
  }

  const stop = watched.onPicture(look)
  return {
    hear({ at, by, touches }: Call): void {
      const volume = Math.max(...(touches.volume ?? []), 0)
      const ceiling = wall.at(at)
      // Muting says 0 as well, and what is turned down shows.
      if (by.kind === 'house' || volume === 0 || (volume <= ceiling && !leave)) return
      const isOnItsWay = leave?.ceiling === ceiling && isWithin(leave.at, at, limits.arriveMs)
      const before = isOnItsWay ? (leave?.most ?? 0) : 0
      leave = { last: volume, most: Math.max(volume, before), at, ceiling, hasArrived: false }
    },
    look,
    close() {
      isClosed = true
      stop()
    },
  }
}
