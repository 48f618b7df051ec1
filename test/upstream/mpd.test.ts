import { describe, expect, test } from 'vitest'
import type { Permit } from '../../src/policy/decide.ts'
import { ada, ask, bob, faultOf, furnish, permit } from './house.ts'

const house = furnish()

/** Lets everything that was begun get as far as it can. */
const settle = () => new Promise((resolve) => setTimeout(resolve, 20))

describe('connecting', () => {
  test('the player is up, with its version and commands, before anybody asks', async () => {
    const player = await house.up()
    expect(player.version).toBe('0.19.0')
    expect(player.offers?.has('status') && player.offers.has('config')).toBe(true)
    expect(house.fake.lines).toEqual([])
  })

  test('a client that asks nothing costs no connection, and one after the other they share one', async () => {
    const player = await house.up()
    const links = Array.from({ length: 30 }, () => player.open(ada))
    expect(house.fake.open).toBe(0)
    for (const link of links) expect(await ask(link, 'status')).toContain('volume: 50')
    expect(house.fake.asked).toBe(1)
  })

  test('the watch and a client connect one after the other', async () => {
    house.fake.greetAfter = 30
    const player = house.start()
    expect(await ask(player.open(ada), 'setvol 1')).toBe('OK\n')
    await house.fake.until(() => player.up)
    expect([house.fake.came, house.fake.mostGreeting]).toEqual([2, 1])
  })

  test('one connect at a time: Mopidy loses those that come together', async () => {
    const player = await house.up()
    house.fake.greetAfter = 30
    house.fake.answer = () => undefined
    const asked = ['a', 'b', 'c', 'd'].map((id) => faultOf(ask(player.open({ id, reserve: false }), 'setvol 1')))
    await house.fake.until(() => house.fake.lines.length === 4)
    expect(house.fake.open).toBe(4)
    expect(house.fake.mostGreeting).toBe(1)
    await player.close()
    expect(new Set(await Promise.all(asked))).toEqual(
      new Set(['player-unreachable: the connection to the player broke']),
    )
  })

  test('a greeting that never comes is tried again, and then is a fault', async () => {
    house.fake.greeting = undefined
    const player = house.start()
    expect(await faultOf(ask(player.open(ada), 'status'))).toMatch(/^player-timeout/)
    expect(player.up).toBe(false)
  })

  test('a greeting that comes at the second attempt is good enough', async () => {
    const player = await house.up()
    house.fake.greeting = undefined
    const asked = ask(player.open(ada), 'status')
    await house.fake.until(() => house.fake.open === 1)
    house.fake.greeting = 'OK MPD 0.23.5\n'
    expect(await asked).toContain('volume: 50')
    expect(player.version).toBe('0.23.5')
  })

  test.each(['HTTP/1.1 400 Bad Request\r\n', 'OK MPD 0.19.0\nOK\n', 'OK MPD x\n', `OK MPD ${'9'.repeat(200)}`])(
    'what greets with %j is no MPD',
    async (greeting) => {
      house.fake.greeting = greeting
      expect(await faultOf(ask(house.start().open(ada), 'status'))).toMatch(/^player-unreachable/)
    },
  )

  test('a player that is not there is a fault at once, and is used when it returns', async () => {
    await house.fake.close()
    const player = house.start()
    const link = player.open(ada)
    expect(await faultOf(ask(link, 'status'))).toMatch(/^player-unreachable/)
    await house.fake.reopen()
    await house.fake.until(() => player.up)
    expect(await ask(link, 'status')).toContain('volume: 50')
  })

  test('a line that nobody uses is closed before the player does it', async () => {
    const player = await house.up()
    expect(await ask(player.open(ada), 'status')).toContain('volume: 50')
    await house.pass(20_000)
    expect(house.fake.open).toBe(1)
    await house.pass(11_000)
    await house.fake.until(() => house.fake.open === 0)
    expect(player.up).toBe(true)
    expect(await ask(player.open(ada), 'status')).toContain('volume: 50')
    expect(house.fake.asked).toBe(2)
  })
})

describe('M10: places at the player are few', () => {
  test('200 clients at once, at a player that takes 20, of which others have three', async () => {
    house.fake.takes = 17
    const player = await house.up()
    house.fake.answer = (line, socket) => void setTimeout(() => socket.write(`Title: ${line.slice(8, -1)}\nOK\n`), 1)
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, i) => ask(player.open({ id: `p${i}`, reserve: false }), `setvol ${i % 100}`)),
    )
    expect(answers).toEqual(Array.from({ length: 200 }, (_, i) => `Title: ${i % 100}\nOK\n`))
    expect(house.fake.mostOpen).toBeLessThanOrEqual(7)
  })

  test('a player that takes fewer than the gateway would like serves everybody all the same', async () => {
    house.fake.takes = 3
    const player = await house.up()
    house.fake.answer = (_line, socket) => void setTimeout(() => socket.write('OK\n'), 1)
    const answers = Array.from({ length: 40 }, (_, i) => ask(player.open({ id: `p${i}`, reserve: false }), 'setvol 1'))
    expect(new Set(await Promise.all(answers))).toEqual(new Set(['OK\n']))
    expect(house.fake.came).toBeLessThanOrEqual(10) // and is not besieged
  })

  test('who asks too much at once is refused, and only they', async () => {
    const player = await house.up({ running: 1, waitingEach: 2 })
    house.fake.answer = () => undefined
    const mine = Array.from({ length: 4 }, () => faultOf(ask(player.open(ada), 'setvol 1')))
    expect(await mine[3]).toMatch(/^limited/)
    const others = faultOf(ask(player.open(bob), 'setvol 2'))
    await player.close()
    expect(await others).toMatch(/^player-unreachable/)
    expect(await mine[2]).toMatch(/^player-unreachable/)
  })
})

describe('sending', () => {
  test('only permits', async () => {
    const link = house.start().open(ada)
    const cast = { call: permit('clear').call, rule: 'x' } as unknown as Permit
    expect(await faultOf(link.send([cast], 'single', () => {}))).toMatch(/^internal/)
    expect(await faultOf(link.send([permit('status'), cast], 'list', () => {}))).toMatch(/^internal/)
    expect(await faultOf(link.send([], 'list', () => {}))).toMatch(/^internal/)
    expect(await faultOf(link.send([permit('idle')], 'single', () => {}))).toMatch(/^internal/)
    expect(house.fake.lines).toEqual([])
  })

  test('our own words go out, and the answer comes back', async () => {
    const link = house.start().open(ada)
    expect(await ask(link, 'setvol 20')).toBe('OK\n')
    expect(await ask(link, 'status', 'add "local:track:a\\"b"')).toBe('OK\n')
    expect(house.fake.lines).toEqual([
      'setvol "20"',
      'command_list_begin',
      'status',
      'add "local:track:a\\"b"',
      'command_list_end',
    ])
  })

  test('how far a list came is known', async () => {
    const link = house.start().open(ada)
    house.fake.answer = () => 'ACK [50@1] {add} no such file\n'
    expect(await link.send([permit('status'), permit('add local:x')], 'list', () => {})).toBe(1)
    house.fake.answer = () => 'OK\n'
    expect(await link.send([permit('status')], 'single', () => {})).toBe(Number.POSITIVE_INFINITY)
  })

  test('one thing at a time', async () => {
    const link = house.start().open(ada)
    house.fake.answer = () => undefined
    const first = link.send([permit('status')], 'single', () => {})
    expect(await faultOf(link.send([permit('status')], 'single', () => {}))).toMatch(/^internal/)
    await house.fake.until(() => house.fake.lines.length > 0)
    link.close()
    expect(await faultOf(first)).toMatch(/^player-unreachable/)
    expect(await faultOf(link.send([permit('status')], 'single', () => {}))).toMatch(/^player-unreachable/)
    expect(house.fake.lines).toEqual(['status'])
  })

  test('costly ones are few at a time, over all connections, and the others pass them', async () => {
    const player = await house.up({ costly: 2 })
    const answers: (() => void)[] = []
    house.fake.answer = (line, socket) => {
      if (!line.startsWith('find')) return 'OK\n'
      answers.push(() => socket.write('OK\n'))
      return undefined
    }
    const finds = ['a', 'b', 'c'].map((id) => ask(player.open({ id, reserve: false }), `find artist ${id}`))
    await house.fake.until(() => answers.length === 2)
    expect(await ask(player.open(bob), 'setvol 1')).toBe('OK\n')
    expect(answers).toHaveLength(2)
    answers.shift()?.()
    await house.fake.until(() => answers.length === 2)
    for (const answer of answers) answer()
    await Promise.all(finds)
  })

  test('a costly one that is out of time keeps its place a while, as the player works on it', async () => {
    const player = await house.up({ costly: 1 })
    house.fake.answer = (line) => (line.startsWith('find') ? undefined : 'OK\n')
    const one = faultOf(ask(player.open(ada), 'find artist one'))
    await house.fake.until(() => house.fake.lines.length === 1)
    await house.pass(20_000)
    const two = faultOf(ask(player.open(bob), 'find artist two'))
    await house.pass(11_000)
    expect(await one).toMatch(/^player-timeout/)
    await house.pass(25_000)
    expect(await two).toMatch(/^player-timeout/)
    expect(house.fake.lines).toEqual(['find "artist" "one"'])
    void faultOf(ask(player.open(bob), 'find artist three'))
    await house.pass(6_000)
    await house.fake.until(() => house.fake.lines.includes('find "artist" "three"'))
  })

  test('who closes while waiting for a turn never asks', async () => {
    const player = await house.up({ costly: 1 })
    const [first, second] = [player.open(ada), player.open(bob)]
    const answers: (() => void)[] = []
    house.fake.answer = (_line, socket) => {
      answers.push(() => socket.write('OK\n'))
      return undefined
    }
    const one = ask(first, 'find artist one')
    const two = faultOf(ask(second, 'find artist two'))
    await house.fake.until(() => answers.length === 1)
    second.close()
    expect(await two).toMatch(/^player-unreachable/)
    answers[0]?.()
    expect(await one).toBe('OK\n')
    expect(house.fake.lines).toEqual(['find "artist" "one"'])
  })
})

describe('M7, M8: an answer that cannot be trusted ends its line', () => {
  const answers: readonly [name: string, answer: string][] = [
    ['more than one answer', 'OK\nOK\n'],
    ['a binary piece that is longer than it says', 'size: 9\nbinary: 3\nabcdefghi\nOK\n'],
    ['a binary piece that is shorter than it says', 'size: 9\nbinary: 5\nabc\nOK\n'],
    ['a binary piece of no size', 'binary: -1\nOK\n'],
    ['a line that is none', 'hello\nOK\n'],
    ['a line without an end', 'x'.repeat(2 ** 20 + 10)],
    ['a list_OK that nobody asked for', 'list_OK\nOK\n'],
    ['a control character', 'Title: a\0b\nOK\n'],
  ]
  test.each(answers)('%s', async (_name, answer) => {
    const player = await house.up()
    const link = player.open(ada)
    house.fake.answer = () => answer
    expect(await faultOf(ask(link, 'setvol 1'))).toMatch(/^player-unreachable/)
    await house.fake.until(() => house.fake.open === 0)
    house.fake.answer = () => 'OK\n'
    expect(await ask(player.open(bob), 'setvol 2')).toBe('OK\n')
    expect(await ask(link, 'setvol 3')).toBe('OK\n')
  })

  test('half an answer and then silence is a timeout, and the line is not used again', async () => {
    const player = await house.up()
    house.fake.answer = () => 'volume: 50\n'
    const asked = faultOf(ask(player.open(ada), 'status'))
    await house.fake.until(() => house.fake.lines.length === 1)
    await house.pass(11_000)
    expect(await asked).toMatch(/^player-timeout/)
    house.fake.answer = () => 'OK\n'
    expect(await ask(player.open(bob), 'setvol 1')).toBe('OK\n')
    expect(house.fake.asked).toBe(2)
  })

  test('a player that drips is out of time too', async () => {
    const player = await house.up({ answerMs: 150 })
    house.fake.answer = (_line, socket) => {
      const timer = setInterval(() => socket.write('volume: 50\n'), 20)
      socket.on('close', () => clearInterval(timer))
      return undefined
    }
    expect(await faultOf(ask(player.open(ada), 'status'))).toMatch(/^player-timeout/)
  })

  test('an answer that is too long', async () => {
    const player = await house.up({ answerBytes: 1000 })
    house.fake.answer = () => `${'volume: 50\n'.repeat(100)}OK\n`
    expect(await faultOf(ask(player.open(ada), 'status'))).toMatch(/^player-unreachable/)
  })

  test('what the player says unasked is nobody’s answer', async () => {
    const player = await house.up()
    house.fake.answer = (_line, socket) => {
      setTimeout(() => socket.write('file: of somebody else\nOK\n'), 20)
      return 'OK\n'
    }
    expect(await ask(player.open(ada), 'setvol 1')).toBe('OK\n')
    await house.fake.until(() => house.fake.open === 0)
    house.fake.answer = () => 'volume: 50\nOK\n'
    expect(await ask(player.open(bob), 'status')).toBe('volume: 50\nOK\n')
  })
})

describe('text that looks like the end of an answer', () => {
  test('is doubted where the name of its line came in two packets', async () => {
    const player = await house.up()
    house.fake.answer = (_line, socket) => {
      house.fake.answer = () => 'volume: 50\nOK\n'
      setTimeout(() => {
        // What is left of it comes when something is asked next.
        socket.prependOnceListener('data', () => socket.write('volume: 66\nOK\n'))
        socket.write('or: the song said\nOK\n')
      }, 20)
      return 'volume: 50\nerr'
    }
    expect(await ask(player.open(ada), 'status')).toMatch(/OK\n$/)
    expect(await ask(player.open(bob), 'status')).toBe('volume: 50\nOK\n')
  })
})

describe('a player that dies', () => {
  test('faults a change on its way in that moment, and does not send it twice', async () => {
    const player = await house.up()
    const link = player.open(ada)
    house.fake.answer = () => undefined
    const asked = faultOf(ask(link, 'setvol 7'))
    await house.fake.until(() => house.fake.lines.length === 1)
    house.fake.kill()
    expect(await asked).toMatch(/^player-unreachable/)
    house.fake.answer = () => 'OK\n'
    expect(await ask(link, 'setvol 3')).toBe('OK\n')
    expect(house.fake.lines).toEqual(['setvol "7"', 'setvol "3"'])
    await house.fake.until(() => player.up)
  })

  test('a read that found its line dead is asked once more, and only once', async () => {
    const player = await house.up()
    const link = player.open(ada)
    expect(await ask(link, 'setvol 1')).toBe('OK\n')
    let times = 0
    house.fake.answer = (_line, socket) => {
      if (++times > 1) return 'volume: 51\nOK\n'
      socket.resetAndDestroy()
      return undefined
    }
    expect(await ask(link, 'status')).toBe('volume: 51\nOK\n')
    house.fake.answer = (_line, socket) => {
      socket.resetAndDestroy()
      return undefined
    }
    const before = house.fake.lines.length
    expect(await faultOf(ask(link, 'status'))).toMatch(/^player-unreachable/)
    expect(house.fake.lines.slice(before)).toEqual(['status', 'status'])
  })

  test('a read of which some came is not asked again: its client would hear the beginning twice', async () => {
    const player = await house.up()
    house.fake.answer = (_line, socket) => void socket.write('volume: 50\n', () => socket.resetAndDestroy())
    expect(await faultOf(ask(player.open(ada), 'status'))).toMatch(/^player-unreachable/)
    expect(house.fake.lines).toEqual(['status'])
  })

  test('up follows the player without anybody asking', async () => {
    const player = await house.up()
    await house.fake.close()
    await house.fake.until(() => !player.up)
    await house.fake.reopen()
    await house.fake.until(() => player.up)
  })

  test('after close nothing is left open, and nobody is left waiting', async () => {
    const player = await house.up({ running: 1 })
    house.fake.answer = () => undefined
    const asked = ['status', 'setvol 1', 'find artist x'].map((line) => faultOf(ask(player.open(ada), line)))
    await house.fake.until(() => house.fake.lines.length === 1)
    await player.close()
    for (const fault of await Promise.all(asked)) expect(fault).toMatch(/^player-unreachable/)
    await house.fake.until(() => house.fake.open === 0)
    expect(player.up).toBe(false)
    expect(await faultOf(ask(player.open(ada), 'status'))).toMatch(/^player-unreachable/)
  })
})

describe('what changes', () => {
  test('is told to everybody, by its name, and a message only to whom it came', async () => {
    const player = await house.up()
    const heard: string[] = []
    const forget = player.open(ada).onChange((name) => heard.push(`ada ${name}`))
    player.open(bob).onChange((name) => heard.push(`bob ${name}`))
    house.fake.change('mixer')
    await house.fake.until(() => heard.length === 2)
    forget()
    house.fake.change('message', true)
    await settle()
    house.fake.change('surprise') // No subsystem that anybody could know the capability of
    await settle()
    house.fake.change('playlist')
    await house.fake.until(() => heard.length === 3)
    expect(heard).toEqual(['ada mixer', 'bob mixer', 'bob playlist'])
  })

  test('after a break everything may have changed, messages apart', async () => {
    const player = await house.up()
    const heard: string[] = []
    player.open(ada).onChange((name) => heard.push(name))
    house.fake.kill()
    await house.fake.until(() => heard.length === 13)
    expect(heard).toContain('player')
    expect(heard).not.toContain('message')
  })

  test('so it may when it comes for the first time, to those who came before it', async () => {
    await house.fake.close()
    const player = house.start()
    const heard: string[] = []
    const link = player.open(ada)
    link.onChange((name) => heard.push(name))
    expect(await faultOf(ask(link, 'status'))).toMatch(/^player-unreachable/)
    await house.fake.reopen()
    await house.fake.until(() => heard.length === 13)
    expect(heard).not.toContain('message')
  })

  test('who closed hears nothing more', async () => {
    const player = await house.up()
    const heard: string[] = []
    const link = player.open(ada)
    link.onChange((name) => heard.push(name))
    link.close()
    let others = 0
    player.open(bob).onChange(() => others++)
    house.fake.change('mixer')
    await house.fake.until(() => others > 0)
    expect(heard).toEqual([])
  })

  test('a player that refuses to idle is left alone for longer and longer', async () => {
    house.fake.idles = false
    house.start({ retryMostMs: 10_000 })
    await new Promise((resolve) => setTimeout(resolve, 400))
    expect(house.fake.came).toBeLessThanOrEqual(7)
  })

  test('a player that refuses to idle is none, and is asked again', async () => {
    house.fake.idles = false
    const player = house.start()
    expect(await ask(player.open(ada), 'status')).toContain('volume: 50')
    await house.fake.until(() => !player.up)
    house.fake.idles = true
    const heard: string[] = []
    player.open(ada).onChange((name) => heard.push(name))
    await house.fake.until(() => {
      house.fake.change('mixer')
      return heard.includes('mixer')
    })
  })
})
