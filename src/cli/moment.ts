import { Misuse } from './command.ts'

const units = { m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const

/**
 * A moment as people write it: `2030-01-31T21:00`, a day (its beginning), a time of today, or with a zone of its own.
 *
 * @param zone where the clock hangs that is meant when none is named
 * @throws Misuse for what is no moment
 */
export function readMoment(text: string, now: number, zone: string): number {
  const today = () => Temporal.Instant.fromEpochMilliseconds(now).toZonedDateTimeISO(zone).toPlainDate()
  const local = /^\d\d:\d\d$/.test(text) ? `${today()}T${text}` : text
  try {
    if (local.includes('[')) return Temporal.ZonedDateTime.from(local).epochMilliseconds
    if (/(?:Z|[+-]\d\d:?\d\d)$/i.test(local)) return Temporal.Instant.from(local).epochMilliseconds
    if (/^\d{4}-\d\d-\d\d/.test(local)) {
      return Temporal.PlainDateTime.from(local).toZonedDateTime(zone).epochMilliseconds
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
  }
  throw new Misuse('no such time: write it as 2030-01-31T21:00, or as 21:00 for today')
}

/** The same, or how long ago: `2d`, `12h`. */
export function readSince(text: string, now: number, zone: string): number {
  const [, count, unit] = /^([1-9]\d{0,3})([mhdw])$/.exec(text) ?? []
  return count === undefined ? readMoment(text, now, zone) : now - Number(count) * units[unit as keyof typeof units]
}
