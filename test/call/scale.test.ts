import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { moved, scaleOf } from '../../src/call/scale.ts'

const most = fc.integer({ min: 0, max: 100 })
const steps = fc.constantFrom(100, 64, 16, 7, 65_535, 65_536)
/** A volume in steps, from silence to as loud as it goes. */
const at = fc.double({ min: 0, max: 1, noNaN: true })
const volumes = fc.tuple(most, steps, at).map(([most, steps, at]) => {
  return { most, steps, scale: scaleOf(most), volume: Math.round(at * steps) }
})

describe('a scale', () => {
  test('never sets more than its ceiling, in whichever steps', () => {
    fc.assert(
      fc.property(volumes, ({ most, steps, scale, volume }) => {
        expect(scale.real(volume, steps) * 100).toBeLessThanOrEqual(most * steps)
      }),
    )
  })

  test('shows 0 to 100, and nothing louder however loud somebody else made it', () => {
    fc.assert(
      fc.property(volumes, ({ steps, scale, volume }) => {
        expect(scale.shown(volume, steps)).toBeGreaterThanOrEqual(0)
        expect(scale.shown(volume, steps)).toBeLessThanOrEqual(steps)
        expect(scale.shown(volume, steps) === 0).toBe(volume === 0)
      }),
    )
  })

  test('what is shown stays as it is when it is set', () => {
    fc.assert(
      fc.property(volumes, ({ steps, scale, volume }) => {
        const once = scale.real(scale.shown(volume, steps), steps)
        expect(scale.shown(once, steps)).toBe(once === 0 ? 0 : scale.shown(volume, steps))
      }),
    )
  })

  test('setting what is shown changes nothing up to the ceiling, and goes down to it from above', () => {
    fc.assert(
      fc.property(volumes, ({ steps, most, scale, volume }) => {
        const top = Math.floor((most * steps) / 100)
        expect(scale.real(scale.shown(volume, steps), steps)).toBe(Math.min(volume, top))
      }),
    )
  })

  test('louder is never shown as less, nor set as less', () => {
    fc.assert(
      fc.property(volumes, at, ({ steps, scale, volume }, other) => {
        const [less, more] = [volume, Math.round(other * steps)].sort((a, b) => a - b) as [number, number]
        expect(scale.real(less, steps)).toBeLessThanOrEqual(scale.real(more, steps))
        expect(scale.shown(less, steps)).toBeLessThanOrEqual(scale.shown(more, steps))
      }),
    )
  })

  test('reaches its ends', () => {
    expect([scaleOf(45).real(100), scaleOf(45).shown(45), scaleOf(45).real(0), scaleOf(45).shown(0)]).toEqual([
      ...[45, 100, 0, 0],
    ])
    expect(scaleOf(40).real(65_535, 65_535)).toBe(26_214)
    expect(scaleOf(40).real(64, 64)).toBe(25)
  })

  test('with a ceiling of 0 sets silence, and shows whatever is heard as 100', () => {
    expect([0, 1, 100].map((volume) => scaleOf(0).real(volume))).toEqual([0, 0, 0])
    expect([0, 1, 100].map((volume) => scaleOf(0).shown(volume))).toEqual([0, 100, 100])
  })
})

describe('a relative change', () => {
  const change = fc.integer({ min: -100, max: 100 }).filter((by) => by !== 0)

  test('ends at the ends', () => {
    expect([moved(98, 5), moved(3, -5), moved(60, 10), moved(60, -10, undefined, 64)]).toEqual([100, 0, 70, 50])
  })

  test('by a person with a scale moves the player in that direction, wherever it can', () => {
    fc.assert(
      fc.property(volumes, change, ({ steps, scale, volume }, by) => {
        const real = scale.real(moved(volume, by, scale, steps), steps)
        const top = scale.real(steps, steps)
        if (by > 0 && volume < top) expect(real).toBeGreaterThan(volume)
        if (by > 0 && volume >= top) expect(real).toBe(top)
        if (by < 0 && volume > 0) expect(real).toBeLessThan(volume)
        if (volume === 0 && by < 0) expect(real).toBe(0)
      }),
    )
  })

  test('one up and one down: 50 of a ceiling of 40 is 20, and 51 would be 20 as well', () => {
    const scale = scaleOf(40)
    expect(scale.real(moved(20, 1, scale))).toBe(21)
    expect(scale.real(moved(20, -1, scale))).toBe(19)
  })
})
