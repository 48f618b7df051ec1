import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Fault } from '../../../src/call/fault.ts'
import { createReply, type ReplyLimits } from '../../../src/protocol/mpd/reply.ts'

const bytes = (text: string) => Uint8Array.from(text, (c) => c.charCodeAt(0))
const textOf = (chunks: readonly Uint8Array[]) => chunks.map((c) => String.fromCharCode(...c)).join('')

/** What a client gets of an answer that arrives in the given pieces. */
function answer(pieces: readonly string[], limits: ReplyLimits = { bytes: 1e6 }): { text: string; done: boolean } {
  const reply = createReply(limits)
  let text = ''
  let done = false
  for (const piece of pieces) {
    const got = reply.push(bytes(piece))
    text += textOf(got.out)
    done = got.done
  }
  return { text, done }
}

function fails(pieces: readonly string[], limits?: ReplyLimits): string {
  try {
    answer(pieces, limits)
  } catch (error) {
    if (error instanceof Fault) return error.code
    throw error
  }
  return 'none'
}

const picture = `size: 20\ntype: image/png\nbinary: 12\n\0OK\nACK [5@0]`.slice(0, -2)

describe('an answer that is one', () => {
  test.each([
    ['OK\n'],
    ['volume: 40\nrepeat: 0\nOK\n'],
    ['0:file: local:track:a.mp3\nOK\n'],
    ['Title: \nfile: a\tb\nAlbum artist: x\nOK\n'],
    ['ACK [50@0] {load} No such playlist\n'],
    ['size: 10\nbinary: 10\n\0OK\nlist_\n\nOK\n'],
    ['binary: 0\n\nOK\n'],
  ])('%j passes unchanged, however it is cut', (whole) => {
    expect(answer([whole])).toEqual({ text: whole, done: true })
    expect(answer([...whole])).toEqual({ text: whole, done: true })
    fc.assert(
      fc.property(fc.nat(whole.length), (cut) => {
        expect(answer([whole.slice(0, cut), whole.slice(cut)])).toEqual({ text: whole, done: true })
      }),
    )
  })

  test('an ok list ends after as many list_OK as it had commands', () => {
    const whole = 'a: b\nlist_OK\nlist_OK\nOK\n'
    expect(answer([whole], { bytes: 100, items: 2 })).toEqual({ text: whole, done: true })
    expect(fails(['list_OK\nOK\n'], { bytes: 100, items: 2 })).toBe('player-unreachable')
    expect(fails(['list_OK\nlist_OK\nlist_OK\n'], { bytes: 100, items: 2 })).toBe('player-unreachable')
    expect(fails(['list_OK\nOK\n'])).toBe('player-unreachable')
    expect(answer(['list_OK\nACK [2@1] {x} no\n'], { bytes: 100, items: 2 }).done).toBe(true)
  })

  test('only whole lines and whole pieces go out', () => {
    expect(answer(['a: b\nc: ']).text).toBe('a: b\n')
    expect(answer([picture]).text).toBe('size: 20\ntype: image/png\n')
  })
})

describe('Mopidy’s illegal error code', () => {
  test.each([
    ['ACK [0@0] {sticker} Not implemented', 'ACK [5@0] {sticker} Not implemented'],
    ['ACK [0@3] {save} Backend failed', 'ACK [52@3] {save} Backend failed'],
    ['ACK [2@0] {None} incorrect arguments', 'ACK [2@0] {} incorrect arguments'],
    ['ACK [5@0] {x: y} z', undefined],
  ])('%s', (sent, got) => {
    if (got === undefined) expect(fails([`${sent}\n`])).toBe('player-unreachable')
    else expect(answer([`a: b\n${sent}\n`])).toEqual({ text: `a: b\n${got}\n`, done: true })
  })
})

describe('M7 · an answer that would leave client and player out of step', () => {
  test.each([
    ['bytes after its end', ['name: x\nOK\nOK\n']],
    ['bytes after an error', ['ACK [5@0] {x} y\nOK\n']],
    ['bytes after its end, later', ['OK\n', 'OK\n']],
    ['half a line after its end', ['OK\nfi']],
    ['a line without key', ['sticker x\nOK\n']],
    ['an empty line', ['\nOK\n']],
    ['a greeting', ['OK MPD 0.23.5\n']],
    ['a carriage return', ['a: b\r\nOK\n']],
    ['a NUL', ['a: b\0c\nOK\n']],
    ['an escape sequence', ['Title: \u001b[2J\nOK\n']],
    ['HTML', ['<html>\n']],
    ['an ACK without code', ['ACK no\n']],
  ])('%s is a fault', (_, pieces) => {
    expect(fails(pieces)).toBe('player-unreachable')
  })
})

describe('M8 · binary pieces', () => {
  test.each([
    ['a size that is too small', 'binary: 2\nabcde\nOK\n'],
    ['a size that is no number', 'binary: x\n'],
    ['a negative size', 'binary: -1\n'],
    ['a size beyond the cap', 'binary: 1048577\n'],
  ])('%s is a fault', (_, sent) => {
    expect(fails([sent])).toBe('player-unreachable')
  })

  test('a piece that nobody asked for is a fault, as a client would read it as text', () => {
    const title = bytes('file: a\nTitle: x\nbinary: 3\nOK\n\nOK\n')
    expect(() => createReply({ bytes: 1e6, pieces: 0 }).push(title)).toThrow('a binary piece where none belongs')
    const two = bytes('size: 2\nbinary: 1\nx\nbinary: 3\nOK\n\nOK\n')
    expect(() => createReply({ bytes: 1e6, pieces: 1 }).push(two)).toThrow('a binary piece where none belongs')
  })

  test('a size that is too large swallows no end: nothing of the piece goes out', () => {
    expect(answer(['size: 3\nbinary: 300\nabc\nOK\n'])).toEqual({ text: 'size: 3\n', done: false })
  })
})

test('an answer longer than it may be is a fault', () => {
  expect(fails(['a: b\n'.repeat(3)], { bytes: 10 })).toBe('player-unreachable')
  expect(fails(['x'.repeat(2 ** 20 + 1)], { bytes: 1e9 })).toBe('player-unreachable')
})

test('no bytes make it throw anything but a fault, nor pass on a control character outside a piece', () => {
  const word = fc.constantFrom(
    'OK\n',
    'list_OK\n',
    'a: b\n',
    'binary: 3\n',
    'ACK [0@0] {x} ',
    '\n',
    '\0',
    'abc',
    ': ',
    '\xff',
  )
  fc.assert(
    fc.property(fc.array(word, { maxLength: 12 }), (pieces) => {
      expect(['none', 'player-unreachable']).toContain(fails(pieces))
    }),
    { numRuns: 500 },
  )
})

/** What an answer comes to, written to be read rather than to be quick: the text for the client, and whether it ended. */
function reference(sent: string, items?: number): { text: string; done: boolean } | 'fault' {
  let [text, rest, oks] = ['', sent, 0]
  for (;;) {
    const line = /^([^\n]*)\n/.exec(rest)?.[1]
    const [upToLine = ''] = rest.split('\n', 1)
    if ([...upToLine].some((c) => c < ' ' && c !== '\t')) return 'fault'
    if (line === undefined) return { text, done: false }
    rest = rest.slice(line.length + 1)
    if (line.startsWith('binary: ')) {
      const size = /^binary: (\d{1,8})$/.exec(line)?.[1]
      if (size === undefined || Number(size) > 2 ** 20) return 'fault'
      if (rest.length <= Number(size)) return { text, done: false }
      if (rest[Number(size)] !== '\n') return 'fault'
      text += `${line}\n${rest.slice(0, Number(size) + 1)}`
      rest = rest.slice(Number(size) + 1)
    } else if (/^.+?: /.test(line) && !line.startsWith('ACK [')) {
      text += `${line}\n`
    } else if (line === 'list_OK' && items !== undefined && oks < items) {
      text += `${line}\n`
      oks++
    } else if (line === 'OK' ? items === undefined || oks === items : /^ACK \[\d{1,3}@\d{1,4}\] \{\w*\} /.test(line)) {
      const read = new TextEncoder().encode(new TextDecoder().decode(bytes(line)).replace(/\p{Cc}/gu, ' '))
      const told = textOf([read])
        .replace(/^ACK \[0@/, 'ACK [52@')
        .replace(/^(ACK \[\d+@\d+\] \{)None\}/, '$1}')
      return rest === '' ? { text: `${text}${told}\n`, done: true } : 'fault'
    } else return 'fault'
  }
}

test('it is read as it stands written, whatever comes, however it is cut', () => {
  const word = fc.constantFrom(
    ...[
      'OK\n',
      'list_OK\n',
      'a: b\n',
      'Title: OK\n',
      'binary: 3\n',
      'binary: 0\n',
      'ACK [0@0] {x} ',
      'ACK [5@1] {None} y\n',
    ],
    ...['\n', '\0', '\t', '\r\n', 'abc', ': ', ':', ' ', '\xff', 'binary: ', 'x\n', 'x: ', 'ACK ['],
  )
  const answers = fc.oneof(
    fc.array(word, { maxLength: 14 }).map((words) => words.join('')),
    fc.uint8Array({ maxLength: 20 }).map((all) => String.fromCharCode(...all)),
  )
  fc.assert(
    fc.property(answers, fc.option(fc.nat(3), { nil: undefined }), fc.array(fc.nat()), (sent, items, cuts) => {
      const marks = [...new Set(cuts.map((cut) => cut % (sent.length + 1)))].sort((a, b) => a - b)
      const pieces = [0, ...marks].map((from, i) => sent.slice(from, marks[i] ?? sent.length))
      const limits = { bytes: 1e6, ...(items !== undefined && { items }) }
      const wanted = reference(sent, items)
      if (wanted === 'fault') expect(fails(pieces, limits)).toBe('player-unreachable')
      else expect(answer(pieces, limits)).toEqual(wanted)
    }),
    { numRuns: 5000 },
  )
})

test('a chunk may be used again when what came of it is out', () => {
  const whole = bytes('a: b\nc: d\nbinary: 4\n\nOK\n\nTitle: x\nOK\n')
  for (let cut = 1; cut < whole.length; cut++) {
    const reply = createReply({ bytes: 1e6 })
    const got = [whole.slice(0, cut), whole.slice(cut)].map((chunk) => {
      const text = textOf(reply.push(chunk).out)
      chunk.fill(0)
      return text
    })
    expect(got.join('')).toBe(textOf([whole]))
  }
})
