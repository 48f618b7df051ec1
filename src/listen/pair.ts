import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import {
  closeSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { isIP } from 'node:net'
import { dirname, join } from 'node:path'
import { createSecureContext } from 'node:tls'
import { Fault, messageOf } from '../call/fault.ts'
import { createAuthority, createKey, createServer, day, type Pair } from './certificate.ts'

/** A certificate with its key, as read. */
export interface Held extends Pair {
  readonly ca: string | undefined
  readonly leaf: X509Certificate
  /** The names that were asked of it. */
  readonly names: readonly string[]
  /** What the files looked like when they were read. */
  readonly stamp: string
}

// Early: every device must be given the new one by hand, and both hold for a year.
const renewAuthorityBefore = 365 * day

/** Somebody else's certificate and key. @throws Fault naming the file and the fix */
export function given(files: { cert: string; key: string }): Held {
  const stamp = stampOf(files)
  const cert = read(files.cert)
  const key = readKey(files.key)
  if (cert === undefined || key === undefined) throw missing(cert === undefined ? files.cert : files.key)
  const leaf = parse(cert)
  if (!leaf) throw new Fault('internal', `${files.cert} holds no certificate: it must begin with the server's, as PEM`)
  if (!leaf.checkPrivateKey(privateKey(files.key, key))) {
    throw new Fault('internal', `${files.key} is not the key of ${files.cert}: replace both together`)
  }
  try {
    createSecureContext({ cert, key })
  } catch (cause) {
    throw new Fault('internal', `${files.cert} cannot be used: ${messageOf(cause)}`, { cause })
  }
  return { cert, key, ca: undefined, leaf, names: [], stamp }
}

/** What lies in the directory, if it is good; else made anew. @throws Fault naming the file and the fix */
export async function issued(dir: string, names: readonly string[], now: number): Promise<Held> {
  const files = filesOf(dir)
  const stamp = stampOf(files)
  prepare(dir)
  const ca = await authority(files, now)
  const cert = read(files.cert)
  const key = readKey(files.key)
  const leaf = parse(cert)
  if (cert !== undefined && key !== undefined && leaf && isPair(leaf, key) && isIssuedBy(leaf, ca.leaf)) {
    if (isFresh(leaf, now) && names.every((name) => holds(leaf, name))) {
      return { cert, key, ca: ca.cert, leaf, names, stamp }
    }
  }
  if (ca.key === undefined) {
    throw new Fault('internal', `${files.caKey} is missing, so ${files.cert} cannot be renewed: ${restore(files)}`)
  }
  const made = await createServer({ key: ca.key, until: ca.leaf.validToDate.getTime() }, names, now)
  // The key first: a certificate without its key is replaced at the next start, as any pair that does not match.
  write(files.key, made.key, 0o600)
  write(files.cert, made.cert, 0o644)
  return { ...made, ca: ca.cert, leaf: new X509Certificate(made.cert), names, stamp }
}

type Files = ReturnType<typeof filesOf>

export function filesOf(dir: string) {
  const at = (name: string) => join(dir, name)
  return { caCert: at('ca.crt'), caKey: at('ca.key'), cert: at('server.crt'), key: at('server.key') }
}

/** Devices trust the authority's key, so the key is never replaced; a certificate for it can be made again at any time. */
async function authority(
  files: Files,
  now: number,
): Promise<{ cert: string; key: string | undefined; leaf: X509Certificate }> {
  const cert = read(files.caCert)
  const leaf = parse(cert)
  let key = readKey(files.caKey)
  if (key === undefined && cert !== undefined) {
    if (!leaf)
      throw new Fault('internal', `${files.caCert} is damaged and ${files.caKey} is missing: ${restore(files)}`)
    return { cert, key, leaf }
  }
  if (key === undefined) {
    key = createKey()
    write(files.caKey, key, 0o600)
  }
  if (privateKey(files.caKey, key, restore(files)).asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    throw foreign(files.caKey)
  }
  const made = await createAuthority(key, now)
  const madeLeaf = new X509Certificate(made)
  if (cert !== undefined && leaf) {
    if (!isPair(leaf, key)) {
      throw new Fault('internal', `${files.caKey} is not the key of ${files.caCert}: ${restore(files)}`)
    }
    if (leaf.subject !== madeLeaf.subject) throw foreign(files.caCert)
    if (isFresh(leaf, now, renewAuthorityBefore)) return { cert, key, leaf }
  }
  write(files.caCert, made, 0o644)
  return { cert: made, key, leaf: madeLeaf }
}

function foreign(path: string): Fault {
  return new Fault('internal', `${path} was not made here: for a certificate of your own use tls: { cert, key }`)
}

function restore({ caCert, caKey }: Files): string {
  return `restore it from a backup, or delete ${caCert} and ${caKey} to begin anew (every device must then trust the new authority)`
}

/** Also not when it begins in the future: a clock that was wrong once must leave nothing behind. */
export function isFresh(cert: X509Certificate, now: number, before = 30 * day): boolean {
  return cert.validFromDate.getTime() <= now && cert.validToDate.getTime() - now > before
}

function isPair(cert: X509Certificate, key: string): boolean {
  try {
    return cert.checkPrivateKey(createPrivateKey(key))
  } catch {
    return false
  }
}

function isIssuedBy(cert: X509Certificate, ca: X509Certificate): boolean {
  return cert.checkIssued(ca) && cert.verify(ca.publicKey)
}

function holds(cert: X509Certificate, name: string): boolean {
  return (isIP(name) ? cert.checkIP(name) : cert.checkHost(name, { subject: 'never' })) !== undefined
}

function parse(pem: string | undefined): X509Certificate | undefined {
  try {
    return pem === undefined ? undefined : new X509Certificate(pem)
  } catch {
    return undefined
  }
}

function privateKey(path: string, pem: string, fix = 'replace it'): KeyObject {
  try {
    return createPrivateKey(pem)
  } catch (cause) {
    throw new Fault('internal', `${path} holds no private key that can be read without a passphrase: ${fix}`, { cause })
  }
}

function prepare(dir: string): void {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 })
  } catch (cause) {
    throw new Fault(
      'internal',
      `${dir} cannot be created (${messageOf(cause)}): create it for the account of Stagedoor`,
      { cause },
    )
  }
  // Whoever can write there can put keys of their own in place of ours.
  if (statSync(dir).mode & 0o002) throw new Fault('internal', `${dir} can be written by everybody: chmod 700 ${dir}`)
}

function read(path: string): string | undefined {
  return readOpen(path, () => undefined)
}

/** @throws Fault when anybody but its owner can read it */
function readKey(path: string): string | undefined {
  return readOpen(path, (mode) => {
    if (mode & 0o077) throw new Fault('internal', `${path} is a private key that others can read: chmod 600 ${path}`)
  })
}

function readOpen(path: string, judge: (mode: number) => void): string | undefined {
  let file: number
  try {
    file = openSync(path, 'r')
  } catch (cause) {
    if (isAbsent(cause)) return undefined
    throw new Fault('internal', `${path} cannot be read (${messageOf(cause)}): give it to the account of Stagedoor`, {
      cause,
    })
  }
  try {
    judge(fstatSync(file).mode)
    return readFileSync(file, 'utf8')
  } finally {
    closeSync(file)
  }
}

/** Whole or not at all, also when the power fails (the directory is synced for the rename). */
function write(path: string, text: string, mode: number): void {
  const fresh = `${path}.new`
  try {
    rmSync(fresh, { force: true })
    sync(fresh, 'wx', mode, (file) => writeFileSync(file, text))
    renameSync(fresh, path)
    sync(dirname(path), 'r', undefined, () => undefined)
  } catch (cause) {
    throw new Fault(
      'internal',
      `${path} cannot be written (${messageOf(cause)}): make ${dirname(path)} writable for the account of Stagedoor`,
      { cause },
    )
  }
}

function sync(path: string, flags: string, mode: number | undefined, work: (file: number) => void): void {
  const file = openSync(path, flags, mode)
  try {
    work(file)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

/** What tells a replaced, touched or re-permitted file from the one that was read. */
export function stampOf(files: Readonly<Record<string, string>>): string {
  return Object.values(files).map(stamp).join()
}

function stamp(path: string): string {
  try {
    const { ino, ctimeMs, size } = statSync(path)
    return `${ino} ${ctimeMs} ${size}`
  } catch {
    return 'none'
  }
}

function missing(path: string): Fault {
  return new Fault('internal', `${path} does not exist: put the file there, or use tls: { dir } to have one made`)
}

function isAbsent(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}
