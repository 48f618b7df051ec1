import fc, { type Arbitrary } from 'fast-check'
import type { Catalog } from '../../../src/call/catalog.ts'
import { mpd } from '../../../src/protocol/mpd/catalog.ts'
import type { MpdOperation, MpdRequest } from '../../../src/protocol/mpd/decode.ts'
import { type Filter, printFilter } from '../../../src/protocol/mpd/filter.ts'
import * as p from '../../../src/protocol/mpd/param.ts'

const table: Catalog<p.TextParams> = mpd
export const rows: readonly MpdOperation[] = Object.values(table)

/** Text that may stand in an argument: anything but control characters and halves of characters. */
export const text = (maxLength = 60): Arbitrary<string> =>
  fc.string({ unit: 'binary', maxLength }).filter((value) => !/[\p{Cc}\p{Zl}\p{Zp}]/u.test(value))

const name = fc.stringMatching(/^[A-Za-z][A-Za-z_-]{0,12}$/)
const tagName = name.filter((value) => !['sort', 'group', 'window', 'position'].includes(value))
const number = fc.stringMatching(/^(\d{1,7}(\.\d{0,20})?|\.\d{1,20})$/)
const bounds = fc.tuple(fc.nat(9999), fc.integer({ min: 1, max: 9999 }))
const range = fc.oneof(
  fc.nat().map(String),
  fc.nat().map((from) => `${from}:`),
  bounds.map(([from, size]) => `${from}:${from + size}`),
)

const operators = [
  ...['==', '!=', '=~', '!~', 'eq_cs', '!eq_cs', 'eq_ci', '!eq_ci'],
  ...['contains', '!contains', 'contains_cs', '!contains_cs', 'contains_ci', '!contains_ci'],
  ...['starts_with', '!starts_with', 'starts_with_cs', '!starts_with_cs', 'starts_with_ci', '!starts_with_ci'],
]
const { filter: tree, nested } = fc.letrec<{ filter: Filter; nested: Filter }>((tie) => ({
  nested: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.record({ tag: fc.constantFrom('base', 'modified-since', 'added-since'), value: text(12) }),
    fc.record({ tag: tagName.filter(unlikeBase), operator: fc.constantFrom(...operators), value: text(12) }),
    fc.record({ tag: fc.constant('prio'), operator: fc.constant('>='), value: fc.nat(255).map(String) }),
    fc.record({ not: tie('nested') }),
    fc.record({ and: fc.array(tie('nested'), { minLength: 2, maxLength: 3 }) }),
  ),
  filter: fc.oneof(tie('nested'), fc.record({ tag: tagName, value: text(12) })),
}))
function unlikeBase(tag: string): boolean {
  return !['base', 'modified-since', 'added-since'].includes(tag.toLowerCase())
}

const byParam = new Map<unknown, Arbitrary<unknown>>(
  (
    [
      [p.position, fc.stringMatching(/^[+-]?\d{1,9}$/)],
      [p.seconds, number],
      [p.time, fc.tuple(fc.constantFrom('', '+', '-'), number).map((parts) => parts.join(''))],
      [p.decibels, fc.tuple(fc.constantFrom('', '-'), number).map((parts) => parts.join(''))],
      [
        p.delay,
        fc.oneof(
          fc.constant('nan'),
          number,
          number.map((text) => `-${text}`),
        ),
      ],
      [p.excerpt, fc.tuple(fc.option(number), fc.option(number)).map(([a, b]) => `${a ?? ''}:${b ?? ''}`)],
      [p.feature, fc.stringMatching(/^[a-z][a-z0-9_-]{0,20}$/)],
      [p.channel, fc.stringMatching(/^[A-Za-z0-9_.:-]{1,64}$/)],
      [p.tag, tagName],
      [p.order, fc.tuple(fc.constantFrom('', '-'), name).map((parts) => parts.join(''))],
      [
        p.stickered,
        fc.oneof(
          fc.record({ type: name.filter((value) => value.toLowerCase() !== 'filter'), uri: text() }),
          fc.record({ type: fc.constant('filter'), uri: fc.oneof(fc.constant(''), nested.map(printFilter)) }),
        ),
      ],
      [p.word, text()],
      [p.uri, text()],
      [p.range, range],
      [p.playlist, text().filter((value) => /^(?!\.{1,2}$)[^/\\]{1,255}$/.test(value))],
      [
        p.compared,
        fc.record({
          operator: fc.constantFrom('=', '<', '>', 'eq', 'lt', 'gt', 'contains', 'starts_with'),
          value: text(),
        }),
      ],
      [p.match, fc.array(tree, { minLength: 1, maxLength: 4 })],
    ] as const
  ).map(([param, arbitrary]) => [param.schema, arbitrary]),
)

/** Values of one parameter: from its own schema where that says everything. */
function valuesOf(param: p.TextParam): Arbitrary<unknown> {
  const own = byParam.get(param.schema)
  if (own) return own
  const schema = param.schema as {
    type?: string
    minimum?: number
    maximum?: number
    enum?: unknown[]
    const?: unknown
  }
  if (schema.enum) return fc.constantFrom(...schema.enum)
  if (schema.const !== undefined) return fc.constant(schema.const)
  if (schema.type === 'boolean') return fc.boolean()
  if (schema.type === 'integer') return fc.integer({ min: schema.minimum ?? 0, max: schema.maximum ?? 0 })
  throw new Error(`no values for ${JSON.stringify(schema)}`)
}

/** Requests of one row. Optional arguments are left out from the right, as on the wire. */
export function requestsOf(operation: MpdOperation): Arbitrary<MpdRequest> {
  const shape = Object.entries(operation.params).map(([key, param]) => {
    const one = valuesOf(param)
    if (param.count === 'many') return [key, fc.array(one, { maxLength: 4 })] as const
    return [key, param.count === 'optional' && isKeyword(param) ? fc.option(one, { nil: undefined }) : one] as const
  })
  const plain = Object.entries(operation.params).filter(([, param]) => param.count === 'optional' && !isKeyword(param))
  return fc.tuple(fc.record(Object.fromEntries(shape)), fc.nat(plain.length)).map(([args, kept]) => {
    const dropped = new Set(plain.slice(kept).map(([key]) => key))
    const given = Object.entries(args).filter(([key, value]) => value !== undefined && !dropped.has(key))
    return { operation, args: Object.fromEntries(given) }
  })
}

/** Whether a parameter knows its own words, so that it may be left out before others. */
function isKeyword(param: p.TextParam): boolean {
  if (param.schema === p.match.schema) return true
  return ['-', 'window'].some((other) => {
    try {
      return param.read([other], 0) === undefined
    } catch {
      return false
    }
  })
}
