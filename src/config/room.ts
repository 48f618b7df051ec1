import type { PlayerConfig } from './player.ts'
import { zone } from './time.ts'
import type { Finding } from './validate.ts'

/** A ceiling that nobody could keep, and a clock that nobody knows. */
export function* room(path: string, { kind, maxVolume }: PlayerConfig): Generator<Finding> {
  if (maxVolume === undefined) return
  if (kind === 'librespot') {
    const fix = 'leave it out and limit the mixer behind the player, or use go-librespot'
    yield { path: `${path}.maxVolume`, at: 'key', what: 'the volume of this kind of player cannot be set', fix }
  } else if (typeof maxVolume === 'object') yield* zone(`${path}.maxVolume.zone`, maxVolume.zone)
}
