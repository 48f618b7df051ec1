import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createCall } from '../../../src/call/call.ts'
import { Fault } from '../../../src/call/fault.ts'
import { decode, encode, type MpdRequest } from '../../../src/protocol/mpd/decode.ts'
import { hasControls, tokenize } from '../../../src/protocol/mpd/token.ts'
import { requestsOf, rows } from './arbitrary.ts'

const bytes = (line: string) => new TextEncoder().encode(line)
const parse = (line: string): MpdRequest => decode(tokenize(bytes(line)))
const plain = (args: MpdRequest['args']) => JSON.parse(JSON.stringify(args))

function faultOf(action: () => unknown): string {
  try {
    action()
  } catch (error) {
    if (error instanceof Fault) return error.code
    throw error
  }
  return 'none'
}

function callOf(line: string) {
  return createCall(
    { id: 'r', by: { kind: 'anonymous', from: 'here' }, door: 'mpd', player: 'home', at: 0 },
    parse(line),
  )
}

describe('every row', () => {
  test.each(rows.filter((row) => row.refused === undefined).map((row) => [row.name, row] as const))(
    '%s is what it was when printed and read again, on exactly one line',
    (_, row) => {
      fc.assert(
        fc.property(requestsOf(row), (request) => {
          const line = encode(request)
          expect(line.match(/\n/g)).toHaveLength(1)
          expect(hasControls(line.slice(0, -1))).toBe(false)
          const again = parse(line.slice(0, -1))
          expect(again.operation).toBe(request.operation)
          expect(plain(again.args)).toEqual(plain(request.args))
          expect(encode(again)).toBe(line)
        }),
        { numRuns: 40 },
      )
    },
  )
})

describe('quoting', () => {
  test.each([
    ['setvol 5', 'setvol "5"\n'],
    ['setvol\t \t5  ', 'setvol "5"\n'],
    ['add a\\b', 'add "a\\\\b"\n'],
    ['add "a\\"b\\\\c"', 'add "a\\"b\\\\c"\n'],
    ['add "caf\u00e9\u00a0bleu"', 'add "caf\u00e9\u00a0bleu"\n'],
    ['lsinfo ""', 'lsinfo ""\n'],
    ['play -1', 'play "-1"\n'],
    ['list Album "X Y"', 'list "Album" "artist" "X Y"\n'],
    [
      'find "((artist == \'a\\"b\') AND (!(base \\"x\\")))"',
      'find "((artist == \\"a\\\\\\"b\\") AND (!(base \\"x\\")))"\n',
    ],
    ['tagtypes clear', 'tagtypes clear\n'],
    ['binarylimit 5242880', 'binarylimit "1048576"\n'],
    ['seekcur 123.45600000000002', 'seekcur "123.45600000000002"\n'],
    ['mixrampdelay -1', 'mixrampdelay "-1"\n'],
    ['sticker find filter "(artist==\'x\')" r', 'sticker find "filter" "(artist == \\"x\\")" "r"\n'],
    ['close', 'close\n'],
  ])('M1 · %s goes on in our own words', (line, forwarded) => {
    expect(encode(parse(line))).toBe(forwarded)
  })

  test.each(['add a""b', 'add "a"b', 'add "a" "b', 'add "a\\"', "add 'a b'", "add it's", 'add a"b"'])(
    'M1 · %s is refused as wrong quoting',
    (line) => {
      expect(faultOf(() => parse(line))).toBe('malformed')
    },
  )

  test('a command that quoting would make too long for a player is refused before it is admitted', () => {
    const line = `sendmessage x "${'\\\\'.repeat(2000)}"`
    expect(faultOf(() => parse(line))).toBe('none')
    expect(faultOf(() => parse(`sticker set song ${'\\'.repeat(3000)} ${'\\'.repeat(3000)} x`))).toBe('bad-arguments')
  })

  test('64 arguments pass, 65 and an argument of 4,097 bytes do not', () => {
    expect(faultOf(() => parse(`tagtypes enable ${'x '.repeat(63)}`))).toBe('none')
    expect(faultOf(() => parse(`tagtypes enable ${'x '.repeat(64)}`))).toBe('bad-arguments')
    expect(faultOf(() => parse(`add ${'x'.repeat(4096)}`))).toBe('none')
    expect(faultOf(() => parse(`add ${'x'.repeat(4097)}`))).toBe('bad-arguments')
  })
})

describe('trap m: what MPD and Mopidy-MPD read differently', () => {
  test.each([
    ...[
      'setvol 1_0',
      'setvol \u0661\u0665',
      'setvol " 12 "',
      'setvol 300',
      'setvol -5',
      'setvol +30',
      'setvol 4294967346',
    ],
    ...['seekcur abc', 'seekcur nan', 'seekcur inf', 'seekcur 1e9', 'seek 0 nan', 'volume 1_0', 'volume 101'],
    ...[
      'playlistinfo abc',
      'playlistinfo 5:2',
      'playlistinfo 5:5',
      'playlistinfo :',
      'delete -1',
      'play 1.5',
      'play -2',
    ],
    ...['random 2', 'random true', 'crossfade -1', 'idle nonsense', 'sendmessage "a b" c', 'binarylimit 9999999'],
  ])('%s is refused here', (line) => {
    expect(faultOf(() => parse(line))).toBe('bad-arguments')
  })

  test.each(['setvol 0', 'setvol 100', 'playlistinfo 5:6', 'playlistinfo 5:', 'playlistinfo "-1"', 'seekcur +2.5'])(
    '%s passes',
    (line) => {
      expect(faultOf(() => parse(line))).toBe('none')
    },
  )
})

describe('what is asked for', () => {
  test.each([
    ['play', 'playback.control'],
    ['play -1', 'playback.control'],
    ['play 3', 'playback.skip'],
    ['play -1 3', 'playback.skip'],
    ['playid', 'playback.control'],
    ['playid 0', 'playback.skip'],
    ['seek 3 0', 'playback.skip'],
    ['seekcur 3', 'playback.control'],
    ['sticker get song a b', 'library.read'],
    ['sticker set song a b c', 'playlists.edit'],
    ['ping', 'anyone'],
    ['tagtypes clear', 'signed-in'],
    ['kill', 'server.admin'],
    ['clear', 'queue.clear'],
  ])('%s needs %s', (line, capability) => {
    expect(callOf(line).capability).toBe(capability)
  })

  test.each([
    ['setvol 61', { volume: [61] }],
    ['volume +5', {}],
    ['add http://h/x', { uri: ['http://h/x'] }],
    ['addid file:///etc/passwd 0', undefined],
    ['playlistadd mine local:track:x', { playlist: ['mine'], uri: ['local:track:x'] }],
    ['load mine', { playlist: ['mine'] }],
    ['rename a b', { playlist: ['a', 'b'] }],
    ['lsinfo', {}],
    ['lsinfo /', { uri: [] }],
    ['add ""', { uri: [] }],
    ['find artist x', { uri: [] }],
    ['find FILE http://h/x artist y', { uri: ['http://h/x'] }],
    ["search \"(!((artist == 'x') AND (base 'a/b')))\" window 0:5", { uri: ['a/b'] }],
    ['findadd "(filename contains \'x\')"', {}],
    ['searchadd "(!(file == \'local:x\'))"', {}],
    ['sticker get song a/b rating', { uri: ['a/b'] }],
    ['sticker get playlist mix rating', { uri: ['mix'] }],
    ['sticker get unheard of rating', { uri: ['of'] }],
    ['sticker find song "" rating', { uri: [] }],
    ['sticker get Album "/\\\\ /\\\\ Y /\\\\" rating', { uri: [] }],
    ["sticker get filter \"((artist == 'x') AND (base 'a/b'))\" rating", { uri: ['a/b'] }],
    ['enableoutput 0', { output: ['0'] }],
  ])('%s touches what it touches', (line, touches) => {
    if (touches) expect(callOf(line).touches).toEqual(touches)
    else expect(callOf(line).touches.uri).toEqual(['file:///etc/passwd'])
  })

  test.each([
    ...['listfiles ../x', 'albumart a/../../x 0', 'albumart a/%2e%2e/x 0', 'lsinfo /etc', 'readpicture "a\ufeff" 0'],
    ...[
      'find base ..',
      'search "(base \'../x\')"',
      'sticker get song ../x y',
      'sticker get filter "(base \'../x\')" y',
      'update ..',
      'playlistadd x /etc/passwd',
    ],
  ])('M12 · %s leaves the library and is refused', (line) => {
    expect(faultOf(() => callOf(line))).toBe('bad-arguments')
  })

  test.each([
    'load http://h/x',
    'load a/b',
    'load ..',
    'listplaylist file:///x',
    'listplaylistinfo http://h/',
    'rm a\\b',
  ])('M13 · %s names no playlist', (line) => {
    expect(faultOf(() => parse(line))).toBe('bad-arguments')
  })
})

describe('M11 · what is not in the catalog', () => {
  test.each(['frobnicate', 'constructor', 'valueof x', 'command_list_end', 'noidle x', 'hasownproperty'])(
    '%s does not exist',
    (line) => {
      expect(faultOf(() => parse(line))).toBe('unknown-operation')
    },
  )

  test.each([
    'sticker',
    'sticker frob song x',
    'sticker get',
    'sticker get filter x y',
    'tagtypes frob',
    'ping x',
    'setvol',
  ])('%s has no such form', (line) => {
    expect(faultOf(() => parse(line))).toBe('bad-arguments')
  })

  test('a refused command says why, whatever its arguments, and is never printed', () => {
    for (const line of ['newpartition', 'newpartition a b c', 'delpartition x', 'moveoutput y']) {
      expect(callOf(line).refused).toBeTruthy()
      expect(faultOf(() => encode(parse(line)))).toBe('internal')
    }
  })

  test('a request of another catalog is not printed', () => {
    const forged = { operation: { ...parse('ping').operation, name: 'rm -rf' }, args: {} }
    expect(faultOf(() => encode(forged))).toBe('internal')
  })

  test('an argument with a line break is not printed, however it came to be', () => {
    const { operation } = parse('sendmessage a b')
    for (const text of ['x\nkill', 'x\rkill', 'x\0', 'x\u2028y', 'x\u0085y', '\ud800']) {
      expect(faultOf(() => encode({ operation, args: { channel: 'a', text } }))).toBe('bad-arguments')
    }
  })
})

describe('filter expressions', () => {
  test.each([
    ['( artist  ==  "x" )', '(artist == "x")'],
    ['((artist == "x"))', '(artist == "x")'],
    ["(artist CONTAINS 'x')", '(artist contains "x")'],
    ["((a == 'x')AND(b != 'y') AND (c =~ 'z'))", '((a == "x") AND (b != "y") AND (c =~ "z"))'],
    ['(prio >= 42)', '(prio >= 42)'],
    ["(!(!(any starts_with '\\'')))", '(!(!(any starts_with "\'")))'],
  ])('%s is parsed and printed anew', (expression, printed) => {
    const quoted = (text: string) => `"${text.replace(/[\\"]/g, '\\$&')}"`
    expect(encode(parse(`find ${quoted(expression)}`))).toBe(`find ${quoted(printed)}\n`)
  })

  test.each([
    ...[
      '(',
      '()',
      '(artist)',
      "(artist == 'x'",
      "(artist == 'x') x",
      '(artist == x)',
      "(artist = 'x')",
      "((a == 'x') OR (b == 'y'))",
    ],
    ...[
      "(! artist == 'x')",
      "((a == 'x') AND)",
      "(base == 'x')",
      "(artist 'x')",
      "(artist contains'x')",
      `${'('.repeat(17)}a == 'x'${')'.repeat(17)}`,
    ],
  ])('%s is none', (expression) => {
    expect(faultOf(() => parse(`find "${expression}"`))).toBe('bad-arguments')
  })

  test('modifiers are read only behind the terms, in the order of MPD', () => {
    expect(encode(parse('find artist sort sort -Date window 0:9'))).toBe(
      'find "artist" "sort" "sort" "-Date" "window" "0:9"\n',
    )
    for (const line of ['find sort x', 'find artist x window 0:9 sort Date', 'find artist', 'find artist x window']) {
      expect(faultOf(() => parse(line))).toBe('bad-arguments')
    }
  })

  test('no expression of any shape makes the parser throw anything but a fault', () => {
    const piece = fc.constantFrom('(', ')', '!', ' AND ', 'artist', ' == ', "'x'", '"y"', '\\', ' ', 'base ', '>=', '7')
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        expect(['none', 'bad-arguments']).toContain(faultOf(() => decode(['find', `(${pieces.join('')}`])))
      }),
    )
  })
})

describe('every form that MPD’s reference has', () => {
  test.each([
    ...['add a/b', 'add a/b 3', 'add a/b +0', 'addid a -1', 'addtagid 1 Title x', 'cleartagid 1', 'cleartagid 1 Title'],
    ...[
      'albumart a 0',
      'readpicture a 8192',
      'binarylimit 64',
      'binarylimit 8384512',
      'channels',
      'clear',
      'clearerror',
    ],
    ...[
      'consume 0',
      'consume oneshot',
      'single oneshot',
      'count title x',
      'count group artist',
      'count title x group artist',
    ],
    ...[
      'crossfade 5',
      'currentsong',
      'decoders',
      'delete 3',
      'delete 3:5',
      'delete 3:',
      'deleteid 7',
      'disableoutput 0',
    ],
    ...[
      'find artist x',
      'find artist x album y',
      'find "(artist == \'x\')" sort -Date window 0:5',
      'find "(a == \'b\')" title x',
    ],
    ...[
      'findadd artist x sort Title window 0:5 position +1',
      'searchadd any x position 0',
      'searchaddpl p any x sort Title',
    ],
    ...[
      'searchaddpl p any x window 0:5 position 3',
      'getfingerprint a',
      'getvol',
      'idle',
      'idle player mixer',
      'kill',
      'config',
    ],
    ...[
      'list album',
      'list album x',
      'list album artist x',
      'list album group albumartist',
      'list file',
      'list file base a',
    ],
    ...[
      'list title artist x group album group date',
      'list album "(artist == \'x\')" group date window 0:10',
      'listall',
    ],
    ...[
      'listall a',
      'listallinfo',
      'listallinfo a',
      'listfiles',
      'listfiles a',
      'listmounts',
      'listneighbors',
      'lsinfo a',
    ],
    ...[
      'listplaylist p',
      'listplaylist p 0:5',
      'listplaylistinfo p 3:',
      'listplaylists',
      'load p',
      'load p 0:5',
      'load p 0: +0',
    ],
    ...[
      'mixrampdb -17.5',
      'mixrampdelay nan',
      'mount a nfs://h/x',
      'unmount a',
      'move 3 5',
      'move 3:5 +1',
      'moveid 3 -0',
    ],
    ...[
      'next',
      'previous',
      'stop',
      'outputs',
      'outputset 0 dop 1',
      'toggleoutput 1',
      'enableoutput 2',
      'pause',
      'pause 1',
    ],
    ...['play', 'play 3', 'play -1', 'playid 3', 'playlist', 'playlistadd p a', 'playlistadd p a 3', 'playlistclear p'],
    ...[
      'playlistdelete p 3',
      'playlistdelete p 3:5',
      'playlistfind artist x sort prio window 0:5',
      'playlistid',
      'playlistid 3',
    ],
    ...['playlistinfo', 'playlistinfo 3', 'playlistinfo 3:5', 'playlistinfo 3:', 'playlistinfo -1', 'playlistlength p'],
    ...[
      'playlistmove p 3 5',
      'playlistmove p 3:5 0',
      'playlistsearch any x',
      'playlistsearch "(prio >= 5)" sort -prio',
    ],
    ...[
      'plchanges 0',
      'plchanges -1',
      'plchanges 5 0:10',
      'plchangesposid 5 3:',
      'prio 5 3',
      'prio 5 0:3 7:9',
      'prioid 5 1 2 3',
    ],
    ...[
      'protocol',
      'protocol all',
      'protocol available',
      'protocol clear',
      'protocol disable a b',
      'protocol enable a',
    ],
    ...['random 1', 'repeat 0', 'rangeid 3 :', 'rangeid 3 1.5:', 'rangeid 3 :2.5', 'rangeid 3 1:2', 'readcomments a'],
    ...[
      'rename p q',
      'replay_gain_mode auto',
      'replay_gain_status',
      'rescan',
      'rescan a',
      'update',
      'update ""',
      'rm p',
    ],
    ...['save p', 'save p create', 'save p append', 'save p replace', 'search any x', 'searchcount any x group album'],
    ...[
      'searchplaylist p artist x',
      'searchplaylist p "(artist == \'x\')" window 0:5',
      'seek 3 1.5',
      'seekid 3 12',
      'seekcur -3',
    ],
    ...[
      'sendmessage c x',
      'readmessages',
      'subscribe c',
      'unsubscribe c',
      'setvol 5',
      'volume -5',
      'shuffle',
      'shuffle 3:5',
    ],
    ...[
      'stats',
      'status',
      'sticker get song a n',
      'sticker set song a n v',
      'sticker delete song a',
      'sticker delete song a n',
    ],
    ...[
      'sticker list song a',
      'sticker find song "" n',
      'sticker find song a n = v',
      'sticker find song a n > v sort value_int',
    ],
    ...['sticker find song a n sort -uri window 0:5', 'sticker find song a n starts_with v sort value window 3:'],
    ...['sticker inc song a n 1', 'sticker dec song a n 1', 'sticker set Album x n v', 'sticker find playlist "" n'],
    ...['sticker get filter "(artist == \'x\')" n', 'sticker find filter "" n', 'stickernames', 'stickertypes'],
    ...['stickernamestypes', 'stickernamestypes song', 'stickernamestypes filter', 'stringnormalization'],
    ...['stringnormalization all', 'stringnormalization available', 'stringnormalization enable strip_diacritics'],
    ...['stringnormalization disable strip_diacritics', 'stringnormalization clear', 'swap 1 2', 'swapid 1 2'],
    ...['tagtypes', 'tagtypes all', 'tagtypes clear', 'tagtypes disable Artist Album', 'tagtypes enable Artist'],
    ...['tagtypes available', 'tagtypes reset Artist', 'urlhandlers', 'ping', 'close', 'commands', 'notcommands'],
    ...['listpartitions', 'partition x', 'password x'],
  ])('%s', (line) => {
    const request = parse(line)
    expect(decode(tokenize(bytes(encode(request).slice(0, -1))))).toEqual(request)
  })

  test.each([
    ...['==', '!=', '=~', '!~', 'contains', '!contains', 'contains_cs', '!contains_cs', 'contains_ci', '!contains_ci'],
    ...['starts_with', '!starts_with', 'starts_with_cs', '!starts_with_cs', 'starts_with_ci', '!starts_with_ci'],
    ...['eq_cs', '!eq_cs', 'eq_ci', '!eq_ci'],
  ])('the operator %s', (operator) => {
    expect(encode(parse(`find "(artist ${operator} 'x')"`))).toBe(`find "(artist ${operator} \\"x\\")"\n`)
  })
})
