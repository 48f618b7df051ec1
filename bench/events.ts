import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { type RawData, WebSocket } from 'ws'
import { startMopidy } from '../test/real/mopidy.ts'
import { endChild, startChild } from '../test/real/tools.ts'
import { type Audience, columns, tell } from './audience.ts'
import type { Contender } from './contest.ts'
import { startHouse } from './house.ts'
import { programs, startProxy } from './proxy.ts'
import { printTable } from './report.ts'

/** A player that tells many of its events over WebSockets. */
interface Teller {
  readonly title: string
  readonly remark: string
  readonly player: Parameters<typeof startHouse>[0]
  readonly port: number
  readonly pid: number
  readonly path: string
  /** Makes it tell of a volume, in percent; resolves when the player has been asked to. */
  change(percent: number): Promise<unknown>
  /** The volume in a message of it; undefined in one of another event. */
  volumeOf(message: Readonly<Record<string, unknown>>): number | undefined
  stop(): Promise<void>
}

/**
 * One event of a player, and how long it takes until the last of many WebSocket clients has it.
 *
 * Directly each client has a connection to the player, and behind HAProxy, which only ends TLS, as well. The gateway has one.
 */
export async function measureEvents(rounds: number, clients = 1_000): Promise<void> {
  for (const start of [startMopidyTeller, startLibrespotTeller]) {
    const teller = await start()
    const house = await startHouse(teller.player)
    const haproxy = await startProxy(programs.haproxy, `127.0.0.1:${teller.port}`, house.certificate)
    const { ca } = house.gateway
    const contenders: Contender[] = [
      { name: 'direct, no TLS', target: { port: teller.port }, pid: undefined },
      ...(haproxy ? [{ name: haproxy.name, target: { port: haproxy.port, ca }, pid: haproxy.pid }] : []),
      { name: 'Stagedoor', target: { port: house.gateway.https, ca }, pid: house.gateway.pid, token: house.token },
    ]
    const rows: string[][] = []
    for (const [turn, contender] of contenders.entries()) {
      const { name, pid } = contender
      const row = tell(createReaders(contender, teller, turn), { pid, player: teller.pid }, { clients, rounds })
      rows.push([
        name,
        ...(await row.catch((cause) => {
          throw new Error(`${name} failed with ${clients} clients`, { cause })
        })),
      ])
    }
    console.log(`\n${teller.title}: ${clients} WebSocket clients hear of one change of the volume${teller.remark}\n`)
    printTable(['', ...columns], rows)
    await haproxy?.stop()
    await house.gateway.stop()
    await teller.stop()
  }
}

const patience = 30_000

function createReaders({ target, token }: Contender, { path, change, volumeOf }: Teller, turn: number): Audience {
  const readers: WebSocket[] = []
  // Another one than the contender before left behind.
  const percent = (round: number) => 20 + ((turn + round) % 50)
  let round = 0

  function hear(ws: WebSocket, wanted: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const timer = setTimeout(() => reject(new Error(`no event within ${patience / 1000} s`)), patience)
    const gone = (code: number): void => reject(new Error(`closed with ${code}`))
    const take = (bytes: RawData): void => {
      if (volumeOf(JSON.parse(String(bytes))) !== wanted) return
      clearTimeout(timer)
      ws.off('message', take)
      ws.off('close', gone)
      resolve()
    }
    ws.on('message', take)
    ws.once('close', gone)
    return promise
  }
  return {
    async join() {
      const { port, ca } = target
      const tls = ca === undefined ? {} : ({ ca, minVersion: 'TLSv1.3', ciphers: 'TLS_AES_128_GCM_SHA256' } as const)
      const ws = new WebSocket(`${ca === undefined ? 'ws' : 'wss'}://127.0.0.1:${port}${path}`, {
        perMessageDeflate: false,
        skipUTF8Validation: true,
        ...(token !== undefined && { headers: { authorization: `Bearer ${token}` } }),
        ...tls,
      })
      ws.on('error', () => {})
      await once(ws, 'open')
      readers.push(ws)
    },
    async listen() {
      const heard = readers.map((ws) => hear(ws, percent(round)))
      for (const done of heard) done.catch(() => {}) // the last of them end with the connection
      return heard
    },
    change(now) {
      round = now + 1
      return change(percent(now))
    },
    close() {
      for (const ws of readers) ws.terminate()
    },
  }
}

async function startMopidyTeller(): Promise<Teller> {
  const mopidy = await startMopidy()
  return {
    title: 'Mopidy',
    remark: '',
    player: { kind: 'mopidy', http: mopidy.http, mpd: mopidy.mpd },
    port: mopidy.httpPort,
    pid: mopidy.pid,
    path: '/mopidy/ws',
    change: (volume) => mopidy.rpc('core.mixer.set_volume', { volume }),
    volumeOf: ({ event, volume }) => (event === 'volume_changed' ? Number(volume) : undefined),
    stop: () => mopidy.stop(),
  }
}

/** The real one cannot run without Spotify. */
async function startLibrespotTeller(): Promise<Teller> {
  const child = startChild(process.execPath, [fileURLToPath(new URL('librespot.ts', import.meta.url))], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const { stdin, stdout } = child
  if (!stdin || !stdout) throw new Error('the stub has no pipes')
  const [url = ''] = await once(createInterface(stdout), 'line')
  return {
    title: 'go-librespot',
    remark: ' (a stub of it)',
    player: { kind: 'go-librespot', url },
    port: Number(new URL(url).port),
    pid: child.pid ?? 0,
    path: '/events',
    async change(percent) {
      stdin.write(`${percent}\n`)
    },
    volumeOf({ type, data }) {
      return type === 'volume' ? Number((data as { value: number }).value) : undefined
    },
    stop: () => endChild(child),
  }
}
