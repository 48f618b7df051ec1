import Type from 'typebox'
import { withVolume } from '../call/call.ts'
import { always, byHour, sayTime, timeOfDay, Zone } from './clock.ts'
import { constraint, holds, refuses, unseen } from './condition.ts'

export const Level = Type.Integer({ minimum: 0, maximum: 100, description: 'Loudest level the role may set' })

const ByHour = Type.Unsafe<Readonly<Record<string, number>>>({
  type: 'object',
  minProperties: 1,
  propertyNames: {
    type: 'string',
    pattern: `^${timeOfDay}$`,
    title: 'a time of day',
    description: 'write it from "00:00" to "23:59", with two digits each',
  },
  additionalProperties: Level,
  description: 'The loudest level from a time of day on, such as { "07:00": 60, "20:00": 40 }',
})

/** The loudest level, always or by the time of day. */
export const Ceiling = Type.Union([Level, ByHour], { description: 'The loudest level, always or by the time of day' })

const MaxVolume = Type.Union(
  [
    Level,
    Type.Object(
      {
        max: Ceiling,
        over: Type.Optional(
          Type.Enum(['refuse', 'clamp', 'scale'], {
            description:
              'What becomes of more: it is refused, set as loud as may be, or the person’s 0 to 100 ends at the ceiling',
          }),
        ),
        zone: Type.Optional(Zone),
      },
      { additionalProperties: false },
    ),
  ],
  { description: 'How loud the role may make it' },
)

export const maxVolume = constraint({
  setting: MaxVolume,
  bind(setting, within) {
    const { max, over = 'refuse', zone = within.zone } = typeof setting === 'number' ? { max: setting } : setting
    const ceiling = typeof max === 'number' ? always(max) : byHour(zone, max)
    const say = (at: number) => () => {
      const until = ceiling.changes(at)
      return `maxVolume ${ceiling.at(at)}${until === undefined ? '' : ` until ${sayTime(until, at, zone)}`}`
    }
    return {
      facet: 'volume',
      demands: ['volume.set'],
      ceiling,
      isScaled: over === 'scale',
      // Judged wherever a call touches the volume, whatever the capability.
      judge(call, capability) {
        const { at, touches } = call
        const volumes = touches.volume ?? []
        if (volumes.length === 0) return capability === 'volume.set' ? unseen(say(at)) : holds
        const most = ceiling.at(at)
        const refusal = () => refuses(say(at), ceiling.changes(at))
        if (volumes.every((volume) => volume === 0)) return holds
        if (volumes.every((volume) => volume <= most)) return holds
        if (over === 'refuse') return refusal()
        // What comes here is the player's volume: a person's own was taken for it before, by the scale that holds for them.
        const instead = withVolume(call, (volume) => Math.min(volume, most))
        return instead ? { holds: true, instead } : refusal()
      },
      matter: (call, capability) =>
        capability === 'volume.set' && call.operation.needs === 'volume' ? 'volume' : undefined,
    }
  },
})
