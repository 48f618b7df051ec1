import { randomBytes } from 'node:crypto'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeLibrary, tunes } from '../test/real/library.ts'
import { startMopidy } from '../test/real/mopidy.ts'
import { startMpd } from '../test/real/mpd.ts'
import { type Contender, hold, type Length, type Task } from './contest.ts'
import { type House, startHouse } from './house.ts'
import { connectClient } from './load.ts'
import { programs, startProxy, type TlsProxy } from './proxy.ts'
import { type Aim, printAims, printTask } from './report.ts'
import { talkArt, talkMpd } from './talk.ts'

/** For a command that is judged on its way. Bytes that nobody looks at cost less the more of them come at once. */
const aims: readonly Aim[] = [
  { than: 'stunnel', most: 0.7 },
  { than: 'HAProxy', most: 1.6 },
]
const depth = 50
const picture = { uri: 'album/song.flac', bytes: 2 ** 20 }
/** As many as there are clients, so that each can ask for another. */
const queued = 64

/** The commands, at each number of connections, and then many written at once. */
export function commandTasks(player: string, connections: readonly number[]): Task[] {
  const most = Math.max(...connections)
  const [first = most] = connections
  const ask = (title: string, command: (client: number) => string, many: number, times = 1): Task => ({
    title: `${player}: ${title}, ${many} connections${times > 1 ? `, ${times} at a time (p50 and p99: of all ${times})` : ''}`,
    connections: many,
    isPlain: times === 1,
    talk: ({ token }) => talkMpd(token, command, times),
  })
  const status = () => 'status'
  const apart = (client: number) => `playlistinfo ${client % queued}`
  return [
    ...connections.map((many) => ask('status, the same question from all', status, many)),
    ...connections.map((many) => ask('playlistinfo N, from each client another', apart, many)),
    ...connections.map((many) => ask('ping', () => 'ping', many)),
    ask('status, the same question from all', status, first, depth),
    ask('playlistinfo N, from each client another', apart, first, depth),
    ask('ping', () => 'ping', first, depth),
  ]
}

/** A picture in MPD's own pieces, and in one. */
export function artTasks(connections: number): Task[] {
  return [8192, picture.bytes].map((payload) => ({
    title: `MPD: albumart in pieces of ${payload / 1024} KiB, ${connections} connections`,
    connections,
    payload,
    isPlain: false,
    talk: ({ token }) => talkArt(token, picture, payload),
  }))
}

/** The real MPD and the real Mopidy: themselves, behind stunnel, behind HAProxy, behind the gateway. */
export async function measureMpd(length: Length, connections: readonly number[] = [16, 64]): Promise<void> {
  const music = makeAlbum()
  const mpd = await startMpd({ music, extraConfig: 'max_connections "300"' })
  await fill(mpd.port, picture.uri)
  await compare({ kind: 'mpd', mpd: mpd.mpd }, mpd, [...commandTasks('MPD', connections), ...artTasks(8)], length)
  await mpd.stop()
  rmSync(music, { recursive: true })

  const mopidy = await startMopidy({ mpdConnections: 300 })
  await fill(mopidy.mpdPort, tunes[0]?.uri ?? '')
  const speaker = { kind: 'mopidy', http: mopidy.http, mpd: mopidy.mpd } as const
  await compare(speaker, { port: mopidy.mpdPort, pid: mopidy.pid }, commandTasks('Mopidy', connections), length)
  await mopidy.stop()
}

async function compare(
  speaker: Parameters<typeof startHouse>[0] & { mpd: string },
  player: { readonly port: number; readonly pid: number },
  tasks: readonly Task[],
  length: Length,
): Promise<void> {
  const house = await startHouse(speaker)
  const proxies = await startBlind(speaker.mpd, house.certificate)
  const contenders = contendersFor(player.port, house, proxies)
  for (const task of tasks) {
    const rows = await hold(task, contenders, player, length)
    printTask(task, rows)
    printAims(rows, 'Stagedoor', task.isPlain ? aims : aims.map(({ than }) => ({ than })))
  }
  for (const proxy of proxies) await proxy.stop()
  await house.gateway.stop()
}

/** What ends TLS before an MPD door and does no more. */
export async function startBlind(upstream: string, certificate: House['certificate']): Promise<readonly TlsProxy[]> {
  const { stunnel, haproxy } = programs
  const started = [await startProxy(stunnel, upstream, certificate), await startProxy(haproxy, upstream, certificate)]
  return started.filter((proxy) => proxy !== undefined)
}

export function contendersFor(port: number, { gateway, token }: House, proxies: readonly TlsProxy[]): Contender[] {
  const { ca } = gateway
  return [
    { name: 'direct, no TLS', target: { port }, pid: undefined },
    ...proxies.map(({ name, port, pid }) => ({ name, target: { port, ca }, pid })),
    { name: 'Stagedoor', target: { port: gateway.mpd, ca }, pid: gateway.pid, token },
  ]
}

/** A folder with one tune and a picture beside it, as large as a scanned cover. */
function makeAlbum(): string {
  const folder = mkdtempSync(join(tmpdir(), 'stagedoor-album-'))
  mkdirSync(join(folder, 'album'))
  copyFileSync(join(makeLibrary(), tunes[0]?.path ?? ''), join(folder, picture.uri))
  writeFileSync(join(folder, 'album/cover.jpg'), randomBytes(picture.bytes))
  return folder
}

async function fill(port: number, uri: string): Promise<void> {
  const client = await connectClient(
    { port },
    talkMpd(undefined, () => 'ping'),
    0,
  )
  for (let i = 0; i < queued; i++) await client.ask(Buffer.from(`add "${uri}"\n`))
  client.close()
}
