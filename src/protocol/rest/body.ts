import { Fault } from '../../call/fault.ts'
import { type Limits, parseMessage } from '../jsonrpc/message.ts'

/** A form as it was sent: text, to be read by the shapes of the row it is for. */
export class Form {
  readonly fields: ReadonlyMap<string, string>

  constructor(fields: ReadonlyMap<string, string>) {
    this.fields = fields
  }
}

export const bodyLimits: Limits = { bytes: 16 * 1024, depth: 4 }

/** A form is ASCII; whatever else comes is refused as it is read. */
const latin1 = new TextDecoder('latin1')

/** The kinds of body that are read, by their media type. */
const kinds = new Map<string, 'json' | 'form'>([
  ['application/json', 'json'],
  ['application/x-www-form-urlencoded', 'form'],
])

/** What kind of body a Content-Type names; undefined for one that is not read. */
export function bodyKind(contentType: string | undefined): 'json' | 'form' | undefined {
  const [, type = ''] = /^([\w.+/-]+)(?:; ?charset="?utf-8"?)?$/i.exec(contentType ?? '') ?? []
  return kinds.get(type.toLowerCase())
}

/**
 * The body of a request: a JSON value, a form, the text itself for a row that takes one, or undefined for none.
 *
 * @throws Fault `unparsable`, `malformed` or `too-large`
 */
export function parseBody(kind: 'json' | 'form' | 'text', bytes: Uint8Array, limits = bodyLimits): unknown {
  if (bytes.length === 0) return undefined
  if (kind === 'json') return parseMessage(bytes, limits)
  if (bytes.length > limits.bytes) throw new Fault('too-large', `more than ${limits.bytes} bytes`)
  if (kind === 'text') return parseText(bytes)
  return new Form(parseForm(latin1.decode(bytes)))
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function parseText(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch {
    throw new Fault('unparsable', 'not UTF-8')
  }
}

/**
 * The fields of a form or a query. `+` is a blank.
 *
 * @throws Fault `malformed` for a field that stands twice and for what is not percent-encoded UTF-8
 */
export function parseForm(text: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>()
  if (text === '') return fields
  for (const pair of text.split('&')) {
    const [, name = '', value = ''] = /^([^=]*)=(.*)$/s.exec(pair) ?? []
    const key = decodeField(name)
    if (key === '') throw new Fault('malformed', 'a field has a name and a value')
    if (fields.has(key)) throw new Fault('malformed', 'a field stands twice')
    fields.set(key, decodeField(value))
  }
  return fields
}

function decodeField(text: string): string {
  if (!/^[\x21-\x7e]*$/.test(text)) throw new Fault('malformed', 'a field is percent-encoded')
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    throw new Fault('malformed', 'a field is not percent-encoded UTF-8')
  }
}

/** A form of our own writing: each field once, in the order given. */
export function writeForm(fields: Readonly<Record<string, unknown>>): string {
  return Object.entries(fields)
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(String(value))}`)
    .join('&')
}
