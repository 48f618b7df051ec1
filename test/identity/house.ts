import { createHash, createPrivateKey, randomBytes, sign, type webcrypto } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { Fault, type FaultCode } from '../../src/call/fault.ts'
import { createIdentity, type IdentityEvent } from '../../src/identity/identity.ts'
import { createPasswords, type Derive } from '../../src/identity/password.ts'
import { createSecret, hashSecret, writeDeviceToken } from '../../src/identity/tokens.ts'
import { type Accounts, openAccounts } from '../../src/store/accounts.ts'
import type { Account } from '../../src/store/record.ts'

/** A directory of the test's own. */
export function createDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'stagedoor-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

/** A household with a clock that stands still, and a hash that is quick and counts. */
export function createHouse(options: { dir?: string; pollMs?: number; derive?: Derive } = {}) {
  const dir = options.dir ?? createDir()
  const clock = { now: Date.UTC(2026, 0, 1) }
  const now = () => clock.now
  const hashes = { count: 0 }
  const derive: Derive =
    options.derive ??
    (async ({ message, nonce }) => {
      hashes.count++
      return createHash('sha256')
        .update(message as string)
        .update(nonce as Buffer)
        .digest()
    })
  const passwords = createPasswords(derive)
  const accounts = openAccounts({ dir, now, pollMs: options.pollMs ?? 0 })
  onTestFinished(() => accounts.close())
  const events: IdentityEvent[] = []
  const { identity, sessions } = createIdentity({ accounts, now, passwords, onEvent: (event) => events.push(event) })

  return {
    dir,
    clock,
    hashes,
    accounts,
    identity,
    sessions,
    passwords,
    events,
    async add(name: string, roles: readonly string[] = ['owner'], password = 'correct horse'): Promise<Account> {
      const account = accounts.create({ name, roles, password: await passwords.hash(password) })
      hashes.count = 0
      return account
    },
    /** A device token of the account, as its owner has it. */
    token(account: Account, more: { role?: string; players?: readonly string[]; expires?: number } = {}) {
      const secret = createSecret()
      const { role = null, players = null, expires = null } = more
      const made = accounts.createToken(
        { account: account.id, label: 'test', role, players, expires },
        hashSecret(secret),
      )
      return { id: made.id, text: writeDeviceToken(made.id, secret) }
    },
    /** A device token of the account that stands on a certificate, by a fingerprint of the test's own making. */
    certificate(account: Account, more: { role?: string; players?: readonly string[]; expires?: number } = {}) {
      const fingerprint = randomBytes(32).toString('hex')
      const { role = null, players = null, expires = clock.now + 86_400_000 } = more
      const made = accounts.createCertificate(
        { account: account.id, label: 'test', role, players, expires },
        fingerprint,
      )
      return { id: made.id, fingerprint }
    },
  }
}

export type House = ReturnType<typeof createHouse>

/** The code of the fault this ends with; `none` when it does not. Whatever is no Fault is a defect. */
export async function codeOf(work: (() => unknown) | Promise<unknown>): Promise<FaultCode | 'none'> {
  return (await faultOf(work))?.code ?? 'none'
}

export async function faultOf(work: (() => unknown) | Promise<unknown>): Promise<Fault | undefined> {
  try {
    await (typeof work === 'function' ? work() : work)
    return undefined
  } catch (error) {
    if (error instanceof Fault) return error
    throw error
  }
}

/** What the house's own key makes of any header and payload. */
export function forge(accounts: Accounts, parts: { header?: object; payload: unknown }): string {
  const [key] = accounts.keys()
  return signWith(key, parts)
}

export function signWith(
  key: { kid: string; jwk: webcrypto.JsonWebKey } | undefined,
  { header, payload }: { header?: object; payload: unknown },
): string {
  if (!key) throw new Error('no key')
  const text = (value: unknown) =>
    Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
  const input = `${text({ alg: 'EdDSA', typ: 'at+jwt', kid: key.kid, ...header })}.${text(payload)}`
  const signature = sign(null, Buffer.from(input), createPrivateKey({ key: key.jwk, format: 'jwk' }))
  return `${input}.${signature.toString('base64url')}`
}
