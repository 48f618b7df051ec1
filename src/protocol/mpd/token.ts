import { Fault } from '../../call/fault.ts'

/** Bytes of a line without its line feed: what MPD itself takes. */
export const longestLine = 8191
const longestArgument = 4096
const mostArguments = 64

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const encoder = new TextEncoder()

/** Bytes of a text in UTF-8. */
export function byteLength(text: string): number {
  return encoder.encode(text).byteLength
}

/**
 * One line without its line feed to words: a stricter grammar than any player's, so that what they disagree on
 * (NUL and other controls, Unicode white space, single quotes) never comes up.
 *
 * @throws Fault `unparsable` for what no client of this protocol sends, `malformed` for wrong quoting
 */
export function tokenize(bytes: Uint8Array): readonly [string, ...string[]] {
  const line = read(bytes)
  const command = /^[a-z][a-z0-9_]*(?=[ \t]|$)/.exec(line)?.[0]
  if (command === undefined) throw new Fault('unparsable', 'Invalid word character')

  const words: [string, ...string[]] = [command]
  const blank = /[ \t]*/y
  const argument = /"((?:[^"\\]|\\.)*)"|([^"'\s]+)/uy
  let at = command.length
  for (;;) {
    blank.lastIndex = at
    at += blank.exec(line)?.[0].length ?? 0
    if (at === line.length) return words
    argument.lastIndex = at
    const found = argument.exec(line)
    if (!found) throw stray(line, at)
    at = argument.lastIndex
    if (at < line.length && line[at] !== ' ' && line[at] !== '\t') throw stray(line, at, found[1] !== undefined)
    // A tab separates and is no part of an argument
    if (found[1]?.includes('\t')) throw new Fault('unparsable', 'control character in the line')
    words.push(found[1]?.replace(/\\(.)/gu, '$1') ?? found[2] ?? '')
    check(words)
  }
}

/** What to say of a character that ends no argument and begins none. */
function stray(line: string, at: number, quoted = false): Fault {
  // Blanks that only some players know separate nothing here
  if (/^\s/u.test(line.slice(at))) return new Fault('unparsable', 'foreign white space between arguments')
  if (quoted) return new Fault('malformed', "Space expected after closing '\"'")
  return new Fault('malformed', line[at] === '"' ? "Missing closing '\"'" : 'Invalid unquoted character')
}

function check(words: readonly string[]): void {
  if (words.length > mostArguments + 1) throw new Fault('bad-arguments', 'Too many arguments')
  if (byteLength(words.at(-1) ?? '') > longestArgument) throw new Fault('bad-arguments', 'Argument too long')
}

function read(bytes: Uint8Array): string {
  let line: string
  try {
    line = utf8.decode(bytes)
  } catch (error) {
    throw new Fault('unparsable', 'invalid UTF-8', { cause: error })
  }
  if (hasControls(line.replaceAll('\t', ' '))) throw new Fault('unparsable', 'control character in the line')
  return line
}

/** Control characters and the line breaks of Unicode. */
export function hasControls(text: string): boolean {
  return /[\p{Cc}\p{Zl}\p{Zp}]/u.test(text)
}

/** The one after the other, as a copy. */
export function join(first: Uint8Array, second: Uint8Array): Uint8Array {
  const joined = new Uint8Array(first.length + second.length)
  joined.set(first)
  joined.set(second, first.length)
  return joined
}
