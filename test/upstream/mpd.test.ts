import type { Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createCall } from '../../src/call/call.ts'
import { Fault } from '../../src/call/fault.ts'
import { decide, type Permit } from '../../src/policy/decide.ts'
import { compile } from '../../src/policy/policy.ts'
import { decode } from '../../src/protocol/mpd/decode.ts'
import { tokenize } from '../../src/protocol/mpd/token.ts'
import { createMpd, type MpdLimits } from '../../src/upstream/mpd.ts'
import type { MpdConnection, MpdPlayer } from '../../src/upstream/player.ts'
import { userNamed } from './fake.ts'
import { type FakeMpd, startFakeMpd } from './fakempd.ts'

const owner = compile({ owner: { grants: [{ allow: ['*'] }] } })
const ada = { id: 'ada', reserve: false }

function permit(line: string): Permit {
  const origin = { id: 'r1', by: userNamed('ada'), door: 'mpd', player: 'home', at: 0 } as const
  const decision = decide(owner, createCall(origin, decode(tokenize(new TextEncoder().encode(line)))))
  if (!decision.allowed) throw new Error(decision.denial.reason)
  return decision.permit
}

let fake: FakeMpd
let player: MpdPlayer

beforeEach(async () => {
  fake = await startFakeMpd()
})
afterEach(async () => {
  await player?.close()
  await fake.close()
})

function start(limits: Partial<MpdLimits> = {}): MpdPlayer {
  player = createMpd({ host: fake.host, port: fake.port, limits: { greetingMs: 300, openMs: 900, ...limits } })
  return player
}

async function ask(link: MpdConnection, ...commands: string[]): Promise<string> {
  let text = ''
  await link.send(commands.map(permit), commands.length > 1 ? 'list' : 'single', (bytes) => {
    text += Buffer.from(bytes).toString()
  })
  return text
}

async function faultOf(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof Fault)) throw new Error(`no Fault: ${String(error)}`)
  return `${error.code}: ${error.message}`
}

describe('connecting', () => {
  test('the player is up, with its version and commands, before anybody asks', async () => {
    start()
    await fake.until(() => player.up)
    expect(player.version).toBe('0.19.0')
    expect(player.offers?.has('status') && player.offers.has('config')).toBe(true)
    expect(fake.lines).toEqual([])
  })

  test('one at a time: Mopidy loses connects that come together', async () => {
    fake.greetAfter = 30
    start()
    await Promise.all(['a', 'b', 'c', 'd'].map((id) => player.open({ id, reserve: false })))
    expect(fake.open).toBe(4)
    expect(fake.mostGreeting).toBe(1)
  })

  test('a greeting that never comes is tried again, and then is a fault', async () => {
    fake.greeting = undefined
    start()
    expect(await faultOf(player.open(ada))).toMatch(/^player-timeout/)
    expect(player.up).toBe(false)
  })

  test('a greeting that comes at the second attempt is good enough', async () => {
    start()
    await fake.until(() => player.up)
    fake.greeting = undefined
    const opening = player.open(ada)
    await fake.until(() => fake.open === 1)
    fake.greeting = 'OK MPD 0.23.5\n'
    await opening
    expect(player.version).toBe('0.23.5')
  })

  test.each(['HTTP/1.1 400 Bad Request\r\n', 'OK MPD 0.19.0\nOK\n', 'OK MPD x\n', `OK MPD ${'9'.repeat(200)}`])(
    'what greets with %j is no MPD',
    async (greeting) => {
      fake.greeting = greeting
      start()
      expect(await faultOf(player.open(ada))).toMatch(/^player-unreachable/)
    },
  )

  test('a player that is not there is a fault at once, and is used when it returns', async () => {
    await fake.close()
    start({ retryFirstMs: 10, retryMostMs: 20 })
    expect(await faultOf(player.open(ada))).toMatch(/^player-unreachable/)
    await fake.reopen()
    await fake.until(() => player.up)
    expect(await ask(await player.open(ada), 'status')).toContain('volume: 50')
  })
})

describe('M10: places are few', () => {
  test('four connections for one person, and one that closed makes room', async () => {
    start()
    const links = await Promise.all([1, 2, 3, 4].map(() => player.open(ada)))
    expect(await faultOf(player.open(ada))).toMatch(/^limited: only 4/)
    links[0]?.close()
    await player.open(ada)
  })

  test('the last two places are for those who administer', async () => {
    start({ connections: 4 })
    await player.open({ id: 'a', reserve: false })
    await player.open({ id: 'b', reserve: false })
    expect(await faultOf(player.open({ id: 'c', reserve: false }))).toMatch(/^limited: the player has no free/)
    await player.open({ id: 'o', reserve: true })
    await player.open({ id: 'o', reserve: true })
    expect(await faultOf(player.open({ id: 'o', reserve: true }))).toMatch(/^limited: the player has no free/)
  })

  test('a connect that failed gives its place back', async () => {
    start({ connections: 3, retryFirstMs: 10_000 })
    await fake.until(() => player.up)
    fake.greeting = 'no\n'
    for (let i = 0; i < 5; i++) expect(await faultOf(player.open(ada))).toMatch(/^player-unreachable/)
    fake.greeting = 'OK MPD 0.19.0\n'
    await player.open(ada)
  })
})

describe('sending', () => {
  test('only permits', async () => {
    const link = await start().open(ada)
    const cast = { call: permit('clear').call, rule: 'x' } as unknown as Permit
    expect(await faultOf(link.send([cast], 'single', () => {}))).toMatch(/^internal/)
    expect(await faultOf(link.send([permit('status'), cast], 'list', () => {}))).toMatch(/^internal/)
    expect(fake.lines).toEqual([])
  })

  test('our own words go out, and the answer comes back', async () => {
    const link = await start().open(ada)
    expect(await ask(link, 'setvol 20')).toBe('OK\n')
    expect(await ask(link, 'status', 'add "local:track:a\\"b"')).toBe('OK\n')
    expect(fake.lines).toEqual([
      'setvol "20"',
      'command_list_begin',
      'status',
      'add "local:track:a\\"b"',
      'command_list_end',
    ])
  })

  test('how far a list came is known', async () => {
    const link = await start().open(ada)
    fake.answer = () => 'ACK [50@1] {add} no such file\n'
    expect(await link.send([permit('status'), permit('add local:x')], 'list', () => {})).toBe(1)
    fake.answer = () => 'OK\n'
    expect(await link.send([permit('status')], 'single', () => {})).toBe(Number.POSITIVE_INFINITY)
  })

  test('one thing at a time', async () => {
    const link = await start().open(ada)
    fake.answer = () => undefined
    const first = link.send([permit('status')], 'single', () => {})
    expect(await faultOf(link.send([permit('status')], 'single', () => {}))).toMatch(/^internal/)
    await fake.until(() => fake.lines.length > 0)
    link.close()
    expect(await faultOf(first)).toMatch(/^player-unreachable/)
    expect(fake.lines).toEqual(['status'])
  })

  test('an answer is held back while the client does not read', async () => {
    const link = await start({ answerMs: 500 }).open(ada)
    const size = 64 * 1024
    let sent = 0
    fake.answer = (_line, socket) => {
      const more = () => {
        while (sent++ < 300) if (!socket.write(`file: ${'x'.repeat(size)}\n`)) return
        socket.end('OK\n')
      }
      socket.on('drain', more)
      more()
      return undefined
    }
    let release = () => {}
    let got = 0
    let held = false
    const answered = link.send([permit('status')], 'single', (bytes) => {
      got += bytes.length
      if (held) return
      held = true
      return new Promise<void>((resolve) => {
        release = resolve
      })
    })
    await fake.until(() => held)
    await new Promise((resolve) => setTimeout(resolve, 700)) // longer than the player may take: its clock stands
    expect(got).toBeLessThan(8 * size)
    expect(sent).toBeLessThan(300)
    release()
    await answered
    expect(got).toBeGreaterThan(300 * size)
  })

  test('an idle waits without end, and noidle ends it', async () => {
    const link = await start({ answerMs: 50 }).open(ada)
    let text = ''
    const idle = link.send([permit('idle player')], 'single', (bytes) => {
      text += Buffer.from(bytes).toString()
    })
    await fake.until(() => fake.lines.length > 0)
    await new Promise((resolve) => setTimeout(resolve, 120))
    link.noidle()
    await idle
    expect(text).toBe('OK\n')
    expect(fake.lines).toEqual(['idle "player"', 'noidle'])
    expect(await ask(link, 'status')).toContain('volume: 50')
  })

  test('costly ones are few at a time, over all connections, and the others pass them', async () => {
    start({ costly: 2 })
    const links = await Promise.all(['a', 'b', 'c'].map((id) => player.open({ id, reserve: false })))
    const waiting: Socket[] = []
    fake.answer = (line, socket) => {
      if (!line.startsWith('find')) return 'OK\n'
      waiting.push(socket)
      return undefined
    }
    const finds = links.map((link) => link.send([permit('find artist x')], 'single', () => {}))
    await fake.until(() => waiting.length === 2)
    expect(await ask(await player.open({ id: 'd', reserve: false }), 'setvol 1')).toBe('OK\n')
    expect(waiting).toHaveLength(2)
    waiting.shift()?.write('OK\n')
    await fake.until(() => waiting.length === 2)
    for (const socket of waiting) socket.write('OK\n')
    await Promise.all(finds)
  })

  test('who closes while waiting for a turn never asks', async () => {
    start({ costly: 1 })
    const first = await player.open({ id: 'a', reserve: false })
    const second = await player.open({ id: 'b', reserve: false })
    fake.answer = () => undefined
    const one = first.send([permit('find artist one')], 'single', () => {})
    const two = second.send([permit('find artist two')], 'single', () => {})
    await fake.until(() => fake.lines.length === 1)
    second.close()
    expect(await faultOf(two)).toMatch(/^player-unreachable/)
    first.close()
    expect(await faultOf(one)).toMatch(/^player-unreachable/)
    await fake.until(() => fake.open === 0)
    expect(fake.lines).toEqual(['find "artist" "one"'])
  })
})

describe('M7, M8: an answer that cannot be trusted ends the connection', () => {
  const answers: readonly [name: string, answer: string][] = [
    ['more than one answer', 'OK\nOK\n'],
    ['a binary piece that is longer than it says', 'size: 9\nbinary: 3\nabcdefghi\nOK\n'],
    ['a binary piece of no size', 'binary: -1\nOK\n'],
    ['a line that is none', 'hello\nOK\n'],
    ['a line without an end', 'x'.repeat(2 ** 20 + 10)],
    ['a list_OK that nobody asked for', 'list_OK\nOK\n'],
    ['a control character', 'Title: a\0b\nOK\n'],
  ]
  test.each(answers)('%s', async (_name, answer) => {
    const link = await start().open(ada)
    fake.answer = () => answer
    expect(await faultOf(ask(link, 'status'))).toMatch(/^player-unreachable/)
    expect(link.alive).toBe(false)
    await fake.until(() => fake.open === 0)
  })

  test('half an answer and then silence is a timeout', async () => {
    const link = await start({ answerMs: 100 }).open(ada)
    fake.answer = () => 'volume: 50\n'
    expect(await faultOf(ask(link, 'status'))).toMatch(/^player-timeout/)
    expect(link.alive).toBe(false)
  })

  test('a player that drips is out of time too', async () => {
    const link = await start({ answerMs: 150 }).open(ada)
    fake.answer = (_line, socket) => {
      const timer = setInterval(() => socket.write('volume: 50\n'), 20)
      socket.on('close', () => clearInterval(timer))
      return undefined
    }
    expect(await faultOf(ask(link, 'status'))).toMatch(/^player-timeout/)
  })

  test('an answer that is too long', async () => {
    const link = await start({ answerBytes: 1000 }).open(ada)
    fake.answer = () => `${'volume: 50\n'.repeat(100)}OK\n`
    expect(await faultOf(ask(link, 'status'))).toMatch(/^player-unreachable/)
  })

  test('what the player says unasked is not the answer to what comes next', async () => {
    const link = await start().open(ada)
    fake.answer = (_line, socket) => {
      setTimeout(() => socket.write('volume: 99\nOK\n'), 20)
      return 'OK\n'
    }
    expect(await ask(link, 'setvol 1')).toBe('OK\n')
    await fake.until(() => !link.alive)
    expect(await faultOf(ask(link, 'status'))).toMatch(/^player-unreachable/)
  })
})

describe('a player that dies', () => {
  test('faults what is on its way in that moment, and the next connection is good', async () => {
    const link = await start({ retryFirstMs: 10 }).open(ada)
    fake.answer = () => undefined
    const asked = ask(link, 'status')
    await fake.until(() => fake.lines.length === 1)
    fake.kill()
    expect(await faultOf(asked)).toMatch(/^player-unreachable/)
    fake.answer = () => 'OK\n'
    expect(await ask(await player.open(ada), 'setvol 3')).toBe('OK\n')
    await fake.until(() => player.up)
  })

  test('up follows the player without anybody asking', async () => {
    start({ retryFirstMs: 10, retryMostMs: 20 })
    await fake.until(() => player.up)
    await fake.close()
    await fake.until(() => !player.up)
    await fake.reopen()
    await fake.until(() => player.up)
  })

  test('after close nothing is left open', async () => {
    start()
    await player.open(ada)
    await fake.until(() => player.up)
    await player.close()
    await fake.until(() => fake.open === 0)
    expect(player.up).toBe(false)
  })
})
