import Type from 'typebox'
import { agreeing, alarming, besides, catalog, needing, op, refuse, sending } from '../../call/catalog.ts'
import { optional, param, replaceable } from '../../call/param.ts'
import { answering, flag, nullable, number, text } from '../rest/answer.ts'
import { ContextUri, TrackUri } from './id.ts'

/** The loudest it goes, in its own steps. */
export const javaVolume = 65_536

const track = param(TrackUri, 'uri')
const context = param(ContextUri, 'uri')
const on = param(Type.Boolean())
const milliseconds = param(Type.Integer({ minimum: 0, maximum: 86_400_000 }))
const volume = replaceable(
  param(Type.Integer({ minimum: 0, maximum: javaVolume }), 'volume', (steps) => [
    Math.ceil((steps * 100) / javaVolume),
  ]),
  javaVolume,
)
/** So many of the player's own steps up or down, whose size it does not tell: nothing can be said of where that leads. */
const step = param(
  Type.Refine(Type.Integer({ minimum: -100, maximum: 100 }), (steps) => steps !== 0),
  'volume',
  () => [],
)
const kind = param(Type.Enum(['track', 'episode', 'album', 'artist', 'playlist', 'show']))
const words = param(Type.String({ pattern: '^[^/\\\\%\\u0000-\\u001f\\u007f-\\u009f]+$', maxLength: 200 }))
const user = param(Type.String({ pattern: '^[A-Za-z0-9._-]+$', maxLength: 100 }))

const costly = { costly: true } as const
const login = "it hands out the owner's login"
const account = "it acts as the owner's account"

/**
 * librespot-java's REST API. The player lets a body and a query override the path, so that neither is ever passed on: what
 * it gets is a form of ours, and no query.
 */
export const librespotJava = catalog('librespot-java', {
  'POST /player/load': sending(
    'form',
    besides(
      { shuffle: 'options.set' },
      op('queue.replace', { uri: context, play: optional(on), shuffle: optional(on) }),
    ),
  ),
  'POST /player/play-pause': sending('form', op('playback.control')),
  'POST /player/pause': sending('form', op('playback.control')),
  'POST /player/resume': sending('form', op('playback.control')),
  'POST /player/next': sending('form', op('playback.skip')),
  'POST /player/prev': sending('form', op('playback.skip')),
  'POST /player/volume-up': needing('volume', sending('form', op('volume.set'))),
  'POST /player/volume-down': needing('volume', sending('form', op('volume.set'))),
  'POST /player/current': sending('form', op('status.read')),
  'POST /player/seek': sending('form', op('playback.control', { pos: milliseconds })),
  'POST /player/set-volume': needing(
    'volume',
    sending(
      'form',
      agreeing(
        (args) => ((args.volume === undefined) === (args.step === undefined) ? 'either volume or step' : undefined),
        op('volume.set', { volume: optional(volume), step: optional(step) }),
      ),
    ),
  ),
  'POST /player/shuffle': sending('form', op('options.set', { val: on })),
  'POST /player/repeat': sending('form', op('options.set', { val: param(Type.Enum(['none', 'track', 'context'])) })),
  'POST /player/tracks': sending('form', op('queue.read', { withQueue: optional(on) })),
  'POST /player/addToQueue': sending('form', op('queue.add', { uri: track })),
  'POST /player/removeFromQueue': sending('form', op('queue.edit', { uri: track })),

  'POST /metadata/{type}/{uri}': sending('form', op('library.read', { type: kind, uri: context }, costly)),
  'POST /search/{query}': sending('form', op('library.read', { query: words }, costly)),
  'GET /instance': op('status.read'),
  'GET /events': op('status.read'),

  'POST /instance/close': alarming(sending('form', op('server.admin'))),
  'POST /profile/{user}/followers': sending('form', op('server.admin', { user })),
  'POST /profile/{user}/following': sending('form', op('server.admin', { user })),
  'POST /discovery/list': sending('form', op('server.admin')),

  'POST /instance/terminate': alarming(refuse('server.admin', 'it ends the player')),
  'ANY /token/*': alarming(refuse('server.admin', login)),
  'ANY /web-api/*': alarming(refuse('server.admin', account)),
})

const few = 100
const Artist = Type.Object({ gid: Type.Optional(text), name: Type.Optional(text) })
const artists = Type.Optional(Type.Array(Artist, { maxItems: few }))
const Image = Type.Object({
  fileId: Type.Optional(text),
  size: Type.Optional(text),
  width: Type.Optional(number),
  height: Type.Optional(number),
})
const Images = Type.Object({ image: Type.Optional(Type.Array(Image, { maxItems: few })) })
const Day = Type.Object({ year: Type.Optional(number), month: Type.Optional(number), day: Type.Optional(number) })

const Album = Type.Object({
  gid: Type.Optional(text),
  name: Type.Optional(text),
  artist: artists,
  date: Type.Optional(Day),
  coverGroup: Type.Optional(Images),
})

export const JavaTrack = Type.Object({
  gid: Type.Optional(text),
  name: Type.Optional(text),
  album: Type.Optional(Album),
  artist: artists,
  number: Type.Optional(number),
  discNumber: Type.Optional(number),
  duration: Type.Optional(number),
  popularity: Type.Optional(number),
  explicit: Type.Optional(flag),
})

const Show = Type.Object({ gid: Type.Optional(text), name: Type.Optional(text), coverImage: Type.Optional(Images) })

export const JavaEpisode = Type.Object({
  gid: Type.Optional(text),
  name: Type.Optional(text),
  duration: Type.Optional(number),
  number: Type.Optional(number),
  publishTime: Type.Optional(Day),
  coverImage: Type.Optional(Images),
  show: Type.Optional(Show),
  explicit: Type.Optional(flag),
})

/** What `load` made the queue, entry by entry. */
const Entry = Type.Object({
  uri: Type.Optional(text),
  uid: Type.Optional(text),
  gid: Type.Optional(text),
})
const entries = Type.Optional(Type.Array(Entry, { maxItems: 10_000 }))

/** One shape for whatever a look-up may tell: each kind of thing has some of these. */
const Metadata = Type.Object({
  ...JavaTrack.properties,
  ...Album.properties,
  publishTime: Type.Optional(Day),
  coverImage: Type.Optional(Images),
  show: Type.Optional(Show),
  publisher: Type.Optional(text),
  description: Type.Optional(Type.String({ maxLength: 10_000 })),
  portraitGroup: Type.Optional(Images),
  disc: Type.Optional(
    Type.Array(
      Type.Object({
        number: Type.Optional(number),
        track: Type.Optional(Type.Array(Type.Object({ gid: Type.Optional(text) }), { maxItems: 1000 })),
      }),
      { maxItems: few },
    ),
  ),
})

const Hit = Type.Object({
  uri: Type.Optional(text),
  name: Type.Optional(text),
  image: Type.Optional(text),
  artists: Type.Optional(Type.Array(Type.Object({ uri: Type.Optional(text), name: text }), { maxItems: few })),
  album: Type.Optional(Type.Object({ uri: Type.Optional(text), name: text })),
  duration: Type.Optional(number),
})
const Hits = Type.Object({ hits: Type.Optional(Type.Array(Hit, { maxItems: few })), total: Type.Optional(number) })

export const JavaCurrent = Type.Object({
  current: Type.Optional(text),
  track: Type.Optional(JavaTrack),
  episode: Type.Optional(JavaEpisode),
  trackTime: Type.Optional(number),
})

/** What an answer may hold, by row. A row that is not here answers nothing. */
export const javaAnswers = answering(librespotJava, {
  'POST /player/current': JavaCurrent,
  'POST /player/tracks': Type.Object({ current: Type.Optional(nullable(Entry)), next: entries, prev: entries }),
  'POST /metadata/{type}/{uri}': Metadata,
  'POST /search/{query}': Type.Object({
    results: Type.Optional(
      Type.Object({
        tracks: Type.Optional(Hits),
        albums: Type.Optional(Hits),
        artists: Type.Optional(Hits),
        playlists: Type.Optional(Hits),
        shows: Type.Optional(Hits),
        audioepisodes: Type.Optional(Hits),
      }),
    ),
  }),
  // Not whose login it has, nor the number of its device, nor where its owner lives.
  'GET /instance': Type.Object({ device_name: Type.Optional(text), device_type: Type.Optional(text) }),
  'POST /profile/{user}/followers': Type.Object({ profiles: Type.Optional(Type.Array(Hit, { maxItems: few })) }),
  'POST /profile/{user}/following': Type.Object({ profiles: Type.Optional(Type.Array(Hit, { maxItems: few })) }),
  'POST /discovery/list': Type.Array(
    Type.Object({ name: text, target: Type.Optional(text), port: Type.Optional(number) }),
    {
      maxItems: few,
    },
  ),
})
