import '../../src/listen/reflect.ts'

import { execFile } from 'node:child_process'
import { constants, createPrivateKey, KeyObject, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { createServer as createHttpsServer } from 'node:https'
import { type AddressInfo, connect as connectPlain, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ConnectionOptions, connect, createServer as createTlsServer, type Server, type TLSSocket } from 'node:tls'
import { X509CertificateGenerator } from '@peculiar/x509'
import { afterEach, describe, expect, it } from 'vitest'
import { Fault } from '../../src/call/fault.ts'
import {
  createAuthority,
  createClient,
  createKey,
  createServer,
  day,
  fingerprintOf,
  type Pair,
} from '../../src/listen/certificate.ts'
import { createTls, destroyOnTlsError, type Tls, type TlsSource } from '../../src/listen/tls.ts'

// The peers of these tests judge by the real clock, so it is where the injected one begins.
const start = Date.now()
const local = ['localhost', '127.0.0.1', '::1']
const cleanups: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'stagedoor-tls-'))
  cleanups.push(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

async function open(source: TlsSource, names: readonly string[] = local) {
  const world = { now: start, names, problems: [] as string[] }
  const tls = await createTls({
    source,
    names: () => world.names,
    now: () => world.now,
    onProblem: (message) => world.problems.push(message),
    every: 3_600_000, // checks are called by hand
  })
  cleanups.push(() => tls.close())
  return { world, tls }
}

/** A live server that echoes, under the options of a door. */
async function serve(
  tls: Tls,
  options = tls.httpsOptions(),
  host = '127.0.0.1',
): Promise<{ server: Server; port: number }> {
  const sockets = new Set<TLSSocket>()
  const server = createTlsServer(options, (socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined).pipe(socket)
  })
  destroyOnTlsError(server)
  tls.apply(server)
  server.listen(0, host)
  await once(server, 'listening')
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy()
    return new Promise((done) => server.close(done))
  })
  return { server, port: (server.address() as AddressInfo).port }
}

async function dial(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ port, host: '127.0.0.1', ...options })
  cleanups.push(() => socket.destroy())
  await once(socket, 'secureConnect')
  return socket.on('error', () => undefined)
}

const lax = { rejectUnauthorized: false }

async function echo(socket: TLSSocket, text: string): Promise<string> {
  socket.write(text)
  const [bytes] = await once(socket, 'data')
  return String(bytes)
}

function serial(socket: TLSSocket): string {
  return socket.getPeerCertificate().serialNumber
}

async function fault(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(Fault)
  return (error as Fault).message
}

async function ownPair(dir: string): Promise<{ cert: string; key: string }> {
  const made = await createServer({ key: createKey(), until: start + 900 * day }, local, start)
  const files = { cert: join(dir, 'own.crt'), key: join(dir, 'own.key') }
  writeFileSync(files.cert, made.cert)
  writeFileSync(files.key, made.key, { mode: 0o600 })
  return files
}

async function rsaPair(dir: string): Promise<{ cert: string; key: string }> {
  const algorithm = {
    name: 'RSASSA-PKCS1-v1_5',
    hash: 'SHA-256',
    modulusLength: 2048,
    publicExponent: new Uint8Array([1, 0, 1]),
  }
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const made = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=localhost',
    keys,
    signingAlgorithm: algorithm,
  })
  const files = { cert: join(dir, 'rsa.crt'), key: join(dir, 'rsa.key') }
  writeFileSync(files.cert, made.toString('pem'))
  writeFileSync(files.key, KeyObject.from(keys.privateKey).export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
  return files
}

async function rsaClient(dir: string): Promise<Pair> {
  const { cert, key } = await rsaPair(dir)
  return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') }
}

describe('the first start', () => {
  it('makes an authority and a certificate, the keys for the owner alone, and leaves nothing else', async () => {
    const dir = join(folder(), 'deep', 'certs')
    await open({ dir })
    expect(readdirSync(dir).sort()).toEqual(['ca.crt', 'ca.key', 'server.crt', 'server.key'])
    for (const key of ['ca.key', 'server.key']) expect(statSync(join(dir, key)).mode & 0o777, key).toBe(0o600)
    expect(statSync(dir).mode & 0o777).toBe(0o700)
  })

  it('is the only one that makes them: a restart finds everything as it was', async () => {
    const dir = folder()
    const { tls } = await open({ dir })
    const before = readdirSync(dir).map((name) => readFileSync(join(dir, name), 'utf8'))
    const { tls: again } = await open({ dir }, ['localhost'])
    expect(readdirSync(dir).map((name) => readFileSync(join(dir, name), 'utf8'))).toEqual(before)
    expect(again.fingerprint()).toBe(tls.fingerprint())
    expect(tls.fingerprint()).toBe(new X509Certificate(tls.caPem() ?? '').fingerprint256)
  })

  it('needs to write nothing where everything is there (a read-only mount)', async () => {
    const dir = folder()
    await open({ dir }, [...local, '*.home.arpa'])
    const before = readdirSync(dir).map((name) => statSync(join(dir, name)).ctimeMs)
    await open({ dir }, [...local, '*.home.arpa'])
    expect(readdirSync(dir).map((name) => statSync(join(dir, name)).ctimeMs)).toEqual(before)
  })

  it.each(['localhost', '127.0.0.1', '::1'])('is trusted through the authority as %s', async (host) => {
    const { tls } = await open({ dir: folder() })
    const { port } = await serve(tls, tls.httpsOptions(), '::')
    const socket = await dial(port, { host, ca: tls.caPem() ?? '' })
    expect(socket.authorized).toBe(true)
    await expect(dial(port, { host, ca: tls.caPem() ?? '', servername: 'evil.example' })).rejects.toThrow(/altnames/)
    await expect(dial(port, { host })).rejects.toThrow()
  })
})

describe('what a client can agree on', () => {
  const doors = [
    ['https', (tls: Tls) => tls.httpsOptions()],
    ['mpd', (tls: Tls) => tls.mpdOptions()],
  ] as const

  describe.each(doors)('at the %s door', (_name, options) => {
    it.each(['TLSv1', 'TLSv1.1'] as const)('%s is refused', async (version) => {
      const { tls } = await open({ dir: folder() })
      const { port } = await serve(tls, options(tls))
      const old = { ...lax, minVersion: version, maxVersion: version, ciphers: 'DEFAULT@SECLEVEL=0' }
      await expect(dial(port, old)).rejects.toThrow(/protocol version/)
      // The suites alone would refuse it too; the version is said all the same.
      expect(options(tls)).toMatchObject({ minVersion: 'TLSv1.2', maxVersion: 'TLSv1.3' })
    })

    it.each([
      ['ECDSA', 'ECDHE-ECDSA-AES128-SHA256'], // CBC
      ['ECDSA', 'ECDHE-ECDSA-AES256-SHA'],
      ['ECDSA', 'ECDHE-ECDSA-AES128-CCM8'], // a short tag
      ['RSA', 'ECDHE-RSA-AES128-SHA256'],
      ['RSA', 'AES128-GCM-SHA256'], // the key travels under RSA: no forward secrecy
      ['RSA', 'AES256-SHA'],
    ])('the %s suite %s is refused', async (kind, suite) => {
      const dir = folder()
      const { tls } = await open(kind === 'RSA' ? await rsaPair(dir) : { dir })
      const ours = options(tls)
      const { port } = await serve(tls, ours)
      const client = { ...lax, maxVersion: 'TLSv1.2', ciphers: `${suite}:@SECLEVEL=0` } as const
      await expect(dial(port, client)).rejects.toThrow(/handshake failure/)
      // The client could: a server without our list agrees.
      const lenient = createTlsServer({ cert: ours.cert, key: ours.key, ciphers: 'ALL:@SECLEVEL=0' }).listen(
        0,
        '127.0.0.1',
      )
      await once(lenient, 'listening')
      cleanups.push(() => lenient.close())
      expect((await dial((lenient.address() as AddressInfo).port, client)).getCipher().name).toBe(suite)
    })

    it.each(['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-ECDSA-CHACHA20-POLY1305'])(
      'TLS 1.2 with %s is spoken',
      async (ciphers) => {
        const { tls } = await open({ dir: folder() })
        const { port } = await serve(tls, options(tls))
        const socket = await dial(port, { ...lax, maxVersion: 'TLSv1.2', ciphers })
        expect(socket.getCipher().standardName).toMatch(/GCM|CHACHA20/)
      },
    )

    it.each(['X25519MLKEM768', 'X25519', 'P-256'])('TLS 1.3 over %s is spoken', async (ecdhCurve) => {
      const { tls } = await open({ dir: folder() })
      const { port } = await serve(tls, options(tls))
      expect((await dial(port, { ...lax, ecdhCurve })).getProtocol()).toBe('TLSv1.3')
    })

    it('the server chooses the suite, not the client', async () => {
      const { tls } = await open({ dir: folder() })
      const { port } = await serve(tls, options(tls))
      const ciphers = 'ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256'
      const socket = await dial(port, { ...lax, maxVersion: 'TLSv1.2', ciphers })
      expect(socket.getCipher().name).toBe('ECDHE-ECDSA-AES128-GCM-SHA256')
    })

    it('a client cannot renegotiate', async () => {
      const { tls } = await open({ dir: folder() })
      const { port } = await serve(tls, options(tls))
      const socket = await dial(port, { ...lax, maxVersion: 'TLSv1.2' })
      const refused = new Promise<Error | null>((done) => {
        socket.on('error', done)
        socket.renegotiate({ rejectUnauthorized: false }, done)
      })
      expect(await refused).toBeInstanceOf(Error)
      expect(options(tls).secureOptions).toBe(constants.SSL_OP_NO_RENEGOTIATION)
    })
  })

  it('https is HTTP/1.1 and no HTTP/2', async () => {
    const { tls } = await open({ dir: folder() })
    const { port } = await serve(tls)
    expect((await dial(port, { ...lax, ALPNProtocols: ['h2', 'http/1.1'] })).alpnProtocol).toBe('http/1.1')
    await expect(dial(port, { ...lax, ALPNProtocols: ['h2'] })).rejects.toThrow(/no application protocol/)
  })

  it('mpd asks for no application protocol', async () => {
    const { tls } = await open({ dir: folder() })
    const { port } = await serve(tls, tls.mpdOptions())
    expect((await dial(port, lax)).alpnProtocol).toBe(false)
  })
})

describe('a certificate of the client', () => {
  /** The MPD door, and the fingerprint of each client that came in; undefined for one without a certificate. */
  async function openDoor() {
    const { tls } = await open({ dir: folder() })
    const options = tls.mpdOptions()
    const { server, port } = await serve(tls, options)
    const seen: (string | undefined)[] = []
    server.on('secureConnection', (socket: TLSSocket) => {
      const certificate = socket.getPeerX509Certificate()
      seen.push(certificate && fingerprintOf(certificate))
    })
    return { tls, server, port, seen }
  }
  const make = (until = start + day, at = start) => createClient('radio', at, until)
  const known = ({ cert }: Pair) => fingerprintOf(new X509Certificate(cert))
  const versions = ['TLSv1.2', 'TLSv1.3'] as const

  it.each(versions)('is asked for at the MPD door and not demanded (%s)', async (maxVersion) => {
    const { port, seen } = await openDoor()
    const client = await make()
    expect(await echo(await dial(port, { ...lax, maxVersion }), 'x')).toBe('x')
    expect(await echo(await dial(port, { ...lax, maxVersion, ...client }), 'x')).toBe('x')
    expect(seen).toEqual([undefined, known(client)])
  })

  it('is not asked for at the HTTPS door', async () => {
    const { tls } = await open({ dir: folder() })
    expect(tls.httpsOptions().requestCert).toBeUndefined()
    const { server, port } = await serve(tls)
    const seen: unknown[] = []
    server.on('secureConnection', (socket: TLSSocket) => seen.push(socket.getPeerX509Certificate()))
    expect(await echo(await dial(port, { ...lax, ...(await make()) }), 'x')).toBe('x')
    expect(seen).toEqual([undefined])
  })

  it('is not asked for by the name of any authority', async () => {
    const { port } = await openDoor()
    const output = await new Promise<string>((resolve) => {
      execFile('openssl', ['s_client', '-connect', `127.0.0.1:${port}`], (_error, out) => resolve(out)).stdin?.end()
    })
    expect(output).toContain('No client certificate CA names sent')
  })

  it.each(versions)('is worth nothing to who has not its key (%s)', async (maxVersion) => {
    const { server, port, seen } = await openDoor()
    const [client, thief] = [await make(), await make()]
    // OpenSSL compares the public halves: this key has the right one, and signs with another.
    const [right, wrong] = [client, thief].map(({ key }) =>
      createPrivateKey(key).export({ type: 'pkcs8', format: 'der' }),
    )
    if (!right || !wrong) throw new Error('no key')
    const forged = Buffer.concat([wrong.subarray(0, -65), right.subarray(-65)]).toString('base64')
    const key = `-----BEGIN PRIVATE KEY-----\n${forged}\n-----END PRIVATE KEY-----\n`
    const refused = once(server, 'tlsClientError')
    const socket = connect({ port, host: '127.0.0.1', ...lax, maxVersion, cert: client.cert, key })
    cleanups.push(() => socket.destroy())
    socket.on('error', () => undefined)
    const [error] = await refused
    // OpenSSL's list of errors is emptied when the event is over; a key read before that would fail for this reason.
    await new Promise(setImmediate)
    expect(String(error)).toMatch(/signature/)
    expect(seen).toEqual([])
  })

  it.each(versions)(
    'is still known when the session is resumed, and one without stays without (%s)',
    async (maxVersion) => {
      const { port, seen } = await openDoor()
      const client = await make()
      for (const shown of [client, {}]) {
        const first = connect({ port, host: '127.0.0.1', ...lax, maxVersion, ...shown })
        cleanups.push(() => first.destroy())
        const [session] = await once(first, 'session')
        const again = await dial(port, { ...lax, maxVersion, ...shown, session })
        expect(again.isSessionReused()).toBe(true)
        expect(await echo(again, 'x')).toBe('x')
      }
      expect(seen).toEqual([known(client), known(client), undefined, undefined])
    },
  )

  it('of a session that was resumed is the one of its first handshake, whatever is shown later', async () => {
    const { port, seen } = await openDoor()
    const [client, other] = [await make(), await make()]
    const first = connect({ port, host: '127.0.0.1', ...lax })
    cleanups.push(() => first.destroy())
    const [session] = await once(first, 'session')
    const again = await dial(port, { ...lax, ...client, session })
    await echo(again, 'x')
    expect([again.isSessionReused(), seen]).toEqual([true, [undefined, undefined]])
    await echo(await dial(port, { ...lax, ...other }), 'x')
    expect(seen.at(-1)).toBe(known(other))
  })

  it.each([
    ['has ended', () => make(start - day, start - 2 * day)],
    ['has not begun', () => make(start + 9 * day, start + 8 * day)],
    ['is of RSA', async () => rsaClient(folder())],
    [
      'is signed by our own authority',
      async () => createServer({ key: createKey(), until: start + day }, ['x'], start),
    ],
  ])('that %s goes by its fingerprint like any other: identity knows it or does not', async (_, other) => {
    const { port, seen } = await openDoor()
    const client = await other()
    expect(await echo(await dial(port, { ...lax, ...client }), 'x')).toBe('x')
    expect(seen).toEqual([known(client)])
  })

  it('is asked for after a renewal as before', async () => {
    const { world, tls } = await open({ dir: folder() })
    const { server, port } = await serve(tls, tls.mpdOptions())
    const seen: unknown[] = []
    server.on('secureConnection', (socket: TLSSocket) => seen.push(socket.getPeerX509Certificate()?.subject))
    world.now += 61 * day
    await tls.check()
    await echo(await dial(port, { ...lax, ...(await make()) }), 'x')
    expect(seen).toEqual(['CN=radio'])
  })
})

describe('renewal', () => {
  it('comes when fewer than 30 days remain, not before, and the authority stays', async () => {
    const dir = folder()
    const { world, tls } = await open({ dir })
    const ca = readFileSync(join(dir, 'ca.crt'), 'utf8')
    const first = readFileSync(join(dir, 'server.crt'), 'utf8')
    world.now = start + 59 * day
    await tls.check()
    expect(readFileSync(join(dir, 'server.crt'), 'utf8')).toBe(first)
    world.now = start + 61 * day
    await tls.check()
    const second = new X509Certificate(readFileSync(join(dir, 'server.crt')))
    expect((second.validToDate.getTime() - world.now) / day).toBeCloseTo(90, 3)
    expect(second.checkPrivateKey(createPrivateKey(readFileSync(join(dir, 'server.key'))))).toBe(true)
    expect(readFileSync(join(dir, 'ca.crt'), 'utf8')).toBe(ca)
    expect(world.problems).toEqual([])
  })

  it('reaches a live server: new connections see the new certificate, the open one talks on', async () => {
    const { world, tls } = await open({ dir: folder() })
    const { port } = await serve(tls)
    const before = await dial(port, lax)
    expect(await echo(before, 'one')).toBe('one')
    world.now += 61 * day
    await tls.check()
    const after = await dial(port, { ...lax })
    expect(serial(after)).not.toBe(serial(before))
    expect(await echo(after, 'two')).toBe('two')
    expect(await echo(before, 'three')).toBe('three')
    // What was refused before is refused still.
    await expect(dial(port, { ...lax, maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA256' })).rejects.toThrow(
      /handshake failure/,
    )
    await expect(dial(port, { ...lax, ALPNProtocols: ['h2'] })).rejects.toThrow(/no application protocol/)
  })

  it('reaches a server that was made before it and applied after', async () => {
    const { world, tls } = await open({ dir: folder() })
    const options = tls.httpsOptions()
    world.now += 61 * day
    await tls.check()
    const { port } = await serve(tls, options)
    expect((await dial(port, lax)).getPeerX509Certificate()?.fingerprint256).toBe(
      new X509Certificate(tls.httpsOptions().cert as string).fingerprint256,
    )
  })

  it('comes when the machine has a new address or name, and only then', async () => {
    const { world, tls } = await open({ dir: folder() })
    const { port } = await serve(tls)
    const first = serial(await dial(port, lax))
    world.names = ['localhost', '127.0.0.1']
    await tls.check()
    expect(serial(await dial(port, lax))).toBe(first)
    world.names = [...local, '192.0.2.9', 'kitchen.local']
    await tls.check()
    const leaf = (await dial(port, lax)).getPeerX509Certificate()
    expect(leaf?.checkIP('192.0.2.9')).toBe('192.0.2.9')
    expect(leaf?.checkHost('kitchen.local')).toBe('kitchen.local')
    await tls.check()
    expect(serial(await dial(port, lax))).toBe(leaf?.serialNumber)
  })

  it('comes at the start when the certificate has ended, or has not begun because the clock was wrong', async () => {
    const dir = folder()
    await open({ dir })
    for (const now of [start + 400 * day, start - 400 * day]) {
      const tls = await createTls({ source: { dir }, names: () => local, now: () => now, onProblem: () => undefined })
      tls.close()
      for (const name of ['server.crt', 'ca.crt']) {
        const { validFromDate, validToDate } = new X509Certificate(readFileSync(join(dir, name)))
        expect(validFromDate.getTime(), name).toBeLessThanOrEqual(now)
        expect(validToDate.getTime(), name).toBeGreaterThan(now + 30 * day)
      }
    }
  })

  it('of the authority keeps its key and name, so a device that trusts the old one trusts on', async () => {
    const dir = folder()
    const { tls } = await open({ dir })
    const old = new X509Certificate(tls.caPem() ?? '')
    const later = start + 3400 * day
    const next = await createTls({ source: { dir }, names: () => local, now: () => later, onProblem: () => undefined })
    next.close()
    expect(new X509Certificate(next.caPem() ?? '').validToDate.getTime()).toBeGreaterThan(later + 3600 * day)
    const leaf = new X509Certificate(readFileSync(join(dir, 'server.crt')))
    expect(leaf.checkIssued(old) && leaf.verify(old.publicKey)).toBe(true)
  })

  it('of the certificate and each day take the session tickets with them', async () => {
    const { world, tls } = await open({ dir: folder() })
    const { port } = await serve(tls)
    const tickets = async () => {
      const socket = connect({ port, host: '127.0.0.1', ...lax, maxVersion: 'TLSv1.2' })
      cleanups.push(() => socket.destroy())
      const [session] = await once(socket, 'session')
      return { ...lax, maxVersion: 'TLSv1.2' as const, session: session as Buffer }
    }
    const fresh = await tickets()
    expect((await dial(port, fresh)).isSessionReused()).toBe(true)
    world.now += day
    await tls.check()
    expect((await dial(port, fresh)).isSessionReused()).toBe(false)
    const daily = await tickets()
    expect((await dial(port, daily)).isSessionReused()).toBe(true)
    world.now += 1000
    world.names = [...local, '192.0.2.9']
    await tls.check()
    expect((await dial(port, daily)).isSessionReused()).toBe(false)
  })

  it('runs by itself', async () => {
    const dir = folder()
    const { world, tls } = await open({ dir })
    const ticking = await createTls({
      source: { dir },
      names: () => [...local, '192.0.2.10'],
      now: () => world.now,
      onProblem: () => undefined,
      every: 5,
    })
    const { port } = await serve(ticking)
    tls.close()
    rmSync(join(dir, 'server.crt'))
    await expect.poll(() => readdirSync(dir)).toContain('server.crt')
    await expect
      .poll(async () => serial(await dial(port, lax)))
      .toBe(new X509Certificate(readFileSync(join(dir, 'server.crt'))).serialNumber)
    ticking.close()
  })
})

describe('damage', () => {
  it.each([
    ['server.crt', 'empty'],
    ['server.crt', 'text'],
    ['server.crt', 'gone'],
    ['server.key', 'empty'],
    ['server.key', 'gone'],
    ['ca.crt', 'empty'],
    ['ca.crt', 'gone'],
  ])('%s %s: made again, and trusted by who trusted before', async (name, damage) => {
    const dir = folder()
    const { tls: before } = await open({ dir })
    if (damage === 'gone') rmSync(join(dir, name))
    else writeFileSync(join(dir, name), damage === 'empty' ? '' : 'not a certificate', { mode: 0o600 })
    const { tls } = await open({ dir })
    const { port } = await serve(tls)
    expect((await dial(port, { ca: before.caPem() ?? '' })).authorized).toBe(true)
  })

  it.each([
    ['server.crt', 'server.key'],
    ['server.key', 'server.crt'],
  ])('%s of another pair than %s: both made again', async (name) => {
    const [dir, other] = [folder(), folder()]
    await open({ dir })
    await open({ dir: other })
    cpSync(join(other, name), join(dir, name))
    const { tls } = await open({ dir })
    const { port } = await serve(tls)
    expect((await dial(port, { ca: tls.caPem() ?? '' })).authorized).toBe(true)
  })

  it('a certificate of another authority is replaced', async () => {
    const [dir, other] = [folder(), folder()]
    await open({ dir })
    await open({ dir: other })
    for (const name of ['server.crt', 'server.key']) cpSync(join(other, name), join(dir, name))
    const { tls } = await open({ dir })
    const { port } = await serve(tls)
    expect((await dial(port, { ca: tls.caPem() ?? '' })).authorized).toBe(true)
  })

  it('a lost or foreign authority key is never replaced behind the back of the devices that trust it', async () => {
    const [dir, other] = [folder(), folder()]
    await open({ dir })
    await open({ dir: other })
    const ca = readFileSync(join(dir, 'ca.crt'))
    writeFileSync(join(dir, 'ca.key'), 'x', { mode: 0o600 })
    expect(await fault(open({ dir }))).toMatch(/ca\.key holds no private key.*restore it from a backup, or delete/)
    cpSync(join(other, 'ca.key'), join(dir, 'ca.key'))
    expect(await fault(open({ dir }))).toMatch(/ca\.key is not the key of .*ca\.crt: restore/)
    rmSync(join(dir, 'ca.key'))
    await open({ dir }) // the certificate still holds
    rmSync(join(dir, 'server.crt'))
    expect(await fault(open({ dir }))).toMatch(/ca\.key is missing, so .*server\.crt cannot be renewed: restore/)
    expect(readFileSync(join(dir, 'ca.crt'))).toEqual(ca)
  })

  it('an authority that is not of our making is not used', async () => {
    const dir = folder()
    const key = createKey()
    const foreign = await createServer({ key, until: start + 900 * day }, local, start)
    writeFileSync(join(dir, 'ca.key'), foreign.key, { mode: 0o600 })
    writeFileSync(join(dir, 'ca.crt'), foreign.cert)
    expect(await fault(open({ dir }))).toMatch(
      /was not made here: for a certificate of your own use tls: \{ cert, key \}/,
    )
  })

  it('a half-written file of a start that died is no obstacle', async () => {
    const dir = folder()
    writeFileSync(join(dir, 'server.key.new'), 'half', { mode: 0o644 })
    await open({ dir })
    expect(statSync(join(dir, 'server.key')).mode & 0o777).toBe(0o600)
    expect(readdirSync(dir)).not.toContain('server.key.new')
  })

  it('at run time is told once, and the certificate in memory serves on', async () => {
    const dir = folder()
    const { world, tls } = await open({ dir })
    const { port } = await serve(tls)
    const first = serial(await dial(port, lax))
    chmodSync(join(dir, 'server.key'), 0o644)
    await tls.check()
    await tls.check()
    expect(world.problems).toEqual([
      expect.stringMatching(/server\.key is a private key that others can read: chmod 600/),
    ])
    expect(serial(await dial(port, lax))).toBe(first)
    chmodSync(join(dir, 'server.key'), 0o600)
    await tls.check()
    chmodSync(join(dir, 'server.key'), 0o640)
    await tls.check()
    expect(world.problems).toHaveLength(2)
  })
})

describe('keys and folders', () => {
  it.each([
    ['ca.key', 0o644],
    ['ca.key', 0o640],
    ['server.key', 0o604],
    ['server.key', 0o620],
  ])('%s with mode %o refuses to start', async (name, mode) => {
    const dir = folder()
    await open({ dir })
    chmodSync(join(dir, name), mode)
    expect(await fault(open({ dir }))).toBe(
      `${join(dir, name)} is a private key that others can read: chmod 600 ${join(dir, name)}`,
    )
  })

  it('a folder everybody can write to refuses to start', async () => {
    const dir = folder()
    chmodSync(dir, 0o777)
    expect(await fault(open({ dir }))).toMatch(/can be written by everybody: chmod 700/)
  })

  it('a folder that cannot be written says which, why, and what to do', async () => {
    const dir = folder()
    writeFileSync(join(dir, 'file'), '')
    expect(await fault(open({ dir: join(dir, 'file', 'certs') }))).toMatch(
      /file\/certs cannot be created \(ENOTDIR.*create it/,
    )
    // The temporary name is taken by a folder: fails for root too, as a mode would not.
    mkdirSync(join(dir, 'ca.key.new', 'x'), { recursive: true })
    expect(await fault(open({ dir }))).toMatch(
      /ca\.key cannot be written \(.*make .* writable for the account of Stagedoor/,
    )
  })
})

describe('own certificates', () => {
  it('are served as they are, and there is no authority of ours', async () => {
    const files = await ownPair(folder())
    const { tls } = await open(files)
    const { port } = await serve(tls)
    const leaf = new X509Certificate(readFileSync(files.cert))
    expect(serial(await dial(port, lax))).toBe(leaf.serialNumber)
    expect(tls.caPem()).toBe(undefined)
    expect(tls.fingerprint()).toBe(leaf.fingerprint256)
  })

  it('are replaced without a restart, however they are put there', async () => {
    const [dir, next] = [folder(), folder()]
    const files = await ownPair(dir)
    const { world, tls } = await open(files)
    const { port } = await serve(tls)
    const open1 = await dial(port, lax)
    const { cert, key } = await ownPair(next)
    const wanted = new X509Certificate(readFileSync(cert)).serialNumber
    // Renamed over, with the old times: only the inode tells.
    const { atime, mtime } = statSync(files.cert)
    for (const [from, to] of [
      [cert, files.cert],
      [key, files.key],
    ] as const) {
      utimesSync(from, atime, mtime)
      renameSync(from, to)
    }
    await tls.check()
    expect(serial(await dial(port, lax))).toBe(wanted)
    expect(await echo(open1, 'still here')).toBe('still here')
    // Written over in place.
    const third = await ownPair(folder())
    writeFileSync(files.cert, readFileSync(third.cert))
    writeFileSync(files.key, readFileSync(third.key))
    await tls.check()
    expect(serial(await dial(port, lax))).toBe(new X509Certificate(readFileSync(third.cert)).serialNumber)
    expect(world.problems).toEqual([])
  })

  it('that break when replaced are told once, and the old ones serve on until the new ones fit', async () => {
    const files = await ownPair(folder())
    const { world, tls } = await open(files)
    const { port } = await serve(tls)
    const first = serial(await dial(port, lax))
    const next = await ownPair(folder())
    writeFileSync(files.cert, readFileSync(next.cert)) // the key has not come yet
    await tls.check()
    await tls.check()
    expect(world.problems).toEqual([`${files.key} is not the key of ${files.cert}: replace both together`])
    expect(serial(await dial(port, lax))).toBe(first)
    writeFileSync(files.key, readFileSync(next.key))
    await tls.check()
    expect(serial(await dial(port, lax))).not.toBe(first)
    expect(world.problems).toHaveLength(1)
  })

  it('are announced before they end', async () => {
    const files = await ownPair(folder())
    const { world, tls } = await open(files)
    world.now = start + 75 * day
    await tls.check()
    expect(world.problems).toEqual([])
    world.now = start + 77 * day
    await tls.check()
    await tls.check()
    expect(world.problems).toEqual([expect.stringMatching(/own\.crt ends on \d{4}-\d\d-\d\d: replace it and its key/)])
  })

  it('that cannot be used refuse to start, by name', async () => {
    const dir = folder()
    const files = await ownPair(dir)
    const other = await ownPair(folder())
    expect(await fault(open({ ...files, key: other.key }))).toBe(
      `${other.key} is not the key of ${files.cert}: replace both together`,
    )
    expect(await fault(open({ ...files, cert: join(dir, 'none.crt') }))).toMatch(/none\.crt does not exist/)
    expect(await fault(open({ ...files, cert: files.key }))).toMatch(/own\.key holds no certificate/)
    expect(await fault(open({ ...files, key: files.cert }))).toMatch(/own\.crt is a private key that others can read/)
    chmodSync(files.cert, 0o600)
    expect(await fault(open({ ...files, key: files.cert }))).toMatch(
      /holds no private key that can be read without a pass/,
    )
    chmodSync(files.key, 0o640)
    expect(await fault(open(files))).toMatch(/own\.key is a private key that others can read: chmod 600/)
  })

  it('may be an authority’s chain', async () => {
    const dir = folder()
    const files = await ownPair(dir)
    const key = createKey()
    const made = await createServer({ key, until: start + 90 * day }, local, start)
    const ca = await createAuthority(key, start)
    writeFileSync(files.cert, made.cert + ca)
    writeFileSync(files.key, made.key)
    const { tls } = await open(files)
    const { port } = await serve(tls)
    expect((await dial(port, { ca })).authorized).toBe(true)
  })
})

describe('trap b: a handshake that never comes', () => {
  /** Connects and says nothing; resolves with whether the other side hung up within the patience. */
  async function silence(server: Server, patience: number): Promise<boolean> {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const accepted = once(server, 'connection')
    const socket = connectPlain((server.address() as AddressInfo).port, '127.0.0.1').resume()
    socket.on('error', () => undefined)
    const [peer] = (await accepted) as [Socket]
    cleanups.push(
      () => server.close(),
      () => peer.destroy(),
      () => socket.destroy(),
    )
    return Promise.race([
      once(socket, 'close').then(() => true),
      new Promise<boolean>((done) => setTimeout(done, patience, false)),
    ])
  }

  it('ends at the deadline at the MPD door, which Node alone leaves open', async () => {
    const { tls } = await open({ dir: folder() })
    expect(tls.mpdOptions().handshakeTimeout).toBe(5_000)
    const options = { ...tls.mpdOptions(), handshakeTimeout: 50 }
    const guarded = createTlsServer(options)
    destroyOnTlsError(guarded)
    expect(await silence(guarded, 5_000)).toBe(true)
    // The trap itself. When this fails, Node has mended it and the guard can go.
    expect(await silence(createTlsServer(options), 500)).toBe(false)
  })

  it('ends at the deadline at the HTTPS door too', async () => {
    const { tls } = await open({ dir: folder() })
    expect(tls.httpsOptions().handshakeTimeout).toBe(5_000)
    expect(await silence(createHttpsServer({ ...tls.httpsOptions(), handshakeTimeout: 50 }), 5_000)).toBe(true)
  })
})
