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

export function createReply(limits: ReplyLimits): Reply {
  throw new Error(`to be written ${limits.bytes}`)
}
