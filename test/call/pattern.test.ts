import { describe, expect, test } from 'vitest'
import { isPlain, isSlip, type Pattern, readPattern } from '../../src/call/pattern.ts'

function pattern(text: string): Pattern {
  const read = readPattern(text)
  if (isSlip(read)) throw new Error(`${text}: ${read.what}`)
  return read
}

describe('a pattern allows', () => {
  test.each([
    ['local:', 'local:track:a.flac'],
    ['LOCAL:', 'Local:x'],
    ['spotify:show:', 'spotify:show:6rqhFgbbKwnb9MLmUQDhG6'],
    ['spotify:show', 'spotify:show:x'],
    ['local:track:Kids/', 'local:track:Kids/a%20b.flac'],
    ['local:track:Für Kinder/', 'local:track:F%C3%BCr%20Kinder/a.flac'],
    ['local:track:F%c3%bcr%20Kinder/', 'local:track:Für%20Kinder/a.flac'],
    ['path:', 'Artist/Album/01.flac'],
    ['path:kids/', 'kids/a.flac'],
    ['path:kids', 'kids'],
    ['path:100%/', '100%/a.flac'],
    ['file:///srv/music/', 'file:///srv/music/a/b.flac'],
    ['file:///srv/music', 'FILE:///srv/%6Dusic/a.flac'],
    ['http:', 'http://radio.example:8000/live'],
    ['https://radio.example/', 'https://radio.example'],
    ['https://radio.example', 'HTTPS://Radio.Example.:443/x?y#z'],
    ['https://radio.example:8443/', 'https://radio.example:8443/x'],
    ['https://*.radio.example/live/', 'https://a.b.radio.example/live/high?x'],
    ['https://*.radio.example/live/', 'https://a.radio.example/%6Cive?x'],
    ['https://bücher.example/', 'https://xn--bcher-kva.example/x'],
    ['http://192.168.1.5/', 'http://user:pass@192.168.1.5/x'],
    ['http://[fd00::5]/', 'http://[FD00:0::5]/x'],
    ['podcast+https://feeds.example/', 'podcast+https://feeds.example/x'],
    ['dleyna://uuid/', 'dleyna://uuid/x'],
  ])('%s · %s', (text, uri) => expect(pattern(text).allows(uri)).toBe(true))

  test.each([
    ['local:', 'locale:x'],
    ['local:', 'path'],
    ['spotify:show:', 'spotify:showroom:x'],
    ['spotify:show:', 'spotify:SHOW:x'],
    ['local:track:Kids/', 'local:track:Kids%2Fa.flac'],
    ['local:track:Kids/', 'local:track:Kidsx/a.flac'],
    ['local:track:Kids/', 'local:track:%254bids/a.flac'],
    ['path:kids/', 'kidsx/a.flac'],
    ['path:kids/', 'Kids/a.flac'],
    ['path:kids/', 'path:kids/a.flac'],
    ['path:kids/', 'kids%2Fa.flac'],
    ['path:kids/', 'x/kids/a.flac'],
    ['path:', 'local:track:a'],
    ['file:///srv/music/', 'file:///srv/music2/a'],
    ['file:///srv/music/', 'file:///srv/music?/../x'],
    ['file:///srv/music/', 'file:///srv/music#x'],
    ['file:///srv/music/', 'file://localhost/srv/music/a'],
    ['file:///srv/music/', 'file://srv/music/a'],
    ['file:///srv/music/', 'file:/srv/music/a'],
    ['file:///srv/music/', 'file:srv/music/a'],
    ['file:///srv/music/', 'file:////srv/music/a'],
    ['file:///srv/music/', 'file:///srv%2Fmusic/a'],
    ['file:///srv/music/', 'file:///srv//music/a'],
    ['https://radio.example/', 'http://radio.example/'],
    ['https://radio.example/', 'https://radio.example:8443/'],
    ['https://radio.example/', 'https://radio.example@evil.example/'],
    ['https://radio.example/', 'https://radio.example.evil.example/'],
    ['https://radio.example/', 'https://evil.example/?https://radio.example/'],
    ['https://radio.example/', 'https://evil.example#radio.example/'],
    ['https://radio.example/', 'https://evil.example\\@radio.example/'],
    ['https://radio.example/', 'https:radio.example/'],
    ['https://radio.example/', 'https:///radio.example/'],
    ['https://radio.example/', 'https://radio.example /'],
    ['https://radio.example/', ' https://radio.example/'],
    ['https://*.radio.example/', 'https://radio.example/'],
    ['https://*.radio.example/', 'https://evilradio.example/'],
    ['https://*.radio.example/live/', 'https://a.radio.example/livestream'],
    ['https://*.radio.example/live/', 'https://a.radio.example/live%2Fx'],
    ['https://*.radio.example/live/', 'https://a.radio.example//live/x'],
    ['http:', 'http:radio.example'],
    ['http://192.168.1.5/', 'http://3232235781/'],
    ['http://192.168.1.5/', 'http://192.168.1.50/'],
    ['http://192.168.1.5/', 'http://[::ffff:192.168.1.5]/'],
    ['http://feeds.example/', 'podcast+http://feeds.example/'],
  ])('not %s · %s', (text, uri) => expect(pattern(text).allows(uri)).toBe(false))
})

describe('a pattern denies in whatever way a player may read the address', () => {
  test.each([
    ['spotify:show:', 'spotify:show:x'],
    ['spotify:show:', 'SPOTIFY:Show:x'],
    ['spotify:show:', 'spotify:%73how:x'],
    ['spotify:show:', 'spotify:%2573how%3Ax'],
    ['local:track:Adults/', 'local:track:adults//x.flac'],
    ['local:track:Adults/', 'local:track:Adults%2Fx.flac'],
    ['local:track:Für/', 'local:track:Fu\u0308r/x.flac'],
    ['path:adults/', 'Adults\\x.flac'],
    ['path:adults/', 'adults%2Fx.flac'],
    ['file:', 'file:///x'],
    ['http://radio.example/', 'http://RADIO.example.:8000/x'],
    ['http://radio.example/live/', 'http://radio.example//LIVE/x'],
    ['http://radio.example/live/', 'http://radio.example/li%76e%2Fx'],
    ['https://*.evil.example/', 'https://x@a.evil.example/'],
  ])('%s · %s', (text, uri) => expect(pattern(text).denies(uri)).toBe(true))

  test.each([
    ['spotify:show:', 'spotify:showroom:x'],
    ['http://radio.example:8000/', 'http://radio.example/'],
    ['https://*.evil.example/', 'https://evil.example/'],
    ['path:adults/', 'kids/adults/x'],
  ])('not %s · %s', (text, uri) => expect(pattern(text).denies(uri)).toBe(false))
})

test('what is read in two ways is plain to nobody', () => {
  for (const uri of [
    'http:x',
    'file:x',
    'file://h/x',
    '//h/x',
    'spotify: show:x',
    'spotify:show:x ',
    'http://a@b@c/',
  ]) {
    expect([uri, isPlain(uri)]).toEqual([uri, false])
  }
})

test('a host is named by a pattern for it alone', () => {
  expect(pattern('http://nas.local/music/').host).toEqual({ name: 'nas.local' })
  expect(pattern('http://192.168.1.5:8000/').host).toEqual({ ip: '192.168.1.5' })
  expect(pattern('http://*.local/').host).toBeUndefined()
  expect(pattern('http:').host).toBeUndefined()
})

describe('a slip says what to write', () => {
  test.each([
    ['local', 'no kind of address'],
    ['', 'no kind of address'],
    ['//radio.example/', 'no kind of address'],
    ['*.radio.example', 'no kind of address'],
    ['path:/kids/', 'a path outside the library'],
    ['path:../x', 'no address that anybody may ask for'],
    ['local:track:%2e%2e/x', 'no address that anybody may ask for'],
    ['local:a\nb', 'no address that anybody may ask for'],
    ['local:*', 'a * that stands for nothing'],
    ['http://radio.*/', 'a * that stands for nothing'],
    ['http://*radio.example/', 'a * that stands for nothing'],
    ['http://radio.example/*', 'a * that stands for nothing'],
    ['file:/srv/music', 'not a folder'],
    ['file://srv/music', 'not a folder'],
    ['file:///', 'not a folder'],
    ['file:music', 'not a folder'],
    ['http://', 'no host'],
    ['http:/radio.example', 'no host'],
    ['http:radio.example', 'no host'],
    ['http://user@radio.example/', 'a name to sign in with'],
    ['http://radio.example/?x', 'a query'],
    ['http://2130706433/', 'not a host'],
    ['http://127.1/', 'not a host'],
    ['http://*.192.168.1.5/', 'not a host'],
    ['http://radio.example:99999/', 'not a host'],
  ])('%j: %s', (text, what) => expect(readPattern(text)).toMatchObject({ what, fix: expect.stringMatching(/\w/) }))
})
