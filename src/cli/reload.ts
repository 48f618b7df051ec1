import { realpathSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { Fault, messageOf } from '../call/fault.ts'
import { explain } from '../config/explain.ts'
import { loadConfig } from '../config/load.ts'
import type { Change } from '../config/reload.ts'
import type { ReloadAnswer } from '../config/watch.ts'
import { type Io, parse, single } from './command.ts'

const usage = `
  stagedoor reload [--json]

  Checks the configuration and has the running gateway read it anew: what is live counts at the next call, on open
  connections too.`

const deadlineMs = 10_000

export const run = single(usage, async (args, io) => {
  const { values } = parse(args, { json: { type: 'boolean' } }, { min: 0, max: 0 })
  const own = loadConfig(io.config, io.env)
  const answer = own.config ? await ask(io) : { file: io.config, problems: own.problems, changes: [] }
  const { file, problems, changes } = answer
  if (values.json) io.out(JSON.stringify(answer, null, 2))
  else {
    for (const problem of problems) io.out(explain(problem))
    if (problems.length === 0) for (const line of tell(changes)) io.out(line)
  }
  if (problems.length > 0) {
    io.err('the configuration is invalid: the one before stays in force')
    return 1
  }
  if (pathOf(file) !== pathOf(io.config)) {
    io.err(`stagedoor: the gateway reads ${file}, and not ${io.config}: name the same with --config`)
    return 1
  }
  return 0
})

function* tell(changes: readonly Change[]): Generator<string> {
  const of = (when: Change['takes']) => changes.flatMap(({ path, takes }) => (takes === when ? [path] : []))
  const [live, fresh, waiting] = [of('live'), of('new connections'), of('restart')]
  if (live.length > 0) yield `in force now: ${live.join(', ')}`
  if (fresh.length > 0) yield `for new connections from now on: ${fresh.join(', ')}`
  if (waiting.length > 0) yield `waiting for a restart: ${waiting.join(', ')}`
  // The gateway looks at the file by itself, and may have been quicker.
  if (live.length + fresh.length === 0) yield `${waiting.length > 0 ? 'all else' : 'all of it'} was in force already`
}

function pathOf(file: string): string {
  try {
    return realpathSync(file)
  } catch {
    return file
  }
}

/** @throws Fault when no gateway answers */
async function ask({ data }: Io): Promise<ReloadAnswer> {
  const path = join(data, 'control.sock')
  const socket = connect(path)
  const timer = setTimeout(() => socket.destroy(new Error('it does not answer')), deadlineMs)
  try {
    socket.end('reload\n')
    return JSON.parse(await text(socket))
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    const isGone = code === 'ENOENT' || code === 'ECONNREFUSED'
    const why = isGone ? `no gateway runs with ${data}` : `the gateway did not answer (${messageOf(error)})`
    const then = isGone ? 'it will be read at the next start' : 'see its log'
    throw new Fault('internal', `the configuration is fine, but ${why}: ${then}`, { cause: error })
  } finally {
    clearTimeout(timer)
  }
}
