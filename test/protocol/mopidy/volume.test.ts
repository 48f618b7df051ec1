import { expect, test } from 'vitest'
import { createCall } from '../../../src/call/call.ts'
import { scaleOf } from '../../../src/call/scale.ts'
import { mopidy } from '../../../src/protocol/mopidy/catalog.ts'
import { encode } from '../../../src/protocol/mopidy/encode.ts'
import { resolveMute, showEvent, showVolume } from '../../../src/protocol/mopidy/volume.ts'

const origin = { id: 'r', by: { kind: 'anonymous', from: 'x' }, door: 'http', player: 'home', at: 0 } as const
const mute = (on: boolean) => ({ operation: mopidy['core.mixer.set_mute'], args: { mute: on } })

test('unmuting touches the volume that comes back, and is sent as it is', () => {
  expect(createCall(origin, mute(false)).touches.volume).toEqual([])
  const resolved = resolveMute(mute(false), 37)
  expect(createCall(origin, resolved).touches.volume).toEqual([37])
  expect(encode(1, resolved)).toBe(encode(1, mute(false)))
  expect(resolveMute(mute(true), 37)).toEqual(mute(true))
})

test('a volume is shown as it is to somebody, and no volume as none', () => {
  expect([showVolume(20, scaleOf(40)), showVolume(20, undefined), showVolume(null, scaleOf(40))]).toEqual([
    50,
    20,
    null,
  ])
  const event = { event: 'volume_changed', volume: 20 }
  expect(showEvent(event, scaleOf(40))).toEqual({ event: 'volume_changed', volume: 50 })
  expect(showEvent(event, undefined)).toBe(event)
  expect(event.volume).toBe(20)
  const other = { event: 'seeked', time_position: 20, volume: 20 }
  expect(showEvent(other, scaleOf(40))).toBe(other)
})
