import { describe, expect, test } from 'vitest'
import { createCall } from '../../src/call/call.ts'
import { mpd } from '../../src/protocol/mpd/catalog.ts'
import { createNames, type NamesLimits } from '../../src/upstream/names.ts'
import { userNamed } from './fake.ts'

const origin = { id: 'r', by: userNamed('ada'), door: 'mpd', player: 'home', at: 0 } as const
const callFor = (...uris: string[]) => callOf('ada', ...uris)
const callOf = (who: string, ...uris: string[]) =>
  createCall({ ...origin, by: userNamed(who) }, { operation: mpd.load, args: { playlist: 'x' } }, { adds: uris })

/** Names asked for, in order, and their answers when a test gives them. */
function desk(limits: Partial<NamesLimits> = {}) {
  const asked: { name: string; answer(...addresses: string[]): void; fail(code: string): void }[] = []
  const timers: { ms: number; ring(): void }[] = []
  let time = 0
  const names = createNames({
    lookup: (name) =>
      new Promise((resolve, reject) =>
        asked.push({
          name,
          answer: (...addresses) => resolve(addresses.map((address) => ({ address }))),
          fail: (code) => reject(Object.assign(new Error(code), { code })),
        }),
      ),
    now: () => time,
    wait: (ms) => new Promise((ring) => timers.push({ ms, ring })),
    limits: { runningEach: 9, ...limits },
  })
  const askAs = async (who: string, ...uris: string[]) =>
    Object.fromEntries((await names.lookUp(callOf(who, ...uris))).hosts ?? [])
  const ask = (...uris: string[]) => askAs('ada', ...uris)
  const settle = () => new Promise((resolve) => setImmediate(resolve))
  return {
    asked,
    timers,
    ask,
    askAs,
    settle,
    pass: (ms: number) => {
      time += ms
    },
  }
}

describe('what names stand for', () => {
  test('is asked of the system, each once, in one spelling, and all their addresses count', async () => {
    const { asked, ask, settle } = desk()
    const found = ask(
      'http://Radio.Example./a',
      'https://radio.example/b',
      'http://8.8.8.8/',
      'local:a',
      'yt:http://b.example/',
    )
    await settle()
    expect(asked.map(({ name }) => name)).toEqual(['radio.example', 'b.example'])
    asked[0]?.answer('93.184.216.34', '10.0.0.1')
    asked[1]?.fail('ENOTFOUND')
    expect(await found).toEqual({ 'radio.example': ['93.184.216.34', '10.0.0.1'], 'b.example': [] })
  })

  test('is kept for a short while, and that there is nothing for a shorter one', async () => {
    const { asked, ask, settle, pass } = desk({ keptMs: 30, missingMs: 5 })
    const found = ask('http://a.example/', 'http://b.example/')
    await settle()
    asked[0]?.answer('8.8.8.8')
    asked[1]?.fail('ENODATA')
    await found
    pass(4)
    expect(await ask('http://a.example/', 'http://b.example/')).toEqual({ 'a.example': ['8.8.8.8'], 'b.example': [] })
    pass(2)
    const again = ask('http://a.example/', 'http://b.example/')
    await settle()
    expect(asked.map(({ name }) => name)).toEqual(['a.example', 'b.example', 'b.example'])
    asked[2]?.answer('1.1.1.1')
    expect(await again).toEqual({ 'a.example': ['8.8.8.8'], 'b.example': ['1.1.1.1'] })
    pass(30)
    void ask('http://a.example/')
    await settle()
    expect(asked).toHaveLength(4)
  })

  test('is not known when it takes too long, or the system fails, and then is asked anew', async () => {
    const { asked, timers, ask, settle } = desk({ answerMs: 7 })
    const slow = ask('http://a.example/')
    expect(timers.map(({ ms }) => ms)).toEqual([7, 7])
    for (const timer of timers) timer.ring()
    expect(await slow).toEqual({})
    await settle()
    asked[0]?.fail('EAI_AGAIN')
    await settle()
    const again = ask('http://a.example/')
    await settle()
    asked[1]?.answer('8.8.8.8')
    expect(await again).toEqual({ 'a.example': ['8.8.8.8'] })
  })

  test('is asked of few at a time, given up on or not, and what waits in vain is not known', async () => {
    const { asked, timers, ask, settle } = desk({ running: 2, waiting: 1 })
    const all = ['a', 'b', 'c', 'd'].map((name) => ask(`http://${name}.example/`))
    await settle()
    expect(asked.map(({ name }) => name)).toEqual(['a.example', 'b.example'])
    expect(await all[3]).toEqual({})
    for (const timer of timers) timer.ring()
    expect(await Promise.all(all)).toEqual([{}, {}, {}, {}])
    const other = ask('http://e.example/')
    await settle()
    expect(asked).toHaveLength(2)
    asked[0]?.answer('8.8.8.8')
    await settle()
    // For the third nobody waited any more.
    expect(asked.map(({ name }) => name)).toEqual(['a.example', 'b.example', 'e.example'])
    asked[2]?.answer('9.9.9.9')
    expect(await other).toEqual({ 'e.example': ['9.9.9.9'] })
  })

  test('is found out for others while one person asks for what is never answered', async () => {
    const { asked, askAs, settle } = desk({ runningEach: 1, waitingEach: 3 })
    const traps = ['a', 'b', 'c', 'd', 'e'].map((name) => askAs('kid', `http://${name}.trap.example/`))
    await settle()
    expect(asked.map(({ name }) => name)).toEqual(['a.trap.example'])
    expect(await traps[4]).toEqual({})
    const [good, same] = [askAs('ada', 'http://radio.example/'), askAs('ben', 'http://c.trap.example/')]
    await settle()
    asked[1]?.answer('8.8.8.8')
    expect(await good).toEqual({ 'radio.example': ['8.8.8.8'] })
    // What is asked for by both waits behind the one and not behind the other.
    await settle()
    expect(asked.map(({ name }) => name)).toEqual(['a.trap.example', 'radio.example', 'c.trap.example'])
    asked[2]?.answer('9.9.9.9')
    expect(await same).toEqual({ 'c.trap.example': ['9.9.9.9'] })
    asked[0]?.fail('EAI_AGAIN')
    await settle()
    asked[3]?.answer('1.1.1.1')
    await settle()
    // It was found out for somebody else meanwhile.
    expect(await traps[2]).toEqual({ 'c.trap.example': ['9.9.9.9'] })
    expect(asked.map(({ name }) => name).slice(3)).toEqual(['b.trap.example', 'd.trap.example'])
  })

  test('is asked once for many at a time, for so many names of a call, and so many are kept', async () => {
    const { asked, ask, settle } = desk({ each: 2, kept: 2, running: 9 })
    const two = [ask('http://a.example/'), ask('http://a.example/')]
    await settle()
    expect(asked).toHaveLength(1)
    asked[0]?.answer('8.8.8.8')
    expect(await Promise.all(two)).toEqual([{ 'a.example': ['8.8.8.8'] }, { 'a.example': ['8.8.8.8'] }])
    const many = ask('http://a.example/', 'http://b.example/', 'http://c.example/')
    await settle()
    asked[1]?.answer('8.8.4.4')
    expect(await many).toEqual({ 'a.example': ['8.8.8.8'], 'b.example': ['8.8.4.4'] })
    const third = ask('http://c.example/')
    await settle()
    asked[2]?.answer('1.1.1.1')
    await third
    void ask('http://a.example/')
    await settle()
    expect(asked.map(({ name }) => name)).toEqual(['a.example', 'b.example', 'c.example', 'a.example'])
  })
})

test('this machine says what its own name stands for', async () => {
  const { hosts } = await createNames().lookUp(callFor('http://localhost/'))
  expect(hosts?.get('localhost')).toEqual(expect.arrayContaining([expect.stringMatching(/^(?:127\.|::1$)/)]))
})
