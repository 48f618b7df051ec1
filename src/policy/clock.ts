import Type from 'typebox'

/** Something that depends on what the clock on the wall shows, where that wall is. */
export interface Wall<T> {
  at(time: number): T
  /** The next moment (Unix ms) after `time` at which it is something else; undefined when it never is. */
  changes(time: number): number | undefined
}

/** Minutes since midnight, and the day of the week (Monday is 1). */
export interface Face {
  readonly day: number
  readonly minute: number
}

/**
 * How many days ahead a change is looked for. What goes by the day of the week comes round in one, and in two where the
 * hour in question was left out the first time.
 */
const farthest = 22

/**
 * What is read off the clock on the wall. Where the clock is put forward or back it is what it shows that counts: an hour
 * that comes twice counts twice, and one that is left out does not count.
 *
 * @param zone a time zone of the IANA database, such as `Europe/Berlin`
 * @param minutes the minutes of a day at which it may change
 * @throws RangeError for an unknown zone
 */
export function onWall<T>(zone: string, minutes: readonly number[], read: (face: Face) => T): Wall<T> {
  const marks = [...new Set([0, ...minutes.map((minute) => minute % 1440)])].sort((a, b) => a - b)
  /** What holds from `from` until just before `until`: asking again costs two comparisons. */
  let known: Known<T> | undefined
  zoned(0, zone)

  const readAt = (time: number): T => {
    const { dayOfWeek, hour, minute } = zoned(time, zone)
    return read({ day: dayOfWeek, minute: hour * 60 + minute })
  }
  /** When the clock is put forward or back the next time. */
  const shiftAfter = (time: number): number =>
    zoned(time, zone).getTimeZoneTransition('next')?.epochMilliseconds ?? Number.POSITIVE_INFINITY

  /** The moments of a day at which it may change: those the clock shows a mark at, and those it is put forward or back. */
  function momentsOf(date: Temporal.PlainDate, next: number): readonly number[] {
    const shown = marks.flatMap((mark) => {
      const plain = date.toPlainDateTime({ hour: Math.trunc(mark / 60), minute: mark % 60 })
      return (['earlier', 'later'] as const).map(
        (disambiguation) => plain.toZonedDateTime(zone, { disambiguation }).epochMilliseconds,
      )
    })
    const found = new Set(shown)
    const begin = startOf(date, zone)
    for (let shift = shiftAfter(begin - 1); shift < next; shift = shiftAfter(shift)) found.add(shift)
    return [...found].sort((a, b) => a - b)
  }

  function look(time: number): Known<T> {
    const value = readAt(time)
    let date = zoned(time, zone).toPlainDate()
    let next = time
    for (let day = 0; day <= farthest; day++) {
      const following = date.add({ days: 1 })
      next = startOf(following, zone)
      const change = momentsOf(date, next).find((moment) => moment > time && readAt(moment) !== value)
      if (change !== undefined) return { from: time, until: change, value, change }
      date = following
    }
    return { from: time, until: next, value, change: undefined }
  }

  function at(time: number): Known<T> {
    // A clock that was set back is before it, one that goes on is after.
    if (!known || time < known.from || time >= known.until) known = look(time)
    return known
  }

  return { at: (time) => at(time).value, changes: (time) => at(time).change }
}

interface Known<T> {
  readonly from: number
  readonly until: number
  readonly value: T
  /** When it is something else, if that is what ends it. */
  readonly change: number | undefined
}

/** `07:00`, as a pattern. */
export const timeOfDay = '(?:[01][0-9]|2[0-3]):[0-5][0-9]'

export const Zone = Type.String({
  pattern: '^[A-Za-z][A-Za-z0-9+_-]*(?:/[A-Za-z0-9+_-]+){0,2}$',
  title: 'a time zone',
  description:
    'The time zone, such as Europe/Berlin; that of the whole configuration when left out, or of this machine',
})

/** The time zone of this machine. One whose `TZ` is empty goes by UTC, whatever it calls that. */
export function machineZone(): string {
  const zone = Temporal.Now.timeZoneId()
  return isZone(zone) ? zone : 'UTC'
}

/** Whether it is a time zone that this machine knows. */
export function isZone(zone: string): boolean {
  try {
    zoned(0, zone)
    return true
  } catch {
    return false
  }
}

function startOf(date: Temporal.PlainDate, zone: string): number {
  return date.toZonedDateTime(zone).epochMilliseconds
}

function zoned(time: number, zone: string): Temporal.ZonedDateTime {
  return Temporal.Instant.fromEpochMilliseconds(Math.trunc(time)).toZonedDateTimeISO(zone)
}

/** Minutes since midnight of `07:00`; 1440 for `24:00`. */
export function minuteOf(text: string): number {
  const [hour = 0, minute = 0] = text.split(':').map(Number)
  return hour * 60 + minute
}

/** Numbers by the time of day from which they hold; before the first of a day, the last of the day before does. */
export function byHour(zone: string, values: Readonly<Record<string, number>>): Wall<number> {
  const steps = Object.entries(values)
    .map(([text, value]) => ({ minute: minuteOf(text), value }))
    .sort((a, b) => a.minute - b.minute)
  const last = steps.at(-1)?.value ?? 0
  return onWall(
    zone,
    steps.map(({ minute }) => minute),
    (face) => steps.findLast(({ minute }) => minute <= face.minute)?.value ?? last,
  )
}

/** The same at all times. */
export function always<T>(value: T): Wall<T> {
  return { at: () => value, changes: () => undefined }
}

/** A moment as people say it who live in that zone: the time of day, and the day where it is not the same. */
export function sayTime(moment: number, now: number, zone: string): string {
  const [then, here] = [zoned(moment, zone), zoned(now, zone)]
  const time = then.toPlainTime().toString({ smallestUnit: 'minute' })
  if (then.toPlainDate().equals(here.toPlainDate())) return time
  const inDays = here.toPlainDate().until(then.toPlainDate()).days
  const days = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday']
  return inDays > 0 && inDays < 7 ? `${days[then.dayOfWeek - 1]} ${time}` : `${then.toPlainDate().toString()} ${time}`
}
