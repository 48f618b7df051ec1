import { Fault } from '../../call/fault.ts'
import { hidePaths } from '../../call/path.ts'
import { type ByteBuffer, createBuffer } from './buffer.ts'

/** What an answer may be. */
export interface ReplyLimits {
  /** Bytes of the whole answer. */
  readonly bytes: number
  /** The number of commands of an ok list, each of which answers `list_OK`; left out for anything else. */
  readonly items?: number
  /** Binary pieces at most; any number when left out. */
  readonly pieces?: number
}

/** Commands that answer a binary piece. In any other answer what looks like one is text of media, or a lie. */
export const pictures: ReadonlySet<string> = new Set(['albumart', 'readpicture'])

/** One answer of the player, framed and checked: a single command's or a list's. */
export interface Reply {
  /**
   * The bytes that may go to the client now: whole lines and whole binary pieces, as far as possible in the chunk's own
   * memory. `done` when the answer has ended.
   *
   * @throws Fault `player-unreachable` for anything that is no legal answer, bytes after its end included
   */
  push(chunk: Uint8Array): { readonly out: readonly Uint8Array[]; readonly done: boolean }
}

const longestLine = 2 ** 20
const longestPiece = 2 ** 20
const TAB = 0x09
const LF = 0x0a
const colon = 0x3a
const blank = 0x20
const utf8 = new TextDecoder()
const encoder = new TextEncoder()

export function createReply({ bytes: most, items, pieces = Number.POSITIVE_INFINITY }: ReplyLimits): Reply {
  /** The beginning of a line whose end has not come. */
  let begun: ByteBuffer | undefined
  /** A binary piece with its heading and its last LF, and how much of it has come. */
  let piece: Uint8Array | undefined
  let filled = 0
  let total = 0
  let oks = 0
  let announced = 0
  let done = false

  /** The line from `at` to its LF at `end`: undefined as it stands, else what goes on in its place. */
  function judge(bytes: Uint8Array, at: number, end: number): Uint8Array | undefined {
    if (isPair(bytes, at, end)) {
      if (!startsWith(bytes, at, 'ACK [')) return undefined
    } else if (is(bytes, at, end, 'list_OK') && items !== undefined && oks < items) {
      oks++
      return undefined
    } else if (is(bytes, at, end, 'OK') && (items === undefined || oks === items)) {
      done = true
      return undefined
    }
    done = true
    return encoder.encode(`${legalAck(utf8.decode(bytes.subarray(at, end)))}\n`)
  }

  /** The size of the piece that the line announces, where it may. @throws Fault */
  function announce(bytes: Uint8Array, at: number, end: number): number | undefined {
    const size = pieceAfter(bytes, at, end)
    if (size !== undefined && ++announced > pieces) throw illegal('a binary piece where none belongs')
    return size
  }

  /** Keeps the beginning of a line, or of a piece of that size behind its heading. */
  function keep(beginning: Uint8Array, heading: number, size: number | undefined): void {
    if (size === undefined) {
      begun ??= createBuffer()
      begun.push(beginning)
    } else {
      piece = new Uint8Array(heading + size + 1)
      piece.set(beginning)
      filled = beginning.length
    }
  }

  /** Adds to the piece from the start of a chunk; returns how many bytes of it that took. */
  function fill(into: Uint8Array, chunk: Uint8Array, out: Uint8Array[]): number {
    const taken = Math.min(into.length - filled, chunk.length)
    into.set(chunk.subarray(0, taken), filled)
    filled += taken
    if (filled < into.length) return taken
    if (into[filled - 1] !== LF) throw wrongSize()
    out.push(into)
    piece = undefined
    return taken
  }

  /** Adds to the line that has begun, and reads it when it is whole; returns how many bytes of the chunk that took. */
  function complete(line: ByteBuffer, chunk: Uint8Array, out: Uint8Array[]): number {
    const end = endOfLine(chunk, 0)
    if (line.length + end > longestLine) throw tooLong()
    line.push(chunk.subarray(0, end + 1))
    if (end === chunk.length) return end
    const whole = line.peek(line.length).slice()
    line.clear()
    const size = announce(whole, 0, whole.length - 1)
    if (size === undefined) out.push(judge(whole, 0, whole.length - 1) ?? whole)
    else keep(whole, whole.length, size)
    return end + 1
  }

  /** Reads whole lines and pieces from `start` on, and keeps the beginning of one that is not. */
  function read(chunk: Uint8Array, start: number, out: Uint8Array[]): void {
    /** Where the run of bytes began that go on as they stand. */
    let from = start
    let at = start
    const flush = () => {
      if (at > from) out.push(chunk.subarray(from, at))
    }
    while (at < chunk.length && !done) {
      const end = endOfLine(chunk, at)
      if (end - at > longestLine) throw tooLong()
      const size = end < chunk.length ? announce(chunk, at, end) : undefined
      const last = end + (size === undefined ? 0 : size + 1)
      if (last >= chunk.length) {
        flush()
        keep(chunk.subarray(at), end + 1 - at, size)
        return
      }
      if (chunk[last] !== LF) throw wrongSize()
      const instead = size === undefined ? judge(chunk, at, end) : undefined
      if (instead) {
        flush()
        out.push(instead)
        from = end + 1
      }
      at = last + 1
    }
    flush()
    if (at < chunk.length) throw illegal('more than it was asked for')
  }

  return {
    push(chunk) {
      total += chunk.length
      if (total > most) throw illegal('an answer that is too long')
      const out: Uint8Array[] = []
      let at = 0
      if (begun && begun.length > 0) at = complete(begun, chunk, out)
      if (piece) at += fill(piece, chunk.subarray(at), out)
      if (at < chunk.length) read(chunk, at, out)
      return { out, done }
    },
  }
}

function illegal(what: string): Fault {
  return new Fault('player-unreachable', `the player sent ${what}`)
}

function tooLong(): Fault {
  return illegal('a line that is too long')
}

function wrongSize(): Fault {
  return illegal('a binary piece of another size than it said')
}

/** Where the LF is, from `at` on; the length when there is none. No other control character but a tab, as in file names, may stand before it. */
function endOfLine(bytes: Uint8Array, at: number): number {
  const { length } = bytes
  for (let i = at; i < length; i++) {
    const byte = bytes[i] ?? 0
    if (byte >= blank || byte === TAB) continue
    if (byte === LF) return i
    throw illegal('a control character')
  }
  return length
}

/** Whether the line is `key: value`. */
function isPair(bytes: Uint8Array, at: number, end: number): boolean {
  for (let i = at + 1; i < end - 1; i++) if (bytes[i] === colon && bytes[i + 1] === blank) return true
  return false
}

/** Bytes of the binary piece that a line announces; undefined when it announces none. */
function pieceAfter(bytes: Uint8Array, at: number, end: number): number | undefined {
  if (!startsWith(bytes, at, 'binary: ')) return undefined
  const size = /^binary: (\d{1,8})$/.exec(utf8.decode(bytes.subarray(at, end)))?.[1]
  if (size === undefined || Number(size) > longestPiece) throw illegal('a binary piece of no acceptable size')
  return Number(size)
}

/**
 * MPD's error line in its own form. Mopidy-MPD also sends code 0, which clients choke on, and `None` for no command.
 *
 * @throws Fault when it is no error line either
 */
function legalAck(line: string): string {
  const found = /^ACK \[(\d{1,3})@(\d{1,4})\] \{([A-Za-z0-9_]*)\} (.*)$/u.exec(line)
  if (!found) throw illegal('a line that is none of its protocol')
  const [, code = '', index = '', command = '', text = ''] = found
  const legal = code === '0' ? (text === 'Not implemented' ? '5' : '52') : code
  const shown = hidePaths(text).replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, ' ')
  return `ACK [${legal}@${index}] {${command === 'None' ? '' : command}} ${shown}`
}

function startsWith(bytes: Uint8Array, at: number, text: string): boolean {
  for (let i = 0; i < text.length; i++) if (bytes[at + i] !== text.charCodeAt(i)) return false
  return true
}

function is(bytes: Uint8Array, at: number, end: number, text: string): boolean {
  return end - at === text.length && startsWith(bytes, at, text)
}
