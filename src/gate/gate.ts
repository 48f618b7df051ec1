import type { Call, Principal } from '../call/call.ts'
import { type Capability, capabilities, isCapability, type Standing } from '../call/capability.ts'
import type { Operation } from '../call/catalog.ts'
import { Fault } from '../call/fault.ts'
import { type Denial, decide, isNarrowed, mayEver, type Permit, type Policy, sees } from '../policy/decide.ts'
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
  function pass(call: Call): { permit: Permit; budgets: readonly Budget[] } {
    const policy = deps.policy()
    const decision = decide(policy, call)
    if (!decision.allowed) {
      note(call, denied(call, decision.denial))
      if (call.operation.alarm && call.by.kind === 'user') deps.alarm?.(call)
      throw refusal(call, decision.denial)
    }
    const budgets = budgetsFor(policy, call.by, call.capability, call.also)
    const empty = limiter.take(call, budgets)
    if (empty) {
      note(call, limited(call, empty.budget))
      throw new Fault('limited', `too many calls: ${describeBudget(empty.budget)}`, {
        retryAfter: Math.ceil(empty.wait / 1000),
        rule: empty.budget.rate.rule,
      })
    }
    return { permit: decision.permit, budgets }
  }

  const may: Gate['may'] = (by, player, capability) => mayEver(deps.policy(), by, player, capability)

  return {
    admit(call) {
      const { permit } = pass(call)
      audit.write(allowed(permit))
      return permit
    },
    admitAll(calls) {
      const passed: ReturnType<typeof pass>[] = []
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
      for (const { permit } of passed) audit.write(allowed(permit))
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
  }
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
      const { name, setting, rule } = denial.condition
      const most = [setting].flat().map(String)
      const limit = `${name} ${most.slice(0, 6).join(', ')}${most.length > 6 ? ', …' : ''}`
      const why = denial.reason === 'constraint' ? limit : `${limit}, and what this would do cannot be known`
      return new Fault('forbidden', `not allowed: ${why}`, { capability, rule })
    }
  }
}
