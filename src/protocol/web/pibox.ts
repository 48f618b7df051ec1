import Type, { type Static } from 'typebox'
import { catalog, goingOn, needing, op } from '../../call/catalog.ts'
import { optional, param } from '../../call/param.ts'
import { Line, Uri } from '../mopidy/model.ts'
import { answering, flag, nullable, number, text } from '../rest/answer.ts'

const uri = param(Uri, 'uri')
const on = param(Type.Boolean())
const costly = { costly: true } as const

const Playlists = Type.Array(
  Type.Object({ uri: Uri, name: Line, type: Type.Optional(Line) }, { additionalProperties: false }),
  { maxItems: 50 },
)
const playlists = param(Playlists, 'uri', (items: Static<typeof Playlists>) => items.map((item) => item.uri))

/** Mopidy-Pibox, as its own page writes the paths. It counts voters by what they say they are: see `piboxVoter`. */
export const pibox = catalog('web', {
  'GET /pibox/api/tracklist/': op('queue.read'),
  'GET /pibox/api/tracklist': op('queue.read'),
  'POST /pibox/api/tracklist': op('queue.add', { track: uri }, { costly: true, streams: 1 }),
  /** The last vote takes the song out of the queue. */
  'POST /pibox/api/vote': op('queue.edit', { uri }),
  'GET /pibox/api/session': op('queue.read'),
  /** It fills the queue up from these playlists, song by song. */
  'POST /pibox/api/session': needing(
    'adds',
    goingOn(
      op('queue.replace', {
        skipThreshold: param(Type.Integer({ minimum: 1, maximum: 1000 })),
        playlists: optional(playlists),
        autoStart: optional(on),
        shuffle: optional(on),
      }),
    ),
  ),
  /** It stops the music and empties the queue. */
  'DELETE /pibox/api/session': op('queue.clear'),
  'GET /pibox/api/suggestions': op('library.read', {}, costly),
  'GET /pibox/config': op('status.read'),
  'GET /pibox/ws': op('status.read'),
})

/** The header by which Pibox tells voters apart: ours to set, one value per account. */
export const piboxVoter = 'x-pibox-fingerprint'

const names = Type.Optional(
  Type.Array(Type.Object({ name: Type.Optional(text), uri: Type.Optional(text) }), { maxItems: 100 }),
)
const PiboxTrack = Type.Object({
  uri: text,
  name: Type.Optional(text),
  length: Type.Optional(number),
  artists: names,
  album: Type.Optional(Type.Object({ name: Type.Optional(text), uri: Type.Optional(text), artists: names })),
})
const Tracklist = Type.Array(Type.Object({ info: PiboxTrack, votes: number, voted: flag }), { maxItems: 10_000 })
const uris = Type.Array(text, { maxItems: 10_000 })
const Session = Type.Object({
  started: flag,
  startTime: nullable(text),
  skipThreshold: number,
  playlists: Type.Array(Type.Object({ uri: text, name: Type.Optional(text) }), { maxItems: 50 }),
  playedTracks: uris,
  remainingPlaylistTracks: uris,
})

export const piboxAnswers = answering(pibox, {
  'GET /pibox/api/tracklist/': Type.Object({ tracklist: Tracklist }),
  'GET /pibox/api/tracklist': Type.Object({ tracklist: Tracklist }),
  'POST /pibox/api/tracklist': Type.Object({ tracklist: Tracklist, error: nullable(text) }),
  'GET /pibox/api/session': Session,
  'GET /pibox/api/suggestions': Type.Object({ suggestions: Type.Array(PiboxTrack, { maxItems: 100 }) }),
  'GET /pibox/config': Type.Object({
    offline: Type.Optional(nullable(flag)),
    defaultPlaylists: Type.Optional(Type.Array(text, { maxItems: 50 })),
    defaultSkipThreshold: Type.Optional(number),
  }),
})
