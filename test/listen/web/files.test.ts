import { gzipSync } from 'node:zlib'
import { afterEach, describe, expect, test } from 'vitest'
import { otherClient } from '../../../src/protocol/web/clients.ts'
import { ask, dial, raw } from '../house.ts'
import { file, known, openUpstream, openWebHouse } from './house.ts'

type Upstream = Awaited<ReturnType<typeof openUpstream>>
type House = Awaited<ReturnType<typeof openWebHouse>>
let upstream: Upstream
let house: House

async function open(
  reply?: Parameters<typeof openUpstream>[0],
  options: Omit<Parameters<typeof openWebHouse>[0], 'upstream'> = {},
) {
  upstream = await openUpstream(reply)
  house = await openWebHouse({ upstream, ...options })
}

afterEach(async () => {
  await house.close()
  await upstream.close()
})

const ada = { Authorization: 'Bearer ada' }
const get = (path: string, headers: Record<string, string> = ada) => ask(house.port, { path, headers })

describe('a path', () => {
  test.each([
    '/iris/../mopidy/rpc',
    '/iris/./app.js',
    '/iris/%2e%2e/mopidy/',
    '/iris/%2E%2e/x.js',
    '/iris/..%2fmopidy/x.js',
    '/iris/assets%2fx.js',
    '/iris/%252e%252e/x.js',
    '/iris/%25%32%65/x.js',
    '/iris/..;/x.js',
    '/iris/;a=b/x.js',
    '/iris//x.js',
    '/iris//evil.example/x.js',
    '//iris/x.js',
    '/iris/x.js%00.png',
    '/iris/x%0d%0aHost:%20evil.js',
    '/iris/..\\x.js',
    '/iris/%5c..%5cx.js',
    '/iris/%c0%ae%c0%ae/x.js',
    '/iris/%ff.js',
    '/iris/%',
    '/iris/x.js%',
    '/iris/.git/config.json',
    '/iris/%2ehidden.js',
    '/IRIS/x.js',
    '/%69ris/x.js',
    '/iris',
    '/players/home//iris/x.js',
    '/players/attic/iris/x.js',
    '/players/hom%65/iris/x.js',
    '/players/home/../home/iris/x.js',
  ])('%s: nothing there, and nothing asked', async (path) => {
    await open()
    expect([400, 404]).toContain((await get(path)).status)
    expect(upstream.heard).toEqual([])
  })

  test('of thousands of letters, or dozens of folders: nothing there, and nothing asked', async () => {
    await open()
    for (const path of [`/iris/${'a'.repeat(3000)}.js`, `/iris/${'a/'.repeat(40)}x.js`]) {
      expect((await get(path)).status).toBe(404)
    }
    expect(upstream.heard).toEqual([])
  })

  test.each(['http://evil.example/iris/x.js', 'http://127.0.0.1:6680/iris/x.js', '*', 'evil.example:80', 'iris/x.js'])(
    'the target %s: nothing there, and nothing asked',
    async (path) => {
      await open()
      expect([400, 404]).toContain((await get(path)).status)
      expect(upstream.heard).toEqual([])
    },
  )

  test('is written anew, without its query', async () => {
    await open()
    await get('/iris/assets/caf%c3%a9%20x.png?v=1&../../mopidy/rpc')
    await get('/players/home/mobile/index.html')
    expect(upstream.lines()).toEqual(['GET /iris/assets/caf%C3%A9%20x.png HTTP/1.1', 'GET /mobile/index.html HTTP/1.1'])
  })

  test.each([
    '/other/',
    '/muse/',
    '/mopidy/',
    '/mopidy/clients.html',
    '/iris/http/get_config',
    '/iris/ws',
    '/pibox/x.js',
  ])('%s, which nobody configured as files: nothing there, whoever asks', async (path) => {
    await open()
    for (const headers of [ada, { Authorization: 'Bearer kim' }, {}])
      expect((await get(path, headers)).status).toBe(404)
    expect(upstream.heard).toEqual([])
  })

  test.each(['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE'])('%s of a file: refused', async (method) => {
    await open()
    const { status } = await ask(house.port, { method, path: '/iris/x.js', headers: ada })
    expect([404, 405]).toContain(status)
    expect(upstream.heard).toEqual([])
  })

  test('a list of all pictures, and what is no picture, are not shown', async () => {
    await open()
    for (const path of ['/local/', '/local/x.svg', '/local/x.html', '/local/a/b.png', '/local/x'])
      expect((await get(path)).status).toBe(404)
    expect(upstream.heard).toEqual([])
  })
})

describe('a request', () => {
  test('takes along what we write and nothing else', async () => {
    await open()
    const smuggled = {
      Cookie: '__Host-stagedoor=r-ada; other=1',
      Connection: 'close, x-forwarded-for, host, if-none-match',
      'X-Forwarded-For': '10.0.0.1',
      'X-Forwarded-Host': 'evil.example',
      X_Forwarded_For: '10.0.0.2',
      Forwarded: 'for=10.0.0.3',
      'X-Real-IP': '10.0.0.4',
      'X-Original-URL': '/mopidy/rpc',
      'X-HTTP-Method-Override': 'POST',
      'Proxy-Authorization': 'Basic x',
      Referer: 'https://localhost/?secret',
      'User-Agent': 'me',
      'Accept-Encoding': 'gzip',
      Range: 'bytes=0-1',
      'If-None-Match': '"abc"',
      TE: 'trailers',
    }
    expect((await get('/iris/x.js', { ...ada, ...smuggled })).status).toBe(200)
    const [head = ''] = upstream.heard
    const names = head
      .split('\r\n')
      .slice(1, -2)
      .map((line) => line.split(':')[0]?.toLowerCase())
    expect(names.sort()).toEqual([
      'accept',
      'accept-encoding',
      'connection',
      'host',
      'if-none-match',
      'x-forwarded-for',
      'x-forwarded-host',
      'x-forwarded-proto',
    ])
    expect(head).toContain(`host: 127.0.0.1:${upstream.port}\r\n`)
    expect(head).toContain('accept-encoding: identity\r\n')
    expect(head).toContain(`x-forwarded-host: localhost:${house.port}\r\n`)
    expect(head).toMatch(/x-forwarded-for: fd[0-9a-f]{2}(:[0-9a-f]{4}){7}\r\n/)
    expect(head).not.toMatch(/ada|secret|10\.0\.0|evil/)
  })

  test('of one account has one address after a restart too, and of another one another', async () => {
    const addresses: (string | undefined)[] = []
    for (const who of ['ada', 'ada', 'kim']) {
      await open()
      await get('/iris/x.js', { Authorization: `Bearer ${who}` })
      addresses.push(/x-forwarded-for: (\S+)/.exec(upstream.heard[0] ?? '')?.[1])
      if (addresses.length < 3) await house.close().then(() => upstream.close())
    }
    expect(addresses[0]).toBeDefined()
    expect(addresses[1]).toBe(addresses[0])
    expect(addresses[2]).not.toBe(addresses[0])
  })

  test('with a body: the body stays here', async () => {
    await open()
    await ask(house.port, { path: '/iris/x.js', headers: ada, body: 'POST /mopidy/rpc HTTP/1.1\r\n\r\n' })
    expect(upstream.heard.join('')).not.toContain('POST')
  })

  test('two of one client cost one call, one of another client another', async () => {
    await open()
    for (const path of ['/iris/', '/iris/app.js', '/iris/app.css', '/mobile/index.html']) await get(path)
    expect(house.audit.map(({ operation, capability, outcome }) => [operation, capability, outcome])).toEqual([
      ['GET /iris/', 'status.read', 'allowed'],
      ['GET /mobile/', 'status.read', 'allowed'],
    ])
  })

  test('of somebody else is another call, and so is one a minute later', async () => {
    let now = 1e12
    await open(undefined, { now: () => now })
    await get('/iris/')
    await get('/iris/', { Authorization: 'Bearer kim' })
    expect(house.audit.length).toBe(2)
    now += 61_000
    await get('/iris/')
    expect(house.audit.length).toBe(3)
  })

  test('of somebody who may not: refused, recorded, and nothing asked; one who may no more is noticed at the next file', async () => {
    await open(undefined, { clients: [...known('iris'), otherClient('/admin/', 'server.admin')] })
    const { status, json } = await get('/admin/x.js', { Authorization: 'Bearer kim' })
    expect([status, json.code, json.capability]).toEqual([403, 'forbidden', 'server.admin'])
    expect(upstream.heard).toEqual([])
    expect(house.audit.map(({ outcome, operation }) => [outcome, operation])).toEqual([['denied', 'GET /admin/']])
    await get('/admin/x.js')
    const person = house.people.get('ada')
    if (person) house.people.set('ada', { ...person, roles: ['kid'] })
    expect((await get('/admin/y.js')).status).toBe(403)
    expect(upstream.lines()).toEqual(['GET /admin/x.js HTTP/1.1'])
  })

  test('of a service worker: nothing there', async () => {
    await open()
    expect((await get('/iris/service-worker.js', { ...ada, 'Service-Worker': 'script' })).status).toBe(404)
    expect(upstream.heard).toEqual([])
  })
})

describe('somebody who has not signed in', () => {
  const browser = { Accept: 'text/html,application/xhtml+xml,*/*;q=0.8' }

  test('with a browser is shown where to, and comes back to the very page', async () => {
    await open()
    for (const more of [
      {},
      { 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'document' },
      { Cookie: '__Host-stagedoor=r-nobody' },
    ]) {
      const { status, headers, text } = await get('/iris/queue?x=1', { ...browser, ...more })
      expect([status, headers.get('location'), text]).toEqual([303, '/?next=%2Firis%2Fqueue', ''])
      expect(headers.get('cache-control')).toBe('no-store')
    }
    expect((await get('/players/home/mobile/index.html', browser)).headers.get('location')).toBe(
      '/?next=%2Fplayers%2Fhome%2Fmobile%2Findex.html',
    )
    expect(upstream.heard).toEqual([])
  })

  test.each([
    {},
    { Accept: '*/*' },
    { ...browser, 'Sec-Fetch-Mode': 'cors' },
    { ...browser, 'Sec-Fetch-Mode': 'no-cors', 'Sec-Fetch-Dest': 'script' },
    { ...browser, 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'iframe' },
    { ...browser, Authorization: 'Bearer nobody' },
  ])('with %j is refused', async (headers) => {
    await open()
    expect((await get('/iris/', headers as Record<string, string>)).status).toBe(401)
    expect(upstream.heard).toEqual([])
  })

  test.each(['/iris/%2e%2e/x.html', '/iris//evil.example', '/iris/\\evil.example'])(
    'is shown nowhere by %s',
    async (path) => {
      await open()
      const { headers, status } = await get(path, browser)
      expect([400, 404]).toContain(status)
      expect(headers.get('location')).toBeUndefined()
    },
  )
})

describe('an answer', () => {
  test('brings along what we know and nothing else, and what we say of it', async () => {
    await open(() =>
      file('<p>', {
        'Set-Cookie': '__Host-stagedoor=r-mallory; Path=/; Secure',
        Server: 'TornadoServer/6.2',
        'X-Mopidy-Version': '3.4',
        'Access-Control-Allow-Origin': '*',
        'Content-Security-Policy': 'default-src *',
        'Service-Worker-Allowed': '/',
        'Clear-Site-Data': '"cookies"',
        'Strict-Transport-Security': 'max-age=0',
        Refresh: '0; url=https://evil.example',
        Link: '<https://evil.example/x.js>; rel=preload',
        'Cache-Control': 'public, max-age=315360000',
        'Cross-Origin-Resource-Policy': 'cross-origin',
        'Proxy-Authenticate': 'Basic',
        Etag: '"abc"',
        'Last-Modified': 'Sat, 21 Nov 2026 14:34:27 GMT',
        Connection: 'keep-alive, x-request-id',
        'Keep-Alive': 'timeout=5',
        Trailer: 'x',
        Age: '5',
      }),
    )
    const { status, headers, text } = await get('/iris/')
    expect([status, text]).toEqual([200, '<p>'])
    const told = [...headers.keys()].filter((name) => !/^(date|connection|x-request-id|(x-)?ratelimit-.*)$/.test(name))
    expect(told.sort()).toEqual([
      'cache-control',
      'content-length',
      'content-security-policy',
      'content-type',
      'cross-origin-opener-policy',
      'cross-origin-resource-policy',
      'etag',
      'last-modified',
      'permissions-policy',
      'referrer-policy',
      'x-content-type-options',
    ])
    expect(headers.get('cache-control')).toBe('private, no-cache')
    expect(headers.get('cross-origin-resource-policy')).toBe('same-origin')
  })

  test('a page asks nothing of us but what is its own', async () => {
    await open()
    const policy = (await get('/iris/')).headers.get('content-security-policy') ?? ''
    const here = `localhost:${house.port}`
    expect(policy).not.toContain("'self'")
    expect(policy).toContain(`wss://${here}/mopidy/`)
    expect(policy).toContain(`wss://${here}/players/home/mopidy/`)
    expect(policy).toContain(`script-src https://${here}/iris/`)
    expect(policy).toContain("frame-ancestors 'none'")
    expect(policy).toMatch(/sandbox (?!.*allow-popups)(?!.*allow-top-navigation)[a-z -]+$/)
    const sources = policy.split(/[ ;]+/).filter((source) => source.includes(here))
    expect(
      sources.every((source) => /^(https|wss):\/\/[^/]+(\/players\/home)?\/(iris|mopidy|local)\/$/.test(source)),
    ).toBe(true)
  })

  test('a picture runs nothing and is kept', async () => {
    await open(() => file('png', { 'Content-Type': 'image/png' }))
    const { headers } = await get('/local/abc-300x300.png')
    expect(headers.get('content-security-policy')).toBe("default-src 'none'; sandbox")
    expect(headers.get('cache-control')).toBe('private, max-age=604800')
  })

  test('that has not changed is said so, by ETag and by date', async () => {
    await open((head) => {
      const known = /if-none-match: "abc"|if-modified-since: Sat, 21 Nov 2026 14:34:27 GMT/.test(head)
      return known ? 'HTTP/1.1 304 Not Modified\r\nEtag: "abc"\r\nServer: x\r\n\r\n' : file('x', { Etag: '"abc"' })
    })
    for (const more of [{ 'If-None-Match': '"abc"' }, { 'If-Modified-Since': 'Sat, 21 Nov 2026 14:34:27 GMT' }]) {
      const { status, headers, text } = await get('/iris/app.js', { ...ada, ...more })
      expect([status, text, headers.get('etag')]).toEqual([304, '', '"abc"'])
      expect(headers.get('content-security-policy')).toContain('sandbox')
    }
    expect((await get('/iris/app.js', { ...ada, 'If-None-Match': '"ab\x01c"' })).status).not.toBe(304)
  })

  test('to HEAD is the head of it, and the connection goes on', async () => {
    await open((head) => (head.startsWith('HEAD') ? file('', { 'Content-Length': '12345' }) : file('whole')))
    const { status, headers, text } = await ask(house.port, { method: 'HEAD', path: '/iris/x.js', headers: ada })
    expect([status, headers.get('content-length'), text]).toEqual([200, '12345', ''])
    expect((await get('/iris/x.js')).text).toBe('whole')
    expect(upstream.sockets.size).toBe(1)
  })

  test.each([
    ['index.html', '/mobile/index.html'],
    ['/mobile/index.html', '/mobile/index.html'],
    ['/mobile/index.html?x=1#y', '/mobile/index.html'],
  ])('that the page is at %s is told', async (location, target) => {
    await open(() => file('', { Location: location }, '301 Moved'))
    for (const prefix of ['', '/players/home']) {
      const { status, headers } = await get(`${prefix}/mobile/`)
      expect([status, headers.get('location')]).toEqual([301, prefix + target])
    }
  })

  test.each([
    'https://evil.example/',
    '//evil.example/mobile/index.html',
    '/\\evil.example/',
    '/mopidy/',
    '/iris/index.html',
    '../mopidy/',
    '/mobile/../mopidy/x.html',
    'http://localhost/mobile/index.html',
    'javascript:alert(1)',
    '/mobile/%0d%0aSet-Cookie:x.html',
    'http://a@127.0.0.1/mobile/index.html',
    '',
  ])('that the page is at %j is not, and not gone after', async (location) => {
    await open(() => file('', { Location: location }, '302 Found'))
    const { status, headers } = await get('/mobile/')
    expect([status, headers.get('location')]).toEqual([502, undefined])
    expect(upstream.heard.length).toBe(1)
  })

  test.each([
    ['400 Bad Request', 502],
    ['403 Forbidden', 404],
    ['404 Not Found', 404],
    ['500 Internal Server Error', 502],
    ['503 Service Unavailable', 502],
    ['206 Partial Content', 502],
    ['207 Odd', 502],
    ['101 Switching Protocols', 502],
  ])('%s of the player becomes %i, and what it says stays there; it is asked once', async (said, status) => {
    await open(() => file('Traceback: /home/pi/secret', { 'Retry-After': '0' }, said))
    const answer = await get('/iris/x.js')
    expect([answer.status, answer.json.code]).toEqual([
      status,
      status === 404 ? 'unknown-operation' : 'player-unreachable',
    ])
    expect(answer.text).not.toContain('secret')
    expect(upstream.heard.length).toBe(1)
  })

  test('that is compressed is refused: nobody asked for it', async () => {
    const bomb = gzipSync(Buffer.alloc(10_000_000)).toString('latin1')
    await open(() => file(bomb, { 'Content-Encoding': 'gzip' }))
    expect((await get('/iris/x.js')).status).toBe(502)
  })

  test('that is longer than it may be is refused by its length, and cut where it says none', async () => {
    await open(() => file('', { 'Content-Length': '99999999' }))
    expect((await get('/iris/x.js')).status).toBe(502)
    await house.close()
    await upstream.close()
    await open(
      (_head, socket) => {
        socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/css\r\n\r\n')
        const more = setInterval(() => socket.write('x'.repeat(10_000)), 5)
        socket.on('close', () => clearInterval(more))
        return undefined
      },
      { limits: { bytes: 100_000 } },
    )
    const text = await raw(
      house.port,
      `GET /iris/x.css HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ada\r\n\r\n`,
    )
    expect(text.length).toBeLessThan(300_000)
    expect(text.endsWith('0\r\n\r\n')).toBe(false)
  })

  test('that never begins, or never ends, is waited for so long and no longer', async () => {
    await open(() => undefined, { limits: { silenceMs: 300 } })
    expect((await get('/iris/x.js')).json.code).toBe('player-timeout')
    await house.close()
    await upstream.close()
    await open(
      (_head, socket) => {
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n')
        const more = setInterval(() => socket.write('x'), 20)
        socket.on('close', () => clearInterval(more))
        return undefined
      },
      { limits: { wholeMs: 300 } },
    )
    const { status, text } = await get('/iris/x.js')
    expect(status).toBe(200)
    expect(text.length).toBeLessThan(1000)
  })

  test.each(['HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef', 'nonsense\r\n\r\n', ''])(
    'of %j is none',
    async (answer) => {
      await open((_head, socket) => {
        socket.end(answer)
        return undefined
      })
      expect((await get('/iris/x.js')).status).toBe(502)
    },
  )

  test('that nobody asked for is nobody’s: the next one gets its own', async () => {
    let first = true
    await open(() => {
      const more = first ? file('for somebody else') : ''
      first = false
      return file('asked for') + more
    })
    expect((await get('/iris/x.js')).text).toBe('asked for')
    expect((await get('/iris/y.js', { Authorization: 'Bearer kim' })).text).toBe('asked for')
  })

  test('whoever reads none keeps nobody else waiting', async () => {
    const long = file('x'.repeat(20_000_000), { 'Content-Type': 'text/css' })
    await open((head) => (head.includes('long') ? long : file('short')), {
      limits: { lane: { running: 4, runningEach: 2, costly: 1, waiting: 8, waitingEach: 4, costlyEach: 1 } },
    })
    const idle = await Promise.all([1, 2, 3].map(() => dial(house.port)))
    for (const socket of idle) {
      socket.pause()
      socket.write('GET /iris/long.css HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ada\r\n\r\n')
    }
    await expect.poll(() => upstream.heard.length).toBe(2)
    expect((await get('/iris/x.css', { Authorization: 'Bearer kim' })).text).toBe('short')
    for (const socket of idle) socket.destroy()
  })

  test('does not come when the player is not there', async () => {
    await open()
    await upstream.close()
    const { status, json } = await get('/iris/x.js')
    expect([status, json.code]).toEqual([502, 'player-unreachable'])
  })
})
