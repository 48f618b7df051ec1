import fc from 'fast-check'
import Type from 'typebox'
import { describe, expect, test } from 'vitest'
import { catalog, op } from '../../../src/call/catalog.ts'
import { Fault } from '../../../src/call/fault.ts'
import { optional, param } from '../../../src/call/param.ts'
import { decode, idOf } from '../../../src/protocol/jsonrpc/decode.ts'
import { rpcError } from '../../../src/protocol/jsonrpc/error.ts'

const number = param(Type.Integer({ minimum: 0, maximum: 100 }))
const table = catalog('mopidy', {
  'core.get': op('status.read'),
  'core.set': op('volume.set', { volume: number }),
  'core.put': op('queue.add', { what: optional(param(Type.String())), at: optional(number) }),
})

const decoded = (message: unknown) => {
  const { operation, args } = decode(table, message)
  return [operation.name, { ...args }]
}
const codeOf = (message: unknown) => {
  try {
    decode(table, message)
  } catch (error) {
    return error instanceof Fault ? error.code : `not a fault: ${error}`
  }
  return 'fine'
}
const ask = (more: Record<string, unknown>) => ({ jsonrpc: '2.0', id: 1, ...more })

describe('params become arguments by name', () => {
  test('by position and by name alike', () => {
    expect(decoded(ask({ method: 'core.set', params: [7] }))).toEqual(['core.set', { volume: 7 }])
    expect(decoded(ask({ method: 'core.set', params: { volume: 7 } }))).toEqual(['core.set', { volume: 7 }])
  })
  test('left out, an empty list and an empty object are the same', () => {
    for (const more of [{}, { params: [] }, { params: {} }]) {
      expect(decoded(ask({ method: 'core.get', ...more }))).toEqual(['core.get', {}])
    }
  })
  test('null stands for an optional one that was left out', () => {
    expect(decoded(ask({ method: 'core.put', params: [null, 3] }))).toEqual(['core.put', { at: 3 }])
  })
})

const refused: readonly (readonly [string, unknown, string])[] = [
  ['null', null, 'malformed'],
  ['a number', 1, 'malformed'],
  ['J3: an array in a batch', [], 'malformed'],
  ['no version', { id: 1, method: 'core.get' }, 'malformed'],
  ['another version', { jsonrpc: '1.0', id: 1, method: 'core.get' }, 'malformed'],
  ['a version that is a number', { jsonrpc: 2, id: 1, method: 'core.get' }, 'malformed'],
  ['no method', ask({}), 'malformed'],
  ['a method that is a list', ask({ method: ['core.get'] }), 'malformed'],
  ['a stranger among the members', ask({ method: 'core.get', extra: 1 }), 'malformed'],
  ['J2: constructor among the members', ask({ method: 'core.get', constructor: 1 }), 'malformed'],
  ['params null', ask({ method: 'core.get', params: null }), 'malformed'],
  ['params a string', ask({ method: 'core.get', params: 'x' }), 'malformed'],
  ['J5: an id of 65 bytes', { jsonrpc: '2.0', method: 'core.get', id: 'x'.repeat(65) }, 'malformed'],
  ['J5: an id of 66 bytes in 33 letters', { jsonrpc: '2.0', method: 'core.get', id: 'é'.repeat(33) }, 'malformed'],
  ['J5: an id that is no integer', { jsonrpc: '2.0', method: 'core.get', id: 1.5 }, 'malformed'],
  ['J5: an id beyond safety', { jsonrpc: '2.0', method: 'core.get', id: 2 ** 53 }, 'malformed'],
  ['J5: an id that is an object', { jsonrpc: '2.0', method: 'core.get', id: {} }, 'malformed'],
  ['J5: an id that is true', { jsonrpc: '2.0', method: 'core.get', id: true }, 'malformed'],
  ...['Core.get', ' core.get', 'core.get ', 'core.get.', 'core.get\u00a0', 'c\u043ere.get', 'core.get.__class__'].map(
    (method) => [`J4: ${JSON.stringify(method)}`, ask({ method }), 'unknown-operation'] as const,
  ),
  ...['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'core.actor_ref', '', 'system.listMethods'].map(
    (method) => [`J2: ${JSON.stringify(method)}`, ask({ method }), 'unknown-operation'] as const,
  ),
  ['too many params', ask({ method: 'core.set', params: [1, 2] }), 'bad-arguments'],
  ['a missing param', ask({ method: 'core.set' }), 'bad-arguments'],
  ['null for one that is needed', ask({ method: 'core.set', params: [null] }), 'bad-arguments'],
  ['J9: a param nobody knows', ask({ method: 'core.set', params: { volume: 1, x: 1 } }), 'bad-arguments'],
  ['J2: toString as a param', ask({ method: 'core.set', params: { volume: 1, toString: 1 } }), 'bad-arguments'],
  ['a string for a number', ask({ method: 'core.set', params: ['7'] }), 'bad-arguments'],
  ['true for 1', ask({ method: 'core.set', params: [true] }), 'bad-arguments'],
  ['a number with a fraction', ask({ method: 'core.set', params: [7.5] }), 'bad-arguments'],
  ['a number out of range', ask({ method: 'core.set', params: [101] }), 'bad-arguments'],
]

describe('a request is refused', () => {
  for (const [name, message, code] of refused) test(`${name}: ${code}`, () => expect(codeOf(message)).toBe(code))
})

test('an argument is never found in a prototype', () => {
  const params = Object.create({ volume: 7 })
  expect(codeOf(ask({ method: 'core.set', params }))).toBe('bad-arguments')
})

test('ids are given back as they came', () => {
  for (const id of ['', 'a', 'x'.repeat(64), 0, -1, Number.MAX_SAFE_INTEGER, null]) expect(idOf({ id })).toBe(id)
  for (const message of [{}, null, [], 'x', { id: [] }]) expect(idOf(message)).toBeUndefined()
})

test('whatever the message, nothing but a Fault is thrown', () => {
  const method = fc.constantFrom('core.get', 'core.set', 'core.put', '__proto__')
  const message = fc.record({ jsonrpc: fc.constant('2.0'), id: fc.jsonValue(), method, params: fc.jsonValue() })
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), message), (given) => !codeOf(given).startsWith('not a fault')),
    { numRuns: 3_000 },
  )
})

test('an error says its code, the rule and the request, and nothing of its cause', () => {
  const fault = new Fault('forbidden', 'no', {
    capability: 'volume.set',
    rule: 'roles.kid',
    cause: new Error('secret'),
  })
  expect(rpcError(fault, 'x', 'r1')).toEqual({
    jsonrpc: '2.0',
    id: 'x',
    error: {
      code: -32003,
      message: 'no',
      data: { code: 'forbidden', capability: 'volume.set', rule: 'roles.kid', request_id: 'r1' },
    },
  })
})
