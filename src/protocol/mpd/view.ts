import type { Call, Principal } from '../../call/call.ts'
import type { Capability } from '../../call/capability.ts'
import { hidePaths } from '../../call/path.ts'
import type { Scale } from '../../call/scale.ts'

/** How commands are sent: one by itself, or a list with one `OK` for all or with a `list_OK` for each. */
export type Framing = 'single' | 'list' | 'ok-list'

/** Who knows what somebody may see: the gate does. */
export interface Sight {
  may(by: Principal, player: string, capability: Capability): boolean
  sees(call: Call, uri: string): boolean
  isNarrowed(call: Call): boolean
  volumeScale(by: Principal, player: string, at: number): Scale | undefined
}

/** What one person gets to see of an answer. */
export interface View {
  /** How to send the calls, whatever the client asked for: the answers of a plain list do not tell where each of them ends. */
  readonly framing: Framing
  /** Takes whole lines; binary pieces may be cut anywhere. What it returns may be empty, or share the bytes it was given. */
  push(bytes: Uint8Array): Uint8Array
}

/** Judges one line, whose bytes lie from `at` to its LF at `end`: as it stands, left out, or something else instead. */
type Judge = (bytes: Uint8Array, at: number, end: number) => 'keep' | 'drop' | Uint8Array

const LF = 0x0a
const nothing = new Uint8Array(0)
const encoder = new TextEncoder()
const utf8 = new TextDecoder()
const keep: Judge = () => 'keep'

/**
 * The view on the answers to these calls, sent together; undefined when all of it may be seen as it comes.
 *
 * @param commands the words that the client typed, where calls were made of others; an error names the client's
 */
export function createView(
  calls: readonly Call[],
  framing: Framing,
  sight: Sight,
  commands: readonly string[] = [],
): View | undefined {
  const judges = calls.map((call) => judgeOf(call, sight))
  const isReworded = calls.some(({ operation: { name } }, i) => commands[i] !== undefined && !isOf(name, commands[i]))
  if (!isReworded && judges.every((judge) => judge === undefined)) return undefined
  const asks = framing === 'list' && calls.length > 1 ? 'ok-list' : framing
  const unasked = asks !== framing
  let item = 0
  let judge = judges[0] ?? keep
  /** Bytes of a binary piece, its LF included, that are still to come. */
  let piece = 0

  /** How the line stands; with it the view moves on. */
  function read(bytes: Uint8Array, at: number, end: number): 'keep' | 'drop' | Uint8Array {
    if (is(bytes, at, end, 'list_OK')) {
      item++
      judge = judges[item] ?? keep
      return unasked ? 'drop' : 'keep'
    }
    if (is(bytes, at, end, 'OK')) return 'keep'
    if (startsWith(bytes, at, 'ACK [')) return isReworded ? reword(utf8.decode(bytes.subarray(at, end))) : 'keep'
    if (startsWith(bytes, at, 'binary: ')) {
      piece = Number(utf8.decode(bytes.subarray(at + 8, end))) + 1
      return 'keep'
    }
    return judge(bytes, at, end)
  }

  /** An error that names the command as its client typed it. */
  function reword(line: string): Uint8Array {
    const named = line.replace(/^(ACK \[\d+@(\d+)\]) \{[^}]+\}/, (same, place: string, index: string) => {
      const command = commands[Number(index)]
      return command === undefined ? same : `${place} {${command}}`
    })
    return encoder.encode(`${named}\n`)
  }

  return {
    framing: asks,
    push(bytes) {
      const out: Uint8Array[] = []
      /** Where the run of lines began that go on as they stand. */
      let from = 0
      for (let at = 0; at < bytes.length; ) {
        if (piece > 0) {
          const taken = Math.min(piece, bytes.length - at)
          piece -= taken
          at += taken
          continue
        }
        let end = at
        while (end < bytes.length && bytes[end] !== LF) end++
        const verdict = read(bytes, at, end)
        if (verdict !== 'keep') {
          if (at > from) out.push(bytes.subarray(from, at))
          if (verdict !== 'drop') out.push(verdict)
          from = end + 1
        }
        at = end + 1
      }
      if (from === 0) return bytes
      if (from < bytes.length) out.push(bytes.subarray(from))
      return concat(out)
    },
  }
}

function judgeOf(call: Call, sight: Sight): Judge | undefined {
  switch (call.operation.shows) {
    case 'status':
      return statusJudge(call, sight)
    case 'queue':
      return sight.isNarrowed(call) ? queueJudge((uri) => sight.sees(call, uri)) : undefined
    case 'library':
      return sight.isNarrowed(call) ? libraryJudge((uri) => sight.sees(call, uri)) : undefined
    case 'volume':
      return volumeJudge(call, sight)
    case undefined:
      return undefined
  }
}

/** Whether a row is one of that command's. */
function isOf(name: string, command: string): boolean {
  return name === command || name.startsWith(`${command} `)
}

const volume = 'volume: '

/** How loud it is to this person. */
function volumeJudge({ by, player, at: time }: Call, sight: Sight): Judge | undefined {
  const scale = sight.volumeScale(by, player, time)
  if (!scale) return undefined
  return (bytes, at, end) => {
    if (!startsWith(bytes, at, volume)) return 'keep'
    const text = utf8.decode(bytes.subarray(at + volume.length, end))
    // A player without a mixer says -1.
    return /^\d{1,3}$/.test(text) ? encoder.encode(`${volume}${scale.shown(Number(text))}\n`) : 'keep'
  }
}

/** What `status` tells of the queue. */
const ofQueue = ['playlist: ', 'playlistlength: ', 'song: ', 'songid: ', 'nextsong: ', 'nextsongid: ']

/** MPD 0.24: the name of a stored playlist, or the address of one elsewhere. */
const loaded = 'lastloadedplaylist: '

function statusJudge(call: Call, sight: Sight): Judge {
  const { by, player } = call
  const hidden = [
    ...(sight.may(by, player, 'queue.read') ? [] : ofQueue),
    ...(sight.may(by, player, 'library.read') ? [] : ['updating_db: ']),
    ...(sight.may(by, player, 'playlists.read') ? [] : [loaded]),
  ]
  const partition = encoder.encode(`partition: ${player}\n`)
  const isNarrowed = sight.isNarrowed(call)
  const judgeVolume = volumeJudge(call, sight)
  // Players write addresses into their sentences, quoted or not, with blanks or not: nobody can tell where one ends.
  const wrong = (text: string) => (isNarrowed && /[/:]/.test(text) ? '…' : hidePaths(text))
  return (bytes, at, end) => {
    if (startsWith(bytes, at, 'partition: ')) return partition
    if (startsWith(bytes, at, 'error: '))
      return encoder.encode(`error: ${wrong(utf8.decode(bytes.subarray(at + 7, end)))}\n`)
    for (const key of hidden) if (startsWith(bytes, at, key)) return 'drop'
    if (judgeVolume && startsWith(bytes, at, volume)) return judgeVolume(bytes, at, end)
    if (!startsWith(bytes, at, loaded)) return 'keep'
    const name = utf8.decode(bytes.subarray(at + loaded.length, end))
    return !name.includes('/') || sight.sees(call, name) ? 'keep' : 'drop'
  }
}

/** Where an entry is and how long it takes, in whichever digits, says nothing of its address. */
const ofPlace = ['Pos: ', 'Id: ', 'Prio: ', 'Range: ', 'Time: ', 'duration: ']
/** Mopidy's own: addresses of what the entry belongs to. */
const beside = ['X-AlbumUri: ', 'X-AlbumImage: ']

/** An entry keeps its place, as clients count them. */
function queueJudge(sees: (uri: string) => boolean): Judge {
  let hidden: string | undefined
  let length = 0
  return (bytes, at, end) => {
    const key = entryKey(bytes, at)
    if (key > 0) {
      const uri = utf8.decode(bytes.subarray(at + key, end))
      hidden = sees(uri) ? undefined : uri
      length = end - at - key
      return hidden === undefined ? 'keep' : encoder.encode(`${utf8.decode(bytes.subarray(at, at + key))}hidden\n`)
    }
    if (hidden === undefined || ofPlace.some((known) => startsWith(bytes, at, known))) return 'keep'
    if (beside.some((known) => startsWith(bytes, at, known))) return 'drop'
    // Players put an address where they know no title
    if (end - at < length) return 'keep'
    return utf8.decode(bytes.subarray(at, end)).includes(hidden) ? 'drop' : 'keep'
  }
}

/** The length of `file: `, or of `7:file: ` as `playlist` has it, where a line begins with one; else 0. */
function entryKey(bytes: Uint8Array, at: number): number {
  let place = at
  while (isDigit(bytes[place])) place++
  if (place > at && bytes[place] === 0x3a) place++
  else place = at
  return startsWith(bytes, place, 'file: ') ? place - at + 6 : 0
}

function libraryJudge(sees: (uri: string) => boolean): Judge {
  let hiding = false
  return (bytes, at, end) => {
    if (startsWith(bytes, at, 'file: ')) hiding = !sees(utf8.decode(bytes.subarray(at + 6, end)))
    else if (startsWith(bytes, at, 'directory: ') || startsWith(bytes, at, 'playlist: ')) hiding = false
    return hiding ? 'drop' : 'keep'
  }
}

function isDigit(byte = 0): boolean {
  return byte >= 0x30 && byte <= 0x39
}

function startsWith(bytes: Uint8Array, at: number, text: string): boolean {
  for (let i = 0; i < text.length; i++) if (bytes[at + i] !== text.charCodeAt(i)) return false
  return true
}

function is(bytes: Uint8Array, at: number, end: number, text: string): boolean {
  return end - at === text.length && startsWith(bytes, at, text)
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length < 2) return parts[0] ?? nothing
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
