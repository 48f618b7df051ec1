import { parseArgs } from 'node:util'
import { Fault } from '../call/fault.ts'
import { explain, suggest } from '../config/explain.ts'
import { loadConfig } from '../config/load.ts'
import { type Accounts, openAccounts } from '../store/accounts.ts'
import type { Account } from '../store/record.ts'
import type { Command, Io } from './io.ts'

type Options = NonNullable<NonNullable<Parameters<typeof parseArgs>[0]>['options']>

/** Arguments that make no sense, as opposed to a request that is refused. */
export class Misuse extends Error {
  override readonly name = 'Misuse'
}

/** A command of commands: `user add`, `user list`, … Answers with the exit status. */
export function choose(
  usage: string,
  commands: Readonly<Record<string, (args: string[], io: Io) => void | Promise<void>>>,
): Command {
  const table = new Map(Object.entries(commands))
  return single(usage, async ([name = '', ...args], io) => {
    const command = table.get(name)
    if (!command) throw new Misuse(name === '' ? 'what to do?' : `no such command: ${name}`)
    await command(args, io)
    return 0
  })
}

/** A command by itself. `work` answers with the exit status; what it throws is said and turned into one. */
export function single(usage: string, work: (args: string[], io: Io) => number | Promise<number>): Command {
  return async (args, io) => {
    if (args[0] === '--help' || args[0] === 'help') {
      io.out(usage)
      return 0
    }
    try {
      return await work([...args], io)
    } catch (error) {
      if (isMisuse(error)) {
        io.err(`stagedoor: ${error.message}\n${usage}`)
        return 2
      }
      if (!(error instanceof Fault)) throw error
      io.err(`stagedoor: ${error.message}`)
      return 1
    }
  }
}

function isMisuse(error: unknown): error is Error {
  return (
    error instanceof Misuse ||
    (error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS'))
  )
}

/** Options and exactly so many words. */
export function parse<const O extends Options>(args: string[], options: O, words: { min: number; max: number }) {
  const parsed = parseArgs({ args, options, allowPositionals: true, strict: true })
  const { length } = parsed.positionals
  if (length < words.min) throw new Misuse('something is missing')
  if (length > words.max) throw new Misuse(`one word too many: ${parsed.positionals[words.max]}`)
  return { values: parsed.values, words: parsed.positionals }
}

/** The accounts, for as long as `work` takes. A running gateway sees what changes within a second. */
export async function withAccounts<T>({ data, now }: Io, work: (accounts: Accounts) => T | Promise<T>): Promise<T> {
  const accounts = openAccounts({ dir: data, now, pollMs: 0, busyMs: 5000 })
  try {
    return await work(accounts)
  } finally {
    accounts.close()
  }
}

export function accountOf(accounts: Accounts, name: string): Account {
  const account = accounts.byName(name)
  if (!account) throw new Fault('bad-arguments', `no account ${JSON.stringify(name)}; there is: ${namesOf(accounts)}`)
  return account
}

function namesOf(accounts: Accounts): string {
  return (
    accounts
      .list()
      .map(({ name }) => name)
      .join(', ') || 'none yet'
  )
}

/** Refuses names that the configuration does not have: a role nobody defined would grant nothing. */
export function checkNames(
  io: Io,
  { roles = [], players = [] }: { roles?: readonly string[]; players?: readonly string[] },
): void {
  const { config, problems } = loadConfig(io.config, io.env)
  if (!config) throw new Fault('bad-arguments', problems.map(explain).join('\n'))
  check('role', roles, Object.keys(config.roles))
  check('player', players, [...config.players.keys()])
}

function check(what: string, names: readonly string[], known: readonly string[]): void {
  const wrong = names.find((name) => !known.includes(name))
  if (wrong !== undefined) {
    throw new Fault(
      'bad-arguments',
      `no ${what} ${JSON.stringify(wrong)} in the configuration: ${suggest(wrong, known)}`,
    )
  }
}

/** A table for people, or JSON for programs. */
export function print(io: Io, rows: readonly Readonly<Record<string, unknown>>[], json: boolean | undefined): void {
  if (json) {
    io.out(JSON.stringify(rows, null, 2))
    return
  }
  const [first] = rows
  if (!first) {
    io.err('none')
    return
  }
  const names = Object.keys(first)
  const lines = [
    names.map((name) => name.toUpperCase()),
    ...rows.map((row) => names.map((name) => show(name, row[name]))),
  ]
  const widths = names.map((_, i) => Math.max(...lines.map((line) => line[i]?.length ?? 0)))
  for (const line of lines)
    io.out(
      line
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    )
}

const times: ReadonlySet<string> = new Set(['created', 'used', 'expires', 'ends'])

function show(name: string, value: unknown): string {
  if (value === null || value === undefined) return '-'
  if (Array.isArray(value)) return value.join(',')
  if (typeof value === 'number' && times.has(name)) return new Date(value).toISOString().slice(0, 16).replace('T', ' ')
  return String(value)
}
