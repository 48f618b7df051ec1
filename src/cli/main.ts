import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { messageOf } from '../call/fault.ts'
import type { Command, Io } from './command.ts'

/** Each is read when it is called for: librespot waits for `onevent` with every song. */
const commands: ReadonlyMap<string, () => Promise<{ readonly run: Command }>> = new Map(
  Object.entries({
    serve: () => import('./serve.ts'),
    user: () => import('./user.ts'),
    token: () => import('./token.ts'),
    session: () => import('./session.ts'),
    pair: () => import('./pair.ts'),
    override: () => import('./override.ts'),
    onevent: () => import('./onevent.ts'),
    check: () => import('./check.ts'),
    reload: () => import('./reload.ts'),
    schema: () => import('./schema.ts'),
    can: () => import('./can.ts'),
    matrix: () => import('./matrix.ts'),
    learn: () => import('./learn.ts'),
    policy: () => import('./policy.ts'),
    'mpd-help': () => import('./mpdhelp.ts'),
  }),
)

const usage = `stagedoor: the one door to a home's music players

  serve [--demo]                                   run the gateway
  user add NAME --role R [--password-stdin]        accounts; also: list, role, passwd, disable, enable, remove
  token create NAME --label L [--role R] [--player P] [--expires 90d] [--certificate]
                                                   device tokens; also: list, revoke ID
  session list | revoke ID | revoke --user NAME    open sessions
  pair PLAYER [--minutes 2] | PLAYER --close       lets a librespot be handed to another account, once
  override add WHO --until 22:30                   hours do not bind until then; also: list, remove WHO
  onevent [--player NAME] [--socket PATH]          for librespot to call: tells the gateway what it plays
  check                                            every problem of the configuration, with line and fix
  reload                                           the same, and the running gateway reads it anew
  schema                                           the configuration's JSON Schema
  can WHO mpd|rpc|rest 'COMMAND' [--player P] [--at TIME]
                                                   may they? by which rule, and until when
  matrix                                           every role × every capability
  learn --role R --since 2d                        the smallest role that allows what its people did
  policy diff A B                                  which role may do what else by another configuration
  mpd-help [CLIENT]                                how to connect an MPD client: tunnel, password, settings

Every command takes --config FILE (or STAGEDOOR_CONFIG) and --data DIR (or STAGEDOOR_DATA); listings take --json.`

/** Runs one command line; answers with its exit status: 0 done, 1 refused or failed, 2 wrong usage. */
export async function main(argv: readonly string[]): Promise<number> {
  const { rest, config, data } = takeCommon(argv)
  const io: Io = {
    out: (line) => process.stdout.write(`${line}\n`),
    err: (line) => process.stderr.write(`${line}\n`),
    stdin: () => text(process.stdin),
    config: config ?? process.env.STAGEDOOR_CONFIG ?? shipped('config/stagedoor.yaml'),
    data: data ?? process.env.STAGEDOOR_DATA ?? 'data',
    env: process.env,
    now: Date.now,
  }
  const [name = '', ...args] = rest
  if (name === '--version') {
    io.out(JSON.parse(readFileSync(shipped('package.json'), 'utf8')).version)
    return 0
  }
  const load = commands.get(name)
  if (!load) {
    const asked = name === '--help' || name === 'help'
    const say = asked ? io.out : io.err
    if (!asked && name !== '') io.err(`stagedoor: no such command: ${name}`)
    say(usage)
    return asked ? 0 : 2
  }
  try {
    const { run } = await load()
    return await run(args, io)
  } catch (error) {
    io.err(`stagedoor: ${messageOf(error)}`)
    return 1
  }
}

/** The options that every command takes, wherever they stand. */
function takeCommon(argv: readonly string[]): { rest: string[]; config?: string; data?: string } {
  const rest: string[] = []
  const found: { config?: string; data?: string } = {}
  for (let i = 0; i < argv.length; i++) {
    const match = /^--(config|data)(?:=(.*))?$/s.exec(argv[i] ?? '')
    if (!match) rest.push(argv[i] as string)
    else found[match[1] as 'config' | 'data'] = match[2] ?? argv[++i] ?? ''
  }
  return { rest, ...found }
}

/** A file of the project itself, in a clone and in a package alike. */
function shipped(path: string): string {
  const file = join(fileURLToPath(new URL('../..', import.meta.url)), path)
  const here = join(process.cwd(), path)
  return file === here ? path : file
}
