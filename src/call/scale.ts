/** The volumes of a person (0 to 100) as those of the player (0 to `most`). */
export function real(most: number): (volume: number) => number {
  return (volume) => Math.round((volume * most) / 100)
}

/** The volumes of the player as those of a person for whom `most` is 100. */
export function shown(most: number): (volume: number) => number {
  return (volume) => (most === 0 ? (volume === 0 ? 0 : 100) : Math.min(100, Math.round((volume * 100) / most)))
}

/** How one person's volumes stand to the player's. */
export interface Scale {
  real(volume: number): number
  shown(volume: number): number
}

/** Ceilings one after the other, as a call passes them. */
export function scaleOf(ceilings: readonly number[]): Scale {
  return {
    real: (volume) => ceilings.reduce((level, most) => real(most)(level), volume),
    shown: (volume) => ceilings.reduceRight((level, most) => shown(most)(level), volume),
  }
}
