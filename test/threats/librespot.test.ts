import { once } from 'node:events'
import { statSync } from 'node:fs'
import { request } from 'node:https'
import { connect } from 'node:net'
import { join } from 'node:path'
import { expect } from 'vitest'
import { until } from '../real/tools.ts'
import { song, type Trouble } from '../upstream/fakelibrespot.ts'
import { type Answer, ask, dial, exchange, frame, knockWs, lines, openWs, statuses, type Target } from './clients.ts'
import { attack, type House, type HouseOptions, openHouse, type Person } from './harness.ts'
import { type Stub, startStub, startWebhook, type Webhook } from './stub.ts'

let den: Stub
let attic: Stub
let bath: Stub
let webhook: Webhook

const player = (stub: Stub) => ({ url: stub.fake.url, private: false })

/** A go-librespot in the den, a librespot-java in the attic and a librespot that can be paired in the bath. */
async function openLibrespotHouse(options: HouseOptions) {
  ;[den, attic, bath] = await Promise.all([
    startStub('go-librespot'),
    startStub('librespot-java'),
    startStub('zeroconf'),
  ])
  webhook = await startWebhook()
  const house = await openHouse({
    ...options,
    beside: [den, attic, bath],
    change: (config) => ({
      ...config,
      players: new Map([
        ...config.players,
        ['den', { kind: 'go-librespot', ...player(den) }],
        ['attic', { kind: 'librespot-java', ...player(attic) }],
        ['bath', { kind: 'librespot', zeroconf: bath.fake.url, onevent: true }],
      ]),
      roles: { ...config.roles, screen: { grants: [{ allow: ['status.read'] }] } },
      notify: [{ webhook: webhook.url }],
    }),
  })
  await until(async () => (await ask(house, '/readyz')).status === 200)
  const close = async () => {
    await house.close()
    await Promise.all([den.fake.close(), attic.fake.close(), bath.fake.close(), webhook.close()])
  }
  return { ...house, close }
}

const json = (text: string) => ({ body: text })
const form = (text: string, type = 'application/x-www-form-urlencoded') => ({
  body: text,
  headers: { 'content-type': type },
})
const people = ({ owner, member, guest, kid }: House): readonly Person[] => [owner, member, guest, kid]

/** Each of these is refused with one of the statuses; what reached a player is the harness's business. */
async function refused(
  house: Target,
  token: string | undefined,
  statuses: readonly number[],
  tries: readonly (readonly [path: string, options?: Parameters<typeof ask>[2]])[],
): Promise<void> {
  for (const [path, options = {}] of tries) {
    const { status, text } = await ask(house, path, {
      method: 'POST',
      ...(token !== undefined && { token }),
      ...options,
    })
    const shown = `${options.method ?? 'POST'} ${path} ${String(options.body ?? '').slice(0, 100)}: ${text.slice(0, 200)}`
    expect(statuses, shown).toContain(status)
  }
}

/** The largest there is, one more, and what is none. */
const largest = '7N42dgm5tFLK9N8MT7fHC7'
const badIds = [
  '7N42dgm5tFLK9N8MT7fHC8',
  'ZZZZZZZZZZZZZZZZZZZZZZ',
  '67Hna13dNDkZvBpTXRIaO',
  '67Hna13dNDkZvBpTXRIaOJ0',
  '67Hna13dNDkZvBpTXRIaO.',
  '67Hna13dNDkZvBpTXRIaO-',
  '../../../../../etc/pas',
  '..%2f..%2f..%2f..%2fet',
  '67Hna13dNDkZvBpTXRIa%4a',
  '67Hna13dNDkZvBpTXRIaO\u0130',
  '67Hna13dNDkZvBpTXRIaOJ\n',
  '67Hna13dNDkZvBpTXRIaOJ?x=y',
  '67Hna13dNDkZvBpTXRIaOJ#',
  '67Hna13dNDkZvBpTXRIaOJ/..',
  '',
] as const
const badUris = [
  ...badIds.map((id) => `spotify:track:${id}`),
  'spotify:user:alice:playlist:67Hna13dNDkZvBpTXRIaOJ',
  'spotify:local:67Hna13dNDkZvBpTXRIaOJ',
  'Spotify:track:67Hna13dNDkZvBpTXRIaOJ',
  ' spotify:track:67Hna13dNDkZvBpTXRIaOJ',
  'spotify:track:67Hna13dNDkZvBpTXRIaOJ spotify:track:67Hna13dNDkZvBpTXRIaOJ',
  'https://open.spotify.com/track/67Hna13dNDkZvBpTXRIaOJ',
  'file:///etc/passwd',
  'http://169.254.169.254/',
  '',
]

/** What Spotify's app sends; the sizes are those of real ones. */
const pairing = {
  action: 'addUser',
  userName: 'mallory',
  blob: Buffer.alloc(400, 7).toString('base64'),
  clientKey: Buffer.alloc(96, 5).toString('base64'),
}
const formOf = (fields: Readonly<Record<string, string>>) => new URLSearchParams(fields).toString()
const pair = (more: Readonly<Record<string, string>> = {}) => form(formOf({ ...pairing, ...more }))

async function cookieOf(house: House, { name, password }: Person): Promise<string> {
  const answer = await ask(house, '/auth/login', { json: { username: name, password, cookie: true } })
  for (const token of [answer.json.access_token, answer.json.refresh_token]) house.keep(String(token))
  return String(answer.headers['set-cookie']).split(';')[0] ?? ''
}

/** Decisions about this person that an alarm was raised for. */
const alarms = (house: House, { id }: Person) =>
  house.log.filter(({ account, reason }) => account === id && reason === 'alarm')

/** What of their owner, and of the machine, the players would tell whoever asks them. */
const leaks = /alice|d3adb33f|kept|BQ-|bGlicmVzcG90|65b708073fc0480e/

attack(
  'the librespot family',
  [
    {
      id: 'L1',
      attack: 'the login that a player hands out, asked for by everybody, the owner too',
      disturbs: true,
      async run(house) {
        const places = [
          '/den/token',
          '/attic/token/streaming',
          '/attic/token/user-read-email,streaming',
          '/attic/token/a/b',
        ]
        for (const person of people(house)) {
          for (const place of places) {
            const path = `/players${place}`
            for (const options of [{}, json('{}'), json('{"x":'), form('cmd=load'), form('x', 'text/plain')]) {
              const { status, text } = await ask(house, path, { method: 'POST', token: person.token, ...options })
              expect([status, leaks.test(text)], `${person.name} ${path}`).toEqual([403, false])
            }
            for (const method of ['GET', 'PUT', 'DELETE', 'PATCH']) {
              const { status } = await ask(house, path, { method, token: person.token })
              expect(place.startsWith('/den') ? [405] : [403], `${method} ${path}`).toContain(status)
            }
          }
          expect(alarms(house, person).length, person.name).toBeGreaterThanOrEqual(4 * 5)
        }
        await refused(
          house,
          undefined,
          [401],
          places.map((place) => [`/players${place}`] as const),
        )

        // Each of them is told of once, and again when an hour has gone by.
        const told = () => webhook.posts.filter(({ who }) => people(house).some(({ name }) => name === who))
        await until(() => told().length >= 4)
        expect(told().map(({ who }) => who)).toEqual(people(house).map(({ name }) => name))
        expect(told()[0]).toMatchObject({ kind: 'alarm', door: 'http', player: 'den', operation: 'POST /token' })
        house.jump(3_600_000)
        await refused(house, house.guest.token, [403], [['/players/attic/token/streaming']])
        await until(() => told().length === 5)
        expect(told().at(-1)).toMatchObject({ who: house.guest.name, operation: 'ANY /token/*' })
      },
    },
    {
      id: 'L2',
      attack: "the owner's account at Spotify, by way of the player",
      async run(house) {
        for (const person of people(house)) {
          const tries = ['/den', '/attic'].flatMap((at) =>
            [
              '/web-api/v1/me',
              '/web-api/v1/me/player/play?device_id=x',
              '/web-api/',
              '/web-api/v1%2fme',
              '/web-api/%00',
              '/web-api/../status',
            ].flatMap((path) =>
              ['GET', 'POST', 'PUT', 'DELETE'].map((method) => [`/players${at}${path}`, { method }] as const),
            ),
          )
          await refused(house, person.token, [400, 403, 404], tries)
          expect(alarms(house, person).length).toBeGreaterThanOrEqual(16)
        }
        await refused(
          house,
          house.owner.token,
          [400, 404],
          [
            ['/players/den/web-api', { method: 'GET' }],
            ['/players/den/web-api%2fv1/me', { method: 'GET' }],
            ['/players/attic/./web-api/v1/me', { method: 'GET' }],
          ],
        )
        await refused(house, undefined, [401], [['/players/den/web-api/v1/me']])
      },
    },
    {
      id: 'L3',
      attack: 'taking a player over while nobody opened a window',
      async run(house) {
        await refused(house, undefined, [401], [['/players/bath/', pair()]])
        for (const { token } of people(house)) await refused(house, token, [403], [['/players/bath/', pair()]])
        expect(alarms(house, house.owner)).toHaveLength(1)
        await refused(
          house,
          house.owner.token,
          [400, 404, 405, 413, 415],
          [
            [`/players/bath/?${formOf(pairing)}`, { method: 'GET' }],
            [`/players/bath/?${formOf(pairing)}`],
            [`/players/bath/?${formOf(pairing)}`, pair()],
            ['/players/bath/?action=getInfo', pair()],
            ['/players/bath/?action=getInfo', { method: 'POST' }],
            ['/players/bath/?action=getInfo&action=addUser', { method: 'GET' }],
            ['/players/bath/', json(JSON.stringify(pairing))],
            ['/players/bath/', form(formOf(pairing), 'text/plain')],
            ['/players/bath/', form(formOf(pairing), 'multipart/form-data; boundary=x')],
            ['/players/bath/', { ...pair(), method: 'PUT' }],
            ['/players/bath//', pair()],
            ['/players/bath/x', pair()],
            ['/players/den/', pair()],
            ['/players/attic/', pair()],
            ['/', pair()],
          ],
        )
        // Nor is anybody told more of it than how it is called.
        const { text, status } = await ask(house, '/players/bath/?action=getInfo', { token: house.kid.token })
        expect([status, JSON.parse(text).remoteName]).toEqual([200, 'Kitchen'])
        expect(text).not.toMatch(/publicKey|deviceID|activeUser|clientID|alice|d3adb33f|bGlicmVzcG90/)
        await refused(house, undefined, [401], [['/players/bath/?action=getInfo', { method: 'GET' }]])
      },
    },
    {
      id: 'L4',
      attack: 'what outlives a song, by who has no business with it',
      reaches: [/^POST \/set_device_name \{"name":"Bath"\}$/],
      async run(house) {
        const admin = [
          ['/players/den/player/stop'],
          ['/players/den/set_device_name', json('{"name":"Bath"}')],
          ['/players/attic/instance/close'],
          ['/players/attic/discovery/list'],
          ['/players/attic/profile/alice/followers'],
        ] as const
        const nobodys = [
          ['/players/den/player/output', json('{"device":"x"}')],
          ['/players/den/player/output'],
          ['/players/attic/instance/terminate'],
        ] as const
        for (const { token } of people(house).slice(1)) await refused(house, token, [403], [...admin, ...nobodys])
        await refused(house, house.owner.token, [403], nobodys)
        expect(alarms(house, house.owner)).toHaveLength(3)
        await refused(house, undefined, [401], [...admin, ...nobodys])
        await refused(
          house,
          house.owner.token,
          [400],
          [
            ...['', 'x'.repeat(64), '\u00e9'.repeat(32), 'a\nb', 'a\u0000b', '\u2028', '\ud800'].map(
              (name) => ['/players/den/set_device_name', json(JSON.stringify({ name }))] as const,
            ),
            ['/players/den/set_device_name', json('{"name":"Bath","Name":"x"}')],
            ['/players/den/set_device_name'],
          ],
        )
        await refused(house, house.owner.token, [200], [['/players/den/set_device_name', json('{"name":"Bath"}')]])
        expect(den.fake.state.device_name).toBe('Bath')
      },
    },
    {
      id: 'L5',
      attack: 'listening to what a player tells without a sign-in, from a foreign page, and beyond the sign-in',
      async run(house) {
        const nothing = house.person('visitor', [])
        for (const path of ['/players/den/events', '/players/attic/events']) {
          const from = () => house.address()
          expect(await knockWs(house, { path, from: from() })).toBe(401)
          expect(await knockWs(house, { path, token: 'wrong', from: from() })).toBe(401)
          expect(await knockWs(house, { path: `${path}?token=${house.kid.token}`, from: from() })).toBe(401)
          expect(await knockWs(house, { path, token: nothing.token, from: from() })).toBe(404)
          const headers = { origin: 'https://evil.example' }
          expect(await knockWs(house, { path, token: house.owner.token, headers, from: from() })).toBe(403)
          for (const wrong of [`${path}/`, `${path}/x`, path.replace('/events', '/%65vents'), `/events`]) {
            expect(await knockWs(house, { path: wrong, token: house.owner.token, from: from() }), wrong).toBe(404)
          }
          expect((await ask(house, path, { token: house.owner.token, from: from() })).status).toBe(426)
        }

        // What is told is what the table has, and one socket at the player is enough for everybody.
        const screen = house.person('screen')
        const ws = await openWs(house, { path: '/players/den/events', token: screen.token })
        const others = await Promise.all(
          people(house).map(({ token }) =>
            openWs(house, { path: '/players/den/events', token, from: house.address() }),
          ),
        )
        expect(den.fake.readers).toBe(1)
        den.fake.tell({ type: 'token', data: { token: 'BQ-the-owner’s-own' } })
        den.fake.tell({ type: 'volume', data: { value: 7, max: 65_535, username: 'alice-of-spotify' } })
        den.fake.tell('{"type":"volume","data":{"value":8,"max":65535},"data":{"value":"alice","max":1}}')
        den.fake.tell(Buffer.from('{"type":"active"}'))
        den.fake.tell({ type: 'metadata', data: { ...song('A\u0000\u202e\nB'), username: 'alice-of-spotify' } })
        await until(() => ws.texts.some((text) => text.includes('metadata')))
        const mine = ws.texts.map((text) => JSON.parse(text)).filter(({ type }) => type !== 'active')
        expect(mine.map(({ type }) => type)).toEqual(['volume', 'metadata'])
        expect(mine[0].data).toEqual({ value: 7, max: 65_535 })
        expect(mine[1].data.name).toMatch(/^A +B$/)
        expect(ws.texts.join()).not.toMatch(leaks)

        // Nothing is taken, and who may not any more hears no more.
        const [speaker] = others
        const end = speaker?.end()
        speaker?.write(frame('{"type":"volume","data":{"value":65535,"max":65535}}'))
        expect(await end).toBe(1008)
        const gone = ws.end()
        house.accounts.setDisabled(screen.id, true)
        expect(await gone).toBe(4401)
        for (const other of others) other.close()
      },
    },
    {
      id: 'L6',
      attack: 'paths and methods that are almost those of a row',
      async run(house) {
        const almost = (prefix: string) =>
          [
            '/player/pause/',
            '/player/pause/x',
            '/player//pause',
            '//player/pause',
            '/player/./pause',
            '/player/x/../pause',
            '/x/../player/pause',
            '/player/%2e/pause',
            '/player/%70ause',
            '/PLAYER/pause',
            '/player/Pause',
            '/player/pause;x',
            '/player/pause%00',
            '/player/pause%2f',
            '/player/pause%2f..%2fnext',
            '/player%2fpause',
            '/player%5cpause',
            '/player\\pause',
            '/player/pause?',
            '/player/pause?cmd=load',
            '/player/pause#x',
            '/player/pause%20',
            '/player/{cmd}',
            '/player/*',
            '/player/',
            '/player',
            '/api/player/pause',
          ].map((path) => [`/players/${prefix}${path}`] as const)
        const { token } = house.owner
        await refused(house, token, [400, 404], [...almost('den'), ...almost('attic')])
        await refused(
          house,
          token,
          [400, 404],
          [
            ['/players/den%2fplayer/pause'],
            ['/players/d%65n/player/pause'],
            ['/players/DEN/player/pause'],
            ['/players/../players/den/player/pause'],
            ['/players/attic/../den/player/pause'],
            ['/player/pause'],
            ['/players/bath/player/pause'],
            ['/players/nobody/player/pause'],
          ],
        )
        const others = ['GET', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS', 'PROPFIND', 'TRACE']
        await refused(
          house,
          token,
          [400, 404, 405, 501],
          [
            ...others.flatMap((method) => [
              ['/players/den/player/pause', { method }] as const,
              ['/players/den/player/volume', { method: method === 'GET' ? 'PUT' : method }] as const,
              ['/players/attic/player/pause', { method }] as const,
            ]),
            ['/players/den/status', json('{}')],
            ['/players/attic/instance', json('{}')],
            ['/players/den/player/pause', { method: 'GET', headers: { 'x-http-method-override': 'POST' } }],
            ['/players/attic/player/pause', { method: 'GET', headers: { 'x-method-override': 'POST' } }],
          ],
        )
        // Segments that stand for something.
        const at = '/players/attic'
        await refused(
          house,
          token,
          [400, 404],
          [
            ...[
              '..',
              '%2e%2e',
              '%252e%252e',
              '..%2f..%2ftoken%2fx',
              'spotify:track:..',
              '%00',
              '',
              'a%5cb',
              '%',
            ].flatMap((part) => [
              [`${at}/metadata/track/${part}`] as const,
              [`${at}/metadata/${part}/spotify:track:67Hna13dNDkZvBpTXRIaOJ`] as const,
              [`${at}/search/${part}`] as const,
              [`${at}/profile/${part}/followers`] as const,
            ]),
            [`${at}/metadata/track/spotify:track:67Hna13dNDkZvBpTXRIaOJ/x`],
            [`${at}/search/a/b`],
            [`${at}/search/a?cmd=load`],
            [`${at}/search/a%2fb`],
          ].filter(([path]) => path !== `${at}/search/spotify:track:..`) as [string][],
        )
      },
    },
    {
      id: 'L7',
      attack: 'JSON that the player reads otherwise than it looks',
      async run(house) {
        const track = 'spotify:track:67Hna13dNDkZvBpTXRIaOJ'
        const bad = (path: string, texts: readonly string[]) =>
          texts.map((text) => [`/players/den/player/${path}`, json(text)] as const)
        // The kid may go to 40 percent; the player would take the last key in any case, and nothing for zero.
        const tries = [
          ...bad('volume', [
            '{"volume":10,"Volume":65535}',
            '{"VOLUME":65535}',
            '{"volume":10,"volume":65535}',
            '{"volume":10,"volum\\u0065":65535}',
            '{"volume":10,"\u017folume":65535}',
            '{"volume":10,"relative":null}',
            '{"volume":10,"relative":"false"}',
            '{"volume":10,"Relative":true}',
            '{"volume":null}',
            '{"volume":"10"}',
            '{"volume":[10]}',
            '{"volume":{"$gt":0}}',
            '{"volume":1e1000}',
            '{"volume":10.5}',
            '{"volume":9007199254740993}',
            '{"volume":010}',
            '{"volume":+10}',
            '{"volume":NaN}',
            '{"volume":10,"x":1}',
            '{"__proto__":{"volume":10}}',
            '{"volume":10,"__proto__":{}}',
            '{"volume":10,"constructor":{}}',
            '{"volume":10}{"volume":65535}',
            '{"volume":10}\n{"volume":65535}',
            '{"volume":10,}',
            "{'volume':10}",
            '{volume:10}',
            '{"volume":10/*x*/}',
            '\ufeff{"volume":10}',
            '[{"volume":10}]',
            '[10]',
            '"10"',
            '10',
            'null',
            'true',
            '{}',
            '',
            ' ',
            `{"volume":${'['.repeat(5000)}`,
          ]),
          ...bad('seek', [
            '{}',
            '',
            '{"Position":5}',
            '{"position":5,"position":6}',
            '{"position":-1}',
            '{"position":86400001}',
          ]),
          ...bad('add_to_queue', [
            '{}',
            `{"uri":"${track}","URI":"file:///etc/passwd"}`,
            `{"uri":"${track}","uri":"${track}"}`,
            `{"Uri":"${track}"}`,
            `{"uri":["${track}"]}`,
            '{"uri":null}',
          ]),
        ]
        await refused(house, house.kid.token, [400], tries)
        await refused(house, house.owner.token, [400], tries)
        const rows = ['repeat_context', 'repeat_track', 'shuffle_context']
        await refused(
          house,
          house.owner.token,
          [400],
          rows.flatMap((name) =>
            bad(name, [
              '{}',
              '{"value":true}',
              `{"${name}":1}`,
              `{"${name}":"true"}`,
              `{"${name.toUpperCase()}":true}`,
              `{"${name}":true,"${name}":false}`,
            ]),
          ),
        )
        await refused(house, house.owner.token, [400], [['/players/den/player/pause', json('{"x":1}')]])
        const bytes = Buffer.concat([Buffer.from('{"volume":1'), Buffer.from([0xff]), Buffer.from('}')])
        await refused(
          house,
          house.owner.token,
          [400],
          [
            ['/players/den/player/volume', { body: bytes }],
            ['/players/den/player/volume', { body: Buffer.from('{"volume":10}', 'utf16le') }],
            ['/players/den/player/volume', { body: Buffer.from([0x7b, 0xc0, 0xa2, 0x7d]) }],
          ],
        )
      },
    },
    {
      id: 'L8',
      attack: 'a body and a query that are another command than the path',
      reaches: [/^POST \/player\/(?:pause|seek pos=5)$/],
      async run(house) {
        const uri = 'spotify:track:67Hna13dNDkZvBpTXRIaOJ'
        const pause = '/players/attic/player/pause'
        const seek = '/players/attic/player/seek'
        for (const { token } of [house.kid, house.owner]) {
          await refused(
            house,
            token,
            [400],
            [
              [pause, form(`cmd=load&uri=${uri}`)],
              [pause, form('cmd=pause')],
              [pause, json('{"cmd":"load"}')],
              [pause, form('=load')],
              [pause, form('&cmd=load')],
              [pause, form('cm%64=load')],
              [`${pause}?cmd=load&uri=${uri}`],
              [`${pause}?cmd=load`, form('')],
              [`${pause}?`, form('')],
              [seek, form('pos=5&cmd=load')],
              [seek, form('pos=5&pos=6')],
              [seek, form('pos=5&p%6fs=6')],
              [seek, form('pos=5;cmd=load')],
              [seek, form('pos=5%26cmd=load')],
              [seek, form('pos=5\ncmd=load')],
              [seek, form('pos=5\r\n\r\nPOST /token/x HTTP/1.1\r\n\r\n')],
              [seek, form('pos=05')],
              [seek, form('pos=5.0')],
              [seek, form('pos=0x5')],
              [seek, form('pos=%35%')],
              [seek, form('pos=\u0665')],
              [seek, form('pos=')],
              [seek, form('pos')],
              [seek, form('')],
              [seek, form('pos=-1')],
              [seek, form('pos[]=5')],
              [seek, json('{"pos":5,"cmd":"load"}')],
              [seek, json('{"pos":5,"pos":6}')],
              [seek, json('["pos",5]')],
              [`${seek}?pos=6`, form('pos=5')],
              ['/players/attic/metadata/track/spotify:track:67Hna13dNDkZvBpTXRIaOJ', form(`uri=${uri}`)],
              ['/players/attic/metadata/track/spotify:track:67Hna13dNDkZvBpTXRIaOJ', form('type=show')],
              ['/players/attic/search/x', form('query=y')],
            ],
          )
          await refused(
            house,
            token,
            [415],
            [
              [seek, form('pos=5', 'multipart/form-data; boundary=x')],
              [seek, form('pos=5', 'text/plain')],
              [seek, form('pos=5', 'application/x-www-form-urlencoded, text/plain')],
              [seek, form('pos=5', 'application/x-www-form-urlencoded;charset=utf-16')],
            ],
          )
          expect((await ask(house, pause, { method: 'POST', token })).status).toBeLessThan(300)
          expect((await ask(house, seek, { token, ...form('pos=5') })).status).toBeLessThan(300)
        }
        expect(attic.fake.state.loaded).toEqual([])
      },
    },
    {
      id: 'L9',
      attack: 'a foreign page in a browser that is signed in',
      async run(house) {
        const cookie = await cookieOf(house, house.owner)
        const pages = [
          'https://evil.example',
          'null',
          'http://127.0.0.1',
          'https://127.0.0.1:1',
          'https://127.0.0.1.evil.example',
        ]
        const calls = [
          ['/players/den/player/pause', { method: 'POST' }],
          ['/players/den/player/volume', json('{"volume":1}')],
          ['/players/attic/player/pause', form('')],
          ['/players/attic/player/set-volume', form('volume=1')],
          ['/players/den/status', { method: 'GET' }],
          ['/players/den/token', { method: 'POST' }],
        ] as const
        for (const origin of pages) {
          for (const [path, options] of calls) {
            const more: Parameters<typeof ask>[2] = options
            const headers = { ...more?.headers, cookie, origin }
            const { status, headers: said } = await ask(house, path, { ...more, headers })
            expect([status, said['access-control-allow-origin']], `${origin} ${path}`).toEqual([403, undefined])
          }
        }
        // Without saying which page it is, and in the only types that a form of HTML has.
        await refused(house, undefined, [403], [['/players/den/player/pause', { headers: { cookie } }]])
        for (const type of ['text/plain', 'multipart/form-data; boundary=x', 'text/plain;charset=UTF-8']) {
          await refused(house, house.owner.token, [415], [['/players/den/player/volume', form('{"volume":1}', type)]])
        }
        await refused(
          house,
          house.owner.token,
          [415],
          [
            ['/players/den/player/volume', form('volume=1')],
            ['/players/den/player/volume', form('{"volume":1}', 'application/json, text/plain')],
            ['/players/den/player/volume', form('{"volume":1}', 'application/json\t;x')],
            ['/players/den/player/volume', form('{"volume":1}', 'application/jsonx')],
          ],
        )
        // A name of theirs that leads to our address.
        for (const host of ['evil.example', 'den', '127.0.0.1.nip.io', 'localhost.evil.example']) {
          const head = [
            'POST /players/den/player/pause HTTP/1.1',
            `Host: ${host}`,
            'Content-Length: 0',
            'Connection: close',
          ]
          const said = await exchange(house, lines([...head, `Authorization: Bearer ${house.owner.token}`]))
          expect(statuses(said), host).toEqual([421])
        }
        const { status, headers } = await ask(house, '/players/den/player/volume', {
          method: 'OPTIONS',
          headers: { origin: 'https://evil.example', 'access-control-request-method': 'POST' },
        })
        expect(status).toBeGreaterThanOrEqual(400)
        expect(Object.keys(headers).filter((name) => name.startsWith('access-control'))).toEqual([])
      },
    },
    {
      id: 'L10',
      attack: 'addresses that are none, and ids that end a player',
      reaches: [
        new RegExp(`^POST /player/(?:play|add_to_queue) \\{"uri":"spotify:track:${largest}"\\}$`),
        new RegExp(`^POST /player/addToQueue uri=spotify%3Atrack%3A${largest}$`),
      ],
      async run(house) {
        const quoted = (uri: string) => JSON.stringify(uri)
        const good = 'spotify:track:67Hna13dNDkZvBpTXRIaOJ'
        for (const uri of badUris) {
          await refused(
            house,
            house.owner.token,
            [400, 403],
            [
              ['/players/den/player/play', json(`{"uri":${quoted(uri)}}`)],
              ['/players/den/player/play', json(`{"uri":"${good}","skip_to_uri":${quoted(uri)}}`)],
              ['/players/den/player/next', json(`{"uri":${quoted(uri)}}`)],
              ['/players/den/player/add_to_queue', json(`{"uri":${quoted(uri)}}`)],
              ['/players/attic/player/load', form(formOf({ uri }))],
              ['/players/attic/player/addToQueue', form(formOf({ uri }))],
              ['/players/attic/player/removeFromQueue', json(`{"uri":${quoted(uri)}}`)],
            ],
          )
          await refused(
            house,
            house.owner.token,
            [400, 404],
            [
              [`/players/attic/metadata/track/${encodeURIComponent(uri)}`],
              [`/players/attic/metadata/track/${encodeURIComponent(encodeURIComponent(uri))}`],
            ],
          )
        }
        // A list where a song belongs, and the other way round.
        for (const kind of ['album', 'playlist', 'artist', 'show']) {
          const uri = `spotify:${kind}:67Hna13dNDkZvBpTXRIaOJ`
          await refused(
            house,
            house.owner.token,
            [400],
            [
              ['/players/den/player/add_to_queue', json(JSON.stringify({ uri }))],
              ['/players/attic/player/addToQueue', form(formOf({ uri }))],
            ],
          )
        }
        const uri = `spotify:track:${largest}`
        await refused(
          house,
          house.owner.token,
          [200, 204],
          [
            ['/players/den/player/play', json(JSON.stringify({ uri }))],
            ['/players/den/player/add_to_queue', json(JSON.stringify({ uri }))],
            ['/players/attic/player/addToQueue', form(formOf({ uri }))],
          ],
        )
      },
    },
    {
      id: 'L11',
      attack: 'volumes beyond the end, and around a ceiling',
      reaches: [
        /^POST \/player\/volume \{"volume":(?:\d{1,4}|1\d{4}|2[0-5]\d{3}|26[01]\d\d|262(?:0\d|1[0-4])|65535)\}$/,
        /^POST \/player\/set-volume volume=26214$/,
      ],
      async run(house) {
        const go = (text: string) => ['/players/den/player/volume', json(text)] as const
        const java = (text: string) => ['/players/attic/player/set-volume', form(text)] as const
        await refused(
          house,
          house.owner.token,
          [400],
          [
            ...['65538', '65536', '-1', '1e9', '131071', '4294967296', '-65537'].map((volume) =>
              go(`{"volume":${volume}}`),
            ),
            ...['65536', '-65536'].map((volume) => go(`{"volume":${volume},"relative":true}`)),
            ...['65537', '-1', '65538', '1e3', '4294967297', '+5', ' 5', '5 '].map((volume) =>
              java(formOf({ volume })),
            ),
            ...['0', '101', '-101', '1.5'].map((step) => java(formOf({ step }))),
            java('volume=1&step=1'),
            java(''),
          ],
        )
        // The kid's ceiling is 40 percent: 26214 of 65535. Where a step of the other kind leads, nobody knows.
        await refused(
          house,
          house.kid.token,
          [403],
          [
            ...['26215', '65535', '32768'].map((volume) => go(`{"volume":${volume}}`)),
            go('{"volume":1,"relative":true}'),
            ...['26215', '65536'].map((volume) => java(formOf({ volume }))),
            ...['1', '-1', '100'].map((step) => java(formOf({ step }))),
            ['/players/attic/player/volume-up'],
            ['/players/attic/player/volume-down'],
          ],
        )
        await refused(house, house.kid.token, [200], [go('{"volume":26214}')])
        await refused(house, house.kid.token, [200, 204], [java('volume=26214')])
        await refused(house, house.kid.token, [403], [go('{"volume":1,"relative":true}')])

        // Many small steps at once, each of which would be fine by itself.
        await refused(house, house.kid.token, [200], [go('{"volume":20000}')])
        const steps = await Promise.all(
          Array.from({ length: 20 }, () =>
            ask(house, go('')[0], { token: house.kid.token, ...json('{"volume":3000,"relative":true}') }),
          ),
        )
        expect(steps.filter(({ status }) => status === 200).length).toBeLessThanOrEqual(2)
        expect(den.fake.state.volume).toBeLessThanOrEqual(26_214)
        // At the end is the end, not the beginning.
        await refused(house, house.owner.token, [200], [go('{"volume":65535,"relative":true}')])
        expect(den.fake.state.volume).toBe(65_535)
      },
    },
    {
      id: 'L12',
      attack: 'a body of 200 MB',
      async run(house) {
        const size = 200 * 1024 * 1024
        for (const path of [
          '/players/den/player/volume',
          '/players/attic/player/seek',
          '/players/bath/',
          '/players/den/token',
        ]) {
          for (const length of [[`Content-Length: ${size}`], ['Transfer-Encoding: chunked']]) {
            const socket = await dial(house, 'https', { from: house.address() })
            let said = ''
            socket.on('data', (piece: Buffer) => {
              said += piece.toString('latin1')
            })
            const closed = once(socket, 'close')
            socket.write(
              lines([
                `POST ${path} HTTP/1.1`,
                'Host: 127.0.0.1',
                `Authorization: Bearer ${house.owner.token}`,
                `Content-Type: ${path.includes('den') ? 'application/json' : 'application/x-www-form-urlencoded'}`,
                ...length,
              ]),
            )
            const piece = Buffer.alloc(64 * 1024, 'x')
            const chunk = length[0]?.startsWith('T')
              ? Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n')])
              : piece
            let sent = 0
            while (!socket.destroyed && sent < size) {
              sent += piece.length
              if (!socket.write(chunk)) await Promise.race([once(socket, 'drain'), closed]).catch(() => {})
            }
            await closed
            // What the kernel had room for, and not what there was.
            expect(sent, path).toBeLessThan(size / 4)
            expect(said, path).toMatch(/^(HTTP\/1\.1 (413|403|401) |$)/)
          }
        }
      },
    },
    {
      id: 'L13',
      attack: 'skipping when nothing is loaded, which ends a player',
      reaches: [/^POST \/player\/next(?: \{\})?$/],
      async run(house) {
        const uri = 'spotify:track:67Hna13dNDkZvBpTXRIaOJ'
        const skips = [
          ['/players/den/player/next'],
          ['/players/den/player/next', json('{}')],
          ['/players/den/player/next', json(JSON.stringify({ uri }))],
          ['/players/den/player/prev'],
        ] as const
        den.fake.state.track = null
        await refused(house, house.owner.token, [409, 502, 503], skips)
        den.fake.session = false
        await refused(house, house.owner.token, [409, 502, 503], skips)
        den.fake.session = true
        // Nor does it help to say nothing, or that something is.
        await refused(
          house,
          house.owner.token,
          [400],
          [
            ['/players/den/player/next', json('{"uri":""}')],
            ['/players/den/player/next', json('{"uri":null}')],
            ['/players/den/player/next', json('{"track":{}}')],
            ['/players/den/player/prev', json(JSON.stringify({ uri }))],
          ],
        )
        den.fake.tell({ type: 'metadata', data: song() })
        den.fake.tell({ type: 'playing', data: { context_uri: '', uri, play_origin: 'x' } })
        await refused(house, house.owner.token, [409, 502, 503], skips)
        expect(den.fake.crashed).toBe(false)
        den.fake.state.track = song()
        await until(
          async () =>
            (await ask(house, '/players/den/player/next', { method: 'POST', token: house.owner.token })).status === 200,
        )
      },
    },
    {
      id: 'L14',
      attack: 'a window for pairing: malformed, twice, at once, afterwards',
      disturbs: true,
      reaches: [/^POST \/ action=addUser&userName=mallory&blob=[\w%]+&clientKey=[\w%]+$/],
      async run(house) {
        const open = () => house.accounts.openPairing('bath', house.now() + 120_000)
        const path = '/players/bath/'
        open()
        const { blob: _blob, ...without } = pairing
        const bad = [
          [path, form(formOf(without))],
          [path, form('')],
          [path, { method: 'POST' }],
          ...Object.keys(pairing).map((name) => [path, form(`${formOf(pairing)}&${name}=x`)] as const),
          ...['a', 'AAA', 'A===', '====', 'AAAA AAAA', 'AAAA\n', 'AA-_', Buffer.alloc(36).toString('base64'), ''].map(
            (blob) => [path, pair({ blob })] as const,
          ),
          ...['', 'AAA', Buffer.alloc(97).toString('base64'), '-_-_'].map(
            (clientKey) => [path, pair({ clientKey })] as const,
          ),
          ...['', 'a\nb', 'a\u0000b', '\u2028', 'x'.repeat(256)].map((userName) => [path, pair({ userName })] as const),
          [path, pair({ action: 'AddUser' })],
          [path, pair({ action: 'getInfo' })],
          [path, pair({ extra: '1' })],
          [path, pair({ blob: Buffer.alloc(4096, 1).toString('base64') })],
          [path, json(JSON.stringify(pairing))],
          [path, form(formOf(pairing), 'text/plain')],
          [path, form(formOf(pairing), 'multipart/form-data; boundary=x')],
          [`${path}?${formOf(pairing)}`, { method: 'GET' }],
          [`${path}?${formOf(pairing)}`, { method: 'POST' }],
          [`${path}?action=addUser`, pair()],
          [path, { ...pair(), method: 'PUT' }],
          ['/players/den/', pair()],
        ] as const
        await refused(house, undefined, [400, 401, 404, 405, 413, 415], bad)
        // A page of anybody's could make any browser come.
        const origin = { 'content-type': 'application/x-www-form-urlencoded', origin: 'https://evil.example' }
        await refused(house, undefined, [403], [[path, { ...pair(), headers: origin }]])
        expect(house.accounts.pairing('bath'), 'the window').toBeGreaterThan(house.now())
        expect(bath.heard()).toEqual([])

        // The first who asks well, and nobody else.
        const many = await Promise.all(
          Array.from({ length: 10 }, () => ask(house, path, { ...pair(), from: house.address() })),
        )
        expect(many.map(({ status }) => status).sort()).toEqual([200, ...Array(9).fill(401)])
        expect(bath.heard()).toHaveLength(1)
        expect(house.accounts.closePairing('bath'), 'whether it was still open').toBe(false)
        await refused(house, undefined, [401], [[path, pair()]])
        await refused(house, house.owner.token, [403], [[path, pair()]])
        const record = house.log.filter(
          ({ operation, player: at, outcome }) => operation === 'POST /' && at === 'bath' && outcome === 'allowed',
        )
        expect(record).toHaveLength(1)

        // Closed before its time, and forgotten.
        open()
        house.accounts.closePairing('bath')
        await refused(house, undefined, [401], [[path, pair()]])
        open()
        house.jump(121_000)
        await refused(house, undefined, [401], [[path, pair()]])
        expect(bath.heard()).toHaveLength(1)
      },
    },
    {
      id: 'L15',
      attack: 'players that lie, flood and tell of their owner',
      reaches: [/^GET \/player\/volume$/, /^GET \/instance$/, /^POST \/player\/tracks$/],
      async run(house) {
        const { token } = house.kid
        for (const path of ['/den/status', '/den/player/volume', '/attic/instance']) {
          const { status, text } = await ask(house, `/players${path}`, { token })
          expect([status, leaks.test(text)], text).toEqual([200, false])
        }
        const troubles: readonly Trouble[] = [
          'reset',
          'huge',
          'huge-chunked',
          'malformed',
          'html',
          'array',
          'gzip',
          'redirect',
          'switch',
          'twice',
          'not-http',
          'binary',
        ]
        const ask1 = (): Promise<Answer> => ask(house, '/players/den/player/volume', { token })
        for (const trouble of troubles) {
          await until(async () => (await ask1()).status === 200)
          den.fake.trouble = trouble
          const { status, text, headers } = await ask1()
          // One that answers twice has told the truth once.
          if (trouble === 'twice') expect([200, 502]).toContain(status)
          else expect([502, 504], trouble).toContain(status)
          expect(text, trouble).not.toMatch(leaks)
          expect([text.length < 2000, headers.location], trouble).toEqual([true, undefined])
          den.fake.trouble = undefined
        }
        await until(async () => (await ask1()).status === 200)
        for (const says of [
          '{"value":"alice","max":1}',
          '{"value":1}',
          '{"value":1,"max":null}',
          '{"value":1e999,"max":1}',
          '[]',
          '"alice"',
          '{"__proto__":{"value":1,"max":1}}',
        ]) {
          den.fake.says = says
          den.fake.troubled = () => false
          const { status, text } = await ask1()
          expect(status, `${says}: ${text}`).toBe(502)
          expect(text).not.toMatch(leaks)
          den.fake.says = undefined
          await until(async () => (await ask1()).status === 200)
        }
      },
    },
    {
      id: 'L16',
      attack: 'a player that hangs and then dies, and one person who asks all the while',
      reaches: [/^GET \/player\/volume$/, /^POST \/player\/tracks$/],
      async run(house) {
        const volume = (token: string) => ask(house, '/players/den/player/volume', { token, from: house.from })
        den.fake.trouble = 'hang'
        const statuses: number[] = []
        const asks = Array.from({ length: 60 }, async () => {
          const { status, headers } = await volume(house.guest.token)
          if (status === 429) expect(headers['retry-after']).toMatch(/^\d+$/)
          statuses.push(status)
        })
        // So many wait, and no more.
        await until(() => statuses.length >= 20)
        expect(new Set(statuses)).toEqual(new Set([429]))
        // Meanwhile the other players are there for everybody, for the same person too.
        for (const { token } of [house.guest, house.owner]) {
          expect((await ask(house, '/players', { token })).status).toBe(200)
          expect((await ask(house, '/players/attic/player/tracks', { method: 'POST', token })).status).toBe(200)
        }
        // Whoever waits hears of the end, and nothing of it is asked a second time.
        const before = den.fake.requests.length
        den.fake.kill()
        await Promise.all(asks)
        expect(new Set(statuses)).toEqual(new Set([429, 502]))
        expect(den.fake.requests.length - before).toBeLessThanOrEqual(40)
        expect((await volume(house.owner.token)).status).toBe(502)
        den.fake.trouble = undefined
        await den.fake.reopen()
        await until(async () => (await volume(house.owner.token)).status === 200)
      },
    },
    {
      id: 'L17',
      attack: 'whoever can write to the socket of --onevent, and what songs are called',
      async run(house) {
        const socket = join(house.data, 'onevent.sock')
        expect([statSync(socket).mode & 0o777, statSync(house.data).mode & 0o777]).toEqual([0o600, 0o700])
        /** Everything that a connection is told; it takes nothing beyond what is said here. */
        const say = (bytes: string | Buffer) =>
          new Promise<void>((resolve) => {
            const one = connect(socket, () => one.end(bytes))
            one.on('error', () => {})
            one.on('close', () => resolve())
            one.resume()
          })
        const event = (texts: Readonly<Record<string, unknown>>, more: object = {}) =>
          `${JSON.stringify({ event: { PLAYER_EVENT: 'track_changed', NAME: 'mine', ...texts }, ...more })}\n`
        const state = () => ask(house, '/players/bath/state', { token: house.kid.token })
        expect((await state()).status).toBe(502)
        for (const bad of [
          'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n',
          `${'x'.repeat(2_000_000)}\n`,
          '['.repeat(100_000),
          event({}, { player: 'den' }),
          event({}, { player: '../bath' }),
          event({}, { player: '__proto__' }),
          event({}, { x: 1 }),
          event({ PATH: '/bin' }),
          event({ NAME: 5 }),
          event({ NAME: ['a'] }),
          event({ PLAYER_EVENT: '../x' }),
          event({ PLAYER_EVENT: '__proto__' }),
          '{"event":{"PLAYER_EVENT":"track_changed","NAME":"a","NAME":"b"}}\n',
          '{"event":{"__proto__":{"PLAYER_EVENT":"playing"}}}\n',
          Buffer.from([...Buffer.from('{"event":{"PLAYER_EVENT":"stopped","NAME":"'), 0xff, ...Buffer.from('"}}\n')]),
        ]) {
          await say(bad)
        }
        expect((await state()).status, 'nothing was told').toBe(502)

        await say(
          event({
            NAME: 'a\u0000\u001b[31m\u202e\nb\u2028c',
            ARTISTS: `${'x'.repeat(5_000)}\n<script>`,
            ALBUM: '',
            URI: 'spotify:track:../../x',
            COVERS: 'javascript:alert(1)\nhttp://169.254.169.254/',
            DURATION_MS: '99999999999',
          }),
        )
        const picture = await until(async () => {
          const { json: shown } = await ask(house, '/players/bath/state', { token: house.owner.token })
          return shown.title === null || shown.title === undefined ? undefined : shown
        })
        expect(picture).toMatchObject({ album: null, uri: null, art: null, duration: null })
        expect(JSON.stringify(picture)).not.toMatch(/\\u|\\n|\u202e|\u2028/)
        expect(JSON.stringify(picture).length).toBeLessThan(2_000)
      },
    },
    {
      id: 'L18',
      attack: 'what players are doing, by who may not see it, may see a part, or listens for ever',
      async run(house) {
        const paths = [
          '/players',
          '/players/home/state',
          '/players/den/state',
          '/players/attic/state',
          '/players/bath/state',
        ]
        const get = { method: 'GET' }
        await refused(
          house,
          undefined,
          [401],
          paths.map((path) => [path, get] as const),
        )
        await refused(
          house,
          house.person('visitor', []).token,
          [404],
          paths.slice(1).map((path) => [path, get] as const),
        )
        expect((await ask(house, '/players', { token: house.person('visitor', []).token })).text).toBe('[]')
        await refused(
          house,
          house.owner.token,
          [400, 404, 405],
          [
            ...[
              '/players/',
              '/players/den/state/',
              '/players/den/state/x',
              '/players/nobody/state',
              '/players/den%2fstate',
              '/players/DEN/state',
              '/players/d%65n/state',
            ].map((path) => [path, get] as const),
            ...paths.map((path) => [path] as const),
          ],
        )

        // Whose queue one may not see, of that one sees what plays and not where it comes from.
        const screen = house.person('screen')
        const seen = async (token: string) => (await ask(house, '/players/den/state', { token })).json
        await until(async () => (await seen(house.owner.token)).title !== undefined)
        expect((await seen(house.owner.token)).uri).toMatch(/^spotify:/)
        expect(await seen(screen.token)).toMatchObject({ title: expect.any(String), uri: null, art: null })
        expect(JSON.stringify([await seen(house.owner.token), await seen(screen.token)])).not.toMatch(leaks)

        const streams: { status: number; text: string; over: boolean; end(): void }[] = []
        const listen = () =>
          new Promise<void>((resolve) => {
            const headers = { accept: 'text/event-stream', authorization: `Bearer ${screen.token}` }
            const asked = request(
              { host: '127.0.0.1', port: house.https, ca: house.ca, path: '/players/den/state', agent: false, headers },
              (answer) => {
                const stream = { status: answer.statusCode ?? 0, text: '', over: false, end: () => asked.destroy() }
                answer.setEncoding('utf8')
                answer.on('data', (piece) => {
                  stream.text += piece
                })
                answer.on('close', () => {
                  stream.over = true
                })
                answer.on('error', () => {})
                streams.push(stream)
                resolve()
              },
            )
            asked.on('error', () => {})
            asked.end()
          })
        for (let i = 0; i < 10; i++) await listen()
        expect(streams.map(({ status }) => status)).toEqual([...Array(8).fill(200), 429, 429])
        den.fake.state.track = song('Inertia Creeps')
        den.fake.tell({ type: 'metadata', data: song('Inertia Creeps') })
        await until(() => streams.slice(0, 8).every(({ text }) => text.includes('Inertia Creeps')))
        expect(streams.map(({ text }) => text).join()).not.toMatch(/spotify:|alice|d3adb33f/)

        house.accounts.setDisabled(screen.id, true)
        const begin = performance.now()
        await until(() => streams.every(({ over }) => over))
        expect(performance.now() - begin).toBeLessThan(2_000)
      },
    },
  ],
  openLibrespotHouse,
)
