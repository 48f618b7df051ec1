import type { TSchema } from 'typebox'
import { oneOf, suggest } from './explain.ts'

/** A finding about the value at `path`, or about its key. */
export interface Finding {
  readonly path: string
  readonly at: 'key' | 'value'
  readonly what: string
  readonly fix: string
}

/** The part of JSON Schema that the configuration's schema uses. */
interface Schema {
  readonly type?: string
  readonly description?: string
  readonly title?: string
  readonly anyOf?: readonly Schema[]
  readonly const?: unknown
  readonly enum?: readonly string[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly patternProperties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: boolean | Schema
  readonly propertyNames?: Schema
  readonly minProperties?: number
  readonly items?: Schema
  readonly minItems?: number
  readonly maxItems?: number
  readonly pattern?: string
  readonly minLength?: number
  readonly maxLength?: number
  readonly minimum?: number
  readonly maximum?: number
}

/**
 * Everything in which a value differs from a schema, said to people.
 *
 * Validators stop early and report each branch of a union; people want every problem once, and a way out.
 */
export function validate(schema: TSchema, value: unknown): readonly Finding[] {
  return walk(schema as Schema, value, '')
    .take(mostFindings)
    .toArray()
}

/** Nobody mends more at a time, and to look for the words that were meant takes its time: a gateway that runs has none. */
const mostFindings = 1_000

function* walk(schema: Schema, value: unknown, path: string): Generator<Finding> {
  const at = 'value'
  if (schema.anyOf) {
    const branch = choose(schema.anyOf, value)
    const tag = isObject(value) ? tagOf(schema.anyOf) : undefined
    const tags = schema.anyOf.map(({ properties }) => properties?.[tag ?? '']?.const)
    if (tag && isObject(value) && !tags.includes(value[tag])) {
      const inside = `${path}.${tag}`
      yield { path: inside, at, what: `not ${oneOf(tags.map(String))}`, fix: `say which it is: \`${tag}: ${tags[0]}\`` }
    } else if (branch) yield* walk(branch, value, path)
    else yield { path, at, what: `not ${oneOf(schema.anyOf.map(expected))}`, fix: hint(schema) }
  } else if (schema.enum) {
    if (schema.enum.some((allowed) => allowed === value)) return
    const known = schema.enum.filter((name) => !name.includes('*'))
    yield typeof value === 'string'
      ? { path, at, what: `unknown: ${quote(value)}`, fix: suggest(value, known) }
      : { path, at, what: `not ${expected(schema)}`, fix: hint(schema) }
  } else if (!isOfType(schema, value)) {
    yield { path, at, what: `not ${expected(schema)}`, fix: hint(schema) }
  } else if (Array.isArray(value)) {
    if (value.length < (schema.minItems ?? 0)) yield { path, at, what: 'an empty list', fix: hint(schema) }
    if (value.length > (schema.maxItems ?? Infinity)) {
      yield { path, at, what: `more than ${schema.maxItems}`, fix: hint(schema) }
    }
    for (const [i, item] of value.entries()) yield* walk(schema.items ?? {}, item, `${path}[${i}]`)
  } else if (isObject(value)) {
    yield* walkObject(schema, value, path)
  } else if (!fits(schema, value)) {
    yield { path, at, what: `not ${expected(schema)}`, fix: hint(schema) }
  }
}

function* walkObject(schema: Schema, value: Readonly<Record<string, unknown>>, path: string): Generator<Finding> {
  const { properties = {}, patternProperties = {}, additionalProperties, propertyNames } = schema
  const patterns = Object.entries(patternProperties)
  const keys = Object.keys(value)
  if (keys.length < (schema.minProperties ?? 0)) yield { path, at: 'value', what: 'nothing in it', fix: hint(schema) }
  for (const key of schema.required ?? []) {
    const what = `"${key}" is missing`
    if (!keys.includes(key)) yield { path, at: 'key', what, fix: `add it: ${hint(properties[key] ?? {})}` }
  }
  for (const key of keys) {
    const inside = path === '' ? key : `${path}.${key}`
    const known = Object.hasOwn(properties, key) ? properties[key] : undefined
    const matched = known ?? patterns.find(([pattern]) => new RegExp(pattern, 'u').test(key))?.[1]
    if (matched) {
      yield* walk(matched, value[key], inside)
    } else if (typeof additionalProperties === 'object') {
      for (const { what, fix } of walk(propertyNames ?? {}, key, inside)) yield { path: inside, at: 'key', what, fix }
      yield* walk(additionalProperties, value[key], inside)
    } else if (patterns.length > 0) {
      const fix = 'use small letters, digits and dashes, a letter first'
      yield { path: inside, at: 'key', what: `not a name: ${quote(key)}`, fix }
    } else {
      yield { path: inside, at: 'key', what: `unknown key ${quote(key)}`, fix: suggest(key, Object.keys(properties)) }
    }
  }
}

/** The member that tells the branches of a union apart, such as `kind`. */
function tagOf(branches: readonly Schema[]): string | undefined {
  const [first = {}, ...others] = branches
  return Object.keys(first.properties ?? {}).find((key) =>
    [first, ...others].every(({ properties }) => properties?.[key]?.const !== undefined),
  )
}

/** The branch of a union somebody had in mind: by type, then by likeness. */
function choose(branches: readonly Schema[], value: unknown): Schema | undefined {
  const [only, ...others] = branches.filter((branch) => isOfType(branch, value))
  if (others.length === 0 || !only || !isObject(value)) return only
  const sorted = [only, ...others]
    .map((branch) => ({ branch, likeness: likeness(branch, value) }))
    .sort((a, b) => b.likeness - a.likeness)
  return sorted[0]?.branch
}

function likeness({ properties = {} }: Schema, value: Readonly<Record<string, unknown>>): number {
  return Object.entries(properties).reduce((sum, [key, schema]) => {
    if (!Object.hasOwn(value, key)) return sum
    return sum + (schema.const === undefined ? 1 : schema.const === value[key] ? 100 : 0)
  }, 0)
}

function isOfType({ type, const: constant, enum: words }: Schema, value: unknown): boolean {
  if (words) return typeof value === 'string'
  if (constant !== undefined && type !== 'string') return value === constant
  switch (type) {
    case undefined:
      return true
    case 'object':
      return isObject(value)
    case 'array':
      return Array.isArray(value)
    case 'integer':
      return Number.isSafeInteger(value)
    default:
      return typeof value === type
  }
}

function fits(schema: Schema, value: unknown): boolean {
  if (schema.const !== undefined) return value === schema.const
  if (typeof value === 'number') return value >= (schema.minimum ?? -Infinity) && value <= (schema.maximum ?? Infinity)
  if (typeof value !== 'string') return true
  if (value.length < (schema.minLength ?? 0) || value.length > (schema.maxLength ?? Infinity)) return false
  return schema.pattern === undefined || new RegExp(schema.pattern, 'u').test(value)
}

const kinds: Readonly<Record<string, string>> = {
  object: 'a group of keys',
  array: 'a list',
  string: 'acceptable text',
  integer: 'a whole number',
  boolean: 'true or false',
}

function expected(schema: Schema): string {
  if (schema.const !== undefined) return String(schema.const)
  if (schema.enum) return 'one of the known words'
  if (schema.type === 'string' && schema.title !== undefined) return schema.title
  const { minimum, maximum } = schema
  const range = minimum === undefined || maximum === undefined ? '' : ` from ${minimum} to ${maximum}`
  return `${kinds[schema.type ?? ''] ?? 'what belongs here'}${range}`
}

function hint(schema: Schema): string {
  return schema.description ?? `it takes ${schema.anyOf ? oneOf(schema.anyOf.map(expected)) : expected(schema)}`
}

/** Somebody's word, short and on one line. */
function quote(word: string): string {
  return JSON.stringify(word.slice(0, 60))
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
