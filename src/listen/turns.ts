export interface Turns {
  /**
   * Runs `work` when everything else that takes one of these keys is done, or has taken too long.
   *
   * @param work is told its turn, which says whether it is over: whoever takes too long goes on beside the next
   * @param patienceMs after which it does not wait any more; it waits as long as it has to when left out
   */
  take<T>(keys: readonly string[], work: (turn: Turn) => T | Promise<T>, patienceMs?: number): Promise<T>
}

export interface Turn {
  readonly isOver: boolean
}

/** @param mostMs after this long the next one goes all the same: what hangs may not hold up the house */
export function createTurns(mostMs = 15_000): Turns {
  const tails = new Map<string, Promise<unknown>>()

  return {
    async take(keys, work, patienceMs) {
      const before = Promise.all(keys.map((key) => tails.get(key)))
      const turn = { isOver: false }
      const begun = patienceMs === undefined ? before : settled(before, patienceMs)
      const done = begun.then(() => work(turn))
      // All keys at once, so that two who want the same never wait for each other.
      const tail = before
        .then(() => settled(done, mostMs))
        .then(() => {
          turn.isOver = true
        })
      for (const key of keys) tails.set(key, tail)
      void tail.then(() => {
        for (const key of keys) if (tails.get(key) === tail) tails.delete(key)
      })
      return await done
    },
  }
}

/** Resolves when that is done, one way or the other, or took too long. */
function settled(work: Promise<unknown>, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    const end = () => {
      clearTimeout(timer)
      resolve()
    }
    work.then(end, end)
  })
}
