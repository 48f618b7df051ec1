import './reflect.ts'

import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  type X509Certificate,
} from 'node:crypto'
import { isIP } from 'node:net'
import { hostname, networkInterfaces } from 'node:os'
import { domainToASCII } from 'node:url'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  type JsonName,
  KeyUsageFlags,
  KeyUsagesExtension,
  Name,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
} from '@peculiar/x509'

/** A certificate and its private key, both PEM. */
export interface Pair {
  readonly cert: string
  readonly key: string
}

export const day = 86_400_000
const hour = 3_600_000
const curve = { name: 'ECDSA', namedCurve: 'P-256' }

/** A new P-256 private key, PKCS #8 PEM. */
export function createKey(): string {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' })
    .privateKey.export({ type: 'pkcs8', format: 'pem' })
    .toString()
}

/** The authority's certificate for a key, ten years long. The same key gives the same name, so devices that trust an older one go on. */
export async function createAuthority(key: string, now: number): Promise<string> {
  return certify(authorityName(key), key, key, now, now + 3652 * day, [
    // Signs servers and nothing else: no further authority below it (RFC 5280 §4.2.1.9).
    new BasicConstraintsExtension(true, 0, true),
    new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true),
    await SubjectKeyIdentifierExtension.create(publicKey(key)),
  ])
}

/** A server's certificate with a key of its own: 90 days, and not beyond the authority's end (unix ms). */
export async function createServer(
  authority: { key: string; until: number },
  names: readonly string[],
  now: number,
): Promise<Pair> {
  const key = createKey()
  const until = Math.min(now + 90 * day, authority.until)
  const cert = await certify([{ O: ['Stagedoor'] }], key, authority.key, now, until, [
    new BasicConstraintsExtension(false, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
    new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
    new SubjectAlternativeNameExtension(
      names.map((value) => (isIP(value) ? { type: 'ip', value } : { type: 'dns', value })),
    ),
    await SubjectKeyIdentifierExtension.create(publicKey(key)),
    await AuthorityKeyIdentifierExtension.create(publicKey(authority.key)),
  ])
  return { cert, key }
}

/**
 * A device's certificate with a key of its own, good until then (unix ms, whole seconds).
 *
 * Signed by itself: who trusts it knows its fingerprint, and no authority's word would make another one as good.
 */
export async function createClient(label: string, now: number, until: number): Promise<Pair> {
  const key = createKey()
  // In plain strings the library reads quotes, backslashes and `#` as notation.
  const name = new Name([{ CN: [{ utf8String: label }] }])
  const cert = await certify(
    name,
    key,
    key,
    now,
    until,
    [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.clientAuth]),
      await SubjectKeyIdentifierExtension.create(publicKey(key)),
    ],
    name,
  )
  return { cert, key }
}

/** SHA-256 of a certificate in hex, small letters, as identity knows it. */
export function fingerprintOf(certificate: X509Certificate): string {
  return certificate.fingerprint256.replaceAll(':', '').toLowerCase()
}

/** Every name and address this machine can be reached by, and the extra ones of the configuration; sorted, lower case. */
export function machineNames(extra: readonly string[] = []): readonly string[] {
  const host = hostname().toLowerCase()
  const label = host.split('.')[0]
  const addresses = Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address))
  const names = ['localhost', '127.0.0.1', '::1', host, `${label}`, `${label}.local`, ...addresses, ...extra]
  // A name that is none (a host called `my box`) would make the whole certificate invalid.
  return [...new Set(names.map(nameOf).filter((name) => name !== ''))].sort()
}

function nameOf(text: string): string {
  if (isIP(text)) return text.toLowerCase()
  const name = domainToASCII(text)
  return /^(?:\*\.)?(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/.test(name)
    ? name
    : ''
}

function authorityName(key: string): JsonName {
  const digest = createHash('sha256')
    .update(createPublicKey(key).export({ type: 'spki', format: 'der' }))
    .digest('hex')
  return [{ CN: [`Stagedoor CA ${digest.slice(0, 8)}`] }]
}

function signingKey(key: string): CryptoKey {
  return createPrivateKey(key).toCryptoKey(curve, false, ['sign'])
}

function publicKey(key: string): CryptoKey {
  return createPublicKey(key).toCryptoKey(curve, true, ['verify'])
}

async function certify(
  subject: JsonName | Name,
  key: string,
  issuer: string,
  now: number,
  until: number,
  extensions: Extension[],
  issuerName: JsonName | Name = authorityName(issuer),
): Promise<string> {
  const certificate = await X509CertificateGenerator.create({
    subject,
    issuer: issuerName,
    publicKey: publicKey(key),
    signingKey: signingKey(issuer),
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    extensions,
    serialNumber: randomBytes(16).toString('hex'),
    // A phone whose clock is a little slow must not refuse a certificate of this minute.
    notBefore: new Date(now - hour),
    notAfter: new Date(until),
  })
  return `${certificate.toString('pem')}\n`
}
