import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'
import { readConfig } from '../../src/config/load.ts'
import { endChild, until } from './tools.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const readme = readFileSync(join(root, 'README.md'), 'utf8')

/** The commands of a section's shell blocks, with continued lines joined and comments gone. */
function commandsOf(heading: string): string[] {
  const section = readme.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? ''
  return [...section.matchAll(/```sh\n([\s\S]*?)```/g)]
    .flatMap(([, block = '']) => block.replaceAll('\\\n', ' ').split('\n'))
    .map((line) => line.replace(/\s+#.*$/, '').trim())
    .filter((line) => line !== '')
}

describe('the README, walked by a newcomer in an empty directory', () => {
  const place = mkdtempSync(join(tmpdir(), 'stagedoor-newcomer-'))
  const clone = join(place, 'stagedoor')
  let running: ChildProcess | undefined
  let said = ''
  afterAll(async () => {
    if (running?.pid) process.kill(-running.pid, 'SIGTERM')
    if (running) await endChild(running)
    rmSync(place, { recursive: true, force: true })
  })

  /** A newcomer's shell: nothing of this test's own Node on the path, and no CI. */
  const { CI: _ci, ...inherited } = process.env
  const env = {
    ...inherited,
    PATH: (process.env.PATH ?? '')
      .split(':')
      .filter((folder) => !folder.includes('node_modules'))
      .join(':'),
  }
  const shell = (command: string, input = '') =>
    spawnSync('/bin/sh', ['-c', command], { cwd: clone, encoding: 'utf8', input, env })

  const walk = commandsOf('60 seconds')
  const questions = commandsOf('Roles')

  test('from clone to music', { timeout: 240_000 }, async () => {
    const [get = '', start = '', addUser = '', createToken = '', play = ''] = walk
    expect(get).toMatch(/^git clone https:\/\/\S+ && cd stagedoor$/)
    spawnSync('git', ['clone', '--quiet', root, clone])

    expect(start).toBe('npm start')
    running = spawn('npm', ['start'], { cwd: clone, env, detached: true })
    for (const stream of [running.stdout, running.stderr]) stream?.on('data', (piece) => (said += piece))
    await until(() => /setup#token=ss1_\S+/.test(said), 200_000)
    expect(said).toMatch(/Stagedoor listens on https:\/\/localhost:8443\//)

    expect(addUser).toMatch(/^npx stagedoor user add ada --role owner$/)
    const made = shell(addUser, 'a long enough password\n')
    expect(made.stderr + made.stdout).toContain('ada')
    expect(made.status).toBe(0)

    const token = /sd1_[\w-]+/.exec(shell(createToken).stdout)?.[0] ?? ''
    expect(token).not.toBe('')
    expect(play).toContain('curl --cacert certs/ca.crt -u ada:sd1_…')
    const played = shell(play.replace('sd1_…', token))
    expect(JSON.parse(played.stdout), played.stderr).toEqual({ jsonrpc: '2.0', id: 1, result: null })

    const invite = /`(npx stagedoor user add ben --role kid)`/.exec(readme)?.[1] ?? ''
    expect(shell(invite, 'another good password\n').status).toBe(0)
  })

  test('and the questions it shows are answered as it says', () => {
    const shipped = readFileSync(join(clone, 'config/stagedoor.yaml'), 'utf8')
    writeFileSync(join(clone, 'new.yaml'), shipped.replace('maxVolume: 40', 'maxVolume: 50'))
    const answers = questions.map((command) => {
      const { status, stdout } = shell(command)
      return [command, status, stdout] as const
    })
    // Nobody has done anything that could be learned from, and what `diff` finds is a difference.
    expect(answers.map(([command, status]) => `${status} ${command.split(' ')[2]}`)).toEqual([
      '0 check',
      '1 can',
      '1 can',
      '0 matrix',
      '1 learn',
      '1 policy',
      '0 reload',
      '0 override',
    ])
    expect(answers[1]?.[2]).toMatch(/denied[\s\S]*maxVolume[\s\S]*config\/stagedoor\.yaml:\d+/)
    expect(answers[2]?.[2]).toMatch(/denied[\s\S]*uriSchemes/)
    expect(answers[5]?.[2]).toMatch(/kid · volume\.set: maxVolume 40 → maxVolume 50/)
  })

  test('and its roles are roles', () => {
    const [, block = ''] = /```yaml\n(roles:[\s\S]*?)```/.exec(readme) ?? []
    const players = 'players: { kids-room: { kind: mpd, mpd: "127.0.0.1:6600" } }'
    const { problems } = readConfig(`${players}\n${block}`, 'README.md', { env: {}, read: () => '' })
    expect(block).toContain('hours')
    expect(problems).toEqual([])
  })
})
