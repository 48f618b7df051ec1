import Type, { type TProperties, type TSchema } from 'typebox'
import type { Catalog, Operation } from '../../call/catalog.ts'
import { Fault } from '../../call/fault.ts'
import { isObject } from '../jsonrpc/message.ts'
import { clean } from './text.ts'

/** Names of things, as they come: shown as one line and never longer than this. */
export const text = Type.String({ maxLength: 2048 })
export const flag = Type.Boolean()
export const number = Type.Number({ minimum: -Number.MAX_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER })
export const nullable = <S extends TSchema>(schema: S) => Type.Union([schema, Type.Null()])

const encoder = new TextEncoder()
/** What a device is called: 1 to 63 bytes, since that is one label of a host name on the network. */
export const Name = Type.Refine(
  Type.String({ pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]+$', maxLength: 63 }),
  (name) => name.isWellFormed() && encoder.encode(name).length <= 63,
)

/** What answers may hold, by the row they answer. A row that is not here answers nothing. */
export type Answers = ReadonlyMap<Operation, TSchema>

/** A table of answers, written beside the rows; a name that is no row's does not compile. */
export function answering<const C extends Catalog>(rows: C, shapes: { readonly [K in keyof C]?: TSchema }): Answers {
  const table = new Map<Operation, TSchema>()
  for (const [name, shape] of Object.entries<TSchema | undefined>(shapes)) {
    const row = rows[name]
    if (row && shape) table.set(row, shape)
  }
  return table
}

/**
 * A value built anew from what a shape names: members it does not name are left behind, text is cleaned and cut.
 *
 * @throws Fault `player-unreachable` for a value of another shape
 */
export function rebuild(shape: TSchema, value: unknown): unknown {
  const built = build(shape, value)
  if (built === misfit) throw new Fault('player-unreachable', 'the player gave an answer that cannot be understood')
  return built
}

/**
 * What may be told of an answer to a call of a row; undefined for nothing, as most rows have none to give.
 *
 * @returns a function of the row and the body: parsed, a text from who answers in words, or undefined for none; it throws
 * as `rebuild` does
 */
export function rebuilding(...tables: readonly Answers[]): (operation: Operation, value: unknown) => unknown {
  return (operation, value) => {
    const shape = tables.map((table) => table.get(operation)).find((found) => found !== undefined)
    return shape === undefined || value === undefined || value === null ? undefined : rebuild(shape, value)
  }
}

/** As `rebuild`, with undefined for a value of another shape. */
export function rebuilt(shape: TSchema, value: unknown): unknown {
  const built = build(shape, value)
  return built === misfit ? undefined : built
}

const misfit = Symbol('misfit')

function build(shape: TSchema, value: unknown): unknown {
  if (Type.IsString(shape)) return typeof value === 'string' ? clean(value, bound(shape, 'maxLength') ?? 2048) : misfit
  if (Type.IsBoolean(shape)) return typeof value === 'boolean' ? value : misfit
  if (Type.IsNumber(shape)) return typeof value === 'number' && isWithin(shape, value) ? value : misfit
  if (Type.IsNull(shape)) return value === null ? null : misfit
  if (Type.IsLiteral(shape)) return value === shape.const ? value : misfit
  if (Type.IsUnion(shape)) return buildUnion(shape.anyOf, value)
  if (Type.IsArray(shape)) return Array.isArray(value) ? buildArray(shape, value) : misfit
  if (Type.IsRecord(shape)) return isObject(value) ? buildRecord(shape.patternProperties, value) : misfit
  if (Type.IsObject(shape)) return isObject(value) ? buildObject(shape.properties, shape.required ?? [], value) : misfit
  return misfit
}

function bound(shape: TSchema, name: 'maxLength' | 'maxItems' | 'minimum' | 'maximum'): number | undefined {
  const found: unknown = Reflect.get(shape, name)
  return typeof found === 'number' ? found : undefined
}

function isWithin(shape: TSchema, value: number): boolean {
  return (
    value >= (bound(shape, 'minimum') ?? -Number.MAX_VALUE) && value <= (bound(shape, 'maximum') ?? Number.MAX_VALUE)
  )
}

function buildUnion(shapes: readonly TSchema[], value: unknown): unknown {
  for (const shape of shapes) {
    const built = build(shape, value)
    if (built !== misfit) return built
  }
  return misfit
}

function buildArray(shape: Type.TArray, value: readonly unknown[]): unknown {
  const built = value.slice(0, bound(shape, 'maxItems') ?? 1000).map((item) => build(shape.items, item))
  return built.includes(misfit) ? misfit : built
}

/** Members by a pattern of their names; those of other names are left behind. */
function buildRecord(patterns: TProperties, value: Record<string, unknown>): unknown {
  const built: Record<string, unknown> = {}
  for (const [pattern, shape] of Object.entries(patterns)) {
    const named = new RegExp(pattern)
    for (const [name, item] of Object.entries(value).slice(0, 10_000)) {
      if (!named.test(name)) continue
      const member = build(shape, item)
      if (member === misfit) return misfit
      built[name] = member
    }
  }
  return built
}

function buildObject(properties: TProperties, required: readonly string[], value: Record<string, unknown>): unknown {
  const built: Record<string, unknown> = {}
  for (const [name, shape] of Object.entries(properties)) {
    if (!Object.hasOwn(value, name)) {
      if (required.includes(name)) return misfit
      continue
    }
    const member = build(shape, value[name])
    if (member === misfit) return misfit
    built[name] = member
  }
  return built
}
