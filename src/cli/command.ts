import { parseArgs } from 'node:util'
import { Fault } from '../call/fault.ts'

/** What a command sees of the world: everything it may touch comes in here, so tests need no process. */
export interface Io {
  /** One line to standard output. */
  out(text: string): void
  /** One line to standard error. */
  err(text: string): void
  /** All of standard input. */
  stdin(): Promise<string>
  /** The state's directory. */
  readonly data: string
  /** The configuration file. */
  readonly config: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** Unix ms. */
  now(): number
}

/** A command: 0 done, 1 refused or failed, 2 wrong usage. */
export type Command = (args: readonly string[], io: Io) => Promise<number>

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
