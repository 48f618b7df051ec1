import { createHmac, createPublicKey, createSign, generateKeyPairSync, sign } from 'node:crypto'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import { until } from '../real/tools.ts'
import { ask, call, exchange, knockWs, lines, openMpd, openWs, statuses } from './clients.ts'
import { openForge, show } from './forge.ts'
import { attack, type House, openHouse, password } from './harness.ts'

/** A login as it looks from outside; the request's id is a new one each time. */
async function login(house: House, username: string, given: unknown, from = house.from) {
  const answer = await ask(house, '/auth/login', { json: { username, password: given }, from })
  for (const token of [answer.json.access_token, answer.json.refresh_token]) if (token) house.keep(String(token))
  return answer
}

async function allRefused(house: House, tokens: readonly string[]): Promise<void> {
  for (const token of tokens) expect(await show(house, house.keep(token)), token.slice(0, 60)).toBe(401)
}

attack('Signing in', [
  {
    id: 'A1',
    attack: 'a token whose algorithm is none, in twenty spellings',
    async run(house) {
      const { make, signed, header, claims } = await openForge(house, house.kid)
      expect(await show(house, make({ claims: { jti: 'another' } })), 'the forge works').toBe(200)
      const spellings = [
        'none',
        'None',
        'NONE',
        'nOnE',
        '',
        ' ',
        'null',
        'none ',
        'none\0',
        'undefined',
        null,
        [],
        ['EdDSA'],
        {},
        0,
        true,
      ]
      const tokens = spellings.flatMap((alg) => [
        signed({ ...header, alg }, claims, () => ''),
        signed({ ...header, alg }, claims),
      ])
      const { alg: _, ...bare } = header
      const [head, payload] = make().split('.')
      await allRefused(house, [
        ...tokens.map((one) => one),
        signed(bare, claims),
        `${head}.${payload}.`,
        `${head}.${payload}`,
      ])
    },
  },
  {
    id: 'A2',
    attack: 'our public key as an HMAC secret, and keys of other people and other kinds',
    async run(house) {
      const { header, claims, signed } = await openForge(house, house.kid)
      const { keys } = (await ask(house, '/.well-known/jwks.json')).json as unknown as { keys: { x: string }[] }
      const pem = createPublicKey({ key: keys[0] as object, format: 'jwk' }).export({ type: 'spki', format: 'pem' })
      const der = createPublicKey(pem).export({ type: 'spki', format: 'der' })
      const secrets = [pem, der, Buffer.from(keys[0]?.x ?? '', 'base64url'), keys[0]?.x ?? '', 'stagedoor', '']
      const hmacs = secrets.flatMap((secret) =>
        (['256', '384', '512'] as const).map((bits) =>
          signed({ ...header, alg: `HS${bits}` }, claims, (text) =>
            createHmac(`sha${bits}`, secret).update(text).digest(),
          ),
        ),
      )
      const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
      const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
      const ed = generateKeyPairSync('ed25519').privateKey
      const by = (key: typeof rsa) => (text: string) => createSign('SHA256').update(text).sign(key)
      await allRefused(house, [
        ...hmacs,
        signed({ ...header, alg: 'RS256' }, claims, by(rsa)),
        signed({ ...header, alg: 'ES256' }, claims, by(ec)),
        signed(header, claims, (text) => sign(null, Buffer.from(text), ed)),
        signed({ ...header, alg: 'Ed25519' }, claims),
      ])
    },
  },
  {
    id: 'A3',
    attack: 'a key id that is a path, a query or a prototype',
    async run(house) {
      const { make } = await openForge(house, house.kid)
      const kids = [
        '/dev/null',
        '../../etc/passwd',
        "' OR 1=1 --",
        '__proto__',
        'constructor',
        '',
        'x'.repeat(4_000),
        null,
        1,
        {},
        ['a'],
        '\0',
      ]
      await allRefused(
        house,
        kids.map((kid) => make({ header: { kid } })),
      )
    },
  },
  {
    id: 'A4',
    attack: 'a header that brings its own key, or says where to fetch one',
    async run(house) {
      let visits = 0
      const server = createServer((_, response) => {
        visits++
        response.end('{"keys":[]}')
      })
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`
      const { make, signed, header, claims } = await openForge(house, house.kid)
      const { privateKey, publicKey } = generateKeyPairSync('ed25519')
      const jwk = publicKey.export({ format: 'jwk' })
      const mine = (text: string) => sign(null, Buffer.from(text), privateKey)
      await allRefused(house, [
        signed({ ...header, jwk }, claims, mine),
        signed({ ...header, jwk, kid: undefined }, claims, mine),
        ...['jku', 'x5u'].flatMap((name) => [
          signed({ ...header, [name]: url }, claims, mine),
          make({ header: { [name]: url } }),
        ]),
        make({ header: { x5c: ['MIIB'] } }),
        make({ header: { jwk } }),
      ])
      expect(visits).toBe(0)
      server.close()
    },
  },
  {
    id: 'A5',
    attack: 'other kinds of token in the place of an access token',
    async run(house) {
      const { make, refresh, token } = await openForge(house, house.kid)
      const ticket = String((await ask(house, '/auth/ticket', { token, json: {} })).json.ticket)
      await allRefused(house, [
        make({ header: { crit: ['exp'] } }),
        make({ header: { b64: false, crit: ['b64'] } }),
        make({ header: { typ: 'JWT' } }),
        make({ header: { typ: 'at+jwt ' } }),
        make({ header: { typ: undefined } }),
        make({ header: { zip: 'DEF' } }),
        refresh,
        ticket,
        `sd1_${token}`,
      ])
      // And the other way round.
      const { status } = await ask(house, '/auth/refresh', { json: { refresh_token: ticket } })
      expect(status).toBe(401)
      expect(await knockWs(house, { path: `/mopidy/ws?ticket=${refresh}` })).toBe(401)
    },
  },
  {
    id: 'A6',
    attack: 'claims that are missing, or of another type',
    async run(house) {
      const { make, claims, signed, header } = await openForge(house, house.kid)
      const wrong: readonly unknown[] = [undefined, null, true, {}, [], '', -1, 0, 1.5, 1e300, '1']
      const tokens = Object.keys(claims).flatMap((name) => [
        make({ without: name }),
        ...wrong
          .filter((value) => !(name === 'roles' && Array.isArray(value)))
          .filter(
            (value) =>
              !(typeof value === 'string' && value !== '' && typeof claims[name] === 'string' && name === 'jti'),
          )
          .map((value) => make({ claims: { [name]: value } })),
      ])
      const accepted = ['name', 'jti'] // of which any text will do
      for (const token of tokens) {
        const payload = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
        if (accepted.some((name) => payload[name] === '1')) continue
        expect(await show(house, token), JSON.stringify(payload)).toBe(401)
      }
      await allRefused(house, [
        make({ claims: { admin: true } }),
        make({ claims: { aud: ['stagedoor'] } }),
        make({ claims: { iss: 'Stagedoor' } }),
        signed(header, []),
        signed(header, 'null'),
        signed(header, '{"exp":NaN}'),
      ])
    },
  },
  {
    id: 'A7',
    attack: 'clocks that jump, and tokens from the future',
    disturbs: true,
    async run(house) {
      const { make, token, refresh } = await openForge(house, house.kid)
      const now = Math.floor(house.now() / 1000)
      await allRefused(house, [
        make({ claims: { iat: now + 60, nbf: now + 60, exp: now + 600 } }),
        make({ claims: { nbf: now + 60 } }),
        make({ claims: { exp: now } }),
        make({ claims: { exp: now + 86_400 } }),
        make({ claims: { iat: now - 700, nbf: now - 700, exp: now - 100 } }),
      ])
      expect(await show(house, token)).toBe(200)
      house.jump(601_000)
      expect(await show(house, token)).toBe(401)
      expect((await ask(house, '/auth/refresh', { json: { refresh_token: refresh } })).status).toBe(200)
    },
  },
  {
    id: 'A8',
    attack: 'roles written into a token, and roles that are prototypes',
    async run(house) {
      const { make } = await openForge(house, house.kid)
      for (const roles of ['owner', { 0: 'owner' }, [['owner']], [null], [1], 'constructor']) {
        expect(await show(house, make({ claims: { roles } })), JSON.stringify(roles)).toBe(401)
      }
      // Even our own signature gives nobody a role: the account's own count.
      for (const roles of [['owner'], ['__proto__'], ['constructor'], ['Owner ']]) {
        const token = make({ claims: { roles } })
        const me = await ask(house, '/auth/me', { token })
        expect(me.json).toMatchObject({ roles: ['kid'] })
        expect(await call(house, token, 'core.tracklist.clear')).toBe(-32003)
      }
    },
  },
  {
    id: 'A9',
    attack: 'a session goes on after its token was revoked, its account disabled, demoted or given another password',
    reaches: [/^core\.playlists\.as_list \{\}$/], // before the demotion
    async run(house) {
      const ends: readonly ((id: string, token: string, session: string) => void)[] = [
        (_, token) => void house.accounts.removeToken(token.split('_')[1] ?? ''),
        (id) => house.accounts.setDisabled(id, true),
        (id) => house.accounts.remove(id),
      ]
      for (const end of ends) {
        const person = house.person('kid')
        const state = () => call({ ...house, from: house.address() }, person.token, 'core.playback.get_state')
        await until(async () => (await state()) === 0)
        const ws = await openWs(house, person)
        const mpd = await openMpd(house, person)
        end(person.id, person.token, '')
        expect(await ws.end()).toBe(4401)
        await mpd.end()
        expect(await state()).toBe(-32002)
        expect(await knockWs(house, { from: house.address(), token: person.token })).toBe(401)
      }
      // Another password ends sessions.
      const forge = await openForge(house, house.kid)
      const ws = await openWs(house, { token: forge.token })
      house.accounts.setPassword(house.kid.id, house.accounts.passwordOf(house.guest.id) ?? '')
      expect(await ws.end()).toBe(4401)
      expect(await show(house, forge.token)).toBe(401)
      expect((await ask(house, '/auth/refresh', { json: { refresh_token: forge.refresh } })).status).toBe(401)
      // A demotion reaches connections that are open.
      const member = await openWs(house, house.member)
      house.accounts.setRoles(house.member.id, ['guest'])
      const list = { jsonrpc: '2.0', id: 1, method: 'core.playlists.as_list' }
      await until(async () => (await member.rpc(list)).error?.code === -32003)
      member.close()
    },
  },
  {
    id: 'A10',
    attack: 'a refresh token that was used before, and eight uses at once',
    async run(house) {
      const { refresh, token } = await openForge(house, house.kid)
      const all = await Promise.all(
        Array.from({ length: 8 }, () => ask(house, '/auth/refresh', { json: { refresh_token: refresh } })),
      )
      for (const { json } of all)
        for (const one of [json.access_token, json.refresh_token]) if (one) house.keep(String(one))
      expect(all.filter(({ status }) => status === 200)).toHaveLength(1)
      // Somebody has a copy, and nobody knows who: the session is over for all of them.
      const winner = all.find(({ status }) => status === 200)?.json
      expect(await show(house, String(winner?.access_token))).toBe(401)
      expect(await show(house, token)).toBe(401)
      expect((await ask(house, '/auth/refresh', { json: { refresh_token: winner?.refresh_token } })).status).toBe(401)
    },
  },
  {
    id: 'A11',
    attack: 'a token in an address',
    async run(house) {
      const { token } = await openForge(house, house.kid)
      for (const name of ['access_token', 'token', 'authorization', 'ticket', 'jwt']) {
        const answer = await ask(house, `/auth/me?${name}=${token}`)
        expect(answer.status).toBe(401)
        expect(answer.text).not.toContain(token)
        expect(answer.headers['referrer-policy']).toBe('no-referrer')
        expect(await knockWs(house, { path: `/mopidy/ws?${name}=${token}` })).toBe(401)
        expect(await knockWs(house, { path: `/mopidy/ws?${name}=${house.kid.token}` })).toBe(401)
      }
      // A ticket is good once.
      const ticket = house.keep(String((await ask(house, '/auth/ticket', { token, json: {} })).json.ticket))
      expect(await knockWs(house, { path: `/mopidy/ws?ticket=${ticket}` })).toBe(101)
      expect(await knockWs(house, { path: `/mopidy/ws?ticket=${ticket}` })).toBe(401)
    },
  },
  {
    id: 'A12',
    attack: 'the same token in another spelling',
    async run(house) {
      const { token } = await openForge(house, house.kid)
      const [head = '', payload = '', signature = ''] = token.split('.')
      const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
      const last = alphabet[alphabet.indexOf(signature.at(-1) ?? '') ^ 1]
      await allRefused(house, [
        `${head}.${payload}.${signature.slice(0, -1)}${last}`,
        `${token}=`,
        `${token}==`,
        `${head}=.${payload}.${signature}`,
        `${token}.`,
        `.${token}`,
        `${token}A`,
        token.replaceAll('-', '+').replaceAll('_', '/').concat('='),
        `${head}.${payload}.${signature.toLowerCase()}`,
      ])
      const device = house.kid.token
      for (const one of [
        `${device}=`,
        device.toUpperCase(),
        device.replace('sd1', 'SD1'),
        `${device} `.trim().concat('A'),
      ]) {
        house.keep(one)
        expect([401, 429]).toContain(await show(house, one))
      }
    },
  },
  {
    id: 'A13',
    attack: 'which accounts exist, by what a failed sign-in says',
    async run(house) {
      const disabled = house.person('guest')
      house.accounts.setDisabled(disabled.id, true)
      const known = await login(house, house.guest.name, 'wrong password', house.address())
      const unknown = await login(house, 'nobody-of-that-name', 'wrong password', house.address())
      await until(async () => (await login(house, disabled.name, password, house.address())).status === 401)
      const off = await login(house, disabled.name, password, house.address())
      const shape = ({ status, headers, json }: typeof known) => [
        status,
        { ...json, request_id: '' },
        Object.entries(headers).filter(([name]) => !/date|request-id|ratelimit/.test(name)),
      ]
      expect(known.status).toBe(401)
      expect(shape(unknown)).toEqual(shape(known))
      expect(shape(off)).toEqual(shape(known))
    },
  },
  {
    id: 'A14',
    attack: 'one address guesses at many accounts',
    async run(house) {
      const guesses = []
      for (let i = 0; i < 12; i++) guesses.push((await login(house, `a14-${i}`, 'wrong password')).status)
      expect(guesses.filter((status) => status === 401).length).toBeLessThanOrEqual(5)
      expect(guesses.at(-1)).toBe(429)
      expect((await login(house, house.guest.name, password)).headers['retry-after']).toMatch(/^\d+$/)
    },
  },
  {
    id: 'A15',
    attack: 'strangers fail at the owner’s account until nobody may try any more',
    async run(house) {
      const home = house.address()
      expect((await login(house, house.owner.name, password, home)).status).toBe(200)
      const strangers = []
      for (let i = 0; i < 8; i++)
        strangers.push((await login(house, house.owner.name, 'wrong password', house.address())).status)
      expect(strangers).toContain(429)
      expect((await login(house, house.owner.name, password, home)).status).toBe(200)
      expect(await call(house, house.owner.token, 'core.playback.get_state')).toBe(0)
    },
  },
  {
    id: 'A16',
    attack: 'sixty sign-ins at once',
    disturbs: true,
    async run(house) {
      house.jump(60_000) // so that what stops them is not what others tried before
      const tries = Array.from({ length: 60 }, (_, i) => login(house, `a16-${i}`, 'wrong password', house.address()))
      const storm = Promise.all(tries)
      expect(await call(house, house.kid.token, 'core.playback.get_state')).toBe(0)
      const answers = await storm
      for (const { status, headers } of answers) {
        expect([401, 429]).toContain(status)
        if (status === 429) expect(headers['retry-after']).toMatch(/^\d+$/)
      }
      expect(answers.some(({ status }) => status === 429)).toBe(true)
      house.jump(60_000)
    },
  },
  {
    id: 'A17',
    attack: 'passwords of a megabyte, with NUL, or of another form',
    async run(house) {
      const huge = await login(house, house.guest.name, 'x'.repeat(1_000_000), house.address()).catch(() => undefined)
      expect([400, 413, undefined]).toContain(huge?.status)
      expect((await login(house, house.guest.name, 'x'.repeat(1_001), house.address())).status).toBe(400)
      for (const wrong of [`${password}\0`, `${password}\0x`, `${password} `, password.toUpperCase()]) {
        expect((await login(house, house.guest.name, wrong, house.address())).status).toBe(401)
      }
      for (const wrong of [null, 1, {}, [], true, '']) {
        expect((await login(house, house.guest.name, wrong, house.address())).status).toBe(400)
      }
      expect(password.normalize('NFD')).not.toBe(password)
      expect((await login(house, house.member.name, password.normalize('NFD'), house.address())).status).toBe(200)
    },
  },
  {
    id: 'A18',
    attack: 'somebody else makes the owner’s account first, or twice',
    async run() {
      const house = await openHouse({ people: 0 })
      try {
        for (const [name, word] of [
          ['admin', 'admin'],
          ['owner', 'owner'],
          ['stagedoor', 'stagedoor'],
          ['root', ''],
        ] as const) {
          expect([400, 401]).toContain((await login(house, name, word, house.address())).status)
        }
        expect(await call(house, 'sd1_0000000000000000_'.padEnd(64, 'A'), 'core.playback.stop')).toBe(-32002)
        const token = house.createSetup() ?? ''
        const set = (given: string, name: string) =>
          ask(house, '/setup', { json: { token: given, name, password: 'correct horse setup' }, from: house.address() })
        expect((await set(`ss1_${'A'.repeat(43)}`, 'evil')).status).toBe(401)
        expect((await set('', 'evil')).status).toBe(400)
        const race = await Promise.all(['one', 'two', 'three'].map((name) => set(token, name)))
        expect(race.map(({ status }) => status).sort()).toEqual([201, 401, 401])
        expect((await set(token, 'late')).status).toBe(401)
        expect(house.createSetup()).toBe(undefined)
        // A newer link ends the older one, and half an hour ends it as well.
      } finally {
        await house.close()
      }
      const other = await openHouse({ people: 0 })
      try {
        const [first, second] = [other.createSetup() ?? '', other.createSetup() ?? '']
        const set = (token: string) =>
          ask(other, '/setup', { json: { token, name: 'x', password: 'correct horse setup' }, from: other.address() })
        expect((await set(first)).status).toBe(401)
        other.jump(31 * 60_000)
        expect((await set(second)).status).toBe(401)
      } finally {
        await other.close()
      }
    },
  },
  {
    id: 'A19',
    attack: 'keys that other users of the machine can read',
    async run() {
      for (const file of ['data/accounts.sqlite', 'certs/ca.key', 'certs/server.key']) {
        const dir = mkdtempSync(join(tmpdir(), 'stagedoor-a19-'))
        try {
          const [folder, name = ''] = file.split('/')
          mkdirSync(join(dir, folder ?? ''))
          writeFileSync(join(dir, file), '')
          chmodSync(join(dir, file), 0o644)
          const change = (
            config: Parameters<NonNullable<NonNullable<Parameters<typeof openHouse>[0]>['change']>>[0],
          ) => ({
            ...config,
            tls: { dir: join(dir, 'certs') },
          })
          await expect(openHouse({ people: 0, change, data: join(dir, 'data') }), file).rejects.toThrow(name)
        } finally {
          rmSync(dir, { recursive: true, force: true })
        }
      }
    },
  },
  {
    id: 'A20',
    attack: 'Authorization twice, merged, malformed, or beside a cookie',
    async run(house) {
      const { kid, owner } = house
      const asked = (...headers: string[]) =>
        exchange(house, lines(['GET /auth/me HTTP/1.1', 'Host: 127.0.0.1', ...headers, 'Connection: close']))
      expect(
        statuses(await asked(`Authorization: Bearer ${kid.token}`, `Authorization: Bearer ${owner.token}`)),
      ).toEqual([400])
      expect(statuses(await asked(`Cookie: __Host-stagedoor=a`, `Cookie: __Host-stagedoor=b`))).toEqual([400])
      expect(statuses(await asked(`Cookie: __Host-stagedoor=a; __Host-stagedoor=b`))).toEqual([400])
      for (const value of [
        `Bearer ${kid.token}, Bearer ${owner.token}`,
        `Bearer ${kid.token} ${owner.token}`,
        `Bearer\t${kid.token}`,
        `Bearer  ${kid.token}`,
        `Bearer`,
        `Bearer ${kid.token},`,
        `Basic ${kid.token}`,
        `Basic ${Buffer.from(`${kid.name}:${kid.token}\n`).toString('base64')}`,
        `Basic ${Buffer.from(`${owner.name}:${kid.token}`).toString('base64')}`,
        `Digest ${kid.token}`,
        kid.token,
        '',
      ]) {
        expect([400, 401], value.slice(0, 20)).toContain(statuses(await asked(`Authorization: ${value}`))[0])
      }
      // A wrong one is not made good by a cookie that would do.
      const { refresh } = await openForge(house, kid)
      const cookie = `Cookie: __Host-stagedoor=${refresh}`
      expect(statuses(await asked(cookie))).toEqual([200])
      expect(statuses(await asked(cookie, 'Authorization: Bearer wrong'))).toEqual([401])
    },
  },
])
