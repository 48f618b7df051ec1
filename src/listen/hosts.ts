import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import { Fault } from '../call/fault.ts'
import { HttpFault } from './problem.ts'

export interface Hosts {
  /** Whether a Host header, port and all, names this gateway. */
  isOwnHost(host: string): boolean
  /**
   * What must hold before anything of a request is believed: no header that decides something came twice, and the
   * request is for us.
   *
   * @throws HttpFault 400, 421 or 431
   */
  check(request: IncomingMessage): void
  /** Whether a page of our own sent it; undefined when no page did, or no browser. */
  isOwnOrigin(request: IncomingMessage): boolean | undefined
}

/** Whoever reads the first and whoever reads the last must read the same (RFC 9112 §3.2, RFC 9110 §5.3). */
const single: ReadonlySet<string> = new Set([
  'host',
  'authorization',
  'content-length',
  'content-type',
  'cookie',
  'origin',
  'transfer-encoding',
  'upgrade',
  'sec-websocket-key',
  'sec-websocket-version',
])

/** More than this no client sends, and Node drops headers in silence beyond 2,000. */
const maxHeaders = 100

/**
 * @param names the host names we are reached by. Any address will do beside them: DNS rebinding needs a name.
 */
export function createHosts(names: readonly string[]): Hosts {
  const ours: ReadonlySet<string> = new Set(['localhost', ...names.map((name) => name.toLowerCase())])

  const isOwnHost = (host: string) => {
    const name = hostName(host)
    return name !== undefined && (ours.has(name) || isIP(name.replace(/^\[|\]$/g, '')) !== 0)
  }

  return {
    isOwnHost,
    check({ rawHeaders, headers: { host = '', 'transfer-encoding': coding = 'chunked' } }) {
      checkRepeated(rawHeaders)
      // RFC 9112 §6.1: Node also takes `,chunked`, which others read as a body of another length.
      if (coding.toLowerCase() !== 'chunked') throw new HttpFault(400, 'malformed', 'no such Transfer-Encoding')
      if (hostName(host) === undefined) throw new HttpFault(400, 'malformed', 'no Host, or not a host name')
      if (!isOwnHost(host)) {
        throw new HttpFault(421, 'malformed', 'not a name of this gateway: see listen.https.names')
      }
    },
    isOwnOrigin({ headers }) {
      if (headers.origin === undefined) return undefined
      return headers.origin.toLowerCase() === `https://${headers.host?.toLowerCase().replace(/:443$/, '')}`
    },
  }
}

/** Refuses what other pages make a browser send; a browser names the page on every POST. @throws Fault `forbidden` */
export function checkOrigin(hosts: Hosts, request: IncomingMessage, demanded: boolean): void {
  const own = hosts.isOwnOrigin(request)
  if (own === false || (own === undefined && demanded && request.method !== 'GET')) {
    throw new Fault('forbidden', 'only for pages of this very gateway')
  }
}

function hostName(host: string): string | undefined {
  return /^([a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?$/.exec(host.toLowerCase())?.[1]
}

function checkRepeated(rawHeaders: readonly string[]): void {
  if (rawHeaders.length > 2 * maxHeaders) throw new HttpFault(431, 'too-large', `more than ${maxHeaders} header fields`)
  const seen = new Set<string>()
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]?.toLowerCase() ?? ''
    if (!single.has(name)) continue
    if (seen.has(name)) throw new HttpFault(400, 'malformed', `${name} stands twice`)
    seen.add(name)
  }
}
