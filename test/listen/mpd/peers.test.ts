import { expect, test } from 'vitest'
import { createPeers } from '../../../src/listen/mpd/peers.ts'

test.each([
  ['192.168.1.0/24', ['192.168.1.0', '192.168.1.255', '::ffff:192.168.1.7', '::FFFF:c0a8:0107'], ['192.168.2.1']],
  ['192.168.1.7/32', ['192.168.1.7', '::ffff:192.168.1.7'], ['192.168.1.8', '192.168.1.6', '::ffff:192.168.1.8']],
  ['192.168.1.9/24', ['192.168.1.200'], ['192.168.0.200']],
  ['10.0.0.0/8', ['10.255.255.255'], ['11.0.0.0', '::10.0.0.1', '2001:db8::10.0.0.1']],
  ['::ffff:10.1.0.0/112', ['10.1.2.3', '::ffff:10.1.2.3'], ['10.2.0.0']],
  ['fd00::/8', ['fd12:3456::1', 'FD00::1'], ['fc00::1', 'fe80::1', '10.0.0.1', '::1']],
  ['fe80::/10', ['fe80::1', 'fe80::1%eth0', 'febf::1%3'], ['fec0::1']],
  ['::1/128', ['::1'], ['::2', '127.0.0.1']],
])('%s', (range, inside, outside) => {
  const isWelcome = createPeers([range])
  expect(inside.filter((address) => !isWelcome(address))).toEqual([])
  expect(outside.filter((address) => isWelcome(address))).toEqual([])
})

test('one of several ranges will do', () => {
  const isWelcome = createPeers(['10.0.0.0/8', 'fd00::/8'])
  expect(['10.1.1.1', 'fd00::1', '192.168.0.1'].map(isWelcome)).toEqual([true, true, false])
})

test.each(['', 'unknown', '10.0.0', '10.0.0.1:6600', '[fd00::1]', ' 10.0.0.1', '010.0.0.1', '::ffff:10.0.0.256'])(
  '%j is nobody',
  (address) => {
    expect(createPeers(['10.0.0.0/8', 'fd00::/8'])(address)).toBe(false)
  },
)

test.each([
  '',
  '10.0.0.0',
  '10.0.0.0/33',
  'fd00::/129',
  '10.0.0/8',
  '10.0.0.0/-1',
  'x/8',
  '10.0.0.0/8/8',
  'fe80::%1/10',
])('no door is opened for %j', (range) => {
  expect(() => createPeers(['10.0.0.0/8', range])).toThrow('not a range of addresses')
})

test('without a range nobody is welcome', () => {
  expect(createPeers([])('127.0.0.1')).toBe(false)
})
