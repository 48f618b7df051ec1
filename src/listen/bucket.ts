/** `count` at once, and then as many in each `ms` milliseconds. */
export interface BucketRate {
  readonly count: number
  readonly ms: number
}

/** A token bucket, kept as one timestamp; true when so many could be taken, which is one when left out. */
export function createBucket({ count, ms }: BucketRate): (now: number, many?: number) => boolean {
  let due = 0
  return (now, many = 1) => {
    const next = Math.max(due, now) + (many * ms) / count
    if (next - now > ms) return false
    due = next
    return true
  }
}

/** A bucket for each key. Keys at rest are forgotten; when there are too many others, a new one finds no room. */
export function createBuckets(
  rate: BucketRate,
  capacity = 10_000,
): (key: string, now: number, many?: number) => boolean {
  const buckets = new Map<string, { take(now: number, many?: number): boolean; usedAt: number }>()
  return (key, now, many) => {
    let bucket = buckets.get(key)
    if (bucket === undefined) {
      if (buckets.size >= capacity) {
        for (const [other, { usedAt }] of buckets) if (usedAt + rate.ms <= now) buckets.delete(other)
        if (buckets.size >= capacity) return false
      }
      bucket = { take: createBucket(rate), usedAt: now }
      buckets.set(key, bucket)
    }
    bucket.usedAt = now
    return bucket.take(now, many)
  }
}

/** Counts by key, and holds no key that counts nothing. */
export function createTally(): { of(key: string): number; add(key: string): void; remove(key: string): void } {
  const counts = new Map<string, number>()
  const of = (key: string) => counts.get(key) ?? 0
  return {
    of,
    add: (key) => void counts.set(key, of(key) + 1),
    remove(key) {
      if (of(key) <= 1) counts.delete(key)
      else counts.set(key, of(key) - 1)
    },
  }
}
