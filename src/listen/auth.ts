import type { FastifyReply, FastifyRequest } from 'fastify'
import Type, { type Static, type TSchema } from 'typebox'
import { addressOf } from '../call/address.ts'
import type { User } from '../call/call.ts'
import type { Capability } from '../call/capability.ts'
import { Fault } from '../call/fault.ts'
import type { Tokens } from '../identity/identity.ts'
import { cookieName, sessionCookie } from './credential.ts'
import { checkOrigin } from './hosts.ts'
import type { App, HttpDeps } from './http.ts'

// Long enough for any name and passphrase; a longer one would only cost the hash.
const Name = Type.String({ minLength: 1, maxLength: 100 })
const Password = Type.String({ minLength: 1, maxLength: 1_000 })
const Opaque = Type.String({ minLength: 1, maxLength: 500 })

const Login = exact({ username: Name, password: Password, cookie: Type.Optional(Type.Boolean()) })
const Refresh = exact({ refresh_token: Type.Optional(Opaque) })
const Setup = exact({ token: Opaque, name: Name, password: Password })
const Nothing = exact({})

function exact<const P extends Record<string, TSchema>>(properties: P) {
  return Type.Object(properties, { additionalProperties: false })
}

/** How long a browser keeps the cookie: as long as a session may sleep. */
const cookieSeconds = 30 * 24 * 3600

/** Signing in and out, and who one is. `strict` is the edge limit where secrets can be guessed. */
export function authRoutes(
  app: App,
  deps: Pick<HttpDeps, 'gate' | 'hosts' | 'players' | 'sessions' | 'now'>,
  hooks: {
    readonly signIn: (request: FastifyRequest) => Promise<void>
    readonly strict: { readonly max: number; readonly timeWindow: number }
  },
): void {
  const { gate, hosts, players, sessions } = deps
  const { signIn } = hooks
  const config = { rateLimit: hooks.strict }
  const preValidation = withBody

  app.post<{ Body: Static<typeof Login> }>(
    '/auth/login',
    { config, schema: { body: Login } },
    async (request, reply) => {
      const { username, password, cookie = false } = request.body
      checkOrigin(hosts, request.raw, false)
      const tokens = await sessions.login(username, password, addressOf(request.socket))
      if (cookie) setCookie(reply, tokens.refreshToken, cookieSeconds)
      return answerOf(tokens)
    },
  )

  app.post<{ Body: Static<typeof Refresh> }>(
    '/auth/refresh',
    { config, schema: { body: Refresh }, preValidation },
    async (request, reply) => {
      const given = request.body.refresh_token
      const cookie = given === undefined ? sessionCookie(request.headers) : undefined
      if (cookie !== undefined) checkOrigin(hosts, request.raw, true)
      const token = given ?? cookie
      if (token === undefined) throw new Fault('unauthenticated', 'no refresh token, and no session cookie')
      const tokens = await sessions.refresh(token, addressOf(request.socket))
      if (cookie !== undefined) setCookie(reply, tokens.refreshToken, cookieSeconds)
      return answerOf(tokens)
    },
  )

  app.post('/auth/logout', { schema: { body: Nothing }, preParsing: signIn, preValidation }, async (request, reply) => {
    sessions.logout(signedIn(request))
    if (sessionCookie(request.headers) !== undefined) setCookie(reply, '', 0)
    return reply.code(204).send()
  })

  app.get('/auth/me', { preParsing: signIn }, async (request) => {
    const user = signedIn(request)
    const usable = [...players.keys()].map((player) => [player, gate.capabilitiesOf(user, player)] as const)
    return {
      id: user.id,
      name: user.name,
      roles: user.roles,
      capabilities: [...new Set(usable.flatMap(([, capabilities]) => capabilities))],
      players: usable.filter(([, capabilities]) => capabilities.length > 0).map(([player]) => player),
      quotas: quotasOf(deps, user, usable),
    }
  })

  app.post('/auth/ticket', { schema: { body: Nothing }, preParsing: signIn, preValidation }, async (request) => ({
    ticket: sessions.ticket(signedIn(request)),
    expires_in: 30,
  }))

  app.post<{ Body: Static<typeof Setup> }>('/setup', { config, schema: { body: Setup } }, async (request, reply) => {
    const { token, name, password } = request.body
    checkOrigin(hosts, request.raw, false)
    await sessions.setup(token, name, password, addressOf(request.socket))
    return reply.code(201).send({ name })
  })

  app.get('/.well-known/jwks.json', async (_request, reply) => {
    reply.header('cache-control', 'public, max-age=300')
    return sessions.jwks()
  })
}

/** What is left of each quota; `players` where it binds at some only of those where one may do this at all. */
function quotasOf(
  { gate, now }: Pick<HttpDeps, 'gate' | 'now'>,
  user: User,
  usable: readonly (readonly [string, readonly Capability[]])[],
) {
  const names = usable.map(([player]) => player)
  return gate.quotasOf(user, names, now()).map(({ capability, limit, windowMs, remaining, resetMs, players }) => {
    const places = usable.filter(([, capabilities]) => capabilities.includes(capability)).length
    return {
      capability,
      limit,
      window: windowMs / 1000,
      remaining,
      reset: Math.ceil(resetMs / 1000),
      ...(players.length < places && { players }),
    }
  })
}

/** Where a body may be left out, none is an empty one. */
async function withBody(request: FastifyRequest): Promise<void> {
  request.body ??= {}
}

function signedIn({ user }: FastifyRequest) {
  if (!user) throw new Fault('unauthenticated', 'sign in first')
  return user
}

/** RFC 6749 §5.1. */
function answerOf({ accessToken, expiresIn, refreshToken }: Tokens) {
  return { access_token: accessToken, token_type: 'Bearer', expires_in: expiresIn, refresh_token: refreshToken }
}

function setCookie(reply: FastifyReply, value: string, seconds: number): void {
  reply.header('set-cookie', `${cookieName}=${value}; Path=/; Max-Age=${seconds}; HttpOnly; Secure; SameSite=Strict`)
}
