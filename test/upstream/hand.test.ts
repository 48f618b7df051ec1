import { afterEach, expect, test, vi } from 'vitest'
import { createCall, type Request } from '../../src/call/call.ts'
import { decide, type Permit } from '../../src/policy/decide.ts'
import { compile } from '../../src/policy/policy.ts'
import { goHand, type Hand, javaHand, mopidyHand, mpdHand } from '../../src/upstream/hand.ts'
import { createGoLibrespot, createLibrespotJava } from '../../src/upstream/librespot.ts'
import { createMopidy } from '../../src/upstream/mopidy.ts'
import { createMpd } from '../../src/upstream/mpd.ts'
import { openPlayer } from '../../src/upstream/players.ts'
import { startFakePlayer } from './fake.ts'
import { startFakeLibrespot } from './fakelibrespot.ts'
import { startFakeMpd } from './fakempd.ts'

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

const nobody = compile({})

/** The permit the house gets for this request, without a role to anybody's name. */
function permitFor(request: Request): Permit {
  const by = { kind: 'house', name: 'governor', from: 'house' } as const
  const decision = decide(nobody, createCall({ id: 'r1', by, door: 'house', player: 'home', at: 0 }, request))
  if (!decision.allowed) throw new Error(decision.denial.reason)
  return decision.permit
}

const volume = (hand: Hand, percent: number) => hand.send(permitFor(hand.volume(percent)))
const pause = (hand: Hand) => hand.send(permitFor(hand.pause()))

test('Mopidy is told in its own words, and a mixer that does not take it is no success', async () => {
  const fake = await startFakePlayer()
  ends.push(() => fake.close())
  const player = createMopidy({ url: fake.url, now: Date.now })
  ends.push(() => player.close())
  const hand = mopidyHand(player)
  fake.onQuestion = ({ method }) => (method === 'core.mixer.set_volume' ? true : null)
  await volume(hand, 60)
  await pause(hand)
  expect(fake.received.map((text) => JSON.parse(text))).toMatchObject([
    { method: 'core.mixer.set_volume', params: { volume: 60 } },
    { method: 'core.playback.pause' },
  ])
  fake.onQuestion = () => false
  await expect(volume(hand, 60)).rejects.toThrow('the player refused it')
})

test('MPD is told one thing after the other, over one connection, and its ACK is no success', async () => {
  const fake = await startFakeMpd()
  ends.push(() => fake.close())
  const player = createMpd({ host: fake.host, port: fake.port })
  ends.push(() => player.close())
  const hand = mpdHand(player)
  fake.answer = () => 'OK\n'
  await Promise.all([volume(hand, 60), volume(hand, 45), pause(hand)])
  expect(fake.lines).toEqual(['setvol "60"', 'setvol "45"', 'pause "1"'])
  fake.answer = () => 'ACK [52@0] {setvol} problems setting volume\n'
  const [first, second] = [volume(hand, 60), volume(hand, 50)]
  await expect(first).rejects.toThrow('the player refused it')
  await expect(second).rejects.toThrow('the player refused it')
  fake.answer = () => 'OK\n'
  await volume(hand, 40)
  expect(fake.lines.at(-1)).toBe('setvol "40"')
  hand.close()
  await expect(volume(hand, 40)).rejects.toThrow()
})

test('go-librespot is told in its own steps, never above the percentage, once it is known how many there are', async () => {
  const fake = await startFakeLibrespot('go-librespot')
  ends.push(() => fake.close())
  const player = createGoLibrespot({ url: fake.url, now: Date.now })
  ends.push(() => player.close())
  const hand = goHand(player)
  expect(() => hand.volume(33)).toThrow('where the volume stands is not known')
  await vi.waitFor(() => expect(player.live).toBeDefined())
  const steps = player.live?.steps ?? 0
  await volume(hand, 33)
  await pause(hand)
  const posts = fake.requests.filter(({ method }) => method === 'POST')
  expect(posts.map(({ path }) => path)).toEqual(['/player/volume', '/player/pause'])
  const { volume: step } = JSON.parse(posts[0]?.body ?? '')
  expect(step).toBe(Math.floor((33 * steps) / 100))
  expect(hand.volume(33).operation.needs).toBe(undefined)
})

test('librespot-java is told in its own steps, by a form', async () => {
  const fake = await startFakeLibrespot('librespot-java')
  ends.push(() => fake.close())
  const player = createLibrespotJava({ url: fake.url, now: Date.now })
  ends.push(() => player.close())
  const hand = javaHand(player)
  await volume(hand, 33)
  await pause(hand)
  const posts = fake.requests.filter(({ path }) => path !== '/player/current' && !path.startsWith('/events'))
  expect(posts.map(({ path, body }) => `${path} ${body}`)).toEqual([
    '/player/set-volume volume=21626',
    '/player/pause ',
  ])
})

test('what is sent takes a permit, like everything', async () => {
  const fake = await startFakePlayer()
  ends.push(() => fake.close())
  const player = createMopidy({ url: fake.url, now: Date.now })
  ends.push(() => player.close())
  const call = { operation: mopidyHand(player).pause().operation, args: {} }
  await expect(mopidyHand(player).send({ call } as never)).rejects.toThrow('only a permit can be sent')
})

test('a librespot takes nothing, and has no hand', async () => {
  const onevent = { open: () => ({ up: true, picture: undefined, onPicture: () => () => {}, close() {} }) as never }
  const log = { warn() {}, info() {} }
  const player = openPlayer('bath', { kind: 'librespot', onevent: true }, { log, now: Date.now, onevent })
  expect(player.hand).toBe(undefined)
  await player.close()
})
