import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { until } from '../real/tools.ts'
import { ask, type MpdClient, openMpd, openWs, type WsClient } from '../threats/clients.ts'
import { type OpenHouse, openHouse, type Person } from '../threats/harness.ts'
import { type Stub, startStub } from '../threats/stub.ts'

const roles = {
  child: { grants: [{ allow: ['status.read', 'playback.skip'] }], quotas: { 'playback.skip': '6/1h' } },
} as const

let kitchen: Stub
let data = ''
let house: OpenHouse
let runs = 0
/** Minutes that the clock of the house is ahead. */
let ahead = 0

async function open(): Promise<void> {
  house = await openHouse({
    data,
    people: 0,
    change: (config) => ({
      ...config,
      players: new Map([
        ...config.players,
        ['kitchen', { kind: 'go-librespot', url: kitchen.fake.url, private: false }],
      ]),
      roles: { ...config.roles, ...roles } as unknown as typeof config.roles,
    }),
  })
  house.jump(ahead * 60_000)
  await until(async () => (await ask(house, '/readyz')).status === 200)
}

beforeAll(async () => {
  data = mkdtempSync(join(tmpdir(), 'stagedoor-quotas-'))
  kitchen = await startStub('go-librespot')
  await open()
}, 30_000)
afterAll(async () => {
  await house?.close()
  await kitchen?.fake.close()
  rmSync(data, { recursive: true, force: true })
})

const next = { jsonrpc: '2.0', id: 1, method: 'core.playback.next' }

/** Two clients of one person, each with a connection at every door. */
function createClients(person: Person) {
  const open = new Map<string, MpdClient | WsClient>()
  const held = async <C extends MpdClient | WsClient>(key: string, make: () => Promise<C>): Promise<C> => {
    const found = (open.get(key) as C | undefined) ?? (await make())
    open.set(key, found)
    return found
  }
  const from = () => house.address()
  return {
    /** Whether it was let go. */
    async skip(door: string, which: number): Promise<boolean> {
      const { token } = person
      if (door === 'mpd') {
        const mpd = await held(`mpd ${which}`, () => openMpd(house, { token, from: from() }))
        return !(await mpd.ask('next\n')).startsWith('ACK [52@0] {next} not more than')
      }
      if (door === 'list') {
        const mpd = await held(`mpd ${which}`, () => openMpd(house, { token, from: from() }))
        return !(await mpd.ask('command_list_begin\nstatus\nnext\ncommand_list_end\n')).startsWith('ACK [52@1]')
      }
      if (door === 'ws') {
        const ws = await held(`ws ${which}`, () => openWs(house, { token, from: from() }))
        return (await ws.rpc(next)).error?.code !== -32029
      }
      if (door === 'rpc') {
        return (await ask(house, '/mopidy/rpc', { token, json: next, from: from() })).json.error?.code !== -32029
      }
      return (await ask(house, '/players/kitchen/player/next', { token, json: {}, from: from() })).status !== 429
    },
    close() {
      for (const client of open.values()) client.close()
      open.clear()
    },
  }
}

const step = fc.oneof(
  { weight: 12, arbitrary: fc.record({ skip: fc.constantFrom('mpd', 'list', 'ws', 'rpc', 'rest'), which: fc.nat(1) }) },
  // Never so that a draw is just an hour old: real time goes on as well.
  { weight: 4, arbitrary: fc.record({ minutes: fc.constantFrom(7, 14, 21) }) },
  { weight: 2, arbitrary: fc.constant('reconnect' as const) },
  { weight: 1, arbitrary: fc.constant('restart' as const) },
)

test('whatever the doors, the times, the connections and the restarts: never more in an hour, and never less than there is', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 15, maxLength: 45 }), async (steps) => {
      // The house counts its people anew after a restart.
      const person = house.person(`child${++runs}x`, ['child'])
      const clients = createClients(person)
      const drawn: number[] = []
      try {
        for (const each of steps) {
          if (each === 'reconnect') clients.close()
          else if (each === 'restart') {
            clients.close()
            await house.close()
            await open()
          } else if ('minutes' in each) {
            ahead += each.minutes
            house.jump(each.minutes * 60_000)
            // Those who have said nothing for so long are sent away.
            clients.close()
          } else {
            const used = drawn.filter((at) => at + 60 > ahead).length
            const went = await clients.skip(each.skip, each.which)
            if (went) drawn.push(ahead)
            expect(went, `${each.skip}, with ${used} of 6 used`).toBe(used < 6)
          }
        }
        const { json } = await ask(house, '/auth/me', { token: person.token })
        const remaining = 6 - drawn.filter((at) => at + 60 > ahead).length
        expect(json.quotas).toMatchObject([{ capability: 'playback.skip', limit: 6, window: 3600, remaining }])
      } finally {
        clients.close()
      }
    }),
    { numRuns: 12 },
  )
}, 120_000)
