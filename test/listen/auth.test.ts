import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { cookieName } from '../../src/listen/credential.ts'
import { type Ask, ada, ask, type House, kim, openHouse } from './house.ts'

let house: House
beforeAll(async () => {
  house = await openHouse()
})
afterAll(() => house.close())
beforeEach(() => house.asked.splice(0))

const post = (path: string, body?: unknown, headers: Ask['headers'] = {}) =>
  ask(house.port, {
    method: 'POST',
    path,
    headers: { ...(body !== undefined && { 'Content-Type': 'application/json' }), ...headers },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
const origin = () => ({ Origin: `https://localhost:${house.port}` })
const cookie = (name: string) => ({ Cookie: `${cookieName}=r-${name}` })
const bearer = (name: string) => ({ Authorization: `Bearer ${name}` })

describe('POST /auth/login', () => {
  test('answers with the tokens, never to be cached, and sets no cookie unasked', async () => {
    const { status, json, headers } = await post('/auth/login', { username: 'ada', password: 'right' })
    expect([status, json]).toEqual([
      200,
      { access_token: 'ada', token_type: 'Bearer', expires_in: 600, refresh_token: 'r-ada' },
    ])
    expect(headers.get('cache-control')).toBe('no-store')
    expect(headers.has('set-cookie')).toBe(false)
  })
  test('sets the session cookie when asked to', async () => {
    const { headers } = await post('/auth/login', { username: 'ada', password: 'right', cookie: true }, origin())
    expect(headers.get('set-cookie')).toBe(
      `${cookieName}=r-ada; Path=/; Max-Age=2592000; HttpOnly; Secure; SameSite=Strict`,
    )
  })
  test('answers a wrong one with a problem document and a challenge', async () => {
    const { status, json, headers } = await post('/auth/login', { username: 'ada', password: 'wrong' })
    expect(status).toBe(401)
    expect(json).toEqual({
      type: 'about:blank',
      title: 'Unauthorized',
      status: 401,
      detail: 'name or password is wrong',
      code: 'bad-credentials',
      request_id: headers.get('x-request-id'),
    })
    expect(headers.get('content-type')).toMatch(/^application\/problem\+json/)
    expect(headers.get('www-authenticate')).toContain('Bearer')
  })
  test('trap i · what the account limiter refuses, from wherever it came, is 429 with the time to wait', async () => {
    const { status, headers, json } = await post('/auth/login', { username: 'busy', password: 'right' })
    expect([status, headers.get('retry-after'), json.code]).toEqual([429, '7', 'limited'])
  })
  test('H12: is not for pages of others', async () => {
    for (const value of ['https://evil', 'null']) {
      const { status } = await post('/auth/login', { username: 'ada', password: 'right' }, { Origin: value })
      expect(status).toBe(403)
    }
    expect(house.asked).toEqual([])
  })
  test('refuses and does not repair: a wrong shape never reaches the password check', async () => {
    const good = { username: 'ada', password: 'right' }
    const bodies = [
      {},
      [],
      null,
      { username: 'ada' },
      { ...good, username: 1 },
      { ...good, username: ['ada'] },
      { ...good, password: null },
      { ...good, cookie: 'true' },
      { ...good, role: 'owner' },
      { ...good, username: '' },
      { ...good, password: 'x'.repeat(1_001) },
      '{"username":"ada","password":"right","password":"right"}',
      '{"username":"ada","password":"right","__proto__":{"cookie":true}}',
      '{',
      '"\ufeff"',
    ]
    for (const body of bodies) {
      const { status, json } = await post('/auth/login', body)
      expect([body, status]).toEqual([body, 400])
      expect(['bad-arguments', 'malformed', 'unparsable']).toContain(json.code)
    }
    expect(house.asked).toEqual([])
  })
})

describe('POST /auth/refresh', () => {
  test('takes the token from the body and sets no cookie', async () => {
    const { status, json, headers } = await post('/auth/refresh', { refresh_token: 'r-kim' })
    expect([status, json.access_token, headers.has('set-cookie')]).toEqual([200, 'kim', false])
  })
  test('takes it from the cookie, without a body, and rotates the cookie', async () => {
    const { status, headers } = await post('/auth/refresh', undefined, { ...cookie('kim'), ...origin() })
    expect(status).toBe(200)
    expect(headers.get('set-cookie')).toContain(`${cookieName}=r-kim; Path=/`)
  })
  test('H12: takes no cookie from a page of others, or from none', async () => {
    expect((await post('/auth/refresh', undefined, cookie('kim'))).status).toBe(403)
    expect((await post('/auth/refresh', undefined, { ...cookie('kim'), Origin: 'https://evil' })).status).toBe(403)
    expect(house.asked).toEqual([])
  })
  test('without either is 401', async () => expect((await post('/auth/refresh')).status).toBe(401))
})

describe('POST /auth/logout', () => {
  test('ends the session and takes the cookie away', async () => {
    const { status, text, headers } = await post('/auth/logout', undefined, { ...cookie('ada'), ...origin() })
    expect([status, text]).toEqual([204, ''])
    expect(headers.get('set-cookie')).toContain(`${cookieName}=; Path=/; Max-Age=0`)
    expect(house.asked).toContain('logout ada')
  })
  test('by bearer touches no cookie', async () => {
    const { status, headers } = await post('/auth/logout', undefined, bearer('ada'))
    expect([status, headers.has('set-cookie')]).toEqual([204, false])
  })
  test('H12: is not for pages of others', async () => {
    expect((await post('/auth/logout', undefined, cookie('ada'))).status).toBe(403)
    expect(house.asked).toEqual([])
  })
})

describe('GET /auth/me', () => {
  const me = (headers: Ask['headers'] = {}) => ask(house.port, { path: '/auth/me', headers })
  test('says who one is and what one may, the same for each way to show it', async () => {
    const basic = { Authorization: `Basic ${Buffer.from('kim:kim').toString('base64')}` }
    for (const headers of [bearer('kim'), basic, cookie('kim')]) {
      const { status, json } = await me(headers)
      expect(status).toBe(200)
      expect(json).toEqual({
        id: kim.id,
        name: 'kim',
        roles: ['kid'],
        capabilities: ['status.read', 'library.read', 'queue.add', 'playback.control', 'volume.set'],
        players: ['home', 'attic'],
        quotas: [],
      })
    }
  })
  test('names only the players one may use', async () => {
    house.people.set('ada', { ...ada, players: ['attic'] })
    expect((await me(bearer('ada'))).json.players).toEqual(['attic'])
    house.people.set('ada', ada)
  })
  test('401 for nobody and for somebody wrong', async () => {
    expect((await me()).json.code).toBe('unauthenticated')
    expect((await me(bearer('eve'))).json.code).toBe('bad-credentials')
    expect((await me({ Authorization: 'Bearer\tada' })).status).toBe(401)
  })
  test('A11: a token in the address counts for nothing', async () => {
    for (const query of ['access_token=ada', 'token=ada', 'ticket=ada']) {
      expect((await ask(house.port, { path: `/auth/me?${query}` })).status).toBe(401)
    }
  })
})

test('POST /auth/ticket gives a ticket to who is signed in', async () => {
  const { status, json } = await post('/auth/ticket', undefined, bearer('ada'))
  expect([status, json]).toEqual([200, { ticket: 'ticket-for-ada', expires_in: 30 }])
  expect((await post('/auth/ticket')).status).toBe(401)
  expect((await post('/auth/ticket', { more: 1 }, bearer('ada'))).status).toBe(400)
})

test('GET /.well-known/jwks.json is for everybody', async () => {
  const { status, json } = await ask(house.port, { path: '/.well-known/jwks.json' })
  expect([status, json]).toEqual([200, { keys: [{ kty: 'OKP', kid: 'k1' }] }])
})

describe('POST /setup', () => {
  test('makes the owner with the link', async () => {
    const { status, json } = await post('/setup', { token: 'once', name: 'ada', password: 'long enough' }, origin())
    expect([status, json]).toEqual([201, { name: 'ada' }])
    expect(house.asked).toEqual(['setup once ada'])
  })
  test('A18: not with another, nor from a page of others, nor with a role of choice', async () => {
    expect((await post('/setup', { token: 'twice', name: 'eve', password: 'x' })).status).toBe(403)
    expect(
      (await post('/setup', { token: 'once', name: 'eve', password: 'x' }, { Origin: 'https://evil' })).status,
    ).toBe(403)
    expect((await post('/setup', { token: 'once', name: 'eve', password: 'x', role: 'owner' })).status).toBe(400)
    expect(house.asked).toEqual(['setup twice eve'])
  })
})

describe('the pages', () => {
  test('run no script but ours, and can be framed by nobody', async () => {
    for (const path of ['/', '/setup']) {
      const { status, headers, text } = await ask(house.port, { path })
      expect([status, headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8'])
      const csp = headers.get('content-security-policy') ?? ''
      expect(csp).toContain("default-src 'none'")
      expect(csp).toContain("script-src 'self'")
      expect(csp).toContain("frame-ancestors 'none'")
      expect(csp).not.toContain('unsafe')
      expect(text).not.toMatch(/<script(?! src="\/page\.js" defer><\/script>)|<style| on[a-z]+=| style=/)
      for (const [, id] of text.matchAll(/<input id="(\w+)"/g)) expect(text).toContain(`<label for="${id}">`)
    }
  })
  test('have what they ask for', async () => {
    expect((await ask(house.port, { path: '/page.js' })).headers.get('content-type')).toContain('text/javascript')
    expect((await ask(house.port, { path: '/page.css' })).headers.get('content-type')).toContain('text/css')
  })
})

describe('trap i · the edge counts sign-ins by peer, before anything is hashed', () => {
  let small: House
  beforeEach(async () => {
    small = await openHouse({ limits: { signIns: { count: 3, ms: 60_000 } } })
  })
  afterEach(() => small.close())
  for (const [path, body] of [
    ['/auth/login', { username: 'ada', password: 'wrong' }],
    ['/auth/refresh', { refresh_token: 'r-ada' }],
    ['/setup', { token: 'x', name: 'x', password: 'x' }],
  ] as const) {
    test(path, async () => {
      const ask1 = () =>
        ask(small.port, {
          method: 'POST',
          path,
          headers: { 'Content-Type': 'application/json' },
          body: JSON.stringify(body),
        })
      for (let i = 0; i < 3; i++) expect((await ask1()).status).not.toBe(429)
      const { status, headers, json } = await ask1()
      expect([status, json.code]).toEqual([429, 'limited'])
      expect(Number(headers.get('retry-after'))).toBeGreaterThan(0)
      expect([headers.get('ratelimit-limit'), headers.get('ratelimit-remaining')]).toEqual(['3', '0'])
      expect(small.asked).toHaveLength(3)
      expect((await ask(small.port, { path: '/healthz' })).status).toBe(200)
    })
  }
})
