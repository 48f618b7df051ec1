import type { Call, Principal } from '../call/call.ts'
import { type Capability, capabilities, isCapability, type Standing } from '../call/capability.ts'
import type { Operation } from '../call/catalog.ts'
import { Fault } from '../call/fault.ts'
import type { Matter } from '../call/known.ts'
import type { Scale } from '../call/scale.ts'
import {
  type Denial,
  decide,
  isNarrowed,
  mattersOf,
  mayEver,
  type Permit,
  type Policy,
  sees,
  volumeScale,
} from '../policy/decide.ts'
import { type Budget, budgetsFor } from '../policy/rate.ts'
import { type AuditRecord, type AuditSink, allowed, denied, dropped, limited } from './audit.ts'
import { createLimiter, type Limiter } from './limiter.ts'

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
  /** How the volumes that this person sets and is shown stand to the player's; undefined when they are the same. */
  volumeScale(by: Principal, player: string, at: number): Scale | undefined
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
  audit: AuditSink
  /** Hears of each refused call that nobody makes by mistake. Must neither throw nor block. */
  alarm?(call: Call): void
}): Gate {
  const { limiter, audit } = deps
  const flood = createLimiter()

  /** Records what was not sent. */
  function note(call: Call, record: AuditRecord): void {
    if (!flood.take(call, [written])) audit.write(record)
    else if (!flood.take(call, [reminder])) audit.write({ ...record, reason: 'flood' })
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
      const fault = exhausted(empty)
      note(call, limited(call, empty.budget, fault.message))
      throw fault
    }
    const observed = all.filter(({ isObserved }) => isObserved)
    const over = limiter.take(call, observed)
    const budgets = over ? binding : all
    const record = () =>
      over && !permit.observed
        ? { ...allowed(permit, call, exhausted(over).message), rule: over.budget.rate.rule, reason: 'observed' }
        : allowed(permit, call, sayOf(call, permit))
    return { permit, budgets, record }
  }

  const may: Gate['may'] = (by, player, capability) => mayEver(deps.policy(), by, player, capability)

  return {
    admit(call) {
      const { permit, record } = pass(call)
      audit.write(record())
      return permit
    },
    admitAll(calls) {
      const passed: Passed[] = []
      for (const [index, call] of calls.entries()) {
        try {
          passed.push(pass(call))
        } catch (error) {
          for (const { permit, budgets } of passed) {
            limiter.giveBack(permit.call, budgets)
            note(permit.call, dropped(permit))
          }
          throw new Refusal(Fault.from(error), index)
        }
      }
      for (const { record } of passed) audit.write(record())
      return passed.map(({ permit }) => permit)
    },
    may,
    mayCall: (by, player, { capability, given }) =>
      [capability, ...Object.values(given ?? {})].some((way) => way !== undefined && may(by, player, way)),
    capabilitiesOf: (by, player) =>
      Object.keys(capabilities)
        .filter(isCapability)
        .filter((name) => may(by, player, name)),
    sees: (call, uri) => sees(deps.policy(), call, uri),
    isNarrowed: (call) => isNarrowed(deps.policy(), call),
    mattersOf: (call) => mattersOf(deps.policy(), call),
    volumeScale: (by, player, at) => volumeScale(deps.policy(), by, player, at),
  }
}

interface Passed {
  readonly permit: Permit
  readonly budgets: readonly Budget[]
  record(): AuditRecord
}

/** What is told of a call that goes, though not quite as it was asked or allowed; null for any other. */
function sayOf(asked: Call, { call, observed }: Permit): string | null {
  if (observed) return refusal(asked, observed).message
  if (call === asked) return null
  return `volume ${asked.touches.volume} was asked for, ${call.touches.volume} is set`
}

function exhausted({ budget, wait }: { readonly budget: Budget; readonly wait: number }): Fault {
  return new Fault('limited', `too many calls: ${describeBudget(budget)}`, {
    retryAfter: Math.ceil(wait / 1000),
    rule: budget.rate.rule,
  })
}

function describeBudget({ counts, rate }: Budget): string {
  return `${rate.count} ${counts === '*' ? 'in all' : counts} per ${rate.ms / 1000} s`
}

function refusal(call: Call, denial: Denial): Fault {
  const { capability } = call
  if (call.by.kind === 'anonymous') return new Fault('unauthenticated', 'sign in first', { capability })
  switch (denial.reason) {
    case 'expired':
      return new Fault('unauthenticated', 'the sign-in has ended: sign in again')
    case 'not-granted':
      return new Fault('forbidden', `not allowed: ${denial.capability ?? capability}`, {
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
