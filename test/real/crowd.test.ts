import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { connectMpd, type MpdClient } from './clients.ts'
import { type Gateway, startGateway } from './gateway.ts'
import { tunes } from './library.ts'
import { type Mopidy, startMopidy } from './mopidy.ts'

/** How many connections at that loopback port are established, as the kernel has it (proc_net_tcp(5)). */
function connectionsAt(port: number): number {
  const address = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const rows = readFileSync('/proc/net/tcp', 'utf8').split('\n').slice(1)
  return rows.filter((row) => {
    const [, local, , state] = row.trim().split(/\s+/)
    return local === address && state === '01'
  }).length
}

/** Mopidy's own. */
const most = 20
/** Few enough at a time that the door takes none of them for a flood of strangers. */
const atOnce = 50

describe.skipIf(!inject('real').available)('500 clients at a Mopidy that takes 20 connections', () => {
  let mopidy: Mopidy
  let gateway: Gateway
  let watcher: NodeJS.Timeout
  let highest = 0
  const seeing: MpdClient[] = []
  const blind: MpdClient[] = []

  async function connect(name: string, many: number): Promise<MpdClient[]> {
    const token = gateway.token(name)
    const clients: MpdClient[] = []
    while (clients.length < many) {
      const batch = Math.min(atOnce, many - clients.length)
      clients.push(...(await Promise.all(Array.from({ length: batch }, () => connectMpd(gateway, token)))))
    }
    return clients
  }

  beforeAll(async () => {
    mopidy = await startMopidy({ mpdConnections: most })
    gateway = await startGateway({
      players: { home: { kind: 'mopidy', http: mopidy.http, mpd: mopidy.mpd } },
      users: { ada: 'owner', ben: 'member', cem: 'guest', dee: 'blind' },
      change(config) {
        config.roles.blind = { grants: [{ allow: ['queue.read'] }] }
        // They all come from the one address that this machine has.
        config.listen = {
          ...config.listen,
          mpd: { ...(config.listen?.mpd || {}), connections: 600, connectionsEach: 600 },
        }
      },
    })
    watcher = setInterval(() => {
      highest = Math.max(highest, connectionsAt(mopidy.mpdPort))
    }, 20)
    seeing.push(...(await connect('ada', 150)), ...(await connect('ben', 200)), ...(await connect('cem', 100)))
    blind.push(...(await connect('dee', 50)))
  })
  afterAll(async () => {
    clearInterval(watcher)
    for (const client of [...seeing, ...blind]) client.close()
    await gateway?.stop()
    await mopidy?.stop()
  })

  test('a setvol wakes the 450 that may see it, and the 50 that may not sleep on until they may', async () => {
    const [speaker] = await connect('ada', 1)
    const awake = seeing.map((client) => client.ask('idle\n'))
    const asleep = blind.map((client) => client.ask('idle\n'))
    expect(await speaker?.ask('setvol 37\n')).toBe('OK\n')
    expect(new Set(await Promise.all(awake))).toEqual(new Set(['changed: mixer\nOK\n']))

    // Whoever had been woken by the volume, or refused, would have had that answer first.
    expect(await speaker?.ask(`add "${tunes[0]?.uri}"\n`)).toBe('OK\n')
    expect(new Set(await Promise.all(asleep))).toEqual(new Set(['changed: playlist\nOK\n']))
  })

  test('all 450 ask at the same moment and none of them is refused', async () => {
    const answers = await Promise.all(seeing.map((client) => client.ask('status\n')))
    expect(answers.filter((answer) => !answer.includes('volume: 37\n') || !answer.endsWith('\nOK\n'))).toEqual([])
  })

  test('and all the while Mopidy had no more connections than it takes', () => {
    expect(highest).toBeGreaterThan(0)
    expect(highest).toBeLessThanOrEqual(most)
    expect([...seeing, ...blind].filter((client) => client.closed)).toEqual([])
  })
})
