import { describe, expect, test } from 'vitest'
import { ada, ask, bob, faultOf, furnish, permit } from '../house.ts'

const house = furnish()
const cleo = { id: 'cleo', reserve: false }

/** Has the fake wait with its answers until told. */
function hold(): { readonly answers: ((text: string) => void)[]; readonly breaks: (() => void)[] } {
  const [answers, breaks]: [((text: string) => void)[], (() => void)[]] = [[], []]
  house.fake.answer = (line, socket) => {
    if (line.startsWith('setvol') || house.fake.list.some((one) => one.startsWith('tagtypes'))) return 'OK\n'
    answers.push((text) => socket.write(text))
    breaks.push(() => socket.resetAndDestroy())
    return undefined
  }
  return { answers, breaks }
}

/** Lets everything that was begun get as far as it can without the player. */
const settle = () => new Promise((resolve) => setTimeout(resolve, 10))

describe('the same read at the same time', () => {
  test('is asked once, and everybody gets the whole answer', async () => {
    const player = await house.up()
    const { answers } = hold()
    const asked = [ada, bob, cleo].map((person) => ask(player.open(person), 'status'))
    await house.fake.until(() => answers.length === 1)
    answers[0]?.('volume: 1\nstate: ')
    const late = ask(player.open(bob), 'status')
    await settle()
    answers[0]?.('play\nOK\n')
    expect(await Promise.all([...asked, late])).toEqual(Array(4).fill('volume: 1\nstate: play\nOK\n'))
    expect(house.fake.lines).toEqual(['status'])
  })

  test('the next one is asked anew', async () => {
    const player = await house.up()
    const { answers } = hold()
    const first = ask(player.open(ada), 'status')
    await house.fake.until(() => answers.length === 1)
    answers[0]?.('volume: 1\nOK\n')
    await first
    const second = ask(player.open(ada), 'status')
    await house.fake.until(() => answers.length === 2)
    answers[1]?.('volume: 2\nOK\n')
    expect(await second).toBe('volume: 2\nOK\n')
  })

  test('an error is an answer as well, with how far a list came', async () => {
    const player = await house.up()
    const { answers } = hold()
    const list = [permit('status'), permit('playlistinfo 9')]
    const asked = [ada, bob].map((person) => player.open(person).send(list, 'list', () => {}))
    await house.fake.until(() => answers.length === 1)
    answers[0]?.('ACK [2@1] {playlistinfo} Bad song index\n')
    expect(await Promise.all(asked)).toEqual([1, 1])
  })

  test('a change is each one’s own', async () => {
    const player = await house.up()
    await Promise.all([ada, bob].map((person) => ask(player.open(person), 'setvol 5')))
    expect(house.fake.lines).toEqual(['setvol "5"', 'setvol "5"'])
  })

  test('another framing, other settings and other arguments are other questions', async () => {
    const player = await house.up()
    const { answers } = hold()
    const tuned = player.open(ada)
    await ask(tuned, 'tagtypes clear', 'setvol 1')
    const status = [permit('status'), permit('stats')]
    const asked = [
      player.open(ada).send(status, 'list', () => {}),
      player.open(bob).send(status, 'ok-list', () => {}),
      tuned.send(status, 'list', () => {}),
      player.open(ada).send([permit('playlistinfo 1')], 'single', () => {}),
      player.open(bob).send([permit('playlistinfo 2')], 'single', () => {}),
    ]
    const ended = Promise.all(asked.map(faultOf))
    await house.fake.until(() => answers.length >= 5)
    expect(answers).toHaveLength(5)
    await player.close()
    await ended
  })
})

describe('nobody gets an answer from before their own question', () => {
  test('a read joins none that was sent before a change was over', async () => {
    const player = await house.up()
    const { answers } = hold()
    const stale = ask(player.open(bob), 'status')
    await house.fake.until(() => answers.length === 1)
    const link = player.open(ada)
    await ask(link, 'setvol 2')
    const own = ask(link, 'status')
    await house.fake.until(() => answers.length === 2)
    answers[0]?.('volume: 1\nOK\n')
    answers[1]?.('volume: 2\nOK\n')
    expect([await stale, await own]).toEqual(['volume: 1\nOK\n', 'volume: 2\nOK\n'])
  })

  test('nor one that was sent before a change that failed', async () => {
    const player = await house.up()
    const { answers, breaks } = hold()
    const stale = ask(player.open(bob), 'status')
    await house.fake.until(() => answers.length === 1)
    const change = faultOf(ask(player.open(ada), 'next'))
    await house.fake.until(() => breaks.length === 2)
    breaks[1]?.()
    await change
    const own = ask(player.open(ada), 'status')
    await house.fake.until(() => answers.length === 3)
    answers[0]?.('volume: 1\nOK\n')
    answers[2]?.('volume: 2\nOK\n')
    expect([await stale, await own]).toEqual(['volume: 1\nOK\n', 'volume: 2\nOK\n'])
  })

  test('nor one from before something changed by itself', async () => {
    const player = await house.up()
    const { answers } = hold()
    const stale = ask(player.open(bob), 'status')
    await house.fake.until(() => answers.length === 1)
    let changed = false
    const link = player.open(ada)
    link.onChange(() => {
      changed = true
    })
    house.fake.change('player')
    await house.fake.until(() => changed)
    const own = ask(link, 'status')
    await house.fake.until(() => answers.length === 2)
    answers[1]?.('volume: 2\nOK\n')
    expect(await own).toBe('volume: 2\nOK\n')
    answers[0]?.('volume: 1\nOK\n')
    await stale
  })

  test('nor any while nobody watches what changes', async () => {
    house.fake.idles = false
    const player = house.start({ retryFirstMs: 10_000, retryMostMs: 10_000 })
    await ask(player.open(ada), 'setvol 1')
    await house.fake.until(() => !player.up)
    const { answers } = hold()
    const asked = [ada, bob].map((person) => faultOf(ask(player.open(person), 'status')))
    await house.fake.until(() => answers.length === 2)
    await player.close()
    await Promise.all(asked)
  })
})

describe('what befalls one befalls no other', () => {
  test('one who closes is forgotten, whoever it is, and the last one to go ends the waiting', async () => {
    const player = await house.up()
    const { answers } = hold()
    const links = [ada, bob, cleo].map((person) => player.open(person))
    const asked = links.map((link) => ask(link, 'status'))
    await house.fake.until(() => answers.length === 1)
    links[0]?.close()
    links[1]?.close()
    expect(await faultOf(asked[0] as Promise<string>)).toMatch(/^player-unreachable/)
    expect(await faultOf(asked[1] as Promise<string>)).toMatch(/^player-unreachable/)
    answers[0]?.('volume: 1\nOK\n')
    expect(await asked[2]).toBe('volume: 1\nOK\n')
    expect(house.fake.lines).toEqual(['status'])
  })

  test('an answer that nobody waits for any more is heard to its end, and reaches nobody', async () => {
    const player = await house.up({ running: 1 })
    const { answers } = hold()
    const link = player.open(ada)
    const asked = faultOf(ask(link, 'status'))
    await house.fake.until(() => answers.length === 1)
    link.close()
    await asked
    const next = ask(player.open(bob), 'stats')
    await settle()
    expect(house.fake.lines).toEqual(['status'])
    answers[0]?.('file: of ada\nOK\n')
    await house.fake.until(() => answers.length === 2)
    answers[1]?.('songs: 1\nOK\n')
    expect(await next).toBe('songs: 1\nOK\n')
  })

  test('when the line breaks in the middle, who joined asks alone, and hears nothing twice', async () => {
    const player = await house.up()
    const { answers, breaks } = hold()
    const first = faultOf(ask(player.open(ada), 'status'))
    const second = ask(player.open(bob), 'status')
    await house.fake.until(() => answers.length === 1)
    answers[0]?.('volume: 1\n')
    await settle()
    breaks[0]?.()
    expect(await first).toMatch(/^player-unreachable/)
    await house.fake.until(() => answers.length === 2)
    answers[1]?.('volume: 2\nOK\n')
    expect(await second).toBe('volume: 2\nOK\n')
  })

  test('a client that does not read keeps nobody waiting who asked the same', async () => {
    const player = await house.up()
    const { answers } = hold()
    let release: (() => void) | undefined
    const slow = player.open(ada).send([permit('status')], 'single', () => {
      if (release) return
      return new Promise<void>((resolve) => {
        release = resolve
      })
    })
    const other = ask(player.open(bob), 'status')
    await house.fake.until(() => answers.length === 1)
    answers[0]?.('volume: 1\n')
    await house.fake.until(() => answers.length === 2)
    answers[1]?.('volume: 2\nOK\n')
    expect(await other).toBe('volume: 2\nOK\n')
    release?.()
    answers[0]?.('OK\n')
    await slow
  })

  test('what joined does not read either holds only itself', async () => {
    const player = await house.up()
    const { answers } = hold()
    const first = ask(player.open(ada), 'status')
    let release = () => {}
    const slow = player.open(bob).send([permit('status')], 'single', () => {
      return new Promise<void>((resolve) => {
        release = resolve
      })
    })
    await house.fake.until(() => answers.length === 1)
    answers[0]?.('volume: 1\nOK\n')
    await first
    const next = ask(player.open(cleo), 'status')
    await house.fake.until(() => answers.length === 2)
    answers[1]?.('volume: 2\nOK\n')
    expect(await next).toBe('volume: 2\nOK\n')
    release()
    expect(await slow).toBe(Number.POSITIVE_INFINITY)
  })

  test('an answer too long to keep is asked for by each', async () => {
    const player = await house.up()
    const long = `Title: ${'x'.repeat(100_000)}\n`.repeat(4)
    house.fake.answer = () => `${long}OK\n`
    const asked = [ada, bob].map((person) => ask(player.open(person), 'playlistinfo'))
    expect(await Promise.all(asked)).toEqual([`${long}OK\n`, `${long}OK\n`])
    expect(house.fake.lines).toEqual(['playlistinfo', 'playlistinfo'])
  })
})

describe('nobody waits in another’s queue', () => {
  test('a read that waits for its person’s turn is not waited for by others', async () => {
    const player = await house.up()
    const { answers } = hold()
    const searches = [1, 2, 3].map((n) => ask(player.open(ada), `find title ${n}`))
    const piled = ask(player.open(ada), 'list album')
    const again = ask(player.open(ada), 'list album')
    await house.fake.until(() => answers.length === 1)
    const other = ask(player.open(bob), 'list album')
    const third = ask(player.open(cleo), 'list album')
    await house.fake.until(() => answers.length === 2)
    answers[1]?.('Album: 1\nOK\n')
    expect(await Promise.all([other, third])).toEqual(['Album: 1\nOK\n', 'Album: 1\nOK\n'])
    for (const n of [0, 2, 3]) {
      await house.fake.until(() => answers.length > n)
      answers[n]?.('Title: x\nOK\n')
    }
    await Promise.all(searches)
    await house.fake.until(() => answers.length === 5)
    answers[4]?.('Album: 2\nOK\n')
    expect(await Promise.all([piled, again])).toEqual(['Album: 2\nOK\n', 'Album: 2\nOK\n'])
    expect(house.fake.lines.filter((line) => line.startsWith('list'))).toHaveLength(2)
  })
})
