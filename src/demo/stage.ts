import type { AddressInfo, Server } from 'node:net'

export interface Track {
  readonly __model__: 'Track'
  readonly uri: string
  readonly name: string
  readonly artists: readonly { readonly __model__: 'Artist'; readonly uri: string; readonly name: string }[]
  readonly album: { readonly __model__: 'Album'; readonly uri: string; readonly name: string; readonly date: string }
  readonly track_no: number
  readonly date: string
  readonly genre: string
  /** Milliseconds. */
  readonly length: number
}

export interface TlTrack {
  readonly __model__: 'TlTrack'
  readonly tlid: number
  readonly track: Track
}

export interface Playlist {
  readonly __model__: 'Playlist'
  readonly uri: string
  readonly name: string
  readonly tracks: readonly { readonly uri: string; readonly name?: string }[]
  readonly last_modified: number
}

export type PlayerEvent = Readonly<Record<string, unknown>> & { readonly event: string }
export type Option = 'consume' | 'random' | 'repeat' | 'single'

/** How the demo player misbehaves when a test asks it to. Nothing is on by default, and nothing but a test sets it. */
export interface Faults {
  /** The faults below meet only commands whose name matches (`core.library.lookup`, `search`). */
  only?: RegExp
  /** Takes everything and answers nothing; over MPD not even the greeting. */
  hang?: boolean
  /** Answers this many milliseconds late, in order. */
  slow?: number
  /** Mopidy's way to say that something broke: an HTML page where JSON should be. */
  html?: boolean
  /** A bare `NaN` in the answer, as Python writes it. */
  nan?: boolean
  /** Destroys the socket when a command comes. */
  crash?: boolean
  /** The first half of the answer, then silence. */
  half?: boolean
  /** What `binary:` announces beyond the bytes that follow. */
  binary?: number
  /** A line of this many bytes before each MPD answer. */
  longLine?: number
  /** Every track's title, sent over MPD as it is: with `\nOK\n` inside, say. */
  title?: string
  /** Errors carry a Python traceback with paths. */
  traceback?: boolean
  /** So many events before every answer. */
  flood?: number
  /** What the MPD door says first. */
  greeting?: string
}

/** Every byte that reached a door, as text: HTTP requests as sent, WebSocket messages, MPD chunks. */
export interface Received {
  readonly http: string[]
  readonly websocket: string[]
  readonly mpd: string[]
}

/** What a door needs of the house around it. */
export interface Stage {
  readonly player: Player
  readonly faults: Faults
  readonly received: Received
  /** Hears each event; answers with how to stop. */
  listen(listener: (event: PlayerEvent) => void): () => void
}

/** A door of the demo player, listening. */
export interface Door {
  readonly port: number
  close(): Promise<void>
}

/** Listens on loopback; `drop` ends the connections that are still open when it closes. */
export function openDoor(server: Server, port: number, drop: () => void): Promise<Door> {
  return new Promise((resolve, reject) => {
    server.once('error', reject).listen(port, '127.0.0.1', () =>
      resolve({
        port: (server.address() as AddressInfo).port,
        close: () =>
          new Promise((done) => {
            server.close(() => done())
            drop()
          }),
      }),
    )
  })
}

/** A wish the player cannot fulfil, in Mopidy's words. */
export class Refused extends Error {
  readonly type: string

  constructor(type: string, message: string) {
    super(message)
    this.type = type
  }
}

const albums = [
  ['Demo Lights', 'Demo Lamplighters', '2001', 'Waltz', ['Curtain', 'Gaslight', 'Limelight', 'Spot', 'Blackout']],
  ['Demo Echoes', 'Demo Fóyer Quartet', '2008', 'Jazz', ['Stairs', 'Hall', 'Gallery', 'Balcony', 'Box "Five"']],
  [
    'Demo Machinery',
    'Demo Fly Loft',
    '2015',
    'Electronic',
    ['Rope', 'Pulley', 'Trapdoor', 'Thunder Sheet', 'Counterweight'],
  ],
  ['Demo Encores', 'Demo Lamplighters', '2022', 'Waltz', ['Bow', 'Roses', 'Once More', 'Last Tram', 'Empty Seats']],
] as const

const slug = (name: string) =>
  encodeURIComponent(
    name
      .replace(/^Demo /, '')
      .replaceAll(' ', '-')
      .toLowerCase(),
  )

export const library: readonly Track[] = albums.flatMap(([album, artist, date, genre, titles], a) =>
  titles.map(
    (title, t): Track => ({
      __model__: 'Track',
      uri: `local:track:demo/${slug(album)}/${String(t + 1).padStart(2, '0')}-${slug(title)}`,
      name: `Demo ${title}`,
      artists: [{ __model__: 'Artist', uri: `local:artist:demo/${slug(artist)}`, name: artist }],
      album: { __model__: 'Album', uri: `local:album:demo/${slug(album)}`, name: album, date },
      track_no: t + 1,
      date,
      genre,
      length: 150_000 + a * 17_000 + t * 11_000,
    }),
  ),
)

export type Player = ReturnType<typeof createPlayer>

/** Queue, playback, volume and playlists of one player; it makes no sound. Positions are in milliseconds. */
export function createPlayer(deps: { now(): number; emit(event: PlayerEvent): void }) {
  const { now, emit } = deps
  const options: Record<Option, boolean> = { consume: false, random: false, repeat: false, single: false }
  const playlists = new Map<string, Playlist>()
  const history: (readonly [number, { __model__: 'Ref'; type: 'track'; uri: string; name: string }])[] = []
  let queue: readonly TlTrack[] = []
  let lastTlid = 0
  let version = 0
  let current: TlTrack | undefined
  let state: 'stopped' | 'playing' | 'paused' = 'stopped'
  let heard = 0 // of the current track, up to `since`
  let since = now()
  let volume = 50
  let mute = false

  const position = () => (state === 'playing' ? heard + now() - since : heard)
  const indexOf = (entry: TlTrack | undefined) => (entry ? queue.indexOf(entry) : -1)

  function become(next: typeof state) {
    heard = next === 'stopped' ? 0 : position()
    since = now()
    const previous = state
    state = next
    emit({ event: 'playback_state_changed', old_state: previous, new_state: next })
  }

  function begin(entry: TlTrack | undefined) {
    if (current && state !== 'stopped')
      emit({ event: 'track_playback_ended', tl_track: current, time_position: position() })
    if (!entry) {
      current = undefined
      if (state !== 'stopped') become('stopped')
      return
    }
    current = entry
    become('playing')
    heard = 0
    history.unshift([now(), { __model__: 'Ref', type: 'track', uri: entry.track.uri, name: entry.track.name }])
    history.splice(1_000)
    emit({ event: 'track_playback_started', tl_track: entry })
  }

  function changed(next: readonly TlTrack[]) {
    queue = next
    version++
    emit({ event: 'tracklist_changed' })
  }

  function after(entry: TlTrack | undefined, step: 1 | -1, ended = false): TlTrack | undefined {
    const at = indexOf(entry)
    if (ended && options.single) return options.repeat ? entry : undefined
    if (options.random && queue.length > 1 && step === 1) {
      return queue[
        (at + 1 + ((Math.imul(version + history.length, 2654435761) >>> 8) % (queue.length - 1))) % queue.length
      ]
    }
    return queue[at + step] ?? (options.repeat && step === 1 ? queue[0] : undefined)
  }

  function leave(next: TlTrack | undefined) {
    const gone = current
    begin(next)
    if (options.consume && gone && gone !== next) changed(queue.filter((entry) => entry !== gone))
  }

  const player = {
    options,
    playlists,
    history,
    get queue() {
      return queue
    },
    get version() {
      return version
    },
    get current() {
      return current
    },
    get state() {
      return state
    },
    get volume() {
      return volume
    },
    get mute() {
      return mute
    },
    position,
    following: (entry = current) => after(entry, 1),
    preceding: (entry = current) => after(entry, -1),

    /** Lets the time that has passed have its effect: a track that is over makes room for the next. */
    settle() {
      while (state === 'playing' && current && position() >= current.track.length) leave(after(current, 1, true))
    },
    /** The tracks behind a track's, an album's or an artist's URI. */
    lookup: (uri: string) =>
      library.filter((t) => t.uri === uri || t.album.uri === uri || t.artists.some((artist) => artist.uri === uri)),
    add(uris: readonly string[], at = queue.length): readonly TlTrack[] {
      const entries = uris
        .flatMap(player.lookup)
        .map((track): TlTrack => ({ __model__: 'TlTrack', tlid: ++lastTlid, track }))
      if (queue.length + entries.length > 10_000)
        throw new Refused('TracklistFull', 'Tracklist may contain max 10000 tracks')
      if (entries.length > 0) changed(queue.toSpliced(at, 0, ...entries))
      return entries
    },
    remove(gone: readonly TlTrack[]) {
      changed(queue.filter((entry) => !gone.includes(entry)))
      if (current && gone.includes(current)) begin(undefined)
    },
    move(start: number, end: number, to: number) {
      if (!(start >= 0 && start < end && end <= queue.length && to >= 0 && to <= queue.length - (end - start))) {
        throw new Refused('AssertionError', 'positions must lie inside the tracklist')
      }
      changed(queue.toSpliced(start, end - start).toSpliced(to, 0, ...queue.slice(start, end)))
    },
    swap(a: TlTrack, b: TlTrack) {
      changed(queue.map((entry) => (entry === a ? b : entry === b ? a : entry)))
    },
    shuffle(start = 0, end = queue.length) {
      const part = queue.slice(start, end)
      changed([...queue.slice(0, start), ...part.slice(1).reverse(), ...part.slice(0, 1), ...queue.slice(end)])
    },
    play(tlid?: number) {
      const wanted = tlid === undefined ? (current ?? queue[0]) : queue.find((entry) => entry.tlid === tlid)
      if (tlid !== undefined && !wanted) return
      if (tlid === undefined && state === 'paused') return player.resume()
      begin(wanted)
    },
    pause() {
      if (state !== 'playing') return
      become('paused')
      emit({ event: 'track_playback_paused', tl_track: current, time_position: heard })
    },
    resume() {
      if (state !== 'paused') return
      become('playing')
      emit({ event: 'track_playback_resumed', tl_track: current, time_position: heard })
    },
    stop() {
      if (state === 'stopped') return
      emit({ event: 'track_playback_ended', tl_track: current, time_position: position() })
      become('stopped')
    },
    next: () => leave(after(current, 1)),
    previous: () => begin(after(current, -1) ?? current),
    seek(to: number): boolean {
      if (!current || to < 0) return false
      if (state === 'stopped') begin(current)
      heard = to
      since = now()
      emit({ event: 'seeked', time_position: to })
      player.settle()
      return true
    },
    setVolume(value: number): boolean {
      volume = value
      emit({ event: 'volume_changed', volume })
      return true
    },
    setMute(value: boolean): boolean {
      mute = value
      emit({ event: 'mute_changed', mute })
      return true
    },
    setOption(option: Option, value: boolean) {
      options[option] = value
      emit({ event: 'options_changed' })
    },
    savePlaylist(uri: string, name: string, tracks: Playlist['tracks']): Playlist {
      const playlist: Playlist = { __model__: 'Playlist', uri, name, tracks, last_modified: now() }
      playlists.set(uri, playlist)
      emit({ event: 'playlist_changed', playlist })
      return playlist
    },
    deletePlaylist(uri: string): boolean {
      if (!playlists.delete(uri)) return false
      emit({ event: 'playlist_deleted', uri })
      return true
    },
  }
  player.savePlaylist('m3u:Demo%20evening.m3u8', 'Demo evening', library.slice(3, 9))
  return player
}

/** Where playlists of a name live. */
export const playlistUri = (name: string) => `m3u:${encodeURIComponent(name)}.m3u8`

export const sleep = (milliseconds: number) =>
  new Promise<void>((resolve) => void setTimeout(resolve, milliseconds).unref())

/** Records, but not without end: the demo player may run for weeks. */
export function keep(list: string[], text: string): void {
  if (list.push(text) > 5_000) list.shift()
}
