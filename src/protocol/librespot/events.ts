import Type, { type TSchema } from 'typebox'
import type { Capability } from '../../call/capability.ts'
import { isObject } from '../jsonrpc/message.ts'
import { flag, number, rebuilt, text } from '../rest/answer.ts'
import { GoTrack, GoVolume } from './go.ts'
import { JavaEpisode, JavaTrack } from './java.ts'

export type EventKind = 'go-librespot' | 'librespot-java'

/** One event of a player of the family: its kind, and what may be told of it. */
export interface LibrespotEvent {
  readonly type: string
  readonly data?: Readonly<Record<string, unknown>>
}

/** What it takes to hear of an event, and what it may say; without a shape, nothing but that it happened. */
interface EventRow {
  readonly capability: Capability
  readonly shape?: TSchema
}

const seen = (shape?: TSchema): EventRow => ({ capability: 'status.read', ...(shape && { shape }) })

const origin = { play_origin: Type.Optional(text) } as const
const place = { context_uri: Type.Optional(text), uri: text, ...origin } as const
const truth = Type.Object({ value: flag })
const time = { trackTime: number } as const
const media = { track: Type.Optional(JavaTrack), episode: Type.Optional(JavaEpisode) } as const

const tables: Readonly<Record<EventKind, ReadonlyMap<string, EventRow>>> = {
  'go-librespot': new Map([
    ['active', seen()],
    ['inactive', seen()],
    ['playback_ready', seen()],
    ['metadata', seen(GoTrack)],
    ['will_play', seen(Type.Object(place))],
    ['not_playing', seen(Type.Object(place))],
    ['paused', seen(Type.Object(place))],
    ['playing', seen(Type.Object({ ...place, resume: Type.Optional(flag) }))],
    ['stopped', seen(Type.Object(origin))],
    ['seek', seen(Type.Object({ ...place, position: number, duration: number }))],
    ['volume', seen(GoVolume)],
    ['shuffle_context', seen(truth)],
    ['repeat_context', seen(truth)],
    ['repeat_track', seen(truth)],
  ]),
  'librespot-java': new Map([
    ['contextChanged', seen(Type.Object({ uri: text }))],
    ['trackChanged', seen(Type.Object({ uri: text, ...media }))],
    ['playbackPaused', seen(Type.Object(time))],
    ['playbackResumed', seen(Type.Object(time))],
    ['playbackEnded', seen()],
    ['playbackFailed', seen()],
    ['trackSeeked', seen(Type.Object(time))],
    ['metadataAvailable', seen(Type.Object(media))],
    ['playbackHaltStateChanged', seen(Type.Object({ ...time, halted: flag }))],
    ['inactiveSession', seen(Type.Object({ timeout: flag }))],
    ['volumeChanged', seen(Type.Object({ value: Type.Number({ minimum: 0, maximum: 1 }) }))],
    ['panic', seen()],
    ['sessionCleared', seen()],
    // Whose session it is now is nobody's business.
    ['sessionChanged', seen()],
    ['connectionDropped', seen()],
    ['connectionEstablished', seen()],
  ]),
}

/** What it takes to hear of an event. One that is not in the table is heard by nobody. */
export function eventCapability(kind: EventKind, type: string): Capability | undefined {
  return tables[kind].get(type)?.capability
}

/** The names of a player's events, for those who look after them. */
export function eventNames(kind: EventKind): readonly string[] {
  return [...tables[kind].keys()]
}

/** An event built anew from a message of the player; undefined for what is no event of ours, or of another shape. */
export function readEvent(kind: EventKind, value: unknown): LibrespotEvent | undefined {
  if (!isObject(value)) return undefined
  const type = kind === 'go-librespot' ? value.type : value.event
  const row = typeof type === 'string' ? tables[kind].get(type) : undefined
  if (typeof type !== 'string' || !row) return undefined
  if (!row.shape) return { type }
  const data = rebuilt(row.shape, kind === 'go-librespot' ? value.data : value)
  return isObject(data) ? { type, data } : undefined
}

/** An event as clients of that player know it. Undoes `readEvent`. */
export function writeEvent(kind: EventKind, { type, data }: LibrespotEvent): string {
  return JSON.stringify(kind === 'go-librespot' ? { type, data: data ?? null } : { event: type, ...data })
}
