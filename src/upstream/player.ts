import type { Permit } from '../policy/decide.ts'
import type { PlayerEvent, ReplyError } from '../protocol/mopidy/reply.ts'

/** A player that answers JSON-RPC. It takes permits, not calls, and that is the point. */
export interface RpcPlayer {
  /**
   * The result of the call.
   *
   * @throws UpstreamError when the player itself answered with an error
   * @throws Fault `player-unreachable`, `player-timeout` or `limited`; what was sent is never sent again
   */
  send(permit: Permit): Promise<unknown>
  /** Hears every event of the player, in order; returns the way to stop hearing. */
  onEvent(listener: (event: PlayerEvent) => void): () => void
  /** Whether a call sent now would leave at once. */
  readonly up: boolean
  close(): Promise<void>
}

/** A player that speaks MPD, shared by all clients without their noticing. */
export interface MpdPlayer {
  /**
   * A client's side of the player, as good as a connection of its own. Nothing is opened for it before it needs it.
   *
   * @param settings what it set at an earlier connection, to be in force here as well
   */
  open(person: MpdPerson, settings?: Settings): MpdConnection
  /** Whether the player can be reached, as of now. */
  readonly up: boolean
  /** The protocol version it greeted with, such as `0.19.0`; undefined until it did. */
  readonly version: string | undefined
  /** The commands it knows; undefined until it said. */
  readonly offers: ReadonlySet<string> | undefined
  close(): Promise<void>
}

export interface MpdPerson {
  /** Whose places and turns are taken: see `personOf`. */
  readonly id: string
  /** May have the last places. */
  readonly reserve: boolean
}

/** What a connection set for itself (`tagtypes`, `binarylimit`, `subscribe`, …), in order: replayed where it is needed. */
export type Settings = readonly Permit[]

export interface MpdConnection {
  /**
   * Sends one command or one list and hands on the answer, framed and checked, piece by piece. A promise from `out` holds
   * the answer back until it is kept. Resolves to the number of commands before the one that the player refused; infinity
   * when it refused none. One at a time; never an `idle`.
   *
   * @throws Fault when there is no whole answer: what came before has been handed on, and the next `send` begins anew
   */
  send(
    permits: readonly Permit[],
    framing: 'single' | 'list' | 'ok-list',
    out: (bytes: Uint8Array) => void | Promise<void>,
  ): Promise<number>
  /**
   * Hears the name of each subsystem that changes from now on, and `message` when one came for this connection. What may
   * have changed unseen is told as changed. Returns the way to stop hearing.
   */
  onChange(listener: (subsystem: string) => void): () => void
  /** What it has set so far. */
  readonly settings: Settings
  close(): void
}

/** What the player answered instead of a result, without traces of its inside: safe to show to the caller. */
export class UpstreamError extends Error {
  override readonly name = 'UpstreamError'
  readonly code: number
  readonly data: ReplyError['data']

  constructor({ code, message, data }: ReplyError) {
    super(message)
    this.code = code
    this.data = data
  }
}
