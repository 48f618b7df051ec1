import type { Principal, User } from '../call/call.ts'
import { Fault } from '../call/fault.ts'
import type { Accounts } from '../store/accounts.ts'
import { createAttempts } from './attempts.ts'
import { createAccessTokens } from './jwt.ts'
import { createPasswords, type Passwords } from './password.ts'
import { type Credential, createProviders, type Providers } from './providers.ts'
import { createSessions, type IdentityEvent, outcomeOf, type Sessions } from './sessions.ts'
import { createTickets } from './tickets.ts'
import { badCredential } from './tokens.ts'
import { createUsers } from './users.ts'

export type { Credential } from './providers.ts'
export type { IdentityEvent, Sessions, Tokens } from './sessions.ts'

export interface Identity {
  /**
   * Showing nothing makes you anonymous; showing something wrong does not.
   *
   * @throws Fault `bad-credentials`, `limited` after too many wrong ones, `internal` while accounts cannot be read
   */
  identify(credential: Credential, from: string): Promise<Principal>
  /**
   * The same person as of now, from memory.
   *
   * @returns undefined when revoked, disabled, expired, or when the accounts cannot be read
   */
  renew(principal: User): User | undefined
  /** Something in the store changed, here or by the command line: ask `renew` about open connections. */
  onChange(listener: () => void): () => void
}

/** Puts the ways to sign in together, over one store and with one count of failures. */
export function createIdentity(deps: {
  readonly accounts: Accounts
  readonly now: () => number
  /** For the log and the audit; must not throw. */
  readonly onEvent?: (event: IdentityEvent) => void
  readonly passwords?: Passwords
}): { readonly identity: Identity; readonly sessions: Sessions } {
  const { accounts, now, onEvent = () => {}, passwords = createPasswords() } = deps
  const report = (event: Omit<IdentityEvent, 'at'>) => onEvent({ at: now(), ...event })
  const users = createUsers(accounts, now)
  const access = createAccessTokens({ keys: accounts.keys(), now })
  const tickets = createTickets(now)
  const attempts = createAttempts(now)
  const providers = createProviders({ accounts, users, access, tickets, attempts })
  accounts.onChange(access.forget)

  const identity: Identity = {
    async identify(credential, from) {
      if (credential.kind === 'none') return { kind: 'anonymous', from }
      try {
        const user = show(providers, credential, from)
        if (!user) throw badCredential()
        return user
      } catch (error) {
        const fault = Fault.from(error)
        report({ kind: 'credential', account: null, from, outcome: outcomeOf(fault) })
        throw fault
      }
    },
    renew(principal) {
      try {
        return users.renew(principal)
      } catch {
        return undefined
      }
    },
    onChange: accounts.onChange,
  }
  return {
    identity,
    sessions: createSessions({ accounts, users, access, tickets, attempts, passwords, now, report }),
  }
}

function show(providers: Providers, credential: Exclude<Credential, { kind: 'none' }>, from: string): User | undefined {
  // Each row takes its own kind, which is the kind it is looked up by.
  const provider = providers[credential.kind] as (shown: typeof credential, from: string) => User | undefined
  return provider(credential, from)
}
