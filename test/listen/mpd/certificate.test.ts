import { X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Pair } from '../../../src/listen/certificate.ts'
import { createClient, fingerprintOf } from '../../../src/listen/certificate.ts'
import { createTls, type Tls } from '../../../src/listen/tls.ts'
import { type Client, type FakeHouse, openFake, permission, status, until } from './house.ts'

const dir = mkdtempSync(join(tmpdir(), 'stagedoor-'))
const bad = 'ACK [3@0] {} this certificate is not good, or no longer\n'
let tls: Tls
let mine: Pair
let other: Pair
let house: FakeHouse
let port: number

beforeAll(async () => {
  tls = await createTls({ source: { dir }, names: () => ['127.0.0.1'], now: Date.now, onProblem: () => {} })
  mine = await createClient('a phone', Date.now(), Date.now() + 3_600_000)
  other = await createClient('another phone', Date.now(), Date.now() + 3_600_000)
})
afterAll(() => {
  tls.close()
  rmSync(dir, { recursive: true, force: true })
})
beforeEach(async () => {
  house = openFake()
  house.certificates.set(fingerprintOf(new X509Certificate(mine.cert)), 'kid-1')
  port = await house.door.listen({ host: '127.0.0.1', port: 0, tls })
})
afterEach(() => house.close())

function dial(options: ConnectionOptions = {}): { client: Client; socket: TLSSocket } {
  const ca = tls.caPem()
  const socket = connect({ host: '127.0.0.1', port, servername: '', ...(ca !== undefined && { ca }), ...options })
  return { client: house.over(socket), socket }
}

test('who shows one is signed in without a password', async () => {
  const { client } = dial(mine)
  await client.hears('OK MPD 0.19.0\n')
  await client.asks(
    'status\nclear\n',
    `${status}ACK [4@0] {clear} ${permission('clear', 'not allowed: queue.clear (empty the queue) is not granted to kid at home')}\n`,
  )
  expect(house.shown).toEqual([{ kind: 'certificate', fingerprint: fingerprintOf(new X509Certificate(mine.cert)) }])
  expect(house.shown[0]).toMatchObject({ fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/) })
})

test('what is sent before the greeting waits for it', async () => {
  const { client } = dial(mine)
  await client.asks('status\nping\n', `OK MPD 0.19.0\n${status}OK\n`)
})

test('who shows one that is not known gets no greeting, and nothing that was sent is carried out', async () => {
  const { client } = dial(other)
  client.send('password owner-1\nclear\n')
  await client.hears(bad)
  await client.end()
  expect(client.rest).toBe('')
  expect(house.home.lines).toEqual([])
  expect(house.shown.map(({ kind }) => kind)).toEqual(['certificate'])
})

test('who shows none signs in by a password', async () => {
  const { client } = dial()
  await client.asks('password owner-1\nclear\n', 'OK MPD 0.19.0\nOK\nOK\n')
  expect(house.shown.map(({ kind }) => kind)).toEqual(['mpd'])
})

test('a password after it makes somebody else of the connection', async () => {
  const { client } = dial(mine)
  await client.asks('password owner-1\nclear\n', 'OK MPD 0.19.0\nOK\nOK\n')
  expect(house.home.sides.map(({ person }) => person.id)).toEqual(['kid', 'owner'])
})

test('one that is revoked ends the connection it opened', async () => {
  const { client } = dial(mine)
  await client.hears('OK MPD 0.19.0\n')
  house.gone.add('kid-1')
  house.change()
  await client.end()
})

describe.each(['TLSv1.2', 'TLSv1.3'] as const)('a resumed session of %s', (version) => {
  const options = { minVersion: version, maxVersion: version }

  test('is signed in by the certificate of the one before, and not when that is revoked', async () => {
    const first = dial({ ...mine, ...options })
    const tickets: Buffer[] = []
    first.socket.on('session', (ticket) => tickets.push(ticket))
    await first.client.asks('ping\n', 'OK MPD 0.19.0\nOK\n')
    await until(() => tickets.length > 0)
    const session = tickets.at(-1)
    first.socket.destroy()

    const again = dial({ ...options, ...(session && { session }) })
    await again.client.asks('status\n', `OK MPD 0.19.0\n${status}`)
    expect(again.socket.isSessionReused()).toBe(true)
    again.socket.destroy()

    house.gone.add('kid-1')
    const late = dial({ ...options, ...(session && { session }) })
    late.client.send('password owner-1\nclear\n')
    await late.client.hears(bad)
    await late.client.end()
    expect(house.home.lines).toEqual(['status'])
  })
})

test('too many that fail are a stranger’s as much as a password', async () => {
  await house.close()
  house = openFake({ knocks: { count: 3, ms: 3_600_000 } })
  port = await house.door.listen({ host: '127.0.0.1', port: 0, tls })
  for (let i = 0; i < 5; i++) {
    const { client } = dial(other)
    await client.end()
    expect(client.rest).toBe(i < 3 ? bad : '')
  }
  expect(house.shown).toHaveLength(3)
})
