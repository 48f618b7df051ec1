import type { ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeLibrary } from './library.ts'
import { endChild, freePort, greeting, run, startChild, until } from './tools.ts'

export interface Mpd {
  readonly port: number
  /** `127.0.0.1:PORT` */
  readonly mpd: string
  readonly pid: number
  /** Holds the playlists and the state. */
  readonly folder: string
  restart(): Promise<void>
  /** `kill -9`, and waits until it is gone. */
  kill9(): Promise<void>
  stop(): Promise<void>
  log(): string
}

/**
 * Starts a real MPD on loopback with the generated library and an output to nowhere; ready when this resolves.
 *
 * @param given.music another folder than the generated library
 */
export async function startMpd(given: { port?: number; music?: string; extraConfig?: string } = {}): Promise<Mpd> {
  const { port = await freePort(), music = makeLibrary(), extraConfig = '' } = given
  const folder = mkdtempSync(join(tmpdir(), 'stagedoor-mpd-'))
  const file = join(folder, 'mpd.conf')
  mkdirSync(join(folder, 'playlists'))
  writeFileSync(
    file,
    `music_directory "${music}"
playlist_directory "${folder}/playlists"
db_file "${folder}/database"
state_file "${folder}/state"
sticker_file "${folder}/sticker.sql"
bind_to_address "127.0.0.1"
port "${port}"
zeroconf_enabled "no"
audio_output {
  type "null"
  name "null"
  mixer_type "software"
}
${extraConfig}
`,
  )
  let log = ''
  let child: ChildProcess

  async function start(): Promise<void> {
    const env = { ...process.env, HOME: folder, XDG_CONFIG_HOME: folder, XDG_RUNTIME_DIR: folder }
    child = startChild('mpd', ['--no-daemon', '--stderr', file], { env, stdio: ['ignore', 'pipe', 'pipe'] })
    const keep = (chunk: Buffer) => {
      log += chunk.toString()
    }
    child.stdout?.on('data', keep)
    child.stderr?.on('data', keep)
    await until(async () => {
      if (child.exitCode !== null) throw new Error(`MPD ended at once: ${log}`)
      return (await greeting(port)).startsWith('OK MPD ')
    })
  }

  await start()
  const update = await run('mpc', ['--host=127.0.0.1', `--port=${port}`, '--wait', 'update'])
  if (update.status !== 0) throw new Error(`mpc update failed: ${update.stderr}`)
  return {
    port,
    mpd: `127.0.0.1:${port}`,
    get pid() {
      return child.pid ?? 0
    },
    folder,
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
