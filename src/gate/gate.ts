import type { Call, Principal } from '../call/call.ts'
import { type Capability, capabilityNames, type Standing } from '../call/capability.ts'
import type { Operation } from '../call/catalog.ts'
import { Fault } from '../call/fault.ts'
import type { Matter } from '../call/known.ts'
import { addsUnseen, isAddition } from '../call/queue.ts'
import type { Scale } from '../call/scale.ts'
import { decide, mayEver, type Permit } from '../policy/decide.ts'
import { mattersOf } from '../policy/matter.ts'
import { type Budget, budgetsFor, type Quota, quotasAt, quotasFor } from '../policy/rate.ts'
import type { Policy } from '../policy/role.ts'
import { volumeScale } from '../policy/scale.ts'
import { isNarrowed, sees } from '../policy/sight.ts'
import { type AuditRecord, type AuditSink, allowed, denied, dropped, limited } from './audit.ts'
import { createLimiter, type Limiter } from './limiter.ts'
import { createQuotas, type Quotas } from './quota.ts'
import { exhausted, refusal, remarkOf, spent, uncountable, uncounted } from './refusal.ts'

export interface Gate {
  /** Every call, of every protocol, passes here and nowhere else. @throws Fault */
  admit(call: Call): Permit
  /**
   * All of them or none: for command lists.
   *
   * @throws Refusal naming the position of the first call that may not go
   */
  admitAll(calls: readonly Call[]): readonly Permit[]
  /** Whether the principal may ever use the capability there: which events are seen. */
  may(by: Principal, player: string, capability: Capability | Standing): boolean
  /** Whether the principal may ever make some call of this row there: what is announced. */
  mayCall(by: Principal, player: string, operation: Operation): boolean
  capabilitiesOf(by: Principal, player: string): readonly Capability[]
  /** Whether this call would be allowed if it touched that address. Nothing is counted or recorded. */
  sees(call: Call, uri: string): boolean
  /** Whether an answer to this call may hold addresses that its caller is not to see; false when there can be none. */
  isNarrowed(call: Call): boolean
  /** What has to be looked up (`Call.known`) before policy can judge this call; nothing for most. */
  mattersOf(call: Call): readonly Matter[]
  /** The call that would go if this were admitted now; undefined for a refusal. Nothing is counted or recorded. */
  foresee(call: Call): Call | undefined
  /** How the volumes that this person sets and is shown stand to the player's; undefined when they are the same. */
  volumeScale(by: Principal, player: string, at: number): Scale | undefined
  /** What is left to this person of the quotas that bind them at these players. */
  quotasOf(by: Principal, players: readonly string[], at: number): readonly QuotaLeft[]
  /** Draws besides what a call that went turned out to add, such as the tracks of an album; of no one without a quota. */
  charge(call: Call, more: number): void
}

export interface QuotaLeft {
  readonly capability: Capability
  readonly limit: number
  readonly windowMs: number
  readonly remaining: number
  /** Until there is one more; 0 when it is full. */
  readonly resetMs: number
  /** Where it binds. */
  readonly players: readonly string[]
}

/** A fault at a position of a list. */
export class Refusal extends Error {
  readonly fault: Fault
  readonly index: number

  constructor(fault: Fault, index: number) {
    super(fault.message, { cause: fault })
    this.fault = fault
    this.index = index
  }
}

/**
 * Refusals of one person that are written down. Nothing else bounds those: who is refused a thousand times a second
 * would push the records of everybody else out of the queue and, in an hour, out of the database.
 */
const written: Budget = { counts: '*', rate: { count: 600, ms: 60_000, rule: 'refusals' } }
/** And beyond them one a minute, whose reason says that there were more. */
const reminder: Budget = { counts: '*', rate: { count: 1, ms: 60_000, rule: 'refusals' } }

/** Policy is asked for anew on each call, so a reload reaches connections already open. */
export function createGate(deps: {
  policy(): Policy
  limiter: Limiter
  /** What outlives the process; without it quotas are kept in memory. */
  quotas?: Quotas
  audit: AuditSink
  /** Hears of each refused call that nobody makes by mistake. Must neither throw nor block. */
  alarm?(call: Call): void
  /** Hears of each decision, of those too that are too many to be written down. Must neither throw nor block. */
  onDecision?(record: AuditRecord): void
}): Gate {
  const { limiter, audit, quotas = createQuotas() } = deps
  const flood = createLimiter()
  /** What those draw who are only observed. */
  const trial = createQuotas()

  /** Records what was not sent. */
  function note(call: Call, record: AuditRecord): void {
    deps.onDecision?.(record)
    if (!flood.take(call, [written])) audit.write(record)
    else if (!flood.take(call, [reminder])) audit.write({ ...record, reason: 'flood' })
  }

  function admitted(record: AuditRecord): void {
    deps.onDecision?.(record)
    audit.write(record)
  }

  /** Decides and counts, and records only a refusal: whether an admitted call goes is its list's to say. */
  function pass(call: Call): Passed {
    const policy = deps.policy()
    const decision = decide(policy, call)
    if (!decision.allowed) {
      const fault = refusal(call, decision.denial)
      note(call, denied(call, decision.denial, fault.message))
      if (call.operation.alarm && call.by.kind === 'user') deps.alarm?.(call)
      throw fault
    }
    const { permit } = decision
    const all = budgetsFor(policy, call.by, call.capability, call.also)
    const [binding, tried] = parted(all)
    const empty = limiter.take(call, binding)
    if (empty) {
      const fault = exhausted(policy, call, empty)
      note(call, limited(call, empty.budget, fault.message))
      throw fault
    }
    // By what goes: a ceiling that would refuse what was asked for may allow, and count, what was put in its place.
    const [strict, lenient] = parted(quotasFor(policy, permit.call))
    const obstacle = draw(policy, call, strict)
    if (obstacle) {
      limiter.giveBack(call, binding)
      note(call, obstacle.record)
      throw obstacle.fault
    }
    const over = limiter.take(call, tried)
    const budgets = over ? binding : all
    const short = trial.take(call, lenient)
    const would = over
      ? { rule: over.budget.rate.rule, fault: exhausted(policy, call, over) }
      : short && { rule: short.quota.rate.rule, fault: spent(policy, call, short) }
    const record = () =>
      would && !permit.observed
        ? { ...allowed(permit, call, would.fault.message), rule: would.rule, reason: 'observed' }
        : allowed(permit, call, remarkOf(call, permit))
    return { permit, budgets, quotas: strict, record }
  }

  /** Draws from quotas; what is in the way, when something is. */
  function draw(policy: Policy, call: Call, strict: readonly Quota[]): Obstacle | undefined {
    const [quota] = strict
    if (!quota) return undefined
    const blind = addsUnseen(call) ? strict.find(({ counts }) => isAddition(counts)) : undefined
    if (blind) {
      const fault = uncountable(blind)
      return { fault, record: { ...limited(call, blind, fault.message), outcome: 'denied', reason: 'unprovable' } }
    }
    try {
      const short = quotas.take(call, strict)
      if (!short) return undefined
      const fault = spent(policy, call, short)
      const record = limited(call, short.quota, fault.message)
      const outcome = fault.code === 'limited' ? 'limited' : 'denied'
      return { fault, record: { ...record, outcome, reason: 'quota' } }
    } catch (error) {
      return obstacleOf(call, quota, error)
    }
  }

  /** All that these draw is written before any of them goes, or none of them goes. @throws Fault of the one at `index` */
  function keep(passed: readonly Passed[]): { readonly fault: Fault; readonly index: number } | undefined {
    trial.keep()
    const index = passed.findIndex(({ quotas }) => quotas.length > 0)
    const first = passed[index]
    const [quota] = first?.quotas ?? []
    if (!first || !quota) return undefined
    try {
      quotas.keep()
      return undefined
    } catch (error) {
      const { fault, record } = obstacleOf(first.permit.call, quota, error)
      note(first.permit.call, record)
      return { fault, index }
    }
  }

  const may: Gate['may'] = (by, player, capability) => mayEver(deps.policy(), by, player, capability)

  return {
    admit(call) {
      const passed = pass(call)
      const { permit, budgets, record } = passed
      const unkept = keep([passed])
      if (unkept) {
        limiter.giveBack(permit.call, budgets)
        throw unkept.fault
      }
      admitted(record())
      return permit
    },
    admitAll(calls) {
      const passed: Passed[] = []
      const drop = (fault: Fault, index: number) => {
        quotas.giveBack()
        trial.giveBack()
        for (const [i, { permit, budgets }] of passed.entries()) {
          limiter.giveBack(permit.call, budgets)
          if (i !== index) note(permit.call, dropped(permit))
        }
        return new Refusal(fault, index)
      }
      for (const [index, call] of calls.entries()) {
        try {
          passed.push(pass(call))
        } catch (error) {
          throw drop(Fault.from(error), index)
        }
      }
      const unkept = keep(passed)
      if (unkept) throw drop(unkept.fault, unkept.index)
      for (const record of recordsOf(passed)) admitted(record)
      return passed.map(({ permit }) => permit)
    },
    may,
    mayCall: (by, player, { capability, given }) =>
      [capability, ...Object.values(given ?? {})].some((way) => way !== undefined && may(by, player, way)),
    capabilitiesOf: (by, player) => capabilityNames.filter((name) => may(by, player, name)),
    sees: (call, uri) => sees(deps.policy(), call, uri),
    isNarrowed: (call) => isNarrowed(deps.policy(), call),
    mattersOf(call) {
      const policy = deps.policy()
      const matters = mattersOf(policy, call)
      if (!addsUnseen(call) || matters.includes('adds')) return matters
      return quotasFor(policy, call).some(({ counts }) => isAddition(counts)) ? [...matters, 'adds'] : matters
    },
    foresee(call) {
      const decision = decide(deps.policy(), call)
      return decision.allowed ? decision.permit.call : undefined
    },
    volumeScale: (by, player, at) => volumeScale(deps.policy(), by, player, at),
    quotasOf(by, players, at) {
      const policy = deps.policy()
      const found = new Map<string, QuotaLeft>()
      for (const player of players) {
        for (const quota of quotasAt(policy, by, player, at)) {
          if (quota.isObserved) continue
          const { count, ms } = quota.rate
          const key = JSON.stringify([quota.counts, count, ms])
          const known = found.get(key)
          const left = known ?? { capability: quota.counts, limit: count, windowMs: ms, ...leftOf(by, at, quota) }
          found.set(key, { ...left, players: [...(known?.players ?? []), player] })
        }
      }
      return [...found.values()]
    },
    charge(call, more) {
      const [strict, lenient] = parted(quotasFor(deps.policy(), call).filter(({ counts }) => isAddition(counts)))
      if (strict.length > 0) quotas.charge(call, strict, more)
      if (lenient.length > 0) trial.charge(call, lenient, more)
    },
  }

  function leftOf(by: Principal, at: number, quota: Quota): Pick<QuotaLeft, 'remaining' | 'resetMs'> {
    try {
      return quotas.left({ by, at }, quota)
    } catch {
      return { remaining: 0, resetMs: 0 } // Where it cannot be read nothing goes, and the store has told why.
    }
  }
}

/** Those that bind, and those that are only observed. */
function parted<B extends Budget>(budgets: readonly B[]): readonly [readonly B[], readonly B[]] {
  return [budgets.filter(({ isObserved }) => !isObserved), budgets.filter(({ isObserved }) => isObserved)]
}

/** Something of a quota is in the way. */
interface Obstacle {
  readonly fault: Fault
  readonly record: AuditRecord
}

interface Passed {
  readonly permit: Permit
  readonly budgets: readonly Budget[]
  /** Those that bind it. */
  readonly quotas: readonly Quota[]
  record(): AuditRecord
}

/** A store of quotas that cannot be read or written is in the way as well. */
function obstacleOf(call: Call, quota: Quota, cause: unknown): Obstacle {
  const fault = uncounted(quota, cause)
  return { fault, record: { ...limited(call, quota, fault.message), reason: 'uncounted' } }
}

/** What the house does is one thing, in however many commands a player has to be told it. */
function recordsOf(passed: readonly Passed[]): readonly AuditRecord[] {
  const [first, ...others] = passed
  if (first?.permit.call.by.kind !== 'house' || others.length === 0) return passed.map(({ record }) => record())
  return [{ ...first.record(), says: `and ${others.length} more of the same` }]
}
