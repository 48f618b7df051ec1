import { STATUS_CODES } from 'node:http'
import { Fault, type FaultCode, type FaultDetails } from '../call/fault.ts'

const statuses = {
  unparsable: 400,
  malformed: 400,
  'too-large': 413,
  'unknown-operation': 404,
  'bad-arguments': 400,
  unauthenticated: 401,
  'bad-credentials': 401,
  forbidden: 403,
  limited: 429,
  'player-unreachable': 502,
  'player-timeout': 504,
  internal: 500,
} as const satisfies Record<FaultCode, number>

/** A fault for which HTTP has a more telling status than its code has: 405, 415, 421, 431. */
export class HttpFault extends Fault {
  readonly status: number

  constructor(status: number, code: FaultCode, message: string, details: FaultDetails = {}) {
    super(code, message, details)
    this.status = status
  }
}

export function statusOf(fault: Fault): number {
  return fault instanceof HttpFault ? fault.status : statuses[fault.code]
}

/** RFC 9457. The type is `about:blank`, as `code` says what the status does not. */
export function problem(fault: Fault, requestId: string): Readonly<Record<string, unknown>> {
  const status = statusOf(fault)
  const { capability, rule, until, limit, remaining, reset } = fault.details
  return {
    type: 'about:blank',
    title: STATUS_CODES[status],
    status,
    detail: fault.message,
    code: fault.code,
    request_id: requestId,
    ...(capability !== undefined && { capability }),
    ...(rule !== undefined && { rule }),
    ...(until !== undefined && { until: new Date(until).toISOString() }),
    ...(limit !== undefined && { limit }),
    ...(remaining !== undefined && { remaining }),
    ...(reset !== undefined && { reset }),
  }
}

/** What a status demands to be said in the header (RFC 9110 §11.6.1, §10.2.3, §15.5.22). */
export function headersOf(fault: Fault): Readonly<Record<string, string>> {
  const status = statusOf(fault)
  if (status === 401) {
    const reason = fault.code === 'bad-credentials' ? ', error="invalid_token"' : '' // RFC 6750 §3.1
    return { 'www-authenticate': `Bearer realm="stagedoor"${reason}` }
  }
  if (status === 426) return { upgrade: 'websocket' }
  const { retryAfter, limit, remaining = 0, reset } = fault.details
  if (status !== 429) return retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) }
  const wait = String(retryAfter ?? 1)
  return {
    'retry-after': wait,
    ...(limit !== undefined && { 'ratelimit-limit': String(limit) }),
    'ratelimit-remaining': String(remaining),
    'ratelimit-reset': String(reset ?? wait),
  }
}

/** The whole answer as it goes over the wire, for a connection that the framework does not hold. */
export function rawProblem(fault: Fault, requestId: string, more: Readonly<Record<string, string>> = {}): string {
  const status = statusOf(fault)
  const body = JSON.stringify(problem(fault, requestId))
  const head = {
    connection: 'close',
    'content-type': 'application/problem+json',
    'content-length': `${Buffer.byteLength(body)}`,
    ...more,
    ...headersOf(fault),
  }
  const lines = Object.entries(head).map(([name, value]) => `${name}: ${value}\r\n`)
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n${body}`
}
