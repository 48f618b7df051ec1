import type { Request } from '../call/call.ts'
import { isPermit, type Permit } from '../policy/decide.ts'
import { isObject } from '../protocol/jsonrpc/message.ts'
import { type EventKind, type LibrespotEvent, readEvent } from '../protocol/librespot/events.ts'
import { goLibrespot } from '../protocol/librespot/go.ts'
import { javaVolume, librespotJava } from '../protocol/librespot/java.ts'
import { blank, type Canvas, createCanvas, lineOf } from './canvas.ts'
import { createFeed, type FeedLimits } from './feed.ts'
import {
  type LiveState,
  type Picture,
  type PicturePlayer,
  type PlayerLog,
  type RestPlayer,
  UpstreamError,
} from './player.ts'
import { createRest, type RestLimits } from './rest.ts'

export interface LibrespotPlayer extends RestPlayer, PicturePlayer {}

export interface LibrespotOptions {
  /** The address of the player's web server, such as `http://127.0.0.1:3678`. */
  readonly url: string
  /** Unix ms. */
  now(): number
  /** Milliseconds that only ever grow: time of day jumps on machines that start without it. */
  clock?(): number
  /** 0 to 1, for the jitter of reconnecting. */
  random?(): number
  readonly log?: PlayerLog | undefined
  readonly limits?: Partial<LibrespotLimits>
}

export interface LibrespotLimits {
  readonly rest: Partial<RestLimits>
  readonly feed: Partial<FeedLimits>
  /** How soon after an event the player is asked how it is, and how seldom at most. */
  readonly refreshMs: number
}

const feedLimits: FeedLimits = {
  handshakeMs: 5_000,
  retryFirstMs: 100,
  retryMostMs: 5_000,
  messageBytes: 256 * 1024,
  windowMs: 1_000,
  eventsEach: 30,
  messagesMost: 2_000,
  bytesMost: 8 * 1024 * 1024,
  silenceMs: 20_000,
}

/** What one kind of player does in its own way. */
interface Dialect {
  readonly kind: EventKind
  /** Asks how the player is. */
  readonly question: Request
  readonly limits: Partial<RestLimits>
  /** The step that this call sets the volume to; undefined for any other. */
  volumeOf(permit: Permit): number | undefined
  /** Whether an answer to the question shows that something is loaded. */
  isLoaded(answer: unknown): boolean
  /** The picture and the state that an answer to the question shows; undefined for none. */
  see(answer: unknown, canvas: Canvas, at: number): Seen
  /** Draws what an event tells. @returns whether the player should be asked how it is now */
  apply(event: LibrespotEvent, canvas: Canvas, at: number): boolean
  /** The volume in its steps that an event tells. */
  heardVolume(event: LibrespotEvent): { readonly volume: number; readonly steps: number } | undefined
}

interface Seen {
  readonly picture: Picture
  readonly volume?: { readonly volume: number; readonly steps: number } | undefined
  /** What those who hear events have to hear who may have missed some. */
  readonly events: readonly LibrespotEvent[]
  /** Asked again it would show more. */
  readonly again?: boolean
}

/** A go-librespot. It handles one request at a time, and ends when it is to skip and nothing is loaded. */
export function createGoLibrespot(options: LibrespotOptions): LibrespotPlayer {
  return createLibrespot(options, go)
}

export function createLibrespotJava(options: LibrespotOptions): LibrespotPlayer {
  return createLibrespot(options, java())
}

function createLibrespot(
  { url, now, clock = () => performance.now(), random = Math.random, log, limits = {} }: LibrespotOptions,
  dialect: Dialect,
): LibrespotPlayer {
  const { kind, question } = dialect
  const refreshMs = limits.refreshMs ?? 500
  const canvas = createCanvas(now)
  const listeners = new Set<(event: LibrespotEvent) => void>()
  let known: { readonly track: boolean; readonly volume?: Seen['volume'] } | undefined
  /** Volumes on their way, in the order they were asked for. */
  const sent = new Map<Permit, { readonly turn: number; readonly volume: number }>()
  let turns = 0
  /** The latest that was done: what was asked for before it would undo it. */
  let done = 0
  let refresh: NodeJS.Timeout | undefined
  let isAsking = false
  let isStale = false
  let isMissed = false
  let isClosed = false

  const rest = createRest({
    url,
    protocol: kind,
    now: clock,
    limits: { ...dialect.limits, ...limits.rest },
    // In the same turn as the call that needs it, and never from memory.
    isLoaded: async (ask) => dialect.isLoaded(await ask(question)),
    isOvertaken: (permit) => (sent.get(permit)?.turn ?? Number.POSITIVE_INFINITY) < done,
  })
  const address = new URL('/events', url)
  address.protocol = 'ws:'
  const feed = createFeed({
    address,
    read: (message) => readEvent(kind, message),
    tell: hear,
    stands(isUp) {
      if (isUp) look()
      else {
        isMissed = true
        known = undefined
        canvas.set(undefined)
      }
    },
    limits: { ...feedLimits, ...limits.feed },
    now: clock,
    random,
    log,
  })

  function hear(event: LibrespotEvent): void {
    isStale = true
    const volume = dialect.heardVolume(event)
    if (volume) known = { track: known?.track ?? false, volume }
    // Before the first look there is nothing to draw on.
    if (canvas.picture && dialect.apply(event, canvas, now())) lookSoon()
    tell(event)
  }

  function tell(event: LibrespotEvent): void {
    for (const listener of listeners) listener(event)
  }

  function lookSoon(ms = refreshMs): void {
    if (!isClosed) refresh ??= setTimeout(look, ms)
  }

  /** Asks the player how it is. */
  function look(): void {
    clearTimeout(refresh)
    refresh = undefined
    if (isAsking || isClosed) return
    isAsking = true
    isStale = false
    rest
      .ask(question)
      .catch((error: unknown) => {
        // librespot-java fails at telling that it plays nothing.
        if (error instanceof UpstreamError) return undefined
        throw error
      })
      .then(take, () => {
        isAsking = false
        if (feed.up) lookSoon(10 * refreshMs)
      })
  }

  function take(answer: unknown): void {
    isAsking = false
    if (!feed.up) return
    const { picture, volume, events, again } = dialect.see(answer, canvas, now())
    known = { track: dialect.isLoaded(answer), volume: volume ?? known?.volume }
    canvas.set(picture)
    // What happened meanwhile may be in it or not.
    if (isStale || again) lookSoon()
    if (!isMissed) return
    isMissed = false
    for (const event of events) tell(event)
  }

  function live(): LiveState | undefined {
    if (!known?.volume) return undefined
    const [latest] = [...sent.values()].slice(-1)
    const { volume, steps } = known.volume
    return { track: known.track, volume: latest?.volume ?? volume, steps }
  }

  async function sendVolume(permit: Permit, volume: number): Promise<unknown> {
    const turn = ++turns
    sent.set(permit, { turn, volume })
    try {
      const answer = await rest.send(permit)
      if (turn > done && answer !== undefined) {
        done = turn
        if (known?.volume) known = { ...known, volume: { ...known.volume, volume } }
      }
      return answer
    } finally {
      sent.delete(permit)
    }
  }

  return {
    get live() {
      return live()
    },
    send(permit) {
      const volume = isPermit(permit) ? dialect.volumeOf(permit) : undefined
      return volume === undefined ? rest.send(permit) : sendVolume(permit, volume)
    },
    onEvent(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    get picture() {
      return canvas.picture
    },
    onPicture: canvas.onPicture,
    get up() {
      return feed.up && rest.up
    },
    async close() {
      isClosed = true
      clearTimeout(refresh)
      await Promise.all([feed.close(), rest.close()])
    },
  }
}

const go: Dialect = {
  kind: 'go-librespot',
  question: { operation: goLibrespot['GET /status'], args: {} },
  limits: { lane: { running: 1, runningEach: 1, costly: 1, waiting: 128, waitingEach: 32, costlyEach: 8 } },

  volumeOf({ call: { operation, args } }) {
    return operation.name === 'POST /player/volume' && typeof args.volume === 'number' ? args.volume : undefined
  },

  isLoaded: (answer) => isObject(membersOf(answer).track),

  see(answer, canvas, at) {
    const status = membersOf(answer)
    const track = membersOf(status.track)
    const isLoaded = isObject(status.track)
    const volume = stepsOf(status.volume, status.volume_steps)
    if (!isObject(answer)) return { picture: blank(at), events: [{ type: 'inactive' }] }
    const picture: Picture = {
      ...songOf(track, at),
      state: !isLoaded || status.stopped === true ? 'stopped' : status.paused === true ? 'paused' : 'playing',
      volume: volume ? percentOf(volume) : (canvas.picture?.volume ?? null),
      muted: null,
      options: optionsOf(status),
    }
    const place = { uri: track.uri, play_origin: status.play_origin }
    const events: LibrespotEvent[] = [
      ...(volume ? [{ type: 'volume', data: { value: volume.volume, max: volume.steps } }] : []),
      ...(['shuffle_context', 'repeat_context', 'repeat_track'] as const).map((type) => ({
        type,
        data: { value: status[type] },
      })),
      ...(isLoaded ? [{ type: 'metadata', data: track }] : []),
      picture.state === 'stopped'
        ? { type: 'stopped', data: { play_origin: status.play_origin } }
        : { type: picture.state, data: place },
    ]
    return { picture, volume, events }
  },

  heardVolume({ type, data = {} }) {
    return type === 'volume' ? stepsOf(data.value, data.max) : undefined
  },

  apply({ type, data = {} }, canvas, at) {
    switch (type) {
      case 'volume': {
        const volume = stepsOf(data.value, data.max)
        if (volume) canvas.change({ volume: percentOf(volume) })
        return false
      }
      case 'shuffle_context':
      case 'repeat_context':
      case 'repeat_track':
        // Which repeat it is cannot be told from one of the two alone.
        return true
      case 'seek':
        canvas.change({ position: numberOf(data.position), duration: numberOf(data.duration), at })
        return false
      case 'metadata':
        canvas.change(songOf(data, at))
        return true
      case 'playing':
      case 'paused':
        canvas.change({ state: type })
        return true
      case 'stopped':
      case 'inactive':
        canvas.change({ state: 'stopped' })
        return true
      default:
        return true
    }
  },
}

type Members = Readonly<Record<string, unknown>>

function songOf(track: Members, at: number) {
  const artists = Array.isArray(track.artist_names) ? track.artist_names : []
  return {
    title: lineOf(track.name),
    artist: lineOf(artists.filter((name) => typeof name === 'string').join(', ')),
    album: lineOf(track.album_name),
    uri: lineOf(track.uri),
    art: lineOf(track.album_cover_url),
    position: numberOf(track.position),
    duration: numberOf(track.duration),
    at,
  }
}

function optionsOf(status: Members): Picture['options'] {
  const single = status.repeat_track === true
  return {
    random: status.shuffle_context === true,
    repeat: single || status.repeat_context === true,
    single,
    consume: false,
  }
}

/** librespot-java says what it has, and only by events whether it plays and how loud. */
function java(): Dialect {
  let before: { readonly uri: unknown; readonly time: number } | undefined
  const heardVolume: Dialect['heardVolume'] = ({ type, data = {} }) =>
    type === 'volumeChanged' && typeof data.value === 'number'
      ? { volume: Math.round(data.value * javaVolume), steps: javaVolume }
      : undefined

  return {
    kind: 'librespot-java',
    question: { operation: librespotJava['POST /player/current'], args: {} },
    limits: {},

    volumeOf({ call: { operation, args } }) {
      return operation.name === 'POST /player/set-volume' && typeof args.volume === 'number' ? args.volume : undefined
    },

    isLoaded: (answer) => lineOf(membersOf(answer).current) !== null,

    see(answer, canvas, at) {
      const current = membersOf(answer)
      const uri = lineOf(current.current)
      const time = numberOf(current.trackTime) ?? 0
      const last = before
      before = uri === null ? undefined : { uri, time }
      const volume = canvas.picture?.volume ?? null
      if (uri === null)
        return {
          picture: { ...blank(at), volume },
          events: [{ type: 'inactiveSession', data: { timeout: false } }],
        }
      const isSeenTwice = last?.uri === uri
      const state = canvas.picture?.state === 'playing' ? 'playing' : 'paused'
      const picture: Picture = {
        ...mediaOf(current, at),
        uri,
        position: time,
        // What has moved plays, unless somebody moved it.
        state: !isSeenTwice ? state : time === last.time ? 'paused' : 'playing',
        volume,
        muted: null,
        options: null,
      }
      const { track, episode } = current
      const media = { ...(isObject(track) && { track }), ...(isObject(episode) && { episode }) }
      return { picture, events: [{ type: 'trackChanged', data: { uri, ...media } }], again: !isSeenTwice }
    },

    heardVolume,

    apply(event, canvas, at) {
      const { type, data = {} } = event
      switch (type) {
        case 'volumeChanged': {
          const volume = heardVolume(event)
          if (volume) canvas.change({ volume: percentOf(volume) })
          return false
        }
        case 'trackChanged':
          before = undefined
          canvas.change({ ...mediaOf(data, at), uri: lineOf(data.uri), position: 0 })
          return true
        case 'metadataAvailable':
          canvas.change({ ...mediaOf(data, at), position: canvas.picture?.position ?? null })
          return true
        case 'playbackPaused':
        case 'playbackResumed':
          before = undefined
          canvas.change({
            state: type === 'playbackPaused' ? 'paused' : 'playing',
            position: numberOf(data.trackTime),
            at,
          })
          return false
        case 'trackSeeked':
          before = undefined
          canvas.change({ position: numberOf(data.trackTime), at })
          return false
        case 'playbackHaltStateChanged':
          canvas.change({ position: numberOf(data.trackTime), at })
          return false
        case 'playbackEnded':
        case 'inactiveSession':
        case 'sessionCleared':
        case 'panic':
          canvas.change({ state: 'stopped' })
          return true
        default:
          return true
      }
    },
  }
}

function mediaOf({ track, episode }: Members, at: number) {
  const media = membersOf(isObject(track) ? track : episode)
  const artists = Array.isArray(media.artist) ? media.artist : []
  return {
    title: lineOf(media.name),
    artist: lineOf(artists.map((artist) => lineOf(membersOf(artist).name) ?? '').join(', ')),
    album: lineOf(membersOf(isObject(track) ? media.album : media.show).name),
    art: null,
    duration: numberOf(media.duration),
    at,
  }
}

function membersOf(value: unknown): Members {
  return isObject(value) ? value : {}
}

function numberOf(value: unknown): number | null {
  return typeof value === 'number' && value >= 0 ? value : null
}

function stepsOf(volume: unknown, steps: unknown): Seen['volume'] {
  if (!Number.isSafeInteger(volume) || !Number.isSafeInteger(steps)) return undefined
  const [at, most] = [Number(volume), Number(steps)]
  return most > 0 && at >= 0 && at <= most ? { volume: at, steps: most } : undefined
}

function percentOf({ volume, steps }: NonNullable<Seen['volume']>): number {
  return Math.ceil((volume * 100) / steps)
}
