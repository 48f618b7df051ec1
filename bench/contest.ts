import { type Load, openLoad, type Result, type Target } from './load.ts'
import type { Talk } from './talk.ts'
import { cpuOf } from './usage.ts'

/** Who is asked: the player itself, or what stands in front of it. */
export interface Contender {
  readonly name: string
  readonly target: Target
  /** The process in the middle; undefined where there is none. */
  readonly pid: number | undefined
  /** Signs in; left out where nobody asks. */
  readonly token?: string
}

/** One thing to ask of all contenders. */
export interface Task {
  readonly title: string
  readonly connections: number
  /** Bytes of payload in an answer, where that is what matters. */
  readonly payload?: number
  /** One command at a time, which is what there are aims for. */
  readonly isPlain: boolean
  talk(contender: Contender): Talk
}

/** What came of a task for one contender: medians of the rounds. CPU is in microseconds per answer. */
export interface Row extends Omit<Result, 'answers'> {
  readonly name: string
  /** Of the process in the middle. */
  readonly cpu: number | undefined
  readonly playerCpu: number
}

export interface Length {
  readonly rounds: number
  /** Of one round of one contender, after a quarter of that to warm up. */
  readonly ms: number
}

/** All contenders in turns, so that what else happens on the machine meets them alike. */
export async function hold(
  task: Task,
  contenders: readonly Contender[],
  player: { readonly pid: number },
  { rounds, ms }: Length,
): Promise<readonly Row[]> {
  const results = new Map<Contender, Omit<Row, 'name'>[]>(contenders.map((contender) => [contender, []]))
  for (let round = 0; round < rounds; round++) {
    for (const [contender, list] of results) list.push(await measure(task, contender, player.pid, ms))
  }
  return [...results].map(([{ name, pid }, list]) => {
    const of = (pick: (row: Omit<Row, 'name'>) => number) => median(list.map(pick))
    return {
      name,
      perSecond: of((row) => row.perSecond),
      p50: of((row) => row.p50),
      p99: of((row) => row.p99),
      cpu: pid === undefined ? undefined : of((row) => row.cpu ?? Number.NaN),
      playerCpu: of((row) => row.playerCpu),
    }
  })
}

async function measure(task: Task, contender: Contender, player: number, ms: number): Promise<Omit<Row, 'name'>> {
  const { target, pid } = contender
  let load: Load | undefined
  try {
    load = await openLoad(target, task.talk(contender), task.connections)
    await load.run(ms / 4)
    const before = [cpuOf(player), pid === undefined ? 0 : cpuOf(pid)] as const
    const { answers, ...result } = await load.run(ms)
    return {
      ...result,
      playerCpu: (cpuOf(player) - before[0]) / answers,
      cpu: pid === undefined ? undefined : (cpuOf(pid) - before[1]) / answers,
    }
  } catch (error) {
    throw new Error(`${contender.name} failed at ${task.title}`, { cause: error })
  } finally {
    load?.close()
  }
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}
