import { type Call, type Principal, withScale } from '../call/call.ts'
import type { Capability, Standing } from '../call/capability.ts'
import type { Matter } from '../call/known.ts'
import { changesQueue, isAddition } from '../call/queue.ts'
import { type Scale, scaleOf } from '../call/scale.ts'
import type { Why } from './condition.ts'
import {
  type Condition,
  type Grant,
  grantsFor,
  grantsOf,
  isLifted,
  isObserving,
  isOpen,
  type Policy,
  passes,
  rolesOf,
} from './role.ts'
import { publicOnly } from './uris.ts'

export type Denial =
  | { readonly reason: 'expired' }
  | {
      readonly reason: 'not-granted' /** When it is one that the call takes besides its own. */
      readonly capability?: Capability
    }
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
  if (capability === 'anyone') return { allowed: true, permit: new Permit(call, 'anyone') }
  if (by.kind === 'anonymous') return denied({ reason: 'not-granted' })
  if (by.kind === 'house') {
    return ofHouse.has(capability)
      ? { allowed: true, permit: new Permit(call, by.name) }
      : denied({ reason: 'not-granted' })
  }
  if (capability === 'signed-in') return { allowed: true, permit: new Permit(call, 'signed-in') }
  if (by.players && !by.players.includes(call.player)) return denied({ reason: 'not-granted' })

  const rules: string[] = []
  let observed: Denial | undefined
  let going = inPlayersVolume(policy, call)
  for (const roles of rolesOf(by)) {
    for (const each of [capability, ...call.also]) {
      const verdict = judge(policy, roles, going, each)
      const isObserved = !unobserved.has(each) && isObserving(policy, roles)
      if ('denial' in verdict) {
        const denial = each === capability ? verdict.denial : besides(verdict.denial, each)
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
  return { allowed: true, permit: new Permit(going, rules.join(' and '), observed) }
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
    [capability, ...call.also].flatMap((each) =>
      grantsFor(policy, roles, player, each)
        .filter((grant) => isHopeful(policy, grant, call, each as Capability))
        .flatMap(({ conditions, guard }) => [...conditions, guard])
        .concat(isObserving(policy, roles) ? [ofNoGrant] : [])
        .map(({ matter }) => matter?.(call, each as Capability)),
    ),
  )
  return [...new Set(matters.filter((matter) => matter !== undefined))]
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
          conditions.every((condition) => passes(policy, condition, call, each as Capability)),
        )
        return Math.max(0, ...open.map(most))
      }),
    )
  return Math.min(Number.POSITIVE_INFINITY, ...rooms)
}

/** Whether nothing that is known already keeps the grant from allowing the call. */
function isHopeful(policy: Policy, { conditions, guard }: Grant, call: Call, capability: Capability): boolean {
  return [...conditions, guard].every((condition) => {
    const verdict = isLifted(policy, condition, call) || condition.judge(call, capability)
    return verdict === true || verdict.holds || verdict.why.reason === 'unprovable'
  })
}

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
function inPlayersVolume(policy: Policy, call: Call): Call {
  const { touches, by, player, at } = call
  if (!touches.volume || touches.volume.length === 0) return call
  const scale = volumeScale(policy, by, player, at)
  return (scale && withScale(call, scale)) ?? call
}

function besides(denial: Denial, capability: Capability): Denial {
  return denial.reason === 'not-granted' ? { ...denial, capability } : denial
}

function denied(denial: Denial): Decision {
  return { allowed: false, denial }
}

/** Of several grants the one that lets it be loudest speaks first, so that what is set and what is shown agree. */
function loudestFirst(grants: readonly Grant[], at: number): readonly Grant[] {
  if (grants.length < 2) return grants
  const sorted = grants.map((grant) => ({ grant, most: ceilingOf(grant, at) })).sort((a, b) => b.most - a.most)
  return sorted.map(({ grant }) => grant)
}

function ceilingOf({ conditions }: Grant, at: number): number {
  return conditions.reduce((most, { ceiling }) => Math.min(most, ceiling?.at(at) ?? unlimited), unlimited)
}

/** Louder than any ceiling. */
const unlimited = 101

type Judged = { readonly grant: Grant; readonly call: Call; readonly changed?: Denial } | { readonly denial: Denial }

/** The grant that allows the call, or the most telling reason why none does. */
function judge(policy: Policy, roles: readonly string[], call: Call, capability: Capability): Judged {
  let denial: Denial = { reason: 'not-granted' }
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

/** What binds those whom no grant allows a call, and who are observed only. */
const ofNoGrant: Condition = {
  ...publicOnly(() => false),
  ...{ name: 'uris', role: '', setting: undefined, rule: 'roles' },
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
