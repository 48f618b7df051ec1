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

/** A player that speaks MPD: a connection for each client, because that protocol keeps state in the connection. */
export interface MpdPlayer {
  /**
   * A private connection, greeted and ready. `reserve` lets this person have the last places.
   *
   * @throws Fault `player-unreachable`, `player-timeout`, or `limited` when the places are taken
   */
  open(person: { readonly id: string; readonly reserve: boolean }): Promise<MpdConnection>
  readonly up: boolean
  /** The protocol version it greeted with, such as `0.19.0`; undefined until it did. */
  readonly version: string | undefined
  /** The commands it knows; undefined until it said. */
  readonly offers: ReadonlySet<string> | undefined
  close(): Promise<void>
}

export interface MpdConnection {
  /**
   * Sends one command, one list or one idle and hands on the answer, framed and checked, piece by piece. A promise from
   * `out` holds the player back until it is kept. Resolves to the number of commands before the one that the player
   * refused; infinity when it refused none.
   *
   * @throws Fault when the answer broke off; what came before has been handed on, and the connection is gone
   */
  send(
    permits: readonly Permit[],
    framing: 'single' | 'list' | 'ok-list',
    out: (bytes: Uint8Array) => void | Promise<void>,
  ): Promise<number>
  /** Ends an idle that `send` is waiting for. */
  noidle(): void
  readonly alive: boolean
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
