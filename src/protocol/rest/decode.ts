import type { TSchema } from 'typebox'
import Type from 'typebox'
import type { Request } from '../../call/call.ts'
import type { Catalog, Operation } from '../../call/catalog.ts'
import { Fault } from '../../call/fault.ts'
import { checked, show } from '../jsonrpc/decode.ts'
import { isObject } from '../jsonrpc/message.ts'
import { Form, parseForm } from './body.ts'
import { findRow, pathOf, pathParams, queryOf } from './route.ts'

/** A request below a player's own path, as the wire had it. */
export interface RestRequest {
  readonly method: string
  /** The target as it stands in the request line, below the player's prefix: never decoded, query and all. */
  readonly path: string
  /** What `parseBody` made of the body: a JSON value, a form, undefined for none; a text where a row takes that. */
  readonly body?: unknown
}

/**
 * A request of REST as its row understands it. The parameters of a GET stand in its query, all others in the body.
 *
 * A row that is refused to everybody needs no arguments: whatever came with it, the gate is to hear of it.
 *
 * @throws Fault `unknown-operation`, `malformed` or `bad-arguments`
 */
export function decodeRest(catalog: Catalog, { method, path, body }: RestRequest): Request {
  const route = findRow(catalog, method, path)
  if (!route) throw new Fault('unknown-operation', `no such path: ${show(`${method} ${pathOf(path)}`)}`)
  const { operation, segments } = route
  if (operation.refused !== undefined) return { operation, args: {} }
  const fields = method === 'GET' ? queryFields(operation, path, body) : bodyFields(operation, path, body)
  const inPath = pathParams(operation).find((name) => Object.hasOwn(fields, name))
  if (inPath !== undefined) throw new Fault('bad-arguments', `${operation.name}: ${inPath} stands in the path`)
  const args = checked(operation, { ...fields, ...segments }, 'invalid')
  const wrong = operation.together?.(args)
  if (wrong !== undefined) throw new Fault('bad-arguments', `${operation.name}: ${wrong}`)
  return { operation, args }
}

function queryFields(operation: Operation, path: string, body: unknown): Readonly<Record<string, unknown>> {
  if (body !== undefined) throw new Fault('bad-arguments', `${operation.name} takes no body`)
  return readFields(operation, parseForm(queryOf(path) ?? ''))
}

/** A query beside a body would be a second opinion: some players take it for the first. */
function bodyFields(operation: Operation, path: string, body: unknown): Readonly<Record<string, unknown>> {
  if (queryOf(path) !== undefined) throw new Fault('bad-arguments', `${operation.name} takes no query`)
  if (body === undefined) return {}
  if (operation.body === 'text') {
    const [name = ''] = Object.keys(operation.params)
    return { [name]: body }
  }
  if (body instanceof Form) {
    if (operation.body !== 'form') throw new Fault('malformed', `${operation.name} takes JSON`)
    return readFields(operation, body.fields)
  }
  if (!isObject(body)) throw new Fault('malformed', 'a body is an object')
  return body
}

/** Text to values, by the shapes of the row; what is no plain number or truth value stays text, and fits nowhere. */
function readFields({ params }: Operation, fields: ReadonlyMap<string, string>): Readonly<Record<string, unknown>> {
  const read: Record<string, unknown> = Object.create(null)
  for (const [name, text] of fields) {
    const row = Object.hasOwn(params, name) ? params[name] : undefined
    read[name] = row ? readField(row.schema, text) : text
  }
  return read
}

function readField(schema: TSchema, text: string): unknown {
  if (Type.IsInteger(schema)) return /^(?:0|-?[1-9]\d{0,15})$/.test(text) ? Number(text) : text
  if (Type.IsBoolean(schema)) return text === 'true' ? true : text === 'false' ? false : text
  return text
}
