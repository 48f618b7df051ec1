import type { Call, User } from '../call/call.ts'
import type { Capability, Standing } from '../call/capability.ts'
import { messageOf } from '../call/fault.ts'
import type { AtEnd } from '../policy/condition.ts'
import type { Hand } from '../upstream/hand.ts'
import { lookAt } from '../upstream/picture.ts'
import type { PicturePlayer } from '../upstream/player.ts'
import { createSteward, type GovernLog, isWithin, type StewardDeps } from './house.ts'

export interface Curfew {
  /** Hears of each call that was allowed, before it is sent. */
  hear(call: Call): void
  /** Looks whose hours are over, and goes on with what is under way. */
  look(): void
  /** Brings what is under way to its end, as far as the players answer. */
  close(): Promise<void>
}

export interface CurfewDeps extends StewardDeps {
  readonly players: ReadonlyMap<string, { readonly picture: PicturePlayer; readonly hand: Hand }>
  /** As `closing` of policy has it, for the person as they are now. */
  closing(by: User, player: string, since: number, at: number): AtEnd | undefined
  readonly log: GovernLog
  readonly limits?: Partial<CurfewLimits>
}

const defaults = {
  /** Of one fade. */
  steps: 20,
  /** How long after the border something may still begin that was asked for before. */
  lateMs: 30_000,
  /** How long a song may be late to end that is played to its end. */
  songMs: 2_000,
  /** How long it has to be silent to have ended: between two songs, or where pause is pressed twice, it is not for long. */
  quietMs: 5_000,
  /** How long to wait after something could not be done, at first and at most. */
  retryMs: 5_000,
  retryMostMs: 600_000,
  /** How long what is under way may hold up the end of the gateway. */
  closeMs: 2_000,
}
export type CurfewLimits = Readonly<typeof defaults>

/** What makes a player play, or has it play something else. */
const playing: ReadonlySet<Capability | Standing> = new Set([
  'playback.control',
  'playback.skip',
  'queue.add',
  'queue.replace',
])

/**
 * Ends what somebody made play when their hours are over: paused at the end of the song, or at once, or turned down, paused,
 * and the volume put back for whoever comes next.
 *
 * It is about what plays at the border and who had it play last, through the gateway. Somebody whose own hours are not over
 * takes over by playing something or, while it is turned down, by turning it up or down. Nothing of it outlives the
 * gateway (ADR 17).
 */
export function createCurfew(deps: CurfewDeps): Curfew {
  const keepers = new Map([...deps.players].map(([name, player]) => [name, keep(name, player, deps)]))
  return {
    hear: (call) => keepers.get(call.player)?.hear(call),
    look() {
      for (const { look } of keepers.values()) look()
    },
    async close() {
      await Promise.all([...keepers.values()].map(({ close }) => close()))
    },
  }
}

/** Something under way at a player. */
interface Act {
  phase: 'finishing' | 'fading' | 'pausing' | 'restoring'
  /** What plays to its end, and when that will be (Unix ms). */
  readonly song: string | null
  readonly endsAt: number
  /** Where the volume was, and what it was told last; undefined for a player that is not turned down. */
  readonly from: number | undefined
  told: number
  readonly fadeMs: number
  /** So much of that has passed, and when it was looked at (Unix ms). */
  passed: number
  lookedAt: number
  /** Since when it does not play (Unix ms); undefined while it does. */
  quietAt: number | undefined
  /** How often it could not be done in a row, and when it could not be last (Unix ms). */
  failures: number
  failedAt: number
  /** Ends watching the player. */
  readonly stop: () => void
}

function keep(
  player: string,
  { picture: watched, hand }: { readonly picture: PicturePlayer; readonly hand: Hand },
  deps: CurfewDeps,
) {
  const { closing, log, now } = deps
  const limits = { ...defaults, ...deps.limits }
  const steward = createSteward('curfew', player, hand, deps)
  /** Who had it play last, and when their hours were seen open last (Unix ms). */
  let last: { readonly by: User; openAt: number } | undefined
  let act: Act | undefined
  let isLooking = false
  let isSending = false
  let isClosed = false

  function begin(atEnd: AtEnd): void {
    const whose = last
    if (isLooking) return
    isLooking = true
    void lookAt(watched).then((picture) => {
      isLooking = false
      // While nothing is known of the player, it is looked at again.
      if (!picture || !last || last !== whose || !isOver(last) || act || isClosed) return
      if (picture.state !== 'playing') {
        // What was asked for just before the border may need a while to be heard.
        if (!isWithin(last.openAt, now(), limits.lateMs)) last = undefined
        return
      }
      const fadeMs = typeof atEnd === 'object' ? atEnd.fadeMs : 0
      const isFade = fadeMs > 0 && picture.volume !== null && picture.volume > 0
      const { uri, at, position, duration } = picture
      // What has no end, such as a radio, is not waited for.
      const left = atEnd === 'finish' && duration !== null && duration > 0 ? duration - (position ?? 0) : undefined
      log.info({ player, fadeMs, left }, 'curfew: what plays is ended')
      act = {
        phase: left === undefined ? 'fading' : 'finishing',
        song: uri,
        endsAt: at + (left ?? 0) + limits.songMs,
        from: isFade ? (picture.volume ?? undefined) : undefined,
        told: picture.volume ?? 0,
        fadeMs,
        passed: 0,
        lookedAt: now(),
        quietAt: undefined,
        failures: 0,
        failedAt: 0,
        stop: watched.onPicture(() => {}),
      }
      if (act.phase === 'fading' && fadeMs === 0) go(act, now())
    })
  }

  function end(of: Act): void {
    of.stop()
    if (act === of) act = undefined
  }

  /** The next thing to be done. */
  function go(doing: Act, at: number): void {
    if (isSending || mustWait(doing, at)) return
    const { state = 'playing' } = watched.picture ?? {}
    const { quietAt = at } = doing
    doing.quietAt = state === 'playing' ? undefined : quietAt
    // It has ended by itself, or somebody stopped it elsewhere.
    if (state !== 'playing' && !isWithin(quietAt, at, limits.quietMs)) doing.phase = 'restoring'
    if (doing.phase === 'finishing' && isFinished(doing, at)) doing.phase = 'pausing'
    if (doing.phase === 'fading') fade(doing, at)
    if (doing.phase === 'pausing' && state === 'playing') pause(doing)
    else if (doing.phase === 'restoring') restore(doing)
  }

  /** Whether another song plays, or the same again. */
  function isFinished({ song, endsAt }: Act, at: number): boolean {
    const { uri = song } = watched.picture ?? {}
    return uri !== song || at >= endsAt
  }

  function mustWait({ phase, failures, failedAt }: Act, at: number): boolean {
    // A step that was missed is made up for by the next.
    if (phase === 'fading' || phase === 'finishing' || failures === 0) return false
    return isWithin(failedAt, at, Math.min(limits.retryMs * 2 ** (failures - 1), limits.retryMostMs))
  }

  function fade(doing: Act, at: number): void {
    const { from, fadeMs, lookedAt } = doing
    doing.passed += Math.max(0, at - lookedAt)
    doing.lookedAt = at
    if (doing.passed >= fadeMs) doing.phase = 'pausing'
    if (doing.phase !== 'fading' || from === undefined) return
    const level = Math.floor(from * (1 - doing.passed / fadeMs))
    if (doing.told - level < Math.ceil(from / limits.steps)) return
    doing.told = level
    // Turned down elsewhere, it is not turned up by this.
    if ((watched.picture?.volume ?? 100) > level) send(doing, steward.volume(level), () => {})
  }

  function pause(doing: Act): void {
    send(doing, steward.pause(), () => {
      doing.phase = 'restoring'
      restore(doing)
    })
  }

  function restore(doing: Act): void {
    // Not of whoever took over meanwhile, or may go on.
    if (last && isOver(last)) last = undefined
    if (doing.from === undefined || doing.told === doing.from) end(doing)
    else send(doing, steward.volume(doing.from), () => end(doing))
  }

  function isOver({ by, openAt }: NonNullable<typeof last>): boolean {
    return closing(by, player, openAt, now()) !== undefined
  }

  function send(doing: Act, sent: Promise<void>, done: () => void): void {
    isSending = true
    sent.then(
      () => {
        isSending = false
        doing.failures = 0
        if (act === doing) done()
      },
      (error: unknown) => {
        isSending = false
        if (doing.failures === 0) {
          log.warn({ player, reason: messageOf(error) }, 'curfew: the player did not do what it was told')
        }
        doing.failures++
        doing.failedAt = now()
      },
    )
  }

  return {
    hear({ at, by, capability, also, touches }: Call): void {
      if (by.kind !== 'user') return
      const plays = [capability, ...also].some((each) => playing.has(each))
      const turns = capability === 'volume.set' || touches.volume !== undefined
      if (!plays && !(turns && act)) return
      // Whose own hours are over takes nothing over, whatever else they may.
      if (closing(by, player, at, at) !== undefined) return
      last = { by, openAt: at }
      if (!act) return
      if (turns) end(act)
      else act.phase = 'restoring'
    },
    look(): void {
      const at = now()
      const atEnd = last && closing(last.by, player, last.openAt, at)
      if (last && atEnd === undefined) last.openAt = at
      // What was lifted, or a clock that was set back: it is as if nothing had been.
      if (act && act.phase !== 'restoring' && atEnd === undefined) act.phase = 'restoring'
      if (act) go(act, at)
      else if (atEnd !== undefined) begin(atEnd)
    },
    async close(): Promise<void> {
      isClosed = true
      const doing = act
      if (!doing) return
      end(doing)
      const { from, told, phase } = doing
      const rest = async () => {
        if (phase === 'fading' || phase === 'pausing') await steward.pause()
        if (from !== undefined && told !== from) await steward.volume(from)
      }
      const patience = new Promise((resolve) => setTimeout(resolve, limits.closeMs).unref())
      await Promise.race([
        rest().catch((error: unknown) =>
          log.warn({ player, reason: messageOf(error) }, 'curfew: not brought to its end'),
        ),
        patience,
      ])
    },
  }
}
