import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { afterEach, expect, test, vi } from 'vitest'
import { artOf, type PlayersLimits } from '../../src/listen/players.ts'
import { compile } from '../../src/policy/policy.ts'
import { webClients } from '../../src/protocol/web/clients.ts'
import type { Picture } from '../../src/upstream/player.ts'
import { ask } from './house.ts'
import { type LibrespotHouse, openLibrespotHouse, tokenOf } from './librespot.ts'

const picture: Picture = {
  state: 'playing',
  title: 'Teardrop',
  artist: 'Massive Attack',
  album: 'Mezzanine',
  uri: 'local:track:a.flac',
  art: '/local/ab12-300x300.jpeg',
  position: 1000,
  at: 1e12,
  duration: 330_000,
  volume: 40,
  muted: false,
  options: { random: false, repeat: false, single: false, consume: false },
}

/** A player that does what the test says. */
function createShown(local = true) {
  const listeners = new Set<() => void>()
  return {
    kind: 'mopidy',
    up: true,
    picture: {
      picture: picture as Picture | undefined,
      onPicture: (listener: () => void) => {
        listeners.add(listener)
        return () => listeners.delete(listener)
      },
    },
    art: artOf('den', local ? [...webClients.values()] : []),
    listeners,
    show(next: Partial<Picture> | undefined) {
      this.picture.picture = next && { ...picture, ...next }
      for (const listener of listeners) listener()
    },
  }
}

const ends: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function open(limits: Partial<PlayersLimits> = {}, local = true) {
  const den = createShown(local)
  const house = await openLibrespotHouse({ shown: new Map([['den', den]]), limits })
  ends.push(() => house.close())
  return { ...house, den }
}

const get = (
  house: Pick<LibrespotHouse, 'port'>,
  path: string,
  as = 'owner',
  headers: Readonly<Record<string, string>> = {},
) => ask(house.port, { path, headers: { ...(as !== '' && { Authorization: `Bearer ${tokenOf(as)}` }), ...headers } })

/** Reads server-sent events until the other side ends. */
async function stream(
  house: Pick<LibrespotHouse, 'port'>,
  as = 'owner',
  headers: Readonly<Record<string, string>> = {},
) {
  const sent = request({
    host: '127.0.0.1',
    port: house.port,
    path: '/players/den/state',
    rejectUnauthorized: false,
    headers: { host: 'localhost', accept: 'text/event-stream', authorization: `Bearer ${tokenOf(as)}`, ...headers },
    agent: false,
  }).end()
  sent.on('error', () => {})
  ends.push(() => void sent.destroy())
  const [reply] = (await once(sent, 'response')) as [IncomingMessage]
  const got = { reply, status: reply.statusCode, text: '', isOver: false }
  reply.setEncoding('utf8')
  reply.on('error', () => {})
  reply.on('data', (chunk: string) => {
    got.text += chunk
  })
  reply.once('close', () => {
    got.isOver = true
  })
  return {
    ...got,
    raw: () => got.text,
    isOver: () => got.isOver,
    events: () => [...got.text.matchAll(/^data: (.*)\n\n/gm)].map(([, json = '']) => JSON.parse(json)),
    close: () => sent.destroy(),
  }
}

test('everybody sees the players that are something to them, and what they may do there', async () => {
  const house = await open()
  const { status, json } = await get(house, '/players', 'only status.read')
  expect([status, json]).toEqual([
    200,
    [
      { name: 'home', kind: 'go-librespot', up: true, capabilities: ['status.read'] },
      { name: 'attic', kind: 'librespot-java', up: true, capabilities: ['status.read'] },
      { name: 'pi', kind: 'librespot', up: false, capabilities: ['status.read'] },
      { name: 'den', kind: 'mopidy', up: true, capabilities: ['status.read'] },
    ],
  ])
  expect((await get(house, '/players', 'attic')).json.map(({ name }: { name: string }) => name)).toEqual(['attic'])
  expect((await get(house, '/players', 'nobody')).json).toEqual([])
  expect((await get(house, '/players', '')).status).toBe(401)
  expect(house.audit.map(({ operation, outcome }) => `${outcome} ${operation}`)).toEqual(
    Array(3).fill('allowed GET /players'),
  )
})

test('the state of a player, and what of it is whose to see', async () => {
  const house = await open()
  const path = '/players/den/state'
  const all = await get(house, path)
  expect([all.status, all.json]).toEqual([200, { ...picture, art: '/players/den/local/ab12-300x300.jpeg' }])
  expect((await get(house, path, 'only status.read')).json).toEqual({ ...picture, uri: null, art: null })
  expect((await get(house, path, 'only status.read+only queue.read')).json).toEqual({ ...picture, art: null })
  for (const [as, status] of [
    ['no status.read', 403],
    ['nobody', 404],
    ['attic', 404],
    ['', 401],
  ] as const) {
    expect((await get(house, path, as)).status).toBe(status)
    expect((await get(house, path, as, { Accept: 'text/event-stream' })).status).toBe(status)
  }
})

test('go-librespot and librespot-java have theirs', async () => {
  const house = await open()
  expect((await get(house, '/players/home/state')).json).toMatchObject({
    title: 'Teardrop',
    artist: 'Massive Attack',
    art: null,
  })
  expect((await get(house, '/players/attic/state')).json).toMatchObject({ title: 'Teardrop', art: null })
})

test.for([
  'https://i.scdn.co/image/ab67616d0000b273',
  'http://127.0.0.1:6680/local/a.jpg',
  '//evil.example/local/a.jpg',
  '/local/../config',
  '/local/%2e%2e/config.jpg',
  '/local/a/b.jpg',
  '/local/a.jpg?x',
  '/local/a.svg',
  '/localx/a.jpg',
  'local/a.jpg',
  '/iris/a.jpg',
  'javascript:alert(1)',
  'data:image/png;base64,AAAA',
  '',
])('a picture that we do not serve has no address: %s', async (art) => {
  const { den, ...house } = await open()
  den.show({ art })
  expect((await get(house, '/players/den/state')).json.art).toBe(null)
})

test('nor has any where pictures are not served', async () => {
  const house = await open({}, false)
  expect((await get(house, '/players/den/state')).json.art).toBe(null)
})

test('a player of which nothing is known says so', async () => {
  const { den, ...house } = await open()
  den.show(undefined)
  const { status, json, headers } = await get(house, '/players/den/state')
  expect([status, json.code, headers.get('retry-after')]).toEqual([502, 'player-unreachable', '1'])
  const reader = await stream(house)
  await vi.waitFor(() => expect(reader.events()).toEqual([null]))
  den.show({})
  await vi.waitFor(() => expect(reader.events().at(-1)).toMatchObject({ title: 'Teardrop' }))
})

test.for([
  '/players/pi/state',
  '/players/cellar/state',
  '/players/den',
  '/players/den/',
  '/players/',
  '/players/den/state/',
  '/state',
  '/players/%64en/state',
])('GET %s is nothing', async (path) => {
  const house = await open()
  expect((await get(house, path)).status).toBe(404)
})

test('whoever listens hears everything with every change, and how to come back', async () => {
  const { den, ...house } = await open({ beatMs: 50 })
  const reader = await stream(house, 'only status.read', { 'last-event-id': '7' })
  expect([reader.status, reader.reply.headers]).toMatchObject([
    200,
    {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    },
  ])
  den.show({ title: 'data: x\n\nevent: y\r\n' })
  const seen = { ...picture, uri: null, art: null }
  await vi.waitFor(() => expect(reader.events()).toEqual([seen, { ...seen, title: 'data: x\n\nevent: y\r\n' }]))
  await vi.waitFor(() => expect(reader.raw()).toMatch(/\n\n:\n\n/))
  expect(reader.raw()).toMatch(/^retry: 3000\n\ndata: /)
  expect(reader.raw()).not.toMatch(/^event:|^id:/m)
  expect(house.audit).toMatchObject([{ operation: 'GET /players/{name}/state', outcome: 'allowed', player: 'den' }])
})

test('a reader who left is forgotten', async () => {
  const { den, ...house } = await open()
  const reader = await stream(house)
  expect(den.listeners.size).toBe(1)
  reader.close()
  await vi.waitFor(() => expect(den.listeners.size).toBe(0))
})

test('a sign-in that ended hears no more', async () => {
  const { den, ...house } = await open()
  const [kim, ada] = await Promise.all([stream(house, 'kid'), stream(house, 'owner')])
  await vi.waitFor(() => expect(kim.events()).toHaveLength(1))
  house.people.revoke('kid')
  den.show({ title: 'Angel' })
  await vi.waitFor(() => expect(kim.isOver()).toBe(true))
  expect(kim.events()).toHaveLength(1)
  await vi.waitFor(() => expect(ada.events()).toHaveLength(2))
})

test('who may no more by a newer configuration hears no more, also while nothing happens', async () => {
  const { den, ...house } = await open({ sweepMs: 20 })
  const [kim, ada] = await Promise.all([stream(house, 'kid'), stream(house, 'owner')])
  await vi.waitFor(() => expect([kim, ada].map(({ events }) => events())).toMatchObject([[{}], [{}]]))
  house.reload(compile({ owner: { grants: [{ allow: ['*'] }] }, kid: { grants: [{ allow: ['*'], on: ['attic'] }] } }))
  await vi.waitFor(() => expect(kim.isOver()).toBe(true))
  expect(ada.events()).toHaveLength(1)
  const when = { maxVolume: { max: 50, over: 'scale' } } as const
  house.reload(compile({ owner: { grants: [{ allow: ['status.read'] }, { allow: ['volume.set'], when }] } }))
  await vi.waitFor(() => expect(ada.events()).toHaveLength(2))
  expect(ada.events()[1]).toMatchObject({ volume: 80, uri: null })
  expect(ada.isOver()).toBe(false)
})

test('so many of one account, and so many of all', async () => {
  const house = await open({ streams: 5, streamsEach: 2 })
  const first = await stream(house, 'kid')
  await stream(house, 'kid')
  const third = await stream(house, 'kid')
  expect([third.status, third.reply.headers['retry-after']]).toEqual([429, '10'])
  await Promise.all(['owner', 'only status.read', 'owner'].map((as) => stream(house, as)))
  expect((await stream(house, 'no queue.read')).status).toBe(429)
  first.close()
  await vi.waitFor(() => expect(house.den.listeners.size).toBe(4))
  expect((await stream(house, 'no queue.read')).status).toBe(200)
  // Asking once is nobody's place.
  expect((await get(house, '/players/den/state', 'kid')).status).toBe(200)
})

test('who does not read is sent away, and the others go on hearing', async () => {
  const { den, ...house } = await open({ beatMs: 100 })
  const [slow, quick] = await Promise.all([stream(house, 'kid'), stream(house, 'owner')])
  slow.reply.pause()
  slow.reply.socket.pause()
  const title = 'x'.repeat(100_000)
  for (let i = 0; den.listeners.size > 1; i++) {
    den.show({ title: `${i} ${title}` })
    await new Promise((resolve) => setTimeout(resolve, 5))
    if (i > 1_000) throw new Error('nobody was sent away')
  }
  den.show({ title: 'Angel' })
  await vi.waitFor(() => expect(quick.events().at(-1)).toMatchObject({ title: 'Angel' }), 5_000)
  expect(quick.isOver()).toBe(false)
})

test('a reader that was slow hears the last of what it missed', async () => {
  const { den, ...house } = await open()
  const reader = await stream(house)
  reader.reply.pause()
  reader.reply.socket.pause()
  const title = 'x'.repeat(100_000)
  for (let i = 0; i < 200; i++) den.show({ title: `${i} ${title}` })
  den.show({ title: 'the last' })
  reader.reply.socket.resume()
  reader.reply.resume()
  await vi.waitFor(() => expect(reader.events().at(-1)).toMatchObject({ title: 'the last' }), 5_000)
  expect(reader.events().length).toBeLessThan(200)
})

test('streams end with the gateway', async () => {
  const house = await open()
  const reader = await stream(house)
  await house.app.close()
  await vi.waitFor(() => expect(reader.isOver()).toBe(true))
  expect(house.den.listeners.size).toBe(0)
})

test.for([
  ['text/event-stream', 'text/event-stream'],
  ['Text/Event-Stream;q=1', 'text/event-stream'],
  ['text/html, text/event-stream;q=0.5', 'text/event-stream'],
  ['*/*', 'application/json'],
  ['text/*', 'application/json'],
  ['text/event-streams', 'application/json'],
] as const)('Accept: %s is answered with %s', async ([accept, type]) => {
  const reader = await stream(await open(), 'owner', { accept })
  expect(reader.reply.headers['content-type']).toContain(type)
})

test('a page of another origin listens to nothing', async () => {
  const house = await open()
  const cookie = `__Host-stagedoor=${tokenOf('owner')}`
  const headers = { Cookie: cookie, Accept: 'text/event-stream' }
  expect((await get(house, '/players/den/state', '', { ...headers, Origin: 'https://evil.example' })).status).toBe(403)
  expect((await get(house, '/players/den/state', '', { ...headers, Host: 'evil.example' })).status).toBe(421)
})

test.for(['POST', 'PUT', 'DELETE', 'OPTIONS', 'HEAD'])('%s is no way to ask', async (method) => {
  const house = await open()
  for (const path of ['/players', '/players/den/state']) {
    const { status, headers } = await ask(house.port, {
      method,
      path,
      headers: { Authorization: `Bearer ${tokenOf('owner')}` },
    })
    expect([status, headers.get('allow')]).toEqual([405, 'GET'])
  }
})
