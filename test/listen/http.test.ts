import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { cookieName } from '../../src/listen/credential.ts'
import type { HttpLimits } from '../../src/listen/http.ts'
import { ada, ask, call, closed, dial, dialPlain, type House, kim, openHouse, parse, raw, request } from './house.ts'

let house: House
beforeAll(async () => {
  house = await openHouse()
})
afterAll(() => house.close())
beforeEach(() => {
  house.player.heard.splice(0)
  house.asked.splice(0)
  house.people.set('ada', ada).set('kim', kim)
})

const state = request('core.playback.get_state')
const body = JSON.stringify(state)
/** A request that would be answered, as text; `lines` come after the rest of the header. */
const good = (lines: readonly string[] = [], path = '/mopidy/rpc', text = body) =>
  [
    `POST ${path} HTTP/1.1`,
    'Host: localhost',
    'Authorization: Bearer ada',
    'Content-Type: application/json',
    ...(lines.some((line) => /^(content-length|transfer-encoding)/i.test(line))
      ? []
      : [`Content-Length: ${text.length}`]),
    ...lines,
    '',
    text,
  ].join('\r\n')
const nothingReached = () => expect(house.player.heard).toEqual([])

describe('POST /mopidy/rpc', () => {
  test('answers a call of somebody who is signed in', async () => {
    const { status, json, headers } = await call(house.port, request('core.mixer.set_volume', [7], 'a'))
    expect([status, json]).toEqual([200, { jsonrpc: '2.0', id: 'a', result: { volume: 7 } }])
    expect(headers.get('content-type')).toMatch(/^application\/json/)
    expect(house.player.heard).toEqual([{ name: 'core.mixer.set_volume', args: { volume: 7 } }])
  })
  test('is there under the name of the player as well, and not for a player without JSON-RPC', async () => {
    const at = (path: string) =>
      ask(house.port, {
        method: 'POST',
        path,
        headers: { Authorization: 'Bearer ada', 'Content-Type': 'application/json' },
        body,
      })
    expect((await at('/players/home/mopidy/rpc')).status).toBe(200)
    expect((await at('/players/attic/mopidy/rpc')).status).toBe(404)
    expect((await at('/players/nowhere/mopidy/rpc')).status).toBe(404)
  })
  test('answers notifications with 204 and nothing', async () => {
    const { status, text } = await call(house.port, { jsonrpc: '2.0', method: 'core.playback.pause' })
    expect([status, text]).toEqual([204, ''])
    expect(house.player.heard).toHaveLength(1)
  })
  test('a refusal by policy is HTTP 200 with the error, and the id of the request is in the header too', async () => {
    const { status, json, headers } = await call(house.port, request('core.mixer.set_volume', [41]), {
      Authorization: 'Bearer kim',
    })
    expect([status, json.error.code]).toEqual([200, -32003])
    expect(json.error.data.request_id).toBe(headers.get('x-request-id'))
    nothingReached()
  })
  test('what concerns the whole body has the HTTP status as well, and the id null', async () => {
    const cases: readonly (readonly [string | Uint8Array, number, number])[] = [
      ['', 400, -32700],
      ['{', 400, -32700],
      [new Uint8Array([0x22, 0xff, 0x22]), 400, -32700],
      ['\ufeff{}', 400, -32700],
      [`${body}${body}`, 400, -32700],
      ['{"jsonrpc":"2.0","id":1,"method":"core.playback.get_state","method":"core.playback.stop"}', 400, -32600],
      ['{"jsonrpc":"2.0","id":1,"method":"core.playback.stop","__proto__":{}}', 400, -32600],
      ['['.repeat(10_000), 400, -32600],
      [JSON.stringify(Array(51).fill(state)), 413, -32600],
      [`"${'x'.repeat(1_000_000)}"`, 413, -32600],
    ]
    for (const [sent, status, code] of cases) {
      const answer = await call(house.port, sent)
      expect([answer.status, answer.json.id, answer.json.error.code]).toEqual([status, null, code])
      expect(answer.headers.get('connection')).toBe('close')
    }
    nothingReached()
  })
  test('401 with a challenge and a JSON-RPC error before a byte of the body is looked at', async () => {
    for (const authorization of [undefined, 'Bearer eve', 'Bearer\tada', 'Basic !', 'Negotiate x']) {
      const headers = { 'Content-Type': 'application/json', ...(authorization && { Authorization: authorization }) }
      const answer = await ask(house.port, { method: 'POST', path: '/mopidy/rpc', headers, body: '{' })
      expect(answer.status).toBe(401)
      expect(answer.json).toMatchObject({ id: null, error: { code: authorization ? -32002 : -32001 } })
      expect(answer.headers.get('www-authenticate')).toContain('Bearer')
    }
    nothingReached()
  })
  test('A9: a sign-in that ended since the last request counts for nothing', async () => {
    house.people.delete('ada')
    expect((await call(house.port, state)).status).toBe(401)
    nothingReached()
  })
  test('H11: takes application/json and nothing that a browser sends without asking', async () => {
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'application/json\t',
      'application/json\t; charset=utf-8',
      'application/json;\tcharset=utf-8',
      'application/json; charset=utf-16',
      'application/json; charset=utf-8; x=y',
      'application/json;',
      'application/json, text/plain',
      'Application/JSON',
      'application/jsonx',
      'application/json-rpc',
      'text/plain; application/json',
      '',
    ]) {
      const answer = await call(house.port, state, { 'Content-Type': type })
      // Blanks around a value are no part of it (RFC 9110 §5.5).
      expect([type, answer.status]).toEqual([type, type === 'application/json\t' ? 200 : 415])
    }
    expect(house.player.heard).toHaveLength(1)
    for (const type of ['application/json', 'application/json; charset=utf-8', 'application/json;charset=UTF-8']) {
      expect((await call(house.port, state, { 'Content-Type': type })).status).toBe(200)
    }
    expect(
      await raw(
        house.port,
        `POST /mopidy/rpc HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ada\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      ),
    ).toContain(' 415 ')
  })
  test('H12: a cookie counts only together with our own Origin, and Basic not with another', async () => {
    const cookie = { Authorization: '', Cookie: `${cookieName}=r-ada` }
    const send = (headers: Record<string, string>) =>
      ask(house.port, {
        method: 'POST',
        path: '/mopidy/rpc',
        headers: { 'Content-Type': 'application/json', ...headers },
        body,
      })
    const { Authorization: _, ...withCookie } = cookie
    for (const origin of [undefined, 'null', 'https://evil', `http://localhost:${house.port}`, 'https://localhost']) {
      expect((await send({ ...withCookie, ...(origin && { Origin: origin }) })).status).toBe(403)
    }
    const basic = { Authorization: `Basic ${Buffer.from('ada:ada').toString('base64')}` }
    expect((await send({ ...basic, Origin: 'https://evil' })).status).toBe(403)
    nothingReached()
    expect((await send({ ...withCookie, Origin: `https://localhost:${house.port}` })).status).toBe(200)
    expect((await send(basic)).status).toBe(200)
  })
  test('H12: answers no preflight and reflects no Origin', async () => {
    const answer = await call(house.port, state, { Origin: 'https://evil' })
    expect([...answer.headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([])
    const preflight = await ask(house.port, {
      method: 'OPTIONS',
      path: '/mopidy/rpc',
      headers: { Origin: 'https://evil', 'Access-Control-Request-Method': 'POST' },
    })
    expect(preflight.status).toBe(405)
    expect([...preflight.headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([])
  })
  test('H13: a mistake of ours says nothing of itself, and the log has it', async () => {
    house.people.set('ada', {
      get kind(): string {
        throw new TypeError('secret')
      },
    } as never)
    const answer = await call(house.port, state)
    expect([answer.status, answer.json.error.code]).toEqual([500, -32603])
    expect(answer.text).not.toContain('secret')
    expect(JSON.stringify(house.logged)).toContain(answer.json.error.data.request_id)
  })
})

describe('H1: a message whose end can be read in two ways is refused and the connection closed', () => {
  const smuggled = 'POST /mopidy/rpc HTTP/1.1\r\nHost: localhost\r\n\r\n'
  const cases: Readonly<Record<string, string>> = {
    'CL.TE': good(['Content-Length: 6', 'Transfer-Encoding: chunked'], undefined, `0\r\n\r\n${smuggled}`),
    'TE.CL': good(['Transfer-Encoding: chunked', 'Content-Length: 4'], undefined, `5c\r\n${smuggled}\r\n0\r\n\r\n`),
    'two Content-Length': good(['Content-Length: 5', 'Content-Length: 6']),
    'two equal Content-Length': good([`Content-Length: ${body.length}`, `Content-Length: ${body.length}`]),
    'Content-Length list': good([`Content-Length: ${body.length}, ${body.length}`]),
    'Content-Length +': good([`Content-Length: +${body.length}`]),
    'Content-Length -': good(['Content-Length: -1']),
    'Content-Length hex': good(['Content-Length: 0x10']),
    'Transfer-Encoding , chunked': good(['Transfer-Encoding: identity, chunked'], undefined, '0\r\n\r\n'),
    'Transfer-Encoding xchunked': good(['Transfer-Encoding: xchunked'], undefined, '0\r\n\r\n'),
    'Transfer-Encoding chunked, identity': good(['Transfer-Encoding: chunked, identity'], undefined, '0\r\n\r\n'),
    'Transfer-Encoding with a blank before the colon': good(['Transfer-Encoding : chunked'], undefined, '0\r\n\r\n'),
    'two Transfer-Encoding': good(
      ['Transfer-Encoding: chunked', 'Transfer-Encoding: identity'],
      undefined,
      '0\r\n\r\n',
    ),
    'a bad chunk size': good(['Transfer-Encoding: chunked'], undefined, 'zz\r\nx\r\n0\r\n\r\n'),
    'a chunk size beyond all': good(['Transfer-Encoding: chunked'], undefined, `${'f'.repeat(17)}\r\nx\r\n0\r\n\r\n`),
    'a folded header': good(['X: a\r\n b']),
    'a bare LF': good().replaceAll('\r\n', '\n'),
    'a bare CR': good(['X: a\rY: b']),
    'a NUL in a value': good(['X: a\0b']),
    'a NUL in a name': good(['X\0: a']),
    'a blank in a name': good(['X Y: a']),
    'a header without a colon': good(['Nonsense']),
    'another version': good().replace('HTTP/1.1', 'HTTP/1.2'),
    'HTTP/0.9': 'GET /healthz\r\n\r\n',
    'HTTP/2 preface': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'no HTTP at all': '\x16\x03\x01 hello\r\n\r\n',
    MPD: 'status\n',
    'an unknown method': good().replace('POST', 'PÖST'),
    'a header over 16 KiB': good([`X: ${'a'.repeat(17_000)}`]),
  }
  for (const [name, text] of Object.entries(cases)) {
    test(name, async () => {
      const answer = await raw(house.port, Buffer.from(text, 'latin1'))
      expect(answer).toMatch(/^HTTP\/1\.1 (400|431|505) /)
      expect(answer.match(/HTTP\/1\.1 /g)).toHaveLength(1)
      expect(answer.toLowerCase()).toContain('connection: close')
      nothingReached()
    })
  }
  test('Content-Length 010 is ten, and what follows is a request of its own', async () => {
    const answer = await raw(
      house.port,
      good(['Content-Length: 010', 'Connection: close'], undefined, `${body}${smuggled}`),
    )
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    nothingReached()
  })
})

describe('trap e · a header that decides something comes once', () => {
  for (const [line, more] of [
    ['Host', 'Host: localhost'],
    ['Authorization', 'authorization: Bearer ada'],
    ['Content-Type', 'CONTENT-TYPE: application/json'],
    ['Origin', 'Origin: https://localhost\r\nOrigin: https://evil'],
    ['Cookie', 'Cookie: a=b\r\ncookie: c=d'],
  ] as const) {
    test(line, async () => {
      expect(await raw(house.port, good([more]))).toMatch(/^HTTP\/1\.1 400 /)
      nothingReached()
    })
  }
})

test('H2: whatever follows an error on the same connection is not answered', async () => {
  for (const first of [
    good().replace('Bearer ada', 'Bearer eve'),
    good().replace('application/json', 'text/plain'),
    good([], '/nothing'),
  ]) {
    const answer = await raw(house.port, first, good())
    expect(answer.match(/HTTP\/1\.1 /g)).toHaveLength(1)
  }
})

test('H2: each pipelined request is judged by its own credential', async () => {
  const volume = (who: string, level: number) =>
    good([], undefined, JSON.stringify(request('core.mixer.set_volume', [level], level))).replace(
      'Bearer ada',
      `Bearer ${who}`,
    )
  const answer = await raw(
    house.port,
    `${volume('ada', 90)}${volume('kim', 41)}${volume('kim', 40)}${good(['Connection: close'])}`,
  )
  expect(answer.match(/"id":\d+/g)).toEqual(['"id":90', '"id":41', '"id":40', '"id":1'])
  expect(house.player.heard.map(({ args }) => args)).toEqual([{ volume: 90 }, { volume: 40 }, {}])
})

describe('H3: nothing is tunnelled and nothing is upgraded', () => {
  test('h2c is ignored', async () => {
    const upgrade = ['Connection: close, Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABk']
    expect(parse(await raw(house.port, good(upgrade))).status).toBe(200)
  })
  test('h2c is ignored also where a WebSocket door listens', async () => {
    let upgrades = 0
    const other = await openHouse()
    other.app.server.on('upgrade', (_request, socket) => {
      upgrades++
      socket.destroy()
    })
    expect(parse(await raw(other.port, good(['Connection: close, Upgrade', 'Upgrade: h2c']))).status).toBe(200)
    expect(parse(await raw(other.port, good(['Connection: close, Upgrade', 'Upgrade: h2c, websocket']))).status).toBe(
      200,
    )
    await raw(
      other.port,
      'GET /mopidy/ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n',
    )
    expect(upgrades).toBe(1)
    await other.close()
  })
  test('CONNECT is closed', async () => {
    expect(await raw(house.port, 'CONNECT 127.0.0.1:6680 HTTP/1.1\r\nHost: localhost\r\n\r\n')).not.toContain(' 200 ')
  })
  test('TRACE, OPTIONS and the others are 405 where there is a route, 404 elsewhere', async () => {
    for (const method of ['TRACE', 'OPTIONS', 'GET', 'HEAD', 'PUT', 'DELETE', 'PATCH', 'PROPFIND', 'QUERY', 'PURGE']) {
      const answer = await ask(house.port, { method, path: '/mopidy/rpc', headers: { Authorization: 'Bearer ada' } })
      expect([method, answer.status]).toEqual([method, 405])
      expect(answer.headers.get('allow')).toBe('POST')
    }
    expect((await ask(house.port, { method: 'OPTIONS', path: '*' })).status).toBe(404)
    expect((await ask(house.port, { method: 'TRACE', path: '/nothing' })).status).toBe(404)
    nothingReached()
  })
})

describe('H4, H5: a path is ours only as it is written in the table', () => {
  for (const path of [
    'https://localhost/mopidy/rpc',
    'https://user@localhost/mopidy/rpc',
    'http://127.0.0.1:6680/mopidy/rpc',
    '//mopidy/rpc',
    '//localhost/mopidy/rpc',
    '/mopidy//rpc',
    '/mopidy/rpc/',
    '/mopidy/rpc;x',
    '/mopidy/rpc;x=y?z',
    '/mopidy/rpc#x',
    '/mopidy/./rpc',
    '/mopidy/../mopidy/rpc',
    '/x/../mopidy/rpc',
    '/mopidy/%2e/rpc',
    '/mopidy/%2e%2e/mopidy/rpc',
    '/mopidy/%252e%252e/mopidy/rpc',
    '/mopidy%2frpc',
    '/mopidy%2Frpc',
    '/mopidy%252frpc',
    '/mopidy%5crpc',
    '/mopidy\\rpc',
    '/mopidy/..;/rpc',
    '/mopidy/rpc%00',
    '/mopidy/rpc%20',
    '/mopidy/%72pc',
    '/%6dopidy/rpc',
    '/MOPIDY/rpc',
    '/mopidy/RPC',
    '/Mopidy/Rpc',
    '/mopidy/rp%C1%A3',
    '/mopidy/rpc%',
    '/mopidy/rpc%zz',
    '/players/home%2fmopidy/rpc',
    '/players/../mopidy/rpc',
    '/players/HOME/mopidy/rpc',
    '/players/__proto__/mopidy/rpc',
    '/players//mopidy/rpc',
  ]) {
    test(path, async () => {
      const answer = await raw(house.port, good([], path))
      expect(answer).toMatch(/^HTTP\/1\.1 (404|400) /)
      nothingReached()
    })
  }
  test('H16: no page or part of any player is reachable', async () => {
    for (const path of [
      '/iris/',
      '/iris/http/proxy_request',
      '/mopidy/',
      '/mopidy',
      '/party/',
      '/local/x.jpg',
      '/favicon.ico',
      '/mopidy/ws',
      '/metrics',
    ]) {
      expect((await ask(house.port, { path, headers: { Authorization: 'Bearer ada' } })).status).toBe(404)
    }
  })
  test('a query changes nothing', async () => {
    expect(parse(await raw(house.port, good(['Connection: close'], '/mopidy/rpc?method=x#'))).status).toBe(200)
  })
})

test('H6: a Host that is not ours is 421, none is 400', async () => {
  expect(await raw(house.port, good().replace('Host: localhost', 'Host: evil.example'))).toMatch(/^HTTP\/1\.1 421 /)
  expect(await raw(house.port, good().replace('Host: localhost\r\n', ''))).toMatch(/^HTTP\/1\.1 400 /)
  expect(await raw(house.port, good().replace('Host: localhost\r\n', '').replace('1.1', '1.0'))).toMatch(
    /^HTTP\/1\.1 400 /,
  )
  nothingReached()
  expect((await call(house.port, state, { Host: 'Music.Home:8443' })).status).toBe(200)
})

describe('H7, H9: what others say about the connection is not believed', () => {
  test('no header overrides method, path, host or address', async () => {
    const lies = {
      'X-HTTP-Method-Override': 'DELETE',
      'X-Original-URL': '/auth/me',
      'X-Rewrite-URL': '/auth/me',
      'X-Forwarded-Host': 'evil.example',
      'X-Forwarded-For': '10.9.9.9',
      'X-Forwarded-Proto': 'http',
      Forwarded: 'for=10.9.9.9;host=evil',
      'X-Real-IP': '10.9.9.9',
      'X-Request-Id': 'mine',
      Content_Length: '0',
      X_Auth_User: 'ada',
    }
    const answer = await call(house.port, state, lies)
    expect(answer.status).toBe(200)
    expect(answer.headers.get('x-request-id')).not.toBe('mine')
    expect(house.audit.at(-1)?.from).toBe('127.0.0.1')
  })
  test('the edge counts the socket, not X-Forwarded-For', async () => {
    const small = await openHouse({ limits: { requests: { count: 2, ms: 60_000 } } })
    const from = (n: number) => call(small.port, state, { 'X-Forwarded-For': `10.0.0.${n}` })
    expect([(await from(1)).status, (await from(2)).status]).toEqual([200, 200])
    const { status, headers, json } = await from(3)
    expect([status, json.id, json.error.code, json.error.data.code]).toEqual([429, null, -32029, 'limited'])
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(0)
    expect([
      headers.get('ratelimit-limit'),
      headers.get('ratelimit-remaining'),
      headers.has('ratelimit-reset'),
    ]).toEqual(['2', '0', true])
    expect((await ask(small.port, { path: '/nowhere' })).status).not.toBe(200)
    expect(small.player.heard).toHaveLength(2)
    await small.close()
  })
  test('the edge counts what is not there as well', async () => {
    const small = await openHouse({ limits: { requests: { count: 2, ms: 60_000 } } })
    const statuses = []
    for (let i = 0; i < 3; i++) statuses.push((await ask(small.port, { path: `/${i}` })).status)
    expect(statuses).toEqual([404, 404, 429])
    await small.close()
  })
})

test('a limit that is none is refused at the start, for the limiter would quietly take its own', async () => {
  for (const count of [0, -1, 1.5, Number.NaN, '10', undefined, null]) {
    await expect(openHouse({ limits: { requests: { count: count as number, ms: 1 } } })).rejects.toThrow('requests')
  }
})

test('every answer carries the headers that keep browsers careful, and none that tells the software', async () => {
  for (const answer of [
    await call(house.port, state),
    await ask(house.port, { path: '/nothing' }),
    await ask(house.port, { path: '/' }),
  ]) {
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
    expect(answer.headers.get('referrer-policy')).toBe('no-referrer')
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'")
    expect(answer.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/)
    for (const name of ['server', 'x-powered-by', 'access-control-allow-origin'])
      expect(answer.headers.has(name)).toBe(false)
  }
  const named = await call(house.port, state, { Host: 'music.home' })
  expect(named.headers.get('strict-transport-security')).toContain('max-age=')
})

describe('H17, trap a · connections that dawdle are closed', () => {
  const never = 600_000
  const slow = { headersMs: never, requestMs: never, keepAliveMs: never, silenceMs: never, checkMs: 50 }
  let quick: House
  afterEach(() => quick.close())
  const withOnly = async (limits: Partial<HttpLimits>) => {
    quick = await openHouse({ limits: { ...slow, ...limits } })
  }

  /** Sends a byte now and then, for as long as the other side listens. */
  async function trickle(first: string, drop: string): Promise<string> {
    const socket = await dial(quick.port)
    socket.write(first)
    const timer = setInterval(() => socket.writable && socket.write(drop), 20)
    const answer = await closed(socket)
    clearInterval(timer)
    return answer
  }
  test('in the header', async () => {
    await withOnly({ headersMs: 200 })
    expect(await trickle('GET / HTTP/1.1\r\nHost: localhost\r\n', 'X: y\r\n')).toMatch(/^HTTP\/1\.1 408 /)
  })
  test('before the first byte', async () => {
    await withOnly({ headersMs: 200 })
    await closed(await dial(quick.port))
  })
  test('in the body', async () => {
    await withOnly({ requestMs: 300, headersMs: 300 })
    expect(await trickle(good(['Content-Length: 100000'], undefined, ''), ' ')).toMatch(/^HTTP\/1\.1 408 /)
  })
  test('in a body that is chunked', async () => {
    await withOnly({ requestMs: 300, headersMs: 300 })
    expect(await trickle(good(['Transfer-Encoding: chunked'], undefined, ''), '1\r\n \r\n')).toMatch(/^HTTP\/1\.1 408 /)
  })
  test('in a body that nobody will read, because the sender is unknown', async () => {
    await withOnly({ requestMs: 300, headersMs: 300 })
    const first = good(['Content-Length: 100000'], undefined, '').replace('Bearer ada', 'Bearer eve')
    expect(await trickle(first, ' ')).toMatch(/^HTTP\/1\.1 (401|408) /)
  })
  test('after an answer', async () => {
    await withOnly({ keepAliveMs: 200 })
    expect(await raw(quick.port, good())).toMatch(/^HTTP\/1\.1 200 /)
  })
  test('while they do not read what they asked for', async () => {
    quick = await openHouse({ limits: { ...slow, silenceMs: 300 }, reply: () => 'x'.repeat(20_000_000) })
    const socket = await dial(quick.port)
    socket.pause()
    socket.write(good())
    await expect
      .poll(() => new Promise((resolve) => quick.app.server.getConnections((_, n) => resolve(n))), { timeout: 4_000 })
      .toBe(0)
    socket.destroy()
  })
  test('and all of sixty of them', async () => {
    await withOnly({ headersMs: 200 })
    const answers = await Promise.all(Array.from({ length: 60 }, () => trickle('GET / HTTP/1.1\r\n', 'X: y\r\n')))
    expect(answers).toHaveLength(60)
    expect((await ask(quick.port, { path: '/healthz' })).status).toBe(200)
  })
})

test('answers that nobody reads are kept for one person up to a bound, over all connections', async () => {
  const open = await openHouse({ reply: () => 'x'.repeat(6_000_000) })
  const asked = good(['Connection: close'])
  const slow = await dial(open.port)
  slow.pause()
  slow.write(asked)
  await expect.poll(() => raw(open.port, asked)).toMatch(/^HTTP\/1\.1 429 /)
  expect(await raw(open.port, asked.replace('Bearer ada', 'Bearer kim'))).toMatch(/^HTTP\/1\.1 200 /)
  slow.destroy()
  await expect.poll(() => raw(open.port, asked)).toMatch(/^HTTP\/1\.1 200 /)
  expect(await raw(open.port, asked)).toMatch(/^HTTP\/1\.1 200 /)
  await open.close()
})

test('an error waits for the end of the body, so that who is still sending hears it', async () => {
  const socket = await dial(house.port)
  let heard = ''
  socket.on('data', (chunk: Buffer) => {
    heard += chunk.toString()
  })
  const end = closed(socket)
  socket.write(good(['Content-Length: 200000'], undefined, 'x'.repeat(100_000)).replace('Bearer ada', 'Bearer eve'))
  await expect.poll(() => house.asked).toEqual(['bearer'])
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(heard).toBe('')
  socket.write('x'.repeat(100_000))
  expect(await end).toMatch(/^HTTP\/1\.1 401 /)
})

describe('trap k · no peer takes all the connections', () => {
  test('the one too many is closed at once; room is made when another ends', async () => {
    const small = await openHouse({ limits: { connectionsPerPeer: 3 } })
    const first = await dial(small.port)
    const silent = [await dialPlain(small.port), await dialPlain(small.port)]
    await closed(await dialPlain(small.port))
    first.destroy()
    silent[0]?.destroy()
    await expect
      .poll(() =>
        ask(small.port, { path: '/healthz' }).then(
          ({ status }) => status,
          () => 0,
        ),
      )
      .toBe(200)
    silent[1]?.destroy()
    await small.close()
  })
  test('nor all peers together', async () => {
    const small = await openHouse({ limits: { connections: 2 } })
    const open = [await dial(small.port), await dial(small.port)]
    await closed(await dialPlain(small.port))
    for (const socket of open) socket.destroy()
    await small.close()
  })
})

test('L6, H5: the exact table · every route there is', async () => {
  const routes = house.app.printRoutes({ commonPrefix: false })
  expect(routes.split('\n').filter((line) => /\((GET|POST|HEAD)/.test(line))).toMatchInlineSnapshot(`
    [
      "└── / (GET, HEAD)",
      "    ├── healthz (GET, HEAD)",
      "    ├── readyz (GET, HEAD)",
      "    ├── setup (GET, HEAD, POST)",
      "    ├── page.js (GET, HEAD)",
      "    ├── page.css (GET, HEAD)",
      "    ├── players/home/mopidy/rpc (POST)",
      "    ├── auth/login (POST)",
      "    ├── auth/logout (POST)",
      "    ├── auth/refresh (POST)",
      "    ├── auth/me (GET, HEAD)",
      "    ├── auth/ticket (POST)",
      "    ├── .well-known/jwks.json (GET, HEAD)",
      "    └── mopidy/rpc (POST)",
    ]
  `)
})
