import { expect, test } from 'vitest'
import { verdictOf, write, writeRate } from '../../src/cli/matrix.ts'
import { compile, type RolesConfig } from '../../src/policy/policy.ts'

function verdict(role: RolesConfig[string], capability: 'volume.set' | 'playback.skip' = 'volume.set') {
  const policy = compile({ kid: role }, { zone: 'Europe/Berlin' })
  return write(verdictOf(policy, 'kid', ['home'], capability, new Set(['volume'])))
}

test.each<[string, number | { max: number | Record<string, number>; over?: 'scale' | 'clamp'; zone?: string }]>([
  ['maxVolume 40', 40],
  ['maxVolume 40', { max: 40 }],
  ['maxVolume 40 over clamp', { max: 40, over: 'clamp' }],
  ['maxVolume 60 from 07:00 / 40 from 20:00', { max: { '07:00': 60, '20:00': 40 } }],
  ['maxVolume 60 from 07:00 / 40 from 20:00 over scale', { max: { '07:00': 60, '20:00': 40 }, over: 'scale' }],
  ['maxVolume 40 zone Asia/Tokyo', { max: 40, zone: 'Asia/Tokyo' }],
])('a ceiling reads %s', (text, maxVolume) => {
  expect(verdict({ grants: [{ allow: ['volume.set'], when: { maxVolume } }] })).toBe(`constrained: ${text}`)
})

test('a quota binds, whichever grant allows', () => {
  const quotas = { 'playback.skip': '6/60m', 'volume.set': '100/d' }
  expect(verdict({ grants: [{ allow: ['playback.skip'] }], quotas }, 'playback.skip')).toBe('constrained: quota 6/1h')
  expect(verdict({ grants: [{ allow: ['volume.set'], when: { maxVolume: 40 } }], quotas })).toBe(
    'constrained: maxVolume 40; quota 100/1d',
  )
  expect(verdict({ grants: [{ allow: ['status.read'] }], quotas })).toBe('denied')
})

test.each(['6/1h', '20/15m', '7/90s', '1/1d', '300/1m'])('a rate reads as it is written: %s', (text) => {
  const { roles } = compile({ kid: { grants: [], rates: { '*': text } } })
  const rate = roles.get('kid')?.rates.get('*')
  expect(rate && writeRate(rate)).toBe(text)
})
