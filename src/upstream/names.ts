import { promises as dns } from 'node:dns'
import { type Call, personOf } from '../call/call.ts'
import { hostsIn } from '../call/host.ts'
import type { Known } from '../call/known.ts'
import { createLane, type LaneEntry } from './lane.ts'

const defaults = {
  /** How long a name may take. */
  answerMs: 2_000,
  /** How long an answer counts, and how long it counts that there is none. */
  keptMs: 30_000,
  missingMs: 5_000,
  kept: 500,
  /**
   * The system asks in threads, of which four may wait for the network (see `bin/stagedoor.js`), given up on or not. Whoever
   * runs a name server that never answers keeps two of them; one is for others, and one for finding players.
   */
  running: 3,
  runningEach: 2,
  waiting: 64,
  waitingEach: 32,
  /** Names of one call: a saved playlist may have many, and more than these are nobody's. */
  each: 32,
}
export type NamesLimits = Readonly<typeof defaults>

export interface Names {
  /** The addresses of the hosts that a call names. What is not found out in time is left out. */
  lookUp(call: Call): Promise<Pick<Known, 'hosts'>>
}

export interface NamesOptions {
  /** All addresses of a name, as this machine would reach it. @throws what says `ENOTFOUND` when there are none */
  readonly lookup?: (name: string) => Promise<readonly { readonly address: string }[]>
  /** Milliseconds that only ever grow. */
  readonly now?: () => number
  /** Resolves after that many milliseconds. */
  readonly wait?: (ms: number) => Promise<void>
  readonly limits?: Partial<NamesLimits>
}

/** Somebody wants to know what a name stands for. */
interface Errand extends LaneEntry {
  readonly name: string
  isRunning: boolean
  settle(addresses: readonly string[] | undefined): void
}

const everyAddress = (name: string) => dns.lookup(name, { all: true })

/** What names stand for, asked of the system as the player on the same machine would. */
export function createNames({
  lookup = everyAddress,
  now = () => performance.now(),
  wait = waitFor,
  limits: given,
}: NamesOptions = {}): Names {
  const limits = { ...defaults, ...given }
  const known = new Map<string, { readonly until: number; readonly addresses: readonly string[] }>()
  /** By person as well: nobody waits behind what somebody else waits for. */
  const asked = new Map<string, Promise<readonly string[] | undefined>>()
  const costless = { costly: limits.running, costlyEach: limits.waitingEach }
  const lane = createLane<Errand>({ ...limits, ...costless }, (errand) => void run(errand))
  lane.open()

  /** A place is taken until the system has answered, however long nobody waits for it any more. */
  async function run(errand: Errand): Promise<void> {
    errand.isRunning = true
    errand.settle(fresh(errand.name) ?? (await ask(errand.name)))
    lane.leave(errand)
  }

  /** Never rejects. */
  async function ask(name: string): Promise<readonly string[] | undefined> {
    try {
      const found = await lookup(name)
      return keep(
        name,
        found.map(({ address }) => address),
        limits.keptMs,
      )
    } catch (error) {
      return isMissing(error) ? keep(name, [], limits.missingMs) : undefined
    }
  }

  function keep(name: string, addresses: readonly string[], ms: number): readonly string[] {
    known.delete(name)
    const [oldest] = known.keys()
    if (known.size >= limits.kept && oldest !== undefined) known.delete(oldest)
    known.set(name, { until: now() + ms, addresses })
    return addresses
  }

  function fresh(name: string): readonly string[] | undefined {
    const found = known.get(name)
    return found && found.until > now() ? found.addresses : undefined
  }

  /** Undefined when too many wait already, or it has not begun in time: nobody looks up what nobody waits for. */
  function enter(person: string, name: string): Promise<readonly string[] | undefined> {
    return new Promise((settle) => {
      const errand: Errand = { person, name, settle, isRunning: false, costly: false, changes: false }
      if (!lane.enter(errand)) return settle(undefined)
      void wait(limits.answerMs).then(() => {
        if (errand.isRunning) return
        lane.withdraw(errand)
        settle(undefined)
      })
    })
  }

  /** Undefined when it is not known in time. */
  async function addressesOf(person: string, name: string): Promise<readonly string[] | undefined> {
    const found = fresh(name)
    if (found) return found
    const key = JSON.stringify([person, name])
    const asking = asked.get(key) ?? enter(person, name).finally(() => asked.delete(key))
    asked.set(key, asking)
    return Promise.race([asking, wait(limits.answerMs).then(() => undefined)])
  }

  return {
    async lookUp({ by, touches }) {
      const names = new Set<string>()
      for (const uri of touches.uri ?? []) for (const host of hostsIn(uri)) if (host?.name) names.add(host.name)
      const some = [...names].slice(0, limits.each)
      const found = await Promise.all(some.map(async (name) => [name, await addressesOf(personOf(by), name)] as const))
      return { hosts: new Map(found.flatMap(([name, addresses]) => (addresses ? [[name, addresses]] : []))) }
    },
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOTFOUND' || error.code === 'ENODATA')
}

function waitFor(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref())
}
