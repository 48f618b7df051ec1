import { sourceOf } from '../call/address.ts'
import type { User } from '../call/call.ts'
import { Fault } from '../call/fault.ts'
import type { Accounts } from '../store/accounts.ts'
import { fold } from '../store/name.ts'
import type { DeviceToken } from '../store/record.ts'
import type { Attempts } from './attempts.ts'
import type { AccessTokens } from './jwt.ts'
import type { Tickets } from './tickets.ts'
import { badCredential, hashOpaque, isDeviceToken, isSecret, readDeviceToken } from './tokens.ts'
import type { Users } from './users.ts'

/** What a client showed at the door, whichever door it was. */
export type Credential =
  | { readonly kind: 'none' }
  | { readonly kind: 'bearer'; readonly token: string }
  | { readonly kind: 'basic'; readonly name: string; readonly token: string }
  | { readonly kind: 'cookie'; readonly value: string }
  /** `plain`: it came without TLS, so that others may have read along. */
  | { readonly kind: 'mpd'; readonly password: string; readonly plain?: true }
  /** SHA-256 (hex, small letters) of a certificate whose key the peer has proved to hold, in the handshake of TLS. */
  | { readonly kind: 'certificate'; readonly fingerprint: string }
  | { readonly kind: 'ticket'; readonly ticket: string }

/** One row for each way to show who you are. Undefined when that does not do. @throws Fault */
export type Providers = {
  readonly [K in Exclude<Credential['kind'], 'none'>]: (
    credential: Extract<Credential, { kind: K }>,
    from: string,
  ) => User | undefined
}

export function createProviders(deps: {
  readonly accounts: Accounts
  readonly users: Users
  readonly access: AccessTokens
  readonly tickets: Tickets
  readonly attempts: Attempts
}): Providers {
  const { accounts, users, access, tickets, attempts } = deps

  function byAccessToken(text: string, from: string): User | undefined {
    const { sub, sid, exp } = access.verify(text)
    const session = accounts.session(sid)
    const user = session && users.ofSession(session, from)
    return user?.id === sub ? { ...user, until: Math.min(user.until, exp * 1000) } : undefined
  }

  /** A right one is always let in: 256 bits are not guessed, and so no stranger's failures can lock its owner out. */
  function byDeviceToken(text: string, from: string): User | undefined {
    const { id, secret } = readDeviceToken(text) ?? { id: '', secret: '' }
    const right = isSecret(secret, accounts.secretOf(id))
    return byToken(right ? accounts.token(id) : undefined, from)
  }

  function byToken(token: DeviceToken | undefined, from: string): User | undefined {
    const user = token && users.ofToken(token, from)
    if (user) accounts.touch(user.session)
    else attempts.fail(sourceOf(from))
    return user
  }

  return {
    bearer: ({ token }, from) => (isDeviceToken(token) ? byDeviceToken(token, from) : byAccessToken(token, from)),
    basic({ name, token }, from) {
      const user = byDeviceToken(token, from)
      return user && fold(user.name) === fold(name) ? user : undefined
    },
    /** Account passwords are not taken here: the clients that speak MPD keep them in the clear. */
    mpd({ password, plain }, from) {
      // An access token is all of a person at every door, and whoever reads along would have it.
      if (plain || isDeviceToken(password)) return byDeviceToken(password, from)
      try {
        const user = byAccessToken(password, from)
        if (user) return user
      } catch (error) {
        if (!(error instanceof Fault) || error.code !== 'bad-credentials') throw error
      }
      attempts.fail(sourceOf(from))
      throw badCredential()
    },
    /** Looked up by what it is: a fingerprint is no secret, and the key behind it has been proved. */
    certificate: ({ fingerprint }, from) => byToken(accounts.tokenOf(fingerprint), from),
    /** The session's refresh token: looked up and never rotated, for a page sends many requests at once. */
    cookie({ value }, from) {
      const hash = hashOpaque('sr1', value)
      const session = hash && accounts.sessionOf(hash)
      if (session) accounts.touch(session.id)
      return session && users.ofSession(session, from)
    },
    ticket({ ticket }, from) {
      const user = tickets.redeem(ticket)
      return user && users.renew({ ...user, from })
    },
  }
}
