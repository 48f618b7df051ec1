// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references as people write them
import { describe, expect, test } from 'vitest'
import { borrow } from '../../src/config/secrets.ts'

const sources = {
  env: { NAME: 'ann', EMPTY: '', NESTED: '${NAME}' },
  read: (path: string) => {
    if (path === 'secret.txt') return 'hunter2\n'
    throw Object.assign(new Error('no'), { code: 'ENOENT' })
  },
}
const text = (value: string) => {
  const found = borrow(value, sources)
  return 'text' in found ? found.text : found.what
}

describe('a value', () => {
  test.each([
    ['plain', 'plain'],
    ['${NAME}', 'ann'],
    ['a-${NAME}-b-${NAME}', 'a-ann-b-ann'],
    ['${GONE:-else}', 'else'],
    ['${GONE:-}', ''],
    ['${EMPTY:-else}', 'else'],
    ['${EMPTY}', ''],
    ['${NAME:-else}', 'ann'],
    ['${file:secret.txt}', 'hunter2'],
    ['$${NAME}', '${NAME}'],
    ['$NAME and $5', '$NAME and $5'],
    ['${NESTED}', '${NAME}'],
  ])('%j is %j', (value, expected) => expect(text(value)).toBe(expected))

  test.each([
    ['${GONE}', 'the environment variable GONE is not set'],
    ['${file:gone}', 'the file gone cannot be read (ENOENT)'],
    ['${}', 'not a reference'],
    ['${a b}', 'not a reference'],
    ['${__proto__}', 'the environment variable __proto__ is not set'],
    ['${constructor}', 'the environment variable constructor is not set'],
    ['${NAME}${file:secret.txt}', 'the value comes from the environment and from a file at once'],
  ])('%j: %s', (value, problem) => expect(text(value)).toBe(problem))

  test('tells whether it was borrowed', () => {
    expect(borrow('x', sources)).toEqual({ text: 'x', borrowed: false })
    expect(borrow('${NAME}', sources)).toEqual({ text: 'ann', borrowed: true })
  })
})
