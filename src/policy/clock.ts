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

/** Nothing that goes by the day of the week stays as it is for longer than this. */
const farthest = 9

/**
 * What is read off the clock on the wall. Where the clock is put forward or back it is what it shows that counts: an hour
 * that comes twice counts twice, and one that is left out does not count.
 *
 * @param zone a time zone of the IANA database, such as `Europe/Berlin`
 * @param minutes the minutes of a day at which it may change
 */
export function onWall<T>(zone: string, minutes: readonly number[], read: (face: Face) => T): Wall<T> {
  const marks = [...new Set([0, ...minutes.map((minute) => minute % 1440)])].sort((a, b) => a - b)
  /** What holds from `from` until just before `until`: asking again costs two comparisons. */
  let known: { readonly from: number; readonly until: number; readonly value: T } | undefined

  const faceAt = (time: number): Face => {
    const { dayOfWeek, hour, minute } = zoned(time, zone)
    return { day: dayOfWeek, minute: hour * 60 + minute }
  }

  /** The moments after `time`, in order, at which the clock shows one of the marks or is put forward or back. */
  function* moments(time: number): Generator<number> {
    const today = zoned(time, zone).toPlainDate()
    const shift = zoned(time, zone).getTimeZoneTransition('next')?.epochMilliseconds ?? Number.POSITIVE_INFINITY
    for (let days = 0; days <= farthest; days++) {
      const date = today.add({ days })
      const found = new Set<number>()
      for (const mark of marks) {
        const plain = date.toPlainDateTime({ hour: Math.trunc(mark / 60), minute: mark % 60 })
        for (const disambiguation of ['earlier', 'later'] as const) {
          found.add(plain.toZonedDateTime(zone, { disambiguation }).epochMilliseconds)
        }
      }
      const next = date.add({ days: 1 }).toZonedDateTime(zone).epochMilliseconds
      if (shift < next) found.add(shift)
      yield* [...found].filter((moment) => moment > time).sort((a, b) => a - b)
    }
  }

  function look(time: number): NonNullable<typeof known> {
    const value = read(faceAt(time))
    let until = Number.POSITIVE_INFINITY
    for (const moment of moments(time)) {
      if (read(faceAt(moment)) === value) continue
      until = moment
      break
    }
    return { from: time, until, value }
  }

  function at(time: number): NonNullable<typeof known> {
    // A clock that was set back is before it, one that goes on is after.
    if (!known || time < known.from || time >= known.until) known = look(time)
    return known
  }

  return {
    at: (time) => at(time).value,
    changes(time) {
      const { until } = at(time)
      return until === Number.POSITIVE_INFINITY ? undefined : until
    },
  }
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
