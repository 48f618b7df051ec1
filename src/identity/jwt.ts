import { createHash, createPrivateKey, createPublicKey, randomUUID, type webcrypto } from 'node:crypto'
import { createDecoder, createSigner, createVerifier } from 'fast-jwt'
import { Fault } from '../call/fault.ts'
import { badCredential } from './tokens.ts'

/** What an access token says (RFC 9068 §2.2). Times are Unix seconds. */
export interface Claims {
  readonly iss: string
  readonly aud: string
  /** The account's id. */
  readonly sub: string
  readonly name: string
  /** As of signing, for clients to read. What counts are the account's roles at the time of the call. */
  readonly roles: readonly string[]
  /** The session. */
  readonly sid: string
  readonly jti: string
  readonly iat: number
  readonly nbf: number
  readonly exp: number
}

export interface AccessTokens {
  sign(subject: Pick<Claims, 'sub' | 'name' | 'roles' | 'sid'>): string
  /** @throws Fault `bad-credentials` for whatever is not, here and now, a token of ours */
  verify(token: string): Claims
  /** The public keys (RFC 7517). */
  jwks(): { readonly keys: readonly object[] }
  /** Forgets which tokens were found good. */
  forget(): void
}

/** Seconds an access token is good for. */
export const accessLifetime = 600
/** Seconds by which our clock may have been set back since a token was signed. */
const leeway = 30
const maxLength = 4096
const maxRemembered = 1000
const issuer = 'stagedoor'
const typ = 'at+jwt' // RFC 9068 §2.1, so that no other kind of JWT is taken for one

/**
 * Signs and verifies access tokens: EdDSA and nothing else, with keys found by `kid` in a map and nowhere else.
 *
 * One function serves every door. The signature is the library's work; the header must be exactly the one we write,
 * so that `jwk`, `jku`, `x5u`, `x5c` and `crit` (RFC 7515 §4.1) are never even looked at.
 */
export function createAccessTokens(options: {
  readonly keys: readonly { readonly kid: string; readonly jwk: webcrypto.JsonWebKey }[]
  readonly now: () => number
}): AccessTokens {
  const { keys, now } = options
  const [newest] = keys
  if (!newest) throw new Fault('internal', 'there is no key to sign with')
  const pem = createPrivateKey({ key: newest.jwk, format: 'jwk' }).export({ type: 'pkcs8', format: 'pem' })
  const signer = createSigner({ key: pem, algorithm: 'EdDSA', kid: newest.kid, header: { alg: 'EdDSA', typ } })
  const decode = createDecoder({ complete: true })
  const verifiers = new Map(keys.map(({ kid, jwk }) => [kid, createSignatureCheck(jwk)]))
  const good = new Map<string, Claims>()

  function check(token: string): Claims {
    if (!isCompact(token)) throw badCredential()
    const kid = kidOf(decode(token).header)
    const verifier = kid === undefined ? undefined : verifiers.get(kid)
    if (!verifier) throw badCredential()
    const payload: unknown = verifier(token)
    if (!isClaims(payload)) throw badCredential()
    return payload
  }

  function remember(key: string, claims: Claims): void {
    const [oldest] = good.keys()
    if (good.size >= maxRemembered && oldest !== undefined) good.delete(oldest)
    good.set(key, claims)
  }

  return {
    sign(subject) {
      const iat = Math.floor(now() / 1000)
      const claims: Claims = {
        iss: issuer,
        aud: issuer,
        sub: subject.sub,
        name: subject.name,
        roles: subject.roles,
        sid: subject.sid,
        jti: randomUUID(),
        iat,
        nbf: iat,
        exp: iat + accessLifetime,
      }
      return signer({ ...claims })
    },
    verify(token) {
      if (token.length > maxLength) throw badCredential()
      const key = createHash('sha256').update(token).digest('base64')
      try {
        const claims = good.get(key) ?? check(token)
        if (!isCurrent(claims, now() / 1000)) {
          good.delete(key)
          throw badCredential()
        }
        if (!good.has(key)) remember(key, claims)
        return claims
      } catch (error) {
        throw badCredential(error)
      }
    },
    jwks: () => ({
      keys: keys.map(({ kid, jwk }) => ({ kty: jwk.kty, crv: jwk.crv, x: jwk.x, kid, use: 'sig', alg: 'EdDSA' })),
    }),
    forget: () => good.clear(),
  }
}

function createSignatureCheck(jwk: webcrypto.JsonWebKey): (token: string) => unknown {
  const key = createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' })
  return createVerifier({
    key,
    algorithms: ['EdDSA'],
    allowedIss: issuer,
    allowedAud: issuer,
    checkTyp: typ,
    requiredClaims: [...claimTypes.keys()],
    // Time is checked in isCurrent, where the clock is an argument and remembered tokens pass as well.
    ignoreExpiration: true,
    ignoreNotBefore: true,
    cache: false,
  })
}

/**
 * Three segments of canonical base64url (RFC 7515 §2): one token has one spelling.
 *
 * Trailing bits that decoding drops would make a second token of it, and so a second name.
 */
function isCompact(token: string): boolean {
  if (!/^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/.test(token)) return false
  return token.split('.').every((segment) => Buffer.from(segment, 'base64url').toString('base64url') === segment)
}

/** Undefined unless the header is, member for member, one that we write. */
function kidOf(header: Readonly<Record<string, unknown>>): string | undefined {
  const ours = Object.keys(header).length === 3 && header.alg === 'EdDSA' && header.typ === typ
  return ours && typeof header.kid === 'string' ? header.kid : undefined
}

const isText = (value: unknown) => typeof value === 'string' && value !== '' && value.length <= 256
const isTime = (value: unknown) => typeof value === 'number' && Number.isSafeInteger(value) && value > 0
const isTexts = (value: unknown) => Array.isArray(value) && value.length <= 64 && value.every(isText)

const claimTypes: ReadonlyMap<string, (value: unknown) => boolean> = new Map(
  Object.entries({
    iss: isText,
    aud: isText,
    sub: isText,
    name: isText,
    roles: isTexts,
    sid: isText,
    jti: isText,
    iat: isTime,
    nbf: isTime,
    exp: isTime,
  } satisfies Record<keyof Claims, unknown>),
)

/** Every claim, each of its type, and no other. */
function isClaims(payload: unknown): payload is Claims {
  if (typeof payload !== 'object' || payload === null) return false
  const entries = Object.entries(payload)
  return entries.length === claimTypes.size && entries.every(([name, value]) => claimTypes.get(name)?.(value) ?? false)
}

function isCurrent({ iat, nbf, exp }: Claims, now: number): boolean {
  return iat <= now + leeway && nbf <= now + leeway && now < exp && exp - iat <= accessLifetime
}
