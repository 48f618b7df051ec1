import type { Call } from '../call/call.ts'
import { type Capability, isCapability } from '../call/capability.ts'
import type { Matter } from '../call/known.ts'
import { changesQueue, isAddition } from '../call/queue.ts'
import { decide } from './decide.ts'
import { ofNoGrant } from './guard.ts'
import { type Grant, grantsFor, isLifted, isObserving, type Policy, passes, rolesOf } from './role.ts'

/** What has to be looked up before this call can be judged; nothing when that would not help it. */
export function mattersOf(policy: Policy, call: Call): readonly Matter[] {
  const { by, capability, player, operation, touches } = call
  // Most calls show all there is to see.
  if (operation.needs === undefined && touches.uri === undefined && !changesQueue(call)) return []
  if (by.kind !== 'user') return []
  const decision = decide(policy, call)
  // Who is only observed goes on in any case: what is recorded is to be what they would have been told.
  if (decision.allowed && decision.permit.observed?.reason !== 'unprovable') return []
  const matters = rolesOf(by).flatMap((roles) =>
    [capability, ...call.also].filter(isCapability).flatMap((each) =>
      grantsFor(policy, roles, player, each)
        .filter((grant) => isHopeful(policy, grant, call, each))
        .flatMap(({ conditions, guard }) => [...conditions, guard])
        .concat(isObserving(policy, roles) ? [ofNoGrant] : [])
        .map(({ matter }) => matter?.(call, each)),
    ),
  )
  return [...new Set(matters.filter((matter) => matter !== undefined))]
}

/** Whether nothing that is known already keeps the grant from allowing the call. */
function isHopeful(policy: Policy, { conditions, guard }: Grant, call: Call, capability: Capability): boolean {
  return [...conditions, guard].every((condition) => {
    const verdict = isLifted(policy, condition, call) || condition.judge(call, capability)
    return verdict === true || verdict.holds || verdict.why.reason === 'unprovable'
  })
}

/** Whether it has to be heard what becomes of the queue by this call, whoever makes it. */
export function isTracked({ tracked }: Policy, call: Call): boolean {
  return tracked !== undefined && (tracked === 'all' || tracked.has(call.player)) && changesQueue(call)
}

/** How many entries a call that adds to the queue may leave there at most, where the queue is as the call has it. */
export function roomFor(policy: Policy, call: Call): number {
  const { by, player } = call
  if (by.kind !== 'user') return Number.POSITIVE_INFINITY
  const most = ({ conditions }: Grant) =>
    Math.min(...conditions.map(({ room }) => room?.(call) ?? Number.POSITIVE_INFINITY))
  const rooms = rolesOf(by)
    .filter((roles) => !isObserving(policy, roles))
    .flatMap((roles) =>
      [call.capability, ...call.also].filter(isAddition).map((each) => {
        const grants = grantsFor(policy, roles, player, each)
        const open = grants.filter(({ conditions }) =>
          conditions.every((condition) => passes(policy, condition, call, each)),
        )
        return Math.max(0, ...open.map(most))
      }),
    )
  return Math.min(Number.POSITIVE_INFINITY, ...rooms)
}
