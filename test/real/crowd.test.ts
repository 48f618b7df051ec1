import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { connectMpd, type MpdClient } from './clients.ts'
import { type Gateway, startGateway } from './gateway.ts'
import { type Mopidy, startMopidy } from './mopidy.ts'
import { type Mpd, startMpd } from './mpd.ts'

/** How many connections to that port are established, as the kernel has it (proc_net_tcp(5)). Mopidy listens by IPv6. */
function connectionsAt(port: number): number {
  const end = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const rows = ['tcp', 'tcp6'].flatMap((table) => readFileSync(`/proc/net/${table}`, 'utf8').split('\n').slice(1))
  return rows.filter((row) => {
    const [, local = '', , state] = row.trim().split(/\s+/)
    return local.endsWith(end) && state === '01'
  }).length
}

/** Mopidy's own. */
const most = 20
/** Few enough at a time that the door takes none of them for a flood of strangers. */
const atOnce = 50

describe.skipIf(!inject('real').available)('500 clients at a Mopidy that takes 20 connections', () => {
  let mopidy: Mopidy
  let mpd: Mpd
  let gateway: Gateway
  let watcher: NodeJS.Timeout
  let highest = 0
  const seeing: MpdClient[] = []
  const elsewhere: MpdClient[] = []

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
    mpd = await startMpd()
    gateway = await startGateway({
      players: { home: { kind: 'mopidy', http: mopidy.http, mpd: mopidy.mpd }, bath: { kind: 'mpd', mpd: mpd.mpd } },
      users: { ada: 'owner', ben: 'member', cem: 'guest', dee: 'bather' },
      change(config) {
        config.roles.bather = { grants: [{ allow: ['status.*', 'options.*'], on: ['bath'] }] }
        // They all come from the one address that this machine has.
        const { mpd: door, ...doors } = config.listen ?? {}
        config.listen = { ...doors, mpd: { ...(door || {}), connections: 700, connectionsEach: 700 } }
      },
    })
    watcher = setInterval(() => {
      highest = Math.max(highest, connectionsAt(mopidy.mpdPort))
    }, 20)
    seeing.push(...(await connect('ada', 200)), ...(await connect('ben', 200)), ...(await connect('cem', 100)))
    elsewhere.push(...(await connect('dee', 50)))
  }, 120_000)
  afterAll(async () => {
    clearInterval(watcher)
    for (const client of [...seeing, ...elsewhere]) client.close()
    await gateway?.stop()
    await mopidy?.stop()
    await mpd?.stop()
  })

  test('a setvol wakes all 500, and none of those who may only see another player', async () => {
    const [speaker, bather] = [...(await connect('ada', 1)), ...(await connect('dee', 1))]
    const awake = seeing.map((client) => client.ask('idle\n'))
    const asleep = elsewhere.map((client) => client.ask('idle\n'))
    expect(await speaker?.ask('setvol 37\n')).toBe('OK\n')
    expect(new Set(await Promise.all(awake))).toEqual(new Set(['changed: mixer\nOK\n']))

    // Whoever had been woken by the volume would have heard that, and not this.
    expect(await bather?.ask('random 1\n')).toBe('OK\n')
    expect(new Set(await Promise.all(asleep))).toEqual(new Set(['changed: options\nOK\n']))
  })

  test('all 500 ask at the same moment and none of them is refused', async () => {
    const answers = await Promise.all(seeing.map((client) => client.ask('status\n')))
    const gists = answers.map((answer) => (answer.endsWith('\nOK\n') ? /^volume: .*$/m.exec(answer)?.[0] : answer))
    expect(new Set(gists)).toEqual(new Set(['volume: 37']))
  })

  test('and all the while Mopidy had no more connections than it takes', () => {
    expect(highest).toBeGreaterThan(0)
    expect(highest).toBeLessThanOrEqual(most)
    expect([...seeing, ...elsewhere].filter((client) => client.closed)).toEqual([])
  })
})
