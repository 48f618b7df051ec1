import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { always, byHour, type Face, isZone, minuteOf, onWall, sayTime, type Wall } from '../../src/policy/clock.ts'

/** A moment, such as `2026-03-29T01:59+01:00[Europe/Berlin]`, or one in UTC. */
function ms(text: string): number {
  return text.includes('[') ? Temporal.ZonedDateTime.from(text).epochMilliseconds : Date.parse(text)
}
const minute = 60_000
const hour = 60 * minute
const day = 24 * hour

/** Open from `from` to `until`, on every day or on one of the week. */
function window(zone: string, from: string, until: string, on?: number): Wall<boolean> {
  const [first, last] = [minuteOf(from), minuteOf(until)]
  const isOpen = ({ day, minute }: Face) => {
    const isDay = on === undefined || day === on
    const isDayBefore = on === undefined || (day + 5) % 7 === on - 1
    if (first <= last) return isDay && first <= minute && minute < last
    return (isDay && first <= minute) || (isDayBefore && minute < last)
  }
  return onWall(zone, [first, last], isOpen)
}

/** The changes within some time, as the clock shows them there. */
function changesOf<T>(wall: Wall<T>, from: string, ms_: number, zone: string): string[] {
  const found: string[] = []
  const begin = ms(from)
  for (let at = wall.changes(begin); at !== undefined && at < begin + ms_; at = wall.changes(at)) {
    const shown = Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(zone)
    const time = shown.toString({ smallestUnit: 'minute', timeZoneName: 'never' })
    found.push(`${time} ${wall.at(at - 1)} to ${wall.at(at)}`)
  }
  return found
}

describe('a day like others', () => {
  const wall = window('Europe/Berlin', '07:00', '20:00')

  test('begins and ends on the minute', () => {
    expect(wall.at(ms('2026-06-01T06:59:59.999+02:00[Europe/Berlin]'))).toBe(false)
    expect(wall.at(ms('2026-06-01T07:00+02:00[Europe/Berlin]'))).toBe(true)
    expect(wall.at(ms('2026-06-01T19:59:59.999+02:00[Europe/Berlin]'))).toBe(true)
    expect(wall.at(ms('2026-06-01T20:00+02:00[Europe/Berlin]'))).toBe(false)
  })

  test('tells the next change, and at a change the one after', () => {
    const opens = ms('2026-06-01T07:00+02:00[Europe/Berlin]')
    expect(wall.changes(opens - 1)).toBe(opens)
    expect(wall.changes(opens)).toBe(opens + 13 * hour)
    expect(wall.changes(opens + 13 * hour - 1)).toBe(opens + 13 * hour)
  })
})

describe('across midnight', () => {
  test('a window goes on into the next day, of the month and of the year', () => {
    const wall = window('Europe/Berlin', '22:00', '06:00')
    expect(changesOf(wall, '2026-12-31T12:00+01:00[Europe/Berlin]', day, 'Europe/Berlin')).toEqual([
      '2026-12-31T22:00+01:00 false to true',
      '2027-01-01T06:00+01:00 true to false',
    ])
  })

  test('a window of one day ends on the next, and the night before is none', () => {
    const wall = window('Europe/Berlin', '22:00', '06:00', 7) // Sunday
    expect(changesOf(wall, '2026-06-06T00:00+02:00[Europe/Berlin]', 7 * day, 'Europe/Berlin')).toEqual([
      '2026-06-07T22:00+02:00 false to true',
      '2026-06-08T06:00+02:00 true to false',
    ])
  })

  test('one until midnight ends there', () => {
    const wall = window('Europe/Berlin', '20:00', '24:00')
    expect(changesOf(wall, '2026-06-01T12:00+02:00[Europe/Berlin]', day, 'Europe/Berlin')).toEqual([
      '2026-06-01T20:00+02:00 false to true',
      '2026-06-02T00:00+02:00 true to false',
    ])
  })

  test('the 29th of February is a day, in a year that has one', () => {
    const wall = window('Europe/Berlin', '10:00', '11:00')
    const leap = changesOf(wall, '2028-02-28T23:00+01:00[Europe/Berlin]', 2 * day, 'Europe/Berlin')
    expect(leap.map((text) => text.slice(0, 10))).toEqual(['2028-02-29', '2028-02-29', '2028-03-01', '2028-03-01'])
    const other = changesOf(wall, '2027-02-28T23:00+01:00[Europe/Berlin]', day, 'Europe/Berlin')
    expect(other.map((text) => text.slice(0, 10))).toEqual(['2027-03-01', '2027-03-01'])
  })
})

describe('when the clock is put forward', () => {
  test.each([
    ['Europe/Berlin', '2026-03-29', '03:00+02:00'],
    ['America/New_York', '2026-03-08', '03:00-04:00'],
  ])('%s: what lies in the hour that is left out is not', (zone, date, after) => {
    expect(changesOf(window(zone, '02:15', '02:45'), `${date}T00:00[${zone}]`, 20 * hour, zone)).toEqual([])
    const across = changesOf(window(zone, '02:30', '04:00'), `${date}T00:00[${zone}]`, 20 * hour, zone)
    expect(across[0]).toBe(`${date}T${after} false to true`)
    const before = changesOf(window(zone, '01:00', '02:30'), `${date}T00:00[${zone}]`, 20 * hour, zone)
    expect(before[1]).toBe(`${date}T${after} true to false`)
  })

  test('Lord Howe: half an hour is left out', () => {
    const zone = 'Australia/Lord_Howe'
    expect(changesOf(window(zone, '02:05', '02:25'), '2026-10-04T00:00[Australia/Lord_Howe]', day, zone)).toEqual([])
    expect(changesOf(window(zone, '02:15', '02:45'), '2026-10-04T00:00[Australia/Lord_Howe]', 20 * hour, zone)).toEqual(
      ['2026-10-04T02:30+11:00 false to true', '2026-10-04T02:45+11:00 true to false'],
    )
  })

  test('a night is an hour shorter, and ends when the clock shows its end', () => {
    const wall = window('Europe/Berlin', '22:00', '06:00')
    const from = ms('2026-03-28T22:00+01:00[Europe/Berlin]')
    expect((wall.changes(from) ?? 0) - from).toBe(7 * hour)
  })

  test('a window that was left out this week is there in the next', () => {
    const zone = 'Europe/Berlin'
    const wall = window(zone, '02:15', '02:45', 7)
    const after = ms(`2026-03-22T02:45+01:00[${zone}]`)
    expect(wall.at(after)).toBe(false)
    expect(wall.changes(after)).toBe(ms(`2026-04-05T02:15+02:00[${zone}]`))
    expect(wall.at(ms(`2026-04-05T02:20+02:00[${zone}]`))).toBe(true)
  })

  test('what is always open but for that window does not stay open', () => {
    const zone = 'Europe/Berlin'
    const wall = onWall(zone, [135, 165], ({ day, minute }) => day !== 7 || minute < 135 || minute >= 165)
    expect(wall.at(ms(`2026-03-22T02:45+01:00[${zone}]`))).toBe(true)
    expect(wall.at(ms(`2026-04-05T02:20+02:00[${zone}]`))).toBe(false)
  })

  test('midnight itself may be left out', () => {
    const zone = 'America/Santiago' // 2026-09-06, 00:00 becomes 01:00
    const wall = window(zone, '23:30', '00:30')
    expect(changesOf(wall, `2026-09-05T12:00[${zone}]`, 20 * hour, zone)).toEqual([
      '2026-09-05T23:30-04:00 false to true',
      '2026-09-06T01:00-03:00 true to false',
    ])
  })

  test('a whole day may be left out', () => {
    const zone = 'Pacific/Apia' // there was no 30th of December 2011, a Friday
    expect(changesOf(window(zone, '10:00', '11:00', 5), `2011-12-24T00:00[${zone}]`, 14 * day, zone)).toEqual([
      '2012-01-06T10:00+14:00 false to true',
      '2012-01-06T11:00+14:00 true to false',
    ])
  })
})

describe('when the clock is put back', () => {
  test('what lies in the hour that comes twice is twice', () => {
    const zone = 'Europe/Berlin'
    expect(changesOf(window(zone, '02:15', '02:45'), `2026-10-25T00:00[${zone}]`, 20 * hour, zone)).toEqual([
      '2026-10-25T02:15+02:00 false to true',
      '2026-10-25T02:45+02:00 true to false',
      '2026-10-25T02:15+01:00 false to true',
      '2026-10-25T02:45+01:00 true to false',
    ])
  })

  test('what ended in it begins anew, until the clock shows its end again', () => {
    const zone = 'America/New_York'
    expect(changesOf(window(zone, '00:30', '01:30'), `2026-11-01T00:00[${zone}]`, 20 * hour, zone)).toEqual([
      '2026-11-01T00:30-04:00 false to true',
      '2026-11-01T01:30-04:00 true to false',
      '2026-11-01T01:00-05:00 false to true',
      '2026-11-01T01:30-05:00 true to false',
    ])
  })

  test('Lord Howe: half an hour comes twice', () => {
    const zone = 'Australia/Lord_Howe'
    expect(changesOf(window(zone, '01:40', '03:00'), `2026-04-05T00:00[${zone}]`, 20 * hour, zone)).toEqual([
      '2026-04-05T01:40+11:00 false to true',
      '2026-04-05T01:30+10:30 true to false',
      '2026-04-05T01:40+10:30 false to true',
      '2026-04-05T03:00+10:30 true to false',
    ])
    expect(changesOf(window(zone, '01:40', '01:50'), `2026-04-05T00:00[${zone}]`, 20 * hour, zone)).toHaveLength(4)
  })

  test('a night is an hour longer', () => {
    const wall = window('Europe/Berlin', '22:00', '06:00')
    const from = ms('2026-10-24T22:00+02:00[Europe/Berlin]')
    expect((wall.changes(from) ?? 0) - from).toBe(9 * hour)
  })
})

describe('a clock that is set', () => {
  const opens = ms('2026-06-01T07:00+02:00[Europe/Berlin]')

  test('back or forward is believed at once, whatever was known', () => {
    const wall = window('Europe/Berlin', '07:00', '20:00')
    expect(wall.at(opens + hour)).toBe(true)
    expect(wall.at(opens - hour)).toBe(false)
    expect(wall.changes(opens - hour)).toBe(opens)
    expect(wall.at(opens + 14 * hour)).toBe(false)
    expect(wall.at(opens)).toBe(true)
    expect(wall.at(opens - 400 * day - hour)).toBe(false)
    expect(wall.at(opens + 400 * day)).toBe(true)
  })

  test('back by a moment across the border', () => {
    const wall = window('Europe/Berlin', '07:00', '20:00')
    for (const at of [opens, opens - 1, opens, opens - 1, opens + 1]) expect(wall.at(at)).toBe(at >= opens)
  })
})

describe('numbers by the hour', () => {
  const zone = 'Europe/Berlin'
  const steps = byHour(zone, { '20:00': 45, '07:00': 80 })

  test('hold from their time on, and the last of the day before through the night', () => {
    expect(changesOf(steps, `2026-06-01T00:00[${zone}]`, 2 * day, zone)).toEqual([
      '2026-06-01T07:00+02:00 45 to 80',
      '2026-06-01T20:00+02:00 80 to 45',
      '2026-06-02T07:00+02:00 45 to 80',
      '2026-06-02T20:00+02:00 80 to 45',
    ])
  })

  test('a step to the same is no change', () => {
    expect(
      changesOf(byHour(zone, { '07:00': 1, '12:00': 1, '20:00': 2 }), `2026-06-01T00:00[${zone}]`, day, zone),
    ).toEqual(['2026-06-01T07:00+02:00 2 to 1', '2026-06-01T20:00+02:00 1 to 2'])
  })

  test('one alone holds at all times', () => {
    const one = byHour(zone, { '07:00': 60 })
    expect([one.at(ms('2026-06-01T00:00Z')), one.changes(ms('2026-06-01T00:00Z'))]).toEqual([60, undefined])
    expect([always(7).at(0), always(7).changes(0)]).toEqual([7, undefined])
  })

  test('a step in the hour that is left out comes with the hour after, one in an hour that comes twice comes twice', () => {
    const night = byHour(zone, { '02:30': 10, '06:00': 90 })
    expect(changesOf(night, `2026-03-29T00:00[${zone}]`, 20 * hour, zone)[0]).toBe('2026-03-29T03:00+02:00 90 to 10')
    expect(changesOf(night, `2026-10-25T00:00[${zone}]`, 20 * hour, zone)).toEqual([
      '2026-10-25T02:30+02:00 90 to 10',
      '2026-10-25T02:00+01:00 10 to 90',
      '2026-10-25T02:30+01:00 90 to 10',
      '2026-10-25T06:00+01:00 10 to 90',
    ])
  })
})

describe('whatever the zone and the windows', () => {
  const zones = [
    ...['Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'America/Santiago', 'Africa/Casablanca'],
    ...['UTC', 'Asia/Kolkata', 'Asia/Kathmandu', 'America/St_Johns', 'Pacific/Apia', 'Asia/Tokyo', 'Pacific/Chatham'],
  ]
  const zone = fc.constantFrom(...zones)
  /** Near to where clocks are changed as often as not. */
  const time = fc
    .tuple(zone, fc.nat(400), fc.integer({ min: -1500, max: 1500 }), fc.boolean(), fc.nat(59_999))
    .map(([zone, days, minutes, isNear, rest]) => {
      const begin = Temporal.Instant.fromEpochMilliseconds(Date.UTC(2026, 0, 1) + days * day).toZonedDateTimeISO(zone)
      const shift = isNear ? begin.getTimeZoneTransition('next')?.epochMilliseconds : undefined
      return { zone, at: (shift ?? begin.epochMilliseconds) + minutes * minute + rest }
    })
  const windows = fc.array(
    fc.record({
      days: fc.uniqueArray(fc.integer({ min: 1, max: 7 }), { minLength: 1 }),
      from: fc.nat(1439),
      length: fc.nat(600),
    }),
    { minLength: 1, maxLength: 3 },
  )
  const reading = (given: readonly { days: readonly number[]; from: number; length: number }[]) => (face: Face) =>
    given.findIndex(({ days, from, length }) => {
      const now = face.minute - from
      if (now >= 0) return days.includes(face.day) && now < length
      return days.includes(face.day === 1 ? 7 : face.day - 1) && now + 1440 < length
    })
  const minutesOf = (given: readonly { from: number; length: number }[]) =>
    given.flatMap(({ from, length }) => [from, (from + length) % 1440])
  const plainly = (zone: string, read: (face: Face) => number, at: number) => {
    const { dayOfWeek, hour, minute } = Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(zone)
    return read({ day: dayOfWeek, minute: hour * 60 + minute })
  }

  test('the next change is the first minute at which it is something else', () => {
    fc.assert(
      fc.property(time, windows, ({ zone, at }, given) => {
        const read = reading(given)
        const change = onWall(zone, minutesOf(given), read).changes(at)
        const now = plainly(zone, read, at)
        const most = 36 * hour
        // Every offset of these years is one of whole minutes, so nothing happens within one.
        for (let next = Math.floor(at / minute) * minute + minute; next <= at + most; next += minute) {
          if (plainly(zone, read, next) === now) continue
          expect(change).toBe(next)
          return
        }
        expect(change ?? Number.POSITIVE_INFINITY).toBeGreaterThan(at + most)
      }),
      { numRuns: 60 },
    )
  })

  test('what is remembered is what is there, whichever way the clock goes', () => {
    const steps = fc.array(fc.integer({ min: -4 * day, max: 4 * day }), { maxLength: 40 })
    fc.assert(
      fc.property(time, windows, steps, ({ zone, at }, given, jumps) => {
        const read = reading(given)
        const wall = onWall(zone, minutesOf(given), read)
        let now = at
        for (const jump of jumps) {
          now += jump
          expect(wall.at(now)).toBe(plainly(zone, read, now))
          expect(wall.changes(now)).toBe(onWall(zone, minutesOf(given), read).changes(now))
        }
      }),
      { numRuns: 60 },
    )
  })
})

describe('a zone', () => {
  test.each(['Europe/Berlin', 'UTC', 'America/Argentina/Buenos_Aires', 'Etc/GMT+5'])('%s is one', (name) =>
    expect(isZone(name)).toBe(true),
  )

  test.each(['', 'Europe/Berln', 'Mars/Olympus', '__proto__', 'constructor'])(
    '%j is none, and nothing is bound in it',
    (name) => {
      expect(isZone(name)).toBe(false)
      expect(() => byHour(name, { '07:00': 1 })).toThrow(RangeError)
    },
  )
})

describe('a moment is said', () => {
  const zone = 'Europe/Berlin'
  const now = ms(`2026-06-05T19:00[${zone}]`) // a Friday

  test.each([
    ['2026-06-05T20:05', '20:05'],
    ['2026-06-06T00:00', 'Saturday 00:00'],
    ['2026-06-08T07:00', 'Monday 07:00'],
    ['2026-06-11T18:00', 'Thursday 18:00'],
    ['2026-06-12T18:00', '2026-06-12 18:00'],
    ['2026-06-04T18:00', '2026-06-04 18:00'],
  ])('%s as %s', (text, said) => expect(sayTime(ms(`${text}[${zone}]`), now, zone)).toBe(said))

  test('by the clock of that zone, across a change of it', () => {
    const before = ms(`2026-03-28T23:00[${zone}]`)
    expect(sayTime(before + 9 * hour, before, zone)).toBe('Sunday 09:00')
    expect(sayTime(before + 9 * hour, before, 'UTC')).toBe('Sunday 07:00')
  })
})
