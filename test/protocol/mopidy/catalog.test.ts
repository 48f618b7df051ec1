import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { createCall } from '../../../src/call/call.ts'
import type { Operation } from '../../../src/call/catalog.ts'
import { decode } from '../../../src/protocol/jsonrpc/decode.ts'
import { mopidy } from '../../../src/protocol/mopidy/catalog.ts'
import { encode } from '../../../src/protocol/mopidy/encode.ts'

const core: Record<string, { name: string }[]> = JSON.parse(
  readFileSync(new URL('../../corpus/mopidy/core-describe-3.4.json', import.meta.url), 'utf8'),
)
const table: Readonly<Record<string, Operation>> = mopidy
const origin = { id: 'r', by: { kind: 'anonymous', from: '::1' }, door: 'http', player: 'home', at: 0 } as const

const request = (method: string, params?: unknown) =>
  decode(mopidy, { jsonrpc: '2.0', id: 1, method, ...(params !== undefined && { params }) })
const call = (method: string, params?: unknown) => createCall(origin, request(method, params))
const code = (method: string, params?: unknown) => {
  try {
    return call(method, params).refused === undefined ? 'fine' : 'refused'
  } catch (error) {
    return (error as { code?: string }).code
  }
}

describe("the catalog and Mopidy's own list", () => {
  test('every method of Mopidy 3.4 has a row, and no row is made up', () => {
    expect(Object.keys(core)).toHaveLength(62)
    expect(Object.keys(mopidy).sort()).toEqual([...Object.keys(core), 'core.describe'].sort())
  })

  test.each(Object.entries(core))("%s has core's parameters in core's order", (name, params) => {
    expect(Object.keys(table[name]?.params ?? {})).toEqual(params.map((param) => param.name))
  })

  test('names of object members are no methods', () => {
    for (const name of ['constructor', '__proto__', 'toString', 'core.playback.core', 'core.tracklist.actor_ref']) {
      expect(code(name)).toBe('unknown-operation')
    }
  })
})

const track = { __model__: 'Track', uri: 'local:track:a.flac', name: 'A' }
const tlTrack = { __model__: 'TlTrack', tlid: 1, track }
const playlist = { __model__: 'Playlist', uri: 'm3u:mine.m3u8', name: 'mine', tracks: [track] }

/** Arguments for every row that takes any. */
const samples: Record<string, Record<string, unknown>> = {
  'core.library.browse': { uri: 'local:directory' },
  'core.library.get_distinct': { field: 'artist', query: { album: ['x'] } },
  'core.library.get_images': { uris: ['local:track:a.flac'] },
  'core.library.lookup': { uris: ['local:track:a.flac', 'spotify:track:x'] },
  'core.library.refresh': { uri: 'local:directory' },
  'core.library.search': { query: { any: ['x'], uri: ['local:x'] }, uris: ['local:'], exact: true },
  'core.mixer.set_mute': { mute: true },
  'core.mixer.set_volume': { volume: 40 },
  'core.playback.play': { tlid: 3 },
  'core.playback.seek': { time_position: 30_000 },
  'core.playback.set_state': { new_state: 'paused' },
  'core.playlists.create': { name: 'mine', uri_scheme: 'm3u' },
  'core.playlists.delete': { uri: 'm3u:mine.m3u8' },
  'core.playlists.get_items': { uri: 'm3u:mine.m3u8' },
  'core.playlists.lookup': { uri: 'spotify:playlist:x' },
  'core.playlists.refresh': { uri_scheme: 'm3u' },
  'core.playlists.save': { playlist },
  'core.tracklist.add': { at_position: 0, uris: ['local:track:a.flac'] },
  'core.tracklist.eot_track': { tl_track: tlTrack },
  'core.tracklist.filter': { criteria: { tlid: [1], uri: ['local:track:a.flac'] } },
  'core.tracklist.index': { tlid: 3 },
  'core.tracklist.move': { start: 0, end: 2, to_position: 1 },
  'core.tracklist.next_track': { tl_track: tlTrack },
  'core.tracklist.previous_track': { tl_track: tlTrack },
  'core.tracklist.remove': { criteria: { tlid: [1, 2] } },
  'core.tracklist.set_consume': { value: true },
  'core.tracklist.set_random': { value: true },
  'core.tracklist.set_repeat': { value: false },
  'core.tracklist.set_single': { value: false },
  'core.tracklist.shuffle': { start: 0, end: 5 },
  'core.tracklist.slice': { start: 0, end: 5 },
}

describe('arguments', () => {
  test.each(Object.values(table).map(({ name }) => name))('%s: what is encoded decodes to the same', (name) => {
    const params = samples[name] ?? {}
    expect(Object.keys(table[name]?.params ?? {}).length > 0).toBe(name in samples)
    const first = request(name, params)
    const again = decode(mopidy, JSON.parse(encode(7, first)))
    expect(again).toEqual(first)
    expect(JSON.parse(encode(7, first))).toEqual({ jsonrpc: '2.0', id: 7, method: name, params })
  })

  test.each(Object.keys(samples))('%s: by position is by name', (name) => {
    const params = samples[name] ?? {}
    const row = Object.keys(table[name]?.params ?? {})
    expect(
      request(
        name,
        row.map((key) => params[key] ?? null),
      ).args,
    ).toEqual(request(name, params).args)
  })

  test.each([
    ['core.mixer.set_volume', [true]],
    ['core.mixer.set_volume', [101]],
    ['core.mixer.set_volume', [-1]],
    ['core.mixer.set_volume', [39.5]],
    ['core.mixer.set_volume', ['40']],
    ['core.mixer.set_volume', [null]],
    ['core.mixer.set_volume', []],
    ['core.mixer.set_volume', [40, 90]],
    ['core.mixer.set_volume', { volume: 40, Volume: 90 }],
    ['core.mixer.set_mute', [0]],
    ['core.playback.seek', [-1]],
    ['core.playback.play', { tlid: '3' }],
    ['core.library.lookup', { uris: 'local:track:a' }],
    ['core.library.lookup', { uris: Array(51).fill('local:track:a') }],
    ['core.library.get_images', { uris: Array(201).fill('local:track:a') }],
    ['core.library.search', { query: { any: 'x' } }],
    ['core.library.search', { query: { nonsense: ['x'] } }],
    ['core.library.search', { query: { any: Array(11).fill('x') } }],
    ['core.library.search', { query: { any: ['x'.repeat(501)] } }],
    ['core.library.search', { query: { any: ['x'] }, exact: 1 }],
    ['core.tracklist.add', {}],
    ['core.tracklist.add', []],
    ['core.tracklist.add', [null, null, null]],
    ['core.tracklist.add', { uris: ['local:a'], at_position: -5 }],
    ['core.tracklist.add', { uris: Array(501).fill('local:a') }],
    ['core.tracklist.add', { uris: [{ __model__: 'Track', uri: 'local:a' }] }],
    ['core.tracklist.move', [0, 1, 10_001]],
    ['core.tracklist.slice', [-5, 5]],
    ['core.playlists.create', ['a\nb']],
    ['core.playlists.create', ['a/b']],
    ['core.playlists.create', ['..']],
    ['core.playlists.create', ['']],
  ])('%s %j: wrong arguments', (method, params) => {
    expect(code(method, params)).toBe('bad-arguments')
  })

  // Mopidy takes a filter with nothing in it for the whole queue
  test.each([[{}], [{ tlid: [] }], [{ uri: [] }]])('removing by %j is not clearing the queue', (criteria) => {
    expect(code('core.tracklist.remove', { criteria })).toBe('bad-arguments')
  })

  test('null says left out, and says the root where browsing begins', () => {
    expect(request('core.tracklist.add', [null, null, ['local:a']]).args).toEqual({ uris: ['local:a'] })
    expect(request('core.library.browse', [null]).args).toEqual({ uri: null })
    expect(JSON.parse(encode(1, request('core.library.browse', { uri: null }))).params).toEqual({ uri: null })
  })
})

describe('addresses', () => {
  const evasions = [
    'foo.flac',
    '../../etc/passwd',
    '/etc/passwd',
    ' file:///etc/passwd',
    'fi\tle:///etc/passwd',
    'file:///etc/passwd\n#EXTM3U',
    '//host/x',
    '%66ile:///etc/passwd',
    'local:track:../x',
    'local:track:%2e%2e/x',
    'local:track:a/%252e%252e/x',
    '\ufefffile:///x',
    '',
  ]
  test.each(evasions)('%j is no address, wherever it stands', (uri) => {
    expect(code('core.tracklist.add', { uris: ['local:a', uri] })).toBe('bad-arguments')
    expect(code('core.library.lookup', { uris: [uri] })).toBe('bad-arguments')
    expect(code('core.library.browse', { uri })).toBe('bad-arguments')
    expect(code('core.library.search', { query: { any: ['x'] }, uris: [uri] })).toBe('bad-arguments')
    expect(code('core.library.search', { query: { uri: [uri] } })).toBe('bad-arguments')
    expect(code('core.tracklist.filter', { criteria: { uri: [uri] } })).toBe('bad-arguments')
    expect(code('core.playlists.lookup', { uri })).toBe('bad-arguments')
    const save = { playlist: { ...playlist, tracks: [{ __model__: 'Track', uri }] } }
    expect(code('core.playlists.save', save)).toBe('bad-arguments')
  })

  test('every address is shown to policy, from every place', () => {
    const uris = (method: string, params: unknown) => call(method, params).touches.uri
    expect(uris('core.tracklist.add', { uris: ['a:1', 'b:2'] })).toEqual(['a:1', 'b:2'])
    expect(uris('core.library.search', { query: { uri: ['a:1'] }, uris: ['b:2'] })).toEqual(['a:1', 'b:2'])
    expect(uris('core.tracklist.remove', { criteria: { uri: ['a:1'] } })).toEqual(['a:1'])
    expect(uris('core.playlists.create', { name: 'x', uri_scheme: 'm3u' })).toEqual(['m3u:'])
    const artist = { __model__: 'Artist', uri: 'e:5' }
    const album = { __model__: 'Album', uri: 'c:3', artists: [{ __model__: 'Artist', uri: 'd:4' }] }
    const deep = { __model__: 'Track', uri: 'b:2', album, composers: [artist], performers: [{ ...artist, uri: 'f:6' }] }
    const save = { playlist: { ...playlist, uri: 'a:1', tracks: [deep] } }
    expect(uris('core.playlists.save', save)?.toSorted()).toEqual(['a:1', 'b:2', 'c:3', 'd:4', 'e:5', 'f:6'])
  })

  test('rows that carry an address never hide one: each of their params that could is a facet', () => {
    const carriers = /^(uris?|uri_scheme|query|playlist|criteria|tracks|tl_track)$/
    const hidden = Object.values(table)
      .filter(({ refused }) => refused === undefined)
      .flatMap(({ name, params }) => Object.entries(params).map(([key, { facet }]) => ({ name, key, facet })))
      .filter(({ key, facet }) => carriers.test(key) && facet !== 'uri')
    expect(hidden).toEqual([])
  })

  test('one network address a call where Mopidy opens them', () => {
    const two = ['http://a.example/1', 'https://b.example/2']
    expect(code('core.library.lookup', { uris: two })).toBe('bad-arguments')
    expect(code('core.tracklist.add', { uris: two })).toBe('bad-arguments')
    expect(code('core.tracklist.add', { uris: two.slice(1) })).toBe('fine')
  })
})

describe('models', () => {
  const save = (change: object) => code('core.playlists.save', { playlist: { ...playlist, ...change } })

  test('a playlist of plain tracks is fine', () => expect(save({})).toBe('fine'))

  test.each<[string, object]>([
    ['another model', { __model__: 'Album' }],
    ['an unknown member', { evil: 1 }],
    ['a line break in a name', { tracks: [{ ...track, name: 'x\nfile:///etc/passwd' }] }],
    ['a line break in the playlist name', { name: 'x\ny' }],
    ['a slash in the playlist name', { name: '../x' }],
    ['a track that is no model', { tracks: [{ uri: 'local:a' }] }],
    ['an unknown member deep inside', { tracks: [{ ...track, album: { __model__: 'Album', x: 1 } }] }],
    ['no address', { uri: undefined }],
    ['a file that is no playlist', { uri: 'm3u:evil.sh' }],
    ['a file that is no playlist before its query', { uri: 'm3u:evil.sh?.m3u8' }],
    ['a file that is no playlist before its fragment', { uri: 'm3u:evil.sh#.m3u8' }],
    ['a file that is no playlist before a NUL', { uri: 'm3u:evil.sh%00.m3u8' }],
    ['a hidden file', { uri: 'm3u:.m3u8' }],
    ['a playlist elsewhere', { uri: 'm3u:%2e%2e/x.m3u8' }],
    ['too many tracks', { tracks: Array(1001).fill(track) }],
  ])('%s is refused', (_, change) => {
    expect(save(JSON.parse(JSON.stringify(change, (_, v) => (v === undefined ? null : v))))).toBe('bad-arguments')
  })

  test('deleting is for playlists alone', () => {
    expect(code('core.playlists.delete', { uri: 'm3u:run.sh' })).toBe('bad-arguments')
    expect(code('core.playlists.delete', { uri: 'M3U:run.sh' })).toBe('bad-arguments')
  })

  test.each<[string, object]>([
    ['core.tracklist.add', { tracks: [track], uris: ['local:a'] }],
    ['core.playback.play', { tl_track: tlTrack }],
    ['core.tracklist.index', { tl_track: tlTrack }],
    ['core.tracklist.next_track', { tl_track: null }],
    ['core.tracklist.previous_track', { tl_track: null }],
    ['core.playback.set_state', { new_state: 'playing' }],
    ['core.library.get_distinct', { field: 'artist' }],
  ])('%s %j is not offered, whoever asks', (method, params) => {
    expect(code(method, params)).toBe('refused')
  })

  test('tracks alone add nothing', () => expect(code('core.tracklist.add', { tracks: [track] })).toBe('bad-arguments'))
})

describe('what a call takes', () => {
  test('playing on is control, playing an entry is skipping', () => {
    expect(call('core.playback.play').capability).toBe('playback.control')
    expect(call('core.playback.play', { tlid: null }).capability).toBe('playback.control')
    expect(call('core.playback.play', { tlid: 3 }).capability).toBe('playback.skip')
    expect(call('core.playback.play', [null, 3]).capability).toBe('playback.skip')
  })

  test('muting is silence; what unmuting brings back is unknown', () => {
    expect(call('core.mixer.set_mute', [true]).touches.volume).toEqual([0])
    expect(call('core.mixer.set_mute', [false]).touches.volume).toEqual([])
  })
})
