import { once } from 'node:events'
import { connect } from 'node:tls'
import { expect } from 'vitest'
import { WebSocketServer } from 'ws'
import { ask, call, dial, ended, exchange, knock, lines, openMpd, openWs, post, statuses } from './clients.ts'
import { attack, type House, heard, openHouse } from './harness.ts'

/** What an attacker would like the player to do; no row lets it through. */
const harm = '{"jsonrpc":"2.0","id":666,"method":"core.mixer.set_volume","params":{"volume":99}}'

/** A whole request that would do harm, with credentials that could. */
function harmful({ owner }: House, more: readonly string[] = []): string {
  return lines(
    [
      'POST /mopidy/rpc HTTP/1.1',
      'Host: 127.0.0.1',
      `Authorization: Bearer ${owner.token}`,
      'Content-Type: application/json',
      `Content-Length: ${harm.length}`,
      ...more,
    ],
    harm,
  )
}

/** Where an origin may be checked: what browsers send on their own. */
async function cookieOf(house: House): Promise<string> {
  const { name, password } = house.owner
  const answer = await ask(house, '/auth/login', { json: { username: name, password, cookie: true } })
  for (const token of [answer.json.access_token, answer.json.refresh_token]) house.keep(String(token))
  return String(answer.headers['set-cookie']).split(';')[0] ?? ''
}

attack('HTTP', [
  {
    id: 'H1',
    attack: 'a length that two readers take for two lengths',
    async run(house) {
      const head = (...more: string[]) => [
        'POST /mopidy/rpc HTTP/1.1',
        'Host: 127.0.0.1',
        `Authorization: Bearer ${house.owner.token}`,
        'Content-Type: application/json',
        ...more,
      ]
      const inner = harmful(house)
      // A good body for whoever takes it for chunked, and another request for whoever does not.
      const fine = '{"jsonrpc":"2.0","id":1,"method":"core.playback.get_state"}'
      const chunked = (ending: string) => `${fine.length.toString(16)}\r\n${fine}\r\n0${ending}\r\n${inner}`
      const tries: string[] = [
        // CL.TE, TE.CL, and every spelling of chunked
        lines(head('Content-Length: 6', 'Transfer-Encoding: chunked'), chunked('\r\n')),
        lines(head('Transfer-Encoding: chunked', 'Content-Length: 4'), chunked('\r\n')),
        ...[
          'xchunked',
          'chunked, identity',
          'identity',
          ',chunked',
          'chunked,',
          '\x0bchunked',
          '"chunked"',
          'chunked;a',
          'gzip',
        ].map((coding) => lines(head(`Transfer-Encoding: ${coding}`), chunked('\r\n'))),
        lines(head('Transfer-Encoding: chunked', 'Transfer-Encoding: identity'), chunked('\r\n')),
        lines(head('Transfer-Encoding : chunked'), chunked('\r\n')),
        lines(head('X: y', ' Transfer-Encoding: chunked'), chunked('\r\n')),
        lines(head('Transfer-Encoding:', '\tchunked'), chunked('\r\n')),
        // Lengths that are none
        ...['+5', '-5', '0x5', '5 5', '5,6', '5;', '1e1', '5\x0b', '99999999999999999999', ''].map((length) =>
          lines(head(`Content-Length: ${length}`), `12345${inner}`),
        ),
        lines(head('Content-Length: 5', 'Content-Length: 6'), `12345${inner}`),
        lines(head('Content-Length: 5', 'Content-Length: 5'), `12345${inner}`),
        // Chunks that are none
        ...['0x0', '-0', 'g', '0;a=\x00', '0;a\nb', '0\n', ' 0', 'fffffffffffffffff'].map((size) =>
          lines(head('Transfer-Encoding: chunked'), `${size}\r\n\r\n${inner}`),
        ),
        // Lines that end for one reader and go on for another
        lines(head('X: a\rY: b'), inner),
        lines(head('X: a\nContent-Length: 0'), inner).replace('X: a\n', 'X: a\x00\n'),
        head('X: a').join('\n'),
        `${head('Content-Length: 0').join('\r\r\n')}\r\n\r\n${inner}`,
        `\x00${inner}`,
        inner.replace('POST /mopidy/rpc HTTP/1.1', 'POST /mopidy/rpc HTTP/1.1 x'),
        inner.replace('HTTP/1.1', 'HTTP/1.1\x00'),
      ]
      const answers = await Promise.all(tries.map((bytes) => exchange(house, `${bytes}\r\n\r\n`)))
      for (const [i, bytes] of tries.entries()) {
        const text = answers[i] ?? ''
        const shown = JSON.stringify(bytes.replaceAll(house.owner.token, '…').slice(0, 160))
        expect(statuses(text), shown).toHaveLength(1)
        expect([400, 408, 413, 501], shown).toContain(statuses(text)[0])
      }
    },
  },
  {
    id: 'H2',
    attack: 'a second request in the packet of one that is refused',
    async run(house) {
      const stranger = lines(
        [
          'POST /mopidy/rpc HTTP/1.1',
          'Host: 127.0.0.1',
          'Content-Type: application/json',
          `Content-Length: ${harm.length}`,
        ],
        harm,
      )
      // Nobody inherits the sign-in of the request before.
      const mine = lines(['GET /auth/me HTTP/1.1', 'Host: 127.0.0.1', `Authorization: Bearer ${house.kid.token}`])
      expect(statuses(await exchange(house, mine + stranger))).toEqual([200, 401])
      // Nor is anything done behind a refusal, even for somebody who may.
      expect(statuses(await exchange(house, stranger + harmful(house)))).toEqual([401])
      const wrong = mine.replace('/auth/me', '/nowhere')
      expect(statuses(await exchange(house, wrong + harmful(house)))).toEqual([404])
      // What is behind a refused upgrade, or behind a body that is too large, is no request.
      const upgrade = lines(['GET /mopidy/ws HTTP/1.1', 'Host: 127.0.0.1', 'Connection: Upgrade', 'Upgrade: websocket'])
      expect(statuses(await exchange(house, upgrade + harmful(house)))).toEqual([426])
      const large = harmful(house).replace(/Content-Length: \d+/, 'Content-Length: 300000')
      const behind = `${large}${'x'.repeat(300_000 - harm.length)}${harmful(house)}`
      expect(statuses(await exchange(house, behind))).toEqual([413])
    },
  },
  {
    id: 'H3',
    attack: 'other protocols in place of HTTP/1.1',
    async run(house) {
      const head = ['Host: 127.0.0.1', 'Connection: close']
      const h2c = ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA']
      expect(
        statuses(
          await exchange(house, lines(['GET /healthz HTTP/1.1', 'Host: 127.0.0.1', ...h2c, 'Connection: close'])),
        ),
      ).toEqual([200])
      for (const [first, ...allowed] of [
        ['PRI * HTTP/2.0', 400],
        ['CONNECT 127.0.0.1:6680 HTTP/1.1', 400, 404, 405],
        ['TRACE /auth/me HTTP/1.1', 400, 404, 405],
        ['OPTIONS * HTTP/1.1', 400, 404, 405],
        ['PROPFIND / HTTP/1.1', 404, 405],
        ['DEBUG / HTTP/1.1', 400],
      ] as const) {
        const text = await exchange(house, lines([first, ...head]))
        const [status = 0] = statuses(text)
        // A tunnel that nobody opens ends without a word.
        if (text !== '') expect(allowed, first).toContain(status)
        expect(text).not.toContain('dangerous')
      }
      const socket = connect({ host: '127.0.0.1', port: house.https, ca: house.ca, ALPNProtocols: ['h2', 'http/1.1'] })
      await new Promise((resolve) => socket.once('secureConnect', resolve))
      expect(socket.alpnProtocol).toBe('http/1.1')
      socket.destroy()
    },
  },
  {
    id: 'H4',
    attack: 'a target that names another host, or one of ours in other words',
    async run(house) {
      for (const target of [
        'http://127.0.0.1:6680/mopidy/rpc',
        'https://127.0.0.1/mopidy/rpc',
        '//evil.example/mopidy/rpc',
        'http://user:pass@127.0.0.1/mopidy/rpc',
        '*',
        '/mopidy/rpc#x',
        '/mopidy/rpc;x=y',
        'mopidy/rpc',
        '/\\evil.example/mopidy/rpc',
        '/@evil.example/mopidy/rpc',
      ]) {
        const bytes = harmful(house, ['Connection: close']).replace('POST /mopidy/rpc', `POST ${target}`)
        expect([400, 404, 405], target).toContain(statuses(await exchange(house, bytes))[0])
      }
    },
  },
  {
    id: 'H5',
    attack: 'a path that becomes another by decoding',
    async run(house) {
      for (const path of [
        '/mopidy/%72pc',
        '/mopidy%2frpc',
        '/mopidy%5crpc',
        '/mopidy/./rpc',
        '/x/../mopidy/rpc',
        '/x/..;/mopidy/rpc',
        '/x/%2e%2e/mopidy/rpc',
        '/x/%252e%252e/mopidy/rpc',
        '/mopidy//rpc',
        '/mopidy/rpc/',
        '/mopidy/rpc%00',
        '/mopidy/rpc%20',
        '/mopidy/rpc%',
        '/mopidy/rpc%c0%af',
        '/mopidy/rpc%ff',
        '/Mopidy/rpc',
        '/MOPIDY/RPC',
        '/players/home/../home/mopidy/rpc',
        '/players/%68ome/mopidy/rpc',
        '/players/Home/mopidy/rpc',
        '/players/constructor/mopidy/rpc',
        '/players//mopidy/rpc',
      ]) {
        const { status } = await post(house, house.owner.token, harm, { headers: {} }).then(() =>
          ask(house, path, { token: house.owner.token, body: harm }),
        )
        expect([400, 404], path).toContain(status)
      }
    },
    reaches: [/^core\.mixer\.set_volume \{"volume":99\}$/],
  },
  {
    id: 'H6',
    attack: 'a Host that is missing, doubled or somebody else’s (DNS rebinding)',
    async run(house) {
      const asked = (...hosts: string[]) =>
        exchange(house, lines(['GET /healthz HTTP/1.1', ...hosts.map((host) => `Host: ${host}`), 'Connection: close']))
      expect(statuses(await asked('127.0.0.1'))).toEqual([200])
      for (const hosts of [
        [],
        [''],
        ['127.0.0.1', '127.0.0.1'],
        ['127.0.0.1', 'evil.example'],
        ['a b'],
        ['127.0.0.1/x'],
        ['u@127.0.0.1'],
      ]) {
        expect(statuses(await asked(...hosts)), String(hosts)).toEqual([400])
      }
      for (const host of ['evil.example', 'localhost.evil.example', '127.0.0.1.nip.io', 'evil.example:8443', '.']) {
        expect(statuses(await asked(host)), host).toEqual([421])
      }
      const upgrade = ['GET /mopidy/ws HTTP/1.1', 'Host: evil.example', 'Connection: Upgrade', 'Upgrade: websocket']
      expect(statuses(await exchange(house, lines(upgrade)))).toEqual([421])
    },
  },
  {
    id: 'H7',
    attack: 'headers that claim another origin of the request, another method or another path',
    async run(house) {
      const claims = {
        'x-forwarded-for': '127.0.0.1',
        'x-real-ip': '127.0.0.1',
        forwarded: 'for=127.0.0.1;host=evil.example',
        'x-forwarded-host': 'evil.example',
        'x-original-url': '/healthz',
        'x-rewrite-url': '/healthz',
        'x-http-method-override': 'GET',
        'x-method-override': 'GET',
      }
      const { status } = await ask(house, '/auth/me', { headers: claims })
      expect(status).toBe(401)
      expect(
        await ask(house, '/mopidy/rpc', { method: 'GET', headers: { ...claims, 'x-http-method-override': 'POST' } }),
      ).toMatchObject({ status: 405 })
      // Guesses of one address stay of one address, and the record has the address that was.
      const guessed = []
      for (let i = 0; i < 8; i++) {
        const headers = { 'x-forwarded-for': `10.0.0.${i}`, 'x-real-ip': `10.0.0.${i}`, forwarded: `for=10.0.0.${i}` }
        guessed.push(
          (await ask(house, '/auth/login', { headers, json: { username: `h7-${i}`, password: 'wrong' } })).status,
        )
      }
      expect(guessed.filter((one) => one === 401).length).toBeLessThanOrEqual(5)
      expect(guessed.at(-1)).toBe(429)
      expect(house.log.filter(({ kind, from }) => kind === 'login' && String(from).startsWith('10.'))).toEqual([])
      expect(house.log.filter(({ kind, from }) => kind === 'login' && from === house.from)).toHaveLength(8)
    },
  },
  {
    id: 'H8',
    attack: 'Connection names the headers that say who one is',
    async run(house) {
      for (const named of ['authorization', 'close, authorization, host', 'x-auth-user, cookie']) {
        const me = await ask(house, '/auth/me', { token: house.kid.token, headers: { connection: named } })
        expect(me.json).toMatchObject({ name: house.kid.name, roles: ['kid'] })
        expect((await ask(house, '/auth/me', { headers: { connection: named } })).status).toBe(401)
      }
    },
  },
  {
    id: 'H9',
    attack: 'twins of headers, and values that are more than one line',
    async run(house) {
      const twins = {
        x_auth_user: house.owner.name,
        'x-auth-user': house.owner.name,
        'x-remote-user': house.owner.name,
        remote_user: house.owner.name,
        authorization_: `Bearer ${house.owner.token}`,
        content_length: '0',
        transfer_encoding: 'chunked',
        'x-roles': 'owner',
      }
      expect((await ask(house, '/auth/me', { headers: twins })).status).toBe(401)
      const me = await ask(house, '/auth/me', { headers: twins, token: house.kid.token })
      expect(me.json).toMatchObject({ name: house.kid.name })
      for (const value of ['a\x00b', 'a\rb', 'a\x01b', 'a\x7fb']) {
        const bytes = lines(['GET /healthz HTTP/1.1', 'Host: 127.0.0.1', `X-Evil: ${value}`])
        expect(statuses(await exchange(house, bytes)), JSON.stringify(value)).toEqual([400])
      }
      const many = Array.from({ length: 150 }, (_, i) => `X-${i}: y`)
      expect(statuses(await exchange(house, lines(['GET /healthz HTTP/1.1', 'Host: 127.0.0.1', ...many])))).toEqual([
        431,
      ])
    },
  },
  {
    id: 'H10',
    attack: 'the client’s credentials are handed on to the player',
    reaches: [/^core\.mixer\.get_volume \{\}$/],
    async run(house) {
      const headers = { cookie: 'a=canary-cookie', 'x-canary': 'canary-header', 'user-agent': 'canary-agent' }
      await post(house, house.owner.token, harm.replace('set_volume', 'get_volume').replace(/,"params.*/, '}'), {
        headers,
      })
      const ws = await openWs(house, { token: house.owner.token, headers })
      await ws.rpc({ jsonrpc: '2.0', id: 1, method: 'core.playback.get_state' })
      ws.close()
      const sent = Object.values(house.demo.received).flat().join('\n')
      expect(sent).toContain('core.playback.get_state')
      expect(sent).not.toMatch(/canary|authorization|cookie|user-agent|x-/i)
      expect(sent).not.toContain(house.owner.name)
    },
  },
  {
    id: 'H11',
    attack: 'content types that a browser may send unasked, or that skip a check',
    async run(house) {
      const types = [
        'text/plain',
        'application/x-www-form-urlencoded',
        'multipart/form-data; boundary=x',
        'application/json\t; charset=utf-8',
        'application/json;charset=utf-16',
        'application/json, text/plain',
        'application/JSON',
        'application/json;',
        'application/jsonx',
        'text/json',
        '',
      ]
      for (const type of types) {
        for (const path of ['/mopidy/rpc', '/auth/login']) {
          const body = path === '/mopidy/rpc' ? harm : '{"username":"a","password":"b"}'
          const headers = { 'content-type': type }
          const { status } = await ask(house, path, { token: house.owner.token, body, headers })
          expect([400, 415], `${path} ${type}`).toContain(status)
        }
      }
      const twice = harmful(house, ['Content-Type: text/plain'])
      expect(statuses(await exchange(house, twice))).toEqual([400])
      const none = harmful(house, ['Connection: close']).replace('Content-Type: application/json\r\n', '')
      expect(statuses(await exchange(house, none))).toEqual([415])
    },
  },
  {
    id: 'H12',
    attack: 'a page of another origin uses the browser’s cookie, or asks for leave to',
    async run(house) {
      const cookie = await cookieOf(house)
      const own = `https://127.0.0.1:${house.https}`
      for (const origin of [
        'https://evil.example',
        'null',
        'file://',
        own.replace('https', 'http'),
        `${own}.evil.example`,
        'https://127.0.0.1:1',
      ]) {
        for (const [path, body] of [
          ['/mopidy/rpc', harm],
          ['/auth/refresh', '{}'],
          ['/auth/ticket', '{}'],
          ['/auth/logout', '{}'],
        ] as const) {
          const answer = await ask(house, path, { headers: { cookie, origin }, body })
          expect(answer.status, `${path} from ${origin}`).toBe(403)
          expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control'))).toEqual([])
        }
        expect((await ask(house, '/auth/me', { headers: { cookie, origin } })).status).toBe(403)
        const login = { headers: { origin }, json: { username: 'a', password: 'b', cookie: true } }
        expect((await ask(house, '/auth/login', login)).status).toBe(403)
        const asks = {
          origin,
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'authorization',
        }
        const preflight = await ask(house, '/mopidy/rpc', { method: 'OPTIONS', headers: asks })
        expect(preflight.status).toBe(405)
        expect(Object.keys(preflight.headers).filter((name) => name.startsWith('access-control'))).toEqual([])
      }
      // A POST by a browser always names its page.
      expect((await ask(house, '/mopidy/rpc', { headers: { cookie }, body: harm })).status).toBe(403)
      const me = await ask(house, '/auth/me', { headers: { cookie, origin: own } })
      expect(me.json).toMatchObject({ name: house.owner.name })
      const basic = `Basic ${Buffer.from(`${house.owner.name}:${house.owner.token}`).toString('base64')}`
      house.keep(basic.slice(6))
      const evil = { authorization: basic, origin: 'https://evil.example' }
      expect((await ask(house, '/mopidy/rpc', { headers: evil, body: harm })).status).toBe(403)
    },
  },
  {
    id: 'H13',
    attack: 'the player’s tracebacks, paths and versions in errors',
    reaches: [/^core\.tracklist\.move /, /^moveid |^move /],
    async run(house) {
      house.demo.faults.traceback = true
      house.demo.faults.only = /move/
      const move = {
        jsonrpc: '2.0',
        id: 1,
        method: 'core.tracklist.move',
        params: { start: 5, end: 6, to_position: 9 },
      }
      const ws = await openWs(house, { token: house.member.token })
      const mpd = await openMpd(house, { token: house.member.token })
      const over = await ask(house, '/mopidy/rpc', { token: house.member.token, json: move })
      expect(over.json.error?.data).toHaveProperty('type', 'AssertionError')
      const said = JSON.stringify([over.text, over.headers, await ws.rpc(move), await mpd.ask('move 5 9\n')])
      expect(said).not.toMatch(/Traceback|\/usr|\.py|dist-packages|Mopidy-Version|fastify|node/i)
      house.demo.faults.html = true
      const html = await ask(house, '/mopidy/rpc', { token: house.member.token, json: move })
      expect(html.json.error?.code).toBe(-32010)
      expect(html.text).not.toMatch(/<html|500: OK/)
      ws.close()
      mpd.close()
    },
    disturbs: true,
  },
  {
    id: 'H14',
    attack: 'a player that never answers, answers half, or answers what is none',
    reaches: [/^core\.(playback\.get_stream_title|history\.get_length|get_uri_schemes|tracklist\.get_length) \{\}$/],
    disturbs: true,
    async run(house) {
      const { token } = house.member
      const { faults } = house.demo
      faults.only = /get_stream_title/
      faults.hang = true
      const hanging = call(house, token, 'core.playback.get_stream_title')
      expect(await call(house, token, 'core.history.get_length'), 'others need not wait').toBe(0)
      expect(await hanging).toBe(-32011)
      delete faults.hang
      for (const fault of ['half', 'html', 'nan', 'crash'] as const) {
        await expect.poll(() => call(house, token, 'core.history.get_length'), { timeout: 5_000 }).toBe(0)
        faults[fault] = true
        expect([-32010, -32011], fault).toContain(await call(house, token, 'core.playback.get_stream_title'))
        delete faults[fault]
      }
    },
  },
  {
    id: 'H15',
    attack: 'a player that answers what nobody asked, or one question with the id of another',
    disturbs: true,
    async run() {
      const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
      server.on('connection', (socket) => {
        // All the answers there will be, before the first question.
        for (let id = 1; id < 200; id++) socket.send(JSON.stringify({ jsonrpc: '2.0', id, result: 'smuggled' }))
        socket.on('message', (data) => {
          const { id, method } = JSON.parse(String(data))
          const answer = JSON.stringify({ jsonrpc: '2.0', id, result: method })
          socket.send(answer)
          socket.send(answer.replace(method, 'smuggled'))
          socket.send(JSON.stringify({ jsonrpc: '2.0', id: id + 1, result: 'smuggled' }))
          socket.send(JSON.stringify({ event: 'evil_event', secret: 'smuggled' }))
        })
      })
      await once(server, 'listening')
      const { port } = server.address() as { port: number }
      const house = await openHouse({ people: 1, http: `http://127.0.0.1:${port}` })
      try {
        await expect.poll(() => call(house, house.owner.token, 'core.history.get_length'), { timeout: 5_000 }).toBe(0)
        const ws = await openWs(house, { token: house.owner.token })
        for (const method of ['core.playback.get_state', 'core.mixer.get_volume', 'core.history.get_length']) {
          expect(await ws.rpc({ jsonrpc: '2.0', id: 7, method })).toMatchObject({ id: 7, result: method })
        }
        expect(ws.texts.join()).not.toContain('smuggled')
        ws.close()
      } finally {
        await house.close()
        for (const socket of server.clients) socket.terminate()
        server.close()
      }
    },
  },
  {
    id: 'H16',
    attack: 'the player’s own pages and what its extensions serve',
    async run(house) {
      for (const path of [
        '/iris/http/proxy_request',
        '/iris/',
        '/mopidy/',
        '/mopidy',
        '/mopidy/api',
        '/party',
        '/local/x',
        '/images/x',
        '/metrics',
        '/players/home/',
        '/.git/config',
        '/data/accounts.sqlite',
      ]) {
        const { status } = await ask(house, path, { token: house.owner.token })
        expect(status, path).toBe(404)
      }
      expect(heard(house).filter((line) => line.startsWith('GET'))).toEqual([])
    },
  },
  {
    id: 'H17',
    attack: 'connections that dawdle: no handshake, no header, a dripping header, no body, nothing after an answer',
    async run(house) {
      const tcp = await knock(house, 'https')
      const [silent, dripping, bodiless, kept] = await Promise.all([1, 2, 3, 4].map(() => dial(house, 'https')))
      const drip = setInterval(() => dripping?.write('X: y\r\n'), 500)
      dripping?.write('GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n')
      bodiless?.write(harmful(house).slice(0, -5))
      kept?.write(lines(['GET /healthz HTTP/1.1', 'Host: 127.0.0.1']))
      // Each ends by itself; this test would wait forever for one that does not.
      const all = await Promise.all([tcp, silent, dripping, bodiless, kept].map((socket) => socket && ended(socket)))
      clearInterval(drip)
      expect(all.map((text) => statuses(text ?? '')[0])).toEqual([undefined, 408, 408, 408, 200])
    },
  },
])
