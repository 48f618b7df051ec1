import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Call, createCall } from '../../../src/call/call.ts'
import type { Capability } from '../../../src/call/capability.ts'
import { scaleOf } from '../../../src/call/scale.ts'
import { decode } from '../../../src/protocol/mpd/decode.ts'
import { createReply } from '../../../src/protocol/mpd/reply.ts'
import { tokenize } from '../../../src/protocol/mpd/token.ts'
import { createView, type Framing, type Sight, type View } from '../../../src/protocol/mpd/view.ts'
import { rows } from './arbitrary.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const textOf = (chunk: Uint8Array) => new TextDecoder().decode(chunk)
const lines = (...all: readonly string[]) => all.map((line) => `${line}\n`).join('')

function calls(...asked: readonly string[]): Call[] {
  const origin = { id: 'r', by: { kind: 'anonymous', from: 'here' }, door: 'mpd', player: 'kitchen', at: 0 } as const
  return asked.map((line) => createCall(origin, decode(tokenize(bytes(line)))))
}

function sight(sees: (uri: string) => boolean, may: (capability: Capability) => boolean = () => true): Sight {
  return {
    may: (_, __, capability) => may(capability),
    sees: (_, uri) => sees(uri),
    isNarrowed: () => true,
    volumeScale: () => undefined,
  }
}
const local = sight((uri) => uri.startsWith('local:'))
const everything = sight(() => true)

function through(view: View | undefined, text: string): string {
  if (!view) throw new Error('no view')
  return textOf(view.push(bytes(text)))
}

describe('status', () => {
  const status = lines(
    ...['volume: 40', 'repeat: 0', 'partition: default', 'playlist: 7', 'playlistlength: 3', 'state: play', 'song: 0'],
    ...['songid: 1', 'elapsed: 1.5', 'updating_db: 2', 'error: Failed to open "/srv/music/x.mp3"', 'nextsong: 1'],
    ...['nextsongid: 2', 'OK'],
  )
  const of = (mine: readonly Capability[]) =>
    through(
      createView(calls('status'), 'single', {
        ...sight(
          () => true,
          (name) => mine.includes(name),
        ),
        isNarrowed: () => false,
      }),
      status,
    ).split('\n')

  test('names the partition as the player is called, and no place of a file', () => {
    const seen = of(['queue.read', 'library.read'])
    expect(seen).toContain('partition: kitchen')
    expect(seen).toContain('error: Failed to open "…"')
    expect(seen).toHaveLength(status.split('\n').length)
  })

  test('says nothing of the queue to one who may not see it, nor of the library', () => {
    expect(of([]).map((line) => line.split(':')[0])).toEqual([
      'volume',
      'repeat',
      'partition',
      'state',
      'elapsed',
      'error',
      'OK',
      '',
    ])
    expect(of(['library.read'])).toContain('updating_db: 2')
    expect(of(['queue.read'])).toContain('nextsongid: 2')
    expect(of(['queue.read'])).not.toContain('updating_db: 2')
  })
})

test('status says that something is wrong, and to who may not see every address not with which', () => {
  const said = (text: string, sight: Sight) =>
    through(createView(calls('status'), 'single', sight), lines(`error: ${text}`, 'OK'))
  const text = 'Failed to decode http://h/of/somebody else.mp3'
  expect(said(text, local)).toBe(lines('error: …', 'OK'))
  expect(said('Failed to decode "spotify:track:x"', local)).toBe(lines('error: …', 'OK'))
  expect(said('Failed to open audio output', local)).toBe(lines('error: Failed to open audio output', 'OK'))
  expect(said(text, { ...everything, isNarrowed: () => false })).toBe(lines(`error: ${text}`, 'OK'))
})

test('status names no playlist to one who may not see those, nor an address of one', () => {
  const said = (value: string, sight: Sight) =>
    through(createView(calls('status'), 'single', sight), lines('volume: 1', `lastloadedplaylist: ${value}`, 'OK'))
  const blind = sight(
    () => true,
    (name) => name !== 'playlists.read',
  )
  const nothing = lines('volume: 1', 'OK')
  expect(said('Party', blind)).toBe(nothing)
  expect(said('Party', local)).toContain('lastloadedplaylist: Party\n')
  expect(said('http://u:secret@h/x.m3u', local)).toBe(nothing)
  expect(said('http://u:secret@h/x.m3u', everything)).toContain('secret')
})

describe('the queue', () => {
  const song = lines(
    'file: http://u:secret@h/x',
    'Title: http://u:secret@h/x',
    'Artist: A',
    'X-AlbumUri: http://h',
    'Pos: 1',
    'Id: 5',
  )
  test('keeps the place of an entry whose address is not to be seen', () => {
    const answer = `${lines('file: local:a', 'Title: t', 'Pos: 0', 'Id: 4')}${song}OK\n`
    expect(through(createView(calls('playlistinfo'), 'single', local), answer)).toBe(
      lines('file: local:a', 'Title: t', 'Pos: 0', 'Id: 4', 'file: hidden', 'Artist: A', 'Pos: 1', 'Id: 5', 'OK'),
    )
  })

  test('and does so in the numbered form of playlist', () => {
    expect(through(createView(calls('playlist'), 'single', local), lines('0:file: local:a', '1:file: a/b', 'OK'))).toBe(
      lines('0:file: local:a', '1:file: hidden', 'OK'),
    )
  })
})

describe('the library', () => {
  test('leaves out the entries whose address is not to be seen, from their beginning to the next', () => {
    const answer = lines(
      ...['file: spotify:x', 'Title: a', 'directory: Local', 'file: local:a', 'Title: b', 'file: a/b', 'Title: c'],
      ...['playlist: p', 'Last-Modified: d', 'file: http://h', 'OK'],
    )
    expect(through(createView(calls('lsinfo'), 'single', local), answer)).toBe(
      lines('directory: Local', 'file: local:a', 'Title: b', 'playlist: p', 'Last-Modified: d', 'OK'),
    )
  })

  test('also where stickers are found and where files are listed', () => {
    const found = lines('file: a/b', 'sticker: r=1', 'file: local:a', 'sticker: r=2', 'OK')
    expect(through(createView(calls('sticker find song "" r'), 'single', local), found)).toBe(
      lines('file: local:a', 'sticker: r=2', 'OK'),
    )
    expect(through(createView(calls('list file'), 'single', local), lines('file: x', 'OK'))).toBe('OK\n')
    const folder = lines('directory: a', 'Last-Modified: d', 'file: x.mp3', 'size: 1', 'Last-Modified: d', 'OK')
    expect(through(createView(calls('listfiles'), 'single', local), folder)).toBe(
      lines('directory: a', 'Last-Modified: d', 'OK'),
    )
  })
})

describe('a list', () => {
  test('is seen command by command, also where the client wants one OK for all', () => {
    const view = createView(calls('lsinfo', 'playlistinfo', 'ping'), 'list', local)
    expect(view?.framing).toBe('ok-list')
    const answer = lines('file: x', 'list_OK', 'file: x', 'Pos: 0', 'list_OK', 'list_OK', 'OK')
    expect(through(view, answer)).toBe(lines('file: hidden', 'Pos: 0', 'OK'))
    expect(through(createView(calls('lsinfo', 'playlistinfo', 'ping'), 'ok-list', local), answer)).toBe(
      lines('list_OK', 'file: hidden', 'Pos: 0', 'list_OK', 'list_OK', 'OK'),
    )
  })

  test('of one command stays a list, and one that failed ends with its error', () => {
    expect(createView(calls('status'), 'list', everything)?.framing).toBe('list')
    expect(through(createView(calls('lsinfo', 'lsinfo'), 'list', local), lines('file: x', 'ACK [5@0] {x} y'))).toBe(
      'ACK [5@0] {x} y\n',
    )
  })
})

test('nobody looks where nothing can be hidden', () => {
  expect(
    createView(calls('playlistinfo', 'lsinfo'), 'list', { ...everything, isNarrowed: () => false }),
  ).toBeUndefined()
  expect(createView(calls('outputs', 'albumart x 0'), 'list', local)).toBeUndefined()
})

describe('how loud it is to somebody', () => {
  const quiet: Sight = { ...everything, isNarrowed: () => false, volumeScale: () => scaleOf(40) }
  const seen = (line: string, ...answer: readonly string[]) =>
    through(createView(calls(line), 'single', quiet), lines(...answer)).trimEnd()

  test('is their own 0 to 100, in status and in getvol, and nothing where there is no volume', () => {
    expect(seen('getvol', 'volume: 20', 'OK')).toBe('volume: 50\nOK')
    expect(seen('status', 'volume: 40', 'state: stop', 'OK')).toBe('volume: 100\nstate: stop\nOK')
    expect(seen('status', 'volume: 90', 'OK')).toBe('volume: 100\nOK')
    expect(seen('status', 'volume: -1', 'OK')).toBe('volume: -1\nOK')
    expect(seen('status', 'OK')).toBe('OK')
  })

  test('costs nothing whose volumes are the player’s', () => {
    expect(createView(calls('getvol', 'setvol 1'), 'list', everything)).toBeUndefined()
    expect(createView(calls('volume 5'), 'single', everything, ['volume'])).toBeUndefined()
    expect(createView(calls('tagtypes all'), 'single', everything, ['tagtypes'])).toBeUndefined()
  })
})

test('an error names the command that its client typed, and the place where it stood', () => {
  const view = () =>
    createView(calls('setvol 1', 'setvol 6', 'status'), 'ok-list', everything, ['setvol', 'volume', 'status'])
  expect(through(view(), lines('list_OK', 'ACK [52@1] {setvol} no {mixer}'))).toBe(
    lines('list_OK', 'ACK [52@1] {volume} no {mixer}'),
  )
  expect(through(view(), lines('ACK [52@0] {setvol} no'))).toBe(lines('ACK [52@0] {setvol} no'))
  expect(through(view(), lines('ACK [5@1] {} unknown command {setvol}'))).toBe(
    lines('ACK [5@1] {} unknown command {setvol}'),
  )
})

test('every command whose answer holds addresses, or how loud it is, says so', () => {
  const shown = rows.filter(({ shows }) => shows !== undefined).map(({ name }) => name)
  expect(shown.sort()).toEqual([
    ...[
      'currentsong',
      'find',
      'getvol',
      'list',
      'listall',
      'listallinfo',
      'listfiles',
      'listplaylist',
      'listplaylistinfo',
    ],
    ...['lsinfo'],
    ...['playlist', 'playlistfind', 'playlistid', 'playlistinfo', 'playlistsearch', 'plchanges', 'search'],
    ...['searchplaylist', 'status', 'sticker find'],
  ])
})

// Hidden addresses bear a mark that nothing else does
const value = fc.string({ unit: 'binary', maxLength: 12 }).map((text) => text.replace(/[\p{Cc}\p{Zl}\p{Zp}§]/gu, ''))
const seen = value.map((text) => `local:${text}`)
const unseen = fc.tuple(value, value).map(([a, b]) => `${a}§${b}`)
const uri = fc.oneof(seen, unseen)
const key = fc.constantFrom('Title', 'Artist', 'Name', 'Last-Modified', 'X-AlbumUri', 'Album artist')
const song = fc
  .tuple(uri, fc.array(fc.tuple(key, value), { maxLength: 4 }), fc.boolean(), fc.nat(9))
  .map(([address, tags, echoes, place]) => [
    `file: ${address}`,
    ...tags.map((tag) => tag.join(': ')),
    ...(echoes ? [`Title: see ${address}`] : []),
    `Pos: ${place}`,
    `Id: ${place}`,
  ])
const folder = value.map((text) => [`directory: ${text}`, 'Last-Modified: x'])
const stored = value.map((text) => [`playlist: ${text}`, 'Last-Modified: x'])
const picture = fc
  .uint8Array({ maxLength: 30 })
  .map((piece) => [`size: 99`, `binary: ${piece.length}`, String.fromCharCode(...piece)])
const each = <T>(one: fc.Arbitrary<T[]>) => fc.array(one, { maxLength: 5 }).map((all) => all.flat())
const answered: fc.Arbitrary<{ readonly asked: string; readonly body: readonly string[] }> = fc.oneof(
  fc.record({
    asked: fc.constantFrom('currentsong', 'playlistinfo', 'plchanges 0', 'playlistfind a b'),
    body: each(song),
  }),
  fc.record({
    asked: fc.constant('playlist'),
    body: fc.array(uri, { maxLength: 5 }).map((all) => all.map((address, i) => `${i}:file: ${address}`)),
  }),
  fc.record({
    asked: fc.constantFrom('lsinfo', 'find a b', 'listallinfo', 'listplaylistinfo x', 'searchplaylist x a b'),
    body: each(fc.oneof(song, folder, stored)),
  }),
  fc.record({ asked: fc.constant('status'), body: fc.subarray(['volume: 1', 'song: 1', 'playlist: 2', 'error: x']) }),
  fc.record({ asked: fc.constant('albumart x 0'), body: fc.oneof(picture, fc.constant([])) }),
)
/** Latin-1 for the binary pieces, UTF-8 for the rest. */
function raw(body: readonly string[]): Uint8Array {
  const parts = body.map((line, i) =>
    body[i - 1]?.startsWith('binary: ') ? Uint8Array.from(`${line}\n`, (c) => c.charCodeAt(0)) : bytes(`${line}\n`),
  )
  return join(parts)
}
function join(parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]))
}
const conversation = fc
  .record({
    items: fc.array(answered, { minLength: 1, maxLength: 4 }),
    framing: fc.constantFrom<Framing>('single', 'list', 'ok-list'),
    fails: fc.boolean(),
  })
  .map(({ items: all, framing, fails }) => {
    const items = framing === 'single' ? all.slice(0, 1) : all
    const asked = calls(...items.map((item) => item.asked))
    return { items, framing, asked, end: fails ? 'ACK [50@0] {x} no' : 'OK' }
  })

/** What the player answers when asked like this: in units that are whole lines and pieces. */
function units(framing: Framing, items: readonly { readonly body: readonly string[] }[], end: string): Uint8Array[] {
  const all = items.flatMap(({ body }) => {
    const found: Uint8Array[] = []
    for (let i = 0; i < body.length; i++) {
      const isHead = body[i]?.startsWith('binary: ')
      found.push(raw(body.slice(i, i + (isHead ? 2 : 1))))
      if (isHead) i++
    }
    return framing === 'ok-list' ? [...found, bytes('list_OK\n')] : found
  })
  if (end !== 'OK' && framing === 'ok-list') all.pop()
  return [...all, bytes(`${end}\n`)]
}

function look(view: View | undefined, pieces: readonly Uint8Array[]): Uint8Array {
  return join(view ? pieces.map((piece) => view.push(piece).slice()) : pieces)
}

test('an answer stays an answer, however it is cut, and holds no address that is not to be seen', () => {
  fc.assert(
    fc.property(conversation, fc.array(fc.nat(), { maxLength: 5 }), ({ items, framing, asked, end }, cuts) => {
      const make = () =>
        createView(
          asked,
          framing,
          sight((address) => !address.includes('§')),
        )
      const parts = units(make()?.framing ?? framing, items, end)
      const whole = look(make(), [join(parts)])
      const wanted = framing === 'ok-list' ? { items: asked.length } : {}
      const { out, done } = createReply({ bytes: 1e6, ...wanted }).push(whole)
      expect(done).toBe(true)
      expect(join(out)).toEqual(whole)
      expect(textOf(whole)).not.toContain('§')
      const marks = [...new Set(cuts.map((cut) => cut % (parts.length + 1)))].sort((a, b) => a - b)
      const grouped = [0, ...marks].map((from, i) => join(parts.slice(from, marks[i] ?? parts.length)))
      expect(look(make(), grouped)).toEqual(whole)
      // No entry of the queue is lost, nor one of the library that may be seen
      const count = (text: string, pattern: RegExp) => (text.match(pattern) ?? []).length
      for (const [i, { body }] of items.entries()) {
        const alone = textOf(
          look(
            createView(
              asked.slice(i, i + 1),
              'single',
              sight((u) => !u.includes('§')),
            ),
            [raw(body)],
          ),
        )
        const entries = body.filter((line) => /^(\d+:)?file: /.test(line))
        const left = entries.filter((line) => asked[i]?.operation.shows === 'queue' || !line.includes('§'))
        expect(count(alone, /^(\d+:)?file: /gm)).toBe(left.length)
      }
    }),
    { numRuns: 300 },
  )
})

test('one who may see everything gets the very bytes', () => {
  fc.assert(
    fc.property(conversation, ({ items, framing, asked, end }) => {
      const view = createView(asked, framing, everything)
      const parts = units(view?.framing ?? framing, items, end)
      const plain = units(framing, items, end)
      expect(look(view, parts)).toEqual(join(plain))
    }),
  )
})

test('binary pieces pass untouched, wherever they are cut', () => {
  const piece = bytes('\nfile: http://h/\nlist_OK\nOK\n')
  const answer = join([bytes(`size: 99\nbinary: ${piece.length}\n`), piece, bytes('\nlist_OK\nfile: x\nlist_OK\nOK\n')])
  const head = answer.indexOf(0x0a, 9) + 1
  for (let cut = head; cut <= head + piece.length; cut++) {
    const view = createView(calls('albumart x 0', 'lsinfo'), 'ok-list', local)
    expect(look(view, [answer.slice(0, cut), answer.slice(cut)])).toEqual(
      join([answer.slice(0, head), piece, bytes('\nlist_OK\nlist_OK\nOK\n')]),
    )
  }
})
