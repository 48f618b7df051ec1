import { createHmac, generateKeyPairSync, sign } from 'node:crypto'
import net from 'node:net'
import { describe, expect, it, vi } from 'vitest'
import { createAccessTokens } from '../../src/identity/jwt.ts'
import { codeOf, createHouse, faultOf, forge, signWith } from './house.ts'

const b64 = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

async function signedIn() {
  const house = createHouse()
  const account = await house.add('Eva')
  const tokens = await house.sessions.login('Eva', 'correct horse', '10.0.0.1')
  const [head = '', body = '', tail = ''] = tokens.accessToken.split('.')
  const header = JSON.parse(Buffer.from(head, 'base64url').toString())
  const claims = JSON.parse(Buffer.from(body, 'base64url').toString())
  const show = (token: string) => codeOf(house.identity.identify({ kind: 'bearer', token }, '10.0.0.1'))
  const make = (parts: { header?: object; payload?: unknown }) => forge(house.accounts, { payload: claims, ...parts })
  return { house, account, tokens, head, body, tail, header, claims, show, make }
}

describe('an access token', () => {
  it('is what the interface says, and nothing more', async () => {
    const { header, claims, account, tokens, show, make, house } = await signedIn()
    expect(header).toEqual({ alg: 'EdDSA', typ: 'at+jwt', kid: house.accounts.keys()[0]?.kid })
    expect(Object.keys(claims).sort()).toEqual([
      'aud',
      'exp',
      'iat',
      'iss',
      'jti',
      'name',
      'nbf',
      'roles',
      'sid',
      'sub',
    ])
    expect(claims).toMatchObject({ sub: account.id, name: 'Eva', roles: ['owner'], sid: tokens.session })
    expect(claims.exp - claims.iat).toBe(600)
    expect(tokens.expiresIn).toBe(600)
    expect(await show(tokens.accessToken)).toBe('none')
    expect(await show(make({})), 'the forge of these tests makes good ones').toBe('none')
  })

  it('keeps the private key out of what is published', async () => {
    const { house, header } = await signedIn()
    const { keys } = house.sessions.jwks()
    expect(keys).toHaveLength(1)
    expect(Object.keys(keys[0] ?? {}).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x'])
    expect(keys[0]).toMatchObject({ kid: header.kid, alg: 'EdDSA', crv: 'Ed25519' })
  })
})

describe('A1 · no algorithm, or another', () => {
  const spellings: unknown[] = [
    ...[
      'none',
      'None',
      'NONE',
      'nOnE',
      'NoNe',
      ' none',
      'none ',
      'none\n',
      '\0none',
      '',
      'null',
      'eddsa',
      'EDDSA',
      'Ed25519',
    ],
    ...[null, [], ['EdDSA'], ['none'], {}, 0, true, 'HS256', 'HS512', 'RS256', 'ES256', 'PS256'],
  ]
  it.each(spellings.map((alg) => [JSON.stringify(alg), alg]))('alg %s', async (_, alg) => {
    const { house, show, header, claims, make, tail } = await signedIn()
    expect(await show(make({ header: { alg } }))).toBe('bad-credentials')
    const unsigned = `${b64({ ...header, alg })}.${b64(claims)}`
    for (const token of [`${unsigned}.`, unsigned, `${unsigned}.${tail}`, `${unsigned}.AA`]) {
      expect(await show(token)).toBe('bad-credentials')
    }
    expect(house.identity).toBeDefined()
  })
})

describe('A2 · another key or another kind of key', () => {
  it('the public key as an HMAC secret, in every form it is published or stored', async () => {
    const { house, show, header, claims } = await signedIn()
    const [jwk] = house.sessions.jwks().keys as { x: string }[]
    const [own] = house.accounts.keys()
    const pems = [jwk?.x ?? '', Buffer.from(jwk?.x ?? '', 'base64url'), JSON.stringify(jwk), JSON.stringify(own?.jwk)]
    for (const hash of ['256', '384', '512']) {
      for (const secret of pems) {
        const input = `${b64({ ...header, alg: `HS${hash}` })}.${b64(claims)}`
        const tag = createHmac(`sha${hash}`, secret).update(input).digest('base64url')
        expect(await show(`${input}.${tag}`)).toBe('bad-credentials')
      }
    }
  })

  it('a key of the same kind that is not ours, under our key id', async () => {
    const { show, claims, header } = await signedIn()
    const jwk = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' })
    expect(await show(signWith({ kid: header.kid, jwk }, { payload: claims }))).toBe('bad-credentials')
  })

  it('an elliptic curve key', async () => {
    const { show, claims, header } = await signedIn()
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const input = `${b64({ ...header, alg: 'ES256' })}.${b64(claims)}`
    expect(await show(`${input}.${sign('sha256', Buffer.from(input), privateKey).toString('base64url')}`)).toBe(
      'bad-credentials',
    )
  })
})

describe('A3 · the key id is looked up in a map and nowhere else', () => {
  const kids: unknown[] = [
    ...[
      '/dev/null',
      '../../../../dev/null',
      "' OR 1=1 --",
      '__proto__',
      'constructor',
      'toString',
      '',
      '0',
      'k'.repeat(4000),
    ],
    ...[null, 0, [], {}, ['x'], { toString: 'x' }, true, undefined],
  ]
  it.each(kids.map((kid) => [JSON.stringify(kid)?.slice(0, 40), kid]))('kid %s', async (_, kid) => {
    const { show, make } = await signedIn()
    expect(await show(make({ header: { kid } }))).toBe('bad-credentials')
  })
  it('kid in an array that would print as ours', async () => {
    const { show, make, header } = await signedIn()
    expect(await show(make({ header: { kid: [header.kid] } }))).toBe('bad-credentials')
  })
})

describe('A4, A5 · a header with anything we did not write', () => {
  const extras: Record<string, unknown> = {
    jwk: { kty: 'OKP', crv: 'Ed25519', x: 'AAAA' },
    jku: 'http://127.0.0.1:9/jwks.json',
    x5u: 'http://127.0.0.1:9/cert.pem',
    x5c: ['MIIB'],
    x5t: 'AAAA',
    crit: ['exp'],
    b64: false,
    cty: 'JWT',
    zip: 'DEF',
    enc: 'A256GCM',
    extra: 1,
  }
  it.each(Object.entries(extras))('%s', async (name, value) => {
    const connect = vi.spyOn(net.Socket.prototype, 'connect')
    const { show, make } = await signedIn()
    expect(await show(make({ header: { [name]: value } }))).toBe('bad-credentials')
    expect(connect).not.toHaveBeenCalled()
    connect.mockRestore()
  })
  it.each([
    ...['JWT', 'at+JWT', 'AT+JWT', 'application/at+jwt', 'refresh', '', 'ticket'],
    null,
    1,
    ['at+jwt'],
    undefined,
  ])('typ %s', async (typ) => {
    const { show, make } = await signedIn()
    expect(await show(make({ header: { typ } }))).toBe('bad-credentials')
  })
  it('a refresh token or a ticket is no access token, and the other way round', async () => {
    const { house, show, tokens } = await signedIn()
    const { identity } = house
    const ticket = house.sessions.ticket(tokens.user)
    expect(await show(tokens.refreshToken)).toBe('bad-credentials')
    expect(await show(ticket)).toBe('bad-credentials')
    for (const value of [tokens.accessToken, ticket]) {
      expect(await codeOf(identity.identify({ kind: 'cookie', value }, 'x'))).toBe('bad-credentials')
      expect(await codeOf(house.sessions.refresh(value, 'x'))).toBe('bad-credentials')
    }
    for (const other of [tokens.accessToken, tokens.refreshToken]) {
      expect(await codeOf(identity.identify({ kind: 'ticket', ticket: other }, 'x'))).toBe('bad-credentials')
    }
  })
})

describe('A6, A8 · every claim is required and of its type', () => {
  const wrong: unknown[] = [undefined, null, '', 0, -1, 1.5, '1e10', [], {}, true, [1], 'x'.repeat(257)]
  const claims = ['iss', 'aud', 'sub', 'name', 'sid', 'jti', 'iat', 'nbf', 'exp'] as const
  it.each(claims)('%s', async (claim) => {
    const { show, make, claims: good } = await signedIn()
    const isText = typeof good[claim] === 'string'
    for (const value of wrong.filter((value) => !(isText && value === '1e10'))) {
      expect(await show(make({ payload: { ...good, [claim]: value } })), JSON.stringify(value)).toBe('bad-credentials')
    }
    const inArray = { ...good, [claim]: [good[claim]] }
    expect(await show(make({ payload: inArray }))).toBe('bad-credentials')
  })
  it.each(['NaN', 'Infinity', '1e400', '-1e400', '"2099-01-01"', '9007199254740993'])(
    'exp written as %s',
    async (text) => {
      const { show, make, claims: good } = await signedIn()
      const payload = JSON.stringify({ ...good, exp: 'HERE' }).replace('"HERE"', text)
      expect(await show(make({ payload }))).toBe('bad-credentials')
    },
  )
  const roles: unknown[] = [
    'owner',
    [['owner']],
    { 0: 'owner' },
    null,
    7,
    [null],
    [''],
    [7],
    Array(65).fill('guest'),
    undefined,
  ]
  it.each(roles.map((value) => [JSON.stringify(value)?.slice(0, 30), value]))('roles %s', async (_, value) => {
    const { show, make, claims: good } = await signedIn()
    expect(await show(make({ payload: { ...good, roles: value } }))).toBe('bad-credentials')
  })
  it.each(['constructor', '__proto__', 'Admin ', 'owner', 'toString'])(
    'a claimed role %s gives nothing: the account has what it has',
    async (role) => {
      const house = createHouse()
      await house.add('Eva')
      await house.add('Gus', ['guest'])
      const { accessToken } = await house.sessions.login('Gus', 'correct horse', 'x')
      const good = JSON.parse(Buffer.from(accessToken.split('.')[1] ?? '', 'base64url').toString())
      const token = forge(house.accounts, { payload: { ...good, roles: [role] } })
      expect(await house.identity.identify({ kind: 'bearer', token }, 'x')).toMatchObject({ roles: ['guest'] })
    },
  )
  it.each([
    ['a claim more', { admin: true }],
    ['__proto__', JSON.parse('{"__proto__": {"roles": ["owner"]}}')],
    ['role', { role: ['owner'] }],
  ])('%s', async (_, more) => {
    const { show, make, claims: good } = await signedIn()
    const payload = `${JSON.stringify(good).slice(0, -1)},${JSON.stringify(more).slice(1)}`
    expect(await show(make({ payload }))).toBe('bad-credentials')
  })
  it.each(['[]', 'null', '7', '"x"', '{', ''])('a payload that is %s', async (payload) => {
    const { show, make } = await signedIn()
    expect(await show(make({ payload }))).toBe('bad-credentials')
  })
  it('another issuer or audience', async () => {
    const { show, make, claims: good } = await signedIn()
    expect(await show(make({ payload: { ...good, iss: 'other' } }))).toBe('bad-credentials')
    expect(await show(make({ payload: { ...good, aud: 'other' } }))).toBe('bad-credentials')
  })
  it('a session of somebody else', async () => {
    const { house, show, make, claims: good } = await signedIn()
    const gus = await house.add('Gus', ['guest'])
    expect(await show(make({ payload: { ...good, sub: gus.id } }))).toBe('bad-credentials')
  })
})

describe('A7 · time', () => {
  it('ends at its very second, and stays ended for a token that was seen before', async () => {
    const { house, show, tokens } = await signedIn()
    house.clock.now += 599_999
    expect(await show(tokens.accessToken)).toBe('none')
    house.clock.now += 1
    expect(await show(tokens.accessToken)).toBe('bad-credentials')
  })
  it('a clock set back by 30 s is forgiven, by more is not', async () => {
    const { house, show, tokens } = await signedIn()
    house.clock.now -= 30_000
    expect(await show(tokens.accessToken)).toBe('none')
    house.clock.now -= 1000
    expect(await show(tokens.accessToken)).toBe('bad-credentials')
  })
  it('issued or starting in the future, or living longer than we grant', async () => {
    const { show, make, claims: good } = await signedIn()
    expect(await show(make({ payload: { ...good, iat: good.iat + 31 } }))).toBe('bad-credentials')
    expect(await show(make({ payload: { ...good, nbf: good.nbf + 31 } }))).toBe('bad-credentials')
    expect(await show(make({ payload: { ...good, exp: good.exp + 1 } }))).toBe('bad-credentials')
  })
})

describe('A12 · one token has one spelling', () => {
  it('trailing bits, padding, blanks and other alphabets', async () => {
    const { show, tokens, head, body, tail } = await signedIn()
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    const last = alphabet.indexOf(tail.at(-1) ?? '')
    const twin = `${head}.${body}.${tail.slice(0, -1)}${alphabet[last ^ 1]}`
    expect(Buffer.from(twin.split('.')[2] ?? '', 'base64url').equals(Buffer.from(tail, 'base64url'))).toBe(true)
    const good = tokens.accessToken
    const spellings = [
      twin,
      `${good}=`,
      `${good}==`,
      `${good}\n`,
      ` ${good}`,
      `${good} `,
      `${good}.`,
      `${good}.x`,
      `.${good}`,
    ]
    spellings.push(
      `${head}.${body} .${tail}`,
      good.replaceAll('-', '+').replaceAll('_', '/').concat('+'),
      good.toUpperCase(),
    )
    for (const spelling of spellings) expect(await show(spelling)).toBe('bad-credentials')
  })
  it('more than 4 kB is not even parsed', async () => {
    const { show, make, claims: good } = await signedIn()
    const token = make({ payload: { ...good, roles: Array(64).fill('x'.repeat(256)) } })
    expect(token.length).toBeGreaterThan(4096)
    expect(await show(token)).toBe('bad-credentials')
    const parse = vi.spyOn(JSON, 'parse')
    expect(await show('a'.repeat(5_000_000))).toBe('bad-credentials')
    expect(parse).not.toHaveBeenCalled()
    parse.mockRestore()
  })
})

it('says the same about every bad token', async () => {
  const { show, house, make, claims: good, tokens } = await signedIn()
  expect(await show(tokens.accessToken)).toBe('none')
  const tries = ['', '...', 'a.b.c', make({ header: { alg: 'none' } }), make({ payload: { ...good, sid: 'gone' } })]
  const faults = await Promise.all(
    tries.map((token) => faultOf(house.identity.identify({ kind: 'bearer', token }, 'x'))),
  )
  expect(new Set(faults.map((fault) => `${fault?.code} ${fault?.message}`)).size).toBe(1)
})

it('a token once found good is not verified again until something changes', () => {
  const clock = { now: 1e12 }
  const house = createHouse()
  const access = createAccessTokens({ keys: house.accounts.keys(), now: () => clock.now })
  const token = access.sign({ sub: 'a', name: 'a', roles: [], sid: 's' })
  const first = access.verify(token)
  expect(access.verify(token)).toBe(first)
  access.forget()
  expect(access.verify(token)).not.toBe(first)
  expect(access.verify(token)).toEqual(first)
})
