import type { Request } from '../call/call.ts'
import type { Scale } from '../call/scale.ts'
import { resolveMute } from './mopidy/volume.ts'
import { resolveChange } from './mpd/volume.ts'

/**
 * A change of volume as what it comes to from where the player stands, for a person to whom the player's volumes are as
 * `scale` has them. Any other request is given back as it is.
 *
 * The librespot family counts in steps of its own: see `librespot/volume.ts`.
 */
export function resolve(request: Request, volume: number, scale: Scale | undefined): Request {
  return resolveMute(resolveChange(request, volume, scale), volume)
}
