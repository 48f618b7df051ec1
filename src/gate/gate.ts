import type { Call, Principal } from '../call/call.ts'
import { type Capability, capabilities, capabilityNames, isCapability, type Standing } from '../call/capability.ts'
import type { Operation } from '../call/catalog.ts'
import { Fault } from '../call/fault.ts'
import type { Matter } from '../call/known.ts'
import { isAddition } from '../call/queue.ts'
import type { Scale } from '../call/scale.ts'
import { sayTime } from '../policy/clock.ts'
import { type Denial, decide, mayEver, type Permit } from '../policy/decide.ts'
import { isTracked, mattersOf, roomFor } from '../policy/matter.ts'
import { type Budget, budgetsFor, type Quota, quotasAt, quotasFor } from '../policy/rate.ts'
import type { Policy } from '../policy/role.ts'
import { volumeScale } from '../policy/scale.ts'
import { isNarrowed, sees } from '../policy/sight.ts'
import { type AuditRecord, type AuditSink, allowed, denied, dropped, limited } from './audit.ts'
import { createLimiter, type Limiter } from './limiter.ts'
import { createQuotas, type Quotas, type Shortage } from './quota.ts'

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
  /** Whether it has to be heard what becomes of the queue by this call. */
  isTracked(call: Call): boolean
  /** How many entries a call that adds to the queue may leave there, where the queue is as the call has it. */
  roomFor(call: Call): number
  /** The call that would go if this were admitted now; undefined for a refusal. Nothing is counted or recorded. */
  foresee(call: Call): Call | undefined
  /** How the volumes that this person sets and is shown stand to the player's; undefined when they are the same. */
  volumeScale(by: Principal, player: string, at: number): Scale | undefined
  /** What is left to this person of the quotas that bind them at these players. */
  quotasOf(by: Principal, players: readonly string[], at: number): readonly QuotaLeft[]
  /** Draws besides what a call that went turned out to be, such as the tracks of an album; of no one without a quota. */
  charge(call: Call, capability: Capability, more: number): void
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
    const binding = all.filter(({ isObserved }) => !isObserved)
    const empty = limiter.take(call, binding)
    if (empty) {
      const fault = exhausted(policy, call, empty)
      note(call, limited(call, empty.budget, fault.message))
      throw fault
    }
    // By what goes: a ceiling that would refuse what was asked for may allow, and count, what was put in its place.
    const drawn = quotasFor(policy, permit.call)
    const strict = drawn.filter(({ isObserved }) => !isObserved)
    const spent = draw(policy, call, strict)
    if (spent) {
      limiter.giveBack(call, binding)
      note(call, spent.record)
      throw spent.fault
    }
    const observed = all.filter(({ isObserved }) => isObserved)
    const over = limiter.take(call, observed)
    const budgets = over ? binding : all
    const lenient = drawn.filter(({ isObserved }) => isObserved)
    const short = trial.take(call, lenient)
    const would = over
      ? { rule: over.budget.rate.rule, fault: exhausted(policy, call, over) }
      : short && { rule: short.quota.rate.rule, fault: spentFault(policy, call, short) }
    const record = () =>
      would && !permit.observed
        ? { ...allowed(permit, call, would.fault.message), rule: would.rule, reason: 'observed' }
        : allowed(permit, call, sayOf(call, permit))
    return { permit, budgets, quotas: strict, record }
  }

  /** Draws from quotas; what is in the way, when something is. */
  function draw(policy: Policy, call: Call, strict: readonly Quota[]): Spent | undefined {
    const [quota] = strict
    if (!quota) return undefined
    const blind = isCountless(call) ? strict.find(({ counts }) => isAddition(counts)) : undefined
    if (blind) {
      const says = `not allowed: not more than ${describeQuota(blind)}, and how many this adds cannot be known`
      const fault = new Fault('forbidden', says, { capability: blind.counts, rule: blind.rate.rule })
      return { fault, record: { ...limited(call, blind, says), outcome: 'denied', reason: 'unprovable' } }
    }
    try {
      const short = quotas.take(call, strict)
      if (!short) return undefined
      const fault = spentFault(policy, call, short)
      const record = limited(call, short.quota, fault.message)
      const outcome = fault.code === 'limited' ? 'limited' : 'denied'
      return { fault, record: { ...record, outcome, reason: 'quota' } }
    } catch (error) {
      return uncounted(call, quota, error)
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
      const { fault, record } = uncounted(first.permit.call, quota, error)
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
      if (!isCountless(call) || matters.includes('adds')) return matters
      return quotasFor(policy, call).some(({ counts }) => isAddition(counts)) ? [...matters, 'adds'] : matters
    },
    isTracked: (call) => isTracked(deps.policy(), call),
    roomFor: (call) => roomFor(deps.policy(), call),
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
    charge(call, capability, more) {
      const drawn = quotasFor(deps.policy(), call).filter(({ counts }) => counts === capability)
      const [strict, lenient] = [drawn.filter(({ isObserved }) => !isObserved), drawn.filter((each) => each.isObserved)]
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

/** Something of a quota is in the way. */
interface Spent {
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

/** What the house does is one thing, in however many commands a player has to be told it. */
function recordsOf(passed: readonly Passed[]): readonly AuditRecord[] {
  const [first, ...others] = passed
  if (first?.permit.call.by.kind !== 'house' || others.length === 0) return passed.map(({ record }) => record())
  return [{ ...first.record(), says: `and ${others.length} more of the same` }]
}

/** What is told of a call that goes, though not quite as it was asked or allowed; null for any other. */
function sayOf(asked: Call, { call, observed }: Permit): string | null {
  if (observed) return refusal(asked, observed).message
  if (call === asked) return null
  return `volume ${asked.touches.volume} was asked for, ${call.touches.volume} is set`
}

function exhausted({ zone }: Policy, { at }: Call, { budget, wait }: Exhausted): Fault {
  const { counts, rate } = budget
  const most = `${rate.count} ${counts === '*' ? 'calls' : counts} in ${describeTime(rate.ms)}`
  return new Fault('limited', `too many calls: not more than ${most}, again ${againAt(at, wait, zone)}`, {
    retryAfter: Math.ceil(wait / 1000),
    until: at + Math.ceil(wait),
    rule: rate.rule,
  })
}

type Exhausted = NonNullable<ReturnType<Limiter['take']>>

/** To the minute, and never before it is so. */
function againAt(at: number, wait: number, zone: string): string {
  return wait < 60_000 ? `in ${Math.ceil(wait / 1000)} s` : `at ${sayTime(at + wait + 59_999, at, zone)}`
}

/** Whether it adds what it does not name, and nobody has looked. */
function isCountless({ operation, known }: Call): boolean {
  return operation.needs === 'adds' && known.adds === undefined
}

/** A quota that cannot be counted is as good as spent: others go on. */
function uncounted(call: Call, quota: Quota, cause: unknown): Spent {
  const { counts, rate } = quota
  const says = `what is left of ${describeQuota(quota)} cannot be counted at the moment, so this is refused`
  const fault = new Fault('internal', says, { capability: counts, rule: rate.rule, cause })
  return { fault, record: { ...limited(call, quota, says), reason: 'uncounted' } }
}

function spentFault({ zone }: Policy, { at }: Call, { quota, weight, wait, left }: Shortage): Fault {
  const { counts, rate } = quota
  const most = `not more than ${describeQuota(quota)}`
  const details = { capability: counts, rule: rate.rule, limit: rate.count, remaining: left.remaining }
  if (wait === undefined) return new Fault('forbidden', `${most}, and these are ${weight}`, details)
  const rest = left.remaining === 0 ? '' : `, and ${left.remaining} ${left.remaining === 1 ? 'is' : 'are'} left`
  const until = at + wait
  return new Fault('limited', `${most}${rest}: again ${againAt(at, wait, zone)}`, {
    ...details,
    reset: Math.ceil(left.resetMs / 1000),
    retryAfter: Math.ceil(wait / 1000),
    until,
  })
}

function describeQuota({ counts, rate: { count, ms } }: Quota): string {
  return `${count} ${counts} in ${describeTime(ms)}`
}

function describeTime(ms: number): string {
  const units = [
    [86_400_000, 'd'],
    [3_600_000, 'h'],
    [60_000, 'min'],
  ] as const
  const [size, name] = units.find(([unit]) => ms % unit === 0) ?? [1000, 's']
  return `${ms / size} ${name}`
}

function refusal(call: Call, denial: Denial): Fault {
  const { capability } = call
  if (call.by.kind === 'anonymous') return new Fault('unauthenticated', 'sign in first', { capability })
  switch (denial.reason) {
    case 'expired':
      return new Fault('unauthenticated', 'the sign-in has ended: sign in again')
    case 'not-granted':
      return new Fault('forbidden', `not allowed: ${describeMissing(call, denial.capability ?? capability)}`, {
        capability: denial.capability ?? capability,
      })
    case 'refused':
      return new Fault('forbidden', `not offered here: ${denial.why}`, { capability })
    case 'constraint':
    case 'unprovable': {
      const { says, until, condition } = denial
      const details = { capability, rule: condition.rule, ...(until !== undefined && { until }) }
      return new Fault('forbidden', `not allowed: ${says()}`, details)
    }
  }
}

/** What nothing grants, in words for people, and to whom. */
function describeMissing({ by, player }: Call, capability: Capability | Standing): string {
  const text = isCapability(capability)
    ? ` (${capabilities[capability].replace(/^./, (first) => first.toLowerCase())})`
    : ''
  const isNarrowed = by.kind === 'user' && (by.players !== undefined || (by.ceilings ?? []).length > 0)
  const roles = by.kind === 'user' && !isNarrowed ? by.roles.join(' and ') : ''
  const whom = isNarrowed ? ' by this door or token' : roles === '' ? '' : ` to ${roles}`
  return `${capability}${text} is not granted${whom} at ${player}`
}
