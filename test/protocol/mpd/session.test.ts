import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Fault } from '../../../src/call/fault.ts'
import { ack } from '../../../src/protocol/mpd/ack.ts'
import { encode } from '../../../src/protocol/mpd/decode.ts'
import { createSession, type SessionOptions, type Step } from '../../../src/protocol/mpd/session.ts'
import { hasControls } from '../../../src/protocol/mpd/token.ts'
import { requestsOf, rows } from './arbitrary.ts'

const bytes = (text: string) => Uint8Array.from(text, (c) => c.charCodeAt(0))

/** A step in short: what would be forwarded, or what the client is told. */
function short(step: Step): string {
  switch (step.kind) {
    case 'command':
    case 'idle':
      return `${step.kind === 'idle' ? 'idle! ' : ''}${encode(step.request).trimEnd()}`
    case 'list':
      return `${step.ok ? 'ok-' : ''}list[${step.requests.map((request) => encode(request).trimEnd()).join(', ')}]`
    case 'fault':
      return `${ack(step.fault, step.command, step.index).trimEnd()}${step.close ? ' (close)' : ''}`
    default:
      return step.kind
  }
}

/** Everything that comes of the text; an idle is answered as soon as the client asks it to end. */
function steps(text: string, options?: SessionOptions): string[] {
  const session = createSession(options)
  session.push(bytes(text))
  const found: string[] = []
  for (let step = session.next(); step; step = session.next()) {
    found.push(short(step))
    if (step.kind === 'noidle') session.wake()
  }
  return found
}

describe('lines', () => {
  test('come one at a time, whole, whatever pieces they arrive in', () => {
    const session = createSession()
    session.push(bytes('sta'))
    expect(session.next()).toBeUndefined()
    session.push(bytes('tus\r\nping\nsetv'))
    expect(session.pendingBytes).toBe(17)
    expect(session.next()).toMatchObject({ kind: 'command', request: { operation: { name: 'status' } } })
    expect(session.pendingBytes).toBe(9)
    expect(session.next()).toMatchObject({ kind: 'command', request: { operation: { name: 'ping' } } })
    expect(session.next()).toBeUndefined()
    session.push(bytes('ol 5\n'))
    expect(session.next()).toMatchObject({ request: { args: { level: 5 } } })
  })

  test('a pushed buffer may be used again', () => {
    const session = createSession()
    const buffer = bytes('status\n')
    session.push(buffer)
    buffer.fill(0)
    expect(session.next()).toMatchObject({ kind: 'command' })
  })

  test('M5 · what is pipelined behind password waits until it is asked for', () => {
    const session = createSession()
    session.push(bytes('password wrong\nclear\npassword right\nclear\n'))
    expect(session.next()).toMatchObject({ request: { operation: { name: 'password' }, args: { password: 'wrong' } } })
    expect(session.pendingBytes).toBe(bytes('clear\npassword right\nclear\n').length)
    expect(session.next()).toMatchObject({ request: { operation: { name: 'clear' } } })
  })

  test('a line of 8,191 bytes is read, a longer one ends the connection, with its LF or without', () => {
    const args = (length: number) => `tagtypes enable ${'x '.repeat(9)}`.padEnd(length, ' ')
    expect(steps(`${args(8191)}\n`)).toHaveLength(1)
    for (const end of ['', '\n', '\nping\n']) {
      expect(steps(`${args(8192)}${end}`)).toEqual(['ACK [5@0] {} Command too long (close)'])
    }
  })
})

describe('M2 · bytes that players read differently end the connection, and nothing behind them is read', () => {
  test.each([
    ['a NUL', 'ping\0clear'],
    ['a control character as a separator', 'setvol\u000121'],
    ['a vertical tab', 'setvol\u000b21'],
    ['a file separator', 'setvol\u001c21'],
    ['a lone CR', 'ping\rclear'],
    ['two CRs', 'ping\r\r'],
    ['a DEL', 'add x\x7f'],
    ['a tab inside quotes', 'add "a\tb"'],
    ['a NUL inside quotes', 'add "a\0b"'],
    ['invalid UTF-8', 'add \xff\xfe'],
    ['half a character', 'add \xe2\x80'],
    ['an overlong slash', 'add ..\xc0\xaf'],
    ['a surrogate', 'add \xed\xa0\x80'],
    ['NBSP', 'setvol\xc2\xa022'],
    ['NBSP behind the command', 'ping\xc2\xa0'],
    ['NBSP behind an argument', 'setvol 22\xc2\xa0'],
    ['NBSP behind a quote', 'setvol "22"\xc2\xa0'],
    ['an em space', 'setvol\xe2\x80\x8322'],
    ['NEL', 'setvol\xc2\x8522'],
    ['a line separator', 'add "a\xe2\x80\xa8b"'],
    ['a byte order mark between', 'setvol \xef\xbb\xbf22'],
    ['upper case in the command', 'setVol 5'],
    ['a quote in the command', 'set"vol" 5'],
  ])('%s', (_, line) => {
    const found = steps(`${line}\nstatus\n`)
    expect(found).toHaveLength(1)
    expect(found[0]).toMatch(/^ACK \[5@0\] \{\w*\} .* \(close\)$/)
  })
})

test.each([
  'POST / HTTP/1.1\r\n',
  '\n',
  ' status\n',
  '"status"\n',
  '\x16\x03\x01',
  'Z',
  '{"jsonrpc"',
  '\xef\xbb\xbfping\n',
  '\r\n',
])('M14 · %j is no word of this protocol: the connection ends without an answer, at the first byte', (text) => {
  expect(steps(`${text}\nping\n`)).toEqual(['end'])
  expect(steps(text.slice(0, 1))).toEqual(['end'])
  expect(steps(`ping\n${text}status\n`)).toEqual(['ping', 'end'])
})

describe('M3 · command lists', () => {
  test('are one step, when they are complete', () => {
    expect(steps('command_list_begin\nstatus\nsetvol 5\n')).toEqual([])
    expect(steps('command_list_begin\nstatus\nsetvol 5\ncommand_list_end\nping\n')).toEqual([
      'list[status, setvol "5"]',
      'ping',
    ])
    expect(steps('command_list_ok_begin\nstatus\ncommand_list_end\n')).toEqual(['ok-list[status]'])
    expect(steps('command_list_begin\ncommand_list_end\n')).toEqual(['list[]'])
  })

  test('begin and end also with trailing blanks, as MPD reads them', () => {
    expect(steps('command_list_begin \t\r\nkill\ncommand_list_end  \nping\n')).toEqual(['list[kill]', 'ping'])
    expect(steps('command_list_ok_begin\t\nkill\ncommand_list_end\t\n')).toEqual(['ok-list[kill]'])
  })

  test.each([
    ['an unknown command', 'frob', 'ACK [5@1] {} unknown command "frob"'],
    ['a bad argument', 'setvol 101', 'ACK [2@1] {setvol} Volume from 0 to 100 expected: 101'],
    ['wrong quoting', 'add "x', "ACK [5@1] {} Missing closing '\"'"],
    ...['idle', 'password x', 'close', 'commands', 'notcommands', 'partition x', 'listpartitions'].map((line) => {
      const word = line.split(' ')[0] ?? ''
      return [line, line, `ACK [5@1] {} "${word}" cannot be part of a command list`] as [string, string, string]
    }),
    ['a list in a list', 'command_list_begin', 'ACK [5@1] {} "command_list_begin" cannot be part of a command list'],
  ])('with %s are answered once, at its position, when they end', (_, line, told) => {
    const found = steps(`command_list_ok_begin\nstatus\n${line}\nfrob again\nclear\ncommand_list_end\nping\n`)
    expect(found).toEqual([told, 'ping'])
  })

  test('of 2,048 commands pass, of 2,049 end the connection', () => {
    const list = (size: number) => `command_list_begin\n${'status\n'.repeat(size)}command_list_end\nping\n`
    expect(steps(list(2048))).toHaveLength(2)
    expect(steps(list(2049))).toEqual(['ACK [5@2048] {} more than 2048 commands in a list (close)'])
    expect(steps(list(2049).replace('status', 'frob'))).toHaveLength(1)
  })

  test('of more than 2 MiB end the connection', () => {
    const line = `add ${'x'.repeat(4000)}\n`
    expect(steps(`command_list_begin\n${line.repeat(530)}`)).toEqual(['ACK [5@523] {} command list too large (close)'])
  })

  test('that may not be kept are read to their end, dropped and answered once', () => {
    const found = steps('ping\ncommand_list_begin\nping\nclear\ncommand_list_end\nping\n', { mayList: () => false })
    expect(found).toEqual([
      'ping',
      'ACK [4@0] {command_list_begin} you don\'t have permission for "command_list_begin": sign in first',
      'ping',
    ])
  })

  test('noidle in a list is ignored, and an end without a beginning is no command', () => {
    expect(steps('command_list_begin\nnoidle\nping\ncommand_list_end\n')).toEqual(['list[ping]'])
    expect(steps('command_list_end\nping\n')).toEqual(['ACK [5@0] {} unknown command "command_list_end"', 'ping'])
  })

  test('a control character in a list ends the connection at once', () => {
    expect(steps('command_list_begin\nping\nping\0\n')).toEqual(['ACK [5@1] {} control character in the line (close)'])
  })
})

describe('M4 · idle', () => {
  test('only noidle may follow, and what is pipelined behind it waits for the answer', () => {
    const session = createSession()
    session.push(bytes('idle player mixer\nnoidle\nstatus\n'))
    expect(session.next()).toMatchObject({ kind: 'idle', request: { args: { subsystems: ['player', 'mixer'] } } })
    expect(session.idling).toBe(true)
    expect(session.next()).toEqual({ kind: 'noidle' })
    expect(session.idling).toBe(true)
    expect(session.next()).toBeUndefined()
    session.wake()
    expect(session.idling).toBe(false)
    expect(session.next()).toMatchObject({ kind: 'command', request: { operation: { name: 'status' } } })
  })

  test.each([
    'status',
    'idle',
    'close',
    'ping',
    'noidle x',
    'noidl',
    'command_list_begin',
    'noidle\0',
    '\xff',
    'x'.repeat(9000),
  ])('%j during idle ends the connection without a word, and nothing behind it is read', (line) => {
    expect(steps(`idle\n${line}\nclear\n`)).toEqual(['idle! idle', 'end'])
  })

  test('a noidle that crosses the answer is ignored, without an answer of its own', () => {
    const session = createSession()
    session.push(bytes('idle\n'))
    expect(session.next()).toMatchObject({ kind: 'idle' })
    session.wake()
    session.push(bytes('noidle\nnoidle \nping\n'))
    expect(session.next()).toMatchObject({ kind: 'command', request: { operation: { name: 'ping' } } })
  })

  test('an unknown subsystem is refused, and the session does not idle', () => {
    expect(steps('idle nonsense\nping\n')).toHaveLength(2)
  })
})

test('after its end a session reads and keeps nothing', () => {
  const session = createSession()
  session.push(bytes('POST /\nping\n'))
  expect(session.next()).toEqual({ kind: 'end' })
  session.push(bytes('ping\n'))
  session.wake()
  expect(session.next()).toBeUndefined()
  expect(session.pendingBytes).toBe(0)
})

const line = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .constantFrom(...rows)
      .chain((row) => (row.refused ? fc.constant(`${row.name}\n`) : requestsOf(row).map(encode))),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      'command_list_begin\n',
      'command_list_ok_begin\n',
      'command_list_end\n',
      'noidle\n',
      'idle\n',
    ),
  },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 30 }).map((text) => `${text}\n`) },
)
const noise = fc.oneof(
  fc.uint8Array({ maxLength: 80 }),
  line.map((text) => new TextEncoder().encode(text)),
)

test('no bytes, in no pieces, make a session throw, or yield more than one line or a control character per command', () => {
  fc.assert(
    fc.property(fc.array(noise, { maxLength: 12 }), (chunks) => {
      const session = createSession()
      for (const chunk of chunks) {
        session.push(chunk)
        for (let step = session.next(); step; step = session.next()) {
          const requests = step.kind === 'list' ? step.requests : 'request' in step ? [step.request] : []
          for (const request of requests.filter(({ operation }) => operation.refused === undefined)) {
            const text = encode(request)
            expect(text.indexOf('\n')).toBe(text.length - 1)
            expect(hasControls(text.slice(0, -1))).toBe(false)
          }
          if (step.kind === 'fault') expect(step.fault.code).not.toBe('internal')
          if (step.kind === 'noidle') session.wake()
        }
      }
    }),
    { numRuns: 1000 },
  )
})

test('the same bytes make the same steps, however they are cut', () => {
  fc.assert(
    fc.property(fc.array(line, { maxLength: 8 }), fc.integer({ min: 1, max: 20 }), (lines, size) => {
      const all = new TextEncoder().encode(lines.join(''))
      const run = (pieces: Iterable<Uint8Array>) => {
        const session = createSession()
        const found: string[] = []
        for (const piece of pieces) {
          session.push(piece)
          for (let step = session.next(); step; step = session.next()) {
            found.push(step.kind === 'fault' ? `${step.fault.code} ${step.index}` : JSON.stringify(step))
            if (step.kind === 'noidle') session.wake()
          }
        }
        return found
      }
      const cut = Array.from({ length: Math.ceil(all.length / size) }, (_, i) => all.slice(i * size, (i + 1) * size))
      expect(run(cut)).toEqual(run([all]))
    }),
    { numRuns: 300 },
  )
})

/** Every step there is now; an idle that the client ends is answered. */
function drain(session: ReturnType<typeof createSession>): Step[] {
  const found: Step[] = []
  for (let step = session.next(); step; step = session.next()) {
    found.push(step)
    if (step.kind === 'noidle') session.wake()
  }
  return found
}
const isLast = (step: Step) => step.kind === 'end' || (step.kind === 'fault' && step.close)

test('no bytes put a session out of step: a ping behind them is a ping, unless they ended it', () => {
  fc.assert(
    fc.property(fc.array(noise, { maxLength: 12 }), (chunks) => {
      const session = createSession()
      let over = false
      const say = (said: Uint8Array) => {
        session.push(said)
        const found = drain(session)
        expect(found.slice(0, -1).some(isLast)).toBe(false)
        over ||= found.some(isLast)
        return found
      }
      for (const chunk of chunks) say(chunk)
      if (session.pendingBytes > 0) say(bytes('\n'))
      if (session.idling) say(bytes('noidle\n'))
      say(bytes('command_list_end\n')) // of the list that may have begun
      const found = say(bytes('ping\n'))
      if (over) expect(found).toEqual([])
      else expect(found).toMatchObject([{ kind: 'command', request: { operation: { name: 'ping' } } }])
    }),
    { numRuns: 1000 },
  )
})

test('a line makes one step at most, and of no command but the catalog’s', () => {
  const listed = new Set<unknown>(rows)
  fc.assert(
    fc.property(fc.array(noise, { maxLength: 12 }), (chunks) => {
      const session = createSession()
      let lines = 0
      for (const chunk of chunks) {
        session.push(chunk)
        lines += chunk.filter((byte) => byte === 0x0a).length
      }
      const found = drain(session)
      const requests = found.flatMap((step) =>
        step.kind === 'list' ? step.requests : 'request' in step ? [step.request] : [],
      )
      // Only what ends a connection need not wait for the end of its line
      expect(found.filter((step) => !isLast(step)).length).toBeLessThanOrEqual(lines)
      expect(requests.length).toBeLessThanOrEqual(lines)
      for (const { operation } of requests) expect(listed.has(operation)).toBe(true)
    }),
    { numRuns: 1000 },
  )
})

test('what is forwarded is one command again to whoever reads it', () => {
  const open = rows.filter(({ refused }) => refused === undefined)
  fc.assert(
    fc.property(fc.constantFrom(...open).chain(requestsOf), (request) => {
      const text = encode(request)
      const session = createSession()
      session.push(new TextEncoder().encode(text))
      const [step, ...rest] = drain(session)
      expect(rest).toEqual([])
      expect(step && 'request' in step && encode(step.request)).toBe(text)
    }),
    { numRuns: 1000 },
  )
})

test('a ping may come in a list, and goes with the rest', () => {
  expect(steps('command_list_ok_begin\nping\nstatus\ncommand_list_end\n')).toEqual(['ok-list[ping, status]'])
})

test('what is pipelined is neither lost nor mixed up while it is read, however much it is', () => {
  const session = createSession()
  const said = Array.from({ length: 5000 }, (_, i) => `setvol ${i % 101}\n`)
  const found: (Step | undefined)[] = []
  for (let i = 0; i < said.length; i += 50) {
    session.push(bytes(said.slice(i, i + 50).join('')))
    for (let k = 0; k < 30; k++) found.push(session.next())
  }
  found.push(...drain(session))
  const levels = found.map((step) => step?.kind === 'command' && step.request.args.level)
  expect(levels).toEqual(said.map((_, i) => i % 101))
  expect(session.pendingBytes).toBe(0)
})

test('a fault of a session is a Fault', () => {
  const session = createSession()
  session.push(bytes('frob\n'))
  const step = session.next()
  expect(step?.kind === 'fault' && step.fault).toBeInstanceOf(Fault)
})
