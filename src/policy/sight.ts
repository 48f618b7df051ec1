import type { Call } from '../call/call.ts'
import { type Condition, type Grant, grantsFor, isObserving, type Policy, passes, rolesOf } from './role.ts'

/** Whether the call would be allowed if this were the address it touches: what may be shown of an answer. */
export function sees(policy: Policy, call: Call, uri: string): boolean {
  return showing(policy, call, ({ shows }) => shows === undefined || shows(uri))
}

/** Whether there may be an address that an allowed call does not see; false when it sees every one. */
export function isNarrowed(policy: Policy, call: Call): boolean {
  return !showing(policy, call, ({ shows }) => shows === undefined)
}

/** Whether each list of roles has a grant that allows the call, and whose conditions show what is asked. */
function showing(policy: Policy, call: Call, shows: (condition: Condition) => boolean): boolean {
  const { by, capability, player } = call
  if (capability === 'anyone' || capability === 'signed-in') return true
  if (by.kind !== 'user' || by.until <= call.at || call.refused !== undefined) return false
  if (by.players && !by.players.includes(player)) return false
  const isShown = ({ conditions }: Grant) =>
    conditions.every(
      (condition) => shows(condition) && (condition.facet === 'uri' || passes(policy, condition, call, capability)),
    )
  return rolesOf(by).every(
    (roles) => isObserving(policy, roles) || grantsFor(policy, roles, player, capability).some(isShown),
  )
}
