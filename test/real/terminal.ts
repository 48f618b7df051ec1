import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { endChild, run, startChild, until } from './tools.ts'

/** A program in a terminal of 120 × 40, as a person sees it. */
export interface Terminal {
  /** Presses keys, by tmux's names (`Enter`, `F1`, `+`). */
  press(...keys: string[]): Promise<void>
  screen(): Promise<string>
  /** Waits until the screen shows this. @throws with the screen, when it does not come */
  shows(what: string | RegExp): Promise<void>
  /** Whether the program still runs. */
  isRunning(): Promise<boolean>
  close(): Promise<void>
}

/** Runs a program in tmux, with a server and a home of its own. */
export async function openTerminal(
  command: readonly string[],
  options: { home: string; env?: Readonly<Record<string, string>> },
): Promise<Terminal> {
  const sockets = mkdtempSync(join(tmpdir(), 'stagedoor-tmux-'))
  const { MPD_HOST: _host, MPD_PORT: _port, TMUX: _tmux, ...inherited } = process.env
  const env = {
    ...inherited,
    HOME: options.home,
    XDG_CONFIG_HOME: join(options.home, '.config'),
    XDG_RUNTIME_DIR: options.home,
    TMUX_TMPDIR: sockets,
    TERM: 'xterm',
    LC_ALL: 'C.UTF-8',
    ...options.env,
  }
  const base = ['-L', 'stagedoor', '-f', '/dev/null']
  const tmux = async (...args: string[]) => {
    // -N: a session that comes before its server must not start another, which would outlive us.
    const { status, stdout, stderr } = await run('tmux', [...base, '-N', ...args], { env })
    if (status !== 0) throw new Error(`tmux ${args[0]}: ${stderr}`)
    return stdout
  }
  // Not as a daemon: it must not outlive the test.
  const server = startChild('tmux', [...base, '-D'], { env, stdio: 'ignore' })
  const quoted = command.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ')
  await until(async () => {
    await tmux('new-session', '-d', '-x', '120', '-y', '40', '-s', 'it', `exec ${quoted}`)
    return true
  })
  await tmux('set-option', '-t', 'it', 'remain-on-exit', 'on').catch(() => {}) // it may have ended already

  const screen = () => tmux('capture-pane', '-p', '-t', 'it')
  const press = async (...keys: string[]) => {
    await tmux('send-keys', '-t', 'it', ...keys)
  }
  return {
    press,
    screen,
    async shows(what) {
      let last = ''
      await until(async () => {
        last = await screen()
        return typeof what === 'string' ? last.includes(what) : what.test(last)
      }).catch(() => {
        throw new Error(`the screen never showed ${what}:\n${last}`)
      })
    },
    isRunning: async () => (await tmux('list-panes', '-t', 'it', '-F', '#{pane_dead}')).trim() === '0',
    async close() {
      await endChild(server)
      rmSync(sockets, { recursive: true, force: true })
    },
  }
}
