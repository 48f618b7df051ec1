import type { Call } from '../call/call.ts'
import type { Known } from '../call/known.ts'
import { mopidy } from '../protocol/mopidy/catalog.ts'
import { mpd } from '../protocol/mpd/catalog.ts'
import { addsOf, addsOfPage } from './adds.ts'
import type { MopidyPlayer } from './mopidy.ts'
import type { WatchedMpd } from './mpd.ts'
import type { RestPlayer } from './player.ts'

/**
 * What the gateway asks of a player before it judges a call. What comes back empty is not known, and what depends on it is
 * refused.
 */
export interface Informant {
  /** Where the volume stands, as the player has it at this moment. @throws Fault or UpstreamError */
  volume(): Promise<Pick<Known, 'volume'>>
  /** What a call adds, or has looked up, without naming it. @throws Fault or UpstreamError */
  adds(call: Call): Promise<Pick<Known, 'adds'>>
}

/** @param mpd the same player by its other way, which is the one that adds unnamed */
export function mopidyInformant(
  player: Pick<MopidyPlayer, 'ask'>,
  mpd: Pick<WatchedMpd, 'ask'> | undefined,
): Informant {
  return {
    adds: (call) => (mpd && call.operation.protocol === 'mpd' ? addsOf(mpd, call) : addsOfPage(player, call)),
    volume: async () => heard(await player.ask({ operation: mopidy['core.mixer.get_volume'], args: {} })),
  }
}

export function mpdInformant(player: Pick<WatchedMpd, 'ask'>): Informant {
  return {
    adds: (call) => addsOf(player, call),
    async volume() {
      const answer = await player.ask([{ operation: mpd.status, args: {} }])
      const found = /^volume: (\d{1,3})$/m.exec(answer)?.[1]
      return heard(found === undefined ? undefined : Number(found))
    },
  }
}

/** What is heard of these players is known without asking. */
export function librespotInformant(player: Pick<RestPlayer, 'live'>): Informant {
  return {
    adds: async () => ({}),
    async volume() {
      const { live } = player
      return live ? heard(Math.ceil((live.volume * 100) / live.steps)) : {}
    },
  }
}

/** A player without a mixer has no volume, and says null or -1. */
function heard(volume: unknown): Pick<Known, 'volume'> {
  const isVolume = typeof volume === 'number' && Number.isInteger(volume) && volume >= 0 && volume <= 100
  return isVolume ? { volume } : {}
}
