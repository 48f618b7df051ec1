import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { Config } from '../src/config/schema.ts'
import { openAccounts } from '../src/store/accounts.ts'
import { ask } from './threats/clients.ts'
import { type OpenHouse, openHouse } from './threats/harness.ts'
import { type FakeLibrespot, startFakeLibrespot } from './upstream/fakelibrespot.ts'

const bin = fileURLToPath(new URL('../bin/stagedoor.js', import.meta.url))
const blob = Buffer.alloc(40, 1).toString('base64')
const form = (userName: string) =>
  new URLSearchParams({
    action: 'addUser',
    userName,
    blob,
    clientKey: Buffer.alloc(96, 2).toString('base64'),
  }).toString()

function mopidyOf({ players }: Config) {
  const home = players.get('home')
  if (home?.kind !== 'mopidy') throw new Error('no Mopidy')
  return home
}

let house: OpenHouse
let file: string
let go: FakeLibrespot
let bath: FakeLibrespot
let den: FakeLibrespot
const told: string[] = []
const ear = createServer(async (request, response) => {
  let text = ''
  for await (const chunk of request) text += chunk
  told.push(text)
  response.end()
})

beforeAll(async () => {
  ;[go, bath, den] = await Promise.all([
    startFakeLibrespot('go-librespot'),
    startFakeLibrespot('zeroconf'),
    startFakeLibrespot('zeroconf'),
  ])
  ear.listen(0, '127.0.0.1')
  await once(ear, 'listening')
  house = await openHouse({
    people: 1,
    change: (config) => ({
      ...config,
      players: new Map([
        ['home', { ...mopidyOf(config), web: ['iris', 'local', { path: '/radio/' }] }],
        ['attic', { kind: 'go-librespot', url: go.url }],
        ['bath', { kind: 'librespot', zeroconf: bath.url, onevent: true }],
        ['den', { kind: 'librespot', zeroconf: den.url }],
      ]),
      notify: [{ webhook: `http://127.0.0.1:${(ear.address() as AddressInfo).port}/` }],
    }),
  })
  file = join(house.data, '../stagedoor.yaml')
  writeFileSync(
    file,
    `players:
  bath: { kind: librespot, zeroconf: "${bath.url}", onevent: true }
  den: { kind: librespot, zeroconf: "${den.url}" }
roles: { owner: { grants: [{ allow: ["*"] }] } }\n`,
  )
})

afterAll(async () => {
  await house.close()
  expect(existsSync(join(house.data, 'onevent.sock')), 'a socket that nobody listens at').toBe(false)
  ear.close()
  await Promise.all([go, bath, den].map((player) => player.close()))
})

/** The command line beside the running gateway. */
async function stagedoor(args: readonly string[], env: Record<string, string> = {}) {
  return promisify(execFile)(process.execPath, [bin, ...args, '--config', file, '--data', house.data], { env })
}

const pairAs = (player: string, name: string) =>
  ask(house.of(0), `/players/${player}/`, {
    body: form(name),
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  })

describe('the players of a house', () => {
  it('are listed with what somebody may do there', async () => {
    const { json } = await ask(house.of(0), '/players', { token: house.of(0).owner.token })
    expect(json).toMatchObject([
      { name: 'home', kind: 'mopidy', up: true },
      { name: 'attic', kind: 'go-librespot', up: true },
      { name: 'bath', kind: 'librespot', up: true },
      { name: 'den', kind: 'librespot', up: true },
    ])
  })

  it('are told what their catalogs have, by who may', async () => {
    const { owner, guest } = house.of(0)
    const before = go.asked.length
    expect((await ask(house.of(0), '/players/attic/player/pause', { token: guest.token, json: {} })).status).toBe(403)
    expect(go.asked.slice(before).filter((line) => line.startsWith('POST'))).toEqual([])
    const paused = await ask(house.of(0), '/players/attic/player/pause', { method: 'POST', token: owner.token })
    expect(paused.status).toBe(200)
    expect(go.asked).toContain('POST /player/pause')
  })
})

describe('web clients', () => {
  const page = { accept: 'text/html', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }

  it.each(['/iris/', '/radio/', '/players/home/iris/'])('%s is there, for who signs in', async (path) => {
    const { status, headers } = await ask(house.of(0), path, { headers: page })
    expect([status, headers.location]).toEqual([303, `/?next=${encodeURIComponent(path)}`])
  })

  it.each([
    ...['/party/', '/mobile/', '/radio/x.php', '/local/', '/iris/ws/x', '/iris/http/__init__'],
    ...['/players/attic/iris/', '/iris/%2e%2e/mopidy/', '/radio/../iris/http/test'],
  ])('%s is not, for nobody', async (path) => {
    expect((await ask(house.of(0), path, { token: house.of(0).owner.token })).status).toBe(404)
  })

  it('have commands by their rows', async () => {
    const { owner, member } = house.of(0)
    const status = async (path: string, token: string) =>
      (await ask(house.of(0), path, { token, json: { jsonrpc: '2.0', id: 1, params: {} } })).status
    expect(await status('/iris/http/run_command', owner.token)).toBe(403)
    expect(await status('/iris/http/restart', member.token)).toBe(403)
  })
})

describe('an alarm', () => {
  it('of what nobody may ask is written down as one and told once, with nothing that came along', async () => {
    const { kid } = house.of(0)
    const before = go.requests.length
    for (const path of ['/players/attic/token', '/players/attic/player/output']) {
      const { status } = await ask(house.of(0), path, { token: kid.token, json: { device: 'hunter2' } })
      expect(status).toBe(403)
    }
    const ofKid = () => told.map((text) => JSON.parse(text)).filter(({ who }) => who === kid.name)
    await vi.waitUntil(() => ofKid().length > 0)
    expect(ofKid()).toMatchObject([{ kind: 'alarm', player: 'attic', door: 'http', operation: 'POST /token' }])
    expect(JSON.stringify(told)).not.toContain('hunter2')
    expect(go.requests.slice(before).filter(({ method }) => method === 'POST')).toEqual([])
    const db = new DatabaseSync(join(house.data, 'audit.sqlite'))
    const count = () =>
      db.prepare("SELECT count(*) AS n FROM decision WHERE reason = 'alarm' AND account = ?").get(kid.id)?.n
    await vi.waitUntil(() => count() === 2, { timeout: 5_000 })
    db.close()
  })
})

describe('pairing', () => {
  it('is shut until somebody at this machine opens it, for one player and one request of many', async () => {
    expect((await pairAs('bath', 'early')).status).toBe(401)
    await stagedoor(['pair', 'bath'])
    expect((await pairAs('den', 'beside')).status).toBe(401)
    const answers = await Promise.all(Array.from({ length: 12 }, (_, i) => pairAs('bath', `user${i}`)))
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, ...Array.from({ length: 11 }, () => 401)])
    expect((await pairAs('bath', 'late')).status).toBe(401)
    expect(bath.state.paired).toHaveLength(1)
    expect(den.state.paired).toEqual([])
  })

  it('is shut again when it is closed, and when another process was quicker', async () => {
    await stagedoor(['pair', 'den', '--minutes', '1'])
    await stagedoor(['pair', 'den', '--close'])
    expect((await pairAs('den', 'late')).status).toBe(401)
    await stagedoor(['pair', 'den'])
    const other = openAccounts({ dir: house.data, now: house.now, pollMs: 0, busyMs: 5_000 })
    expect(other.takePairing('den')).toBe(true)
    other.close()
    expect((await pairAs('den', 'late')).status).toBe(401)
    expect(den.state.paired).toEqual([])
  })
})

describe('a librespot that cannot be asked', () => {
  it('tells what it plays through a socket that is the gateway’s alone', async () => {
    const { owner } = house.of(0)
    expect(statSync(join(house.data, 'onevent.sock')).mode & 0o777).toBe(0o600)
    await stagedoor(['onevent'], {
      PLAYER_EVENT: 'track_changed',
      NAME: 'Teardrop\u001b[2J',
      ARTISTS: 'Massive Attack',
      DURATION_MS: '330000',
      URI: 'spotify:track:67Hna13dNDkZvBpTXRIaOJ',
    })
    await stagedoor(['onevent', '--player', 'bath'], { PLAYER_EVENT: 'playing', POSITION_MS: '1000' })
    await vi.waitUntil(async () => {
      const { json } = await ask(house.of(0), '/players/bath/state', { token: owner.token })
      return (json as { state?: string }).state === 'playing'
    })
    const { json } = await ask(house.of(0), '/players/bath/state', { token: owner.token })
    expect(json).toMatchObject({ artist: 'Massive Attack', position: 1000, duration: 330_000, art: null })
    expect(JSON.stringify(json)).not.toContain('\\u001b')
  })
})
