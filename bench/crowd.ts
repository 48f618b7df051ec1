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
    rows.push(
      await wakeAll(contender, player.pid, clients, rounds).catch((cause) => {
        throw new Error(`${contender.name} failed with ${clients} clients`, { cause })
      }),
    )
  }
  console.log(
    `\nMopidy: ${clients} clients in idle, a setvol wakes them all (Mopidy takes 20 connections for Stagedoor, and all of them for the others).
CPU is that of waking one and hearing it go back to sleep, memory that of the process in the middle for one that sleeps, and of Mopidy.\n`,
  )
  const head = ['', 'first ms', 'last ms', 'spread ms', 'CPU µs', 'player’s CPU µs', 'kB', 'player’s kB']
  printTable(head, rows)
  for (const proxy of proxies) await proxy.stop()
  await house.gateway.stop()
  await Promise.all([small.stop(), large.stop()])
}

/** One row: medians of the rounds. */
async function wakeAll(contender: Contender, player: number, clients: number, rounds: number): Promise<string[]> {
  const { name, target, pid, token } = contender
  const talk = talkMpd(token, () => 'status')
  /** Of the process in the middle, and of the player. */
  const both = (of: (id: number) => number): Pair => [pid === undefined ? Number.NaN : of(pid), of(player)]
  const speaker = await connectClient(target, talk, 0)
  const empty = both(memoryOf)
  const crowd: Client[] = []
  while (crowd.length < clients) crowd.push(await connectClient(target, talk, crowd.length))

  const sleep = async () => {
    const heard = crowd.map((client) => client.ask(rest))
    for (const done of heard) done.catch(() => {}) // the last of them end with the connection
    await speaker.ask(Buffer.from('status\n')) // whoever is asked later answers later
    return heard
  }
  let asleep = await sleep()
  const full = both(memoryOf)
  const idle = both(cpuOf)
  const wakes: Wake[] = []
  for (let round = 0; round < rounds; round++) {
    const begin = performance.now()
    const times: number[] = []
    const all = Promise.all(asleep.map((done) => done.then(() => times.push(performance.now() - begin))))
    await speaker.ask(Buffer.from(`setvol ${20 + (round % 50)}\n`))
    await all
    wakes.push({ first: times[0] ?? Number.NaN, last: times.at(-1) ?? Number.NaN })
    asleep = await sleep()
  }
  const busy = both(cpuOf)
  for (const client of [speaker, ...crowd]) client.close()

  const of = (pick: (wake: Wake) => number) => median(wakes.map(pick)).toFixed(1)
  const grown = (now: Pair, before: Pair, per: number) => now.map((value, i) => show((value - (before[i] ?? 0)) / per))
  return [
    name,
    of((wake) => wake.first),
    of((wake) => wake.last),
    of((wake) => wake.last - wake.first),
    ...grown(busy, idle, clients * rounds),
    ...grown(full, empty, clients * 1000),
  ]
}

type Pair = readonly [number, number]

function show(value: number): string {
  return Number.isNaN(value) ? '–' : value.toFixed(0)
}
