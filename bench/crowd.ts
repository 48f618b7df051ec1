import { startMopidy } from '../test/real/mopidy.ts'
import { type Contender, median } from './contest.ts'
import { startHouse } from './house.ts'
import { type Client, connectClient } from './load.ts'
import { contendersFor, startBlind } from './mpd.ts'
import { printTable } from './report.ts'
import { talkMpd } from './talk.ts'
import { cpuOf, memoryOf } from './usage.ts'

interface Wake {
  /** Milliseconds from `setvol` to the first and to the last client that heard. */
  readonly first: number
  readonly last: number
  /** Microseconds of the process in the middle, and of the player, for each client that heard. */
  readonly cpu: number
  readonly playerCpu: number
}

const rest = Buffer.from('idle\n')

/**
 * Many clients of MPD in `idle`, and what a `setvol` costs.
 *
 * The gateway is before a Mopidy that takes 20 connections, as it does by itself. The others could not do it: they are
 * before one that takes as many as there are clients.
 */
export async function measureCrowd(rounds: number, clients = 500): Promise<void> {
  const small = await startMopidy({ mpdConnections: 20 })
  const large = await startMopidy({ mpdConnections: clients + 20 })
  const house = await startHouse({ kind: 'mopidy', http: small.http, mpd: small.mpd })
  const proxies = await startBlind(large.mpd, house.certificate)
  const rows: string[][] = []
  for (const contender of contendersFor(large.mpdPort, house, proxies)) {
    const player = contender.token === undefined ? large : small
    rows.push(await wakeAll(contender, player.pid, clients, rounds))
  }
  console.log(
    `\nMopidy: ${clients} clients in idle, a setvol wakes them all; as many connections at Mopidy, save 20 for Stagedoor\n`,
  )
  const head = ['', 'first ms', 'last ms', 'spread ms', 'CPU µs', 'player’s CPU µs', 'kB per connection', 'player’s kB']
  printTable(head, rows)
  for (const proxy of proxies) await proxy.stop()
  await house.gateway.stop()
  await Promise.all([small.stop(), large.stop()])
}

async function wakeAll(contender: Contender, player: number, clients: number, rounds: number): Promise<string[]> {
  const { name, target, pid, token } = contender
  const talk = talkMpd(token, () => 'status')
  const speaker = await connectClient(target, talk, 0)
  const memory = () => [pid === undefined ? 0 : memoryOf(pid), memoryOf(player)] as const
  const before = memory()
  const crowd: Client[] = []
  while (crowd.length < clients) crowd.push(await connectClient(target, talk, crowd.length))
  const wakes: Wake[] = []
  let idle = crowd.map((client) => client.ask(rest))
  // Who is asked later is answered later: then all of them are asleep.
  await speaker.ask(Buffer.from('status\n'))
  const after = memory()
  for (let round = 0; round < rounds; round++) {
    const cpu = () => [pid === undefined ? 0 : cpuOf(pid), cpuOf(player)] as const
    const [mine, its] = cpu()
    const begin = performance.now()
    const heard: number[] = []
    const all = Promise.all(idle.map((done) => done.then(() => heard.push(performance.now() - begin))))
    await speaker.ask(Buffer.from(`setvol ${20 + (round % 50)}\n`))
    await all
    const [mineNow, itsNow] = cpu()
    const [first = 0, last = 0] = [heard[0], heard.at(-1)]
    wakes.push({ first, last, cpu: (mineNow - mine) / clients, playerCpu: (itsNow - its) / clients })
    idle = crowd.map((client) => client.ask(rest))
    await speaker.ask(Buffer.from('status\n'))
  }
  for (const done of idle) done.catch(() => {}) // they sleep until they are closed
  for (const client of [speaker, ...crowd]) client.close()
  const of = (pick: (wake: Wake) => number) => median(wakes.map(pick))
  const each = (i: 0 | 1) => ((after[i] - before[i]) / clients / 1000).toFixed(1)
  return [
    name,
    of((wake) => wake.first).toFixed(1),
    of((wake) => wake.last).toFixed(1),
    of((wake) => wake.last - wake.first).toFixed(1),
    pid === undefined ? '–' : of((wake) => wake.cpu).toFixed(0),
    of((wake) => wake.playerCpu).toFixed(0),
    pid === undefined ? '–' : each(0),
    each(1),
  ]
}
