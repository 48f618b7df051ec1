import type { Request } from '../call/call.ts'
import type { Permit } from '../policy/decide.ts'
import { goLibrespot } from '../protocol/librespot/go.ts'
import { javaVolume, librespotJava } from '../protocol/librespot/java.ts'
import { resolveVolume } from '../protocol/librespot/volume.ts'
import { mopidy } from '../protocol/mopidy/catalog.ts'
import { mpd } from '../protocol/mpd/catalog.ts'
import { type MpdPlayer, type RestPlayer, type RpcPlayer, UpstreamError } from './player.ts'

/** What the gateway itself does at a player, in the player's own words. It takes a permit like everybody. */
export interface Hand {
  /**
   * Sets the volume to that percentage, or the step just below it.
   *
   * @throws Fault `player-unreachable` while it is not known what steps the player has
   */
  volume(percent: number): Request
  /** Keeps what is loaded where it is. Asked only of a player that plays. */
  pause(): Request
  /** @throws Fault or UpstreamError when it was not done, or nobody knows */
  send(permit: Permit): Promise<void>
}

export function mopidyHand(player: Pick<RpcPlayer, 'send'>): Hand {
  return {
    volume: (volume) => ({ operation: mopidy['core.mixer.set_volume'], args: { volume } }),
    pause: () => ({ operation: mopidy['core.playback.pause'], args: {} }),
    async send(permit) {
      const isDone = await player.send(permit)
      if (isDone === false) throw refused()
    },
  }
}

/** Opens a side of the player for the house, and one is enough: it says one thing after the other. */
export function mpdHand(player: Pick<MpdPlayer, 'open'>): Hand & { close(): void } {
  const connection = player.open({ id: 'house', reserve: true })
  let before: Promise<unknown> = Promise.resolve()
  return {
    volume: (level) => ({ operation: mpd.setvol, args: { level } }),
    // Without the 1 it would go on playing where it rests.
    pause: () => ({ operation: mpd.pause, args: { state: true } }),
    send(permit) {
      const sent = before.then(async () => {
        if ((await connection.send([permit], 'single', () => {})) === 0) throw refused()
      })
      before = sent.catch(() => {})
      return sent
    },
    close: () => connection.close(),
  }
}

export function goHand(player: Pick<RestPlayer, 'live' | 'send'>): Hand {
  return {
    volume(percent) {
      const { live } = player
      const steps = live?.steps ?? 0
      const operation = goLibrespot['POST /player/volume']
      return resolveVolume({ operation, args: { volume: Math.floor((percent * steps) / 100) } }, live)
    },
    pause: () => ({ operation: goLibrespot['POST /player/pause'], args: {} }),
    async send(permit) {
      await player.send(permit)
    },
  }
}

export function javaHand(player: Pick<RestPlayer, 'send'>): Hand {
  return {
    volume(percent) {
      const volume = Math.floor((percent * javaVolume) / 100)
      return { operation: librespotJava['POST /player/set-volume'], args: { volume } }
    },
    pause: () => ({ operation: librespotJava['POST /player/pause'], args: {} }),
    async send(permit) {
      await player.send(permit)
    },
  }
}

const refused = () => new UpstreamError({ code: 0, message: 'the player refused it', data: undefined })
