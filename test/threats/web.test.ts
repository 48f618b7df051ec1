import { once } from 'node:events'
import { expect } from 'vitest'
import { until } from '../real/tools.ts'
import { type Answer, ask, dial, exchange, frame, knockWs, lines, openWs, statuses, type WsClient } from './clients.ts'
import { attack, type House, type HouseOptions, type OpenHouse, openHouse, type Person } from './harness.ts'
import { startWebStub, type WebStub } from './stub.ts'

let stub: WebStub

/** The demo player, with web clients before it. */
async function openWebHouse(options: HouseOptions): Promise<OpenHouse> {
  let demo = ''
  stub = await startWebStub(() => demo)
  const house = await openHouse({
    ...options,
    beside: [stub],
    http: stub.url,
    change: (config) => ({
      ...config,
      players: new Map(
        [...config.players].map(([name, player]) => [
          name,
          { ...player, web: ['iris', 'mobile', 'party', 'pibox', 'local', 'musicbox_webclient', { path: '/other/' }] },
        ]),
      ) as typeof config.players,
      roles: { ...config.roles, screen: { grants: [{ allow: ['status.read'] }] } },
    }),
  })
  demo = house.demo.http
  await until(async () => (await ask(house, '/readyz')).status === 200)
  const close = async () => {
    await house.close()
    await stub.close()
  }
  return { ...house, close }
}

const get = (house: House, path: string, token: string | undefined, headers = {}): Promise<Answer> =>
  ask(house, path, { method: 'GET', headers, ...(token !== undefined && { token }) })
const json = (text: string) => ({ body: text, method: 'POST' })
const people = ({ owner, member, guest, kid }: House): readonly Person[] => [owner, member, guest, kid]

async function cookieOf(house: House, { name, password }: Person): Promise<string> {
  const answer = await ask(house, '/auth/login', { json: { username: name, password, cookie: true } })
  for (const token of [answer.json.access_token, answer.json.refresh_token]) house.keep(String(token))
  return String(answer.headers['set-cookie']).split(';')[0] ?? ''
}

/** Iris' socket, as one of its pages opens it. */
function openIris(house: House, { token }: Person): Promise<WsClient> {
  return openWs(house, { path: '/iris/ws', token, from: house.address() })
}

const call = (method: string, params: unknown = {}) => ({ jsonrpc: '2.0', id: 1, method, params })

/** What Iris does to the machine: never, by nobody; and by the owner alone. */
const nobodys = [
  'run_command',
  'set_commands',
  'set_shared_config',
  'get_data',
  'set_data',
  'load_from_file',
  'save_to_file',
  'get_spotify_token',
  'refresh_spotify_token',
  'do_fetch',
  'start',
  'stop',
  'setup',
]
const owners = ['restart', 'upgrade', 'local_scan', 'test']

/** The addresses that voters were counted by. */
const voters = () => stub.asked.map(({ headers }) => String(headers['x-forwarded-for']))

attack(
  'the web clients',
  [
    {
      id: 'C1',
      attack: 'what a browser sends along, handed to the player',
      reaches: [
        /^GET \/(?:iris|other|party|mobile)\/[\w.]*$/,
        /^GET \/local\/a\.png$/,
        /^POST \/party\/add local:track:a$/,
        /^GET \/party\/vote$/,
        /^WS \/iris\/ws\/$/,
      ],
      async run(house) {
        const cookie = await cookieOf(house, house.member)
        const more = {
          authorization: `Bearer ${house.member.token}`,
          'proxy-authorization': `Basic ${house.member.token}`,
          'x-forwarded-for': '192.168.1.1',
          'x-forwarded-host': 'evil.example',
          'x-forwarded-proto': 'http',
          forwarded: 'for=192.168.1.1;host=evil.example',
          'x-real-ip': '192.168.1.1',
          'x-original-url': '/mopidy/rpc',
          'x-http-method-override': 'POST',
          'x-pibox-fingerprint': 'somebody',
          x_forwarded_for: '192.168.1.1',
          range: 'bytes=0-1',
          referer: 'https://127.0.0.1/?secret',
          'accept-encoding': 'gzip, br',
          te: 'trailers',
          cookie: `other=1; ${cookie}; session=2`,
        }
        for (const path of [
          '/iris/',
          '/iris/app.js',
          '/other/x.html',
          '/local/a.png',
          '/players/home/iris/app.js',
          '/party/vote',
        ]) {
          const { status } = await get(house, path, undefined, more)
          expect(status, path).toBe(200)
        }
        const { status } = await ask(house, '/party/add', {
          ...json('local:track:a'),
          headers: { ...more, 'content-type': 'text/plain' },
        })
        expect(status).toBe(200)
        const { 'x-forwarded-for': _f, ...rest } = more
        const ws = await openWs(house, {
          path: '/iris/ws',
          token: house.member.token,
          headers: { ...rest, origin: 'https://127.0.0.1' } as never,
        })
        await until(() => stub.iris.length === 1)
        ws.close()
        // A header that says which headers are to be dropped on the way.
        await get(house, '/mobile/', house.member.token, {
          connection: 'close, x-forwarded-for, x-forwarded-host, host',
        })
        expect(new Set(voters().slice(-8)).size).toBe(1)
      },
    },
    {
      id: 'C2',
      attack: 'what the player sends along, handed to a browser',
      reaches: [/^GET \/(?:iris|mobile|local)\/[\w.]*$/, /^POST \/iris\/http\/stop_radio \{\}$/],
      async run(house) {
        stub.trick = (_, response) => {
          response.writeHead(200, {
            'content-type': 'text/html',
            'set-cookie': ['__Host-stagedoor=x; Path=/; Secure', 'a=b'],
            server: 'TornadoServer/6',
            'access-control-allow-origin': '*',
            'access-control-allow-credentials': 'true',
            'content-security-policy': 'default-src *',
            'x-powered-by': 'x',
            link: '</x>; rel=preload',
            refresh: '0; url=https://evil.example',
            'clear-site-data': '"*"',
            'service-worker-allowed': '/',
            'strict-transport-security': 'max-age=0',
            'public-key-pins': 'x',
            'www-authenticate': 'Basic',
            'alt-svc': 'h2="evil.example:443"',
            nel: '{}',
            'cache-control': 'public, max-age=31536000',
            'x-frame-options': 'ALLOWALL',
            location: 'https://evil.example/',
            etag: '"a"',
          })
          response.end('{"jsonrpc":"2.0","id":1,"result":{"message":"done"}}')
          return true
        }
        const known = new Set(
          'connection content-length content-type date keep-alive transfer-encoding etag last-modified cache-control content-security-policy cross-origin-opener-policy cross-origin-resource-policy permissions-policy referrer-policy strict-transport-security x-content-type-options x-frame-options x-request-id'.split(
            ' ',
          ),
        )
        for (const [path, options] of [
          ['/iris/', {}],
          ['/mobile/x.js', {}],
          ['/local/a.png', {}],
          ['/iris/http/stop_radio', json('{}')],
        ] as const) {
          const { status, headers } = await ask(house, path, { token: house.owner.token, ...options })
          expect(status, path).toBeLessThan(503)
          expect(
            Object.keys(headers).filter((name) => !known.has(name)),
            path,
          ).toEqual([])
          expect(headers['cache-control'], path).toMatch(/private|no-store/)
          expect(headers['strict-transport-security'] ?? 'max-age=1').not.toMatch(/max-age=0\b/)
          expect(headers['content-security-policy'] ?? '').not.toMatch(/\*/)
        }
      },
    },
    {
      id: 'C3',
      attack: "Iris' commands to the machine, by a member and by the owner",
      reaches: [
        /^WS \/iris\/ws\/$/,
        /^iris (?:restart|upgrade|local_scan|test) \{\}$/,
        /^POST \/iris\/http\/(?:restart|upgrade|local_scan|test) \{\}$/,
      ],
      async run(house) {
        for (const person of people(house)) {
          const mayAdmin = person === house.owner
          const ws = await openIris(house, person)
          for (const method of [...nobodys, ...(mayAdmin ? [] : owners)]) {
            const given = owners.includes(method) ? {} : { url: 'http://169.254.169.254/', commands: {}, id: 'x' }
            const { error } = await ws.rpc(call(method, given))
            expect(error?.code, `${person.name} ${method}`).toBe(-32003)
            const path = `/iris/http/${method}`
            expect((await ask(house, path, { token: person.token, ...json('{}') })).status, path).toBe(403)
            expect([403, 404, 405], path).toContain((await get(house, `${path}?id=x`, person.token)).status)
          }
          ws.close()
          const alarms = house.log.filter(({ account, reason }) => account === person.id && reason === 'alarm')
          expect(alarms.length, person.name).toBeGreaterThanOrEqual(20)
        }
        // The owner may do what the owner may, and not by an address that a page can lead a browser to.
        const ws = await openIris(house, house.owner)
        for (const method of owners) {
          expect(await ws.rpc(call(method))).toHaveProperty('result')
          expect((await ask(house, `/iris/http/${method}`, { token: house.owner.token, ...json('{}') })).status).toBe(
            200,
          )
          expect((await get(house, `/iris/http/${method}`, house.owner.token)).status).toBe(403)
        }
        ws.close()
        expect(await knockWs(house, { path: '/iris/ws', from: house.address() })).toBe(401)
        for (const method of [...nobodys, ...owners]) {
          expect((await ask(house, `/iris/http/${method}`, json('{}'))).status, method).toBe(401)
        }
      },
    },
    {
      id: 'C4',
      attack: 'paths of the player that no catalog has, by the owner',
      async run(house) {
        for (const path of [
          '/mopidy/',
          '/mopidy/clients.html',
          '/mopidy/mopidy.js',
          '/muse/',
          '/muse/index.html',
          '/unknown/',
          '/iris/http/proxy_request',
          '/iris/http/proxy',
          '/iris/http/',
          '/iris/http',
          '/iris/http/__class__',
          '/iris/http/constructor',
          '/iris/http/Run_command',
          '/iris/http/get_config/x',
          '/iris/ws/x',
          '/party/voteX',
          '/party/vote/',
          '/party/Vote',
          '/party/config/x',
          '/party/config.json/../add',
          '/pibox/api/unknown',
          '/pibox/api/',
          '/pibox/config/x',
          '/local/',
          '/local/playlist.m3u',
          '/local/a/b.png',
          '/local/index.html',
          '/other/ws',
          '/other/api',
          '/other/http/run',
          '/images/a.png',
          '/tidal/login',
          '/httpclient/',
          '/players/home/mopidy/',
          '/players/other/iris/',
          '/players/iris/',
        ]) {
          for (const method of ['GET', 'POST', 'DELETE']) {
            const { status } = await ask(house, path, { method, token: house.owner.token })
            expect([404, 405], `${method} ${path}`).toContain(status)
          }
        }
        // The settings of the machine's own client are known, and nobody's.
        for (const path of ['/settings/', '/settings/password', '/settings/%2e']) {
          expect([403, 404], path).toContain((await get(house, path, house.owner.token)).status)
        }
        expect((await ask(house, '/settings/reboot', { method: 'POST', token: house.member.token })).status).toBe(403)
        for (const path of ['/mopidy', '/iris', '/party/ws', '/other/ws', '/iris/ws2', '/muse/ws', '/ws']) {
          expect(await knockWs(house, { path, token: house.owner.token, from: house.address() }), path).toBe(404)
        }
      },
    },
    {
      id: 'C5',
      attack: 'paths that become others by decoding',
      async run(house) {
        for (const path of [
          '/iris/../mopidy/rpc',
          '/iris/%2e%2e/mopidy/',
          '/iris/.%2e/mopidy/x.js',
          '/iris/..%2fmopidy%2fx.js',
          '/iris/%2e%2e%2fx.js',
          '/iris/%252e%252e/x.js',
          '/iris/%25252e/x.js',
          '/iris/a%2fb.js',
          '/iris/a%5cb.js',
          '/iris\\..\\x.js',
          '/iris/..;/x.js',
          '/iris;/x.js',
          '/iris//evil.example/x.js',
          '//iris/x.js',
          '/iris/x.js%00',
          '/iris/x.js%00.png',
          '/iris/x%0a.js',
          '/iris/%c0%ae%c0%ae/x.js',
          '/iris/%u002e/x.js',
          '/iris/%ff.js',
          '/iris/%',
          '/iris/.env',
          '/iris/.git/config.json',
          '/iris/ws.js/../ws',
          '/iris/HTTP/run_command.js',
          '/iris/http/run_command.js',
          '/iris/%68ttp/run_command',
          '/iris/%68ttp/run_command.js',
          '/IRIS/x.js',
          '/%69ris/x.js',
          '/local/..%2f..%2fetc%2fpasswd.png',
          '/local/%2e%2e.png/../x.png',
          '/local/a%2f..%2fb.png',
          `/iris/${'a/'.repeat(40)}x.js`,
          `/iris/${'a'.repeat(4000)}.js`,
        ]) {
          for (const prefix of ['', '/players/home']) {
            const said = await exchange(
              house,
              lines([
                `GET ${prefix}${path} HTTP/1.1`,
                'Host: 127.0.0.1',
                'Connection: close',
                `Authorization: Bearer ${house.owner.token}`,
              ]),
            )
            expect([400, 403, 404, 405, 414], `${prefix}${path}`).toContain(statuses(said)[0])
          }
        }
        for (const target of [
          'http://evil.example/iris/x.js',
          `http://127.0.0.1:${new URL(stub.url).port}/iris/x.js`,
          '*',
          '/iris/x.js#/../y',
        ]) {
          const said = await exchange(
            house,
            lines([
              `GET ${target} HTTP/1.1`,
              'Host: 127.0.0.1',
              'Connection: close',
              `Authorization: Bearer ${house.owner.token}`,
            ]),
          )
          expect([400, 404, 421], target).toContain(statuses(said)[0])
        }
      },
    },
    {
      id: 'C6',
      attack: 'doing something with a file, and sending bodies along',
      async run(house) {
        const { token } = house.owner
        for (const path of ['/iris/', '/iris/x.js', '/mobile/', '/other/x.html', '/local/a.png']) {
          for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'PROPFIND', 'MKCOL']) {
            const { status } = await ask(house, path, { method, token, ...(method === 'POST' && { body: '{}' }) })
            expect([404, 405, 501], `${method} ${path}`).toContain(status)
          }
          const smuggled = `GET /mopidy/rpc HTTP/1.1\r\nHost: x\r\n\r\n`
          const said = await exchange(
            house,
            lines(
              [
                `GET ${path} HTTP/1.1`,
                'Host: 127.0.0.1',
                'Connection: close',
                `Authorization: Bearer ${token}`,
                `Content-Length: ${smuggled.length}`,
              ],
              smuggled,
            ),
          )
          expect(statuses(said).length, path).toBe(1)
          expect([200, 400, 413], path).toContain(statuses(said)[0])
        }
      },
      reaches: [/^GET \/(?:iris|mobile|other|local)\/[\w.]*$/],
    },
    {
      id: 'C7',
      attack: 'a foreign page in a browser that is signed in votes, adds and restarts',
      reaches: [/^GET \/party\/vote$/],
      async run(house) {
        const cookie = await cookieOf(house, house.owner)
        const pages = ['https://evil.example', 'null', 'http://127.0.0.1', 'https://127.0.0.1:1']
        const changes = [
          ['/party/add', { ...json('local:track:a'), headers: { 'content-type': 'text/plain' } }],
          ['/iris/http/restart', json('{}')],
          ['/iris/http/stop_radio', json('{}')],
          ['/pibox/api/vote', json('{"uri":"local:track:a"}')],
          ['/pibox/api/session', { method: 'DELETE' }],
          ['/settings/reboot', { method: 'POST' }],
        ] as const
        for (const [path, options] of changes) {
          const given: Parameters<typeof ask>[2] = options
          for (const origin of [...pages, undefined]) {
            const headers = { ...given?.headers, cookie, ...(origin !== undefined && { origin }) }
            expect((await ask(house, path, { ...given, headers })).status, `${origin} ${path}`).toBe(403)
          }
        }
        // A vote is a GET, which an image can make.
        const votes: Record<string, string>[] = [
          {},
          { 'sec-fetch-site': 'cross-site' },
          { 'sec-fetch-site': 'same-site' },
          { 'sec-fetch-site': 'none' },
          { referer: 'https://evil.example/' },
          { referer: 'https://127.0.0.1.evil.example/' },
          { 'sec-fetch-site': 'cross-site', referer: 'https://127.0.0.1/' },
          { 'sec-fetch-site': 'same-origin', 'sec-fetch-dest': 'empty', origin: 'https://evil.example' },
          // Where a link to `/?next=/party/vote` ends.
          { 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' },
        ]
        for (const headers of votes) {
          expect(
            (await get(house, '/party/vote', undefined, { cookie, ...headers })).status,
            JSON.stringify(headers),
          ).toBe(403)
        }
        expect(stub.heard()).toEqual([])
        const script = { cookie, 'sec-fetch-site': 'same-origin', 'sec-fetch-dest': 'empty' }
        expect((await get(house, '/party/vote', undefined, script)).status).toBe(200)
        for (const origin of [...pages, '']) {
          const headers = { cookie, origin }
          expect(await knockWs(house, { path: '/iris/ws', headers, from: house.address() }), origin).toBe(403)
        }
        expect(await knockWs(house, { path: '/iris/ws', headers: { cookie }, from: house.address() })).toBe(403)
      },
    },
    {
      id: 'C8',
      attack: 'a player that sends a browser elsewhere',
      reaches: [/^GET \/iris\/x\.js$/],
      async run(house) {
        const ask1 = (location: string, status = 302) => {
          stub.trick = (_, response) => {
            response.writeHead(status, { location, 'content-type': 'text/html' }).end(`<a href="${location}">`)
            return true
          }
          return get(house, '/iris/x.js', house.owner.token)
        }
        for (const location of [
          'https://evil.example/',
          '//evil.example/',
          '/\\evil.example/',
          'javascript:alert(1)',
          'data:text/html,x',
          '/mopidy/rpc',
          '/auth/logout',
          '/iris/../auth/logout',
          '/iris/http/restart',
          '/iris/%2e%2e/auth',
          `${stub.url}/mopidy/`,
          `${stub.url.replace('//', '//x@')}/iris/y.js`,
          '/party/vote',
          '../../auth/logout',
          '',
        ]) {
          for (const status of [301, 302, 303, 307, 308]) {
            const { status: got, headers, text } = await ask1(location, status)
            expect([got, headers.location, text.includes('<a')], `${status} ${location}`).toEqual([
              502,
              undefined,
              false,
            ])
          }
        }
        const { headers } = await ask1('y.js')
        expect(headers.location ?? '').toMatch(/^(\/iris\/y\.js)?$/)
      },
    },
    {
      id: 'C9',
      attack: 'a player whose files have no end, another length, or another meaning',
      reaches: [/^GET \/(?:iris\/x\.js|local\/a\.png|mobile\/)$/, /^POST \/iris\/http\/stop_radio \{\}$/],
      async run(house) {
        const { token } = house.owner
        const says = (play: (response: Parameters<NonNullable<WebStub['trick']>>[1]) => void) => {
          stub.trick = (_, response) => {
            play(response)
            return true
          }
        }
        const tries: Readonly<Record<string, Parameters<typeof says>[0]>> = {
          'a length of a gigabyte': (r) => void r.writeHead(200, { 'content-length': 2 ** 30 }).write('x'),
          'an error of its own': (r) => void r.writeHead(500).end('Traceback: /home/pi/secret'),
          'a part': (r) => void r.writeHead(206, { 'content-range': 'bytes 0-0/9' }).end('x'),
          'a sign-in': (r) => void r.writeHead(401, { 'www-authenticate': 'Basic' }).end('x'),
          'no answer': (r) => void r.destroy(),
          'another protocol': (r) =>
            void r.socket?.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'),
          'no HTTP': (r) => void r.socket?.end('OK MPD 0.19.0\n'),
          'a header line that is none': (r) => void r.socket?.end('HTTP/1.1 200 OK\r\nX\r\n: y\r\n\r\n'),
          'two lengths': (r) =>
            void r.socket?.end('HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy'),
        }
        for (const [what, play] of Object.entries(tries)) {
          says(play)
          const { status, text, headers } = await get(house, '/iris/x.js', token).catch(() => ({
            status: 0,
            text: '',
            headers: {} as Answer['headers'],
          }))
          expect([0, 404, 502, 504], what).toContain(status)
          expect(text, what).not.toMatch(/Traceback|secret/)
          expect(headers['www-authenticate'], what).toBeUndefined()
        }
        // Without an end: the browser is cut off, and the player is left.
        let sent = 0
        let isOver = false
        says((response) => {
          response.on('close', () => {
            isOver = true
          })
          response.writeHead(200, { 'content-type': 'text/javascript' })
          const piece = Buffer.alloc(256 * 1024, 'x')
          const more = async () => {
            while (!isOver && sent < 256 * 2 ** 20) {
              sent += piece.length
              if (!response.write(piece)) await Promise.race([once(response, 'drain'), once(response, 'close')])
            }
          }
          void more()
        })
        const socket = await dial(house, 'https', { from: house.address() })
        let got = 0
        socket.on('data', (bytes) => {
          got += bytes.length
        })
        socket.write(lines(['GET /iris/x.js HTTP/1.1', 'Host: 127.0.0.1', `Authorization: Bearer ${token}`]))
        await until(() => isOver && socket.destroyed)
        expect([got, sent].map((bytes) => bytes < 48 * 2 ** 20)).toEqual([true, true])
        // What a file says it is, it is: nothing guesses, and pictures run nothing.
        says(
          (response) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<script>alert(1)</script>'),
        )
        const { headers } = await get(house, '/local/a.png', token)
        expect(headers['x-content-type-options']).toBe('nosniff')
        expect(headers['content-security-policy']).toMatch(/default-src 'none'.*sandbox/)
        // An answer to a command is what its row says.
        for (const body of [
          '{"result":{"message":"done","secret":1},"jsonrpc":"2.0","token":"BQ-x"}',
          '<html>',
          '[]',
          '{"result":5}',
          '',
        ]) {
          says((response) => void response.writeHead(200, { 'content-type': 'application/json' }).end(body))
          const { text } = await ask(house, '/iris/http/stop_radio', { token, ...json('{}') })
          expect(text, body).not.toMatch(/BQ-|secret|<html>/)
        }
      },
    },
    {
      id: 'C10',
      attack: 'messages to Iris that are almost a command, and names of its insides',
      reaches: [/^WS \/iris\/ws\/$/],
      async run(house) {
        const ws = await openIris(house, house.owner)
        for (const method of [
          '__class__',
          '__init__',
          '_config',
          'core',
          'actor_ref',
          'Restart',
          'restart ',
          ' restart',
          'restart\u0000',
          'r\u0435start',
          'constructor',
          '__proto__',
          'core.playback.play',
          'get_config.__call__',
          '',
        ]) {
          expect((await ws.rpc(call(method))).error?.code, JSON.stringify(method)).toBe(-32601)
        }
        for (const text of [
          '{"jsonrpc":"2.0","id":1,"method":"get_version","method":"restart"}',
          '{"jsonrpc":"2.0","id":1,"method":"get_version","m\\u0065thod":"restart"}',
          '{"jsonrpc":"2.0","id":1,"method":"get_version","connection_id":"X"}',
          '{"jsonrpc":"2.0","id":1,"method":"get_version","params":{"connection_id":"ABC"}}',
          '{"jsonrpc":"2.0","id":1,"method":"set_username","params":{"username":"x","connection_id":"ABC"}}',
          '{"jsonrpc":"2.0","id":1,"method":"get_version","params":["x"]}',
          '{"jsonrpc":"2.0","id":1,"method":["restart"]}',
          '{"jsonrpc":"1.0","id":1,"method":"restart"}',
          '{"id":1,"method":"restart"}',
          '{"jsonrpc":"2.0","id":1.5,"method":"restart"}',
          '{"jsonrpc":"2.0","id":9007199254740993,"method":"restart"}',
          '{"jsonrpc":"2.0","id":1,"method":"restart","__proto__":{}}',
          '[{"jsonrpc":"2.0","id":1,"method":"restart"}]',
          'restart',
          '',
          '{"jsonrpc":"2.0","id":1,"method":"change_radio","params":{"reset":true,"seed_tracks":["spotify:track:a/../../x"]}}',
          '{"jsonrpc":"2.0","id":1,"method":"change_radio","params":{"reset":true,"seed_tracks":["http://169.254.169.254/"]}}',
          '{"jsonrpc":"2.0","id":1,"method":"broadcast","params":{"method":"reload","params":{}}}',
          '{"jsonrpc":"2.0","id":1,"method":"send_message","params":{"recipient":"../x","method":"notification","params":{"notification":{"content":"x"}}}}',
          '{"jsonrpc":"2.0","id":1,"method":"send_message","params":{"recipient":"X","method":"eval","params":{}}}',
        ]) {
          expect((await ws.say(text)).error, text).toBeDefined()
        }
        // An id that is none is nobody's to answer.
        ws.write(frame('{"jsonrpc":"2.0","id":{},"method":"restart"}'))
        const paths = ['/../x', '/a/b', '//evil.example', '/a?b', '/a%2e%2e', 'https://evil.example/', '/a\u0000', '']
        for (const path of paths) {
          const query = new URLSearchParams({ path, connection_id: 'ABC' })
          expect([400, 404]).toContain((await get(house, `/iris/http/get_lyrics?${query}`, house.owner.token)).status)
        }
        const end = ws.end()
        ws.write(frame(Buffer.from('{"jsonrpc":"2.0","id":1,"method":"restart"}'), { opcode: 2 }))
        expect(await end).toBe(1003)
      },
    },
    {
      id: 'C11',
      attack: 'what Iris tells, by who is not to hear it, and the answers of another',
      reaches: [/^WS \/iris\/ws\/$/, /^iris (?:get_version|get_config|get_connections|get_queue_metadata) \{\}$/],
      async run(house) {
        const before = stub.iris.length
        const [kid, member] = [await openIris(house, house.kid), await openIris(house, house.member)]
        await until(() => stub.iris.length === before + 2)
        for (const method of [
          'commands_changed',
          'shared_config_changed',
          'spotify_authorization',
          'reload',
          'eval',
          'snapcast',
          '__proto__',
          'restart_started',
          'upgrade_error',
        ]) {
          stub.tell({ jsonrpc: '2.0', method, params: { secret: 'BQ-x', url: 'https://evil.example', config: {} } })
        }
        for (const text of [
          'x',
          '[]',
          'null',
          '{"jsonrpc":"2.0","id":99,"result":{"secret":"BQ-x"}}',
          '{"method":5}',
          '{"result":"BQ-x"}',
        ])
          stub.tell(text)
        stub.tell(Buffer.from([0x22, 0x78, 0x22]))
        stub.tell({
          jsonrpc: '2.0',
          method: 'pinned_changed',
          params: { pinned: [{ uri: 'local:a', name: 'a', secret: 'BQ-x' }], secret: 'BQ-x' },
        })
        await until(() => [kid, member].every(({ texts }) => texts.some((text) => text.includes('pinned_changed'))))
        for (const { texts } of [kid, member]) {
          expect(texts.length, texts.join()).toBe(1)
          expect(texts.join()).not.toMatch(/BQ-|secret/)
        }
        // Where to sign in, whose account, what else runs in the house.
        stub.answer = ({ id }) => ({
          jsonrpc: '2.0',
          id,
          result: {
            config: {
              country: 'NZ',
              spotify_username: 'alice',
              authorization_url: 'https://x',
              snapcast_host: '10.0.0.1',
            },
            connections: [],
            version: { current: '1', secret: 'BQ-x' },
          },
        })
        kid.texts.length = 0
        await kid.next()
        expect(await kid.rpc(call('get_config'))).toMatchObject({ result: { config: { country: 'NZ' } } })
        await kid.rpc(call('get_version'))
        expect(kid.texts.join()).not.toMatch(/alice|authorization|10\.0\.0\.1|BQ-/)
        // The id of an answer is ours, and good on one connection only.
        stub.answer = ({ id, method }) => {
          if (method === 'get_connections')
            for (const ws of stub.iris)
              ws.send(JSON.stringify({ jsonrpc: '2.0', id, result: { connections: [{ connection_id: 'X' }] } }))
          return { jsonrpc: '2.0', id: id + 1000, result: {} }
        }
        member.texts.length = 0
        await kid.rpc(call('get_connections'))
        expect(member.texts).toEqual([])
        // Whoever is sent away leaves no connection behind.
        const gone = kid.end()
        house.accounts.setDisabled(house.kid.id, true)
        expect(await gone).toBe(4401)
        member.close()
        await until(() => stub.iris.length === before)
      },
    },
    {
      id: 'C12',
      attack: 'leading somebody elsewhere by the way to sign in',
      async run(house) {
        const page = { accept: 'text/html', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }
        const ask1 = (path: string, headers: Record<string, string> = page) => get(house, path, undefined, headers)
        const { status, headers } = await ask1('/iris/a%20b.html?next=https://evil.example')
        expect([status, headers.location]).toEqual([303, '/?next=%2Firis%2Fa%2520b.html'])
        for (const path of [
          '//evil.example/iris/',
          '/iris//evil.example',
          '/iris/..//evil.example/',
          '/iris/%0d%0aSet-Cookie:a=b',
          '/\\evil.example',
          '/unknown/',
          '/mopidy/',
          '/iris/http/get_config',
          '/party/vote',
        ]) {
          const { status: got, headers: said } = await ask1(path)
          expect([got === 303, said.location], path).toEqual([false, undefined])
        }
        // What is no page gets no page.
        for (const more of [
          { accept: 'application/json' },
          { ...page, 'sec-fetch-dest': 'script' },
          { ...page, 'sec-fetch-mode': 'cors' },
          { ...page, authorization: 'Bearer wrong' },
        ]) {
          expect((await ask1('/iris/', more)).status, JSON.stringify(more)).toBe(401)
        }
        const evil = await exchange(
          house,
          lines(['GET /iris/ HTTP/1.1', 'Host: evil.example', 'Accept: text/html', 'Connection: close']),
        )
        expect(statuses(evil)).toEqual([421])
      },
    },
    {
      id: 'C13',
      attack: 'voting as many',
      reaches: [/^GET \/party\/vote$/, /^POST \/pibox\/api\/vote \{"uri":"local:track:a"\}$/],
      async run(house) {
        const begin = stub.asked.length
        const vote = (token: string, headers = {}) =>
          ask(house, '/party/vote', { method: 'GET', token, headers, from: house.address() })
        for (let i = 0; i < 3; i++) {
          expect(
            (await vote(house.member.token, { 'x-forwarded-for': `10.0.0.${i}`, 'x-real-ip': `10.0.0.${i}` })).status,
          ).toBe(200)
        }
        await vote(house.tokenOf(house.member))
        expect(new Set(voters().slice(begin)).size).toBe(1)
        await vote(house.owner.token)
        expect(new Set(voters().slice(begin)).size).toBe(2)
        expect(voters().slice(begin).join()).not.toMatch(/127\.|10\.0/)
        for (const who of ['a', 'b']) {
          await ask(house, '/pibox/api/vote', {
            token: house.member.token,
            ...json('{"uri":"local:track:a"}'),
            headers: { 'x-pibox-fingerprint': who },
          })
        }
        const said = stub.asked
          .slice(begin)
          .map(({ headers }) => headers['x-pibox-fingerprint'])
          .filter(Boolean)
        expect([said.length, new Set(said).size]).toEqual([2, 1])
        expect(said.join()).not.toMatch(/^[ab]$/)
      },
    },
    {
      id: 'C14',
      attack: 'a page of a client that would take over the others of this origin',
      reaches: [/^GET \/(?:iris|mobile|other)\/$/],
      async run(house) {
        for (const path of ['/iris/', '/mobile/', '/other/', '/players/home/iris/']) {
          const { headers } = await get(house, path, house.owner.token)
          const policy = String(headers['content-security-policy'])
          for (const part of ["default-src 'none'", "frame-ancestors 'none'", 'sandbox '])
            expect(policy, path).toContain(part)
          // It may ask its own paths and the player's, and none of ours.
          const connect = /connect-src ([^;]*)/.exec(policy)?.[1] ?? ''
          expect(connect, path).not.toMatch(/'self'|\*|\/auth/)
          expect(policy, path).not.toMatch(/allow-top-navigation|allow-popups/)
          for (const source of connect.split(' ')) {
            if (/127\.0\.0\.1/.test(source))
              expect(source, path).toMatch(/^(?:https|wss):\/\/127\.0\.0\.1(?::\d+)?(?:\/players\/home)?\/[a-z]+\/$/)
          }
          expect(headers['x-content-type-options'], path).toBe('nosniff')
          expect(headers['cross-origin-opener-policy'], path).toBe('same-origin')
        }
        // A worker would go on when the page is gone, and answer for us.
        for (const path of ['/iris/sw.js', '/mobile/sw.js', '/other/sw.js']) {
          expect((await get(house, path, house.owner.token, { 'service-worker': 'script' })).status, path).toBe(404)
        }
      },
    },
    {
      id: 'C15',
      attack: 'clients and pictures by who may not see them, and after they might not',
      reaches: [/^GET \/(?:iris|other)\/$/, /^GET \/local\/a\.png$/],
      async run(house) {
        const visitor = house.person('visitor', [])
        const screen = house.person('screen')
        for (const path of ['/iris/', '/mobile/x.js', '/other/', '/local/a.png', '/party/', '/pibox/']) {
          expect((await get(house, path, undefined)).status, path).toBe(401)
          expect((await get(house, path, visitor.token)).status, path).toBe(403)
        }
        expect(await knockWs(house, { path: '/iris/ws', token: visitor.token, from: house.address() })).toBe(403)
        expect((await get(house, '/iris/', screen.token)).status).toBe(200)
        expect((await get(house, '/local/a.png', screen.token)).status).toBe(403)
        expect((await get(house, '/party/vote', screen.token)).status).toBe(403)
        expect((await get(house, '/local/a.png', house.guest.token)).status).toBe(200)
        const { status, headers } = await get(house, '/local/a.png', house.guest.token, { 'if-none-match': '"a"' })
        expect([status, headers['cache-control']]).toEqual([200, expect.stringContaining('private')])
        // Opened a moment ago, and not any more.
        house.accounts.setRoles(screen.id, [])
        await until(async () => (await get(house, '/iris/', screen.token)).status === 403)
      },
    },
  ],
  openWebHouse,
)
