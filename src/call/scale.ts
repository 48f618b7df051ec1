/**
 * How one person's volumes stand to the player's: what they set and are shown goes from 0 to 100, and their 100 is as loud as
 * they may make it.
 */
export interface Scale {
  /** Their 100, as the player has it. Two scales with the same are the same. */
  readonly most: number
  /**
   * As loud as this is at the player, which is never above what they may.
   *
   * @param steps what both count to, where the player has steps of its own
   */
  real(volume: number, steps?: number): number
  /** As loud as the player is to them. What is above what they may is 100, as nothing is louder to them. */
  shown(volume: number, steps?: number): number
}

/** Whoever sets what they were shown changes nothing: all of the player's steps up to `most` are told apart. */
export function scaleOf(most: number): Scale {
  const top = (steps: number) => Math.floor((most * steps) / 100)
  return {
    most,
    real: (volume, steps = 100) => Math.round((volume * top(steps)) / steps),
    shown(volume, steps = 100) {
      if (volume === 0) return 0
      return volume >= top(steps) ? steps : Math.round((volume * steps) / top(steps))
    },
  }
}

/**
 * Where a relative change leads, in the volumes of the person who makes it. It ends at the ends, as a knob does.
 *
 * @param volume where the player stands
 * @param steps what both count to
 */
export function moved(volume: number, change: number, scale?: Scale, steps = 100): number {
  const from = scale ? scale.shown(volume, steps) : volume
  let to = Math.min(steps, Math.max(0, from + change))
  if (!scale) return to
  // A person has more steps than the player: one of theirs would often move nothing.
  const isMoved = () => Math.sign(scale.real(to, steps) - volume) === Math.sign(change)
  if (change > 0 && volume < scale.real(steps, steps)) while (!isMoved()) to++
  if (change < 0 && volume > 0) while (!isMoved()) to--
  return to
}
