import fc from 'fast-check'
import Type from 'typebox'
import { expect, test } from 'vitest'
import { flag, nullable, number, rebuild, rebuilt, text } from '../../../src/protocol/rest/answer.ts'
import { clean } from '../../../src/protocol/rest/text.ts'
import { codeOf } from './wire.ts'

const shape = Type.Object({
  name: text,
  on: Type.Optional(flag),
  at: Type.Optional(nullable(number)),
  list: Type.Optional(Type.Array(Type.Object({ uri: text }), { maxItems: 2 })),
  by: Type.Optional(Type.Record(Type.String({ pattern: '^t_[0-9]+$' }), number)),
})

test('an answer holds what its shape names, and no more', () => {
  expect(rebuild(shape, { name: 'a', token: 'secret', on: true, at: null })).toEqual({ name: 'a', on: true, at: null })
  expect(rebuild(shape, { name: 'a', list: [{ uri: 'x', y: 1 }, { uri: 'y' }, { uri: 'z' }] })).toEqual({
    name: 'a',
    list: [{ uri: 'x' }, { uri: 'y' }],
  })
  expect(rebuild(shape, { name: 'a', by: { t_1: 1, x: 2, t_: 3 } })).toEqual({ name: 'a', by: { t_1: 1 } })
})

test('one of another shape is none of the player', () => {
  for (const value of [null, 1, 'x', [], {}, { name: 1 }, { name: 'a', on: 1 }, { name: 'a', at: '1' }]) {
    expect(codeOf(() => rebuild(shape, value))).toBe('player-unreachable')
    expect(rebuilt(shape, value)).toBeUndefined()
  }
  expect(rebuilt(shape, { name: 'a', at: Number.NaN })).toBeUndefined()
  expect(rebuilt(shape, { name: 'a', at: 2 ** 60 })).toBeUndefined()
  expect(rebuilt(shape, { name: 'a', list: [{}] })).toBeUndefined()
  expect(rebuilt(shape, Object.create({ name: 'a' }))).toBeUndefined()
})

test('text is one line, and not endless', () => {
  expect(clean('a\r\nOK\tb\u0000c\u2028d', 99)).toBe('a OK b c d')
  expect(clean('\u202eevil\u2066', 99)).toBe('evil')
  expect(clean('x'.repeat(99), 9)).toHaveLength(9)
  expect(clean('12345678\u{1f3b5}', 9)).toBe('12345678')
  expect(clean('\ud800x', 9)).toBe('\ufffdx')
})

test('whatever a player answers, nothing of it stays that was not named, and it is clean', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const built = rebuilt(shape, value)
      expect(Object.keys(built ?? {}).every((key) => key in shape.properties)).toBe(true)
    }),
  )
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.nat(50), (given, length) => {
      const out = clean(given, length)
      expect(out.length).toBeLessThanOrEqual(length)
      expect(out.isWellFormed() && !/[\p{Cc}\p{Zl}\p{Zp}]/u.test(out)).toBe(true)
    }),
    { numRuns: 300 },
  )
})
