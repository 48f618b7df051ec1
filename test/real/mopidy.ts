import type { ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeLibrary } from './library.ts'
import { endChild, freePort, greeting, run, startChild, until } from './tools.ts'

export interface Mopidy {
  /** `http://127.0.0.1:PORT` */
  readonly http: string
  readonly httpPort: number
  /** `127.0.0.1:PORT` */
  readonly mpd: string
  readonly mpdPort: number
  readonly pid: number
  /** Holds the configuration, the state and the playlists. */
  readonly folder: string
  /** Asks Mopidy itself, past the gateway: what tests assert its state with. @throws when it answers with an error */
  rpc(method: string, params?: unknown): Promise<unknown>
  /** Starts it again on the same ports; ends it first if it runs. */
  restart(): Promise<void>
  /** `kill -9`, and waits until it is gone. */
  kill9(): Promise<void>
  stop(): Promise<void>
  /** What it wrote to its log so far. */
  log(): string
}

/**
 * Starts a real Mopidy on loopback: the generated library, sound to nowhere in real time, ready when this resolves.
 *
 * @param given.mpdConnections how many of MPD it takes; by itself that would be 20
 * @param given.extensions a folder of Python packages that it finds its web clients in
 */
export async function startMopidy(
  given: {
    httpPort?: number
    mpdPort?: number
    mpdConnections?: number
    extraConfig?: string
    extensions?: string
  } = {},
): Promise<Mopidy> {
  const { mpdConnections = 100, extraConfig = '' } = given
  const { httpPort = await freePort(), mpdPort = await freePort() } = given
  const folder = mkdtempSync(join(tmpdir(), 'stagedoor-mopidy-'))
  const music = makeLibrary()
  const file = join(folder, 'mopidy.conf')
  for (const name of ['cache', 'config', 'data', 'playlists']) mkdirSync(join(folder, name))
  writeFileSync(
    file,
    `[core]
cache_dir = ${folder}/cache
config_dir = ${folder}/config
data_dir = ${folder}/data
[logging]
verbosity = 0
color = false
[audio]
mixer = software
mixer_volume = 50
output = fakesink sync=true
[http]
hostname = 127.0.0.1
port = ${httpPort}
zeroconf =
[mpd]
hostname = 127.0.0.1
port = ${mpdPort}
zeroconf =
max_connections = ${mpdConnections}
[local]
media_dir = ${music}
[m3u]
playlists_dir = ${folder}/playlists
[file]
media_dirs = ${music}|Music
[stream]
protocols =
    http
    https
timeout = 5000
${extraConfig}
`,
  )
  const env = {
    ...process.env,
    HOME: folder,
    XDG_CONFIG_HOME: join(folder, 'config'),
    XDG_RUNTIME_DIR: folder,
    PYTHONHASHSEED: '0', // it prints sets as they come: two of them are to agree
    ...(given.extensions !== undefined && { PYTHONPATH: given.extensions }),
  }
  // Debian's own Python: another one on the path knows no Mopidy.
  const program = ['/usr/bin/mopidy', '--config', file]
  const scan = await run('/usr/bin/python3', [...program, 'local', 'scan'], { env, timeout: 60_000 })
  if (scan.status !== 0) throw new Error(`mopidy local scan failed: ${scan.stderr}`)

  let log = ''
  let child: ChildProcess
  const http = `http://127.0.0.1:${httpPort}`

  async function rpc(method: string, params?: unknown): Promise<unknown> {
    const response = await fetch(`${http}/mopidy/rpc`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
      signal: AbortSignal.timeout(10_000),
    })
    const answer = (await response.json()) as { result?: unknown; error?: unknown }
    if (answer.error) throw new Error(`${method}: ${JSON.stringify(answer.error)}`)
    return answer.result
  }

  async function start(): Promise<void> {
    child = startChild('/usr/bin/python3', program, { env, cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
    const keep = (chunk: Buffer) => {
      log += chunk.toString()
    }
    child.stdout?.on('data', keep)
    child.stderr?.on('data', keep)
    await until(async () => {
      if (child.exitCode !== null) throw new Error(`Mopidy ended at once: ${log}`)
      return (await rpc('core.playback.get_state')) && (await greeting(mpdPort)).startsWith('OK MPD ')
    }, 30_000)
  }

  await start()
  return {
    http,
    httpPort,
    mpd: `127.0.0.1:${mpdPort}`,
    mpdPort,
    get pid() {
      return child.pid ?? 0
    },
    folder,
    rpc,
    async restart() {
      await endChild(child)
      await start()
    },
    kill9: () => endChild(child, 'SIGKILL'),
    async stop() {
      await endChild(child)
      rmSync(folder, { recursive: true, force: true })
    },
    log: () => log,
  }
}
