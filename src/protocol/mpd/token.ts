import { Fault } from '../../call/fault.ts'

/** Bytes of a line without its line feed: what MPD itself takes. */
export const longestLine = 8191
const longestArgument = 4096
const mostArguments = 64

const TAB = 0x09
const blank = 0x20
const quotation = 0x22
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const encoder = new TextEncoder()

const commandWord = /^[a-z][a-z0-9_]*(?=[ \t]|$)/
const quotedArgument = /"((?:[^"\\]|\\.)*)"/uy
const bareArgument = /[^"'\s]+/uy
const escaped = /\\(.)/gu

/** Bytes of a text in UTF-8. */
export function byteLength(text: string): number {
  return encoder.encode(text).byteLength
}

/** Whether a text is longer than so many bytes of UTF-8, of which a code unit takes one to three. */
export function isLonger(text: string, bytes: number): boolean {
  return text.length > bytes || (text.length * 3 > bytes && byteLength(text) > bytes)
}

/**
 * One line without its line feed to words: a stricter grammar than any player's, so that what they disagree on
 * (NUL and other controls, Unicode white space, single quotes) never comes up.
 *
 * @throws Fault `unparsable` for what no client of this protocol sends, `malformed` for wrong quoting
 */
export function tokenize(bytes: Uint8Array): readonly [string, ...string[]] {
  const line = read(bytes)
  const command = commandWord.exec(line)?.[0]
  if (command === undefined) throw new Fault('unparsable', 'Invalid word character')

  const words: [string, ...string[]] = [command]
  for (let at = command.length; ; ) {
    while (isBlank(line, at)) at++
    if (at === line.length) return words
    const end = endOf(line, at)
    words.push(wordOf(line, at, end))
    check(words)
    at = end
  }
}

/** Where the argument ends that begins there, its quotes included. */
function endOf(line: string, at: number): number {
  const isQuoted = line.charCodeAt(at) === quotation
  const argument = isQuoted ? quotedArgument : bareArgument
  argument.lastIndex = at
  if (!argument.test(line)) throw stray(line, at)
  const end = argument.lastIndex
  if (end < line.length && !isBlank(line, end)) throw stray(line, end, isQuoted)
  return end
}

function wordOf(line: string, at: number, end: number): string {
  if (line.charCodeAt(at) !== quotation) return line.slice(at, end)
  const inside = line.slice(at + 1, end - 1)
  // A tab separates and is no part of an argument
  if (inside.includes('\t')) throw new Fault('unparsable', 'control character in the line')
  return inside.includes('\\') ? inside.replace(escaped, '$1') : inside
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
  if (isLonger(words.at(-1) ?? '', longestArgument)) throw new Fault('bad-arguments', 'Argument too long')
}

function isBlank(line: string, at: number): boolean {
  const code = line.charCodeAt(at)
  return code === blank || code === TAB
}

function read(bytes: Uint8Array): string {
  let line: string
  try {
    line = utf8.decode(bytes)
  } catch (error) {
    throw new Fault('unparsable', 'invalid UTF-8', { cause: error })
  }
  if (controls.test(line)) throw new Fault('unparsable', 'control character in the line')
  return line
}

/** Control characters but the tab, and the line breaks of Unicode. */
const controls = /(?!\t)[\p{Cc}\p{Zl}\p{Zp}]/u

/** Control characters and the line breaks of Unicode. */
export function hasControls(text: string): boolean {
  return controls.test(text) || text.includes('\t')
}
