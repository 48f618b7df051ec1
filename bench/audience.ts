import { median } from './contest.ts'
import { cpuOf, memoryOf } from './usage.ts'

/** Many clients that all hear of the same change. */
export interface Audience {
  /** One more of them. */
  join(): Promise<void>
  /** Has all of them wait for the next change: one promise for each, kept when it has heard. */
  listen(): Promise<readonly Promise<unknown>[]>
  /** Makes the change; `round` counts from 0. */
  change(round: number): Promise<unknown>
  close(): void
}

/** What `tell` measures, in the order of its columns. CPU and memory are for one client, of the middle and of the player. */
export const columns = ['first ms', 'last ms', 'spread ms', 'CPU µs', 'player’s CPU µs', 'kB', 'player’s kB']

interface Telling {
  /** Milliseconds from the change to the first and to the last client that heard. */
  readonly first: number
  readonly last: number
}

type Pair = readonly [number, number]

/**
 * One row of a table: medians of the rounds.
 *
 * @param between process numbers: of what is in the middle, if anything is, and of the player
 */
export async function tell(
  audience: Audience,
  between: { readonly pid: number | undefined; readonly player: number },
  { clients, rounds }: { readonly clients: number; readonly rounds: number },
): Promise<string[]> {
  const { pid, player } = between
  const both = (of: (id: number) => number): Pair => [pid === undefined ? Number.NaN : of(pid), of(player)]
  const empty = both(memoryOf)
  for (let joined = 0; joined < clients; joined++) await audience.join()

  let waiting = await audience.listen()
  const full = both(memoryOf)
  const idle = both(cpuOf)
  const tellings: Telling[] = []
  for (let round = 0; round < rounds; round++) {
    const begin = performance.now()
    const times: number[] = []
    const all = Promise.all(waiting.map((heard) => heard.then(() => times.push(performance.now() - begin))))
    await audience.change(round)
    await all
    tellings.push({ first: times[0] ?? Number.NaN, last: times.at(-1) ?? Number.NaN })
    waiting = await audience.listen()
  }
  const busy = both(cpuOf)
  audience.close()

  const of = (pick: (telling: Telling) => number) => median(tellings.map(pick)).toFixed(1)
  const grown = (now: Pair, before: Pair, per: number) => now.map((value, i) => show((value - (before[i] ?? 0)) / per))
  return [
    of((telling) => telling.first),
    of((telling) => telling.last),
    of((telling) => telling.last - telling.first),
    ...grown(busy, idle, clients * rounds),
    ...grown(full, empty, clients * 1000),
  ]
}

/** A process may also have given memory back meanwhile. */
function show(value: number): string {
  return Number.isNaN(value) ? '–' : Math.max(0, value).toFixed(0)
}
