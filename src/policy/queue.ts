import Type from 'typebox'
import { personOf } from '../call/call.ts'
import type { Capability } from '../call/capability.ts'
import type { Queue, QueueEntry } from '../call/known.ts'
import { remembering } from '../call/memo.ts'
import { findEntries, isAddition, leastAdded } from '../call/queue.ts'
import { constraint, holds, refuses, unseen } from './condition.ts'

const Entries = (description: string) => Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000, description }))

const edits: ReadonlySet<Capability> = new Set(['queue.edit', 'queue.clear', 'queue.replace'])

/** How much of the queue is a person's, and whose entries they may change. */
export const queue = constraint({
  setting: Type.Object(
    {
      max: Entries('The length of the queue from which on the role may add nothing'),
      perPerson: Entries('How many entries of the queue may be one person’s'),
      own: Type.Optional(Type.Boolean({ description: 'Only what they added themselves may be moved or removed' })),
    },
    { additionalProperties: false, minProperties: 1, description: 'How the role shares the queue with others' },
  ),
  bind({ max = Number.POSITIVE_INFINITY, perPerson = Number.POSITIVE_INFINITY, own = false }) {
    const isCapped = Math.min(max, perPerson) < Number.POSITIVE_INFINITY
    const counts = (capability: Capability) => isCapped && isAddition(capability)
    const guards = (capability: Capability) => own && edits.has(capability)
    const limits = Object.entries({ max, perPerson }).flatMap(([name, most]) =>
      most < Number.POSITIVE_INFINITY ? [`${name} ${most}`] : [],
    )
    const unknown = () => unseen(() => `queue ${[...limits, ...(own ? ['own'] : [])].join(' ')}`)

    return {
      facet: 'entry',
      demands: own ? ['queue.edit'] : [],
      tracks: true,
      judge(call, capability) {
        const { by, operation, touches, known } = call
        const isCounted = counts(capability)
        if (!isCounted && !guards(capability)) return holds
        if (!known.queue || (isCounted && operation.goesOn)) return unknown()
        const { entries, coming = 0 } = known.queue
        const person = personOf(by)
        if (isCounted) {
          const more = leastAdded(call)
          const [all, mine] = [entries.length + coming, sharesOf(known.queue)(person)]
          if (all + more > max) return refuses(() => `queue max ${max}, and ${all} are in it`)
          if (mine + more > perPerson) return refuses(() => `queue perPerson ${perPerson}, and ${mine} in it are yours`)
        }
        if (!guards(capability)) return holds
        const isOwn = ({ owner }: QueueEntry) => owner === person
        const others = () => refuses(() => 'queue own, and not all of that is yours')
        if (capability !== 'queue.edit') return entries.every(isOwn) ? holds : others()
        const named = touches.entry ?? []
        const isLost = known.queue.isMoved && named.some((entry) => 'from' in entry)
        if (named.length === 0 || isLost) return unknown()
        return findEntries(known.queue, named)?.every(isOwn) ? holds : others()
      },
      matter: ({ operation }, capability) =>
        guards(capability) || (counts(capability) && !operation.goesOn) ? 'queue' : undefined,
      room: ({ by, known }) =>
        known.queue ? Math.min(max - known.queue.entries.length, perPerson - sharesOf(known.queue)(personOf(by))) : 0,
    }
  },
})

/** How many of a queue are a person's, those that are on their way and those that may be theirs included. */
const sharesOf = remembering((queue: Queue) =>
  remembering((person: string): number => {
    let share = queue.coming ?? 0
    for (const { owner, among } of queue.entries) if (owner === person || among?.includes(person)) share++
    return share
  }),
)
