import type { Request } from '../../call/call.ts'
import { moved, type Scale } from '../../call/scale.ts'
import { mpd } from './catalog.ts'

/**
 * `volume` as the `setvol` that it comes to; any other request as it is.
 *
 * @param volume where the player stands
 * @param scale how the volumes of whoever asks stand to the player's
 */
export function resolveChange(request: Request, volume: number, scale: Scale | undefined): Request {
  if (request.operation !== mpd.volume) return request
  return { operation: mpd.setvol, args: { level: moved(volume, Number(request.args.change), scale) } }
}
