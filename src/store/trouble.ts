import type { Fault } from '../call/fault.ts'

/** What operators read of each store: that it is in trouble, and that it is well again. */
export function createTroubles(log: {
  info(about: object, text: string): void
  error(about: object, text: string): void
}) {
  const told = (trouble: string, well: string) => (fault: Fault | undefined) =>
    fault ? log.error({ reason: fault.message }, trouble) : log.info({}, well)
  return {
    accounts: told('accounts unreadable', 'accounts readable again'),
    quotas: told('quotas cannot be counted: who has one is refused', 'quotas are counted again'),
    audit: (problem: { readonly fault?: Fault; readonly dropped: number } | undefined) =>
      problem
        ? log.error({ reason: problem.fault?.message, lost: problem.dropped }, 'audit records are being lost')
        : log.info({}, 'audit is written again'),
  }
}
