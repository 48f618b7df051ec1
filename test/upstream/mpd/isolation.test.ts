import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { MpdConnection } from '../../../src/upstream/player.ts'
import { ada, ask, bob, faultOf, furnish, permit } from '../house.ts'

const house = furnish()

/** Every answer tells what is set on the connection it is asked on. */
function reflect(): void {
  house.fake.answer = (line, socket) => {
    const commands = line === 'command_list_end' ? house.fake.list : [line]
    return `Asked: ${commands.join(', ')}\nSet: ${house.fake.settingsOf(socket)}\nOK\n`
  }
}

describe('clients share lines, and no settings', () => {
  test('what one set is taken back before another asks, and set again before it asks itself', async () => {
    const player = await house.up()
    reflect()
    const [mine, others] = [player.open(ada), player.open(bob)]
    await ask(mine, 'tagtypes clear')
    await ask(mine, 'binarylimit 64')
    expect(await ask(others, 'status')).toBe('Asked: status\nSet: \nOK\n')
    expect(await ask(mine, 'status')).toBe('Asked: status\nSet: tagtypes clear, binarylimit 64\nOK\n')
    await ask(mine, 'tagtypes all')
    expect(await ask(mine, 'status')).toBe('Asked: status\nSet: binarylimit 64\nOK\n')
    expect(house.fake.asked).toBe(1)
  })

  test('settings in a list stay with who sent it, as mpc does before each question', async () => {
    const player = await house.up()
    reflect()
    const mpc = player.open(ada)
    const answer = await ask(mpc, 'tagtypes clear', 'tagtypes enable Artist', 'playlistinfo')
    expect(answer).toContain('Set: tagtypes clear, tagtypes enable Artist\n')
    expect(await ask(player.open(bob), 'playlistinfo')).toContain('Set: \n')
    expect(await ask(mpc, 'status')).toContain('Set: tagtypes clear, tagtypes enable Artist\n')
  })

  test('a line whose settings fit is preferred', async () => {
    const player = await house.up()
    const [mine, others] = [player.open(ada), player.open(bob)]
    const answers: (() => void)[] = []
    house.fake.answer = (_line, socket) => void answers.push(() => socket.write('OK\n'))
    const both = [ask(mine, 'tagtypes clear'), ask(others, 'setvol 1')]
    await house.fake.until(() => answers.length === 2)
    for (const answer of answers) answer()
    await Promise.all(both)
    reflect()
    const before = house.fake.lines.length
    for (let i = 0; i < 3; i++) for (const link of [mine, others]) await ask(link, 'setvol 2')
    expect(new Set(house.fake.lines.slice(before))).toEqual(new Set(['setvol "2"']))
  })

  test('who closes in the middle of a setting leaves nothing behind', async () => {
    const player = await house.up({ running: 1 })
    let answer = () => {}
    house.fake.answer = (_line, socket) => {
      answer = () => socket.write('OK\n')
      return undefined
    }
    const mine = player.open(ada)
    const asked = faultOf(ask(mine, 'tagtypes clear'))
    await house.fake.until(() => house.fake.lines.length === 1)
    mine.close()
    await asked
    reflect()
    const next = ask(player.open(bob), 'status')
    answer()
    expect(await next).toBe('Asked: status\nSet: \nOK\n')
  })

  test('who closes while a line is made ready asks nothing on it', async () => {
    const player = await house.up({ running: 1, runningEach: 1 })
    reflect()
    await ask(player.open(ada), 'tagtypes clear')
    const honest = house.fake.answer
    let answer = () => {}
    house.fake.answer = (line, socket) => {
      answer = () => socket.write(honest(line, socket) ?? '')
      return undefined
    }
    const link = player.open(bob)
    const asked = faultOf(ask(link, 'clear'))
    await house.fake.until(() => house.fake.lines.at(-1) === 'command_list_end')
    link.close()
    await asked
    house.fake.answer = honest
    const next = ask(player.open(ada), 'status')
    answer()
    expect(await next).toBe('Asked: status\nSet: \nOK\n')
    expect(house.fake.lines).not.toContain('clear')
  })

  test('a setting that failed half-way is taken back', async () => {
    const player = await house.up()
    const mine = player.open(ada)
    house.fake.answer = () => 'ACK [2@1] {tagtypes} Unknown tag type\n'
    await ask(mine, 'binarylimit 64', 'tagtypes disable Nonsense')
    reflect()
    expect(await ask(player.open(bob), 'status')).toBe('Asked: status\nSet: \nOK\n')
    expect(await ask(mine, 'status')).toBe('Asked: status\nSet: binarylimit 64\nOK\n')
  })

  test('a line that cannot be set back is not used', async () => {
    const player = await house.up()
    reflect()
    await ask(player.open(ada), 'tagtypes clear')
    const honest = house.fake.answer
    house.fake.answer = (line, socket) =>
      house.fake.list.includes('tagtypes "all"') && line === 'command_list_end'
        ? 'ACK [5@0] {tagtypes} unknown command\n'
        : honest(line, socket)
    expect(await ask(player.open(bob), 'status')).toBe('Asked: status\nSet: \nOK\n')
    expect(house.fake.asked).toBe(2)
    expect(house.fake.open).toBe(1)
  })

  test('a player that no longer takes a client’s settings gets none of its commands', async () => {
    const player = await house.up()
    const mine = player.open(ada)
    await ask(mine, 'tagtypes clear')
    house.fake.kill('clients')
    await house.fake.until(() => house.fake.open === 0)
    house.fake.answer = (line) => (line === 'command_list_end' ? 'ACK [5@0] {tagtypes} unknown command\n' : 'OK\n')
    expect(await faultOf(ask(mine, 'clear'))).toMatch(/^player-unreachable/)
    expect(house.fake.lines).not.toContain('clear')
    expect(await ask(player.open(bob), 'setvol 1')).toBe('OK\n')
  })

  test('too many are refused before anything is sent', async () => {
    const player = await house.up()
    const mine = player.open(ada)
    const many = Array.from({ length: 65 }, (_, i) =>
      permit(`tagtypes disable A${String.fromCharCode(97 + i / 26, 97 + (i % 26))}`),
    )
    expect(await faultOf(mine.send(many, 'list', () => {}))).toMatch(/^limited/)
    expect(house.fake.lines).toEqual([])
  })
})

const commands = fc.constantFrom(
  ...['status', 'stats', 'playlistinfo', 'setvol 1', 'tagtypes', 'find artist x', 'clear', 'unsubscribe x'],
  ...['tagtypes clear', 'tagtypes all', 'tagtypes enable Artist', 'tagtypes disable Genre', 'binarylimit 64'],
  ...[
    'binarylimit 8192',
    'binarylimit 4096',
    'protocol enable hide_playlists_in_root',
    'protocol clear',
    'subscribe x',
  ],
)

/** What a connection of its own would answer: the settings are those of this client and nobody else. */
function expected(sent: readonly string[], before: readonly string[]): string {
  const settings = new Map<string, string[]>()
  for (const line of [...before, ...sent]) {
    const [aspect = '', how] = line.split(' ')
    if (!['tagtypes', 'binarylimit', 'protocol'].includes(aspect) || how === undefined) continue
    const isWhole = aspect === 'binarylimit' || how === 'all' || how === 'clear'
    const kept = isWhole ? [] : (settings.get(aspect) ?? []).filter((one) => one !== line)
    if (!['tagtypes all', 'binarylimit 8192', 'protocol clear'].includes(line)) kept.push(line)
    settings.set(aspect, kept)
  }
  const set = ['tagtypes', 'binarylimit', 'protocol'].flatMap((aspect) => settings.get(aspect) ?? [])
  const asked = sent.map((line) => permit(line)).map((one) => one.call.operation.name)
  return `${asked.join(', ')} with ${set.join(', ')}`
}

test('however the clients’ commands fall together, each hears what it would hear alone', async () => {
  const script = fc.array(
    fc.record({
      client: fc.nat(4),
      lines: fc.array(commands, { minLength: 1, maxLength: 3 }),
      pause: fc.nat(3),
      delay: fc.nat(3),
    }),
    { minLength: 5, maxLength: 40 },
  )
  const player = await house.up({ connections: 8, running: 2 })
  let delays: readonly number[] = [0]
  house.fake.answer = (line, socket) => {
    const asked = line === 'command_list_end' ? house.fake.list : [line]
    const answer = `Asked: ${asked.join(', ')}\nSet: ${house.fake.settingsOf(socket)}\nOK\n`
    const delay = delays[house.fake.lines.length % delays.length] ?? 0
    if (delay === 0) return answer
    setTimeout(() => socket.write(answer), delay)
    return undefined
  }

  await fc.assert(
    fc.asyncProperty(script, async (steps) => {
      delays = steps.map(({ delay }) => delay)
      const links = new Map<number, MpdConnection>()
      const said = new Map<number, string[]>()
      const last = new Map<number, Promise<void>>()
      const wrong: string[] = []
      for (const { client, lines, pause } of steps) {
        const link = links.get(client) ?? player.open({ id: `p${client}`, reserve: true })
        links.set(client, link)
        const next = (last.get(client) ?? Promise.resolve()).then(async () => {
          const answer = await ask(link, ...lines)
          const [, asked = '', set = ''] = /^Asked: (.*)\nSet: (.*)\nOK\n$/.exec(answer) ?? []
          const before = said.get(client) ?? []
          const names = asked.split(', ').map((line) => permit(line).call.operation.name)
          const heard = `${names.join(', ')} with ${set}`
          if (heard !== expected(lines, before)) wrong.push(`${heard} is not ${expected(lines, before)}`)
          said.set(client, [...before, ...lines])
        })
        last.set(client, next)
        if (pause > 0) await new Promise((resolve) => setTimeout(resolve, pause))
      }
      await Promise.all(last.values())
      for (const link of links.values()) link.close()
      expect(wrong).toEqual([])
    }),
    { numRuns: 40, endOnFailure: true },
  )
}, 60_000)
