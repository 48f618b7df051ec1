/** Everything that can go wrong on the way through the house, by name. Listed for people in docs/errors.md. */
export const faultCodes = [
  'unparsable',
  'malformed',
  'too-large',
  'unknown-operation',
  'bad-arguments',
  'unauthenticated',
  'bad-credentials',
  'forbidden',
  'limited',
  'player-unreachable',
  'player-timeout',
  'internal',
] as const

export type FaultCode = (typeof faultCodes)[number]

/** What a caller may know beyond the message. */
export interface FaultDetails {
  /** The capability that was asked for and refused. */
  readonly capability?: string
  /** The configuration path of the rule that refused, such as `roles.kid.grants[1].when.maxVolume`. */
  readonly rule?: string
  /** Seconds until a retry can succeed. */
  readonly retryAfter?: number
  /** When the answer may be another (Unix ms). */
  readonly until?: number
  /** Of a quota: how many it has in all, how many are left, and the seconds until there is one more. */
  readonly limit?: number
  readonly remaining?: number
  readonly reset?: number
}

/** The only error that crosses a module border. Its message is safe to show to the caller. */
export class Fault extends Error {
  override readonly name = 'Fault'
  readonly code: FaultCode
  readonly details: FaultDetails

  constructor(code: FaultCode, message: string, options: ErrorOptions & FaultDetails = {}) {
    const { cause, ...details } = options
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    this.details = details
  }

  /** What the caller may know of something we did not foresee: nothing. */
  static from(error: unknown): Fault {
    return error instanceof Fault ? error : new Fault('internal', 'internal error', { cause: error })
  }
}

/** What a thrown thing has to say, for logs and for operators. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
