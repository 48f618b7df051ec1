import { mkdtempSync, rmSync } from 'node:fs'
import { connect as connectTcp } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { MpdDoorLimits, TlsEntrance } from '../../../src/listen/mpd/door.ts'
import { createTls, type Tls } from '../../../src/listen/tls.ts'
import { type Client, type FakeHouse, openFake, status, until } from './house.ts'

const dir = mkdtempSync(join(tmpdir(), 'stagedoor-'))
const full = 'the MPD door has no place left for a connection'
let tls: Tls
let house: FakeHouse
let port: number

beforeAll(async () => {
  tls = await createTls({ source: { dir }, names: () => ['127.0.0.1'], now: Date.now, onProblem: () => {} })
})
afterAll(() => {
  tls.close()
  rmSync(dir, { recursive: true, force: true })
})
beforeEach(() => {
  house = openFake()
})
afterEach(() => house.close())

async function listen(limits: Partial<MpdDoorLimits> = {}, where: Partial<TlsEntrance> = {}): Promise<void> {
  await house.close()
  house = openFake(limits)
  port = await house.door.listen({ host: '127.0.0.1', port: 0, tls, ...where })
}

const plain = (to = port): Client => house.over(connectTcp({ host: '127.0.0.1', port: to }))
const secure = (): Client => {
  const ca = tls.caPem()
  return house.over(connectTls({ host: '127.0.0.1', port, servername: '', ...(ca !== undefined && { ca }) }))
}

describe('over TLS', () => {
  test('a client signs in and plays', async () => {
    await listen()
    const owner = secure()
    await owner.asks('password owner-1\nstatus\n', `OK MPD 0.19.0\nOK\n${status}`)
    await owner.asks('close\n', '')
    await owner.end()
  })

  test('the greeting has the version of the player, and an old one while nobody knows', async () => {
    await listen()
    house.home.version = '0.24.4'
    await secure().hears('OK MPD 0.24.4\n')
    house.home.version = undefined
    await secure().hears('OK MPD 0.19.0\n')
  })

  test('M15: nothing in the clear is understood', async () => {
    await listen()
    const one = plain()
    one.send('password owner-1\nclear\n')
    await one.end()
    expect(one.rest).not.toContain('OK')
    expect(house.shown).toEqual([])
  })

  test('trap b: a handshake that does not come ends the socket', async () => {
    await listen({}, { tls: { ...tls, mpdOptions: () => ({ ...tls.mpdOptions(), handshakeTimeout: 100 }) } })
    const silent = [1, 2, 3, 4, 5].map(() => plain())
    await Promise.all(silent.map((one) => one.end()))
  })
})

describe('places', () => {
  test('trap k: one source cannot take all, and what it leaves is free again', async () => {
    await listen({ connectionsEach: 3 })
    const first = [1, 2, 3].map(() => secure())
    await Promise.all(first.map((one) => one.hears('OK MPD 0.19.0\n')))
    await secure().end()
    first[0]?.stream.destroy()
    for (let late = secure(); ; late = secure()) {
      await until(() => late.ended || late.rest !== '')
      if (late.rest === 'OK MPD 0.19.0\n') break
    }
  })

  test('trap k: who fills the door without signing in makes room for who comes', async () => {
    await listen({ strangers: 4 })
    const owner = secure()
    await owner.asks('password owner-1\n', 'OK MPD 0.19.0\nOK\n')
    const crowd = Array.from({ length: 20 }, () => plain())
    await Promise.all(crowd.slice(0, 16).map((one) => one.end()))
    const late = secure()
    await late.asks('password owner-2\nstatus\n', `OK MPD 0.19.0\nOK\n${status}`)
    await owner.asks('status\n', status)
  })

  test('an entrance says itself how many it takes', async () => {
    await listen({ connections: 100 }, { bounds: () => ({ connections: 2 }) })
    const first = [secure(), secure()]
    await Promise.all(first.map((one) => one.hears('OK MPD 0.19.0\n')))
    const third = secure()
    await third.end()
    expect(third.rest).toBe('')
    const other = await house.door.listen({
      host: '127.0.0.1',
      port: 0,
      bounds: () => ({ connectionsEach: 1 }),
      plain: { from: ['127.0.0.1/32'], roles: ['kid'] },
    })
    // What came by the one takes no place of the other.
    await plain(other).hears('OK MPD 0.19.0\n')
    await plain(other).end()
  })

  test('what an entrance says now counts for who comes next, and leaves who is there', async () => {
    let connections = 2
    await listen({}, { bounds: () => ({ connections }) })
    const first = [secure(), secure()]
    await Promise.all(first.map((one) => one.hears('OK MPD 0.19.0\n')))
    connections = 1
    await secure().end()
    for (const one of first) await one.asks('ping\n', 'OK\n')
    connections = 3
    await secure().hears('OK MPD 0.19.0\n')
  })

  test('an entrance says itself how long one may be silent', async () => {
    await listen({}, { bounds: () => ({ timeout: 0.1 }) })
    const silent = secure()
    await silent.asks('password owner-1\n', 'OK MPD 0.19.0\nOK\n')
    const inside = await house.client('owner-1')
    await silent.end()
    await inside.asks('ping\n', 'OK\n')
  })

  test('the log has one line for a crowd that found no place, and the next after a while', async () => {
    await listen({ connections: 1, tellMs: 200 })
    await secure().hears('OK MPD 0.19.0\n')
    await Promise.all(Array.from({ length: 10 }, () => plain().end()))
    expect(house.logged).toEqual([{ about: { from: '127.0.0.1', open: 1, times: 1 }, text: full }])
    while (house.logged.length < 2) await plain().end()
    expect(Number(house.logged[1]?.about.times)).toBeGreaterThan(9)
  })
})

test('a door that closes ends every connection, by whichever entrance it came', async () => {
  await listen()
  const other = await house.door.listen({
    host: '127.0.0.1',
    port: 0,
    plain: { from: ['127.0.0.1/32'], roles: ['kid'] },
  })
  const all = [secure(), plain(other), await house.client('owner-1')]
  await all[0]?.hears('OK MPD 0.19.0\n')
  await all[1]?.hears('OK MPD 0.19.0\n')
  await house.door.close()
  await Promise.all(all.map((one) => one.end()))
  expect(house.home.sides.map(({ closed }) => closed)).toEqual([true])
})
