/**
 * What may have to be looked up before a call can be judged: where the volume stands, what names of hosts stand for, what
 * else the call would add to the queue, and the queue itself.
 */
export type Matter = 'volume' | 'hosts' | 'adds' | 'queue'

/** What was looked up. What is not here was not asked, and a condition that needs it refuses. */
export interface Known {
  /** 0 to 100, as the player has it. */
  readonly volume?: number
  /** The IP addresses of each host by its name, in lower case; none for one that has none. */
  readonly hosts?: ReadonlyMap<string, readonly string[]>
  /** The addresses that it would add besides those it names: what a playlist holds, what a search finds. */
  readonly adds?: readonly string[]
  readonly queue?: Queue
}

/** A player's queue at one moment, in its order. */
export interface Queue {
  readonly entries: readonly QueueEntry[]
  /** How many the caller adds to it by calls of the same list that come before. */
  readonly coming?: number
  /** Where its entries stand is not known: such a call moves them. */
  readonly isMoved?: boolean
}

export interface QueueEntry {
  /** The player's own number for it, which it keeps wherever it is moved. */
  readonly id: number
  readonly uri?: string
  /** The account that added it; undefined for what came from elsewhere. */
  readonly owner?: string
  /** The accounts one of which may have added it: it counts for each of them, and is nobody's. */
  readonly among?: readonly string[]
}

/** Entries of a queue, as a call names them. */
export type Entry =
  | { readonly id: number }
  /** Positions, the first of all being 0, up to and without `to`; all that follow where it is left out. */
  | { readonly from: number; readonly to?: number }
  /** Every entry with that address. */
  | { readonly uri: string }
