import { isObject } from '../protocol/jsonrpc/message.ts'
import { mopidy } from '../protocol/mopidy/catalog.ts'
import { mpd } from '../protocol/mpd/catalog.ts'
import { lineOf } from './canvas.ts'
import type { MopidyPlayer, Question } from './mopidy.ts'
import type { WatchedMpd } from './mpd.ts'
import type { Sitter } from './picture.ts'
import type { Picture } from './player.ts'

const ask = (name: Question['operation']['name'], args: Question['args'] = {}): Question => ({
  operation: mopidy[name],
  args,
})

/** How long a picture waits for its image. */
const artMs = 300

/** @param now unix ms */
export function mopidySitter(player: MopidyPlayer, now: () => number): Sitter {
  /** The latest image that was asked for, and undefined for the one that could not be. */
  let art: { readonly uri: string; readonly found: Promise<string | null | undefined> } | undefined
  let retouch: Parameters<Sitter['watch']>[1] | undefined

  /** Mopidy may search long for an image: the picture does not wait for it, and gets it when it comes. */
  async function artOf(uri: string): Promise<string | null> {
    if (art?.uri !== uri) art = { uri, found: findArt(uri) }
    const { found } = art
    const late = Symbol('late')
    const patience = new Promise<typeof late>((resolve) => setTimeout(resolve, artMs, late))
    const address = await Promise.race([found, patience])
    if (address !== late) return address ?? null
    void found.then((at) => retouch?.((canvas) => canvas.picture?.uri === uri && canvas.change({ art: at ?? null })))
    return null
  }

  async function findArt(uri: string): Promise<string | null | undefined> {
    try {
      const images = await player.ask(ask('core.library.get_images', { uris: [uri] }))
      return isObject(images) ? bestOf(images[uri]) : null
    } catch {
      if (art?.uri === uri) art = undefined
      return undefined
    }
  }

  return {
    async sit() {
      const at = now()
      const [state, track, stream, position, volume, muted, random, repeat, single, consume] = await Promise.all([
        player.ask(ask('core.playback.get_state')),
        player.ask(ask('core.playback.get_current_track')),
        player.ask(ask('core.playback.get_stream_title')),
        player.ask(ask('core.playback.get_time_position')),
        player.ask(ask('core.mixer.get_volume')),
        player.ask(ask('core.mixer.get_mute')),
        player.ask(ask('core.tracklist.get_random')),
        player.ask(ask('core.tracklist.get_repeat')),
        player.ask(ask('core.tracklist.get_single')),
        player.ask(ask('core.tracklist.get_consume')),
      ])
      const song = isObject(track) ? track : undefined
      const uri = addressOf(song?.uri)
      return {
        state: stateOf(state),
        title: lineOf(stream) ?? lineOf(song?.name),
        artist: namesOf(song?.artists),
        album: lineOf(isObject(song?.album) ? song.album.name : undefined),
        uri,
        art: uri === null ? null : await artOf(uri),
        position: song ? countOf(position) : null,
        at,
        duration: countOf(song?.length),
        volume: percentOf(volume),
        muted: typeof muted === 'boolean' ? muted : null,
        options: {
          random: random === true,
          repeat: repeat === true,
          single: single === true,
          consume: consume === true,
        },
      } satisfies Picture
    },
    watch(changed, draw) {
      retouch = draw
      const unhear = player.onEvent(({ event, volume, mute, time_position: position }) => {
        if (event === 'volume_changed') draw((canvas) => canvas.change({ volume: percentOf(volume) }))
        else if (event === 'mute_changed') draw((canvas) => canvas.change({ muted: mute === true }))
        else if (event === 'seeked') draw((canvas) => canvas.change({ position: countOf(position), at: now() }))
        // Nothing of the stored playlists is in a picture.
        else if (!event.startsWith('playlist')) changed()
      })
      const unstand = player.onStand(changed)
      return () => {
        retouch = undefined
        unhear()
        unstand()
      }
    },
  }
}

/** Two questions with one answer. */
const doings = [mpd.status, mpd.currentsong].map((operation) => ({ operation, args: {} }))

/** What may show in a picture. */
const subsystems: ReadonlySet<string> = new Set(['player', 'mixer', 'options', 'playlist', 'output'])

/** @param now unix ms */
export function mpdSitter(player: WatchedMpd, now: () => number): Sitter {
  return {
    async sit() {
      const at = now()
      const pairs = readPairs(await player.ask(doings))
      const of = (name: string) => pairs.get(name)
      const [elapsed, duration] = [
        Number(of('elapsed') ?? Number.NaN),
        Number(of('duration') ?? of('Time') ?? Number.NaN),
      ]
      const volume = /^\d{1,3}$/.test(of('volume') ?? '') ? percentOf(Number(of('volume'))) : null
      const uri = addressOf(of('file'))
      const state = of('state')
      return {
        state: state === 'play' ? 'playing' : state === 'pause' ? 'paused' : 'stopped',
        title: lineOf(of('Title')) ?? lineOf(of('Name')) ?? lineOf(of('file')?.split('/').at(-1)),
        artist: lineOf(of('Artist')) ?? lineOf(of('AlbumArtist')),
        album: lineOf(of('Album')),
        uri,
        art: null,
        position: Number.isFinite(elapsed) ? countOf(Math.round(elapsed * 1000)) : null,
        at,
        duration: Number.isFinite(duration) ? countOf(Math.round(duration * 1000)) : null,
        volume,
        muted: null,
        options: {
          random: of('random') === '1',
          repeat: of('repeat') === '1',
          single: of('single') !== undefined && of('single') !== '0',
          consume: of('consume') !== undefined && of('consume') !== '0',
        },
      } satisfies Picture
    },
    watch(changed) {
      return player.onChange((subsystem) => {
        if (subsystems.has(subsystem)) changed()
      })
    },
  }
}

/** The first of each name: `status` comes first, and several artists are said one after the other. */
function readPairs(answer: string): ReadonlyMap<string, string> {
  const pairs = new Map<string, string>()
  for (const line of answer.split('\n')) {
    const colon = line.indexOf(': ')
    const name = line.slice(0, colon)
    if (colon > 0 && !pairs.has(name)) pairs.set(name, line.slice(colon + 2))
  }
  return pairs
}

function stateOf(state: unknown): Picture['state'] {
  return state === 'playing' || state === 'paused' ? state : 'stopped'
}

function namesOf(artists: unknown): string | null {
  if (!Array.isArray(artists)) return null
  const names = artists.slice(0, 20).flatMap((artist) => (isObject(artist) ? (lineOf(artist.name) ?? []) : []))
  return lineOf(names.join(', '))
}

/** An address as the player gives it; null for one that is longer than any it would take. */
function addressOf(uri: unknown): string | null {
  return typeof uri === 'string' && uri !== '' && uri.length <= 2048 && uri.isWellFormed() ? uri : null
}

/** The smallest image that fills a card of a page, or else the largest. */
function bestOf(images: unknown): string | null {
  if (!Array.isArray(images)) return null
  const known = images.slice(0, 50).flatMap((image) => {
    const address = isObject(image) ? addressOf(image.uri) : null
    return isObject(image) && address !== null ? [{ address, width: countOf(image.width) ?? 0 }] : []
  })
  const sorted = known.sort((a, b) => a.width - b.width)
  return (sorted.find(({ width }) => width >= 300) ?? sorted.at(-1))?.address ?? null
}

function countOf(value: unknown): number | null {
  return Number.isSafeInteger(value) && Number(value) >= 0 ? Number(value) : null
}

function percentOf(value: unknown): number | null {
  const count = countOf(value)
  return count === null ? null : Math.min(count, 100)
}
