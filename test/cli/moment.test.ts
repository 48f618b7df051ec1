import { expect, test } from 'vitest'
import { readMoment, readSince } from '../../src/cli/moment.ts'

const now = Date.parse('2026-03-20T22:30Z')

test.each([
  ['2030-01-31T21:00', '2030-01-31T20:00:00.000Z'],
  ['2030-07-31T21:00', '2030-07-31T19:00:00.000Z'],
  ['2030-01-31', '2030-01-30T23:00:00.000Z'],
  ['2030-01-31T21:00Z', '2030-01-31T21:00:00.000Z'],
  ['2030-01-31T21:00-05:00', '2030-02-01T02:00:00.000Z'],
  ['2030-01-31T21:00+01:00[Europe/Berlin]', '2030-01-31T20:00:00.000Z'],
  ['2030-01-31T21:00[Asia/Tokyo]', '2030-01-31T12:00:00.000Z'],
  ['07:15', '2026-03-20T06:15:00.000Z'],
  // The hour that is left out, and the one that comes twice: the clock shows the later and the earlier.
  ['2026-03-29T02:30', '2026-03-29T01:30:00.000Z'],
  ['2026-10-25T02:30', '2026-10-25T00:30:00.000Z'],
])('%s in Berlin is %s', (text, moment) => {
  expect(new Date(readMoment(text, now, 'Europe/Berlin')).toISOString()).toBe(moment)
})

test('a time of today is of the day that it is there', () => {
  expect(new Date(readMoment('07:15', now, 'Asia/Tokyo')).toISOString()).toBe('2026-03-20T22:15:00.000Z')
})

test.each(['yesterday', '', '25:00', '2030-02-30', '2030-13-01T00:00', '1', '2030-01-31T21:00[Nowhere/None]'])(
  '%j is no time',
  (text) => {
    expect(() => readMoment(text, now, 'UTC')).toThrow('no such time')
  },
)

test.each([
  ['2d', '2026-03-18T22:30:00.000Z'],
  ['12h', '2026-03-20T10:30:00.000Z'],
  ['90m', '2026-03-20T21:00:00.000Z'],
  ['1w', '2026-03-13T22:30:00.000Z'],
  ['2026-03-01', '2026-03-01T00:00:00.000Z'],
])('since %s is %s', (text, moment) => {
  expect(new Date(readSince(text, now, 'UTC')).toISOString()).toBe(moment)
})

test.each(['0d', '2y', '-2d', 'd', '10000d'])('%j is no time since', (text) => {
  expect(() => readSince(text, now, 'UTC')).toThrow('no such time')
})
