import type { IncomingHttpHeaders } from 'node:http'
import { Fault } from '../call/fault.ts'
import type { Credential } from '../identity/identity.ts'

/** The `__Host-` prefix binds it to this very host, to TLS and to the whole path (RFC 6265bis §4.1.3.2). */
export const cookieName = '__Host-stagedoor'

/**
 * What a request shows of who sent it: the Authorization header, else the session cookie, else nothing.
 *
 * @throws Fault `bad-credentials` for an Authorization header we do not understand: it was meant to be one
 */
export function credentialOf(headers: IncomingHttpHeaders): Credential {
  if (headers.authorization !== undefined) return authorization(headers.authorization)
  const value = sessionCookie(headers)
  return value === undefined ? { kind: 'none' } : { kind: 'cookie', value }
}

/** Browsers add these on their own, whichever page asked them to send the request. */
export function isAmbient({ kind }: Credential): boolean {
  return kind === 'cookie' || kind === 'basic'
}

/** @throws Fault `malformed` when it came twice */
export function sessionCookie(headers: IncomingHttpHeaders): string | undefined {
  const values = (headers.cookie ?? '')
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${cookieName}=`))
  if (values.length > 1) throw new Fault('malformed', 'the session cookie stands twice')
  return values[0]?.slice(cookieName.length + 1)
}

function authorization(header: string): Credential {
  const bearer = /^bearer ([A-Za-z0-9._~+/-]+=*)$/i.exec(header)?.[1] // RFC 6750 §2.1
  if (bearer !== undefined) return { kind: 'bearer', token: bearer }
  const basic = /^basic ([A-Za-z0-9+/]+={0,2})$/i.exec(header)?.[1]
  const found =
    basic === undefined ? undefined : /^([^:]+):(\P{Cc}+)$/u.exec(Buffer.from(basic, 'base64').toString('utf8'))
  if (found?.[1] === undefined || found[2] === undefined) {
    throw new Fault('bad-credentials', 'the Authorization header is neither Bearer nor Basic')
  }
  return { kind: 'basic', name: found[1], token: found[2] }
}
