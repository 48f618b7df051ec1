import Type, { type Static, type TProperties, type TSchema } from 'typebox'

/** Mopidy takes no URI without a scheme; a playlist file would read one as a path of the player's own disk. */
export const Uri = Type.String({ pattern: '^[A-Za-z][A-Za-z0-9+.-]*:', maxLength: 2048 })

/** Playlists that are files may be no other file: Mopidy writes and deletes whatever name it is given, up to a `?`. */
export const PlaylistUri = Type.String({
  pattern: '^(?![Mm]3[Uu]:)[A-Za-z][A-Za-z0-9+.-]*:|^[Mm]3[Uu]:[^?#]*[^/?#]\\.m3u8?$',
  maxLength: 2048,
})

/** One line: a break in a name is a line of its own in a playlist file. */
export const Line = Type.String({ pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]*$', maxLength: 2048 })
const Text = Type.String({ pattern: '^[^\\u0000]*$', maxLength: 10_000 })

/** What becomes a file name. */
export const PlaylistName = Type.String({
  pattern: '^(?!\\.)[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029/\\\\]+$',
  maxLength: 200,
})

export const uint = Type.Integer({ minimum: 0, maximum: 2 ** 31 })
const Time = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })

/** A Mopidy model; nothing is let through that is not known, since Mopidy builds objects from what it is given. */
function model<const N extends string, P extends TProperties>(name: N, properties: P) {
  return Type.Object({ __model__: Type.Literal(name), ...properties }, { additionalProperties: false })
}

const list = <S extends TSchema>(schema: S, maxItems = 100) => Type.Optional(Type.Array(schema, { maxItems }))
const line = Type.Optional(Line)
const count = Type.Optional(uint)

const Artist = model('Artist', { uri: Type.Optional(Uri), name: line, sortname: line, musicbrainz_id: line })

const Album = model('Album', {
  uri: Type.Optional(Uri),
  name: line,
  artists: list(Artist),
  num_tracks: count,
  num_discs: count,
  date: line,
  musicbrainz_id: line,
})

export const Track = model('Track', {
  uri: Type.Optional(Uri),
  name: line,
  artists: list(Artist),
  album: Type.Optional(Album),
  composers: list(Artist),
  performers: list(Artist),
  genre: line,
  track_no: count,
  disc_no: count,
  date: line,
  length: count,
  bitrate: count,
  comment: Type.Optional(Text),
  musicbrainz_id: line,
  last_modified: Type.Optional(Time),
})

export const TlTrack = model('TlTrack', { tlid: uint, track: Track })

export const Playlist = model('Playlist', {
  uri: PlaylistUri,
  name: Type.Optional(PlaylistName),
  tracks: list(Track, 1000),
  last_modified: Type.Optional(Time),
})
export type Playlist = Static<typeof Playlist>

/** Every `uri` in a model, however deep: its own, its tracks', their albums' and artists'. */
export function urisIn(value: unknown): unknown[] {
  if (Array.isArray(value)) return value.flatMap(urisIn)
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, item]) => (key === 'uri' ? [item] : urisIn(item)))
}
