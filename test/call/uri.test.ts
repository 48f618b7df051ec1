import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isStream, isWellFormed, schemeOf } from '../../src/call/uri.ts'

describe('the scheme', () => {
  test.each([
    ['local:track:a.flac', 'local'],
    ['FILE:///etc/passwd', 'file'],
    ['FiLe:x', 'file'],
    ['HTTP://host/', 'http'],
    ['podcast+https://host/', 'podcast+https'],
    ['Artist/Album/01.flac', 'path'],
    ['01: a song.flac', 'path'],
    ['%66ile:///etc/passwd', 'path'],
    ['', 'path'],
    ['//host/x', undefined],
    ['file: ///x', undefined],
    ['file:\t//x', undefined],
    ['http://host/ x', undefined],
    ['http://host/\u00a0x', undefined],
  ])('of %j is %j', (uri, scheme) => expect(schemeOf(uri)).toBe(scheme))

  test('is what stands before the first colon, in small letters, whatever follows', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Za-z][A-Za-z0-9+.-]*$/), fc.stringMatching(/^\S*$/), (scheme, rest) => {
        expect(schemeOf(`${scheme}:${rest}`)).toBe(scheme.toLowerCase())
      }),
    )
  })

  test('is nothing that a role can name where a player might see another one', () => {
    fc.assert(
      fc.property(fc.string(), (uri) => {
        const scheme = schemeOf(uri)
        if (scheme !== undefined && scheme !== 'path') expect(uri.toLowerCase().startsWith(`${scheme}:`)).toBe(true)
      }),
    )
  })
})

describe('the grammar', () => {
  test.each([
    'local:track:Artist%20B/Album%20Two/01%20-%20Saw%201.ogg',
    'spotify:track:6rqhFgbbKwnb9MLmUQDhG6',
    'Artist/Album/01 - 100 % (live)….flac',
    'https://user@host:8000/stream?x=1#y',
    'M.I.A./...Baby/..and then..flac',
    'local:directory?type=artist',
    'yt:https://youtu.be/x',
    'file:///music/a.flac',
    '/',
    '',
  ])('takes %j', (uri) => expect(isWellFormed(uri)).toBe(true))

  test.each([
    'local:track:/etc/passwd',
    'local:track:%2Fetc/passwd',
    'local:directory:%252fetc',
    'local:track:../x',
    'local:track:a/../x',
    'a/./b',
    '..',
    '.',
    'a/..',
    'a\\..\\b',
    'local:track:%2e%2e/x',
    'local:track:%2E%2e%2Fx',
    'local:track:.%2e/x',
    'local:track:%252e%252e/x',
    'local:track:%25252e%25252e%25252fx',
    'a%2f..%2fb',
    'a%5c..%5cb',
    'http://host/a?../x',
    'http://host/a#/../x',
    'http://host/..?x',
    '/etc/passwd',
    '/a',
    '//host/x',
    'a\nb',
    'a\rb',
    'a\0b',
    'a\tb',
    'a\u0085b',
    'a\u2028b',
    'a%00b',
    'a%0ab',
    'a%250ab',
    '\ufefffile:///x',
    'file\u202e:x',
    'a\u200eb',
    'a\u2066b',
    'a\ud800b',
    'a%2525252525252e',
  ])('refuses %j', (uri) => expect(isWellFormed(uri)).toBe(false))

  test('nothing that a player might decode to a step upwards passes, however often it is encoded', () => {
    const encode = (text: string) => [...text].map((c) => `%${c.charCodeAt(0).toString(16)}`).join('')
    const again = (text: string) => text.replaceAll('%', '%25')
    const step = fc.tuple(fc.constantFrom('..', '.'), fc.boolean(), fc.nat(5)).map(([dots, hide, times]) => {
      let text = hide ? encode(dots) : dots
      for (let i = 0; i < times; i++) text = again(text)
      return text
    })
    const path = fc.stringMatching(/^[a-z0-9]{0,5}$/)
    fc.assert(
      fc.property(path, step, path, (before, dots, after) => {
        expect(isWellFormed(`local:track:${before}/${dots}/${after}`)).toBe(false)
      }),
    )
  })

  test('never throws', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (uri) => typeof isWellFormed(uri) === 'boolean'))
  })
})

describe('a network address', () => {
  test.each(['http://h/', 'HTTPS://h/', ' http://h/', 'rtsp://h', 'nfs://h', 'smb://h'])('%j is one', (uri) =>
    expect(isStream(uri)).toBe(true),
  )
  test.each(['file:///x', 'FILE:///x', 'local:track:a', 'spotify:track:x', 'a/b'])('%j is none', (uri) =>
    expect(isStream(uri)).toBe(false),
  )
})
