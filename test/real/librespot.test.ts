import { type ChildProcess, spawnSync } from 'node:child_process'
import { createCipheriv, createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Gateway, startGateway } from './gateway.ts'
import { endChild, freePort, run, startChild, until } from './tools.ts'

// librespot is on crates.io and in no package of Debian: to have it takes Rust and a quarter of an hour. So it is not one of
// the programs that CI must have, and these tests run where somebody has built it.
const program = process.env.STAGEDOOR_TEST_LIBRESPOT ?? 'librespot'
const isThere = spawnSync(program, ['--version']).status === 0
if (!isThere) {
  process.stderr.write(`
  ****************************************************************************
  NOT TESTED: a real librespot, because there is no ${program}. To enable it (Rust, and minutes):
    cargo install librespot --locked --no-default-features --features "with-libmdns native-tls"
  and have it on the path, or name it: STAGEDOOR_TEST_LIBRESPOT=~/.cargo/bin/librespot
  ****************************************************************************

`)
}

interface Librespot {
  readonly url: string
  readonly child: ChildProcess
  log(): string
}

const launcher = fileURLToPath(new URL('../../bin/stagedoor.js', import.meta.url))

/** Without internet it waits to be paired, which is all that is needed here. */
async function startLibrespot(port: number, folder: string, onevent: string): Promise<Librespot> {
  const cache = join(folder, 'librespot')
  const given = {
    name: 'Bath',
    backend: 'pipe',
    device: '/dev/null',
    'zeroconf-port': port,
    'system-cache': cache,
    onevent,
  }
  const child = startChild(
    program,
    [...Object.entries(given).flatMap(([name, value]) => [`--${name}`, String(value)]), '--disable-audio-cache', '-v'],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  let log = ''
  child.stderr?.on('data', (piece) => {
    log += piece
  })
  const url = `http://127.0.0.1:${port}`
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`librespot ended at once: ${log}`)
    return (await fetch(`${url}/?action=getInfo`)).ok
  })
  return { url, child, log: () => log }
}

/** RFC 2409 §6.1. */
const prime = BigInt(
  `0x${'FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A63A3620FFFFFFFFFFFFFFFF'}`,
)

function power(base: bigint, exponent: bigint): bigint {
  let [result, square, rest] = [1n, base, exponent]
  for (; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % prime
    square = (square * square) % prime
  }
  return result
}

const bytesOf = (number: bigint) => Buffer.from(number.toString(16).padStart(192, '0'), 'hex')
const numberOf = (bytes: Buffer) => BigInt(`0x${bytes.toString('hex')}`)

/** A login as Spotify's apps hide it for one device, which is of nobody: kept credentials, and no use. */
function loginFor(deviceId: string, userName: string): string {
  const hash = (bytes: Buffer | string) => createHash('sha1').update(bytes).digest()
  const key = Buffer.concat([hash(pbkdf2Sync(hash(deviceId), userName, 256, 20, 'sha1')), Buffer.from([0, 0, 0, 20])])
  const bytes = Buffer.from([0x49, 1, 0, 0x50, 1, 0x51, 24, ...Array(24).fill(7), 0])
  for (let at = 16; at < bytes.length; at++) bytes[at] = (bytes[at] ?? 0) ^ (bytes[at - 16] ?? 0)
  const cipher = createCipheriv('aes-192-ecb', key, null).setAutoPadding(false)
  return Buffer.concat([cipher.update(bytes), cipher.final()]).toString('base64')
}

/** What Spotify's app posts to a player with this key, with a login hidden in it. */
function pairingFor(publicKey: string, userName: string, login: string): URLSearchParams {
  const secret = numberOf(randomBytes(95))
  const shared = bytesOf(power(numberOf(Buffer.from(publicKey, 'base64')), secret))
  const base = createHash('sha1').update(shared).digest().subarray(0, 16)
  const derive = (purpose: string) => createHmac('sha1', base).update(purpose).digest()
  const iv = randomBytes(16)
  const cipher = createCipheriv('aes-128-ctr', derive('encryption').subarray(0, 16), iv)
  const hidden = Buffer.concat([cipher.update(login), cipher.final()])
  const blob = Buffer.concat([iv, hidden, createHmac('sha1', derive('checksum')).update(hidden).digest()])
  return new URLSearchParams({
    action: 'addUser',
    userName,
    blob: blob.toString('base64'),
    clientKey: bytesOf(power(2n, secret)).toString('base64'),
  })
}

describe.skipIf(!isThere)('a real librespot', () => {
  let folder: string
  let librespot: Librespot
  let gateway: Gateway
  const tokens = new Map<string, string>()

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'stagedoor-librespot-'))
    const port = await freePort()
    librespot = await startLibrespot(port, folder, onevent())
    gateway = await startGateway({
      // As the shipped configuration calls it.
      players: { home: { kind: 'librespot', zeroconf: librespot.url, onevent: true } },
      users: { ada: 'owner', bob: 'guest', eve: 'deaf' },
      change(config) {
        config.roles.deaf = { grants: [{ allow: ['queue.read'] }] }
      },
    })
    symlinkSync(join(gateway.dir, 'data'), join(folder, 'data'))
    for (const name of ['ada', 'bob', 'eve']) tokens.set(name, gateway.token(name))
    await until(async () => (await gateway.http('/readyz')).status === 200, 60_000)
  }, 120_000)

  afterAll(async () => {
    if (librespot) await endChild(librespot.child)
    await gateway?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  /** As docs/players.md has it. */
  const onevent = () => `${process.execPath} ${launcher} onevent --data ${join(folder, 'data')}`
  const path = '/players/home/'
  const bearer = (name?: string) => (name === undefined ? {} : { authorization: `Bearer ${tokens.get(name)}` })
  const info = (name?: string) => gateway.http(`${path}?action=getInfo`, { headers: bearer(name) })
  const post = (form: URLSearchParams | string, name?: string) =>
    gateway.http(path, {
      method: 'POST',
      headers: { ...bearer(name), 'content-type': 'application/x-www-form-urlencoded' },
      body: String(form),
    })
  /** Made of what librespot itself tells whoever asks it past the gateway. */
  const pairing = async () => {
    const told = (await (await fetch(`${librespot.url}/?action=getInfo`)).json()) as Record<string, string>
    const { publicKey = '', deviceID = '' } = told
    return pairingFor(publicKey, 'carol', loginFor(deviceID, 'carol'))
  }
  const posts = () => librespot.log().match(/POST/g)?.length ?? 0
  const isAlive = () => librespot.child.exitCode === null

  test('getInfo is for who may see the status, and tells no more than what it is', async () => {
    for (const name of ['ada', 'bob']) {
      const { status, body } = await info(name)
      expect(status).toBe(200)
      expect(JSON.parse(body)).toEqual({
        status: 101,
        statusString: 'OK',
        spotifyError: 0,
        version: expect.any(String),
        remoteName: 'Bath',
        deviceType: 'Speaker',
        libraryVersion: expect.any(String),
        brandDisplayName: 'librespot',
        modelDisplayName: 'librespot',
        groupStatus: 'NONE',
      })
    }
    expect((await info()).status).toBe(401)
    expect((await info('eve')).status).toBe(403)
  })

  test('nobody pairs while no window is open, the owner neither, and librespot hears nothing of it', async () => {
    const form = await pairing()
    expect([(await post(form)).status, (await post(form, 'bob')).status, (await post(form, 'ada')).status]).toEqual([
      401, 403, 403,
    ])
    expect((await gateway.http(`${path}?${form}`, { headers: bearer('ada') })).status).toBe(400)
    expect(posts()).toBe(0)
    expect(isAlive()).toBe(true)
  })

  test('in a window a malformed one is refused here, and the next good one is answered by librespot itself, once', async () => {
    expect(gateway.cli(['pair', 'home']).status).toBe(0)
    const told = await until(async () => {
      const shown = JSON.parse((await info('bob')).body) as { publicKey?: string; deviceID?: string }
      return shown.publicKey === undefined ? undefined : shown
    })
    const { publicKey = '', deviceID = '' } = told
    const good = pairingFor(publicKey, 'carol', loginFor(deviceID, 'carol'))
    for (const [name, value] of [
      ['blob', 'AAAA'],
      ['blob', 'no base64'],
      ['blob', Buffer.alloc(36).toString('base64')],
      ['clientKey', Buffer.alloc(97).toString('base64')],
      ['clientKey', ''],
      ['userName', ''],
      ['action', 'resetUsers'],
    ] as const) {
      const bad = new URLSearchParams(good)
      bad.set(name, value)
      expect((await post(bad)).status, `${name} ${value}`).toBe(400)
    }
    expect((await post(`${good}&blob=AAAA`)).status).toBe(400)
    expect([posts(), isAlive()]).toEqual([0, true])

    const answer = await post(good)
    expect([answer.status, JSON.parse(answer.body)]).toEqual([
      200,
      { status: 101, spotifyError: 0, statusString: 'OK' },
    ])
    expect((await post(good)).status).toBe(401)
    expect(posts()).toBe(1)
  })

  test('what librespot calls for each event is what the gateway hears', async () => {
    // As librespot does: the first word is the program, and all it says stands in the environment.
    const [command = '', ...args] = onevent().split(' ')
    const events = [
      {
        PLAYER_EVENT: 'track_changed',
        NAME: 'Teardrop',
        ARTISTS: 'Massive Attack',
        URI: 'spotify:track:67Hna13dNDkZvBpTXRIaOJ',
        DURATION_MS: '330000',
      },
      { PLAYER_EVENT: 'playing', POSITION_MS: '1000' },
      { PLAYER_EVENT: 'volume_changed', VOLUME: '32768' },
    ]
    for (const event of events) {
      const { status, stderr } = await run(command, args, {
        env: { PATH: process.env.PATH, NODE_NO_WARNINGS: '1', ...event },
      })
      expect([status, stderr]).toEqual([0, ''])
    }
    const { body } = await gateway.http('/players/home/state', { headers: bearer('bob') })
    expect(JSON.parse(body)).toMatchObject({
      state: 'playing',
      title: 'Teardrop',
      artist: 'Massive Attack',
      volume: 51,
      duration: 330_000,
    })
    expect(librespot.log()).toContain('onevent')
  })
})
