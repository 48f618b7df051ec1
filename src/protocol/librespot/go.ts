import Type from 'typebox'
import { agreeing, alarming, besides, catalog, needing, op, refuse, showing } from '../../call/catalog.ts'
import { optional, param } from '../../call/param.ts'
import { answering, flag, Name, nullable, number, text } from '../rest/answer.ts'
import { ContextUri, TrackUri } from './id.ts'

const day = 86_400_000
const track = param(TrackUri, 'uri')
const context = param(ContextUri, 'uri')
const on = param(Type.Boolean())
const position = param(Type.Integer({ minimum: 0, maximum: day }))
/** Forwards or back from where it is, when the call is relative. */
const shift = param(Type.Integer({ minimum: -day, maximum: day }))
/** In steps of the player, whose number only the player knows: nothing can be said of it before it is resolved. */
const volume = param(Type.Integer({ minimum: -65_535, maximum: 65_535 }), 'volume', () => [])
const notBelow = (name: string) => (args: Readonly<Record<string, unknown>>) =>
  args.relative !== true && Number(args[name]) < 0 ? `${name} is negative` : undefined

const login = "it hands out the owner's login"
const account = "it acts as the owner's account"

/** go-librespot's REST API. A key stands once, in this spelling: the player itself would take any case and the last one. */
export const goLibrespot = catalog('go-librespot', {
  'GET /': op('status.read'),
  'GET /status': showing('volume', op('status.read')),
  'GET /player/volume': showing('volume', op('status.read')),
  'GET /events': op('status.read'),

  'POST /player/resume': op('playback.control'),
  'POST /player/pause': op('playback.control'),
  'POST /player/playpause': op('playback.control'),
  'POST /player/seek': agreeing(
    notBelow('position'),
    op('playback.control', { position: shift, relative: optional(on) }),
  ),

  'POST /player/repeat_context': op('options.set', { repeat_context: on }),
  'POST /player/repeat_track': op('options.set', { repeat_track: on }),
  'POST /player/shuffle_context': op('options.set', { shuffle_context: on }),

  'POST /player/next': needing('track', besides({ uri: 'queue.add' }, op('playback.skip', { uri: optional(track) }))),
  'POST /player/prev': needing('track', op('playback.skip')),
  'POST /player/volume': needing(
    'steps',
    agreeing(notBelow('volume'), op('volume.set', { volume, relative: optional(on) })),
  ),

  'POST /player/add_to_queue': op('queue.add', { uri: track }),
  'POST /player/play': op('queue.replace', {
    uri: context,
    skip_to_uri: optional(track),
    paused: optional(on),
    position: optional(position),
  }),

  'POST /player/stop': op('server.admin'),
  'POST /set_device_name': op('server.admin', { name: param(Name) }),

  'POST /player/output': alarming(refuse('outputs.set', 'it reaches the audio driver')),
  'POST /token': alarming(refuse('server.admin', login)),
  'ANY /web-api/*': alarming(refuse('server.admin', account)),
})

export const GoTrack = Type.Object({
  uri: text,
  name: text,
  artist_names: Type.Array(text, { maxItems: 100 }),
  album_name: text,
  album_cover_url: Type.Optional(nullable(text)),
  position: Type.Optional(number),
  duration: Type.Optional(number),
  release_date: Type.Optional(text),
  track_number: Type.Optional(number),
  disc_number: Type.Optional(number),
  format: Type.Optional(text),
  codec: Type.Optional(text),
  bitrate: Type.Optional(nullable(number)),
  sample_rate: Type.Optional(nullable(number)),
  bit_depth: Type.Optional(nullable(number)),
})

export const GoVolume = Type.Object({ value: number, max: number })

/** The status of the player. Whose login it has, and the number of its device, are nobody's business. */
export const GoStatus = Type.Object({
  device_type: Type.Optional(text),
  device_name: Type.Optional(text),
  play_origin: Type.Optional(text),
  stopped: flag,
  paused: flag,
  buffering: Type.Optional(flag),
  volume: number,
  volume_steps: number,
  repeat_context: flag,
  repeat_track: flag,
  shuffle_context: flag,
  track: nullable(GoTrack),
})

/** What an answer may hold, by row. A row that is not here answers nothing. */
export const goAnswers = answering(goLibrespot, {
  'GET /': Type.Object({ playback_ready: Type.Optional(flag) }),
  'GET /status': GoStatus,
  'GET /player/volume': GoVolume,
})
