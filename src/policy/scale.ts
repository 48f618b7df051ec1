import { type Call, type Principal, withScale } from '../call/call.ts'
import { type Scale, scaleOf } from '../call/scale.ts'
import { type Grant, grantsFor, isObserving, isOpen, type Policy, rolesOf } from './role.ts'

/** How this person's volumes stand to the player's at that time; undefined when they are the same. */
export function volumeScale(policy: Policy, by: Principal, player: string, at: number): Scale | undefined {
  if (by.kind !== 'user') return undefined
  let isScaled = false
  const ceilings = rolesOf(by).map((roles) => {
    if (isObserving(policy, roles)) return unlimited
    const grants = grantsFor(policy, roles, player, 'volume.set')
    const open = grants.filter((grant) => isOpen(policy, grant, { by, player, at }))
    // Where nothing may be set now, what is shown stays as it would be.
    const [loudest] = loudestFirst(open.length > 0 ? open : grants, at)
    isScaled ||= loudest?.conditions.some((condition) => condition.isScaled) === true
    return loudest ? ceilingOf(loudest, at) : unlimited
  })
  // Of several ceilings the lowest is a person's 100, whichever they come by: one role in both is not to count twice.
  const most = Math.min(...ceilings)
  return isScaled && most < 100 ? scaleOf(most) : undefined
}

/** The call with the player's volume in it, where its person sets it in their own. */
export function inPlayersVolume(policy: Policy, call: Call): Call {
  const { touches, by, player, at } = call
  if (!touches.volume || touches.volume.length === 0) return call
  const scale = volumeScale(policy, by, player, at)
  return (scale && withScale(call, scale)) ?? call
}

/** Of several grants the one that lets it be loudest speaks first, so that what is set and what is shown agree. */
export function loudestFirst(grants: readonly Grant[], at: number): readonly Grant[] {
  if (grants.length < 2) return grants
  const sorted = grants.map((grant) => ({ grant, most: ceilingOf(grant, at) })).sort((a, b) => b.most - a.most)
  return sorted.map(({ grant }) => grant)
}

function ceilingOf({ conditions }: Grant, at: number): number {
  return conditions.reduce((most, { ceiling }) => Math.min(most, ceiling?.at(at) ?? unlimited), unlimited)
}

/** Louder than any ceiling. */
const unlimited = 101
