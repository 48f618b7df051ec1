import Type, { type Static } from 'typebox'
import { type Face, minuteOf, onWall, sayTime, timeOfDay, Zone } from './clock.ts'
import { type AtEnd, constraint, holds, refuses } from './condition.ts'

const names = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']

const day = `(?:${names.join('|')})`
const days = `${day}(?:-${day})?`

export const WindowText = Type.String({
  pattern: `^(?:${days}(?:, ?${days})* )?${timeOfDay}-(?:${timeOfDay}|24:00)$`,
  title: 'a window of time',
  description:
    'Days and times, such as "mon-fri 07:00-20:00", "sat,sun 08:00-21:30" or "22:00-06:00" (every day, over midnight)',
})

const Allow = Type.Union([WindowText, Type.Array(WindowText, { minItems: 1 })], {
  description: 'When it may be: one window such as "mon-fri 07:00-20:00", or a list of them',
})

const HoursSetting = Type.Union(
  [
    ...Allow.anyOf,
    Type.Object(
      {
        zone: Type.Optional(Zone),
        allow: Allow,
        atEnd: Type.Optional(
          Type.String({
            pattern: '^(?:finish|stop|fade [1-9][0-9]{0,2}s)$',
            title: 'finish, stop or a fade',
            description:
              'What becomes of what plays when the time is over: finish (paused after the song), stop (paused at once), or turned down first, such as "fade 30s"',
          }),
        ),
      },
      { additionalProperties: false },
    ),
  ],
  { description: 'When it may be: windows such as ["mon-fri 07:00-20:00", "sat,sun 08:00-21:30"]' },
)
type HoursSetting = Static<typeof HoursSetting>

/** When a grant holds: by the days of the week and the time of day. */
export const hours = constraint({
  setting: HoursSetting,
  bind(setting, within) {
    const { zone = within.zone, atEnd = 'finish' } = isLong(setting) ? setting : {}
    const texts = windowTextsOf(setting)
    const windows = texts.map(parseWindow)
    const open = onWall(
      zone,
      windows.flatMap(({ from, until }) => [from, until]),
      (face) => windows.some((window) => isWithin(window, face)),
    )
    const allowed = `hours ${texts.slice(0, 3).join(' and ')}${texts.length > 3 ? ' and more' : ''}`
    return {
      demands: [],
      hours: { ...open, atEnd: parseEnd(atEnd) },
      judge({ at }) {
        if (open.at(at)) return holds
        const until = open.changes(at)
        const again = () => (until === undefined ? '' : `, again from ${sayTime(until, at, zone)}`)
        return refuses(() => allowed + again(), until)
      },
    }
  },
})

/** The windows as they were written. */
export function windowTextsOf(setting: HoursSetting): readonly string[] {
  return [isLong(setting) ? setting.allow : setting].flat()
}

/** Whether it ends when it begins, so that it is never open. */
export function isEmptyWindow(text: string): boolean {
  const { from, until } = parseWindow(text)
  return from === until
}

function isLong(setting: HoursSetting): setting is Extract<HoursSetting, { allow: unknown }> {
  return typeof setting === 'object' && 'allow' in setting
}

/** Minutes since midnight; one that ends before it begins goes on on the day after. */
interface Window {
  readonly days: ReadonlySet<number>
  readonly from: number
  readonly until: number
}

function parseWindow(text: string): Window {
  const blank = text.lastIndexOf(' ')
  const [from = '', until = ''] = text.slice(blank + 1).split('-')
  return { days: parseDays(text.slice(0, Math.max(0, blank))), from: minuteOf(from), until: minuteOf(until) }
}

function isWithin({ days, from, until }: Window, { day, minute }: Face): boolean {
  if (from <= until) return days.has(day) && from <= minute && minute < until
  // What is left of a night belongs to the day it began on.
  return (days.has(day) && from <= minute) || (days.has(dayBefore(day)) && minute < until)
}

/** Days of the week (Monday is 1) of `mon-wed,sat`; all of them where nothing is said. */
function parseDays(text: string): ReadonlySet<number> {
  if (text === '') return new Set([1, 2, 3, 4, 5, 6, 7])
  return new Set(
    text.split(/, ?/).flatMap((range) => {
      const [first = 0, last = first] = range.split('-').map((name) => names.indexOf(name) + 1)
      const found = [last]
      for (let day = first; day !== last; day = (day % 7) + 1) found.push(day)
      return found
    }),
  )
}

function dayBefore(day: number): number {
  return day === 1 ? 7 : day - 1
}

function parseEnd(text: string): AtEnd {
  const [, seconds] = /^fade ([0-9]+)s$/.exec(text) ?? []
  if (seconds !== undefined) return { fadeMs: Number(seconds) * 1000 }
  return text === 'stop' ? 'stop' : 'finish'
}
