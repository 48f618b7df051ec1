import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Fault, faultCodes } from '../../../src/call/fault.ts'
import { ack } from '../../../src/protocol/mpd/ack.ts'

test.each([
  ['unparsable', 5],
  ['malformed', 5],
  ['too-large', 5],
  ['unknown-operation', 5],
  ['bad-arguments', 2],
  ['unauthenticated', 4],
  ['bad-credentials', 3],
  ['forbidden', 4],
  ['limited', 52],
  ['player-unreachable', 52],
  ['player-timeout', 52],
  ['internal', 52],
] as const)('%s is MPD’s error %i', (code, number) => {
  const shown = number === 5 ? '' : 'play'
  expect(ack(new Fault(code, 'why'), 'play', 7)).toMatch(new RegExp(`^ACK \\[${number}@7\\] \\{${shown}\\} .*why\\n$`))
})

test('a denial begins with the words that clients know', () => {
  expect(ack(new Fault('forbidden', 'not allowed: maxVolume 40'), 'setvol')).toBe(
    'ACK [4@0] {setvol} you don\'t have permission for "setvol": not allowed: maxVolume 40\n',
  )
  expect(ack(new Fault('bad-credentials', 'incorrect password'), 'password')).toBe(
    'ACK [3@0] {password} incorrect password\n',
  )
})

test('M7 · an error is one line, whatever it quotes', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...faultCodes),
      fc.string({ unit: 'binary', maxLength: 600 }),
      fc.string({ unit: 'binary', maxLength: 100 }),
      (code, message, command) => {
        const line = ack(new Fault(code, message), command)
        expect(line).toMatch(/^ACK \[\d+@0\] \{\w{0,64}\} [^\p{Cc}\p{Zl}\p{Zp}]*\n$/u)
        expect(line.isWellFormed()).toBe(true)
        expect(line.length).toBeLessThan(600)
      },
    ),
  )
  expect(ack(new Fault('internal', 'a\nOK\r\n\u2028b'), 'x}\ny')).toBe('ACK [52@0] {xy} a OK   b\n')
})
