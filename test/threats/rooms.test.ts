import { request } from 'node:https'
import { expect } from 'vitest'
import { createSecret, hashSecret, writeDeviceToken } from '../../src/identity/tokens.ts'
import { until } from '../real/tools.ts'
import { type Answer, ask, dial, ended, openMpd, openWs, type Upgrade, upgrade } from './clients.ts'
import { attack, type House, type HouseOptions, openHouse, type Person } from './harness.ts'
import { type Stub, startStub } from './stub.ts'

let kitchen: Stub
let attic: Stub
let bath: Stub

/** Has the kitchen and the loft, and neither the default player nor any other. */
const tenant = { grants: [{ allow: ['*'], on: ['kitchen', 'loft'] }] }
/** Has the default player and nothing else. */
const lodger = { grants: [{ allow: ['status.read', 'queue.read'], on: ['home'] }] }

/** One of each kind; the default, a Mopidy with web clients, is not for everybody. */
async function openRooms(options: HouseOptions) {
  ;[kitchen, attic, bath] = await Promise.all([
    startStub('go-librespot'),
    startStub('librespot-java'),
    startStub('zeroconf'),
  ])
  const house = await openHouse({
    ...options,
    beside: [kitchen, attic, bath],
    change: (config) => {
      const [[home, place]] = [...config.players] as unknown as [
        [string, { kind: 'mopidy'; http: string; mpd: string }],
      ]
      return {
        ...config,
        players: new Map([
          [home, { ...place, web: ['iris', 'party', 'pibox', 'local', 'musicbox_webclient'] }],
          ['kitchen', { kind: 'go-librespot', url: kitchen.fake.url, private: false }],
          ['attic', { kind: 'librespot-java', url: attic.fake.url, private: false }],
          ['bath', { kind: 'librespot', zeroconf: bath.fake.url, onevent: true }],
          ['loft', { kind: 'mpd', mpd: place.mpd }],
        ]) as unknown as typeof config.players,
        roles: { ...config.roles, tenant, lodger } as typeof config.roles,
      }
    },
  })
  await until(async () => (await ask(house, '/readyz')).status === 200)
  const close = async () => {
    await house.close()
    await Promise.all([kitchen, attic, bath].map(({ fake }) => fake.close()))
  }
  return { ...house, close }
}

/** What of an answer may differ from one to the next. */
const passing = ['date', 'x-request-id', 'ratelimit-remaining', 'ratelimit-reset']

/** All of an answer that could tell something, with the player's name taken out of what it repeats. */
function plainly({ status, headers, text }: Answer, name: string) {
  const told = Object.entries(headers).filter(([key]) => !passing.includes(key))
  const body = text.replace(/"request_id":"[^"]*"/, '"request_id":""')
  return JSON.stringify([status, told, body]).replaceAll(name, 'NAME')
}

const rpc = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'core.playback.get_state' })
const describe = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'core.describe' })
const page = { accept: 'text/html', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }
const form = { 'content-type': 'application/x-www-form-urlencoded' }

/** Every door of every kind of player, as it is written below its name, and spoiled besides. */
const doors: readonly (readonly [
  method: string,
  path: string,
  more?: { headers?: Record<string, string>; body?: string },
])[] = [
  ['GET', ''],
  ['GET', '/'],
  ['GET', '/?action=getInfo'],
  ['POST', '/', { headers: form, body: 'action=addUser' }],
  ['POST', '/', { body: '{}' }],
  ['POST', '/', { headers: form, body: 'x'.repeat(5_000) }],
  ['PUT', '/'],
  ['GET', '/state'],
  ['GET', '/state', { headers: { accept: 'text/event-stream' } }],
  ['HEAD', '/state'],
  ['OPTIONS', '/state'],
  ['HEAD', '/player/play'],
  ['OPTIONS', '/token/x'],
  ['POST', '/state', { body: '{}' }],
  ['GET', '/events'],
  ['POST', '/mopidy/rpc', { body: rpc }],
  ['POST', '/mopidy/rpc', { body: describe }],
  ['POST', '/mopidy/rpc', { body: `[${rpc},${rpc}]` }],
  ['POST', '/mopidy/rpc', { body: '{' }],
  ['POST', '/mopidy/rpc', { headers: { 'content-type': 'text/plain' }, body: rpc }],
  ['POST', '/mopidy/rpc', { body: `"${'x'.repeat(70_000)}"` }],
  ['GET', '/mopidy/rpc'],
  ['OPTIONS', '/mopidy/rpc'],
  ['GET', '/mopidy/ws'],
  ['GET', '/iris/'],
  ['GET', '/iris/', { headers: page }],
  ['GET', '/iris/index.html'],
  ['GET', '/iris/ws'],
  ['POST', '/iris/http/get_config', { body: '{}' }],
  ['GET', '/local/ab12-300x300.jpeg'],
  ['GET', '/party/vote'],
  ['GET', '/status'],
  ['POST', '/player/play', { body: '{}' }],
  ['GET', '/player/volume'],
  ['GET', '/player/play'],
  ['DELETE', '/player/play'],
  ['POST', '/token', { body: '{}' }],
  ['POST', '/player/load', { headers: form, body: 'uri=spotify:track:67Hna13dNDkZvBpTXRIaOJ' }],
  ['POST', '/metadata/track/spotify:track:67Hna13dNDkZvBpTXRIaOJ'],
  ['GET', '/instance'],
  ['GET', '/nothing/at/all'],
]

const others = ['home', 'attic', 'bath']
const nowhere = 'nowhere'

async function sameEverywhere(
  house: House,
  names: readonly string[],
  who: { token?: string; headers?: Record<string, string> },
) {
  const answers = new Map<string, number>()
  for (const [method, path, more = {}] of doors) {
    const all = { method, ...more, ...who, headers: { ...more.headers, ...who.headers } }
    const tell = async (name: string) => {
      const answer = await ask(house, `/players/${name}${path}`, { ...all, from: house.address() })
      answers.set(`${method} ${path}`, answer.status)
      return plainly(answer, name)
    }
    const expected = await tell(nowhere)
    for (const name of names) expect(await tell(name), `${method} /players/${name}${path}`).toBe(expected)
  }
  return answers
}

/** All that comes back to an upgrade that is not taken. */
async function knock(house: House, given: Upgrade): Promise<string> {
  const socket = await dial(house, 'https', { from: house.address() })
  const all = ended(socket)
  socket.write(upgrade(given))
  return (await all).replace(/"request_id":"[^"]*"/, '"request_id":""')
}

function tokenFor(house: House, { id }: Person, players: readonly string[]): string {
  const secret = createSecret()
  const given = { account: id, label: 'test', role: null, players: [...players], expires: null }
  return house.keep(writeDeviceToken(house.accounts.createToken(given, hashSecret(secret)).id, secret))
}

const sockets = ['mopidy/ws', 'mopidy/ws/', 'iris/ws', 'events', 'nothing']

attack(
  'Rooms',
  [
    {
      id: 'R1',
      attack: 'every path of a room that is not one’s own: as if there were no player of that name',
      async run(house) {
        const { token } = house.person('tenant')
        const told = await sameEverywhere(house, others, { token })
        expect(new Set(told.values())).toEqual(new Set([404]))
        // And where one lives things are as they are.
        expect((await ask(house, '/players/kitchen/state', { token })).status).toBe(200)
      },
    },
    {
      id: 'R2',
      attack: 'somebody unknown looks for names',
      async run(house) {
        const told = await sameEverywhere(house, [...others, 'kitchen', 'loft'], {})
        expect(new Set(told.values())).toEqual(new Set([401, 303]))
        const wrong = await sameEverywhere(house, ['home', 'kitchen'], { headers: { authorization: 'Bearer nobody' } })
        expect(new Set(wrong.values())).toEqual(new Set([401]))
      },
    },
    {
      id: 'R3',
      attack: 'the default player’s paths at the root, by somebody whose it is not',
      reaches: [/^core\.playback\.get_state /],
      async run(house) {
        const [mine, theirs] = [house.person('tenant'), house.person('lodger')]
        const roots: readonly (readonly [string, string, string?])[] = [
          ['POST', '/mopidy/rpc', rpc],
          ['POST', '/mopidy/rpc', '{'],
          ['GET', '/mopidy/rpc'],
          ['GET', '/iris/'],
          ['GET', '/iris/index.html'],
          ['GET', '/party/vote'],
          ['PUT', '/party/vote'],
          ['POST', '/iris/http/get_config', '{}'],
          ['GET', '/local/ab12-300x300.jpeg'],
        ]
        for (const [method, path, body] of roots) {
          const more = { method, token: mine.token, ...(body !== undefined && { body }) }
          const nothing = await ask(house, '/nowhere', { ...more, from: house.address() })
          const answer = await ask(house, path, { ...more, from: house.address() })
          expect(plainly(answer, nowhere), `${method} ${path}`).toBe(plainly(nothing, nowhere))
          expect(answer.status).toBe(404)
        }
        expect((await ask(house, '/mopidy/rpc', { token: theirs.token, body: rpc })).json.result).toBeDefined()
      },
    },
    {
      id: 'R4',
      attack: 'the WebSockets of rooms that are not one’s own, and names by upgrading',
      async run(house) {
        const { token } = house.person('tenant')
        for (const path of sockets) {
          const told = (name: string, who?: string) => knock(house, { path: `/players/${name}/${path}`, token: who })
          const [own, strange] = [await told(nowhere, token), await told(nowhere)]
          expect([own, strange].map((text) => text.slice(9, 12))).toEqual(['404', '401'])
          for (const name of others) expect(await told(name, token), `${name} ${path}`).toBe(own)
          for (const name of [...others, 'kitchen', 'loft']) expect(await told(name), `${name} ${path}`).toBe(strange)
        }
        const nothing = await knock(house, { path: '/nothing', token })
        for (const path of sockets) expect(await knock(house, { path: `/${path}`, token })).toBe(nothing)
        const ws = await openWs(house, { path: '/players/kitchen/events', token })
        ws.close()
      },
    },
    {
      id: 'R5',
      attack: 'what one is told of oneself and of the house names other rooms',
      reaches: [/^core\.playback\.get_state /],
      async run(house) {
        const [mine, theirs] = [house.person('tenant'), house.person('lodger')]
        const all = await Promise.all(['/auth/me', '/players'].map((path) => ask(house, path, { token: mine.token })))
        for (const { status, text } of all) {
          expect(status).toBe(200)
          expect(text).not.toMatch(/home|attic|bath/)
          expect(text).toMatch(/kitchen.*loft/s)
        }
        const him = await ask(house, '/auth/me', { token: theirs.token })
        expect(him.json).toMatchObject({ players: ['home'], capabilities: ['status.read', 'queue.read'] })
      },
    },
    {
      id: 'R6',
      attack: 'other rooms as partitions of MPD',
      reaches: [/^lsinfo/],
      async run(house) {
        const mpd = await openMpd(house, house.person('tenant'))
        expect(await mpd.ask('listpartitions\n')).toBe('partition: loft\nOK\n')
        // Were it any other, this would be refused.
        expect(await mpd.ask('status\n')).toMatch(/^OK\n$/m)
        const nothing = await mpd.ask('partition nowhere\n')
        expect(nothing).toMatch(/^ACK /)
        for (const name of [...others, 'kitchen']) expect(await mpd.ask(`partition ${name}\n`)).toBe(nothing)
        expect(await mpd.ask('status\n')).toMatch(/^OK\n$/m)
        mpd.close()
        const other = await openMpd(house, house.person('lodger'))
        expect(await other.ask('listpartitions\n')).toBe('partition: home\nOK\n')
        expect(await other.ask('status\n')).toMatch(/^OK\n$/m)
        expect(await other.ask('partition loft\n')).toBe(nothing)
        other.close()
      },
    },
    {
      id: 'R7',
      attack: 'one stays in a room that was taken away, by a connection from before',
      // What a player is doing, which a stream tells.
      reaches: [/^core\.(playback|mixer|tracklist)\.get_/],
      async run(house) {
        const mine = house.person('owner')
        const [mpd, ws] = await Promise.all([openMpd(house, mine), openWs(house, { token: mine.token })])
        expect(await mpd.ask('listpartitions\n')).toBe('partition: home\npartition: loft\nOK\n')
        const call = { jsonrpc: '2.0', id: 1, method: 'core.playback.get_state' }
        expect(await ws.rpc(call)).toHaveProperty('result')
        const { told } = await listen(house, '/players/home/state', mine.token)
        house.accounts.setRoles(mine.id, ['tenant'])
        await until(async () => (await mpd.ask('listpartitions\n')) === 'partition: loft\nOK\n')
        // Somewhere that is theirs, or this would be refused.
        expect(await mpd.ask('status\n')).toMatch(/^OK\n$/m)
        expect(await ws.rpc(call)).toMatchObject({ error: { code: -32003 } })
        // It ends, which is all that it says of it.
        expect(await told).toMatch(/^retry: /)
        expect((await ask(house, '/players/home/state', { token: mine.token })).status).toBe(404)
        mpd.close()
        ws.close()
      },
    },
    {
      id: 'R8',
      attack: 'a device token for some players, on every door',
      async run(house) {
        const token = tokenFor(house, house.owner, ['loft'])
        const told = await sameEverywhere(house, [...others, 'kitchen'], { token })
        expect(new Set(told.values())).toEqual(new Set([404]))
        for (const path of ['/auth/me', '/players']) {
          expect((await ask(house, path, { token })).text).not.toMatch(/home|kitchen|attic|bath/)
        }
        const [own, nothing] = [await knock(house, { token }), await knock(house, { token, path: '/nothing' })]
        expect(own).toBe(nothing)
        const mpd = await openMpd(house, { token, from: house.address() })
        expect(await mpd.ask('listpartitions\n')).toBe('partition: loft\nOK\n')
        expect(await mpd.ask('partition home\n')).toBe(await mpd.ask('partition nowhere\n'))
        mpd.close()
        const none = tokenFor(house, house.owner, ['nowhere'])
        expect((await ask(house, '/auth/me', { token: none })).json).toMatchObject({ players: [], capabilities: [] })
        const nobody = await openMpd(house, { token: none, from: house.address() })
        expect(await nobody.ask('listpartitions\n')).toBe('OK\n')
        expect(await nobody.ask('status\n')).toMatch(/^ACK \[4@0\]/)
        nobody.close()
      },
    },
    {
      id: 'R9',
      attack: 'a player that can be paired, found by trying; the attempt is on record all the same',
      async run(house) {
        const [blob, clientKey] = [Buffer.alloc(40, 1).toString('base64'), Buffer.alloc(96, 2).toString('base64')]
        const body = new URLSearchParams({ action: 'addUser', userName: 'alice', blob, clientKey }).toString()
        const pair = (name: string, token?: string) =>
          ask(house, `/players/${name}/`, {
            method: 'POST',
            headers: form,
            body,
            from: house.address(),
            ...(token && { token }),
          })
        const mine = house.person('tenant')
        for (const token of [undefined, mine.token]) {
          const nothing = await pair(nowhere, token)
          expect(nothing.status).toBe(token ? 404 : 401)
          expect(plainly(await pair('bath', token), 'bath')).toBe(plainly(nothing, nowhere))
        }
        const records = () => house.log.filter(({ player, outcome }) => player === 'bath' && outcome === 'denied')
        await until(() => records().length >= 2)
        expect(records().map(({ reason }) => reason)).toContain('alarm')
      },
    },
    {
      id: 'R10',
      attack: 'a name spelt otherwise, or a path that goes round by one’s own room',
      async run(house) {
        const { token } = house.person('tenant')
        for (const path of [
          '/players/HOME/state',
          '/players/hom%65/state',
          '/players/%68ome/mopidy/rpc',
          '/players/%61ttic/token/x',
          '//players/home/state',
          '/players/home//state',
          '/Players/home/state',
          '/players/home;/state',
          '/players/home\\state',
          '/players/kitchen/../home/state',
          '/players/kitchen/%2e%2e/home/state',
          '/players//home/state',
          '/players/home%2Fstate',
          '/players/kitchen%00/state',
          '/players/__proto__/state',
          '/players/constructor/mopidy/rpc',
          '/%70layers/home/state',
          '/players/home/iris/../../kitchen/state',
        ]) {
          expect((await ask(house, path, { token, from: house.address() })).status, path).toBe(404)
        }
      },
    },
    {
      id: 'R11',
      attack: 'what rings an alarm, tried at other rooms: nothing is there, and the alarm rings all the same',
      async run(house) {
        const mine = house.person('tenant')
        const tries = [
          ['POST', '/players/attic/token/x', 'ANY /token/*'],
          ['GET', '/players/attic/web-api/v1/me', 'ANY /web-api/*'],
          ['POST', '/players/attic/instance/close', 'POST /instance/close'],
          ['POST', '/players/home/settings/shutdown', 'POST /settings/shutdown'],
          ['POST', '/settings/reboot', 'POST /settings/reboot'],
        ] as const
        const told = async (method: string, path: string, name: string) =>
          plainly(await ask(house, path, { method, token: mine.token, from: house.address(), body: '{' }), name)
        for (const [method, path] of tries) {
          const player = path.split('/')[2] ?? ''
          const elsewhere = path.startsWith('/players/') ? path.replace(player, nowhere) : '/nowhere'
          expect(await told(method, path, player), path).toBe(await told(method, elsewhere, nowhere))
        }
        const rung = () => house.log.filter(({ account, reason }) => account === mine.id && reason === 'alarm')
        await until(() => rung().length >= tries.length)
        expect(rung().map(({ operation }) => operation)).toEqual(tries.map(([, , operation]) => operation))
        expect(rung().map(({ player }) => player)).toEqual(['attic', 'attic', 'attic', 'home', 'home'])
        // What harms nobody is on record as well.
        await ask(house, '/players/attic/player/next', { method: 'POST', token: mine.token })
        const denied = () => house.log.filter(({ account, outcome }) => account === mine.id && outcome === 'denied')
        await until(() => denied().length > tries.length)
        expect(denied().at(-1)).toMatchObject({ player: 'attic', reason: 'not-granted', rule: null })
      },
    },
  ],
  openRooms,
)

/** A stream of events that has begun, and all that it tells until it ends. */
function listen(house: House, path: string, token: string): Promise<{ readonly told: Promise<string> }> {
  const headers = { authorization: `Bearer ${token}`, accept: 'text/event-stream' }
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port: house.https, path, ca: house.ca, agent: false, headers }
    const asked = request(options, (answer) => {
      let text = ''
      answer.on('data', (piece) => {
        text += piece
      })
      const told = new Promise<string>((end) => answer.on('end', () => end(text)))
      answer.once('data', () => resolve({ told }))
    })
    asked.on('error', reject)
    asked.end()
  })
}
