import { createCall, type User } from '../src/call/call.ts'
import type { QueueEntry } from '../src/call/known.ts'
import { decide } from '../src/policy/decide.ts'
import { compile, type RolesConfig } from '../src/policy/policy.ts'
import type { Policy } from '../src/policy/role.ts'
import { mpd } from '../src/protocol/mpd/catalog.ts'
import { startMopidy } from '../test/real/mopidy.ts'
import { type Contender, hold, type Length, median, type Task } from './contest.ts'
import { startHouse } from './house.ts'
import { printTable } from './report.ts'
import { talkHttp } from './talk.ts'

/** The most that a decision may take of a whole call, at ten grants. */
const aim = 0.05

/** What the decision alone takes, beside a whole call in the same run: from the client's request to its answer. */
export async function measureDecide(length: Length): Promise<void> {
  const mopidy = await startMopidy()
  const house = await startHouse({ kind: 'mopidy', http: mopidy.http, mpd: mopidy.mpd })
  const { ca, https, pid } = house.gateway
  const task: Task = {
    title: 'Mopidy: core.playback.get_state over HTTP, 16 connections',
    connections: 16,
    isPlain: true,
    talk: ({ token }) => talkHttp(token && `Bearer ${token}`),
  }
  const contenders: Contender[] = [{ name: 'Stagedoor', target: { port: https, ca }, pid, token: house.token }]
  const [row] = await hold(task, contenders, mopidy, length)
  await house.gateway.stop()
  await mopidy.stop()
  const whole = row?.cpu ?? Number.NaN

  const shares = new Map<number, number>()
  const rows = [1, 10, 100].map((grants) => {
    const cost = median(Array.from({ length: length.rounds }, () => cpuOf(grants, length.ms)))
    shares.set(grants, cost / whole)
    return [grants === 1 ? '1 grant' : `${grants} grants`, cost.toFixed(2), ((100 * cost) / whole).toFixed(1)]
  })
  console.log(`\ndecide: one decision with all constraints (a whole call takes ${whole.toFixed(1)} µs of CPU)\n`)
  printTable(['', 'CPU µs', '% of a call'], rows)
  const met = (shares.get(10) ?? Number.NaN) <= aim ? 'met' : 'MISSED'
  console.log(`\nAt 10 grants at most ${aim * 100} % of a call: ${met}`)
}

/** Nothing but the last grant allows the call, and each before it refuses at its last condition. */
function policyOf(grants: number): Policy {
  const when = (scheme: string) => ({
    maxVolume: { max: { '00:00': 30, '07:00': 60, '20:00': 40 }, over: 'scale' as const, zone: 'Europe/Berlin' },
    hours: { zone: 'Europe/Berlin', allow: ['mon-fri 00:00-24:00', 'sat,sun 00:00-24:00'] },
    queue: { max: 200, perPerson: 25, own: true },
    uriSchemes: ['local', 'spotify', 'path'],
    uris: { allow: [`${scheme}:`, 'https://*.radio.example/live/'], deny: ['spotify:show:'] },
  })
  const roles: RolesConfig = {
    kid: {
      grants: Array.from({ length: grants }, (_, i) => ({
        allow: ['queue.add', 'queue.edit'],
        on: ['home', 'kids-room'],
        when: when(i === grants - 1 ? 'spotify' : 'tidal'),
      })),
    },
  }
  return compile(roles, { zone: 'Europe/Berlin' })
}

/** Microseconds of CPU for one decision. */
function cpuOf(grants: number, ms: number): number {
  const policy = policyOf(grants)
  const by: User = {
    kind: 'user',
    id: 'u',
    name: 'kim',
    roles: ['kid'],
    session: 's',
    until: Number.MAX_SAFE_INTEGER,
    from: '::1',
  }
  const entries = Array.from({ length: 150 }, (_, id): QueueEntry => ({ id, uri: `local:track:${id}`, owner: 'v' }))
  const noon = Date.UTC(2026, 5, 3, 12)
  const calls = Array.from({ length: 64 }, (_, i) =>
    createCall(
      { id: 'r', by, door: 'mpd', player: 'home', at: noon + i },
      { operation: mpd.add, args: { uri: `spotify:track:${i}` } },
      { queue: { entries } },
    ),
  )
  const run = (until: number) => {
    let done = 0
    while (performance.now() < until) {
      for (const call of calls) {
        if (!decide(policy, call).allowed) throw new Error('the last grant allows it')
      }
      done += calls.length
    }
    return done
  }
  run(performance.now() + ms / 4)
  const before = process.cpuUsage()
  const done = run(performance.now() + ms)
  const { user, system } = process.cpuUsage(before)
  return (user + system) / done
}
