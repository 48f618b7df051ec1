import type { Request } from '../call/call.ts'
import { Fault } from '../call/fault.ts'
import type { Permit } from '../policy/decide.ts'
import type { LibrespotEvent } from '../protocol/librespot/events.ts'
import type { PlayerEvent, ReplyError } from '../protocol/mopidy/reply.ts'

/** Where it is said that a player came or went. */
export interface PlayerLog {
  warn(about: object, text: string): void
  info(about: object, text: string): void
}

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

/** A player of the librespot family that answers plain HTTP. */
export interface RestPlayer {
  /**
   * What a call may depend on, as of now, with all that was sent and is not answered yet; undefined while it is not known.
   * A call that was resolved against it has to be admitted and sent at once: what happens in between is lost.
   */
  readonly live: LiveState | undefined
  /**
   * The answer, rebuilt from what the row says it may hold: undefined when there is none, null when it was done and there
   * is nothing to tell.
   *
   * @throws UpstreamError when the player itself refused; its code is the status of HTTP
   * @throws Fault `player-unreachable`, `player-timeout` or `limited`; what was sent is never sent again
   */
  send(permit: Permit): Promise<unknown>
  /** Hears every event of the player, rebuilt like the answers, in order; returns the way to stop hearing. */
  onEvent(listener: (event: LibrespotEvent) => void): () => void
  readonly up: boolean
  close(): Promise<void>
}

export interface LiveState {
  /** Whether something is loaded: some players crash when they are to skip and nothing is. */
  readonly track: boolean
  /** The volume and its maximum, in the player's own steps. */
  readonly volume: number
  readonly steps: number
}

/** What a player of any kind is doing, in one shape. What it does not tell is null. */
export interface Picture {
  readonly state: 'playing' | 'paused' | 'stopped'
  readonly title: string | null
  readonly artist: string | null
  readonly album: string | null
  readonly uri: string | null
  /** The address of a picture as the player gives it: not for clients as it is. */
  readonly art: string | null
  /** Milliseconds into the song at the moment `at` (unix ms), and its length. */
  readonly position: number | null
  readonly at: number
  readonly duration: number | null
  /** 0 to 100. */
  readonly volume: number | null
  readonly muted: boolean | null
  readonly options: {
    readonly random: boolean
    readonly repeat: boolean
    readonly single: boolean
    readonly consume: boolean
  } | null
}

/** A player whose doings can be watched. The questions it takes are the gateway's own. */
export interface PicturePlayer {
  /** Undefined while nothing is known. */
  readonly picture: Picture | undefined
  /** Hears of each change; returns the way to stop hearing. */
  onPicture(listener: () => void): () => void
}

/**
 * What the gateway asks of itself needs nobody's permit, so it may only look.
 *
 * @throws Fault `internal` for what would do anything
 */
export function checkQuestion({ operation }: Request): void {
  if (!operation.capability.endsWith('.read')) throw new Fault('internal', `${operation.name} takes a permit`)
}
