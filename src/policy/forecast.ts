import type { Call } from '../call/call.ts'
import type { Wall } from './clock.ts'
import { type Decision, decide } from './decide.ts'
import { grantsOf, type Policy, rolesOf } from './role.ts'

/** When a call gets another answer than now, and which. */
export interface Turn {
  /** Unix ms. */
  readonly at: number
  readonly decision: Decision
}

/** What goes by the week has come round by then. */
const aWeekAndADay = 8 * 86_400_000
/** No configuration that people write has more borders in so many days; a clever one must not take for ever. */
const mostSteps = 2_000

/**
 * The next moment at which the same call, asked then, gets another answer; undefined for none within `most` milliseconds.
 *
 * The sign-in is taken to go on, and what was looked up to stay as it is.
 */
export function forecast(policy: Policy, asked: Call, most = aWeekAndADay): Turn | undefined {
  const call = lasting(asked, asked.at + most)
  const walls = wallsOf(policy, call)
  const ends = (policy.overrides ?? []).flatMap(({ from, until }) => [from, until])
  const first = answerOf(decide(policy, call))
  let at = call.at
  for (let step = 0; step < mostSteps; step++) {
    const borders = [...walls.map((wall) => wall.changes(at)), ...ends].filter(
      (next) => next !== undefined && next > at,
    )
    at = Math.min(...(borders as number[]))
    if (!(at <= call.at + most)) return undefined
    const decision = decide(policy, { ...call, at })
    if (answerOf(decision) !== first) return { at, decision }
  }
  return undefined
}

/** Two decisions that somebody would call the same have the same: what goes, and what is put in its place. */
function answerOf(decision: Decision): string {
  if (!decision.allowed) return 'denied'
  const { observed, call } = decision.permit
  return JSON.stringify([observed === undefined, call.touches.volume ?? []])
}

function lasting(call: Call, until: number): Call {
  return call.by.kind === 'user' ? { ...call, by: { ...call.by, until: until + 1 } } : call
}

function wallsOf(policy: Policy, { by }: Call): readonly Wall<unknown>[] {
  if (by.kind !== 'user') return []
  return rolesOf(by)
    .flatMap((roles) => grantsOf(policy, roles))
    .flatMap(({ conditions }) => conditions.flatMap(({ hours, ceiling }) => [hours, ceiling]))
    .filter((wall) => wall !== undefined)
}
