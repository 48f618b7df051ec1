import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { WebSocket } from 'ws'
import { ask } from './house.ts'
import { type LibrespotHouse, openLibrespotHouse, tokenOf } from './librespot.ts'

let house: LibrespotHouse
beforeAll(async () => {
  house = await openLibrespotHouse()
})
afterAll(() => house.close())

const steps = 65_535
const most = 26_214

const send = (as: string, path: string, body?: object) =>
  ask(house.port, {
    path,
    headers: { Authorization: `Bearer ${tokenOf(as)}`, ...(body && { 'Content-Type': 'application/json' }) },
    ...(body && { method: 'POST', body: JSON.stringify(body) }),
  })
const turn = (as: string, volume: number) => send(as, '/player/volume', { volume, relative: true })
const set = (as: string, volume: number) => send(as, '/player/volume', { volume })

/** The player is made so loud from elsewhere, and tells. */
async function loud(volume: number): Promise<void> {
  house.go.state.volume = volume
  house.go.tell({ type: 'volume', data: { value: volume, max: steps } })
  await expect.poll(() => house.home.live?.volume).toBe(volume)
}

async function listen(as: string, path = '/events') {
  const ws = new WebSocket(`wss://localhost:${house.port}${path}`, {
    rejectUnauthorized: false,
    headers: { authorization: `Bearer ${tokenOf(as)}` },
  })
  const heard: unknown[] = []
  ws.on('message', (data) => heard.push(JSON.parse(data.toString())))
  await new Promise((resolve, reject) => ws.once('open', resolve).once('error', reject))
  return { heard, end: () => ws.terminate() }
}

describe('a person whose 100 is the player’s 40', () => {
  test('sets and is shown the player’s steps as their own', async () => {
    await set('scaled', steps)
    expect(house.go.state.volume).toBe(most)
    expect((await send('scaled', '/player/volume')).json).toEqual({ value: steps, max: steps })
    expect((await send('scaled', '/status')).json).toMatchObject({ volume: steps, volume_steps: steps })
    expect((await send('owner', '/player/volume')).json).toEqual({ value: most, max: steps })
    expect((await send('owner', '/status')).json).toMatchObject({ volume: most })
  })

  test('changes nothing by setting what they are shown', async () => {
    for (const volume of [0, 1, 999, 13_107, most]) {
      await loud(volume)
      const { json } = await send('scaled', '/player/volume')
      await set('scaled', json.value)
      expect(house.go.state.volume).toBe(volume)
    }
  })

  test('hears of the volume as they see it, and the rest as everybody does', async () => {
    const [kim, kit, ada] = await Promise.all([listen('scaled'), listen('scaled'), listen('owner')])
    house.go.tell({ type: 'volume', data: { value: 13_107, max: steps } })
    house.go.tell({ type: 'shuffle_context', data: { value: true } })
    const shuffle = { type: 'shuffle_context', data: { value: true } }
    const seen = [{ type: 'volume', data: { value: 32_768, max: steps } }, shuffle]
    await vi.waitFor(() => expect([kim.heard, kit.heard]).toEqual([seen, seen]))
    await vi.waitFor(() =>
      expect(ada.heard).toEqual([{ type: 'volume', data: { value: 13_107, max: steps } }, shuffle]),
    )
    for (const each of [kim, kit, ada]) each.end()
  })

  test('hears of librespot-java likewise, from 0 to 1', async () => {
    const [kim, ada] = await Promise.all(['scaled', 'owner'].map((as) => listen(as, '/players/attic/events')))
    house.java.tell({ event: 'volumeChanged', value: 0.2 })
    await vi.waitFor(() => expect(ada?.heard).toEqual([{ event: 'volumeChanged', value: 0.2 }]))
    expect(kim?.heard).toEqual([{ event: 'volumeChanged', value: 0.5 }])
    for (const each of [kim, ada]) each?.end()
  })

  test('sees it on the page, in hundredths', async () => {
    await loud(13_107)
    const seen = async (as: string) => (await send(as, '/players/home/state')).json.volume
    expect([await seen('scaled'), await seen('owner')]).toEqual([50, 20])
  })

  test('turns it by their own steps, and by one of the player’s at least', async () => {
    await loud(1_000)
    await turn('scaled', 1)
    expect(house.go.state.volume).toBe(1_001)
    await turn('scaled', -1)
    expect(house.go.state.volume).toBe(1_000)
    await turn('scaled', 25_000)
    expect(house.go.state.volume).toBe(11_000)
    await turn('scaled', steps)
    expect(house.go.state.volume).toBe(most)
  })
})

describe('relative changes', () => {
  test.each(['clamped', 'scaled'])('%s: ten at once from as many connections, none lost, none too loud', async (as) => {
    await loud(0)
    const up = as === 'scaled' ? 5_000 : 2_000
    await Promise.all(Array.from({ length: 10 }, () => turn(as, up)))
    expect(house.go.state.volume).toBe(20_000)
    await Promise.all(Array.from({ length: 10 }, () => turn(as, up)))
    expect(house.go.state.volume).toBe(most)
  })

  test('of librespot-java come to what it is set to, for whoever has a ceiling, and go as they are for others', async () => {
    house.java.state.volume = 13_107
    house.java.tell({ event: 'volumeChanged', value: 0.2 })
    await expect.poll(() => house.attic.live?.volume).toBe(13_107)
    const said = () =>
      house.java.requests
        .filter(({ path }) => path.includes('volume'))
        .map(({ path, body }) => `${path} ${body}`.trim())
    const before = said().length
    expect((await send('clamped', '/players/attic/player/volume-up', {})).status).toBe(200)
    expect((await send('clamped', '/players/attic/player/set-volume', { step: 100 })).status).toBe(200)
    expect((await send('owner', '/players/attic/player/volume-up', {})).status).toBe(200)
    expect(said().slice(before)).toEqual([
      '/player/set-volume volume=14131',
      '/player/set-volume volume=26214',
      '/player/volume-up',
    ])
  })
})
