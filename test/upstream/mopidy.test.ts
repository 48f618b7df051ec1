import type { AddressInfo } from 'node:net'
import { afterEach, expect, test, vi } from 'vitest'
import { WebSocketServer } from 'ws'
import type { Permit } from '../../src/policy/decide.ts'
import type { PlayerEvent } from '../../src/protocol/mopidy/reply.ts'
import { createMopidy, type MopidyLimits } from '../../src/upstream/mopidy.ts'
import { type RpcPlayer, UpstreamError } from '../../src/upstream/player.ts'
import { answer, type FakePlayer, permitFor, startFakePlayer } from './fake.ts'

const ends: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function setUp(limits: Partial<MopidyLimits> = {}): Promise<{ fake: FakePlayer; player: RpcPlayer }> {
  const fake = await startFakePlayer()
  ends.push(() => fake.close())
  return { fake, player: connect(fake.url, limits) }
}

function connect(url: string, limits: Partial<MopidyLimits> = {}): RpcPlayer {
  const player = createMopidy({ url, now: Date.now, random: () => 0, limits: { retryFirstMs: 10, ...limits } })
  ends.push(() => player.close())
  return player
}

const state = permitFor('core.playback.get_state')
const pause = permitFor('core.playback.pause')
const search = (person = 'ada') => permitFor('core.library.search', { query: { any: ['x'] } }, person)
const fault = (code: string) => expect.objectContaining({ name: 'Fault', code })
const unanswered = () => undefined

test('the player hears our own words with our own ids, and no Origin', async () => {
  const { fake, player } = await setUp()
  fake.onQuestion = ({ method }) => method
  expect(await Promise.all([player.send(state), player.send(pause)])).toEqual([
    'core.playback.get_state',
    'core.playback.pause',
  ])
  expect(fake.received.map((text) => JSON.parse(text).id)).toEqual([1, 2])
  expect(fake.handshakes).toHaveLength(1)
  expect(fake.handshakes[0]).not.toHaveProperty('origin')
  expect(fake.handshakes[0]).not.toHaveProperty('sec-websocket-extensions')
})

test('what is no permit is not sent, whatever it looks like', async () => {
  const { fake, player } = await setUp()
  await expect(player.send({ call: state.call, rule: 'anyone' } as Permit)).rejects.toEqual(fault('internal'))
  await player.send(state)
  expect(fake.received).toHaveLength(1)
})

test('answers find their question in whatever order they come', async () => {
  const { fake, player } = await setUp()
  const late: (() => void)[] = []
  fake.onQuestion = ({ id, method }, socket) => {
    late.unshift(() => answer(socket, id, method))
    if (late.length === 3) for (const each of late) each()
  }
  const methods = ['core.playback.pause', 'core.playback.get_state', 'core.mixer.get_volume']
  expect(await Promise.all(methods.map((method) => player.send(permitFor(method))))).toEqual(methods)
})

test('an error of the player arrives without traceback and without paths', async () => {
  const { fake, player } = await setUp()
  fake.onQuestion = ({ id }, socket) => {
    const data = {
      type: 'OSError',
      message: `[Errno 2] No such file: '/var/lib/my music/a.flac' at /etc/mopidy ${'x'.repeat(600)}`,
      traceback: 'Traceback: File "/usr/lib/python3/x.py"',
    }
    socket.send(JSON.stringify({ jsonrpc: '2.0', id, error: { code: 0, message: 'Application error', data } }))
  }
  const error: unknown = await player.send(state).catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(UpstreamError)
  expect(error).toMatchObject({ code: 0, message: 'Application error', data: { type: 'OSError' } })
  const text = JSON.stringify((error as UpstreamError).data)
  expect(text).not.toMatch(/traceback|\/var|\/etc|\/usr|music/)
  expect(text.length).toBeLessThan(600)
})

test('when the player dies in the middle of calls, each of them fails and none is sent again', async () => {
  const { fake, player } = await setUp()
  fake.onQuestion = unanswered
  const calls = [player.send(pause), player.send(search()), player.send(search('eve')), player.send(search())]
  await fake.waitFor(3)
  fake.kill()
  for (const result of await Promise.allSettled(calls)) {
    expect(result).toMatchObject({ status: 'rejected', reason: fault('player-unreachable') })
  }
  fake.onQuestion = () => 'back'
  await vi.waitFor(async () => expect(await player.send(state)).toBe('back'))
  expect(fake.methods).toEqual([
    'core.playback.pause',
    'core.library.search',
    'core.library.search',
    'core.playback.get_state',
  ])
})

test('while the player is away calls fail at once, and service resumes by itself', async () => {
  const { fake, player } = await setUp()
  await player.send(state)
  const { port } = new URL(fake.url)
  await fake.close()
  await vi.waitFor(() => expect(player.up).toBe(false))
  await expect(player.send(pause)).rejects.toEqual(fault('player-unreachable'))
  const again = await startFakePlayer(Number(port))
  ends.push(() => again.close())
  await vi.waitFor(async () => expect(await player.send(state)).toBe(null))
  expect(again.methods).toEqual(['core.playback.get_state'])
})

test('a long pause between attempts ends when somebody wants the player', async () => {
  const fake = await startFakePlayer()
  // So much jitter that no attempt would come by itself.
  const player = createMopidy({ url: fake.url, now: Date.now, random: () => 1e6, limits: { retryFirstMs: 10 } })
  ends.push(() => player.close())
  await player.send(state)
  const { port } = new URL(fake.url)
  await fake.close()
  await vi.waitFor(() => expect(player.up).toBe(false))
  const again = await startFakePlayer(Number(port))
  ends.push(() => again.close())
  await vi.waitFor(async () => expect(await player.send(state)).toBe(null))
})

test('without a player the first calls wait for the grace and then fail', async () => {
  const fake = await startFakePlayer()
  await fake.close()
  const player = connect(fake.url)
  await expect(player.send(state)).rejects.toEqual(fault('player-unreachable'))
  expect(player.up).toBe(false)
})

test('a call without an answer times out, and its late answer is nobody’s', async () => {
  const { fake, player } = await setUp({ callMs: 30 })
  let late = () => {}
  fake.onQuestion = ({ id }, socket) => {
    late = () => answer(socket, id, 'late')
  }
  await expect(player.send(pause)).rejects.toEqual(fault('player-timeout'))
  fake.onQuestion = () => {
    late()
    return 'mine'
  }
  expect(await player.send(state)).toBe('mine')
})

test('what timed out while it waited is never sent', async () => {
  const { fake, player } = await setUp({ costlyMs: 40 })
  const late: (() => void)[] = []
  fake.onQuestion = ({ id }, socket) => {
    late.push(() => answer(socket, id, []))
  }
  const results = await Promise.allSettled([search(), search('eve'), search()].map((permit) => player.send(permit)))
  expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
  expect(fake.received).toHaveLength(2)
  // The player is still at the two it has, so a third waits.
  const next = player.send(search())
  for (const each of late.splice(0)) each()
  await fake.waitFor(3)
  late[0]?.()
  expect(await next).toEqual([])
})

test('one person’s searches do not stop another’s pause', async () => {
  const { fake, player } = await setUp()
  fake.onQuestion = ({ method }) => (method === 'core.library.search' ? undefined : 'paused')
  const searches = Array.from({ length: 8 }, () => player.send(search('eve')))
  expect(await player.send(pause)).toBe('paused')
  expect(fake.methods.filter((method) => method === 'core.library.search')).toHaveLength(1)
  fake.kill()
  await Promise.allSettled(searches)
})

test('waiting has a bound, and beyond it the answer says when to come back', async () => {
  const lane = { running: 1, runningEach: 1, costly: 1, waiting: 2, waitingEach: 2, costlyEach: 2 }
  const { fake, player } = await setUp({ lane })
  await player.send(state)
  fake.onQuestion = unanswered
  const calls = [1, 2, 3].map(() => player.send(pause))
  await expect(player.send(pause)).rejects.toMatchObject({ code: 'limited', details: { retryAfter: 1 } })
  fake.kill()
  await Promise.allSettled(calls)
})

test.each([
  ['HTML', '<html><body>500: OK</body></html>'],
  ['a bare NaN', '{"jsonrpc":"2.0","id":2,"result":NaN}'],
  ['an array', '[]'],
  ['an answer without result', '{"jsonrpc":"2.0","id":2}'],
  ['both result and error', '{"jsonrpc":"2.0","id":2,"result":1,"error":{"code":0,"message":""}}'],
  ['an error that is none', '{"jsonrpc":"2.0","id":2,"error":"x"}'],
  ['an answer to nobody', '{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid Request"}}'],
  ['a binary message', Buffer.from('{"jsonrpc":"2.0","id":2,"result":1}')],
])('%s instead of an answer: a fault for who waits, and a fresh connection', async (_, nonsense) => {
  const { fake, player } = await setUp()
  await player.send(state)
  fake.onQuestion = (_question, socket) => {
    socket.send(nonsense)
  }
  await expect(player.send(pause)).rejects.toEqual(fault('player-unreachable'))
  fake.onQuestion = () => 'well again'
  await vi.waitFor(async () => expect(await player.send(state)).toBe('well again'))
  expect(fake.handshakes).toHaveLength(2)
})

test('an answer with an id nobody asked with is ignored', async () => {
  const { fake, player } = await setUp()
  fake.onQuestion = ({ id }, socket) => {
    answer(socket, id + 1000, 'stray')
    return 'mine'
  }
  expect(await player.send(state)).toBe('mine')
  expect(fake.handshakes).toHaveLength(1)
})

test('events go to every listener until it stops hearing', async () => {
  const { fake, player } = await setUp()
  await player.send(state)
  const heard: PlayerEvent[] = []
  const stop = player.onEvent((event) => heard.push(event))
  fake.broadcast('{"volume":40,"event":"volume_changed"}')
  await player.send(state)
  stop()
  fake.broadcast('{"volume":41,"event":"volume_changed"}')
  await player.send(state)
  expect(heard).toEqual([{ event: 'volume_changed', volume: 40 }])
})

test('the version is asked for once per connection', async () => {
  const { fake, player } = await setUp()
  const version = permitFor('core.get_version')
  fake.onQuestion = () => '3.4.1'
  for (let i = 0; i < 5; i++) expect(await player.send(version)).toBe('3.4.1')
  expect(fake.received).toHaveLength(1)
  fake.kill()
  fake.onQuestion = () => '3.4.2'
  await vi.waitFor(async () => expect(await player.send(version)).toBe('3.4.2'))
})

test.each([
  [true, 1],
  [false, 2],
])('silence is asked about · a player that answers pings: %s, connections: %i', async (autoPong, connections) => {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, autoPong })
  await new Promise((resolve) => server.once('listening', resolve))
  ends.push(async () => {
    for (const socket of server.clients) socket.terminate()
    await new Promise((resolve) => server.close(resolve))
  })
  let [connected, pinged] = [0, 0]
  server.on('connection', (socket) => {
    connected++
    socket.on('ping', () => pinged++)
  })
  let clock = 0
  const { port } = server.address() as AddressInfo
  const limits = { idleMs: 1_000, pongMs: 40, retryFirstMs: 10 }
  const player = createMopidy({ url: `http://127.0.0.1:${port}`, now: () => clock, random: () => 0, limits })
  ends.push(() => player.close())
  await vi.waitFor(() => expect(player.up).toBe(true))
  clock += 1_000
  await vi.waitFor(() => expect(pinged).toBeGreaterThan(0))
  await new Promise((resolve) => setTimeout(resolve, 150))
  clock += 1_000
  await new Promise((resolve) => setTimeout(resolve, 150))
  expect(connected).toBe(connections)
})

test('a player that answers pings and no call is dropped in the end', async () => {
  const { fake, player } = await setUp({ callMs: 10, costlyMs: 30, pongMs: 20 })
  fake.onQuestion = unanswered
  await expect(player.send(pause)).rejects.toEqual(fault('player-timeout'))
  await vi.waitFor(() => expect(fake.handshakes.length).toBeGreaterThan(1))
})

test('after close nothing connects and nothing is sent', async () => {
  const { fake, player } = await setUp()
  await player.send(state)
  await player.close()
  await expect(player.send(state)).rejects.toEqual(fault('player-unreachable'))
  expect(fake.received).toHaveLength(1)
  expect(fake.handshakes).toHaveLength(1)
})
