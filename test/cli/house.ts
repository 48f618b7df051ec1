import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from '../../src/cli/command.ts'
import { createDir } from '../identity/house.ts'

const config = `
players:
  home: { kind: mopidy, http: "http://127.0.0.1:6680", mpd: "127.0.0.1:6600" }
  attic: { kind: mpd, mpd: "127.0.0.1:6600" }
roles:
  owner: { grants: [{ allow: ["*"] }] }
  member: { grants: [{ allow: [status.read] }] }
  guest: { grants: [{ allow: [status.read] }] }
`

/** A shell with a configuration, a data directory and a clock. */
export function createShell(dir = createDir()) {
  const file = join(dir, 'stagedoor.yaml')
  writeFileSync(file, config)
  const clock = { now: Date.UTC(2026, 0, 1) }

  async function run(command: Command, line: string, stdin = '') {
    const said = { out: [] as string[], err: [] as string[] }
    const words = line.match(/"[^"]*"|\S+/g)?.map((word) => word.replaceAll('"', '')) ?? []
    const status = await command(words, {
      out: (text) => said.out.push(text),
      err: (text) => said.err.push(text),
      stdin: async () => stdin,
      data: join(dir, 'data'),
      config: file,
      env: {},
      now: () => clock.now,
    })
    return { status, out: said.out.join('\n'), err: said.err.join('\n') }
  }
  return { run, clock, file, data: join(dir, 'data') }
}
