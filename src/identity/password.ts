import { type Argon2Parameters, argon2, randomBytes, timingSafeEqual } from 'node:crypto'
import { Fault } from '../call/fault.ts'

export interface Passwords {
  /** A hash to keep, as a PHC string. @throws Fault `bad-arguments` when the password is too short or too long */
  hash(password: string): Promise<string>
  /**
   * Whether the password is the one of `stored`.
   *
   * Without `stored` the answer is no, after the same work: nobody learns which accounts exist.
   *
   * @throws Fault `limited` when too many are waiting already
   */
  verify(password: string, stored: string | undefined): Promise<boolean>
}

export type Derive = (parameters: Argon2Parameters) => Promise<Buffer>

// OWASP Password Storage Cheat Sheet: argon2id with 19 MiB, two passes, one lane.
const memory = 19_456
const passes = 2
const parallelism = 1
const tagLength = 32

/** At once; each takes 19 MiB and one of the four threads that file and name look-ups share. */
const maxRunning = 2
const maxWaiting = 32
const maxBytes = 1024
const minLength = 8

/** Hashes with argon2id, a few at a time so that a storm of sign-ins leaves the rest of the house running. */
export function createPasswords(derive: Derive = deriveArgon2id): Passwords {
  const enter = createQueue()
  const nobody = format(randomBytes(16), randomBytes(tagLength))

  const derived = (password: string, { nonce, ...cost }: Omit<Stored, 'tag'>) =>
    enter(() => derive({ message: normalise(password), nonce, tagLength, ...cost }))

  return {
    async hash(password) {
      if (!password.isWellFormed() || isTooLong(password)) {
        throw new Fault('bad-arguments', `a password has at most ${maxBytes} bytes of UTF-8`)
      }
      if ([...normalise(password)].length < minLength) {
        throw new Fault('bad-arguments', `a password has at least ${minLength} characters`)
      }
      const nonce = randomBytes(16)
      return format(nonce, await derived(password, { nonce, memory, passes, parallelism }))
    },
    async verify(password, stored) {
      const known = stored === undefined ? undefined : parse(stored)
      // A megabyte is no password: it is not worth normalising, let alone hashing.
      const acceptable = known !== undefined && !isTooLong(password)
      const { tag, ...cost } = known ?? parse(nobody) ?? unreachable()
      const found = await derived(acceptable ? password : '', cost)
      return timingSafeEqual(found, tag) && acceptable
    },
  }
}

/** NIST SP 800-63B §3.1.1.2: one form for what looks the same. */
function normalise(password: string): string {
  return password.normalize('NFKC')
}

function isTooLong(password: string): boolean {
  return password.length > maxBytes || Buffer.byteLength(password) > maxBytes
}

interface Stored {
  readonly nonce: Buffer
  readonly tag: Buffer
  readonly memory: number
  readonly passes: number
  readonly parallelism: number
}

// https://github.com/P-H-C/phc-string-format
function format(nonce: Buffer, tag: Buffer): string {
  const base64 = (bytes: Buffer) => bytes.toString('base64').replaceAll('=', '')
  return `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${base64(nonce)}$${base64(tag)}`
}

/** Undefined for what we did not write: such a password opens nothing. */
function parse(stored: string): Stored | undefined {
  const found = /^\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,2}),p=(\d)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/.exec(stored)
  if (!found) return undefined
  const [, m, t, p, nonce = '', tag = ''] = found
  const bytes = Buffer.from(tag, 'base64')
  if (bytes.length !== tagLength) return undefined
  return {
    memory: Number(m),
    passes: Number(t),
    parallelism: Number(p),
    nonce: Buffer.from(nonce, 'base64'),
    tag: bytes,
  }
}

function unreachable(): never {
  throw new Fault('internal', 'internal error')
}

function createQueue(): <T>(work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = []
  let running = 0
  return async (work) => {
    if (running >= maxRunning) {
      if (waiting.length >= maxWaiting) {
        throw new Fault('limited', 'too many sign-ins at once: try again in a moment', { retryAfter: 5 })
      }
      await new Promise<void>((resolve) => waiting.push(resolve)) // whoever leaves hands over the place
    } else {
      running++
    }
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else running--
    }
  }
}

function deriveArgon2id(parameters: Argon2Parameters): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    argon2('argon2id', parameters, (error, tag) => (error ? reject(error) : resolve(tag)))
  })
}
