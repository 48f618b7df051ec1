/** Bytes that have come and are not yet read, in one place that grows and shrinks with them. */
export interface ByteBuffer {
  /** Copies the bytes: the caller may use his again. */
  push(bytes: Uint8Array): void
  /**
   * Takes the first line, without its LF and the CR before that; undefined until its LF is there. It holds until the next
   * push. `too-long` when there are more bytes before the LF than `most`; nothing is taken then.
   */
  line(most: number): Uint8Array | 'too-long' | undefined
  /** The first bytes, at most so many, left where they are. */
  peek(most: number): Uint8Array
  clear(): void
  readonly first: number | undefined
  readonly length: number
}

const LF = 0x0a
const CR = 0x0d
const smallest = 256
/** What is kept by a buffer that is empty: most have nothing to hold most of the time. */
const kept = 4096
const nothing = new Uint8Array(0)

export function createBuffer(): ByteBuffer {
  let store: Uint8Array = nothing
  let start = 0
  let end = 0
  /** Up to here there is no LF. */
  let searched = 0

  function clear(): void {
    start = end = searched = 0
    if (store.length > kept) store = nothing
  }

  /** Moves what is there to the front of a place with at least as much room again, so that it is not moved for each push. */
  function makeRoom(more: number): void {
    const needed = 2 * (end - start + more)
    const place = needed <= store.length ? store : new Uint8Array(Math.max(needed, smallest))
    place.set(store.subarray(start, end))
    store = place
    searched -= start
    end -= start
    start = 0
  }

  return {
    push(bytes) {
      if (end + bytes.length > store.length) makeRoom(bytes.length)
      store.set(bytes, end)
      end += bytes.length
    },
    line(most) {
      while (searched < end && store[searched] !== LF) searched++
      if (searched - start > most) return 'too-long'
      if (searched === end) return undefined
      const line = store.subarray(start, searched > start && store[searched - 1] === CR ? searched - 1 : searched)
      start = ++searched
      if (start === end) clear()
      return line
    },
    peek: (most) => store.subarray(start, Math.min(end, start + most)),
    clear,
    get first() {
      return start < end ? store[start] : undefined
    },
    get length() {
      return end - start
    },
  }
}
