import { expect, it } from 'vitest'
import { addressOf, sourceOf } from '../../src/call/address.ts'

it('an IPv4 address is written as one, whichever socket it came by', () => {
  expect(addressOf({ remoteAddress: '::ffff:192.0.2.7' })).toBe('192.0.2.7')
  expect(addressOf({ remoteAddress: '2001:db8::7' })).toBe('2001:db8::7')
  expect(addressOf({})).toBe('')
})

it.each([
  ['192.0.2.7', '192.0.2.7'],
  ['::1', '::1'],
  ['2001:db8:0:1:2:3:4:5', '2001:db8:0:1::/64'],
  ['2001:DB8::5', '2001:db8:0:0::/64'],
  ['2001:db8:1:2::', '2001:db8:1:2::/64'],
  ['2001:db8:1:2::9', '2001:db8:1:2::/64'],
  ['fe80::1%eth0', 'fe80::1'],
  ['fd00::1', 'fd00::1'],
])('the source of %s is %s', (address, source) => {
  expect(sourceOf(address)).toBe(source)
})
