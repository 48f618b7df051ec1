import type { Fault } from '../../call/fault.ts'
import type { MpdRequest } from './decode.ts'

/** What the client did, to be acted upon before the next one is asked for. */
export type Step =
  | { readonly kind: 'command'; readonly request: MpdRequest }
  /** May be empty: answer `OK`. */
  | { readonly kind: 'list'; readonly ok: boolean; readonly requests: readonly MpdRequest[] }
  | { readonly kind: 'idle'; readonly request: MpdRequest }
  /** Stop idling. The idle still gets its one answer, and then `wake()` is due. */
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
  /** The idle was answered: what the client sent after `noidle` may be read. */
  wake(): void
  readonly idling: boolean
  /** Bytes pushed and not yet read: stop reading from the client while these are many. */
  readonly pendingBytes: number
}

export function createSession(): Session {
  throw new Error('to be written')
}
