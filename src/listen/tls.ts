import { constants, randomBytes, X509Certificate } from 'node:crypto'
import type { SecureContextOptions, Server, TlsOptions } from 'node:tls'
import { messageOf } from '../call/fault.ts'
import { day, type Pair } from './certificate.ts'
import { filesOf, given, type Held, isFresh, issued, stampOf } from './pair.ts'

/** Certificates of our own making in a directory, or somebody else's in two files. */
export type TlsSource = { readonly dir: string } | { readonly cert: string; readonly key: string }

export interface Tls {
  /** For https.createServer. Fresh on each call: they carry the certificate of now. */
  httpsOptions(): TlsOptions
  /** For tls.createServer of the MPD door, where a client may sign in by a certificate of its own. */
  mpdOptions(): TlsOptions
  /** The certificate a device must trust; undefined where the certificate is not of our making. */
  caPem(): string | undefined
  /** SHA-256 of what a person compares: the authority's certificate, or the server's where there is none of ours. */
  fingerprint(): string
  /** Gives the server each new certificate and, daily, new session ticket keys, for as long as it is open. Connections live on. */
  apply(server: Server): void
  /** Looks now whether the certificate must change. Never throws: what goes wrong is told to onProblem, and the old one stays. */
  check(): Promise<void>
  close(): void
}

const warnBefore = 14 * day

// Forward secret and authenticated encryption only (RFC 9325 §4.2): TLS 1.3, and ECDHE with GCM or ChaCha20 of TLS 1.2.
const security = {
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.3',
  ciphers: [
    'TLS_AES_128_GCM_SHA256',
    'TLS_AES_256_GCM_SHA384',
    'TLS_CHACHA20_POLY1305_SHA256',
    'ECDHE-ECDSA-AES128-GCM-SHA256',
    'ECDHE-ECDSA-AES256-GCM-SHA384',
    'ECDHE-ECDSA-CHACHA20-POLY1305',
    'ECDHE-RSA-AES128-GCM-SHA256',
    'ECDHE-RSA-AES256-GCM-SHA384',
    'ECDHE-RSA-CHACHA20-POLY1305',
  ].join(':'),
  honorCipherOrder: true,
  ecdhCurve: 'X25519MLKEM768:X25519:P-256:P-384',
  secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  // No authority vouches for a client.
  ca: [],
} satisfies SecureContextOptions

/**
 * @param deps.names every name and address the certificate must hold, asked anew at each check
 * @param deps.every milliseconds between two checks
 * @throws Fault naming the file and the fix, when there is no certificate to start with
 */
export async function createTls(deps: {
  source: TlsSource
  names(): readonly string[]
  now(): number
  onProblem(message: string): void
  every?: number
}): Promise<Tls> {
  const { source, now } = deps
  const own = 'cert' in source
  const files: Readonly<Record<string, string>> = own ? { ...source } : filesOf(source.dir)
  const load = async () => (own ? given(source) : issued(source.dir, deps.names(), now()))
  const servers = new Set<Server>()

  let current: Held = await load()
  let told: string | undefined
  let ticketsAt = now()
  let turn = Promise.resolve()

  const timer = setInterval(() => void check(), deps.every ?? 5_000).unref()
  foresee()

  function context(): SecureContextOptions & Pair {
    return { ...security, cert: current.cert, key: current.key }
  }

  /** One at a time: two renewals at once would mix their files. */
  function check(): Promise<void> {
    turn = turn.then(async () => {
      try {
        if (isDue()) {
          const before = current.cert
          current = await load()
          if (current.cert !== before) for (const server of servers) server.setSecureContext(context())
        }
        if (foresee()) told = undefined
      } catch (error) {
        tell(messageOf(error))
      }
      rotateTickets()
    })
    return turn
  }

  function isDue(): boolean {
    if (stampOf(files) !== current.stamp) return true
    // Names are held against what was asked for, not against the certificate: what it cannot hold is not asked for again and again.
    return !own && !(isFresh(current.leaf, now()) && deps.names().every((name) => current.names.includes(name)))
  }

  /** A certificate that is not ours to renew may end unnoticed. */
  function foresee(): boolean {
    if (!own || current.leaf.validToDate.getTime() - now() >= warnBefore) return true
    tell(`${source.cert} ends on ${current.leaf.validToDate.toISOString().slice(0, 10)}: replace it and its key`)
    return false
  }

  /** Once, not at every check. */
  function tell(message: string): void {
    if (message !== told) deps.onProblem(message)
    told = message
  }

  /** A ticket key that lives as long as the certificate would undo the forward secrecy of TLS 1.2 (RFC 9325 §7.3). */
  function rotateTickets(): void {
    if (Math.abs(now() - ticketsAt) < day) return
    ticketsAt = now()
    for (const server of servers) server.setTicketKeys(randomBytes(48))
  }

  return {
    httpsOptions: () => ({ ...context(), ALPNProtocols: ['http/1.1'], handshakeTimeout: 5_000 }),
    // Asked for and not demanded. Whose it is, identity knows by its fingerprint; the handshake has proved the key.
    mpdOptions: () => ({ ...context(), handshakeTimeout: 5_000, requestCert: true, rejectUnauthorized: false }),
    caPem: () => current.ca,
    fingerprint: () => (current.ca === undefined ? current.leaf : new X509Certificate(current.ca)).fingerprint256,
    apply(server) {
      server.setSecureContext(context())
      servers.add(server)
      server.once('close', () => servers.delete(server))
    },
    check,
    close: () => clearInterval(timer),
  }
}

/**
 * For every tls.createServer: Node reports a failed or overdue handshake and leaves the socket open, so that silent
 * connections would pile up until the descriptors are gone.
 */
export function destroyOnTlsError(server: Server): void {
  server.on('tlsClientError', (_error, socket) => socket.destroy())
}
