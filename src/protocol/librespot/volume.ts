import Type from 'typebox'
import type { Request } from '../../call/call.ts'
import { Fault } from '../../call/fault.ts'
import { param, replaceable } from '../../call/param.ts'

/** Where a player's volume stands and how far it goes, in its own steps. */
export interface Volume {
  readonly volume: number
  readonly steps: number
}

/**
 * A change of volume as what it comes to: the step it would end at, with the percent that is (rounded up) in sight of every
 * ceiling. Relative to what was live when it was asked; any other request is given back as it is.
 *
 * @throws Fault `player-unreachable` while it is not known where the volume stands, `bad-arguments` beyond the player's steps:
 * go-librespot itself would begin again at zero there
 */
export function resolveVolume(request: Request, live: Volume | undefined): Request {
  const { operation, args } = request
  if (operation.needs !== 'volume') return request
  if (!live || !isVolume(live)) throw new Fault('player-unreachable', 'where the volume stands is not known')
  const { steps } = live
  const given = Number(args.volume)
  // A relative change ends at the ends, as a knob does; an absolute one has to be a place there is.
  const volume = args.relative === true ? Math.min(steps, Math.max(0, live.volume + given)) : given
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

function isVolume({ volume, steps }: Volume): boolean {
  return Number.isSafeInteger(steps) && steps > 0 && Number.isSafeInteger(volume) && volume >= 0 && volume <= steps
}
