import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Fault } from '../../../src/call/fault.ts'
import { parseMessage } from '../../../src/protocol/jsonrpc/message.ts'

const bytes = (text: string) => new TextEncoder().encode(text)

function codeOf(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    return error instanceof Fault ? error.code : `not a fault: ${error}`
  }
  return 'fine'
}

const refused: readonly (readonly [string, Uint8Array | string, string])[] = [
  ['nothing', '', 'unparsable'],
  ['blanks', '  \n', 'unparsable'],
  ['J7: a byte order mark', bytes('\ufeff{}'), 'unparsable'],
  ['J7: a byte order mark in text', '\ufeff{}', 'unparsable'],
  ['J7: invalid UTF-8', new Uint8Array([0x22, 0xff, 0x22]), 'unparsable'],
  ['J7: an overlong slash', new Uint8Array([0x22, 0xc0, 0xaf, 0x22]), 'unparsable'],
  ['J7: a surrogate in UTF-8', new Uint8Array([0x22, 0xed, 0xa0, 0x80, 0x22]), 'unparsable'],
  ['J7: UTF-16', new Uint8Array([0x7b, 0, 0x7d, 0]), 'unparsable'],
  ['J7: half a surrogate pair', '"\\ud800"', 'malformed'],
  ['J7: half a surrogate pair in a key', '{"\\udc00":1}', 'malformed'],
  ['a trailing comma', '[1,]', 'unparsable'],
  ['two values', '{}{}', 'unparsable'],
  ['a comment', '/* */{}', 'unparsable'],
  ['NaN', '[NaN]', 'unparsable'],
  ['a NUL', '"\0"', 'unparsable'],
  ['J1: a key twice', '{"method":"a","method":"b"}', 'malformed'],
  ['J1: a key twice, once escaped', '{"method":"a","\\u006dethod":"b"}', 'malformed'],
  ['J1: a key twice, deep inside', '[{"a":[{"b":{"c":1,"c":1}}]}]', 'malformed'],
  ['J1: a key twice, one an object', '{"a":{"x":1,"y":2},"a":{}}', 'malformed'],
  ['J1: an integer key twice', '{"1":1,"1":2}', 'malformed'],
  ['J2: __proto__', '{"__proto__":{"x":1}}', 'malformed'],
  ['J2: __proto__, escaped and deep', '[[{"a":{"__pr\\u006fto__":null}}]]', 'malformed'],
  ['J5: an infinite number', '[1e400]', 'malformed'],
  ['J5: 2^53 + 1', '[9007199254740993]', 'malformed'],
  ['J5: minus zero', '[-0]', 'malformed'],
  ['J6: 33 levels', `${'['.repeat(33)}${']'.repeat(33)}`, 'malformed'],
  ['J6: 10,000 levels', '['.repeat(10_000), 'malformed'],
  ['J6: 100,000 levels of objects', '{"a":'.repeat(20_000), 'malformed'],
  ['J6: more than 256 KiB', `"${'x'.repeat(256 * 1024)}"`, 'too-large'],
]

describe('a message is refused', () => {
  for (const [name, input, code] of refused) {
    test(`${name}: ${code}`, () => expect(codeOf(() => parseMessage(input))).toBe(code))
  }
})

describe('a message is taken', () => {
  const taken = [
    '{}',
    '{"a":":","b":"\\":{[","c":{"d":[1,-2.5e3,true,null,""]}}',
    `${'['.repeat(32)}${']'.repeat(32)}`,
    '{"constructor":1,"prototype":2,"toString":3}',
    '"\\ud83d\\ude00 😀"',
    '[9007199254740991,-9007199254740991]',
    '"\\\\"',
    '["\\\\\\"",{"a":1}]',
  ]
  for (const text of taken) {
    test(text.slice(0, 60), () => expect(parseMessage(bytes(text))).toEqual(JSON.parse(text)))
  }
})

test('whatever the input, nothing but a Fault is thrown', () => {
  const nasty = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.string({ unit: 'binary', maxLength: 200 }),
    fc
      .array(fc.constantFrom('{', '}', '[', ']', '"', ':', ',', '\\', 'a', '1', ' ', '\\u', 'null'))
      .map((p) => p.join('')),
  )
  fc.assert(
    fc.property(nasty, (input) => !codeOf(() => parseMessage(input)).startsWith('not a fault')),
    { numRuns: 5_000 },
  )
})

test('trap l · what is taken reads back as the same value after it was written anew', () => {
  const value = fc.jsonValue({ maxDepth: 5, noUnicodeString: false } as never)
  fc.assert(
    fc.property(value, (given) => {
      const text = JSON.stringify(given)
      if (codeOf(() => parseMessage(text)) !== 'fine') return true
      return JSON.stringify(parseMessage(text)) === text
    }),
    { numRuns: 2_000 },
  )
})

test('no input leaves a trace in Object.prototype', () => {
  codeOf(() => parseMessage('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}'))
  expect('polluted' in {}).toBe(false)
})
