import { afterEach, expect, test, vi } from 'vitest'
import { writeForm } from '../../src/protocol/rest/body.ts'
import { createZeroconf } from '../../src/upstream/zeroconf.ts'
import { startFakeLibrespot } from './fakelibrespot.ts'
import { pairing } from './permits.ts'

const ends: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function setUp() {
  const fake = await startFakeLibrespot('zeroconf')
  ends.push(() => fake.close())
  const player = createZeroconf({ url: fake.url, probeMs: 20 })
  ends.push(() => player.close())
  await vi.waitFor(() => expect(player.up).toBe(true))
  return { fake, player }
}

const form = {
  action: 'addUser',
  userName: 'alice',
  blob: Buffer.alloc(200, 'b').toString('base64'),
  clientKey: Buffer.alloc(96, 'k').toString('base64'),
}
const line = 'GET /?action=getInfo'

test('what it says of itself is filtered: whose it is, its number and its key stay there', async () => {
  const { player } = await setUp()
  const answer = await player.send(pairing.closed.permit(line))
  expect(answer).toMatchObject({ remoteName: 'Kitchen', status: 101 })
  expect(JSON.stringify(answer)).not.toMatch(/alice|d3adb33f|bGlicmVzcG90|65b708073fc0480ea92a077233ca87bd/)
})

test('while the door is held open an app hears what it needs to pair, and still not whose it is', async () => {
  const { player } = await setUp()
  const answer = await player.send(pairing.open.permit(line))
  expect(answer).toMatchObject({ deviceID: 'd3adb33f', publicKey: 'bGlicmVzcG90' })
  expect(JSON.stringify(answer)).not.toMatch(/alice/)
})

test('nobody gets a permit to pair while the door is closed', async () => {
  await setUp()
  expect(() => pairing.closed.permit('POST /', form)).toThrow('refused')
})

test('a pairing goes out once, as a form of ours', async () => {
  const { fake, player } = await setUp()
  expect(await player.send(pairing.open.permit('POST /', form))).toEqual({
    status: 101,
    spotifyError: 0,
    statusString: 'OK',
  })
  const sent = fake.requests.filter(({ method }) => method === 'POST')
  expect(sent).toMatchObject([{ path: '/', body: writeForm(form) }])
  expect(fake.state.paired).toEqual(['alice'])
})

test('a pairing whose answer was lost is not sent again', async () => {
  const { fake, player } = await setUp()
  fake.trouble = 'reset'
  await expect(player.send(pairing.open.permit('POST /', form))).rejects.toMatchObject({ code: 'player-unreachable' })
  fake.trouble = undefined
  await player.send(pairing.open.permit(line))
  expect(fake.requests.filter(({ method }) => method === 'POST')).toHaveLength(1)
})

test('a player that goes is no longer up, and up again when it is back', async () => {
  const { fake, player } = await setUp()
  fake.kill()
  await vi.waitFor(() => expect(player.up).toBe(false))
  await fake.reopen()
  await vi.waitFor(() => expect(player.up).toBe(true), { timeout: 5_000 })
})
