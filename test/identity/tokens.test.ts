import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Credential } from '../../src/identity/identity.ts'
import { hashSecret } from '../../src/identity/tokens.ts'
import { codeOf, createHouse } from './house.ts'

async function withToken(more: { role?: string; players?: readonly string[]; expires?: number } = {}) {
  const house = createHouse()
  await house.add('Own')
  const eva = await house.add('Éva', ['member'])
  const token = house.token(eva, more)
  const show = (credential: Credential) => house.identity.identify(credential, '10.0.0.1')
  return { house, eva, token, show }
}

it('nothing shown is anonymous; something wrong is not', async () => {
  const { show } = await withToken()
  expect(await show({ kind: 'none' })).toEqual({ kind: 'anonymous', from: '10.0.0.1' })
  expect(await codeOf(show({ kind: 'bearer', token: '' }))).toBe('bad-credentials')
})

describe('a device token', () => {
  it('is taken as a bearer token, in Basic with the name in any case, and as the MPD password', async () => {
    const { eva, token, show } = await withToken()
    const user = {
      kind: 'user',
      id: eva.id,
      name: 'Éva',
      roles: ['member'],
      session: token.id,
      until: Number.MAX_SAFE_INTEGER,
      from: '10.0.0.1',
    }
    expect(token.text).toMatch(/^sd1_[0-9a-f]{16}_[A-Za-z0-9_-]{43}$/)
    expect(await show({ kind: 'bearer', token: token.text })).toEqual(user)
    expect(await show({ kind: 'basic', name: 'éVA'.normalize('NFD'), token: token.text })).toEqual(user)
    expect(await show({ kind: 'mpd', password: token.text })).toEqual(user)
    for (const name of ['Own', '', 'Eva', 'Éva ']) {
      expect(await codeOf(show({ kind: 'basic', name, token: token.text }))).toBe('bad-credentials')
    }
  })

  it('carries its ceiling, its players and its end', async () => {
    const { house, token, show } = await withToken({ role: 'guest', players: ['home'], expires: Date.UTC(2026, 0, 2) })
    const user = await show({ kind: 'bearer', token: token.text })
    expect(user).toMatchObject({
      roles: ['member'],
      ceilings: [['guest']],
      players: ['home'],
      until: Date.UTC(2026, 0, 2),
    })
    if (user.kind !== 'user') throw new Error('anonymous')
    expect(house.identity.renew(user)).toEqual(user)
    house.clock.now = Date.UTC(2026, 0, 2)
    expect(house.identity.renew(user)).toBeUndefined()
    expect(await codeOf(show({ kind: 'bearer', token: token.text }))).toBe('bad-credentials')
  })

  it('is opened by its secret and by nothing like it', async () => {
    const { house, token } = await withToken()
    const [, id = '', secret = ''] = /^sd1_([^_]+)_(.*)$/.exec(token.text) ?? []
    const other = `${secret.slice(0, -1)}${secret.endsWith('A') ? 'B' : 'A'}`
    const wrong = [
      `sd1_${id}_${other}`,
      `sd1_${id}_`,
      `sd1_${id}`,
      `sd1__${secret}`,
      `sd1_${id.toUpperCase()}_${secret}`,
    ]
    wrong.push(
      `sd2_${id}_${secret}`,
      `${token.text} `,
      `${token.text}=`,
      ` ${token.text}`,
      `sd1_constructor_${secret}`,
      `sd1_${'0'.repeat(16)}_${secret}`,
    )
    for (const [i, text] of wrong.entries()) {
      expect(await codeOf(house.identity.identify({ kind: 'bearer', token: text }, `10.0.1.${i}`)), text).toBe(
        'bad-credentials',
      )
    }
  })

  it.each([
    ['revoked', (house, eva, id) => house.accounts.removeToken(id) && eva],
    ['its account disabled', (house, eva) => house.accounts.setDisabled(eva, true)],
    ['its account removed', (house, eva) => house.accounts.remove(eva)],
  ] satisfies [string, (house: Awaited<ReturnType<typeof withToken>>['house'], eva: string, id: string) => unknown][])(
    '%s: refused at once, and open connections with it',
    async (_, change) => {
      const { house, eva, token, show } = await withToken()
      const user = await show({ kind: 'mpd', password: token.text })
      if (user.kind !== 'user') throw new Error('anonymous')
      expect(house.identity.renew(user)).toEqual(user)
      change(house, eva.id, token.id)
      expect(house.identity.renew(user)).toBeUndefined()
      expect(await codeOf(show({ kind: 'mpd', password: token.text }))).toBe('bad-credentials')
    },
  )

  it('outlives a new password', async () => {
    const { house, eva, token, show } = await withToken()
    house.accounts.setPassword(eva.id, 'x')
    expect(await codeOf(show({ kind: 'bearer', token: token.text }))).toBe('none')
  })

  it('does not come back when its account is enabled again', async () => {
    const { house, eva, token, show } = await withToken()
    house.accounts.setDisabled(eva.id, true)
    house.accounts.setDisabled(eva.id, false)
    expect(await codeOf(show({ kind: 'bearer', token: token.text }))).toBe('bad-credentials')
  })
})

describe('a certificate', () => {
  async function withCertificate(more: { role?: string; players?: readonly string[]; expires?: number } = {}) {
    const house = createHouse()
    await house.add('Own')
    const eva = await house.add('Éva', ['member'])
    const { id, fingerprint } = house.certificate(eva, more)
    const show = (shown = fingerprint, from = '10.0.0.1') =>
      house.identity.identify({ kind: 'certificate', fingerprint: shown }, from)
    return { house, eva, id, fingerprint, show }
  }

  it('is its account, under its ceiling, for its players and until its end', async () => {
    const expires = Date.UTC(2026, 0, 2)
    const { house, eva, id, show } = await withCertificate({ role: 'guest', players: ['home'], expires })
    const user = await show()
    expect(user).toEqual({
      kind: 'user',
      id: eva.id,
      name: 'Éva',
      roles: ['member'],
      ceilings: [['guest']],
      players: ['home'],
      session: id,
      until: expires,
      from: '10.0.0.1',
    })
    if (user.kind !== 'user') throw new Error('anonymous')
    house.accounts.setRoles(eva.id, ['kid'])
    expect(house.identity.renew(user)).toEqual({ ...user, roles: ['kid'] })
    house.clock.now = expires
    expect(house.identity.renew(user)).toBeUndefined()
    expect(await codeOf(show())).toBe('bad-credentials')
  })

  it.each([
    ['revoked', (house, _, id) => house.accounts.removeToken(id)],
    ['its account disabled', (house, eva) => house.accounts.setDisabled(eva, true)],
    [
      'its account disabled and enabled again',
      (house, eva) => {
        house.accounts.setDisabled(eva, true)
        house.accounts.setDisabled(eva, false)
      },
    ],
    ['its account removed', (house, eva) => house.accounts.remove(eva)],
  ] satisfies [string, (house: ReturnType<typeof createHouse>, eva: string, id: string) => unknown][])(
    '%s: refused at once, and open connections with it',
    async (_, change) => {
      const { house, eva, id, show } = await withCertificate()
      const user = await show()
      if (user.kind !== 'user') throw new Error('anonymous')
      expect(house.identity.renew(user)).toEqual(user)
      change(house, eva.id, id)
      expect(house.identity.renew(user)).toBeUndefined()
      expect(await codeOf(show())).toBe('bad-credentials')
    },
  )

  it('that nobody here made opens nothing, however it is written', async () => {
    const { id, fingerprint, show } = await withCertificate()
    const colons = fingerprint.toUpperCase().replace(/..(?=.)/g, '$&:')
    for (const [i, shown] of [
      '0'.repeat(64),
      '',
      id,
      fingerprint.slice(0, -1),
      `${fingerprint}00`,
      colons,
      'constructor',
      '__proto__',
    ].entries()) {
      expect(await codeOf(show(shown, `10.0.1.${i}`)), shown).toBe('bad-credentials')
    }
  })

  it('counts as a wrong credential of its source, and is reported as one', async () => {
    const { house, show } = await withCertificate()
    for (let i = 0; i < 5; i++) expect(await codeOf(show('0'.repeat(64)))).toBe('bad-credentials')
    expect(await codeOf(show('0'.repeat(64)))).toBe('limited')
    expect(house.events.map(({ kind, outcome }) => [kind, outcome])).toEqual([
      ...Array(5).fill(['credential', 'failed']),
      ['credential', 'limited'],
    ])
    expect(await codeOf(show()), 'the right one is let in all the same').toBe('none')
  })

  it('is no secret: neither its id nor its fingerprint is taken for a device token', async () => {
    const { house, id, fingerprint } = await withCertificate()
    const bytes = Buffer.from(fingerprint, 'hex').toString('base64url')
    for (const [i, text] of [`sd1_${id}_${bytes}`, `sd1_${id}_${'A'.repeat(43)}`, fingerprint].entries()) {
      for (const credential of [
        { kind: 'mpd', password: text },
        { kind: 'bearer', token: text },
        { kind: 'basic', name: 'Éva', token: text },
      ] as const)
        expect(await codeOf(house.identity.identify(credential, `10.0.2.${i}`)), text).toBe('bad-credentials')
    }
  })

  it('a device token is no certificate: the hash we keep of its secret is not taken for one', async () => {
    const { house, eva, show } = await withCertificate()
    const secret = house.token(eva).text.slice(-43)
    expect(await codeOf(show(hashSecret(secret).toString('hex')))).toBe('bad-credentials')
  })
})

describe('without TLS', () => {
  it('a device token is taken, and nothing else of a person', async () => {
    const { house, token, show } = await withToken()
    expect(await show({ kind: 'mpd', password: token.text, plain: true })).toMatchObject({ name: 'Éva' })
    const { accessToken, refreshToken } = await house.sessions.login('Éva', 'correct horse', '10.0.0.1')
    expect(await codeOf(show({ kind: 'mpd', password: accessToken }))).toBe('none')
    for (const password of [accessToken, refreshToken, 'correct horse', '']) {
      expect(await codeOf(show({ kind: 'mpd', password, plain: true })), password).toBe('bad-credentials')
    }
  })

  it('what is refused counts as a wrong credential of its source', async () => {
    const { house, show } = await withToken()
    const { accessToken } = await house.sessions.login('Éva', 'correct horse', '10.0.0.1')
    const codes: string[] = []
    for (let i = 0; i < 6; i++) codes.push(await codeOf(show({ kind: 'mpd', password: accessToken, plain: true })))
    expect(codes).toEqual([...Array(5).fill('bad-credentials'), 'limited'])
  })
})

it('an account password opens neither MPD nor Basic', async () => {
  const { show } = await withToken()
  expect(await codeOf(show({ kind: 'mpd', password: 'correct horse' }))).toBe('bad-credentials')
  expect(await codeOf(show({ kind: 'basic', name: 'Éva', token: 'correct horse' }))).toBe('bad-credentials')
})

it('an access token opens MPD, and not Basic', async () => {
  const { house, show } = await withToken()
  const { accessToken } = await house.sessions.login('Éva', 'correct horse', '10.0.0.1')
  expect(await codeOf(show({ kind: 'mpd', password: accessToken }))).toBe('none')
  expect(await codeOf(show({ kind: 'basic', name: 'Éva', token: accessToken }))).toBe('bad-credentials')
})

it('P6 · no secret that was handed out lies in the data directory', async () => {
  const { house, token } = await withToken()
  const first = await house.sessions.login('Éva', 'correct horse', '10.0.0.1')
  const second = await house.sessions.refresh(first.refreshToken, '10.0.0.1')
  const bytes = ['accounts.sqlite', 'accounts.sqlite-wal']
    .map((name) => readFileSync(join(house.dir, name), 'latin1'))
    .join('')
  expect(bytes).toContain(token.id)
  const secrets = [token.text, first.refreshToken, second.refreshToken].map((text) => text.slice(-43))
  for (const secret of [...secrets, first.accessToken, 'correct horse']) expect(bytes).not.toContain(secret)
})
