import Type, { type Static } from 'typebox'
import { remembering } from '../call/memo.ts'
import { always, byHour, type Wall, Zone } from './clock.ts'
import type { Setting } from './condition.ts'
import { Ceiling, Level } from './volume.ts'

/** How loud it may be in a room, whoever turns it up and by whatever way. */
export const RoomVolume = Type.Union(
  [
    Level,
    Type.Object(
      {
        max: Ceiling,
        zone: Type.Optional(Zone),
      },
      { additionalProperties: false },
    ),
  ],
  { description: 'The room’s ceiling: what turns it up past the gateway is turned back to this' },
)
export type RoomVolume = Static<typeof RoomVolume>

/** @param within looked at each time: what goes by the zone of the whole configuration goes by a newer one as well */
export function roomCeiling(setting: RoomVolume, within: Setting): Wall<number> {
  const { max, zone } = typeof setting === 'number' ? { max: setting } : setting
  if (typeof max === 'number') return always(max)
  const wallIn = remembering((where: string) => byHour(where, max))
  const wall = () => wallIn(zone ?? within.zone)
  return { at: (time) => wall().at(time), changes: (time) => wall().changes(time) }
}
