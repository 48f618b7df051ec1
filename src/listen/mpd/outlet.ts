import type { Writable } from 'node:stream'

/** The way out to a client: holds back whoever writes while the client does not read. */
export interface Outlet {
  /** Kept when the client has read enough to take more. */
  write(bytes: Uint8Array | string): void | Promise<void>
  /** To be told when the stream drains. */
  drain(): void
  /** Since when the client leaves too much unread, as `now` has it; undefined while it reads. */
  readonly fullSince: number | undefined
  /** Nobody waits any longer. */
  close(): void
}

export function createOutlet(stream: Writable, now: () => number): Outlet {
  let fullSince: number | undefined
  let drained: Promise<void> | undefined
  let release = () => {}

  function drain(): void {
    fullSince = undefined
    drained = undefined
    release()
  }

  return {
    write(bytes) {
      if (bytes.length === 0 || stream.write(bytes)) return
      fullSince ??= now()
      drained ??= new Promise((resolve) => {
        release = resolve
      })
      return drained
    },
    drain,
    get fullSince() {
      return fullSince
    },
    close: drain,
  }
}
