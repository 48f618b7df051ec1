import { isDeepStrictEqual } from 'node:util'
import { clean } from '../protocol/rest/text.ts'
import type { Picture, PicturePlayer } from './player.ts'

/** Holds the picture of one player, and tells who looks at it when it has changed. */
export interface Canvas extends PicturePlayer {
  set(picture: Picture | undefined): void
  /** Changes some of it; when there was nothing yet, the rest is blank. */
  change(what: Partial<Picture>): void
  /** How many look. */
  readonly watchers: number
}

/** @param watch hears when the first begins to look and when the last has stopped */
export function createCanvas(now: () => number, watch: (isWatched: boolean) => void = () => {}): Canvas {
  const listeners = new Set<() => void>()
  let picture: Picture | undefined

  function set(next: Picture | undefined): void {
    const same = isDeepStrictEqual(picture && { ...picture, at: 0 }, next && { ...next, at: 0 })
    // A position that stands still, or none, is the same at any time.
    if (same && (next?.state !== 'playing' || next.at === picture?.at)) return
    picture = next && Object.freeze({ ...next })
    for (const listener of listeners) listener()
  }

  return {
    get picture() {
      return picture
    },
    onPicture(listener) {
      // One of its own each time: who comes twice has to leave twice.
      const own = () => listener()
      listeners.add(own)
      if (listeners.size === 1) watch(true)
      return () => {
        if (listeners.delete(own) && listeners.size === 0) watch(false)
      }
    },
    set,
    change(what) {
      const before = picture ?? blank(now())
      set({ ...before, ...(!('position' in what) && moved(before, now())), ...what })
    },
    get watchers() {
      return listeners.size
    },
  }
}

export function blank(at: number): Picture {
  return {
    state: 'stopped',
    title: null,
    artist: null,
    album: null,
    uri: null,
    art: null,
    position: null,
    at,
    duration: null,
    volume: null,
    muted: null,
    options: null,
  }
}

/** Where the song is now, as it goes on by itself while it plays. */
function moved({ state, position, at, duration }: Picture, now: number): Pick<Picture, 'position' | 'at'> {
  if (state !== 'playing' || position === null) return { position, at: now }
  return { position: Math.min(position + Math.max(now - at, 0), duration ?? Number.POSITIVE_INFINITY), at: now }
}

/** A text of a player, short and on one line; null when nothing is left of it. */
export function lineOf(text: unknown): string | null {
  return typeof text === 'string' ? clean(text, 500).trim() || null : null
}
