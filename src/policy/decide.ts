import type { Call, Principal } from '../call/call.ts'
import type { Capability, Standing } from '../call/capability.ts'
import type { Why } from './condition.ts'
import { ofNoGrant } from './guard.ts'
import { type Condition, type Grant, grantsFor, grantsOf, isLifted, isObserving, type Policy, rolesOf } from './role.ts'
import { inPlayersVolume, loudestFirst } from './scale.ts'

export type Denial =
  | { readonly reason: 'expired' }
  /** With a `capability` when it is one that the call takes besides its own. */
  | { readonly reason: 'not-granted'; readonly capability?: Capability }
  | { readonly reason: 'refused'; readonly why: string }
  | (Why & { readonly condition: Condition })

export type Decision =
  | { readonly allowed: true; readonly permit: Permit }
  | { readonly allowed: false; readonly denial: Denial }

/** Proof that policy allowed a call. The class never leaves this file, so only `decide` makes one. */
class Permit {
  /** What may go: what was asked for, or what policy put in its place. */
  readonly call: Call
  readonly rule: string
  /** What would have been refused if its role did not only observe. */
  readonly observed: Denial | undefined
  readonly #seal = true

  constructor(call: Call, rule: string, observed?: Denial) {
    this.call = call
    this.rule = rule
    this.observed = observed
    Object.freeze(this)
  }

  static is(value: unknown): value is Permit {
    return typeof value === 'object' && value !== null && #seal in value
  }
}

export type { Permit }
export const isPermit = Permit.is

/** What the gateway may do by itself: turn down, stop, and take back what is too much. */
const ofHouse: ReadonlySet<Capability | Standing> = new Set(['volume.set', 'playback.control', 'queue.edit'])

/** What outlives a song is refused to whoever was not granted it, observed or not. */
const unobserved: ReadonlySet<Capability> = new Set(['server.admin', 'player.takeover'])

/**
 * Same policy, same call, same answer.
 *
 * Grants are alternatives and the conditions of one grant bind together. Each ceiling must allow the call as well.
 * When nothing admits it, the most telling refusal is returned.
 */
export function decide(policy: Policy, call: Call): Decision {
  const { by, capability } = call
  if (by.kind === 'user' && by.until <= call.at) return denied({ reason: 'expired' })
  if (call.refused !== undefined) return denied({ reason: 'refused', why: call.refused })
  if (capability === 'anyone') return allowed(call, 'anyone')
  if (by.kind === 'anonymous') return denied({ reason: 'not-granted' })
  if (by.kind === 'house') return ofHouse.has(capability) ? allowed(call, by.name) : denied({ reason: 'not-granted' })
  if (capability === 'signed-in') return allowed(call, 'signed-in')
  if (by.players && !by.players.includes(call.player)) return denied({ reason: 'not-granted' })

  const rules: string[] = []
  let observed: Denial | undefined
  let going = inPlayersVolume(policy, call)
  for (const roles of rolesOf(by)) {
    for (const each of [capability, ...call.also]) {
      const verdict = judge(policy, roles, going, each)
      const isObserved = !unobserved.has(each) && isObserving(policy, roles)
      if ('denial' in verdict) {
        const { denial } = verdict
        if (!isObserved) return denied(denial)
        const unguarded = guarding(policy, roles, going, each)
        if (unguarded) return denied(unguarded)
        observed ??= denial
      } else {
        if (!isObserved) going = verdict.call
        else observed ??= verdict.changed
        rules.push(verdict.grant.rule)
      }
    }
  }
  return allowed(going, rules.join(' and '), observed)
}

function allowed(call: Call, rule: string, observed?: Denial): Decision {
  return { allowed: true, permit: new Permit(call, rule, observed) }
}

function denied(denial: Denial): Decision {
  return { allowed: false, denial }
}

type Judged = { readonly grant: Grant; readonly call: Call; readonly changed?: Denial } | { readonly denial: Denial }

/** The grant that allows the call, or the most telling reason why none does. */
function judge(policy: Policy, roles: readonly string[], call: Call, capability: Capability): Judged {
  let denial: Denial = { reason: 'not-granted', ...(capability !== call.capability && { capability }) }
  const grants = grantsFor(policy, roles, call.player, capability)
  for (const grant of call.touches.volume ? loudestFirst(grants, call.at) : grants) {
    const judged = judgeBy(policy, grant, call, capability)
    if (!('denial' in judged)) return judged
    denial = judged.denial
  }
  return { denial }
}

function judgeBy(policy: Policy, grant: Grant, call: Call, capability: Capability): Judged {
  let going = call
  let changed: Denial | undefined
  for (const condition of grant.conditions) {
    if (isLifted(policy, condition, call)) continue
    const verdict = condition.judge(going, capability)
    if (!verdict.holds) return { denial: { ...verdict.why, condition } }
    if (!verdict.instead) continue
    const { instead } = verdict
    going = instead
    const becomes = condition.isScaled ? 'is louder than their 100 would be:' : 'would become'
    const says = () => `${condition.name}: ${call.touches.volume} ${becomes} ${instead.touches.volume}`
    changed = { reason: 'constraint', says, condition }
  }
  const { guard } = grant
  const guarded = guard.judge(going, capability)
  if (!guarded.holds) return { denial: { ...guarded.why, condition: guard } }
  return { grant, call: going, ...(changed && { changed }) }
}

/** Why a call goes nowhere, observed or not: whoever may try things out may not try the house's other machines. */
function guarding(policy: Policy, roles: readonly string[], call: Call, capability: Capability): Denial | undefined {
  const guards = [ofNoGrant, ...grantsOf(policy, roles).map(({ guard }) => guard)]
  const denials = guards.map((condition) => {
    const verdict = condition.judge(call, capability)
    return verdict.holds ? undefined : { ...verdict.why, condition }
  })
  return denials.includes(undefined) ? undefined : denials.at(-1)
}

/**
 * Whether any call that takes this could ever be allowed there: what `commands` and event filters are made from.
 *
 * Time is left out of it. What is announced does not change by the hour, as clients ask once; calls are judged each time.
 */
export function mayEver(policy: Policy, by: Principal, player: string, capability: Capability | Standing): boolean {
  if (capability === 'anyone') return true
  if (by.kind === 'anonymous') return false
  if (by.kind === 'house') return ofHouse.has(capability)
  if (capability === 'signed-in') return true
  if (by.players && !by.players.includes(player)) return false
  return rolesOf(by).every(
    (roles) =>
      (isObserving(policy, roles) && !unobserved.has(capability)) ||
      grantsFor(policy, roles, player, capability).length > 0,
  )
}
