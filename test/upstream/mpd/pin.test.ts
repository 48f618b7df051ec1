import { describe, expect, test } from 'vitest'
import type { MpdConnection } from '../../../src/upstream/player.ts'
import { ada, ask, bob, faultOf, furnish, permit } from '../house.ts'

const house = furnish()

function hear(link: MpdConnection): string[] {
  const heard: string[] = []
  link.onChange((name) => heard.push(name))
  return heard
}

const rests = () => house.fake.until(() => house.fake.lines.at(-1) === 'idle "message"')

describe('a connection that subscribed', () => {
  test('has a line of its own, and hears of messages at once', async () => {
    const player = await house.up()
    const [link, other] = [player.open(ada), player.open(bob)]
    const [heard, others] = [hear(link), hear(other)]
    await ask(link, 'subscribe jukebox')
    await rests()
    house.fake.change('message')
    await house.fake.until(() => heard.length > 0)
    expect([heard, others]).toEqual([['message'], []])
    expect(await ask(link, 'readmessages')).toBe('OK\n')
    expect(await ask(other, 'setvol 1')).toBe('OK\n')
    expect(house.fake.lines.filter((line) => line !== 'setvol "1"')).toEqual([
      'subscribe "jukebox"',
      'idle "message"',
      'idle "message"',
      'noidle',
      'readmessages',
      'idle "message"',
    ])
    expect(house.fake.asked).toBe(2)
  })

  test('a message that comes in between is heard too', async () => {
    const player = await house.up()
    const link = player.open(ada)
    const heard = hear(link)
    await ask(link, 'subscribe jukebox')
    await rests()
    const asked = ask(link, 'setvol 1')
    house.fake.change('message') // It may meet the noidle on its way
    expect(await asked).toBe('OK\n')
    await house.fake.until(() => heard.length === 1)
    expect(await ask(link, 'setvol 2')).toBe('OK\n')
  })

  test('its line is closed with the last subscription: messages may be left on it', async () => {
    const player = await house.up()
    const link = player.open(ada)
    await ask(link, 'subscribe a')
    await ask(link, 'subscribe b')
    await ask(link, 'unsubscribe a')
    expect(link.settings.map(({ call }) => call.args.channel)).toEqual(['b'])
    await ask(link, 'unsubscribe b')
    await house.fake.until(() => house.fake.open === 0)
    expect(await ask(player.open(bob), 'readmessages')).toBe('OK\n')
    expect(await ask(link, 'setvol 1')).toBe('OK\n')
    expect(house.fake.asked, 'not the one that was subscribed on').toBeGreaterThan(1)
  })

  test('a subscription that the player refused ties nothing, and its line is not used again', async () => {
    const player = await house.up({ seatsEach: 1 })
    const link = player.open(ada)
    house.fake.answer = (line) => (line.startsWith('subscribe') ? 'ACK [0@0] {subscribe} Not implemented\n' : 'OK\n')
    expect(await ask(link, 'subscribe a')).toMatch(/^ACK/)
    expect(link.settings).toEqual([])
    await house.fake.until(() => house.fake.open === 0)
    expect(await ask(player.open(ada), 'subscribe b')).toMatch(/^ACK/)
  })

  test('one in a list counts as far as the list came', async () => {
    const player = await house.up()
    const link = player.open(ada)
    house.fake.answer = () => 'ACK [50@1] {play} no\n'
    await ask(link, 'subscribe a', 'play 9', 'subscribe b')
    expect(link.settings.map(({ call }) => call.args.channel)).toEqual(['a'])
    await rests()
  })

  test('are few: for each person, and in all', async () => {
    const player = await house.up({ seatsEach: 2 })
    const links = [1, 2, 3].map(() => player.open(ada))
    await ask(links[0] as MpdConnection, 'subscribe a')
    await ask(links[1] as MpdConnection, 'subscribe a')
    const before = house.fake.lines.length
    expect(await faultOf(ask(links[2] as MpdConnection, 'subscribe a'))).toMatch(/^limited/)
    expect(house.fake.lines.slice(before).filter((line) => line.startsWith('subscribe'))).toEqual([])
    links[0]?.close()
    expect(await ask(links[2] as MpdConnection, 'subscribe a')).toBe('OK\n')
  })

  test('gives its place back when it never came to subscribing', async () => {
    const player = await house.up({ seatsEach: 1, openMs: 50 })
    house.fake.greeting = undefined
    expect(await faultOf(ask(player.open(ada), 'subscribe a'))).toMatch(/^player-timeout/)
    house.fake.greeting = 'OK MPD 0.23.5\n'
    expect(await ask(player.open(ada), 'subscribe b')).toBe('OK\n')
  })

  test('is not woken for nothing again and again', async () => {
    const player = await house.up({ retryMostMs: 60_000 })
    const link = player.open(ada)
    const heard = hear(link)
    await ask(link, 'subscribe a')
    await rests()
    house.fake.wake()
    await house.fake.until(() => house.fake.open === 0)
    expect(heard).toEqual([])
  })

  test('has no more than 64 channels, whatever a player allows', async () => {
    const player = await house.up()
    const link = player.open(ada)
    const some = Array.from({ length: 64 }, (_, i) => permit(`subscribe c${i}`))
    await link.send(some, 'list', () => {})
    expect(await faultOf(ask(link, 'subscribe more'))).toMatch(/^limited/)
  })
})

describe('when its line breaks', () => {
  test('the next command gets a new one, with everything on it', async () => {
    const player = await house.up({ retryMostMs: 60_000 })
    const link = player.open(ada)
    const heard = hear(link)
    await ask(link, 'tagtypes clear')
    await ask(link, 'subscribe a')
    await rests()
    const before = house.fake.lines.length
    house.fake.kill('clients')
    await house.fake.until(() => house.fake.open === 0)
    expect(await ask(link, 'setvol 1')).toBe('OK\n')
    await rests()
    expect(house.fake.lines.slice(before)).toEqual([
      'command_list_begin',
      'tagtypes clear',
      'subscribe "a"',
      'command_list_end',
      'setvol "1"',
      'idle "message"',
    ])
    expect(heard).toEqual(['message']) // Some may have come unseen.
  })

  test('it subscribes again by itself, and what came unseen is told', async () => {
    const player = await house.up()
    const link = player.open(ada)
    const heard = hear(link)
    await ask(link, 'subscribe a')
    await rests()
    house.fake.kill()
    await house.fake.until(() => heard.includes('message'))
    await rests()
    expect(heard.filter((name) => name === 'message')).toHaveLength(1)
    house.fake.change('message')
    await house.fake.until(() => heard.filter((name) => name === 'message').length === 2)
  })

  test('a player that no longer takes the subscription costs no more than a try now and then', async () => {
    const player = await house.up({ retryMostMs: 100 })
    const link = player.open(ada)
    await ask(link, 'subscribe a')
    await rests()
    house.fake.answer = () => (house.fake.list.length > 0 ? 'ACK [5@0] {subscribe} unknown command\n' : 'OK\n')
    house.fake.kill('clients')
    const since = house.fake.asked
    for (let i = 0; i < 35; i++) {
      house.fake.change('mixer')
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    expect(house.fake.asked - since).toBeLessThanOrEqual(8)
    expect(await faultOf(ask(link, 'setvol 1'))).toMatch(/^player-unreachable/)
    expect(house.fake.lines).not.toContain('setvol "1"')
  })

  test('a command that comes while it subscribes again waits for that', async () => {
    const player = await house.up()
    const link = player.open(ada)
    await ask(link, 'subscribe a')
    await rests()
    let answer = () => {}
    house.fake.answer = (line, socket) => {
      if (line !== 'command_list_end') return 'OK\n'
      answer = () => socket.write('OK\n')
      return undefined
    }
    const before = house.fake.lines.length
    house.fake.kill('clients')
    await house.fake.until(() => house.fake.lines.slice(before).includes('command_list_end'))
    const asked = ask(link, 'setvol 1')
    answer()
    expect(await asked).toBe('OK\n')
    expect(house.fake.lines.slice(before).filter((line) => /^(subscribe|setvol)/.test(line))).toEqual([
      'subscribe "a"',
      'setvol "1"',
    ])
  })
})

test('what a connection had before is in force on its next, channels included', async () => {
  const player = await house.up()
  const link = player.open(ada)
  await ask(link, 'binarylimit 64')
  await ask(link, 'subscribe a')
  const { settings } = link
  link.close()
  await house.fake.until(() => house.fake.open === 0)
  const before = house.fake.lines.length
  const heard = hear(player.open(ada, settings))
  await house.fake.until(() => heard.length === 1)
  await rests()
  expect(house.fake.lines.slice(before)).toEqual([
    'command_list_begin',
    'binarylimit "64"',
    'subscribe "a"',
    'command_list_end',
    'idle "message"',
  ])
})
