import type { Call, Door } from '../call/call.ts'
import type { Entry } from '../call/known.ts'
import type { Denial, Permit } from '../policy/decide.ts'
import type { Budget } from '../policy/rate.ts'

export type Outcome = 'allowed' | 'denied' | 'limited' | 'dropped'

/** One decision, as the log and the database keep it. */
export interface AuditRecord {
  /** Unix ms. */
  readonly at: number
  /** The request's id, which the caller was told. */
  readonly request: string
  /** The account's id; null for somebody who has not signed in. */
  readonly account: string | null
  readonly name: string | null
  readonly session: string | null
  readonly from: string
  readonly door: Door
  readonly player: string
  readonly operation: string
  readonly capability: string
  /** What the call touched, by facet: at most ten values of each, each at most 200 characters. */
  readonly touches: Readonly<Record<string, readonly (string | number)[]>>
  /** `dropped`: allowed by itself, not sent because another command of the same list was refused. */
  readonly outcome: Outcome
  readonly rule: string | null
  /** `observed`: it would have been refused, but its role is only observed. `changed`: policy put another in its place. */
  readonly reason: string | null
  /** What the caller was told, or would have been; null for what went as it was asked. */
  readonly says: string | null
}

/** Where records go. It must neither throw nor block: a gate cannot wait for a disk. */
export interface AuditSink {
  write(record: AuditRecord): void
}

/** @param asked the call as it came, where policy put another in its place */
export function allowed({ call, rule, observed }: Permit, asked: Call, says: string | null): AuditRecord {
  if (observed) {
    const would = 'condition' in observed ? observed.condition.rule : rule
    return { ...common(asked), outcome: 'allowed', rule: would, reason: 'observed', says }
  }
  return { ...common(call), outcome: 'allowed', rule, reason: call === asked ? null : 'changed', says }
}

export function dropped({ call, rule }: Permit): AuditRecord {
  return { ...common(call), outcome: 'dropped', rule, reason: null, says: null }
}

export function denied(call: Call, denial: Denial, says: string): AuditRecord {
  const rule = 'condition' in denial ? denial.condition.rule : null
  return { ...common(call), outcome: 'denied', rule, reason: call.operation.alarm ? 'alarm' : denial.reason, says }
}

export function limited(call: Call, budget: Budget, says: string): AuditRecord {
  return { ...common(call), outcome: 'limited', rule: budget.rate.rule, reason: 'limited', says }
}

function common(call: Call): Omit<AuditRecord, 'outcome' | 'rule' | 'reason' | 'says'> {
  const { by } = call
  const user = by.kind === 'user' ? by : undefined
  return {
    at: call.at,
    request: call.id,
    account: user?.id ?? null,
    name: by.kind === 'anonymous' ? null : by.name,
    session: user?.session ?? null,
    from: by.from,
    door: call.door,
    player: call.player,
    operation: call.operation.name,
    capability: call.capability,
    touches: Object.fromEntries(
      Object.entries(call.touches).map(([facet, values]) => [facet, values.slice(0, 10).map((value) => write(value))]),
    ),
  }
}

function write(value: string | number | Entry): string | number {
  if (typeof value === 'number') return value
  if (typeof value === 'string') return value.slice(0, 200)
  if ('id' in value) return `id ${value.id}`
  return 'uri' in value ? value.uri.slice(0, 200) : `${value.from}:${value.to ?? ''}`
}
