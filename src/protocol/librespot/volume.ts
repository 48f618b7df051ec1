import Type from 'typebox'
import type { Request } from '../../call/call.ts'
import { Fault } from '../../call/fault.ts'
import { param, replaceable } from '../../call/param.ts'
import { moved, type Scale } from '../../call/scale.ts'
import { isObject } from '../jsonrpc/message.ts'
import { goLibrespot } from './go.ts'
import { javaVolume, librespotJava } from './java.ts'

/** Where a player's volume stands and how far it goes, in its own steps. */
export interface Volume {
  readonly volume: number
  readonly steps: number
}

/**
 * A change of volume as what it comes to: the step it would end at, with the percent that is (rounded up) in sight of every
 * ceiling. Relative to what was live when it was asked; any other request is given back as it is.
 *
 * @param scale how the volumes of whoever asks stand to the player's
 * @throws Fault `player-unreachable` while it is not known where the volume stands, `bad-arguments` beyond the player's steps:
 * go-librespot itself would begin again at zero there
 */
export function resolveVolume(request: Request, live: Volume | undefined, scale?: Scale): Request {
  const { operation, args } = request
  const isGo = operation === goLibrespot['POST /player/volume']
  const change = isGo ? undefined : javaChange(request)
  if (!isGo && change === undefined) return request
  if (!live || !isVolume(live)) throw new Fault('player-unreachable', 'where the volume stands is not known')
  const { steps } = live
  if (change !== undefined) {
    const volume = moved(live.volume, change, scale, steps)
    return { operation: librespotJava['POST /player/set-volume'], args: { volume } }
  }
  const given = Number(args.volume)
  const volume = args.relative === true ? moved(live.volume, given, scale, steps) : given
  // A relative change ends at the ends, as a knob does; an absolute one has to be a place there is.
  if (!Number.isInteger(volume) || volume < 0 || volume > steps) {
    throw new Fault('bad-arguments', `${operation.name}: the volume goes from 0 to ${steps}`)
  }
  const { needs: _needs, together: _together, ...row } = operation
  const shape = Type.Integer({ minimum: 0, maximum: steps })
  const percent = (at: number) => [Math.ceil((at * 100) / steps)]
  return {
    operation: { ...row, params: { volume: replaceable(param(shape, 'volume', percent), steps) } },
    args: { volume },
  }
}

/** What librespot-java takes for one step, when it was not told otherwise (`player.volumeSteps`). */
const javaStep = javaVolume / 64

/** How far a request of librespot-java turns it; undefined for one that does not say by how much. */
function javaChange({ operation, args }: Request): number | undefined {
  switch (operation) {
    case librespotJava['POST /player/volume-up']:
      return javaStep
    case librespotJava['POST /player/volume-down']:
      return -javaStep
    case librespotJava['POST /player/set-volume']:
      return args.step === undefined ? undefined : Number(args.step) * javaStep
    default:
      return undefined
  }
}

function isVolume({ volume, steps }: Volume): boolean {
  return Number.isSafeInteger(steps) && steps > 0 && Number.isSafeInteger(volume) && volume >= 0 && volume <= steps
}

/** An answer that tells a volume, as it is to somebody. */
export function showAnswer(answer: unknown, scale: Scale | undefined): unknown {
  if (!scale || !isObject(answer)) return answer
  const { volume, volume_steps: steps, value, max } = answer
  if (isCount(volume) && isCount(steps)) return { ...answer, volume: scale.shown(volume, steps) }
  return isCount(value) && isCount(max) ? { ...answer, value: scale.shown(value, max) } : answer
}

/** One event of a player of the family. */
interface Told {
  readonly type: string
  readonly data?: Readonly<Record<string, unknown>>
}

export function tellsVolume({ type }: Told): boolean {
  return told.has(type)
}

/** An event as it is to somebody. */
export function showEvent<E extends Told>(event: E, scale: Scale | undefined): E {
  const show = told.get(event.type)
  return scale && show && event.data ? { ...event, data: show(event.data, scale) } : event
}

type Show = (data: NonNullable<Told['data']>, scale: Scale) => Told['data']

/** The events that tell a volume, of whichever player. */
const told: ReadonlyMap<string, Show> = new Map<string, Show>([
  // go-librespot, in its steps
  ['volume', ({ value, max }, scale) => ({ value: scale.shown(Number(value), Number(max)), max })],
  // librespot-java, from 0 to 1
  [
    'volumeChanged',
    ({ value }, scale) => ({ value: scale.shown(Math.round(Number(value) * javaVolume), javaVolume) / javaVolume }),
  ],
  // librespot's own, from 0 to 100
  ['volume_changed', ({ volume }, scale) => ({ volume: scale.shown(Number(volume)) })],
])

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}
