import type { Call, Principal, User } from '../call/call.ts'
import { type Capability, capabilityNames, isCapability, type Standing } from '../call/capability.ts'
import { covers, type Grant, isObserving, isOpen, type Policy, passes, type Rate, rolesOf } from './role.ts'

/** A rate that binds a call, and what it counts. */
export interface Budget {
  readonly counts: Capability | '*'
  readonly rate: Rate
  /** Who draws more than it holds is recorded, and goes all the same. */
  readonly isObserved?: boolean
}

/**
 * The budgets a call draws on: one for everything, one for each of its capabilities.
 *
 * Of several roles the most generous counts (a role without a rate has none); every ceiling binds on top.
 */
export function budgetsFor(
  policy: Policy,
  by: Principal,
  capability: Capability | Standing,
  also: readonly Capability[] = [],
): readonly Budget[] {
  if (by.kind !== 'user') return []
  return (['*', ...[capability, ...also].filter(isCapability)] as const).flatMap((counts) => {
    const budgets: Budget[] = []
    for (const roles of rolesOf(by)) {
      const rate = mostGenerous(policy, roles, counts)
      const isObserved = isObserving(policy, roles)
      // The same by two ways is one bucket, and one is taken out of it.
      const isDrawn = budgets.some(
        (one) => one.rate.count === rate?.count && one.rate.ms === rate.ms && (one.isObserved ?? false) === isObserved,
      )
      if (rate && !isDrawn) budgets.push({ counts, rate, ...(isObserved && { isObserved }) })
    }
    return budgets
  })
}

function mostGenerous(policy: Policy, roles: readonly string[], counts: Capability | '*'): Rate | undefined {
  let best: Rate | undefined
  for (const name of roles) {
    const role = policy.roles.get(name)
    if (!role) continue
    const rate = role.rates.get(counts)
    if (!rate) return undefined
    if (!best || rate.count / rate.ms > best.count / best.ms) best = rate
  }
  return best
}

/** Never more than `rate.count` of what it counts in any `rate.ms` milliseconds. */
export interface Quota extends Budget {
  readonly counts: Capability
}

/**
 * The quotas that bind this call, each of its capabilities by itself.
 *
 * Of several roles only those count that let the call pass: what one allows without a quota has none, as with rates, and
 * one that has nothing to say to it lifts nothing.
 */
export function quotasFor(policy: Policy, call: Call): readonly Quota[] {
  const { by, player, also, capability } = call
  if (by.kind !== 'user') return []
  return [capability, ...also].filter(isCapability).flatMap((counts) => {
    const admits = (grant: Grant) =>
      covers(grant, player, counts) &&
      [...grant.conditions, grant.guard].every((condition) => passes(policy, condition, call, counts))
    return quotasBy(policy, by, counts, admits)
  })
}

/** The quotas that bind somebody at a player at that time, whatever else a call of theirs holds. */
export function quotasAt(policy: Policy, by: Principal, player: string, at: number): readonly Quota[] {
  if (by.kind !== 'user') return []
  return capabilityNames.flatMap((counts) =>
    quotasBy(policy, by, counts, (grant) => covers(grant, player, counts) && isOpen(policy, grant, { by, player, at })),
  )
}

function quotasBy(policy: Policy, by: User, counts: Capability, admits: (grant: Grant) => boolean): readonly Quota[] {
  return rolesOf(by).flatMap((roles) => {
    let rate: Rate | undefined
    let isFree = false
    for (const name of roles) {
      const role = policy.roles.get(name)
      const quota = role?.quotas.get(counts)
      // Who has a quota anywhere is rare, and only then it matters what the grants say.
      if (!role || (!quota && !roles.some((other) => policy.roles.get(other)?.quotas.has(counts)))) continue
      if (!role.grants.some(admits)) continue
      if (!quota) isFree = true
      else if (!rate || quota.count / quota.ms > rate.count / rate.ms) rate = quota
    }
    return rate && !isFree ? [{ counts, rate, ...(isObserving(policy, roles) && { isObserved: true }) }] : []
  })
}
