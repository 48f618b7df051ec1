import { startMopidy } from '../test/real/mopidy.ts'
import { type Audience, columns, tell } from './audience.ts'
import type { Contender } from './contest.ts'
import { startHouse } from './house.ts'
import { type Client, connectClient } from './load.ts'
import { contendersFor, startBlind } from './mpd.ts'
import { printTable } from './report.ts'
import { talkMpd } from './talk.ts'

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
    const { name, target, pid, token } = contender
    const speaker = await connectClient(
      target,
      talkMpd(token, () => 'status'),
      0,
    )
    const row = tell(createSleepers(contender, speaker), { pid, player: player.pid }, { clients, rounds })
    rows.push([
      name,
      ...(await row.catch((cause) => {
        throw new Error(`${name} failed with ${clients} clients`, { cause })
      })),
    ])
  }
  console.log(
    `\nMopidy: ${clients} clients in idle, a setvol wakes them all (Mopidy takes 20 connections for Stagedoor, and all of them for the others).
CPU is that of waking one and hearing it go back to sleep, memory that of the process in the middle for one that sleeps, and of Mopidy.\n`,
  )
  printTable(['', ...columns], rows)
  for (const proxy of proxies) await proxy.stop()
  await house.gateway.stop()
  await Promise.all([small.stop(), large.stop()])
}

function createSleepers({ target, token }: Contender, speaker: Client): Audience {
  const talk = talkMpd(token, () => 'status')
  const crowd: Client[] = []
  return {
    async join() {
      crowd.push(await connectClient(target, talk, crowd.length))
    },
    async listen() {
      const heard = crowd.map((client) => client.ask(rest))
      for (const done of heard) done.catch(() => {}) // the last of them end with the connection
      await speaker.ask(Buffer.from('status\n')) // whoever is asked later answers later
      return heard
    },
    change: (round) => speaker.ask(Buffer.from(`setvol ${20 + (round % 50)}\n`)),
    close() {
      for (const client of [speaker, ...crowd]) client.close()
    },
  }
}
