import type { Request } from '../call/call.ts'
import { Fault } from '../call/fault.ts'
import type { QueueEntry } from '../call/known.ts'
import type { Permit } from '../policy/decide.ts'
import { isObject } from '../protocol/jsonrpc/message.ts'
import { mopidy } from '../protocol/mopidy/catalog.ts'
import { mpd } from '../protocol/mpd/catalog.ts'
import type { MopidyPlayer, Question } from './mopidy.ts'
import type { WatchedMpd } from './mpd.ts'

/** A player's queue at one moment. */
export interface Sighting {
  readonly entries: readonly Pick<QueueEntry, 'id' | 'uri'>[]
  /** By what the player tells one moment from another. */
  readonly version: number
  readonly length: number
}

/** How the gateway itself sees a player's queue, and takes entries out of it. */
export interface QueueEye {
  /** @param last what was seen before, which is returned where nothing changed since. @throws Fault or UpstreamError */
  see(last: Sighting | undefined): Promise<Sighting>
  /** Resolves when the player is done with all that was sent to it before. */
  calm(): Promise<void>
  /** Hears when the player may have been started anew, so that its ids mean something else; returns the way to stop. */
  onLoss(listener: () => void): () => void
  /** What takes these out. */
  removal(ids: readonly number[]): readonly Request[]
  /** Sends that. An entry that is gone already is no matter. @throws Fault or UpstreamError */
  send(permits: readonly Permit[]): Promise<void>
  close(): void
}

type Eye = Omit<QueueEye, 'close'>

/** @param mpd the same player by its other way, which people use besides */
export function mopidyQueue(player: MopidyPlayer, mpd: Pick<WatchedMpd, 'calm'> | undefined): QueueEye {
  const ask = (name: Question['operation']['name']) => player.ask({ operation: mopidy[name], args: {} })
  const eye: Eye = {
    async see(last) {
      // A queue that got too full has grown without another version.
      const [version, length] = await Promise.all([ask('core.tracklist.get_version'), ask('core.tracklist.get_length')])
      if (!isCount(version) || !isCount(length)) throw unclear()
      if (last?.version === version && last.length === length) return last
      const tracks = await ask('core.tracklist.get_tl_tracks')
      if (!Array.isArray(tracks)) throw unclear()
      return { entries: tracks.map(entryOf), version, length }
    },
    // It answers in the order it was asked, us as well.
    calm: async () => mpd?.calm(),
    onLoss: (listener) => player.onStand(listener),
    removal: (tlid) => [{ operation: mopidy['core.tracklist.remove'], args: { criteria: { tlid } } }],
    async send(permits) {
      for (const permit of permits) await player.send(permit)
    },
  }
  return { ...eye, close: () => {} }
}

function entryOf(entry: unknown): Sighting['entries'][number] {
  if (!isObject(entry) || !isCount(entry.tlid)) throw unclear()
  const uri = isObject(entry.track) ? entry.track.uri : undefined
  return { id: entry.tlid, ...(typeof uri === 'string' && { uri }) }
}

/** Bytes: as many entries as MPD takes at most, and some more. */
const mostAnswered = 1024 * 1024
/** Commands of one list. */
const mostCommands = 1_000

export function mpdQueue(player: WatchedMpd): QueueEye {
  const connection = player.open({ id: 'house', reserve: true })
  const eye: Eye = {
    async see(last) {
      // While nobody watches it, it may come and go unseen.
      if (!player.up) throw new Fault('player-unreachable', 'the player cannot be reached', { retryAfter: 1 })
      const changes = { operation: mpd.plchangesposid, args: { version: last?.version ?? 0 } }
      const answer = await player.ask([{ operation: mpd.status, args: {} }, changes], mostAnswered)
      const version = numberIn(answer, /^playlist: (\d{1,10})$/m)
      const length = numberIn(answer, /^playlistlength: (\d{1,10})$/m)
      if (last?.version === version && last.length === length) return last
      const entries: { id: number }[] = []
      for (const entry of last?.entries.slice(0, length) ?? []) entries.push({ id: entry.id })
      for (const [, place, id] of answer.matchAll(/^cpos: (\d{1,10})\nId: (\d{1,10})$/gm)) {
        if (Number(place) < length) entries[Number(place)] = { id: Number(id) }
      }
      if (Object.keys(entries).length !== length) throw unclear()
      return { entries, version, length }
    },
    calm: () => player.calm(),
    onLoss: (listener) => player.onLoss(listener),
    removal: (ids) => ids.map((id) => ({ operation: mpd.deleteid, args: { id } })),
    async send(permits) {
      for (let rest = permits; rest.length > 0; ) {
        const some = rest.slice(0, mostCommands)
        const done = await connection.send(some, some.length > 1 ? 'list' : 'single', () => {})
        rest = rest.slice(Math.min(some.length, done + 1))
      }
    },
  }
  return { ...eye, close: () => connection.close() }
}

function numberIn(text: string, pattern: RegExp): number {
  const found = pattern.exec(text)?.[1]
  if (found === undefined) throw unclear()
  return Number(found)
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0
}

function unclear(): Fault {
  return new Fault('player-unreachable', 'the player does not say what is in its queue')
}
