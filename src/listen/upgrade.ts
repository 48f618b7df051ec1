import type { IncomingMessage } from 'node:http'
import type { Fault } from '../call/fault.ts'
import { HttpFault, rawProblem, statusOf } from './problem.ts'

export interface UpgradeTarget {
  /** The player's name; undefined at the root, where the default player is. */
  readonly player: string | undefined
  /** Below the player's prefix, such as `mopidy/ws`, as it was written. */
  readonly path: string
  /** Undefined without a query; empty, which is nobody's, for any query that is no ticket. */
  readonly ticket: string | undefined
}

/**
 * RFC 6455 §4.2.1, to the letter. What ws itself lets pass, such as version 8, HTTP/1.0 or a body, ends here.
 *
 * @throws HttpFault 400, 405 or 426
 */
export function checkUpgrade({ method, httpVersion, headers }: IncomingMessage): void {
  if (method !== 'GET') throw new HttpFault(405, 'malformed', 'a WebSocket begins with GET')
  if (httpVersion !== '1.1') throw new HttpFault(400, 'malformed', 'a WebSocket begins with HTTP/1.1')
  if (headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined) {
    throw new HttpFault(400, 'malformed', 'a WebSocket begins without a body')
  }
  if (headers.upgrade?.toLowerCase() !== 'websocket') {
    throw new HttpFault(400, 'malformed', 'Upgrade must say websocket and nothing else')
  }
  if (headers['sec-websocket-version'] !== '13') throw new HttpFault(426, 'malformed', 'WebSocket version 13 only')
  if (!/^[+/0-9A-Za-z]{22}==$/.test(headers['sec-websocket-key'] ?? '')) {
    throw new HttpFault(400, 'malformed', 'Sec-WebSocket-Key is missing or wrong')
  }
}

/** Where the request wants to go, from the path as it came; undefined when nothing is there. */
export function targetOf(url: string | undefined): UpgradeTarget | undefined {
  const found = /^(?:\/players\/([^/?#]+)(?=\/))?\/([^?#]*)(?:\?(.*))?$/.exec(url ?? '')
  if (!found) return undefined
  const [, player, path = '', query] = found
  // A token in a URL ends up in logs and histories, so only what is good once and briefly may stand there.
  return { player, path, ticket: query === undefined ? undefined : (/^ticket=([\w-]+)$/.exec(query)?.[1] ?? '') }
}

/** Answers instead of upgrading, and closes whatever the peer does. */
export function refuseUpgrade({ socket }: IncomingMessage, fault: Fault, requestId: string): void {
  const status = statusOf(fault)
  const head = {
    ...(status === 405 && { allow: 'GET' }),
    ...(status === 426 && { 'sec-websocket-version': '13' }),
  }
  socket.setTimeout(2_000, () => socket.destroy())
  socket.end(rawProblem(fault, requestId, head), () => socket.destroy())
}
