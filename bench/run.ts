// One run, one machine: the player's own ports, the gateway, and nginx with TLS as a plain proxy that checks nothing.
// `npm run bench`; figures are for comparison within a run, not across machines.
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startGateway } from '../test/real/gateway.ts'
import { startMopidy } from '../test/real/mopidy.ts'
import { freePort, until } from '../test/real/tools.ts'
import { cpuOf } from './cpu.ts'
import { type Dialect, httpDialect, load, mpdDialect, type Result, type Target } from './load.ts'

const rounds = Number(process.env.BENCH_ROUNDS ?? 3)
const ms = Number(process.env.BENCH_MS ?? 4000)
const connections = Number(process.env.BENCH_CONNECTIONS ?? 16)

interface Contender {
  readonly name: string
  readonly what: string
  readonly target: Target
  readonly dialect: Dialect
  /** Whose CPU is counted: the process in the middle, or the player itself when there is none. */
  readonly pid: number
  readonly connections: number
}

const median = (values: readonly number[]) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN

async function measure(contender: Contender): Promise<Result & { cpu: number }> {
  const { target, dialect, pid } = contender
  await load(target, dialect, contender.connections, ms / 4) // warm
  const before = cpuOf(pid)
  const result = await load(target, dialect, contender.connections, ms)
  return { ...result, cpu: (cpuOf(pid) - before) / result.answers }
}

async function startNginx(upstream: string, cert: string, key: string) {
  if (spawnSync('nginx', ['-v']).error) return undefined
  const port = await freePort()
  const dir = mkdtempSync(join(tmpdir(), 'stagedoor-nginx-'))
  const conf = join(dir, 'nginx.conf')
  writeFileSync(
    conf,
    `daemon off; worker_processes 1; pid ${dir}/pid; error_log ${dir}/error.log;
events { worker_connections 512; }
http {
  access_log off; keepalive_requests 1000000000; client_body_temp_path ${dir}/b; proxy_temp_path ${dir}/p;
  fastcgi_temp_path ${dir}/f; uwsgi_temp_path ${dir}/u; scgi_temp_path ${dir}/s;
  upstream player { server ${new URL(upstream).host}; keepalive 64; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port} ssl;
    ssl_certificate ${cert}; ssl_certificate_key ${key}; ssl_protocols TLSv1.2 TLSv1.3;
    location / { proxy_pass http://player; proxy_http_version 1.1; proxy_set_header Connection ""; }
  }
}`,
  )
  const child = spawn('nginx', ['-c', conf, '-p', dir], { stdio: 'inherit' })
  process.once('exit', () => child.kill('SIGKILL'))
  await new Promise((resolve) => setTimeout(resolve, 500))
  return {
    port,
    pid: child.pid ?? 0,
    stop: () => {
      child.kill('SIGTERM')
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

const mopidy = await startMopidy()
const gateway = await startGateway({
  players: { home: { kind: 'mopidy', http: mopidy.http, mpd: mopidy.mpd } },
  users: { ada: 'owner' },
  script: fileURLToPath(new URL('gateway.ts', import.meta.url)),
  change: (config) => {
    config.log = { level: 'warn' }
    for (const role of Object.values(config.roles)) delete role.rates
  },
})
const token = gateway.token('ada')
await until(async () => (await gateway.http('/readyz')).status === 200)
const nginx = await startNginx(
  mopidy.http,
  join(gateway.dir, 'certs/server.crt'),
  join(gateway.dir, 'certs/server.key'),
)

const secure = { ca: gateway.ca }
const contenders: Contender[] = [
  {
    name: 'Mopidy direct, no TLS',
    what: 'http',
    target: { port: mopidy.httpPort },
    dialect: httpDialect(),
    pid: mopidy.pid,
    connections,
  },
  {
    name: 'Stagedoor',
    what: 'http',
    target: { port: gateway.https, ...secure },
    dialect: httpDialect(`Bearer ${token}`),
    pid: gateway.pid,
    connections,
  },
  ...(nginx
    ? [
        {
          name: 'nginx, TLS, checks nothing',
          what: 'http',
          target: { port: nginx.port, ...secure },
          dialect: httpDialect(),
          pid: nginx.pid,
          connections,
        },
      ]
    : []),
  // Four: what one person may hold open at the player at once.
  {
    name: 'Mopidy direct, no TLS',
    what: 'mpd',
    target: { port: mopidy.mpdPort },
    dialect: mpdDialect(),
    pid: mopidy.pid,
    connections: 4,
  },
  {
    name: 'Stagedoor',
    what: 'mpd',
    target: { port: gateway.mpd, ...secure },
    dialect: mpdDialect(token),
    pid: gateway.pid,
    connections: 4,
  },
]
if (!nginx) console.log('nginx is not installed (apt-get install nginx-light): left out')

const results = new Map<Contender, (Result & { cpu: number })[]>(contenders.map((contender) => [contender, []]))
for (let round = 0; round < rounds; round++) {
  for (const [contender, list] of results) list.push(await measure(contender))
}

const titles: Readonly<Record<string, string>> = {
  http: `core.playback.get_state over HTTP, ${connections} connections`,
  mpd: 'MPD status, 4 connections',
}
for (const [what, title] of Object.entries(titles)) {
  console.log(`\n${title} (medians of ${rounds} rounds of ${ms / 1000} s)\n`)
  console.log('|                              |   per s | p50 ms | p99 ms | CPU µs per answer |')
  console.log('|------------------------------|--------:|-------:|-------:|------------------:|')
  for (const [contender, list] of results) {
    if (contender.what !== what) continue
    const of = (pick: (result: Result & { cpu: number }) => number) => median(list.map(pick))
    const cells = [
      of((r) => r.perSecond)
        .toFixed(0)
        .padStart(7),
      of((r) => r.p50)
        .toFixed(2)
        .padStart(6),
      of((r) => r.p99)
        .toFixed(2)
        .padStart(6),
      of((r) => r.cpu)
        .toFixed(0)
        .padStart(17),
    ]
    console.log(`| ${contender.name.padEnd(28)} | ${cells.join(' | ')} |`)
  }
}
console.log('\nCPU is that of the process in the middle (of Mopidy itself where there is none).')

nginx?.stop()
await gateway.stop()
await mopidy.stop()
process.exit(0)
