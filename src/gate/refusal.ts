import type { Call } from '../call/call.ts'
import { type Capability, capabilities, isCapability, type Standing } from '../call/capability.ts'
import { Fault } from '../call/fault.ts'
import { sayTime } from '../policy/clock.ts'
import type { Denial, Permit } from '../policy/decide.ts'
import type { Budget, Quota } from '../policy/rate.ts'
import type { Policy } from '../policy/role.ts'
import type { Empty } from './limiter.ts'
import type { Shortage } from './quota.ts'

/** What somebody is told whose call policy does not allow. */
export function refusal(call: Call, denial: Denial): Fault {
  const { capability } = call
  if (call.by.kind === 'anonymous') return new Fault('unauthenticated', 'sign in first', { capability })
  switch (denial.reason) {
    case 'expired':
      return new Fault('unauthenticated', 'the sign-in has ended: sign in again')
    case 'not-granted': {
      const missing = denial.capability ?? capability
      return new Fault('forbidden', `not allowed: ${describeMissing(call, missing)}`, { capability: missing })
    }
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

/** What is told of a call that goes, though not quite as it was asked or allowed; null for any other. */
export function remarkOf(asked: Call, { call, observed }: Permit): string | null {
  if (observed) return refusal(asked, observed).message
  if (call === asked) return null
  return `volume ${asked.touches.volume} was asked for, ${call.touches.volume} is set`
}

/** What somebody is told whose calls come too fast. */
export function exhausted({ zone }: Policy, { at }: Call, { budget, wait }: Empty): Fault {
  const says = `too many calls: not more than ${describeBudget(budget)}, again ${againAt(at, wait, zone)}`
  return new Fault('limited', says, {
    retryAfter: Math.ceil(wait / 1000),
    until: at + Math.ceil(wait),
    rule: budget.rate.rule,
  })
}

/** What somebody is told whose quota has no room for the call. */
export function spent({ zone }: Policy, { at }: Call, { quota, weight, wait, left }: Shortage): Fault {
  const { counts, rate } = quota
  const most = `not more than ${describeBudget(quota)}`
  const details = { capability: counts, rule: rate.rule, limit: rate.count, remaining: left.remaining }
  if (wait === undefined) return new Fault('forbidden', `${most}, and these are ${weight}`, details)
  const rest = left.remaining === 0 ? '' : `, and ${left.remaining} ${left.remaining === 1 ? 'is' : 'are'} left`
  return new Fault('limited', `${most}${rest}: again ${againAt(at, wait, zone)}`, {
    ...details,
    reset: Math.ceil(left.resetMs / 1000),
    retryAfter: Math.ceil(wait / 1000),
    until: at + wait,
  })
}

/** A quota of what is added, and a call of which nobody knows how many it adds. */
export function uncountable(quota: Quota): Fault {
  const { counts, rate } = quota
  const says = `not allowed: not more than ${describeBudget(quota)}, and how many this adds cannot be known`
  return new Fault('forbidden', says, { capability: counts, rule: rate.rule })
}

/** A quota that cannot be counted is as good as spent: others go on. */
export function uncounted(quota: Quota, cause: unknown): Fault {
  const { counts, rate } = quota
  const says = `what is left of ${describeBudget(quota)} cannot be counted at the moment, so this is refused`
  return new Fault('internal', says, { capability: counts, rule: rate.rule, cause })
}

/** To the minute, and never before it is so. */
function againAt(at: number, wait: number, zone: string): string {
  return wait < 60_000 ? `in ${Math.ceil(wait / 1000)} s` : `at ${sayTime(at + wait + 59_999, at, zone)}`
}

function describeBudget({ counts, rate: { count, ms } }: Budget): string {
  return `${count} ${counts === '*' ? 'calls' : counts} in ${describeTime(ms)}`
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
