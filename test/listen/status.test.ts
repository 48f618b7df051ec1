import { afterEach, expect, test } from 'vitest'
import { ask, type House, openHouse } from './house.ts'

let house: House
afterEach(() => house.close())

test('alive is alive, whatever the players do', async () => {
  house = await openHouse({ up: false, ready: false })
  const { status, json } = await ask(house.port, { path: '/healthz' })
  expect([status, json]).toEqual([200, { status: 'ok' }])
})

test('ready with every player up, and says no more than up or down', async () => {
  house = await openHouse()
  const { status, json } = await ask(house.port, { path: '/readyz' })
  expect([status, json]).toEqual([200, { status: 'ready', config: 'current', players: { home: 'up', attic: 'up' } }])
})

test('503 while a player is down', async () => {
  house = await openHouse({ up: false })
  const { status, json } = await ask(house.port, { path: '/readyz' })
  expect([status, json]).toEqual([
    503,
    { status: 'unready', config: 'current', players: { home: 'down', attic: 'up' } },
  ])
})

test('ready with a newer configuration that is invalid, as the one before it is in force, and says so', async () => {
  house = await openHouse({ config: 'invalid' })
  const { status, json } = await ask(house.port, { path: '/readyz' })
  expect([status, json.status, json.config]).toEqual([200, 'ready', 'invalid'])
})

test('503 while what we need ourselves is missing', async () => {
  house = await openHouse({ ready: false })
  expect((await ask(house.port, { path: '/readyz' })).status).toBe(503)
})
