import { promises as dns } from 'node:dns'
import type { Call } from '../call/call.ts'
import { hostsIn } from '../call/host.ts'
import type { Known } from '../call/known.ts'

const defaults = {
  /** How long a name may take. */
  answerMs: 2_000,
  /** How long an answer counts, and how long it counts that there is none. */
  keptMs: 30_000,
  missingMs: 5_000,
  kept: 500,
  /** The system asks in threads of which this process has four, given up on or not. */
  running: 2,
  waiting: 64,
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
  const asked = new Map<string, Promise<readonly string[] | undefined>>()
  const waiting: (() => void)[] = []
  let running = 0

  /** @throws when too many wait already */
  async function turn(): Promise<void> {
    if (running < limits.running) {
      running++
      return
    }
    if (waiting.length >= limits.waiting) throw new Error('too many names')
    await new Promise<void>((resolve) => waiting.push(resolve))
  }

  /** A place is taken until the system has answered, however long nobody waits for it any more. */
  function leave(): void {
    const next = waiting.shift()
    if (next) next()
    else running--
  }

  async function ask(name: string): Promise<readonly string[] | undefined> {
    await turn()
    try {
      const found = await lookup(name)
      return keep(
        name,
        found.map(({ address }) => address),
        limits.keptMs,
      )
    } catch (error) {
      return isMissing(error) ? keep(name, [], limits.missingMs) : undefined
    } finally {
      leave()
    }
  }

  function keep(name: string, addresses: readonly string[], ms: number): readonly string[] {
    known.delete(name)
    const [oldest] = known.keys()
    if (known.size >= limits.kept && oldest !== undefined) known.delete(oldest)
    known.set(name, { until: now() + ms, addresses })
    return addresses
  }

  /** Undefined when it is not known in time. */
  function addressesOf(name: string): Promise<readonly string[] | undefined> {
    const found = known.get(name)
    if (found && found.until > now()) return Promise.resolve(found.addresses)
    const asking =
      asked.get(name) ??
      ask(name)
        .catch(() => undefined)
        .finally(() => asked.delete(name))
    asked.set(name, asking)
    return Promise.race([asking, wait(limits.answerMs).then(() => undefined)])
  }

  return {
    async lookUp({ touches }) {
      const names = new Set<string>()
      for (const uri of touches.uri ?? []) for (const host of hostsIn(uri)) if (host?.name) names.add(host.name)
      const some = [...names].slice(0, limits.each)
      const found = await Promise.all(some.map(async (name) => [name, await addressesOf(name)] as const))
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
