import { Fault } from '../../call/fault.ts'

export interface Limits {
  readonly bytes: number
  readonly depth: number
}

export const messageLimits: Limits = { bytes: 256 * 1024, depth: 32 }

/** `ignoreBOM` keeps a byte order mark in the text, where JSON refuses it. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * JSON as all parsers read it alike: what two of them could take for two things is refused.
 *
 * @throws Fault `unparsable` for what is not UTF-8 or not JSON, `too-large`, `malformed` for duplicate keys, `__proto__`,
 * lone surrogates, numbers that JSON.parse would change, and nesting beyond the limit
 */
export function parseMessage(bytes: Uint8Array | string, limits = messageLimits): unknown {
  if (bytes.length > limits.bytes) throw new Fault('too-large', `more than ${limits.bytes} bytes`)
  const text = typeof bytes === 'string' ? bytes : decodeUtf8(bytes)
  const { depth, members } = scan(text)
  if (depth > limits.depth) throw new Fault('malformed', `nested deeper than ${limits.depth}`)
  const value = parseJson(text)
  if (countMembers(value) !== members) throw new Fault('malformed', 'a key stands twice in one object')
  return value
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch {
    throw new Fault('unparsable', 'not UTF-8')
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new Fault('unparsable', 'not JSON')
  }
}

const [quote, backslash, colon, openBracket, closeBracket, openBrace, closeBrace] = [34, 92, 58, 91, 93, 123, 125]

/** How deep the text nests and how many members it writes down: each colon outside a string is one. */
function scan(text: string): { depth: number; members: number } {
  let [depth, deepest, members] = [0, 0, 0]
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i)
    if (char === quote) {
      for (i++; i < text.length && text.charCodeAt(i) !== quote; i++) if (text.charCodeAt(i) === backslash) i++
    } else if (char === colon) members++
    else if (char === openBracket || char === openBrace) deepest = Math.max(deepest, ++depth)
    else if (char === closeBracket || char === closeBrace) depth--
  }
  return { depth: deepest, members }
}

/** How many members arrived; fewer than were written when a key came twice. */
function countMembers(value: unknown): number {
  if (typeof value === 'string') checkText(value)
  if (typeof value === 'number') checkNumber(value)
  if (typeof value !== 'object' || value === null) return 0
  if (Array.isArray(value)) return value.reduce((sum: number, item) => sum + countMembers(item), 0)
  let members = 0
  for (const [key, member] of Object.entries(value)) {
    if (key === '__proto__') throw new Fault('malformed', 'a key may not be __proto__')
    checkText(key)
    members += 1 + countMembers(member)
  }
  return members
}

function checkText(text: string): void {
  if (!text.isWellFormed()) throw new Fault('malformed', 'a string holds half a surrogate pair')
}

/** RFC 8259 §6: beyond these, implementations do not agree on the value. */
function checkNumber(number: number): void {
  const changed = !Number.isFinite(number) || (Number.isInteger(number) && !Number.isSafeInteger(number))
  if (changed || Object.is(number, -0)) throw new Fault('malformed', 'a number is out of range')
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
