import { createPrivateKey, X509Certificate } from 'node:crypto'
import { hostname, networkInterfaces } from 'node:os'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  createAuthority,
  createClient,
  createKey,
  createServer,
  day,
  fingerprintOf,
  machineNames,
} from '../../src/listen/certificate.ts'

const now = Date.UTC(2026, 0, 1)

async function pair(names: readonly string[] = ['localhost'], until = now + 3652 * day) {
  const key = createKey()
  const ca = new X509Certificate(await createAuthority(key, now))
  const server = await createServer({ key, until }, names, now)
  return { key, ca, server, leaf: new X509Certificate(server.cert) }
}

describe('the authority', () => {
  it('signs itself, lives ten years and may sign servers only', async () => {
    const { ca } = await pair()
    expect(ca.ca).toBe(true)
    expect(ca.checkIssued(ca) && ca.verify(ca.publicKey)).toBe(true)
    expect(ca.validFromDate.getTime()).toBe(now - 3_600_000)
    expect((ca.validToDate.getTime() - now) / day).toBe(3652)
    expect(ca.publicKey.asymmetricKeyDetails?.namedCurve).toBe('prime256v1')
    // BasicConstraints critical { cA TRUE, pathLen 0 } and KeyUsage critical { keyCertSign }, as DER (RFC 5280 §4.2.1.9, §4.2.1.3)
    expect(ca.raw.includes(Buffer.from('0603551d130101ff040830060101ff020100', 'hex'))).toBe(true)
    expect(ca.raw.includes(Buffer.from('0603551d0f0101ff040403020204', 'hex'))).toBe(true)
  })

  it('has one name a key: made again from the same key, it still vouches for what the first one signed', async () => {
    const { key, ca, leaf } = await pair()
    const again = new X509Certificate(await createAuthority(key, now + 9 * 365 * day))
    expect(again.subject).toBe(ca.subject)
    expect(leaf.checkIssued(again) && leaf.verify(again.publicKey)).toBe(true)
    const { ca: other } = await pair()
    expect(other.subject).not.toBe(ca.subject)
  })
})

describe('the server certificate', () => {
  it('is for servers, for 90 days, with a P-256 key of its own', async () => {
    const { ca, leaf, server, key } = await pair()
    expect(leaf.ca).toBe(false)
    expect(leaf.checkIssued(ca) && leaf.verify(ca.publicKey)).toBe(true)
    expect(leaf.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']) // serverAuth
    expect(leaf.validFromDate.getTime()).toBe(now - 3_600_000)
    expect((leaf.validToDate.getTime() - now) / day).toBe(90)
    expect(leaf.publicKey.asymmetricKeyDetails?.namedCurve).toBe('prime256v1')
    expect(server.key).not.toBe(key)
    // KeyUsage critical { digitalSignature }, and no more
    expect(leaf.raw.includes(Buffer.from('0603551d0f0101ff040403020780', 'hex'))).toBe(true)
  })

  it('never outlives its authority', async () => {
    const { leaf } = await pair(['localhost'], now + 10 * day)
    expect(leaf.validToDate.getTime()).toBe(now + 10 * day)
  })

  it('holds each name and each address, IPv6 too', async () => {
    const { leaf } = await pair(['music.home.arpa', '192.0.2.7', '2001:db8::7', 'fe80::1', '*.home.lan'])
    expect(leaf.checkHost('music.home.arpa')).toBe('music.home.arpa')
    for (const address of ['192.0.2.7', '2001:db8::7', '2001:db8:0:0::7', 'fe80::1']) {
      expect(leaf.checkIP(address), address).toBe(address)
    }
    expect(leaf.checkHost('kitchen.home.lan')).toBe('*.home.lan')
    expect(leaf.checkHost('localhost')).toBe(undefined)
    expect(leaf.checkIP('192.0.2.8')).toBe(undefined)
  })

  it('has an unguessable positive serial number of 128 bits, another each time', async () => {
    const serials = await Promise.all(Array.from({ length: 40 }, async () => (await pair()).leaf.serialNumber))
    expect(new Set(serials).size).toBe(40)
    for (const serial of serials) expect(serial).toMatch(/^[0-9A-F]{26,32}$/)
  })
})

describe("a device's certificate", () => {
  it('signs itself, is for clients only, and ends when it is told to', async () => {
    for (const until of [now + 60_000, now + 3652 * day, Date.UTC(2084, 1, 2)]) {
      const { cert, key } = await createClient('kitchen radio', now, until)
      const made = new X509Certificate(cert)
      expect(made.subject).toBe('CN=kitchen radio')
      expect(made.issuer).toBe(made.subject)
      expect(made.verify(made.publicKey) && made.checkPrivateKey(createPrivateKey(key))).toBe(true)
      expect(made.ca).toBe(false)
      expect(made.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2']) // clientAuth
      expect(made.subjectAltName).toBeUndefined()
      expect(made.publicKey.asymmetricKeyDetails?.namedCurve).toBe('prime256v1')
      expect([made.validFromDate.getTime(), made.validToDate.getTime()]).toEqual([now - 3_600_000, until])
      expect(made.raw.includes(Buffer.from('0603551d0f0101ff040403020780', 'hex'))).toBe(true)
    }
  })

  it('bears any label as it is, and never as notation', async () => {
    for (const label of ['#4142', 'a"b"c', 'x, CN=owner', '\\0a\\', 'Küche 🎵', '+', ' ', 'a'.repeat(64)]) {
      const { cert } = await createClient(label, now, now + day)
      // UTF8String
      const bytes = Buffer.from(label)
      const name = Buffer.concat([Buffer.from('0603550403', 'hex'), Buffer.from([0x0c, bytes.length]), bytes])
      expect(new X509Certificate(cert).raw.includes(name), label).toBe(true)
    }
  })

  it('has a fingerprint and a key that no other has', async () => {
    const made = await Promise.all([1, 2].map(() => createClient('same', now, now + day)))
    const fingerprints = made.map(({ cert }) => fingerprintOf(new X509Certificate(cert)))
    for (const fingerprint of fingerprints) expect(fingerprint).toMatch(/^[0-9a-f]{64}$/)
    expect(new Set([...fingerprints, ...made.map(({ key }) => key)]).size).toBe(4)
  })
})

describe('the names of the machine', () => {
  it('are its host name, the name in .local, localhost, and every address of every interface', () => {
    const names = machineNames()
    const label = hostname().toLowerCase().split('.')[0]
    expect(names).toEqual(expect.arrayContaining(['localhost', '127.0.0.1', '::1', `${label}.local`]))
    for (const list of Object.values(networkInterfaces())) {
      for (const { address } of list ?? []) expect(names).toContain(address)
    }
  })

  it('come with those of the configuration, in the form a certificate takes, each once', () => {
    const names = machineNames(['Music.Home.ARPA', 'music.home.arpa', 'müsik.example', '*.lan', '2001:DB8::1'])
    expect(names.filter((name) => name === 'music.home.arpa')).toHaveLength(1)
    expect(names).toEqual(expect.arrayContaining(['xn--msik-0ra.example', '*.lan', '2001:db8::1']))
  })

  it('never hold anything a certificate cannot', async () => {
    for (const bad of ['', 'my box', 'a..b', '-a', '*', '*.*.lan', 'a\0b', 'a,DNS:evil.example', 'a'.repeat(64)]) {
      expect(machineNames([bad]), bad).toEqual(machineNames())
    }
    fc.assert(
      fc.property(fc.string(), (text) => {
        for (const name of machineNames([text])) expect(name).toMatch(/^[0-9a-z_.:*-]+$/)
      }),
    )
  })
})
