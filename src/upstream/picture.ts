import { type Canvas, createCanvas } from './canvas.ts'
import type { Picture, PicturePlayer } from './player.ts'

/** A player that has to be asked what it does. */
export interface Sitter {
  /** @throws Fault or Error */
  sit(): Promise<Picture>
  /**
   * Calls back when something may have changed, until the returned function is called.
   *
   * @param retouch has drawn at once what is known of a change without asking
   */
  watch(changed: () => void, retouch: (draw: (canvas: Canvas) => unknown) => void): () => void
}

export interface PictureLimits {
  /** How soon after a change the player is asked, and how seldom at most. */
  readonly refreshMs: number
  /** After a question that failed. */
  readonly retryMs: number
  /** How long the player is watched after the last one has looked. */
  readonly lingerMs: number
}

const defaults: PictureLimits = { refreshMs: 150, retryMs: 2_000, lingerMs: 30_000 }

export interface Painter extends PicturePlayer {
  close(): void
}

/**
 * Keeps the picture of a player, while somebody looks at it and a little longer. While nobody does, nothing is asked of the
 * player and there is no picture: who wants one looks, and waits for it to come.
 */
export function createPainter(sitter: Sitter, now: () => number, given: Partial<PictureLimits> = {}): Painter {
  const limits = { ...defaults, ...given }
  let stop: (() => void) | undefined
  let next: NodeJS.Timeout | undefined
  let end: NodeJS.Timeout | undefined
  let isAsking = false
  let isStale = false
  let isClosed = false

  const canvas = createCanvas(now, (isWatched) => {
    clearTimeout(end)
    if (isWatched) begin()
    else end = setTimeout(rest, limits.lingerMs)
  })

  function begin(): void {
    if (stop || isClosed) return
    stop = sitter.watch(
      () => {
        isStale = true
        lookIn(limits.refreshMs)
      },
      (draw) => {
        // What is being asked for may be older than this.
        isStale = true
        if (canvas.picture) draw(canvas)
      },
    )
    look()
  }

  function rest(): void {
    stop?.()
    stop = undefined
    clearTimeout(next)
    next = undefined
    canvas.set(undefined)
  }

  function lookIn(ms: number): void {
    if (stop) next ??= setTimeout(look, ms)
  }

  function look(): void {
    clearTimeout(next)
    next = undefined
    if (isAsking || !stop) return
    isAsking = true
    isStale = false
    sitter.sit().then(
      (picture) => {
        isAsking = false
        if (!stop) return
        canvas.set(picture)
        // What happened meanwhile may be in it or not.
        if (isStale) lookIn(limits.refreshMs)
      },
      () => {
        isAsking = false
        if (!stop) return
        canvas.set(undefined)
        lookIn(limits.retryMs)
      },
    )
  }

  return {
    get picture() {
      return canvas.picture
    },
    onPicture: canvas.onPicture,
    close() {
      isClosed = true
      clearTimeout(end)
      rest()
    },
  }
}

/**
 * The picture as it is now, which of some players comes only after somebody began to look.
 *
 * @param ms how long to wait for it
 */
export function lookAt(player: PicturePlayer, ms = 2_000): Promise<Picture | undefined> {
  return new Promise((resolve) => {
    const settle = () => {
      clearTimeout(timer)
      stop()
      resolve(player.picture)
    }
    const timer = setTimeout(settle, ms)
    const stop = player.onPicture(() => {
      if (player.picture) settle()
    })
    if (player.picture) settle()
  })
}
