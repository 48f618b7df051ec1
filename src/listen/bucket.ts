/** `count` at once, and then as many in each `ms` milliseconds. */
interface BucketRate {
  readonly count: number
  readonly ms: number
}

/**
 * A token bucket for each key, kept as one timestamp; true when so many could be taken, which is one when left out.
 *
 * Keys at rest are forgotten; when there are too many others, a new one finds no room.
 */
export function createBuckets(
  { count, ms }: BucketRate,
  capacity = 10_000,
): (key: string, now: number, many?: number) => boolean {
  const dues = new Map<string, number>()
  return (key, now, many = 1) => {
    if (dues.size >= capacity && !dues.has(key)) {
      for (const [other, due] of dues) if (due <= now) dues.delete(other)
      if (dues.size >= capacity) return false
    }
    const known = dues.get(key) ?? 0
    // Emptier than empty: the clock was set back. Who came before that has done nothing wrong.
    const due = known > now + ms ? now : Math.max(known, now)
    const next = due + (many * ms) / count
    const taken = next - now <= ms
    dues.set(key, taken ? next : due)
    return taken
  }
}

/** Counts by key, and holds no key that counts nothing. */
export function createTally(): {
  of(key: string): number
  add(key: string, many?: number): void
  remove(key: string, many?: number): void
} {
  const counts = new Map<string, number>()
  const of = (key: string) => counts.get(key) ?? 0
  return {
    of,
    add: (key, many = 1) => void counts.set(key, of(key) + many),
    remove(key, many = 1) {
      if (of(key) <= many) counts.delete(key)
      else counts.set(key, of(key) - many)
    },
  }
}
