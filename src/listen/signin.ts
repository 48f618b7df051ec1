import type { FastifyRequest } from 'fastify'
import { addressOf } from '../call/address.ts'
import type { Principal, User } from '../call/call.ts'
import { Fault } from '../call/fault.ts'
import type { Identity } from '../identity/identity.ts'
import { credentialOf, isAmbient } from './credential.ts'
import { checkOrigin, type Hosts } from './hosts.ts'

export interface SignInDeps {
  readonly hosts: Hosts
  readonly identity: Pick<Identity, 'identify' | 'renew'>
}

/** A wrong password is to count once, however often a request is asked whose it is. */
const found = new WeakMap<FastifyRequest, Promise<Principal>>()

/**
 * Who sent a request; anonymous when it shows nothing.
 *
 * @throws Fault `bad-credentials`, `limited`, or `forbidden` when a page that is not ours makes a browser show what it
 * keeps
 */
export function identify(deps: SignInDeps, request: FastifyRequest): Promise<Principal> {
  const known = found.get(request) ?? look(deps, request)
  found.set(request, known)
  return known
}

async function look({ hosts, identity }: SignInDeps, request: FastifyRequest): Promise<Principal> {
  const credential = credentialOf(request.headers)
  if (isAmbient(credential)) checkOrigin(hosts, request.raw, credential.kind === 'cookie')
  return identity.identify(credential, addressOf(request.socket))
}

/** As `identify`, for what nobody may ask unknown. @throws Fault `unauthenticated` besides */
export async function signIn(deps: SignInDeps, request: FastifyRequest): Promise<User> {
  const principal = await identify(deps, request)
  if (principal.kind !== 'user') throw new Fault('unauthenticated', 'sign in first')
  return principal
}

/** Who a request is from as of now: a revocation reaches what is under way. */
export function currently({ identity }: Pick<SignInDeps, 'identity'>, { user, socket }: FastifyRequest): Principal {
  return (user && identity.renew(user)) ?? { kind: 'anonymous', from: addressOf(socket) }
}
