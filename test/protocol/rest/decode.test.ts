import fc from 'fast-check'
import Type from 'typebox'
import { describe, expect, test } from 'vitest'
import { agreeing, alarming, catalog, op, refuse, sending } from '../../../src/call/catalog.ts'
import { optional, param } from '../../../src/call/param.ts'
import { bodyKind, parseBody, parseForm, writeForm } from '../../../src/protocol/rest/body.ts'
import { decodeRest } from '../../../src/protocol/rest/decode.ts'
import { encodeRest } from '../../../src/protocol/rest/encode.ts'
import { allowedMethods, findRow } from '../../../src/protocol/rest/route.ts'
import { again, codeOf, receive, sent } from './wire.ts'

const count = param(Type.Integer({ minimum: -9, maximum: 99 }))
const word = param(Type.String({ pattern: '^[^/]+$', maxLength: 20 }))
const rows = catalog('web', {
  'GET /things': op('status.read', { of: optional(word), many: optional(count) }),
  'POST /things': op('queue.add', { count, loud: optional(param(Type.Boolean())) }),
  'GET /things/all': op('status.read'),
  'GET /things/{word}': op('status.read', { word }),
  'POST /things/{word}/{count}': op('queue.edit', { word, count: word, more: optional(count) }),
  'POST /form': sending('form', op('queue.add', { count: optional(count), loud: optional(param(Type.Boolean())) })),
  'POST /text': sending('text', op('queue.add', { word })),
  'POST /empty': op('queue.clear'),
  'POST /still': sending('json', op('queue.clear')),
  'POST /pair': agreeing(
    ({ count, more }) => (count === more ? 'they are the same' : undefined),
    op('queue.add', { count, more: count }),
  ),
  'POST /bad': alarming(refuse('server.admin', 'no')),
  'ANY /below/*': alarming(refuse('server.admin', 'no')),
})
const read = (line: string, body?: string, type?: string) => ({ ...receive(rows, line, body, type).args })

describe('a path is found by what the wire says, letter by letter', () => {
  test.each([
    ['GET /things', 'GET /things'],
    ['GET /things/all', 'GET /things/all'],
    ['GET /things/any', 'GET /things/{word}'],
    ['GET /things/a%20b', 'GET /things/{word}'],
    ['POST /things/x/y', 'POST /things/{word}/{count}'],
    ['PUT /below/any/thing', 'ANY /below/*'],
    ['GET /below/', 'ANY /below/*'],
    ['GET /below?x=1', 'ANY /below/*'],
    ['GET /belowx', undefined],
    ['GET /things/', undefined],
    ['GET //things', undefined],
    ['GET things', undefined],
    ['GET /Things', undefined],
    ['GET /%74hings', undefined],
    ['GET /things%2fall', undefined],
    ['GET /things/.', undefined],
    ['GET /things/..', undefined],
    ['GET /things/%2e%2e', undefined],
    ['GET /things/%2E', undefined],
    ['GET /things/a%2fb', undefined],
    ['GET /things/a%5cb', undefined],
    ['GET /things/a%252fb', undefined],
    ['GET /things/a%00', undefined],
    ['GET /things/%ff', undefined],
    ['GET /things/%', undefined],
    ['get /things', undefined],
    ['HEAD /things', undefined],
    ['GET /constructor', undefined],
    ['GET /__proto__', undefined],
  ])('%s: %s', (line, name) => {
    const [method = '', path = ''] = line.split(' ')
    expect(findRow(rows, method, path)?.operation.name).toBe(name)
  })

  test('of a path, its methods are known', () => {
    expect(allowedMethods(rows, '/things?x')).toEqual(['GET', 'POST'])
    expect(allowedMethods(rows, '/nothing')).toEqual([])
  })
})

describe('arguments come from one place each', () => {
  test('of a GET from the query', () => {
    expect(read('GET /things')).toEqual({})
    expect(read('GET /things?of=a+b%26&many=-3')).toEqual({ of: 'a b&', many: -3 })
  })
  test('of a POST from the body, and from the path', () => {
    expect(read('POST /things', '{"count":3,"loud":false}')).toEqual({ count: 3, loud: false })
    expect(read('POST /things/a%20b/7', '{"more":3}')).toEqual({ word: 'a b', count: '7', more: 3 })
  })
  test('a form is read by the shapes of its row', () => {
    const form = 'application/x-www-form-urlencoded; charset=UTF-8'
    expect(read('POST /form', 'count=12&loud=true', form)).toEqual({ count: 12, loud: true })
    expect(read('POST /form', '{"count":12}')).toEqual({ count: 12 })
  })
  test('a text is taken as it is', () => {
    expect(read('POST /text', 'a&b=c', 'text/plain')).toEqual({ word: 'a&b=c' })
  })

  test.each<[string, string, string?, string?]>([
    ['bad-arguments', 'GET /things?count=1'],
    ['bad-arguments', 'GET /things?of='],
    ['bad-arguments', 'GET /things?many=1e1'],
    ['bad-arguments', 'GET /things?many=0x1'],
    ['bad-arguments', 'GET /things?many=%2B1'],
    ['bad-arguments', 'GET /things?many=01'],
    ['bad-arguments', 'GET /things?many=100'],
    ['malformed', 'GET /things?of=a&of=b'],
    ['malformed', 'GET /things?of=%zz'],
    ['malformed', 'GET /things?of=%c0%af'],
    ['malformed', 'GET /things?&'],
    ['malformed', 'GET /things?=x'],
    ['bad-arguments', 'GET /things', '{}'],
    ['bad-arguments', 'POST /things?count=4', '{"count":3}'],
    ['bad-arguments', 'POST /things?', '{"count":3}'],
    ['bad-arguments', 'POST /things', ''],
    ['bad-arguments', 'POST /things', '{}'],
    ['bad-arguments', 'POST /things', '{"count":"3"}'],
    ['bad-arguments', 'POST /things', '{"count":3,"loud":null}'],
    ['bad-arguments', 'POST /things', '{"count":3,"loud":0}'],
    ['bad-arguments', 'POST /things', '{"count":3,"Count":4}'],
    ['bad-arguments', 'POST /things', '{"count":3,"constructor":4}'],
    ['malformed', 'POST /things', '{"count":3,"count":4}'],
    ['malformed', 'POST /things', '{"count":3,"c\\u006funt":4}'],
    ['malformed', 'POST /things', '{"__proto__":{"count":3}}'],
    ['malformed', 'POST /things', '[3]'],
    ['malformed', 'POST /things', '3'],
    ['malformed', 'POST /things', 'null'],
    ['malformed', 'POST /things', 'count=3', 'application/x-www-form-urlencoded'],
    ['unparsable', 'POST /things', '{"count":3}x'],
    ['bad-arguments', 'POST /things/a/b', '{"word":"c"}'],
    ['bad-arguments', 'POST /form', 'count=12&cmd=load', 'application/x-www-form-urlencoded'],
    ['malformed', 'POST /form', 'count=12&count=13', 'application/x-www-form-urlencoded'],
    ['malformed', 'POST /form', 'count=12&c%6funt=13', 'application/x-www-form-urlencoded'],
    ['bad-arguments', 'POST /form', 'loud=1', 'application/x-www-form-urlencoded'],
    ['bad-arguments', 'POST /form', 'loud=True', 'application/x-www-form-urlencoded'],
    ['bad-arguments', 'POST /empty', '{"count":3}'],
    ['bad-arguments', 'POST /pair', '{"count":3,"more":3}'],
    ['fine', 'POST /pair', '{"count":3,"more":4}'],
    ['too-large', 'POST /things', `{"count":${' '.repeat(16_400)}3}`],
    ['too-large', 'POST /form', `loud=${'x'.repeat(16_400)}`, 'application/x-www-form-urlencoded'],
    ['malformed', 'POST /things', `{"count":${'['.repeat(9)}${']'.repeat(9)}}`],
    ['unknown-operation', 'POST /nothing'],
  ])('%s: %s %s', (code, ...what) => {
    expect(codeOf(() => receive(rows, ...what))).toBe(code)
  })

  test('of a row that nobody may call none is needed, so that the gate hears of the attempt', () => {
    expect(receive(rows, 'POST /bad?x=1', '{"any":[1]}')).toMatchObject({ operation: { refused: 'no' }, args: {} })
    expect(receive(rows, 'DELETE /below/x', '[]')).toMatchObject({ operation: { refused: 'no' }, args: {} })
  })
})

describe('what is sent is written anew', () => {
  test.each([
    ['GET /things?many=3&of=a+b', 'GET /things?of=a%20b&many=3'],
    ['GET /things/a%20b', 'GET /things/a%20b'],
    ['POST /empty', 'POST /empty'],
    ['POST /still', 'POST /still · application/json · {}'],
  ])('%s becomes %s', (line, wire) => expect(sent(receive(rows, line))).toBe(wire))

  test('in the order of the row, each key once', () => {
    expect(sent(receive(rows, 'POST /things', ' {"loud" : true, "c\\u006funt":3} '))).toBe(
      'POST /things · application/json · {"count":3,"loud":true}',
    )
  })
  test('JSON for a form becomes a form', () => {
    expect(sent(receive(rows, 'POST /form', '{"loud":true,"count":-3}'))).toBe(
      'POST /form · application/x-www-form-urlencoded · count=-3&loud=true',
    )
  })
  test('a wildcard is never sent', () => {
    expect(codeOf(() => encodeRest({ operation: rows['ANY /below/*'], args: {} }))).toBe('internal')
  })
})

test('what is encoded decodes to the same', () => {
  const word = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }).filter((text) => {
    const plain = text.isWellFormed() && text.length <= 20 && !/[/\\%]|\p{Cc}/u.test(text)
    return plain && text !== '.' && text !== '..'
  })
  const count = fc.integer({ min: -9, max: 99 })
  const given = fc.oneof(
    fc.record({
      operation: fc.constant(rows['GET /things']),
      args: fc.record({ of: word, many: count }, { requiredKeys: [] }),
    }),
    fc.record({
      operation: fc.constant(rows['GET /things/{word}']),
      args: fc.record({ word: word.filter((w) => w !== 'all') }),
    }),
    fc.record({
      operation: fc.constant(rows['POST /things/{word}/{count}']),
      args: fc.record({ word, count: word, more: count }),
    }),
    fc.record({ operation: fc.constant(rows['POST /form']), args: fc.record({ count, loud: fc.boolean() }) }),
    fc.record({ operation: fc.constant(rows['POST /text']), args: fc.record({ word }) }),
  )
  fc.assert(
    fc.property(given, ({ operation, args }) => {
      const back = again(rows, { operation, args })
      expect(back.operation).toBe(operation)
      expect({ ...back.args }).toEqual({ ...args })
    }),
    { numRuns: 300 },
  )
})

test('whatever comes, nothing but a Fault is thrown', () => {
  const path = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc
      .array(fc.constantFrom('/', 'things', 'all', '%2f', '..', '?', 'of=', '&', '%', 'below'), { maxLength: 9 })
      .map((parts) => parts.join('')),
  )
  const method = fc.constantFrom('GET', 'POST', 'ANY', '*', '')
  fc.assert(
    fc.property(
      method,
      path,
      fc.jsonValue(),
      (method, path, body) => !codeOf(() => decodeRest(rows, { method, path, body })).startsWith('not'),
    ),
    { numRuns: 500 },
  )
  const kind = fc.constantFrom('json' as const, 'form' as const, 'text' as const)
  fc.assert(
    fc.property(
      kind,
      fc.uint8Array({ maxLength: 200 }),
      (kind, bytes) => !codeOf(() => parseBody(kind, bytes)).startsWith('not'),
    ),
    { numRuns: 500 },
  )
})

test('a form that was written reads as it was', () => {
  const fields = fc.dictionary(
    fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => text.isWellFormed()),
    fc.string({ unit: 'grapheme' }).filter((text) => text.isWellFormed()),
  )
  fc.assert(
    fc.property(fields, (given) => {
      expect(Object.fromEntries(parseForm(writeForm(given)))).toEqual(Object.fromEntries(Object.entries(given)))
    }),
  )
})

test.each([
  ['application/json', 'json'],
  ['Application/JSON', 'json'],
  ['application/json; charset=utf-8', 'json'],
  ['application/json;charset="UTF-8"', 'json'],
  ['application/x-www-form-urlencoded', 'form'],
  ['text/plain', undefined],
  ['application/json; charset=utf-7', undefined],
  ['application/json, text/plain', undefined],
  ['application/json\t', undefined],
  ['application/jsonx', undefined],
  ['', undefined],
  [undefined, undefined],
])('the Content-Type %s is read as %s', (type, kind) => expect(bodyKind(type)).toBe(kind))
