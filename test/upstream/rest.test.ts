import { afterEach, expect, test, vi } from 'vitest'
import { Fault } from '../../src/call/fault.ts'
import type { Permit } from '../../src/policy/decide.ts'
import { goLibrespot } from '../../src/protocol/librespot/go.ts'
import { createBreaker } from '../../src/upstream/breaker.ts'
import { UpstreamError } from '../../src/upstream/player.ts'
import { createRest, type Rest, type RestLimits, type RestOptions } from '../../src/upstream/rest.ts'
import { type FakeLibrespot, startFakeLibrespot, type Trouble } from './fakelibrespot.ts'
import { go, java } from './permits.ts'

const ends: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

const one = { running: 1, runningEach: 1, costly: 1, waiting: 128, waitingEach: 32, costlyEach: 8 }

async function setUp(
  limits: Partial<RestLimits> = {},
  options: Partial<RestOptions> = {},
): Promise<{ fake: FakeLibrespot; rest: Rest }> {
  const protocol = options.protocol === 'librespot-java' ? 'librespot-java' : 'go-librespot'
  const fake = await startFakeLibrespot(protocol)
  ends.push(() => fake.close())
  const rest = createRest({
    url: fake.url,
    protocol,
    now: () => performance.now(),
    isLoaded: async (ask) => (await ask({ operation: goLibrespot['GET /status'], args: {} })) !== undefined,
    ...options,
    limits: { lane: one, ...limits },
  })
  ends.push(() => rest.close())
  return { fake, rest }
}

const status = go.permit('GET /status')
const pause = go.permit('POST /player/pause')
const resume = go.permit('POST /player/resume')

async function faultOf(promise: Promise<unknown>): Promise<Fault> {
  const error = await promise.then(
    (value) => `answered: ${JSON.stringify(value)}`,
    (reason: unknown) => reason,
  )
  if (!(error instanceof Fault)) throw new Error(`no Fault: ${String(error)}`)
  return error
}

const secrets = /alice|d3adb33f|BQ-the-owner|kept/

test('a call goes out in our own words, with the headers we write and no others', async () => {
  const { fake, rest } = await setUp()
  expect(await rest.send(go.permit('POST /player/seek', { position: 5000 }))).toBe(null)
  expect(fake.bytes.replaceAll('\r\n', '\n')).toBe(
    `POST /player/seek HTTP/1.1
host: 127.0.0.1:${fake.port}
connection: keep-alive
accept: application/json
accept-encoding: identity
content-type: application/json
content-length: 17

{"position":5000}`,
  )
})

test('what is no permit is not sent, whatever it looks like', async () => {
  const { fake, rest } = await setUp()
  const forged = { call: pause.call, rule: 'anyone' } as Permit
  expect((await faultOf(rest.send(forged))).code).toBe('internal')
  expect((await faultOf(rest.send(java.permit('POST /player/pause')))).code).toBe('internal')
  expect(fake.bytes).toBe('')
})

test('a volume nobody resolved is not sent', async () => {
  const { fake, rest } = await setUp()
  const permit = go.permit('POST /player/volume', { volume: 65_538 % 65_536, relative: true })
  expect((await faultOf(rest.send(permit))).code).toBe('player-unreachable')
  expect(fake.bytes).toBe('')
})

test('an answer is made anew of what the row names', async () => {
  const { rest } = await setUp()
  const answer = await rest.send(status)
  expect(answer).toMatchObject({ device_name: 'Kitchen', volume: 32_768, track: { name: 'Teardrop' } })
  expect(JSON.stringify(answer)).not.toMatch(secrets)
})

test('no session is no answer, and no failure', async () => {
  const { fake, rest } = await setUp()
  fake.session = false
  expect(await rest.send(status)).toBe(undefined)
  expect(await rest.send(pause)).toBe(undefined)
  expect(rest.up).toBe(true)
})

test.each<[Trouble, string]>([
  ['crash', 'player-unreachable'],
  ['reset', 'player-unreachable'],
  ['huge', 'player-unreachable'],
  ['huge-chunked', 'player-unreachable'],
  ['malformed', 'player-unreachable'],
  ['array', 'player-unreachable'],
  ['html', 'player-unreachable'],
  ['gzip', 'player-unreachable'],
  ['redirect', 'player-unreachable'],
  ['switch', 'player-unreachable'],
  ['not-http', 'player-unreachable'],
  ['binary', 'player-unreachable'],
  ['hang', 'player-timeout'],
  ['endless', 'player-timeout'],
])('%s: a fault without a word of the player, nothing asked twice, nothing asked elsewhere', async (trouble, code) => {
  const { fake, rest } = await setUp({ callMs: 250, holdMs: 400 })
  fake.trouble = trouble
  const fault = await faultOf(rest.send(status))
  expect(fault.code).toBe(code)
  expect(`${fault.message} ${JSON.stringify(fault.details)}`).not.toMatch(secrets)
  if (fake.crashed) await fake.reopen()
  fake.trouble = undefined
  await vi.waitFor(async () => expect(await rest.send(resume)).toBe(null))
  expect(fake.asked).toEqual(['GET /status', 'POST /player/resume'])
})

test('100 MB of answer are not read', async () => {
  const { fake, rest } = await setUp()
  fake.trouble = 'huge-chunked'
  const before = process.memoryUsage().rss
  for (let i = 0; i < 4; i++) await faultOf(rest.send(status))
  expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024)
})

test('what comes after an answer is nobody’s answer', async () => {
  const { fake, rest } = await setUp()
  fake.trouble = 'twice'
  await rest.send(pause).catch(() => {})
  fake.trouble = undefined
  await vi.waitFor(async () => expect(await rest.send(status)).toMatchObject({ device_name: 'Kitchen' }))
})

test('a connection that broke while it rested costs no call twice', async () => {
  const { fake, rest } = await setUp()
  for (let i = 0; i < 20; i++) {
    await rest.send(pause)
    fake.kill()
    await fake.reopen()
    await rest.send(resume).catch(() => {})
  }
  expect(fake.asked.filter((line) => line === 'POST /player/pause')).toHaveLength(20)
  expect(fake.asked.filter((line) => line === 'POST /player/resume').length).toBeLessThanOrEqual(20)
})

test.each([
  [400, UpstreamError, 'the player does not take this'],
  [404, UpstreamError, 'the player does not know this, or has no such thing'],
  [405, UpstreamError, 'the player does not know this'],
  [409, UpstreamError, 'the player is at something else'],
  [500, UpstreamError, 'the player failed at this'],
  [401, Fault, 'the player does not let the gateway in'],
  [403, Fault, 'the player does not let the gateway in'],
  [429, Fault, 'the player asks for a pause'],
  [503, Fault, 'the player is not ready'],
  [302, Fault, 'the player gave an answer that cannot be understood'],
  [206, Fault, 'the player gave an answer that cannot be understood'],
])('status %i: an error in our own words', async (code, kind, message) => {
  const { fake, rest } = await setUp()
  fake.status = code
  fake.says = '{"error":"for alice-of-spotify at /home/alice"}'
  fake.headers = { location: 'http://127.0.0.1/token' }
  const error: unknown = await rest.send(status).catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(kind)
  expect(error).toMatchObject({ message })
  expect(fake.asked).toEqual(['GET /status'])
})

test.each([
  ['{"name":"pos","reason":"Must be >= 0"}', 'the player does not take this pos: Must be >= 0'],
  ['{"name":"pos","reason":"/etc/\\u0000\\u202e<b>x</b>\\n"}', 'the player does not take this pos: etc <b>x<b>'],
  ['{"name":"__proto__"}', 'the player does not take this'],
  ['{"name":"alice"}', 'the player does not take this'],
  [`{"name":"pos","reason":"${'x'.repeat(2000)}"}`, 'the player does not take this'],
  ['pos', 'the player does not take this'],
])('librespot-java’s reason %j becomes %j', async (says, message) => {
  const { fake, rest } = await setUp({}, { protocol: 'librespot-java' })
  fake.status = 400
  fake.says = says
  await expect(rest.send(java.permit('POST /player/seek', { pos: 1 }))).rejects.toMatchObject({ code: 400, message })
})

test('Retry-After is handed on, and kept to', async () => {
  let time = 0
  const { fake, rest } = await setUp({}, { now: () => time })
  fake.status = 503
  fake.headers = { 'retry-after': '10' }
  expect((await faultOf(rest.send(status))).details.retryAfter).toBe(10)
  time = 5_000
  fake.status = undefined
  expect(await faultOf(rest.send(status))).toMatchObject({ code: 'player-unreachable', details: { retryAfter: 5 } })
  expect(rest.up).toBe(false)
  time = 10_000
  await rest.send(status)
  expect(fake.requests).toHaveLength(2)
})

test.each([['Wed, 21 Oct 2015 07:28:00 GMT'], ['-1'], ['1e9'], ['99999999'], ['']])(
  'Retry-After %j keeps nobody away for long',
  async (value) => {
    const { fake, rest } = await setUp()
    fake.status = 503
    fake.headers = { 'retry-after': value }
    expect((await faultOf(rest.send(status))).details.retryAfter).toBe(1)
  },
)

test('five failures in a row open the breaker, one trial closes it again', async () => {
  let time = 0
  const { fake, rest } = await setUp({}, { now: () => time })
  fake.trouble = 'reset'
  for (let i = 0; i < 5; i++) await faultOf(rest.send(status))
  expect(fake.requests).toHaveLength(5)
  expect(rest.up).toBe(false)
  expect(await faultOf(rest.send(status))).toMatchObject({ code: 'player-unreachable', details: { retryAfter: 1 } })
  expect(fake.requests).toHaveLength(5)
  time = 1_000
  await faultOf(rest.send(status))
  time = 2_999
  await faultOf(rest.send(status))
  expect(fake.requests).toHaveLength(6)
  time = 3_000
  fake.trouble = undefined
  await rest.send(status)
  await rest.send(status)
  expect(rest.up).toBe(true)
  expect(fake.requests).toHaveLength(8)
})

test('while the player is tried again, only one goes to see', async () => {
  let time = 0
  const { fake, rest } = await setUp({ lane: { ...one, running: 4, runningEach: 4 } }, { now: () => time })
  fake.trouble = 'reset'
  for (let i = 0; i < 5; i++) await faultOf(rest.send(status))
  time = 1_000
  await Promise.all([1, 2, 3, 4].map(() => faultOf(rest.send(status))))
  expect(fake.requests).toHaveLength(6)
})

test('errors of the player itself do not open the breaker: who asks for nonsense harms nobody else', async () => {
  const { fake, rest } = await setUp()
  fake.status = 500
  for (let i = 0; i < 20; i++) await rest.send(status).catch(() => {})
  fake.status = undefined
  expect(await rest.send(pause)).toBe(null)
})

test('the pauses of the breaker double up to their bound', () => {
  let time = 0
  const breaker = createBreaker({ failures: 2, openMs: 1_000, openMostMs: 4_000 }, () => time)
  const pauses: number[] = []
  breaker.enter()
  breaker.fail()
  for (let i = 0; i < 5; i++) {
    breaker.enter()
    breaker.fail()
    const from = time
    while (!breaker.closed) time += 500
    pauses.push(time - from)
  }
  expect(pauses).toEqual([1_000, 2_000, 4_000, 4_000, 4_000])
})

test('a trial that was never made lets the next one try', () => {
  let time = 0
  const breaker = createBreaker({ failures: 1, openMs: 1_000, openMostMs: 4_000 }, () => time)
  breaker.enter()
  breaker.fail()
  time = 1_000
  breaker.enter()
  expect(breaker.closed).toBe(false)
  breaker.leave()
  expect(breaker.closed).toBe(true)
})

test('one at a time goes to the player, and who waits takes turns', async () => {
  const { fake, rest } = await setUp()
  fake.latencyMs = 5
  const calls = [
    ...['ada', 'ada', 'ada'].map((person) => rest.send(go.permit('POST /player/pause', undefined, person))),
    rest.send(go.permit('POST /player/resume', undefined, 'bob')),
  ]
  await Promise.all(calls)
  expect(fake.mostAtOnce).toBe(1)
  expect(fake.asked.indexOf('POST /player/resume')).toBeLessThanOrEqual(2)
})

test('waiting is bounded, for each and for all', async () => {
  const { fake, rest } = await setUp({ lane: { ...one, waiting: 5, waitingEach: 3 } })
  fake.trouble = 'hang'
  const eve = Array.from({ length: 10 }, () => rest.send(go.permit('POST /player/pause', undefined, 'eve')))
  const results = Promise.allSettled(eve)
  await fake.until(() => fake.requests.length === 1)
  for (const call of eve.slice(4)) expect((await faultOf(call)).code).toBe('limited')
  const bob = rest.send(go.permit('POST /player/pause', undefined, 'bob'))
  const more = [1, 2].map(() => rest.send(go.permit('POST /player/pause', undefined, 'bob')))
  const others = Promise.allSettled([bob, ...more])
  await rest.close()
  expect((await others).map((result) => result.status === 'rejected' && result.reason.code)).toEqual([
    'player-unreachable',
    'player-unreachable',
    'limited',
  ])
  await results
  expect(fake.requests).toHaveLength(1)
})

test('what timed out while it waited is never sent, and the player keeps its place while it is at something', async () => {
  const { fake, rest } = await setUp({ callMs: 60, holdMs: 300 })
  fake.latencyMs = 150
  const results = await Promise.allSettled([rest.send(pause), rest.send(resume), rest.send(resume)])
  expect(results.map((result) => result.status === 'rejected' && result.reason.code)).toEqual([
    'player-timeout',
    'player-timeout',
    'player-timeout',
  ])
  // It is still at the first one, so nobody waits in vain.
  expect((await faultOf(rest.send(resume))).code).toBe('player-timeout')
  expect(fake.asked).toEqual(['POST /player/pause'])
  fake.latencyMs = 0
  await vi.waitFor(async () => expect(await rest.send(status)).toBeDefined())
  expect(fake.asked).toEqual(['POST /player/pause', 'GET /status'])
})

test('a player that hangs is given up after a while, and its place with it', async () => {
  const { fake, rest } = await setUp({ callMs: 30, holdMs: 80 })
  fake.trouble = 'hang'
  await faultOf(rest.send(pause))
  expect(rest.up).toBe(false)
  fake.trouble = undefined
  await vi.waitFor(async () => expect(await rest.send(status)).toBeDefined())
  expect(fake.asked).toEqual(['POST /player/pause', 'GET /status'])
  expect(fake.connections).toBe(2)
})

test('a player that is not there fails at once', async () => {
  const { fake, rest } = await setUp()
  await fake.close()
  expect(await faultOf(rest.send(pause))).toMatchObject({
    code: 'player-unreachable',
    message: 'the player cannot be reached',
  })
  await fake.reopen()
  await rest.send(pause)
})

test('after close nothing is sent, and who waited hears of it', async () => {
  const { fake, rest } = await setUp()
  fake.trouble = 'hang'
  const calls = [rest.send(pause), rest.send(resume)]
  await fake.until(() => fake.requests.length === 1)
  const faults = Promise.all(calls.map(faultOf))
  await rest.close()
  expect((await faults).map(({ code }) => code)).toEqual(['player-unreachable', 'player-unreachable'])
  expect((await faultOf(rest.send(status))).code).toBe('player-unreachable')
  expect(fake.requests).toHaveLength(1)
})

test('what the gateway asks of itself needs no permit, and so can do nothing', async () => {
  const { fake, rest } = await setUp()
  const doing = { operation: goLibrespot['POST /player/pause'], args: {} }
  expect((await faultOf(rest.ask(doing))).code).toBe('internal')
  const other = await setUp({}, { isLoaded: async (ask) => (await ask(doing)) !== undefined })
  expect((await faultOf(other.rest.send(go.permit('POST /player/next')))).code).toBe('internal')
  expect([...fake.asked, ...other.fake.asked]).toEqual([])
})
