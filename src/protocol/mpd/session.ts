import type { Catalog } from '../../call/catalog.ts'
import { Fault } from '../../call/fault.ts'
import { createBuffer } from './buffer.ts'
import { mpd } from './catalog.ts'
import { decode, type MpdRequest } from './decode.ts'
import { longestLine, tokenize } from './token.ts'

/** What the client did, to be acted upon before the next one is asked for. */
export type Step =
  | { readonly kind: 'command'; readonly request: MpdRequest }
  /** May be empty: answer `OK`. */
  | { readonly kind: 'list'; readonly ok: boolean; readonly requests: readonly MpdRequest[] }
  /** Answer once, also with an ACK, and call `wake()`. */
  | { readonly kind: 'idle'; readonly request: MpdRequest }
  /** Stop idling: the idle still gets its one answer. */
  | { readonly kind: 'noidle' }
  /** Answer `ack(fault, command, index)`, then close if told. */
  | {
      readonly kind: 'fault'
      readonly fault: Fault
      readonly command: string
      readonly index: number
      readonly close: boolean
    }
  /** Close without a word. */
  | { readonly kind: 'end' }

/** The client's side of a connection as a state machine: bytes in, steps out, no sockets, no clocks. */
export interface Session {
  push(chunk: Uint8Array): void
  /** The next step, when its last byte is there. Ask again when the step is done. */
  next(): Step | undefined
  /** The idle was answered: what the client sends next may be read. */
  wake(): void
  readonly idling: boolean
  /** Bytes pushed and not yet read: stop reading from the client while these are many. */
  readonly pendingBytes: number
}

export interface SessionOptions {
  /** Whether a command list may be kept, asked as one begins; otherwise it is read, dropped and answered with one ACK. */
  readonly mayList?: () => boolean
}

/** Words that belong to the session and are no commands. */
export const framing = ['command_list_begin', 'command_list_ok_begin', 'command_list_end', 'noidle'] as const

const mostCommands = 2048
const mostListBytes = 2 ** 21

const table: Catalog = mpd

/**
 * What concerns the connection rather than the player stands alone: in a list, answers could not be counted. `ping` may
 * come in one, and goes to the player like the rest.
 */
const alone: ReadonlySet<string> = new Set([
  ...Object.values(table)
    .filter(({ name, state }) => state === 'idle' || (state === 'local' && name !== 'ping'))
    .map(({ name }) => name),
  ...['command_list_begin', 'command_list_ok_begin'],
])

/** A list being read. The first fault stays, and what follows it is only counted until the list ends. */
interface List {
  readonly ok: boolean
  requests: MpdRequest[]
  fault?: { readonly fault: Fault; readonly command: string; readonly index: number }
  count: number
  bytes: number
}

const a = 0x61
const z = 0x7a

export function createSession({ mayList = () => true }: SessionOptions = {}): Session {
  const pending = createBuffer()
  let list: List | undefined
  let state: 'open' | 'idling' | 'leaving' | 'over' = 'open'

  function over(step: Step): Step {
    state = 'over'
    pending.clear()
    list = undefined
    return step
  }

  function failed(error: unknown, command: string): Step | undefined {
    const fault = Fault.from(error)
    const index = list?.count ?? 0
    if (fault.code === 'unparsable' || fault.code === 'too-large') {
      return over({ kind: 'fault', fault, command, index, close: true })
    }
    if (!list) return { kind: 'fault', fault, command, index, close: false }
    list.fault ??= { fault, command, index }
    list.requests = []
    list.count++
    return undefined
  }

  /** What a line amounts to; undefined when it is only a part of something. */
  function read(bytes: Uint8Array): Step | undefined {
    let command: string | undefined
    try {
      count(bytes)
      const words = tokenize(bytes)
      command = words[0]
      if (words.length === 1 && command === 'noidle') return undefined // the idle was answered meanwhile
      if (words.length === 1 && list && command === 'command_list_end') return finish(list)
      if (list) return collect(list, words)
      if (words.length === 1 && (command === 'command_list_begin' || command === 'command_list_ok_begin')) {
        list = { ok: command === 'command_list_ok_begin', requests: [], count: 0, bytes: 0 }
        const fault = new Fault('unauthenticated', 'sign in first')
        if (!mayList()) list.fault = { fault, command, index: 0 }
        return undefined
      }
      const request = decode(words)
      if (request.operation.state !== 'idle') return { kind: 'command', request }
      state = 'idling'
      return { kind: 'idle', request }
    } catch (error) {
      return failed(error, command ?? wordOf(bytes))
    }
  }

  function count(bytes: Uint8Array): void {
    if (!list) return
    list.bytes += bytes.length + 1
    if (list.bytes > mostListBytes) throw new Fault('too-large', 'command list too large')
  }

  function collect(into: List, words: readonly [string, ...string[]]): undefined {
    if (into.count >= mostCommands) throw new Fault('too-large', `more than ${mostCommands} commands in a list`)
    if (!into.fault) {
      if (alone.has(words[0])) throw new Fault('malformed', `"${words[0]}" cannot be part of a command list`)
      into.requests.push(decode(words))
    }
    into.count++
  }

  function finish({ ok, requests, fault }: List): Step {
    list = undefined
    return fault ? { kind: 'fault', ...fault, close: false } : { kind: 'list', ok, requests }
  }

  function tooLong(): Step | undefined {
    if (state === 'idling') return over({ kind: 'end' })
    return failed(new Fault('too-large', 'Command too long'), wordOf(pending.peek(64)))
  }

  /** While idling nothing but `noidle` may come. */
  function leave(bytes: Uint8Array): Step {
    if (!/^noidle[ \t]*$/.test(String.fromCharCode(...bytes))) return over({ kind: 'end' })
    state = 'leaving'
    return { kind: 'noidle' }
  }

  return {
    push(chunk) {
      if (state !== 'over') pending.push(chunk)
    },
    next() {
      while (state === 'open' || state === 'idling') {
        const first = pending.first
        if (first === undefined) return undefined
        // MPD's own guard against HTTP, to be had before the line is complete
        if (first < a || first > z) return over({ kind: 'end' })
        const bytes = pending.line(longestLine)
        if (bytes === undefined) return undefined
        const step = bytes === 'too-long' ? tooLong() : state === 'idling' ? leave(bytes) : read(bytes)
        if (step) return step
      }
      return undefined
    },
    wake() {
      if (state === 'idling' || state === 'leaving') state = 'open'
    },
    get idling() {
      return state === 'idling' || state === 'leaving'
    },
    get pendingBytes() {
      return pending.length
    },
  }
}

/** The command's name for an answer to a line that nobody understood. */
function wordOf(bytes: Uint8Array): string {
  return /^[a-z][a-z0-9_]*/.exec(String.fromCharCode(...bytes.subarray(0, 64)))?.[0] ?? ''
}
