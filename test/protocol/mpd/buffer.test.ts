import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createBuffer } from '../../../src/protocol/mpd/buffer.ts'

const bytes = (text: string) => Uint8Array.from(text, (c) => c.charCodeAt(0))
const textOf = (chunk: Uint8Array) => String.fromCharCode(...chunk)

test('what is pushed comes out line by line, in order, whatever its pieces', () => {
  const text = fc.array(fc.constantFrom('\n', '\r\n', '\r', 'a', 'bcd', 'x'.repeat(300)), { maxLength: 30 })
  fc.assert(
    fc.property(
      fc.array(
        text.map((parts) => parts.join('')),
        { maxLength: 8 },
      ),
      fc.boolean(),
      (pieces, eager) => {
        const buffer = createBuffer()
        const got: string[] = []
        const take = () => {
          for (let line = buffer.line(1e6); line !== undefined; line = buffer.line(1e6)) {
            got.push(line === 'too-long' ? line : textOf(line))
          }
        }
        for (const piece of pieces) {
          const chunk = bytes(piece)
          buffer.push(chunk)
          chunk.fill(0x21)
          if (eager) take()
        }
        take()
        const lines = pieces.join('').split('\n')
        const rest = lines.pop() ?? ''
        expect(got).toEqual(lines.map((line) => line.replace(/\r$/, '')))
        expect(buffer.length).toBe(rest.length)
        expect(textOf(buffer.peek(1e6))).toBe(rest)
        expect(buffer.first).toBe(rest === '' ? undefined : rest.charCodeAt(0))
      },
    ),
  )
})

test('a line that is too long is not taken, with its end or without', () => {
  const buffer = createBuffer()
  buffer.push(bytes('ab\nabc'))
  const first = buffer.line(2)
  expect(first).not.toBe('too-long')
  expect(buffer.line(2)).toBe('too-long')
  buffer.push(bytes('\n'))
  expect(buffer.line(2)).toBe('too-long')
  expect(buffer.length).toBe(4)
  buffer.clear()
  expect(buffer.length).toBe(0)
})
