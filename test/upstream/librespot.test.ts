import { afterEach, expect, test, vi } from 'vitest'
import { Fault } from '../../src/call/fault.ts'
import type { LibrespotEvent } from '../../src/protocol/librespot/events.ts'
import { resolveVolume } from '../../src/protocol/librespot/volume.ts'
import {
  createGoLibrespot,
  createLibrespotJava,
  type LibrespotLimits,
  type LibrespotPlayer,
} from '../../src/upstream/librespot.ts'
import { type FakeLibrespot, type Kind, song, startFakeLibrespot } from './fakelibrespot.ts'
import { go, java, permitOf } from './permits.ts'

const ends: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

const quick = { retryFirstMs: 10, retryMostMs: 30, windowMs: 50 }

async function setUp(
  kind: Exclude<Kind, 'zeroconf'> = 'go-librespot',
  limits: Partial<LibrespotLimits> = {},
): Promise<{ fake: FakeLibrespot; player: LibrespotPlayer }> {
  const fake = await startFakeLibrespot(kind)
  ends.push(() => fake.close())
  const player = connect(fake, kind, limits)
  await vi.waitFor(() => expect(player.picture).toBeDefined())
  return { fake, player }
}

function connect(fake: FakeLibrespot, kind: Exclude<Kind, 'zeroconf'>, limits: Partial<LibrespotLimits> = {}) {
  const create = kind === 'go-librespot' ? createGoLibrespot : createLibrespotJava
  const feed = { ...quick, ...limits.feed }
  const player = create({
    url: fake.url,
    now: () => 1_000_000,
    random: () => 0,
    limits: { refreshMs: 20, ...limits, feed },
  })
  ends.push(() => player.close())
  return player
}

function eventsOf(player: LibrespotPlayer): LibrespotEvent[] {
  const heard: LibrespotEvent[] = []
  player.onEvent((event) => heard.push(event))
  return heard
}

const changes = (fake: FakeLibrespot) => fake.asked.filter((line) => line.startsWith('POST'))
const secrets = /alice|d3adb33f|BQ-the-owner|kept/

test('the handshake for events has no Origin and no compression', async () => {
  const { fake } = await setUp()
  expect(fake.handshakes).toHaveLength(1)
  expect(fake.handshakes[0]).not.toHaveProperty('origin')
  expect(fake.handshakes[0]).not.toHaveProperty('cookie')
  expect(fake.handshakes[0]).not.toHaveProperty('sec-websocket-extensions')
})

test('go-librespot in one picture, and what a call may depend on', async () => {
  const { player } = await setUp()
  expect(player.picture).toEqual({
    state: 'playing',
    title: 'Teardrop',
    artist: 'Massive Attack',
    album: 'Mezzanine',
    uri: 'spotify:track:67Hna13dNDkZvBpTXRIaOJ',
    art: 'https://i.scdn.co/image/ab67616d0000b273',
    position: 1000,
    at: 1_000_000,
    duration: 330_000,
    volume: 51,
    muted: null,
    options: { random: false, repeat: false, single: false, consume: false },
  })
  expect(player.live).toEqual({ track: true, volume: 32_768, steps: 65_535 })
})

test.each(['POST /player/next', 'POST /player/prev'])('%s with nothing loaded: nothing is sent', async (line) => {
  const { fake, player } = await setUp()
  fake.state.track = null
  await expect(player.send(go.permit(line))).rejects.toMatchObject({ code: 409 })
  fake.session = false
  await expect(player.send(go.permit(line))).rejects.toMatchObject({ code: 409 })
  expect(changes(fake)).toEqual([])
  expect(fake.crashed).toBe(false)
})

test('what was remembered does not count: a track that ended a moment ago is not skipped', async () => {
  const { fake, player } = await setUp()
  expect(player.live?.track).toBe(true)
  fake.state.track = null
  await expect(
    player.send(go.permit('POST /player/next', { uri: 'spotify:track:67Hna13dNDkZvBpTXRIaOJ' })),
  ).rejects.toMatchObject({ code: 409 })
  expect(fake.crashed).toBe(false)
})

test('a player that cannot say what it has is not skipped', async () => {
  const { fake, player } = await setUp()
  fake.trouble = 'malformed'
  await expect(player.send(go.permit('POST /player/next'))).rejects.toBeInstanceOf(Fault)
  fake.trouble = undefined
  expect(changes(fake)).toEqual([])
})

test('the question and the skip stand together: nothing comes in between', async () => {
  const { fake, player } = await setUp()
  const from = fake.asked.length
  fake.latencyMs = 3
  await Promise.all([
    player.send(go.permit('POST /player/next', undefined, 'ada')),
    player.send(go.permit('POST /player/pause', undefined, 'bob')),
    player.send(go.permit('POST /player/next', undefined, 'eve')),
  ])
  const asked = fake.asked.slice(from)
  for (const [i, line] of asked.entries()) if (line === 'POST /player/next') expect(asked[i - 1]).toBe('GET /status')
  expect(asked.filter((line) => line === 'POST /player/next')).toHaveLength(2)
})

test('a skip nobody waits for any more is not sent', async () => {
  const { fake, player } = await setUp('go-librespot', { rest: { callMs: 40 } })
  fake.latencyMs = 60
  const from = fake.asked.length
  await expect(player.send(go.permit('POST /player/next'))).rejects.toMatchObject({ code: 'player-timeout' })
  fake.latencyMs = 0
  await vi.waitFor(async () => expect(await player.send(go.permit('POST /player/pause'))).toBe(null))
  expect(fake.asked.slice(from)).not.toContain('POST /player/next')
})

/** As the door does it: resolved, admitted and sent in one step. */
function turnBy(player: LibrespotPlayer, by: number, person?: string): Promise<unknown> {
  const request = go.read('POST /player/volume', { volume: by, relative: true })
  return player.send(permitOf(resolveVolume(request, player.live), person))
}

test('two who turn the volume up at once turn it up twice', async () => {
  const { fake, player } = await setUp()
  fake.latencyMs = 5
  fake.state.volume = 32_768
  await Promise.all([turnBy(player, 100, 'ada'), turnBy(player, 100, 'bob'), turnBy(player, -50, 'eve')])
  expect(fake.state.volume).toBe(32_918)
  expect(player.live?.volume).toBe(32_918)
  const bodies = fake.requests.filter(({ path }) => path === '/player/volume').map(({ body }) => body)
  expect(bodies).toEqual(['{"volume":32868}', '{"volume":32968}', '{"volume":32918}'])
})

test('a volume that waited longer than one asked for later does not undo it', async () => {
  const { fake, player } = await setUp()
  fake.latencyMs = 5
  const before = ['pause', 'resume', 'pause'].map((name) =>
    player.send(go.permit(`POST /player/${name}`, undefined, 'ada')),
  )
  await Promise.all([...before, turnBy(player, 100, 'ada'), turnBy(player, 100, 'bob')])
  expect(fake.state.volume).toBe(32_968)
  expect(player.live?.volume).toBe(32_968)
})

test('a volume that could not be set counts for nothing', async () => {
  const { fake, player } = await setUp()
  fake.trouble = 'reset'
  await expect(turnBy(player, 100)).rejects.toBeInstanceOf(Fault)
  fake.trouble = undefined
  expect(player.live?.volume).toBe(32_768)
})

test('while it is not known where the volume stands there is nothing to go by', async () => {
  const { fake, player } = await setUp()
  fake.session = false
  fake.tell({ type: 'inactive', data: null })
  await vi.waitFor(() => expect(player.picture?.title).toBe(null))
  fake.kill()
  await vi.waitFor(() => expect(player.live).toBe(undefined))
  expect(player.picture).toBe(undefined)
  expect(player.up).toBe(false)
  expect(() => turnBy(player, 1)).toThrow(Fault)
})

test('events are made anew, and what is none is heard by nobody', async () => {
  // So that what is seen comes of events alone.
  const { fake, player } = await setUp('go-librespot', { refreshMs: 60_000 })
  const heard = eventsOf(player)
  fake.tell({ type: 'metadata', data: { ...song('Angel'), username: 'alice-of-spotify' } })
  fake.tell({ type: 'seek', data: { uri: 'x', position: 'alice', duration: 1 } })
  fake.tell({ type: 'login', data: { username: 'alice-of-spotify' } })
  fake.tell('{"type":"volume"')
  fake.tell('null')
  fake.tell('[]')
  fake.tell(Buffer.from('{"type":"active"}'))
  fake.tell({ type: '__proto__', data: {} })
  fake.tell({ type: 'volume', data: { value: 6554, max: 65_535 }, username: 'alice-of-spotify' })
  await vi.waitFor(() => expect(heard.map(({ type }) => type)).toEqual(['metadata', 'volume']))
  expect(JSON.stringify(heard)).not.toMatch(secrets)
  expect(player.picture).toMatchObject({ title: 'Angel', volume: 11 })
  expect(player.live).toMatchObject({ volume: 6554 })
})

test('an event shows in the picture at once, and the player is asked for the rest', async () => {
  const { fake, player } = await setUp()
  let changes = 0
  const stop = player.onPicture(() => changes++)
  fake.state.paused = true
  fake.state.shuffle_context = true
  fake.tell({ type: 'paused', data: { context_uri: 'x', uri: 'y', play_origin: 'z' } })
  await vi.waitFor(() => expect(player.picture).toMatchObject({ state: 'paused', options: { random: true } }))
  expect(changes).toBeGreaterThan(0)
  stop()
  const before = changes
  fake.tell({ type: 'volume', data: { value: 0, max: 65_535 } })
  await vi.waitFor(() => expect(player.picture?.volume).toBe(0))
  expect(changes).toBe(before)
})

test('hostile names are shown as one short line', async () => {
  const { fake, player } = await setUp()
  fake.state.track = { ...song(`a\u202eb\n\u001b[2Jc${'x'.repeat(1000)}`), artist_names: ['\u0000'] }
  fake.tell({ type: 'metadata', data: fake.state.track })
  await vi.waitFor(() => expect(player.picture?.title).toMatch(/^ab \[2Jcx/))
  expect(player.picture?.title?.length).toBeLessThanOrEqual(500)
  expect(player.picture?.artist).toBe(null)
})

test('a flood of events is cut down to the latest of each kind', async () => {
  const { fake, player } = await setUp('go-librespot', { feed: { eventsEach: 10, windowMs: 200 } })
  const heard = eventsOf(player)
  for (let value = 1; value <= 500; value++) fake.tell({ type: 'volume', data: { value, max: 65_535 } })
  fake.tell({ type: 'active' })
  await vi.waitFor(() => expect(heard.at(-1)?.type).toBe('active'))
  expect(heard).toHaveLength(12)
  expect(heard.at(-2)).toEqual({ type: 'volume', data: { value: 500, max: 65_535 } })
  expect(fake.handshakes).toHaveLength(1)
})

test('a flood beyond that ends the connection, and nobody else notices', async () => {
  const { fake, player } = await setUp('go-librespot', { feed: { messagesMost: 100, windowMs: 10_000 } })
  const { player: other } = await setUp()
  for (let i = 0; i < 5_000; i++) fake.tell({ type: 'volume', data: { value: i, max: 65_535 } })
  expect(await other.send(go.permit('POST /player/pause'))).toBe(null)
  await vi.waitFor(() => expect(fake.handshakes.length).toBeGreaterThan(1))
  expect(await player.send(go.permit('POST /player/pause'))).toBe(null)
})

test.each([
  ['one message', 300 * 1024, 1],
  ['many', 10 * 1024, 40],
])('events of too many bytes (%s) end the connection', async (_, size, count) => {
  const { fake } = await setUp('go-librespot', { feed: { bytesMost: 256 * 1024, windowMs: 10_000 } })
  for (let i = 0; i < count; i++) fake.tell({ type: 'active', data: 'x'.repeat(size) })
  await vi.waitFor(() => expect(fake.handshakes.length).toBeGreaterThan(1))
})

test('a listener that is slow keeps nobody: the player is read on', async () => {
  const { fake, player } = await setUp('go-librespot', { feed: { messagesMost: 1e6, bytesMost: 1e9, windowMs: 20 } })
  // Who hears events must not wait in there; what it does later is its own affair.
  player.onEvent(() => void new Promise(() => {}))
  for (let i = 0; i < 2_000; i++) fake.tell({ type: 'metadata', data: song('x'.repeat(1_000)) })
  expect(await player.send(go.permit('POST /player/pause'))).toBe(null)
})

test('after a break those who listen hear how it is now', async () => {
  const { fake, player } = await setUp()
  const heard = eventsOf(player)
  fake.state.volume = 655
  fake.state.paused = true
  fake.hangUp()
  await vi.waitFor(() => expect(heard.at(-1)?.type).toBe('paused'))
  expect(heard.map(({ type }) => type)).toEqual([
    'volume',
    'shuffle_context',
    'repeat_context',
    'repeat_track',
    'metadata',
    'paused',
  ])
  expect(heard[0]).toEqual({ type: 'volume', data: { value: 655, max: 65_535 } })
  expect(JSON.stringify(heard)).not.toMatch(secrets)
  expect(player.picture).toMatchObject({ state: 'paused', volume: 1 })
})

test('a player that takes connections and ends them is asked ever more seldom', async () => {
  const { fake } = await setUp('go-librespot', { feed: { retryFirstMs: 20, retryMostMs: 10_000 } })
  const timer = setInterval(() => fake.hangUp(), 1)
  await fake.until(() => fake.handshakes.length >= 4)
  clearInterval(timer)
  expect(fake.handshakes.length).toBeLessThan(8)
})

test('a player that hangs is no longer up, and another goes on as ever', async () => {
  const { fake, player } = await setUp('go-librespot', { rest: { callMs: 30, holdMs: 5_000 } })
  const { player: other } = await setUp()
  fake.trouble = 'hang'
  await expect(player.send(go.permit('POST /player/pause'))).rejects.toMatchObject({ code: 'player-timeout' })
  expect(player.up).toBe(false)
  expect(await other.send(go.permit('POST /player/pause'))).toBe(null)
  expect(other.up).toBe(true)
})

test('librespot-java is sent a form of ours, and nothing in a query', async () => {
  const { fake, player } = await setUp('librespot-java')
  await player.send(java.permit('POST /player/seek', { pos: 5000 }))
  await player.send(java.permit('POST /player/pause'))
  expect(fake.requests.slice(-2)).toMatchObject([
    { path: '/player/seek', body: 'pos=5000', headers: { 'content-type': 'application/x-www-form-urlencoded' } },
    { path: '/player/pause', body: '' },
  ])
  expect(fake.state.loaded).toEqual([])
})

test('librespot-java’s picture: what moves plays, and events tell the rest', async () => {
  const { fake, player } = await setUp('librespot-java')
  expect(player.picture).toMatchObject({
    title: 'Teardrop',
    artist: 'Massive Attack',
    album: 'Mezzanine',
    volume: null,
  })
  await vi.waitFor(() => expect(player.picture).toMatchObject({ state: 'playing', position: 2_000 }))
  fake.tell({ event: 'playbackPaused', trackTime: 3_000 })
  fake.tell({ event: 'volumeChanged', value: 0.505 })
  await vi.waitFor(() => expect(player.picture).toMatchObject({ state: 'paused', position: 3_000, volume: 51 }))
  const heard = eventsOf(player)
  fake.tell({ event: 'sessionChanged', username: 'alice' })
  await vi.waitFor(() => expect(heard).toEqual([{ type: 'sessionChanged' }]))
})

test('librespot-java without a session plays nothing', async () => {
  const { fake, player } = await setUp('librespot-java')
  fake.session = false
  fake.tell({ event: 'sessionCleared' })
  await vi.waitFor(() => expect(player.picture).toMatchObject({ state: 'stopped', title: null }))
  expect(await player.send(java.permit('POST /player/next'))).toBe(undefined)
})

test('librespot-java answers two at a time, and its search is told anew', async () => {
  const { fake, player } = await setUp('librespot-java')
  fake.latencyMs = 10
  await Promise.all([1, 2, 3, 4].map((i) => player.send(java.permit('POST /player/pause', undefined, `p${i}`))))
  expect(fake.mostAtOnce).toBe(2)
  expect(JSON.stringify(await player.send(java.permit('GET /instance')))).toBe('{"device_name":"Kitchen"}')
})

test('after close nothing is asked, heard or connected any more', async () => {
  const { fake, player } = await setUp()
  const heard = eventsOf(player)
  await player.close()
  const { length } = fake.requests
  await expect(player.send(go.permit('GET /status'))).rejects.toMatchObject({ code: 'player-unreachable' })
  fake.tell({ type: 'active' })
  await new Promise((resolve) => setTimeout(resolve, 60))
  expect(fake.requests).toHaveLength(length)
  expect(fake.handshakes).toHaveLength(1)
  expect(heard).toEqual([])
})
