import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { hostsIn, isLocalName, isNetwork, isPublic, readAuthority, readHost } from '../../src/call/host.ts'

describe('a host', () => {
  test.each([
    ['Radio.Example', { name: 'radio.example' }],
    ['radio.example.', { name: 'radio.example' }],
    ['bücher.example', { name: 'xn--bcher-kva.example' }],
    ['nas', { name: 'nas' }],
    ['_dacp.local', { name: '_dacp.local' }],
    ['LOCALHOST', { name: 'localhost' }],
    ['192.168.1.5', { ip: '192.168.1.5' }],
    ['[::1]', { ip: '::1' }],
    ['[0:0:0:0:0:FFFF:127.0.0.1]', { ip: '::ffff:7f00:1' }],
  ])('%j is %j', (text, host) => expect(readHost(text)).toEqual(host))

  test.each([
    ...[
      '2130706433',
      '0x7f000001',
      '0x7f.1',
      '0177.0.0.1',
      '127.1',
      '127.0.1',
      '127.0.0.1.',
      '010.8.8.8',
      '0',
      '1.2.3.256',
    ],
    ...[
      '%31%32%37.0.0.1',
      '１２７.0.0.1',
      '127。0。0。1',
      'a b',
      'a\\b',
      'a@b',
      '[::1',
      '[fe80::1%25eth0]',
      '[::1]x',
      '',
      '.',
    ],
    ...['faß.example', 'a..b', '-a.example', 'x'.repeat(300), 'a,b', 'hw:0,0', 'exa\u00admple.com'],
  ])('%j is read in different ways, or not at all', (text) => expect(readHost(text)).toBeUndefined())
})

describe('what stands between // and the path', () => {
  const at = (text: string, after = '/') => readAuthority('http', text, after)

  test.each([
    ['good@evil.example', 'evil.example', ''],
    ['user:pass@evil.example:8000', 'evil.example', '8000'],
    ['radio.example:80', 'radio.example', ''],
    ['radio.example:080', 'radio.example', ''],
    ['radio.example:', 'radio.example', ''],
    ['radio.example:8000', 'radio.example', '8000'],
  ])('%j leads to %j, port %j', (text, name, port) => expect(at(text)).toEqual({ host: { name }, port }))

  test.each([
    ...[
      'a@b@c',
      'good%40@evil',
      'good.example\\@evil.example',
      'good.example:80:90',
      'good.example:x',
      'h:0',
      'h:65536',
    ],
    ...['[::1]:x', '[::1]@evil', 'a[::1]', 'good .example', ''],
  ])('%j leads nowhere that is the same for all', (text) => expect(at(text)).toBeUndefined())

  test('an @ that some take for the end of a name, and others for a part of the query, is in none', () => {
    expect(at('good.example', '?@evil.example/')).toBeUndefined()
    expect(at('good.example', '#@evil.example/')).toBeUndefined()
    expect(at('good.example', '/?@evil.example/')).toBeDefined()
  })
})

test('addresses of the network, by their kind', () => {
  for (const scheme of ['http', 'mmsh', 'rtspu', 'rtmpte', 'podcast+https', 'hls+http', 'http+unix', 'davs', 'unix']) {
    expect([scheme, isNetwork(scheme)]).toEqual([scheme, true])
  }
  for (const scheme of ['local', 'spotify', 'file', 'path', 'alsa', 'yt', 'dleyna', 'httpx', 'm3u']) {
    expect([scheme, isNetwork(scheme)]).toEqual([scheme, false])
  }
})

describe('the hosts a player would go to', () => {
  const where = (uri: string) => hostsIn(uri).map((host) => host?.name ?? host?.ip)

  test.each([
    ['http://radio.example/live', ['radio.example']],
    [' HTTP://169.254.169.254/', ['169.254.169.254']],
    ['podcast+https://feeds.example/x#http://10.0.0.1/', ['feeds.example']],
    ['hls+http://10.0.0.1/x.m3u8', ['10.0.0.1']],
    ['yt:https://youtu.be/x', ['youtu.be']],
    ['yt:http%3A%2F%2F10.0.0.1%2Fx', ['10.0.0.1']],
    ['yt:http%253A%252F%252F10.0.0.1%252Fx', ['10.0.0.1']],
    ['m3u:http://10.0.0.1/', ['10.0.0.1']],
    ['concat:http://a.example/|http://10.0.0.1/', ['a.example', '10.0.0.1']],
    ['dleyna://10.0.0.1/x', ['10.0.0.1']],
    ['foo://[::1]/x', ['::1']],
  ])('%j: %j', (uri, hosts) => expect([...new Set(where(uri))]).toEqual(hosts))

  test.each([
    ...[
      'http:/169.254.169.254/',
      'http:169.254.169.254',
      'http:///169.254.169.254/',
      'http:\\\\169.254.169.254\\',
      'http://',
    ],
    ...[
      'http://2852039166/',
      'rtsp://0xa9fea9fe/',
      'mms://0251.0376.0251.0376/',
      'http://[fe80::1%25lo]/',
      'unix:///run/x',
    ],
    `yt:${'a://b'.repeat(17)}`,
    ...['foo://2852039166/', 'foo://0x7f.1:80/', 'foo://1%36%39.254.169.254/', 'yt:http://a b/'],
  ])('%j: nobody can tell', (uri) => expect(where(uri)).toContain(undefined))

  test.each([
    `concat:${'dleyna://uuid|'.repeat(16)}`,
    ...[
      'local:track:a%20b.flac',
      'spotify:track:6rqhFgbbKwnb9MLmUQDhG6',
      'Artist/Album/01 - http.flac',
      'file:///music/a.flac',
    ],
    ...[
      'dleyna://b6a4c3d0-uuid/x',
      'alsa://hw:0,0',
      'cdda:///dev/sr0/1',
      'A: b/c.flac',
      'local:track:AC%3A%2F%2FDC.flac',
      '',
    ],
  ])('%j: none', (uri) => expect(where(uri)).toEqual([]))

  test('never throws, and takes no longer for what is made to take long', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (uri) => Array.isArray(hostsIn(uri))))
    for (const part of ['a', '://', 'http://', 'x://a?', '%', '%25', '@', '[', 'a.', '0x', '%ff', '://1']) {
      hostsIn(`x:${part.repeat(100_000)}`)
      hostsIn(`http://${part.repeat(100_000)}`)
    }
  })
})

describe('an IP address', () => {
  test.each([
    ...['0.0.0.0', '10.1.2.3', '100.64.0.1', '100.127.255.255', '127.0.0.1', '127.255.255.255', '169.254.169.254'],
    ...['172.16.0.1', '172.31.255.255', '192.0.0.192', '192.168.1.5', '198.19.0.1', '203.0.113.5', '224.0.0.251'],
    ...['239.255.255.250', '240.0.0.1', '255.255.255.255', '168.63.129.16'],
    ...['::', '::1', '::ffff:127.0.0.1', '::ffff:a9fe:a9fe', '::127.0.0.1', '64:ff9b::10.0.0.1', '64:ff9b:1::1'],
    ...['2002:a9fe:a9fe::1', '2002:7f00:1::', '2001:0:1::1', '2001:db8::1', '3fff::1', 'fc00::1', 'fd00:ec2::254'],
    ...[
      'fe80::1',
      'fe80::1%eth0',
      'fec0::1',
      'ff02::fb',
      '100::1',
      '4000::1',
      'radio.example',
      '',
      '1.2.3',
      '1.2.3.999',
    ],
  ])('%j is not everybody’s', (ip) => expect(isPublic(ip)).toBe(false))

  test.each([
    ...['8.8.8.8', '1.1.1.1', '93.184.216.34', '100.63.0.1', '100.128.0.1', '172.15.0.1', '172.32.0.1', '192.167.1.1'],
    ...['2606:4700::1111', '2a00:1450::1', '::ffff:8.8.8.8', '64:ff9b::8.8.8.8', '2002:808:808::1', '2001:4860::8888'],
  ])('%j is public', (ip) => expect(isPublic(ip)).toBe(true))

  test('however it is written as an IPv6 one, it is what its IPv4 part is', () => {
    fc.assert(
      fc.property(fc.ipV4(), (ip) => {
        expect(isPublic(`::ffff:${ip}`)).toBe(isPublic(ip))
        expect(isPublic(`64:ff9b::${ip}`)).toBe(isPublic(ip))
      }),
    )
  })
})

test('names of this machine', () => {
  for (const name of ['localhost', 'x.localhost', 'localhost.localdomain']) expect(isLocalName(name)).toBe(true)
  for (const name of ['localhosts', 'mylocalhost', 'localhost.example']) expect(isLocalName(name)).toBe(false)
})
