import { sourceOf } from '../call/address.ts'
import type { User } from '../call/call.ts'
import { Fault } from '../call/fault.ts'
import { type Accounts, ownerRole } from '../store/accounts.ts'
import { fold } from '../store/name.ts'
import type { Session } from '../store/record.ts'
import type { Attempts } from './attempts.ts'
import { type AccessTokens, accessLifetime } from './jwt.ts'
import type { Passwords } from './password.ts'
import type { Tickets } from './tickets.ts'
import { badCredential, createOpaque, hashOpaque, hashSecret } from './tokens.ts'
import type { Users } from './users.ts'

export interface Tokens {
  readonly accessToken: string
  /** Seconds. */
  readonly expiresIn: number
  readonly refreshToken: string
  readonly session: string
  readonly user: User
}

/** What the sign-in routes call. All throw Fault. */
export interface Sessions {
  login(name: string, password: string, from: string): Promise<Tokens>
  /** A new pair for the old one, which is dead from then on: using it again ends the session. */
  refresh(refreshToken: string, from: string): Promise<Tokens>
  /** @throws Fault `forbidden` for a device token, which is revoked and not signed out */
  logout(principal: User): void
  /** For one WebSocket, once, within 30 s. */
  ticket(principal: User): string
  /** A token for the first-run link, good for 30 minutes and in place of any before. Only while there is no account. */
  createSetup(): string
  /** Uses the first-run link to make the owner. */
  setup(token: string, name: string, password: string, from?: string): Promise<void>
  jwks(): { readonly keys: readonly object[] }
}

/** Something happened to somebody's credentials; no secret is in it, nor what was typed. */
export interface IdentityEvent {
  readonly at: number
  readonly kind: 'login' | 'refresh' | 'logout' | 'setup' | 'credential'
  /** The account's id; null when it is not known, or there is none of the name. */
  readonly account: string | null
  readonly from: string
  /** `reused`: a refresh token came a second time, so its session was ended. */
  readonly outcome: 'succeeded' | 'failed' | 'limited' | 'reused'
}

const setupLifetime = 30 * 60_000

export function createSessions(deps: {
  readonly accounts: Accounts
  readonly users: Users
  readonly access: AccessTokens
  readonly tickets: Tickets
  readonly attempts: Attempts
  readonly passwords: Passwords
  readonly now: () => number
  readonly report: (event: Omit<IdentityEvent, 'at'>) => void
}): Sessions {
  const { accounts, users, access, tickets, attempts, passwords, now, report } = deps

  function issue(session: Session, refreshToken: string, from: string): Tokens {
    const user = users.ofSession(session, from)
    if (!user) throw badCredential()
    const accessToken = access.sign({ sub: user.id, name: user.name, roles: user.roles, sid: session.id })
    return { accessToken, expiresIn: accessLifetime, refreshToken, session: session.id, user }
  }

  /** Every way to fail takes the same steps and one hash, whether there is such an account or not. */
  async function authenticate(name: string, password: string, from: string): Promise<{ id: string; stored: string }> {
    const source = sourceOf(from)
    const folded = fold(name.slice(0, 256)).slice(0, 256)
    const account = accounts.byName(folded)
    const attempt = attempts.begin(folded, source, account !== undefined && accounts.knows(account.id, source))
    const stored = account && !account.disabled ? accounts.passwordOf(account.id) : undefined
    let right: boolean
    try {
      right = await passwords.verify(password, stored)
    } catch (error) {
      attempt.forget() // it did not reach the hash
      throw error
    }
    if (!right || !account || stored === undefined)
      throw new Fault('bad-credentials', 'the name or the password is wrong')
    attempt.forget()
    return { id: account.id, stored }
  }

  return {
    async login(name, password, from) {
      const account = accounts.byName(name.slice(0, 256))?.id ?? null
      try {
        const { id, stored } = await authenticate(name, password, from)
        const refreshToken = createOpaque('sr1')
        const refresh = hashSecret(refreshToken)
        const session = accounts.startSession({ account: id, password: stored, refresh, from, source: sourceOf(from) })
        const tokens = issue(session, refreshToken, from)
        report({ kind: 'login', account, from, outcome: 'succeeded' })
        return tokens
      } catch (error) {
        report({ kind: 'login', account, from, outcome: outcomeOf(error) })
        throw error
      }
    },

    async refresh(refreshToken, from) {
      const hash = hashOpaque('sr1', refreshToken)
      const next = createOpaque('sr1')
      const rotated = hash && accounts.rotate(hash, hashSecret(next))
      const account = rotated?.session.account ?? null
      if (rotated?.outcome !== 'rotated') {
        report({ kind: 'refresh', account, from, outcome: rotated ? 'reused' : 'failed' })
        throw badCredential()
      }
      const tokens = issue(rotated.session, next, from)
      report({ kind: 'refresh', account, from, outcome: 'succeeded' })
      return tokens
    },

    logout({ id, session, from }) {
      if (!accounts.endSession(session)) throw new Fault('forbidden', 'a device token is revoked, not signed out')
      report({ kind: 'logout', account: id, from, outcome: 'succeeded' })
    },

    ticket(principal) {
      if (!users.renew(principal)) throw badCredential()
      return tickets.create(principal)
    },

    createSetup() {
      const token = createOpaque('ss1')
      accounts.offerSetup(hashSecret(token), now() + setupLifetime)
      return token
    },

    async setup(token, name, password, from = '') {
      try {
        const hash = hashOpaque('ss1', token)
        if (!hash || !accounts.mayBeSetUp(hash)) {
          attempts.fail(sourceOf(from))
          throw badCredential()
        }
        const account = accounts.setUp(hash, { name, roles: [ownerRole], password: await passwords.hash(password) })
        report({ kind: 'setup', account: account.id, from, outcome: 'succeeded' })
      } catch (error) {
        report({ kind: 'setup', account: null, from, outcome: outcomeOf(error) })
        throw error
      }
    },

    jwks: access.jwks,
  }
}

export function outcomeOf(error: unknown): IdentityEvent['outcome'] {
  return error instanceof Fault && error.code === 'limited' ? 'limited' : 'failed'
}
