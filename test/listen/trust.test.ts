import { createHash, X509Certificate } from 'node:crypto'
import Fastify from 'fastify'
import { expect, it } from 'vitest'
import { createAuthority, createKey } from '../../src/listen/certificate.ts'
import { trustRoutes } from '../../src/listen/trust.ts'

const pem = await createAuthority(createKey(), Date.UTC(2026, 0, 1))
const certificate = new X509Certificate(pem)

function app(caPem: () => string | undefined) {
  const fastify = Fastify()
  trustRoutes(fastify, { caPem })
  return fastify
}

it('offers the certificate as DER under the type on which phones install it', async () => {
  const answer = await app(() => pem).inject('/trust/ca.crt')
  expect(answer.headers['content-type']).toBe('application/x-x509-ca-cert')
  expect(answer.headers['content-disposition']).toBe('attachment; filename="stagedoor-ca.crt"')
  expect(answer.rawPayload).toEqual(certificate.raw)
})

it('offers the certificate as PEM, and never a key', async () => {
  const answer = await app(() => pem).inject('/trust/ca.pem')
  expect(answer.headers['content-disposition']).toBe('attachment; filename="stagedoor-ca.pem"')
  expect(new X509Certificate(answer.body).fingerprint256).toBe(certificate.fingerprint256)
  // What stands in the same file as the certificate stays there.
  const careless = await app(() => `${pem}-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n`).inject(
    '/trust/ca.pem',
  )
  expect(careless.body).not.toContain('PRIVATE')
})

it('tells how to compare and install it on each kind of device', async () => {
  const { body, headers } = await app(() => pem).inject('/trust')
  expect(headers['content-type']).toBe('text/html; charset=utf-8')
  expect(body).toContain(certificate.fingerprint256)
  for (const text of ['iPhone', 'Android', 'Windows', 'macOS', 'Linux', 'Firefox', '2036-01-01'])
    expect(body).toContain(text)
  for (const [, href] of body.matchAll(/href="([^"]*)"/g)) {
    expect((await app(() => pem).inject(href ?? '')).statusCode, href).toBe(200)
  }
})

it('is a page on which nothing can run, be framed or be loaded, and whose one style is the one allowed', async () => {
  const { body, headers } = await app(() => pem).inject('/trust')
  const style = /<style>(.*)<\/style>/s.exec(body)?.[1] ?? ''
  const hash = createHash('sha256').update(style).digest('base64')
  expect(headers['content-security-policy']).toBe(
    `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  )
  expect(body).not.toMatch(/<script|\son\w+=|javascript:|\sstyle=|<(?:img|iframe|link|form)/i)
  expect(headers['x-content-type-options']).toBe('nosniff')
  expect(headers['cache-control']).toBe('no-store')
})

it('is nowhere to be found where the certificate is not of our making', async () => {
  const none = app(() => undefined)
  for (const path of ['/trust', '/trust/ca.crt', '/trust/ca.pem']) {
    expect((await none.inject(path)).statusCode, path).toBe(404)
  }
})

it('gives the certificate of now, also after a renewal', async () => {
  let current = pem
  const live = app(() => current)
  await live.inject('/trust')
  current = await createAuthority(createKey(), Date.UTC(2027, 0, 1))
  expect((await live.inject('/trust')).body).toContain(new X509Certificate(current).fingerprint256)
})
