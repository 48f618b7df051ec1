import type { Call, Principal } from '../call/call.ts'
import type { Capability, Standing } from '../call/capability.ts'
import type { Facet } from '../call/param.ts'
import type { ConstraintName } from './constraint.ts'

/** A constraint bound to its setting. */
export interface Condition {
  readonly name: ConstraintName
  readonly facet: Facet
  readonly demands: readonly Capability[]
  /** The setting as the configuration has it, for people. */
  readonly setting: unknown
  /** Where it stands in the configuration, such as `roles.kid.grants[1].when.maxVolume`. */
  readonly rule: string
  holds(value: unknown): boolean
}

export interface Grant {
  readonly role: string
  readonly capabilities: ReadonlySet<Capability>
  readonly players: ReadonlySet<string> | 'all'
  readonly conditions: readonly Condition[]
  /** Where it stands in the configuration, such as `roles.kid.grants[1]`. */
  readonly rule: string
}

/** `count` calls in `ms` milliseconds, all of which may come at once. */
export interface Rate {
  readonly count: number
  readonly ms: number
  readonly rule: string
}

export interface Role {
  readonly grants: readonly Grant[]
  readonly rates: ReadonlyMap<Capability | '*', Rate>
}

/** Roles, compiled. A role nobody defined grants nothing. */
export interface Policy {
  readonly roles: ReadonlyMap<string, Role>
}

export type Denial =
  | { readonly reason: 'expired' }
  | {
      readonly reason: 'not-granted' /** When it is one that the call takes besides its own. */
      readonly capability?: Capability
    }
  | { readonly reason: 'refused'; readonly why: string }
  | { readonly reason: 'constraint'; readonly condition: Condition; readonly value: unknown }
  | { readonly reason: 'unprovable'; readonly condition: Condition }

export type Decision =
  | { readonly allowed: true; readonly permit: Permit }
  | { readonly allowed: false; readonly denial: Denial }

/** Proof that policy allowed a call. The class never leaves this file, so only `decide` makes one. */
class Permit {
  readonly call: Call
  readonly rule: string
  readonly #seal = true

  constructor(call: Call, rule: string) {
    this.call = call
    this.rule = rule
    Object.freeze(this)
  }

  static is(value: unknown): value is Permit {
    return typeof value === 'object' && value !== null && #seal in value
  }
}

export type { Permit }
export const isPermit = Permit.is

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
  if (capability === 'anyone') return { allowed: true, permit: new Permit(call, 'anyone') }
  if (by.kind === 'anonymous') return denied({ reason: 'not-granted' })
  if (capability === 'signed-in') return { allowed: true, permit: new Permit(call, 'signed-in') }
  if (by.players && !by.players.includes(call.player)) return denied({ reason: 'not-granted' })

  const rules: string[] = []
  for (const roles of rolesOf(by)) {
    for (const each of [capability, ...call.also]) {
      const verdict = judge(policy, roles, call, each)
      if ('reason' in verdict) return denied(each === capability ? verdict : besides(verdict, each))
      rules.push(verdict.rule)
    }
  }
  return { allowed: true, permit: new Permit(call, rules.join(' and ')) }
}

/** Whether any call that takes this could ever be allowed there: what `commands` and event filters are made from. */
export function mayEver(policy: Policy, by: Principal, player: string, capability: Capability | Standing): boolean {
  if (capability === 'anyone') return true
  if (by.kind === 'anonymous') return false
  if (capability === 'signed-in') return true
  if (by.players && !by.players.includes(player)) return false
  return rolesOf(by).every((roles) => grantsFor(policy, roles).some((grant) => covers(grant, player, capability)))
}

/** Whether the call would be allowed if this were the address it touches: what may be shown of an answer. */
export function sees(policy: Policy, call: Call, uri: string): boolean {
  return decide(policy, { ...call, touches: { ...call.touches, uri: [uri] } }).allowed
}

/** Whether there may be an address that an allowed call does not see; false when it sees every one. */
export function isNarrowed(policy: Policy, call: Call): boolean {
  const { by, capability, player } = call
  if (capability === 'anyone' || capability === 'signed-in') return false
  if (by.kind === 'anonymous' || (by.players && !by.players.includes(player))) return true
  const seesAll = (grant: Grant) =>
    covers(grant, player, capability) &&
    grant.conditions.every(({ facet }) => facet !== 'uri') &&
    !refused(grant, call, capability)
  return !rolesOf(by).every((roles) => grantsFor(policy, roles).some(seesAll))
}

function besides(denial: Denial, capability: Capability): Denial {
  return denial.reason === 'not-granted' ? { ...denial, capability } : denial
}

function denied(denial: Denial): Decision {
  return { allowed: false, denial }
}

function rolesOf(by: Exclude<Principal, { kind: 'anonymous' }>): readonly (readonly string[])[] {
  return [by.roles, ...(by.ceilings ?? [])]
}

function grantsFor(policy: Policy, roles: readonly string[]): readonly Grant[] {
  return roles.flatMap((role) => policy.roles.get(role)?.grants ?? [])
}

function covers(grant: Grant, player: string, capability: Capability): boolean {
  return grant.capabilities.has(capability) && (grant.players === 'all' || grant.players.has(player))
}

/** The grant that allows the call, or the most telling reason why none does. */
function judge(policy: Policy, roles: readonly string[], call: Call, capability: Capability): Grant | Denial {
  let denial: Denial = { reason: 'not-granted' }
  for (const grant of grantsFor(policy, roles)) {
    if (!covers(grant, call.player, capability)) continue
    const refusal = refused(grant, call, capability)
    if (!refusal) return grant
    denial = refusal
  }
  return denial
}

/** Within its realm a condition denies what it cannot see. */
function refused(grant: Grant, call: Call, capability: Capability): Denial | undefined {
  for (const condition of grant.conditions) {
    const values = call.touches[condition.facet] ?? []
    if (values.length === 0 && condition.demands.includes(capability)) return { reason: 'unprovable', condition }
    const value = values.find((v) => !condition.holds(v))
    if (value !== undefined) return { reason: 'constraint', condition, value }
  }
  return undefined
}
