import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { ask, type MpdClient, openMpd, openWs, type WsClient } from '../threats/clients.ts'
import { type OpenHouse, openHouse } from '../threats/harness.ts'

const minute = 60_000
const hour = 60 * minute
/** The next full minute that this test does not come to by itself. */
const border = Math.ceil(Date.now() / minute) * minute + 5 * minute
const shown = (at: number) => new Date(at).toISOString().slice(11, 16)
const window = `${shown(border - hour)}-${shown(border)}`
const again = border + 23 * hour
const sentence = `not allowed: hours ${window}, again from `

let house: OpenHouse
let mpd: MpdClient
let ws: WsClient
beforeAll(async () => {
  const hours = { allow: window }
  const kid = { grants: [{ allow: ['status.read'] }, { allow: ['playback.control'], when: { hours } }] }
  house = await openHouse({
    change: (config) => ({ ...config, zone: 'UTC', roles: { ...config.roles, kid } }),
    limits: { mpd: { silenceMs: 10 * 24 * hour } },
  })
  const { token } = house.of(0).kid
  ;[mpd, ws] = await Promise.all([openMpd(house, { token }), openWs(house, { token })])
}, 60_000)
afterAll(async () => {
  mpd?.close()
  ws?.close()
  await house?.close()
}, 60_000)

/** Sets the gateway's clock. */
const set = (at: number) => house.jump(at - house.now())
const pause = { jsonrpc: '2.0', id: 1, method: 'core.playback.pause' }
const overMpd = () => mpd.ask('pause 1\n')
const overWs = () => ws.rpc(pause)
const overHttp = () => ask(house, '/mopidy/rpc', { token: house.of(0).kid.token, json: pause })
async function isOpen(): Promise<boolean> {
  const said = [(await overMpd()) === 'OK\n', !(await overWs()).error, !(await overHttp()).json.error]
  expect(new Set(said).size, 'all doors say the same').toBe(1)
  return said[0] === true
}

test('a connection that is open across the border: the next command on it is refused, with the sentence', async () => {
  expect(await isOpen()).toBe(true)
  set(border)
  expect(await overMpd()).toMatch(new RegExp(`^ACK \\[4@0\\] {pause} .*${sentence}.*\\n$`))
  expect((await overWs()).error).toMatchObject({
    message: expect.stringContaining(sentence),
    data: { code: 'forbidden', until: new Date(again).toISOString(), rule: 'roles.kid.grants[1].when.hours' },
  })
  expect((await overHttp()).json.error).toMatchObject({ message: expect.stringContaining(sentence) })
})

test('what is announced and what may be read stays as it is', async () => {
  expect(await mpd.ask('commands\n')).toContain('command: pause\n')
  expect(await mpd.ask('status\n')).toMatch(/^volume: /)
})

test('an override reaches open connections, and ends by itself', async () => {
  const { accounts } = house
  accounts.override('kid', 'attic', house.now() + hour)
  accounts.override('kid', undefined, house.now() + hour)
  await vi.waitUntil(async () => (await overMpd()) === 'OK\n', { timeout: 5_000 })
  expect(await isOpen()).toBe(true)
  set(house.now() + hour)
  expect(await isOpen()).toBe(false)
})

test('and can be ended before', async () => {
  const { accounts } = house
  accounts.override(house.of(0).kid.id, 'home', house.now() + hour)
  await vi.waitUntil(async () => (await overMpd()) === 'OK\n', { timeout: 5_000 })
  accounts.endOverrides(house.of(0).kid.id)
  await vi.waitUntil(async () => (await overMpd()) !== 'OK\n', { timeout: 5_000 })
  expect(await isOpen()).toBe(false)
})

test('a clock that is set back is believed, and no override of later is', async () => {
  house.accounts.override('kid', undefined, house.now() + hour)
  await vi.waitUntil(async () => (await overMpd()) === 'OK\n', { timeout: 5_000 })
  set(border + minute)
  expect(await overMpd(), 'the override began later').toContain(sentence)
  set(border - 2 * minute)
  expect(await overMpd()).toBe('OK\n')
})
