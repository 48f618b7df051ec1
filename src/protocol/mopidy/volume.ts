import Type from 'typebox'
import type { Request } from '../../call/call.ts'
import { param } from '../../call/param.ts'
import type { Scale } from '../../call/scale.ts'
import { mopidy } from './catalog.ts'
import type { PlayerEvent } from './reply.ts'

/** Unmuting as what it comes to, which is the volume that comes back; any other request as it is. */
export function resolveMute(request: Request, volume: number): Request {
  const { operation, args } = request
  if (operation !== mopidy['core.mixer.set_mute'] || args.mute !== false) return request
  const { needs: _needs, ...row } = operation
  // The player's own volume, whose ever: nothing can be put in its place.
  return { operation: { ...row, params: { mute: param(Type.Boolean(), 'volume', () => [volume]) } }, args }
}

/** An answer that is a volume, as it is to somebody; null while the player has none. */
export function showVolume(volume: unknown, scale: Scale | undefined): unknown {
  return scale && typeof volume === 'number' ? scale.shown(volume) : volume
}

export function tellsVolume({ event }: PlayerEvent): boolean {
  return event === 'volume_changed'
}

/** An event as it is to somebody. */
export function showEvent(event: PlayerEvent, scale: Scale | undefined): PlayerEvent {
  return scale && tellsVolume(event) ? { ...event, volume: showVolume(event.volume, scale) } : event
}
