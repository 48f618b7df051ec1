import type { User } from '../call/call.ts'
import type { AtEnd } from './condition.ts'
import { grantsFor, isObserving, isOpen, type Policy, rolesOf } from './role.ts'

/**
 * What becomes of what this person made play there, now that their hours are over; undefined while they are not, and for
 * whom hours do not keep from playing.
 *
 * Of grants that ended together the most patient one speaks, as each of them would have allowed it; of a person and what
 * they came by, the strictest.
 *
 * @param since when they could play there last (Unix ms): what ended then is meant, and not what was over long before
 */
export function closing(policy: Policy, by: User, player: string, since: number, at: number): AtEnd | undefined {
  const ends = rolesOf(by).flatMap((roles) => endOf(policy, by, roles, player, since, at) ?? [])
  return ends.length === 0 ? undefined : ends.reduce((a, b) => (patience(b) < patience(a) ? b : a))
}

function endOf(
  policy: Policy,
  by: User,
  roles: readonly string[],
  player: string,
  since: number,
  at: number,
): AtEnd | undefined {
  if (isObserving(policy, roles)) return undefined
  const grants = grantsFor(policy, roles, player, 'playback.control')
  if (grants.length === 0 || grants.some((grant) => isOpen(policy, grant, { by, player, at }))) return undefined
  const ended = grants.filter((grant) => isOpen(policy, grant, { by, player, at: since }))
  const ends = (ended.length > 0 ? ended : grants).flatMap(({ conditions }) =>
    conditions.flatMap(({ hours }) => hours?.atEnd ?? []),
  )
  return ends.reduce((a, b) => (patience(b) > patience(a) ? b : a))
}

function patience(atEnd: AtEnd): number {
  return atEnd === 'finish' ? Number.POSITIVE_INFINITY : atEnd === 'stop' ? 0 : atEnd.fadeMs
}
