import type { Override, Policy } from './role.ts'

/** A policy with what was let pass by hand, made anew only when one of the two is another. */
export function overridden(policy: () => Policy, overrides: () => readonly Override[]): () => Policy {
  let made: { readonly from: Policy; readonly with: readonly Override[]; readonly policy: Policy } | undefined
  return () => {
    const [from, lifted] = [policy(), overrides()]
    if (lifted.length === 0) return from
    if (made?.from !== from || made.with !== lifted)
      made = { from, with: lifted, policy: { ...from, overrides: lifted } }
    return made.policy
  }
}
