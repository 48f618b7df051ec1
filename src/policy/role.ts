import type { Call, User } from '../call/call.ts'
import type { Capability, Standing } from '../call/capability.ts'
import type { Rule } from './condition.ts'
import type { ConstraintName } from './constraint.ts'

/** A constraint as one grant has it. */
export interface Condition extends Rule {
  readonly name: ConstraintName
  readonly role: string
  /** The setting as the configuration has it, for people. */
  readonly setting: unknown
  /** Where it stands in the configuration, such as `roles.kid.grants[1].when.maxVolume`. */
  readonly rule: string
}

export interface Grant {
  readonly role: string
  readonly capabilities: ReadonlySet<Capability>
  readonly players: ReadonlySet<string> | 'all'
  readonly conditions: readonly Condition[]
  /** What binds it whatever the configuration says: where its calls may lead. It narrows nothing that is shown. */
  readonly guard: Condition
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
  /** Never more than `count` in any `ms` milliseconds. */
  readonly quotas: ReadonlyMap<Capability, Rate>
  /** What its people are refused is recorded, and goes all the same. */
  readonly isObserved: boolean
}

/** What somebody who runs the house let pass: until then, hours do not bind. */
export interface Override {
  /** An account (its id), or a role, whose own grants it is for, whoever has it. */
  readonly who: string
  /** All players when left out. */
  readonly player?: string | undefined
  /** Unix ms. A clock that was set back behind the beginning must not make it longer. */
  readonly from?: number
  readonly until: number
}

/** Roles, compiled. A role nobody defined grants nothing. */
export interface Policy {
  readonly roles: ReadonlyMap<string, Role>
  /** The time zone (IANA) in which people are told of times. */
  readonly zone: string
  readonly overrides?: readonly Override[]
  /** The players of whose queues it has to be known who added what. */
  readonly tracked?: ReadonlySet<string> | 'all'
}

/** The lists of roles each of which must allow a call: the person's own, and those of what they came by. */
export function rolesOf(by: User): readonly (readonly string[])[] {
  return [by.roles, ...(by.ceilings ?? [])]
}

/** One observed role makes a list of them observed. */
export function isObserving(policy: Policy, roles: readonly string[]): boolean {
  return roles.some((role) => policy.roles.get(role)?.isObserved === true)
}

export function grantsOf(policy: Policy, roles: readonly string[]): readonly Grant[] {
  return roles.flatMap((role) => policy.roles.get(role)?.grants ?? [])
}

/** Those of their grants that are for this capability there. */
export function grantsFor(
  policy: Policy,
  roles: readonly string[],
  player: string,
  capability: Capability | Standing,
): readonly Grant[] {
  return grantsOf(policy, roles).filter((grant) => covers(grant, player, capability))
}

export function covers(grant: Grant, player: string, capability: Capability | Standing): boolean {
  return grant.capabilities.has(capability as Capability) && (grant.players === 'all' || grant.players.has(player))
}

export type Asking = Pick<Call, 'at' | 'by' | 'player'>

/** Whether the time of a grant has come, or somebody who runs the house let it pass. */
export function isOpen(policy: Policy, { conditions }: Grant, asking: Asking): boolean {
  return conditions.every(
    (condition) => condition.hours?.at(asking.at) !== false || isLifted(policy, condition, asking),
  )
}

/** Whether somebody who runs the house let it pass at that time. */
export function isLifted({ overrides }: Policy, { hours, role }: Condition, { at, by, player }: Asking): boolean {
  if (!overrides || overrides.length === 0 || !hours || by.kind !== 'user') return false
  return overrides.some(
    ({ who, player: where, from = at, until }) =>
      from <= at && at < until && (who === by.id || who === role) && (where === undefined || where === player),
  )
}

/** Whether the condition alone would let it go. */
export function passes(policy: Policy, condition: Condition, call: Call, capability: Capability): boolean {
  return isLifted(policy, condition, call) || condition.judge(call, capability).holds
}
