import { execFileSync } from 'node:child_process'
import { accessSync, constants, existsSync, readdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { makeLibrary } from './library.ts'

export interface Real {
  /** Whether the real players and clients are here. Tests that need them are `describe.skipIf(!inject('real').available)`. */
  readonly available: boolean
  readonly missing: readonly string[]
}

declare module 'vitest' {
  interface ProvidedContext {
    real: Real
  }
}

/** Debian package → the file that shows it is there; a bare name is looked up on the path. */
const packages = new Map([
  ['mopidy', 'mopidy'],
  ['mopidy-mpd', '/usr/lib/python3/dist-packages/mopidy_mpd'],
  ['mopidy-local', '/usr/lib/python3/dist-packages/mopidy_local'],
  ['gstreamer1.0-plugins-good', 'gstreamer-1.0/libgstflac.so'],
  ['mpd', 'mpd'],
  ['mpc', 'mpc'],
  ['ncmpc', 'ncmpc'],
  ['ncmpcpp', 'ncmpcpp'],
  ['tmux', 'tmux'],
  ['python3-mpd', '/usr/lib/python3/dist-packages/mpd'],
  ['socat', 'socat'],
  ['stunnel4', 'stunnel4'],
  ['flac', 'flac'],
  ['nginx-light', 'nginx'],
  ['haproxy', 'haproxy'],
  ['curl', 'curl'],
  ['util-linux', 'setpriv'],
])

function isThere(file: string): boolean {
  if (file.startsWith('/')) return existsSync(file)
  const folders = file.endsWith('.so')
    ? readdirSync('/usr/lib').map((name) => join('/usr/lib', name))
    : [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin']
  return folders.some((folder) => {
    try {
      accessSync(join(folder, file), constants.R_OK)
      return true
    } catch {
      return false
    }
  })
}

const missing = () => [...packages].filter(([, file]) => !isThere(file)).map(([name]) => name)

/** Installs what the tests against real players need, or says loudly what will not be tested. In CI that is a failure. */
export function setup(project: TestProject): void {
  let wanting = missing()
  const command = `apt-get update && apt-get install -y --no-install-recommends ${wanting.join(' ')}`
  let problem = ''
  if (wanting.length > 0 && process.getuid?.() === 0 && existsSync('/usr/bin/apt-get')) {
    process.stdout.write(`Installing for the tests against real players: ${wanting.join(' ')}\n`)
    try {
      const options = {
        env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
        stdio: 'pipe',
        timeout: 600_000,
      } as const
      execFileSync('/bin/sh', ['-c', command], options)
    } catch (error) {
      problem = String((error as { stderr?: Buffer }).stderr ?? error).trim()
    }
    wanting = missing()
  }
  if (wanting.length > 0) {
    const text = [
      '',
      '  ****************************************************************************',
      '  NOT TESTED: everything against the real Mopidy and MPD, because this is missing:',
      `    ${wanting.join(' ')}`,
      '  To enable these tests, as root on Debian or Ubuntu:',
      `    ${command}`,
      ...(problem ? ['  Trying that here failed:', `    ${problem.split('\n').slice(-3).join('\n    ')}`] : []),
      '  ****************************************************************************',
      '',
    ].join('\n')
    if (process.env.CI && process.env.CI !== 'false') throw new Error(text)
    process.stderr.write(`${text}\n`)
  } else makeLibrary()
  project.provide('real', { available: wanting.length === 0, missing: wanting })
}
