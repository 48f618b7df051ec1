import Type, { type Static } from 'typebox'
import { always, byHour, type Wall } from './clock.ts'
import type { Setting } from './condition.ts'
import { ByHour, Level, Zone } from './volume.ts'

/** How loud it may be in a room, whoever turns it up and by whatever way. */
export const RoomVolume = Type.Union(
  [
    Level,
    Type.Object(
      {
        max: Type.Union([Level, ByHour], { description: 'The loudest level, always or by the time of day' }),
        zone: Type.Optional(Zone),
      },
      { additionalProperties: false },
    ),
  ],
  { description: 'The room’s ceiling: what turns it up past the gateway is turned back to this' },
)
export type RoomVolume = Static<typeof RoomVolume>

export function roomCeiling(setting: RoomVolume, within: Setting): Wall<number> {
  const { max, zone = within.zone } = typeof setting === 'number' ? { max: setting } : setting
  return typeof max === 'number' ? always(max) : byHour(zone, max)
}
