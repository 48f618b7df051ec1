import type { User } from '../call/call.ts'
import type { Accounts } from '../store/accounts.ts'
import type { DeviceToken, Session } from '../store/record.ts'

/** Who somebody is as of now, by what vouches for them. Undefined when it does no longer. */
export interface Users {
  ofSession(session: Session, from: string): User | undefined
  ofToken(token: DeviceToken, from: string): User | undefined
  /** The same person over the same credential. @throws Fault `internal` while the accounts cannot be read */
  renew(user: User): User | undefined
}

/** Roles are always the account's own at this moment, whatever a token says. */
export function createUsers(accounts: Accounts, now: () => number): Users {
  function ofAccount(id: string, vouched: Pick<User, 'session' | 'until' | 'from'>): User | undefined {
    const account = accounts.byId(id)
    if (!account || account.disabled || vouched.until <= now()) return undefined
    return { kind: 'user', id, name: account.name, roles: account.roles, ...vouched }
  }

  const users: Users = {
    ofSession: ({ id, account, ends }, from) => ofAccount(account, { session: id, until: ends, from }),
    ofToken({ id, account, role, players, expires }, from) {
      const user = ofAccount(account, { session: id, until: expires ?? Number.MAX_SAFE_INTEGER, from })
      return user && { ...user, ...(role !== null && { ceilings: [[role]] }), ...(players !== null && { players }) }
    },
    renew(user) {
      const session = accounts.session(user.session)
      const token = accounts.token(user.session)
      const renewed = session ? users.ofSession(session, user.from) : token && users.ofToken(token, user.from)
      // An access token ends before its session does.
      return renewed && user.until > now() ? { ...renewed, until: Math.min(renewed.until, user.until) } : undefined
    },
  }
  return users
}
