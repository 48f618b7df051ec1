import type { IncomingMessage } from 'node:http'
import { describe, expect, test } from 'vitest'
import { checkOrigin, createHosts } from '../../src/listen/hosts.ts'

const hosts = createHosts(['Music.Home', 'pi.local'])

function message(headers: Record<string, string>, method = 'POST', rawHeaders = Object.entries(headers).flat()) {
  return { headers, rawHeaders, method } as unknown as IncomingMessage
}

function statusOf(request: IncomingMessage): unknown {
  try {
    hosts.check(request)
  } catch (error) {
    return (error as { status: unknown }).status
  }
  return 200
}

describe('H6: the Host', () => {
  const cases: readonly (readonly [string, number])[] = [
    ['music.home', 200],
    ['MUSIC.home:8443', 200],
    ['localhost', 200],
    ['localhost:8443', 200],
    ['192.168.1.2:8443', 200],
    ['[::1]:8443', 200],
    ['[fe80::1]', 200],
    ['evil.example', 421],
    ['music.home.', 421],
    ['xmusic.home', 421],
    ['2130706433', 421],
    ['127.1', 421],
    ['0x7f.0.0.1', 421],
    ['[1.2.3.4]', 200],
    ['[zz]', 400],
    ['', 400],
    ['user@music.home', 400],
    ['music.home/x', 400],
    ['music.home:', 400],
    ['music.home:8443:1', 400],
    ['music.home, evil', 400],
    ['::1', 400],
    ['music_home', 400],
  ]
  for (const [host, status] of cases) {
    test(`${JSON.stringify(host)}: ${status}`, () => expect(statusOf(message({ host }))).toBe(status))
  }
  test('missing: 400', () => expect(statusOf(message({}))).toBe(400))
})

describe('trap e · what stands twice is refused, whatever its case', () => {
  for (const name of [
    'Host',
    'Authorization',
    'Content-Length',
    'Content-Type',
    'Cookie',
    'Origin',
    'Transfer-Encoding',
  ]) {
    test(name, () => {
      const twice = ['host', 'localhost', 'X', '1', 'x', '2', name, 'a', name.toLowerCase(), 'a']
      expect(statusOf(message({ host: 'localhost' }, 'POST', twice))).toBe(400)
    })
  }
})

test('more than 100 header fields are refused, before Node drops any in silence', () => {
  const many = Array.from({ length: 101 }, (_, i) => [`x-${i}`, '1']).flat()
  expect(statusOf(message({ host: 'localhost' }, 'POST', many))).toBe(431)
})

describe('H12: the Origin', () => {
  const origin = (value: string | undefined, host = 'music.home:8443') =>
    hosts.isOwnOrigin(message({ host, ...(value !== undefined && { origin: value }) }))
  test('is ours when it is this very host and port', () => {
    expect(origin('https://music.home:8443')).toBe(true)
    expect(origin('https://MUSIC.home:8443')).toBe(true)
    expect(origin('https://music.home', 'music.home:443')).toBe(true)
  })
  test('is not ours otherwise', () => {
    for (const value of [
      'null',
      '',
      'https://music.home',
      'http://music.home:8443',
      'https://evil',
      'https://music.home:8443.evil',
      'https://music.home:9000',
      'file://',
    ]) {
      expect(origin(value)).toBe(false)
    }
  })
  test('is unknown when none is named', () => expect(origin(undefined)).toBeUndefined())
  test('must be ours on a POST with a cookie, and may be missing on a GET', () => {
    const host = 'localhost'
    expect(() => checkOrigin(hosts, message({ host }), true)).toThrow(expect.objectContaining({ code: 'forbidden' }))
    expect(() => checkOrigin(hosts, message({ host, origin: 'https://evil' }, 'GET'), true)).toThrow()
    expect(() => checkOrigin(hosts, message({ host, origin: 'https://evil' }), false)).toThrow()
    checkOrigin(hosts, message({ host }, 'GET'), true)
    checkOrigin(hosts, message({ host }), false)
    checkOrigin(hosts, message({ host, origin: 'https://localhost' }), true)
  })
})
