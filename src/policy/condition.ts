import type { Static, TSchema } from 'typebox'
import type { Call } from '../call/call.ts'
import type { Capability } from '../call/capability.ts'
import type { Matter } from '../call/known.ts'
import type { Facet } from '../call/param.ts'
import type { Wall } from './clock.ts'

/** What a condition says to a call. */
export type Verdict =
  /** It may go, or something else in its place, which it says nothing more to: judged twice it comes to the same. */
  { readonly holds: true; readonly instead?: Call } | { readonly holds: false; readonly why: Why }

/** Why a call may not go. */
export interface Why {
  readonly reason: 'constraint' | 'unprovable'
  /** What holds, for people: the words after "not allowed:", such as `maxVolume 40`. Made when somebody is told. */
  says(): string
  /** When it may be otherwise (Unix ms); undefined for never or not known. */
  readonly until?: number | undefined
}

/** A constraint bound to its setting. */
export interface Rule {
  /** What it looks at; undefined for what looks at nothing of the call, such as the time. */
  readonly facet?: Facet | undefined
  /** Where a call that does not show the facet is refused as unprovable. */
  readonly demands: readonly Capability[]
  /** Within its realm it refuses what it cannot see. */
  judge(call: Call, capability: Capability): Verdict
  /** What must be looked up before it can judge this call; undefined when that helps nothing. */
  matter?(call: Call, capability: Capability): Matter | undefined
  /** Whether the address may be shown to somebody; left out for what does not look at addresses. */
  shows?(uri: string): boolean
  /** Whether the address leads to a host that is named here, so that it may be one of this network. */
  names?(uri: string): boolean
  /** How loud it may be, and whether a person's own 100 is as loud as that. */
  readonly ceiling?: Wall<number>
  readonly isScaled?: boolean
  /** It has to be known who added what to the queue: everybody's changes of it are heard. */
  readonly tracks?: true
  /** How many entries more there may be, where the queue is known to be as the call has it. */
  room?(call: Call): number
  /** Whether it holds, where that is a question of the time alone. */
  readonly hours?: Hours
}

export interface Hours extends Wall<boolean> {
  /** What becomes of what plays when the time is over. */
  readonly atEnd: AtEnd
}

/** The milliseconds of a fade, or what else is done. */
export type AtEnd = 'finish' | 'stop' | { readonly fadeMs: number }

/** What conditions are bound in. */
export interface Setting {
  /** The time zone (IANA) that holds where none is named. */
  readonly zone: string
}

/** A limit a role may carry: how it is configured, and what it does then. */
export interface Constraint<S extends TSchema> {
  readonly setting: S
  bind(setting: Static<S>, within: Setting): Rule
}

export function constraint<S extends TSchema>(row: Constraint<S>): Constraint<S> {
  return row
}

export const holds: Verdict = { holds: true }

export function refuses(says: () => string, until?: number): Verdict {
  return { holds: false, why: { reason: 'constraint', says, until } }
}

/** What cannot be seen is refused. */
export function unseen(says: () => string): Verdict {
  return {
    holds: false,
    why: { reason: 'unprovable', says: () => `${says()}, and what this would do cannot be known` },
  }
}
