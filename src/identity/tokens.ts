import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { Fault } from '../call/fault.ts'

/**
 * The secrets we hand out and keep only the hash of: `sd1_<id>_<secret>` for a device, `sr1_<secret>` to refresh,
 * `ss1_<secret>` for the first-run link and `st1_<secret>` as a WebSocket ticket. The prefix lets scanners recognise
 * one that leaked, and keeps one kind from passing for another.
 */
export type SecretKind = 'sr1' | 'ss1' | 'st1'

/** 256 random bits, so a fast hash is enough. */
export function createSecret(): string {
  return randomBytes(32).toString('base64url')
}

/** The hash we keep; of the text, so one secret has one spelling. */
export function hashSecret(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

export function createOpaque(kind: SecretKind): string {
  return `${kind}_${createSecret()}`
}

/** Undefined for what cannot be such a secret: not worth looking up. */
export function hashOpaque(kind: SecretKind, text: string): Buffer | undefined {
  return text.startsWith(`${kind}_`) && /^[a-z0-9]{3}_[A-Za-z0-9_-]{43}$/.test(text) ? hashSecret(text) : undefined
}

export function isDeviceToken(text: string): boolean {
  return text.startsWith('sd1_')
}

export function writeDeviceToken(id: string, secret: string): string {
  return `sd1_${id}_${secret}`
}

export function readDeviceToken(text: string): { readonly id: string; readonly secret: string } | undefined {
  const [, id, secret] = /^sd1_([0-9a-f]{16})_([A-Za-z0-9_-]{43})$/.exec(text) ?? []
  return id === undefined || secret === undefined ? undefined : { id, secret }
}

const nothing = randomBytes(32)

/** Compares in the same time whether there is something to compare with or not. */
export function isSecret(secret: string, hash: Buffer | undefined): boolean {
  return timingSafeEqual(hashSecret(secret), hash ?? nothing) && hash !== undefined
}

/** One message for every credential that does not do, so that a forger learns nothing. */
export function badCredential(cause?: unknown): Fault {
  return new Fault('bad-credentials', 'this credential is not good, or no longer', { cause })
}
