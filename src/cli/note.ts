import { Fault } from '../call/fault.ts'
import type { Config } from '../config/schema.ts'
import { openAudit, type SignInRecord } from '../store/audit.ts'
import type { Io } from './command.ts'

/**
 * Writes into the audit what is done by hand, before it is: what nobody can look up afterwards does not happen.
 *
 * @throws Fault when it cannot be written
 */
export function note(
  { data, now }: Io,
  config: Config,
  { kind, account = null, outcome }: Pick<SignInRecord, 'kind' | 'outcome'> & Partial<Pick<SignInRecord, 'account'>>,
): void {
  let lost = false
  const audit = openAudit({ dir: data, now, ...config.audit, onProblem: (problem) => (lost ||= problem !== undefined) })
  audit.writeSignIn({ at: now(), kind, account, from: 'this machine', outcome })
  audit.close()
  if (lost) throw new Fault('internal', 'the audit cannot be written now: try again')
}
