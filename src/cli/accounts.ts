import { Fault } from '../call/fault.ts'
import { type Accounts, openAccounts } from '../store/accounts.ts'
import type { Account } from '../store/record.ts'
import type { Io } from './command.ts'

/** The accounts, for as long as `work` takes. A running gateway sees what changes within a second. */
export async function withAccounts<T>({ data, now }: Io, work: (accounts: Accounts) => T | Promise<T>): Promise<T> {
  const accounts = openAccounts({ dir: data, now, pollMs: 0, busyMs: 5000 })
  try {
    return await work(accounts)
  } finally {
    accounts.close()
  }
}

export function accountOf(accounts: Accounts, name: string): Account {
  const account = accounts.byName(name)
  if (!account) throw new Fault('bad-arguments', `no account ${JSON.stringify(name)}; there is: ${namesOf(accounts)}`)
  return account
}

function namesOf(accounts: Accounts): string {
  return (
    accounts
      .list()
      .map(({ name }) => name)
      .join(', ') || 'none yet'
  )
}
