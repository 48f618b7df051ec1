import { execFileSync } from 'node:child_process'
import { accessSync, constants, existsSync, readdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { extensionsCommand, installExtensions } from './extensions.ts'
import { makeLibrary } from './library.ts'

export interface Real {
  /** Whether the real players and clients are here. Tests that need them are `describe.skipIf(!inject('real').available)`. */
  readonly available: boolean
  readonly missing: readonly string[]
  /** Whether a browser and Mopidy's web clients are here as well. */
  readonly web: boolean
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

/** What tests in a browser need besides. */
const webPackages = new Map([
  ['chromium', '/usr/bin/chromium'],
  ['python3-pip', '/usr/lib/python3/dist-packages/pip'],
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

const missingOf = (from: ReadonlyMap<string, string>) =>
  [...from].filter(([, file]) => !isThere(file)).map(([name]) => name)
const missing = () => [...missingOf(packages), ...missingOf(webPackages)]

/** Mopidy's web clients from PyPI. @returns what went wrong, if anything did */
function prepareWeb(): string | undefined {
  const wanting = missingOf(webPackages)
  if (wanting.length > 0) return `missing: ${wanting.join(' ')}`
  try {
    installExtensions()
    return undefined
  } catch (error) {
    return String((error as { stderr?: Buffer }).stderr ?? error)
      .trim()
      .split('\n')
      .slice(-3)
      .join('\n    ')
  }
}

function announce(lines: readonly string[]): void {
  const stars = `  ${'*'.repeat(76)}`
  const text = ['', stars, ...lines.map((line) => `  ${line}`), stars, ''].join('\n')
  if (process.env.CI && process.env.CI !== 'false') throw new Error(text)
  process.stderr.write(`${text}\n`)
}

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
  const core = missingOf(packages)
  if (core.length > 0) {
    announce([
      'NOT TESTED: everything against the real Mopidy and MPD, because this is missing:',
      `  ${core.join(' ')}`,
      'To enable these tests, as root on Debian or Ubuntu:',
      `  ${command}`,
      ...(problem ? ['Trying that here failed:', `  ${problem.split('\n').slice(-3).join('\n    ')}`] : []),
    ])
  } else makeLibrary()
  const trouble = core.length > 0 ? undefined : prepareWeb()
  if (trouble !== undefined) {
    announce([
      'NOT TESTED: Mopidy’s web clients in a browser, because they could not be installed:',
      `  ${trouble}`,
      'To enable these tests, as root on Debian or Ubuntu, with PyPI within reach:',
      `  apt-get install -y --no-install-recommends ${[...webPackages.keys()].join(' ')}`,
      `  ${extensionsCommand}`,
    ])
  }
  const available = core.length === 0
  project.provide('real', { available, missing: wanting, web: available && trouble === undefined })
}
