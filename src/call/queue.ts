import type { Call } from './call.ts'
import type { Capability, Standing } from './capability.ts'
import type { Entry, Queue, QueueEntry } from './known.ts'

const additions: ReadonlySet<Capability | Standing> = new Set(['queue.add', 'queue.replace'])
const changes: ReadonlySet<Capability | Standing> = new Set(['queue.edit', 'queue.clear', ...additions])

export function isAddition(capability: Capability | Standing): capability is 'queue.add' | 'queue.replace' {
  return additions.has(capability)
}

export function addsToQueue({ capability, also }: Pick<Call, 'capability' | 'also'>): boolean {
  return [capability, ...also].some(isAddition)
}

export function changesQueue({ capability, also }: Pick<Call, 'capability' | 'also'>): boolean {
  return [capability, ...also].some((each) => changes.has(each))
}

/** The least it adds: an address can stand for a whole album, and a name for a playlist. */
export function leastAdded({ touches }: Pick<Call, 'touches'>): number {
  return Math.max(1, touches.uri?.length ?? 0)
}

/** Whether it adds what it does not name, and nobody has looked what that is. */
export function addsUnseen({ operation, known }: Pick<Call, 'operation' | 'known'>): boolean {
  return operation.needs === 'adds' && known.adds === undefined
}

/** More than any queue holds, and nothing to look through for long, however often a call names the same. */
const mostFound = 20_000

/** The entries that are named; undefined where some of them are not in the queue, or nobody knows which they are. */
export function findEntries(queue: Queue, named: readonly Entry[]): readonly QueueEntry[] | undefined {
  // To find one it need not be built.
  const byId = named.length > 4 ? new Map(queue.entries.map((entry) => [entry.id, entry])) : undefined
  const found: QueueEntry[] = []
  for (const entry of named) {
    const some = byId && 'id' in entry ? [byId.get(entry.id) ?? []].flat() : findSome(queue, entry)
    if (some.length === 0 || found.length + some.length > mostFound) return undefined
    for (const each of some) found.push(each)
  }
  return found
}

function findSome({ entries, isMoved }: Queue, entry: Entry): readonly QueueEntry[] {
  if ('id' in entry) return entries.filter(({ id }) => id === entry.id)
  if ('uri' in entry) return entries.filter(({ uri }) => uri === entry.uri)
  const { from, to = entries.length } = entry
  return isMoved || to > entries.length ? [] : entries.slice(from, to)
}

/** The queue as it is for the next call of the same list, when this one was done. */
export function afterwards(queue: Queue, call: Call): Queue {
  if (!changesQueue(call)) return queue
  if (addsToQueue(call)) return { ...queue, coming: (queue.coming ?? 0) + leastAdded(call), isMoved: true }
  if (call.capability === 'queue.clear') return { entries: [] }
  const gone = call.operation.removes && findEntries(queue, call.touches.entry ?? [])
  if (!gone) return { ...queue, isMoved: true }
  const ids = new Set(gone.map(({ id }) => id))
  return { ...queue, entries: queue.entries.filter(({ id }) => !ids.has(id)) }
}
