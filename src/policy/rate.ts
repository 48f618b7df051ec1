import type { Principal } from '../call/call.ts'
import type { Capability, Standing } from '../call/capability.ts'
import { isObserving, type Policy, type Rate } from './decide.ts'

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
  const sets = [by.roles, ...(by.ceilings ?? [])]
  const counted: readonly (Capability | '*')[] =
    capability === 'anyone' || capability === 'signed-in' ? ['*', ...also] : ['*', capability, ...also]
  return counted.flatMap((counts) =>
    sets.flatMap((roles) => {
      const rate = mostGenerous(policy, roles, counts)
      return rate ? [{ counts, rate, ...(isObserving(policy, roles) && { isObserved: true }) }] : []
    }),
  )
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
