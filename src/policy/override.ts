import { remembering } from '../call/memo.ts'
import type { Override, Policy } from './role.ts'

/** A policy with what was let pass by hand, made anew only when one of the two is another. */
export function overridden(policy: () => Policy, overrides: () => readonly Override[]): () => Policy {
  const lifting = remembering((from: Policy) =>
    remembering((lifted: readonly Override[]): Policy => (lifted.length === 0 ? from : { ...from, overrides: lifted })),
  )
  return () => lifting(policy())(overrides())
}
