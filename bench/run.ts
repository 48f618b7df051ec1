// One run, one machine: a player's own ports, the gateway, and what else people put in front of a player.
// `npm run bench`, or `npm run bench -- mpd` for some parts of it. Figures are for comparison within a run.
import { measureCrowd } from './crowd.ts'
import { measureDecide } from './decide.ts'
import { measureEvents } from './events.ts'
import { measureHttp } from './http.ts'
import { measureMpd } from './mpd.ts'

const rounds = Number(process.env.BENCH_ROUNDS ?? 3)
const ms = Number(process.env.BENCH_MS ?? 2000)
/** Fewer clients than each part has by itself, for a quick look. */
const most = Number(process.env.BENCH_CONNECTIONS ?? Number.POSITIVE_INFINITY)

const parts: Readonly<Record<string, () => Promise<void>>> = {
  http: () => measureHttp({ rounds, ms }, Math.min(16, most)),
  mpd: () => measureMpd({ rounds, ms }, [...new Set([16, 64].map((many) => Math.min(many, most)))]),
  crowd: () => measureCrowd(rounds * 5, Math.min(500, most)),
  events: () => measureEvents(rounds * 5, Math.min(1_000, most)),
  decide: () => measureDecide({ rounds, ms }),
}

const wanted = process.argv.slice(2)
const unknown = wanted.find((name) => !Object.hasOwn(parts, name))
if (unknown !== undefined) {
  console.error(`no such part: ${unknown}; there are: ${Object.keys(parts).join(', ')}`)
  process.exit(2)
}
console.log(
  `Medians of ${rounds} rounds of ${ms / 1000} s each. CPU: microseconds per answer of the process in the middle.`,
)
for (const name of wanted.length > 0 ? wanted : Object.keys(parts)) await parts[name]?.()
process.exit(0)
