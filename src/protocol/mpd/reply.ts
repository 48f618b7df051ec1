import { Fault } from '../../call/fault.ts'
import { hidePaths } from '../../call/path.ts'
import { join } from './token.ts'

/** What an answer may be. */
export interface ReplyLimits {
  /** Bytes of the whole answer. */
  readonly bytes: number
  /** The number of commands of an ok list, each of which answers `list_OK`; left out for anything else. */
  readonly items?: number
}

/** One answer of the player, framed and checked: a single command's or a list's. */
export interface Reply {
  /**
   * The bytes that may go to the client now: whole lines and whole binary pieces. `done` when the answer has ended.
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

export function createReply({ bytes: most, items }: ReplyLimits): Reply {
  /** What is not yet a whole line or piece, and how much of it is known to hold no LF. */
  let pending: Uint8Array = new Uint8Array(0)
  let searched = 0
  let total = 0
  let oks = 0
  let done = false

  /** The length of the line or piece at the start, its last LF included; 0 when more must come. */
  function unit(rest: Uint8Array): number {
    const end = rest.indexOf(LF, searched)
    if ((end < 0 ? rest.length : end) > longestLine) throw illegal('a line that is too long')
    searched = end < 0 ? rest.length : 0
    if (end < 0) return 0
    const size = pieceAfter(rest.subarray(0, end))
    if (size === undefined) return end + 1
    const last = end + 1 + size
    if (rest.length <= last) return 0
    if (rest[last] !== LF) throw illegal('a binary piece of another size than it said')
    return last + 1
  }

  /** A line or piece as the client gets it. */
  function judge(whole: Uint8Array): Uint8Array {
    const line = whole.subarray(0, whole.indexOf(LF))
    if (isPair(line)) {
      if (!startsWith(line, 'ACK [')) return whole
    } else if (is(line, 'list_OK') && items !== undefined && oks < items) {
      oks++
      return whole
    } else if (is(line, 'OK') && (items === undefined || oks === items)) {
      done = true
      return whole
    }
    done = true
    return encoder.encode(`${legalAck(utf8.decode(line))}\n`)
  }

  return {
    push(chunk) {
      total += chunk.length
      if (total > most) throw illegal('an answer that is too long')
      const bytes = pending.length === 0 ? chunk : join(pending, chunk)
      const out: Uint8Array[] = []
      let [from, at] = [0, 0]
      for (let length = 0; !done; at += length) {
        length = unit(bytes.subarray(at))
        if (length === 0) break
        const whole = bytes.subarray(at, at + length)
        const judged = judge(whole)
        if (judged === whole) continue
        if (at > from) out.push(bytes.subarray(from, at))
        out.push(judged)
        from = at + length
      }
      if (at > from) out.push(bytes.subarray(from, at))
      if (done && at < bytes.length) throw illegal('more than it was asked for')
      pending = bytes.slice(at)
      return { out, done }
    },
  }
}

function illegal(what: string): Fault {
  return new Fault('player-unreachable', `the player sent ${what}`)
}

/** `key: value` without control characters. A tab may stand in a file name. */
function isPair(line: Uint8Array): boolean {
  let found = false
  for (let i = 0; i < line.length; i++) {
    const byte = line[i] ?? 0
    if (byte < blank && byte !== TAB) throw illegal('a control character')
    if (byte === colon && line[i + 1] === blank && i > 0) found = true
  }
  return found
}

/** Bytes of the binary piece that a line announces; undefined when it announces none. */
function pieceAfter(line: Uint8Array): number | undefined {
  if (!startsWith(line, 'binary: ')) return undefined
  const size = /^binary: (\d{1,8})$/.exec(utf8.decode(line))?.[1]
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
  return `ACK [${legal}@${index}] {${command === 'None' ? '' : command}} ${hidePaths(text)}`
}

function startsWith(line: Uint8Array, text: string): boolean {
  for (let i = 0; i < text.length; i++) if (line[i] !== text.charCodeAt(i)) return false
  return true
}

function is(line: Uint8Array, text: string): boolean {
  return line.length === text.length && startsWith(line, text)
}
