import { duplexPair } from 'node:stream'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Fault } from '../../../src/call/fault.ts'
import type { MpdDoorLimits } from '../../../src/listen/mpd/door.ts'
import { type FakeHouse, openFake, permission, status, until } from './house.ts'

let house: FakeHouse
let lines: readonly string[]

beforeEach(() => start())
afterEach(() => house.close())

function start(limits?: Partial<MpdDoorLimits>): void {
  house = openFake(limits)
  lines = house.home.lines
}

async function restart(limits: Partial<MpdDoorLimits>): Promise<void> {
  await house.close()
  start(limits)
}

describe('before sign-in', () => {
  test('ping, commands and notcommands answer, and the player hears nothing', async () => {
    const stranger = await house.client()
    await stranger.asks('ping\n', 'OK\n')
    const own = ['close', 'commands', 'notcommands', 'password', 'ping'].map((name) => `command: ${name}\n`).join('')
    await stranger.asks('commands\n', `${own}OK\n`)
    stranger.send('notcommands\n')
    await stranger.hears('command: add\ncommand: clear\ncommand: config\n')
    expect(lines).toEqual([])
    expect(house.home.sides).toEqual([])
  })

  const refused = ['status', 'add local:x', 'nonsense', 'kill', 'idle', 'tagtypes clear', 'setvol x', 'listpartitions']
  test.each(refused)('M11: %s is not for strangers', async (line) => {
    const stranger = await house.client()
    const [name = ''] = line.split(' ')
    await stranger.asks(`${line}\n`, `ACK [4@0] {${name}} ${permission(name, 'sign in first')}\n`)
    await stranger.asks('ping\n', 'OK\n')
    expect(lines).toEqual([])
  })

  test('M3: a list is read to its end and answered once', async () => {
    const stranger = await house.client()
    stranger.send('command_list_begin\nping\nclear\ncommand_list_end\nping\n')
    await stranger.hears(`ACK [4@0] {command_list_begin} ${permission('command_list_begin', 'sign in first')}\nOK\n`)
    expect(lines).toEqual([])
  })

  test('M3: a list begun before sign-in takes no sign-in and nothing of it is carried out', async () => {
    const stranger = await house.client()
    stranger.send('command_list_begin\npassword owner-1\nclear\ncommand_list_end\nclear\n')
    await stranger.hears('ACK [4@0] {command_list_begin}')
    await until(() => stranger.rest.includes('{clear}'))
    expect(lines).toEqual([])
  })

  test('M6: three wrong passwords end the connection, whatever follows', async () => {
    const stranger = await house.client()
    stranger.send('password a\npassword b\npassword c\npassword owner-1\nclear\n')
    await stranger.hears('ACK [3@0] {password} incorrect password\n'.repeat(3))
    await stranger.end()
    expect(stranger.rest).toBe('')
    expect(lines).toEqual([])
  })

  test('M6: too many failures elsewhere are no wrong password', async () => {
    const stranger = await house.client()
    for (let i = 0; i < 4; i++)
      await stranger.asks('password flood\n', 'ACK [52@0] {password} too many failed sign-ins: try again later\n')
  })

  test('M9: whoever does not sign in is shown out, also when he keeps talking', async () => {
    await restart({ signInMs: 100 })
    const silent = await house.client()
    const talking = await house.client()
    const timer = setInterval(() => talking.send('ping\n'), 10)
    const signedIn = await house.client('owner-1')
    await silent.end()
    await talking.end()
    clearInterval(timer)
    await signedIn.asks('ping\n', 'OK\n')
  })

  test('M9: a stranger cannot make us keep much', async () => {
    const stranger = await house.client()
    stranger.send(`command_list_begin\n${'ping\n'.repeat(20_000)}`)
    await stranger.end()
  })
})

describe('signed in', () => {
  test('a command goes to the player in our own words and its answer comes back', async () => {
    const kid = await house.client('kid-1')
    await kid.asks('status\n', status)
    await kid.asks('setvol\t 40 \n', 'OK\n')
    await kid.asks('add local:track:a%20b\n', 'OK\n')
    expect(lines).toEqual(['status', 'setvol "40"', 'add "local:track:a%20b"'])
  })

  test('what a role may not do is an ACK 4 and never reaches the player', async () => {
    const kid = await house.client('kid-1')
    await kid.asks('setvol 41\n', `ACK [4@0] {setvol} ${permission('setvol', 'not allowed: maxVolume 40')}\n`)
    await kid.asks(
      'clear\n',
      `ACK [4@0] {clear} ${permission('clear', 'not allowed: queue.clear (empty the queue) is not granted to kid at home')}\n`,
    )
    await kid.asks(
      'kill\n',
      `ACK [4@0] {kill} ${permission('kill', 'not allowed: server.admin (configuration, mounts, kill, partitions, device name: whatever outlives a song) is not granted to kid at home')}\n`,
    )
    expect(lines).toEqual([])
    expect(house.records.map(({ operation, outcome, door }) => [operation, outcome, door])).toEqual([
      ['password', 'allowed', 'mpd'],
      ['setvol', 'denied', 'mpd'],
      ['clear', 'denied', 'mpd'],
      ['kill', 'denied', 'mpd'],
    ])
  })

  test('each command has an id of its own', async () => {
    const [one, other] = [await house.client('owner-1'), await house.client('owner-1')]
    await one.asks('status\ncommand_list_begin\nclear\nclear\ncommand_list_end\n', `${status}OK\n`)
    await other.asks('status\n', status)
    const ids = house.records.map(({ request }) => request)
    expect(new Set(ids).size).toBe(6)
  })

  test.each(['file:///etc/passwd', 'http://127.0.0.1:6680/', 'ftp://x/', 'HTTP://x/', 'local:a b'])(
    'M12, M13: add %s is refused to a role with uriSchemes',
    async (uri) => {
      const kid = await house.client('kid-1')
      kid.send(`add "${uri}"\n`)
      await kid.hears('ACK [4@0] {add} ')
      expect(lines).toEqual([])
    },
  )

  test.each(['../../../etc', '/etc/passwd', 'local:track:..%2f..%2fx', 'local:%252e%252e/x'])(
    'M12: nobody adds or lists %s',
    async (uri) => {
      const owner = await house.client('owner-1')
      for (const command of ['add', 'lsinfo', 'listfiles']) {
        owner.send(`${command} "${uri}"\n`)
        await owner.hears(`ACK [2@0] {${command}} not an acceptable URI`)
        await until(() => owner.rest.endsWith('\n'))
        await owner.hears(owner.rest)
      }
      expect(lines).toEqual([])
    },
  )

  test('M11: an unknown command is an ACK 5, and a limited one an ACK 52', async () => {
    const kid = await house.client('kid-1')
    await kid.asks('frobnicate 1\n', 'ACK [5@0] {} unknown command "frobnicate"\n')
    for (let i = 0; i < 3; i++) await kid.asks('add local:x\n', 'OK\n')
    await kid.asks('add local:x\n', 'ACK [52@0] {add} too many calls: not more than 3 queue.add in 1 h, again at ')
  })

  test('commands and notcommands are what this person may and may not use of what the player has', async () => {
    const kid = await house.client('kid-1')
    const list = (names: string[]) => `${names.map((name) => `command: ${name}\n`).join('')}OK\n`
    await kid.asks(
      'commands\n',
      list([
        ...['add', 'close', 'commands', 'idle', 'listpartitions', 'notcommands', 'partition', 'password', 'ping'],
        ...['setvol', 'status', 'tagtypes'],
      ]),
    )
    await kid.asks('notcommands\n', list(['clear', 'config', 'kill']))
  })

  test('ping is answered by the door, and in a list it goes with the rest', async () => {
    const owner = await house.client('owner-1')
    await owner.asks('ping\n', 'OK\n')
    expect(lines).toEqual([])
    await owner.asks('command_list_ok_begin\nping\nstatus\ncommand_list_end\n', 'list_OK\nlist_OK\nOK\n')
    expect(lines).toEqual(['command_list_ok_begin', 'ping', 'status', 'command_list_end'])
  })

  test('two clients of different roles share nothing', async () => {
    const [kid, owner] = await Promise.all([house.client('kid-1'), house.client('owner-1')])
    await Promise.all([
      kid.asks(
        'status\nclear\nstatus\n',
        `${status}ACK [4@0] {clear} ${permission('clear', 'not allowed: queue.clear (empty the queue) is not granted to kid at home')}\n${status}`,
      ),
      owner.asks('status\nclear\nstatus\n', `${status}OK\n${status}`),
    ])
    expect(lines.filter((line) => line === 'clear')).toHaveLength(1)
    expect(house.home.sides.map(({ person }) => person)).toEqual([
      { id: 'kid', reserve: false },
      { id: 'owner', reserve: true },
    ])
  })

  test('who may not see the queue sees a status without it', async () => {
    house.roles = { kid: { grants: [{ allow: ['status.read'] }] } }
    house.home.answer = () => 'volume: 5\nplaylistlength: 7\nsong: 3\npartition: default\nOK\n'
    const kid = await house.client('kid-1')
    await kid.asks('status\n', 'volume: 5\npartition: home\nOK\n')
    // And of a list as well, whose answer does not say where the one ends and the other begins.
    house.home.answer = () => 'volume: 5\nsong: 3\nlist_OK\nlist_OK\nOK\n'
    await kid.asks('command_list_begin\nstatus\nping\ncommand_list_end\n', 'volume: 5\nOK\n')
    expect(lines.at(-4)).toBe('command_list_ok_begin')
  })

  test('close ends the connection after the answers', async () => {
    const owner = await house.client('owner-1')
    owner.send('status\nclose\nclear\n')
    await owner.hears(status)
    await owner.end()
    expect(owner.rest).toBe('')
    expect(lines).toEqual(['status'])
    expect(house.home.sides.map(({ closed }) => closed)).toEqual([true])
  })

  test('a client that leaves gives back what it had of the player', async () => {
    const owner = await house.client('owner-1')
    await owner.asks('status\n', status)
    owner.stream.end()
    await until(() => house.home.sides[0]?.closed === true)
  })

  test('M9: silence ends the connection, and idling does not', async () => {
    await restart({ silenceMs: 100 })
    const silent = await house.client('owner-1')
    const dripping = await house.client('owner-2')
    const idling = await house.client('kid-1')
    idling.send('idle\n')
    const talking = await house.client('owner-3')
    const timer = setInterval(() => {
      dripping.send('p')
      talking.send('ping\n')
    }, 10)
    await silent.end()
    await dripping.end()
    clearInterval(timer)
    await idling.asks('noidle\n', 'OK\n')
    expect(talking.ended).toBe(false)
  })

  test('many settings for one connection are too many', async () => {
    await restart({ settings: 3 })
    const owner = await house.client('owner-1')
    await owner.asks('tagtypes clear\n'.repeat(3), 'OK\n'.repeat(3))
    const text = 'too many settings for a connection\n'
    await owner.asks('tagtypes all\n', `ACK [52@0] {tagtypes} ${text}`)
    await owner.asks('command_list_begin\nping\ntagtypes all\ncommand_list_end\n', `ACK [52@0] {ping} ${text}`)
    await owner.asks('command_list_begin\nping\ntagtypes\ncommand_list_end\n', 'OK\n')
  })
})

describe('M5: passwords take effect in order', () => {
  test('wrong, then right, in one packet', async () => {
    const one = await house.client()
    one.send('clear\npassword wrong\nclear\npassword slow\npassword owner-1\nclear\n')
    const no = `ACK [4@0] {clear} ${permission('clear', 'sign in first')}\n`
    const wrong = 'ACK [3@0] {password} incorrect password\n'
    await one.hears(`${no}${wrong}${no}${wrong}OK\nOK\n`)
    expect(lines).toEqual(['clear'])
  })

  test('what came before a new password keeps the old role, and what comes after has the new one', async () => {
    const one = await house.client('owner-1')
    one.send('setvol 90\npassword kid-1\nsetvol 91\n')
    await one.hears(`OK\nOK\nACK [4@0] {setvol} ${permission('setvol', 'not allowed: maxVolume 40')}\n`)
    await one.asks('setvol 30\n', 'OK\n')
    expect(lines).toEqual(['setvol "90"', 'setvol "30"'])
    expect(house.home.sides.map(({ person, closed }) => [person.id, closed])).toEqual([
      ['owner', true],
      ['kid', false],
    ])
  })

  test('a wrong password leaves everything as it was', async () => {
    const one = await house.client('owner-1')
    await one.asks('password wrong\n', 'ACK [3@0] {password} incorrect password\n')
    await one.asks('setvol 90\n', 'OK\n')
  })

  test('the password reaches neither the player nor the records nor the log', async () => {
    const one = await house.client('owner-1')
    await one.asks('status\n', status)
    expect(JSON.stringify([lines, house.logged])).not.toContain('owner-1')
    expect(house.records.every(({ touches }) => Object.keys(touches).length === 0)).toBe(true)
  })
})

describe('M3: lists are admitted whole', () => {
  test('one denied command, and not a byte goes', async () => {
    const kid = await house.client('kid-1')
    kid.send('command_list_ok_begin\nstatus\nsetvol 41\nplay\ncommand_list_end\nstatus\n')
    await kid.hears(`ACK [4@1] {setvol} ${permission('setvol', 'not allowed: maxVolume 40')}\n${status}`)
    expect(lines).toEqual(['status'])
    expect(house.records.map(({ operation, outcome }) => `${operation} ${outcome}`)).toContain('status dropped')
  })

  test.each([
    [1_000, 999],
    [2_048, 2_047],
    [2_048, 0],
  ])('of %i commands the one at %i is denied: one ACK, and not a byte goes', async (count, denied) => {
    const kid = await house.client('kid-1')
    const commands = Array.from({ length: count }, (_, i) => (i === denied ? 'setvol 41' : 'setvol 5'))
    kid.send(`command_list_begin\n${commands.join('\n')}\ncommand_list_end\nping\n`)
    await kid.hears(`ACK [4@${denied}] {setvol} ${permission('setvol', 'not allowed: maxVolume 40')}\nOK\n`)
    expect(kid.rest).toBe('')
    expect(lines).toEqual([])
  })

  test('a list of 2,048 goes whole, and one of 2,049 not at all', async () => {
    const list = (count: number) => `command_list_begin\n${'play\n'.repeat(count)}command_list_end\n`
    const owner = await house.client('owner-1')
    await owner.asks(list(2_048), 'OK\n')
    expect(lines).toHaveLength(2_050)
    owner.send(`${list(2_049)}clear\n`)
    await owner.hears('ACK [5@2048] {} ')
    await owner.end()
    expect(lines).toHaveLength(2_050)
  })

  test('one unacceptable address, and not a byte goes', async () => {
    const owner = await house.client('owner-1')
    owner.send('command_list_begin\nstatus\nadd ../x\ncommand_list_end\n')
    await owner.hears('ACK [2@1] {add} not an acceptable URI')
    expect(lines).toEqual([])
  })

  test('a list goes as a list', async () => {
    const owner = await house.client('owner-1')
    await owner.asks('command_list_ok_begin\nstatus\nping\ncommand_list_end\n', 'list_OK\nlist_OK\nOK\n')
    await owner.asks('command_list_begin\nclear\nadd local:x\ncommand_list_end\n', 'OK\n')
    expect(lines.join(' ')).toBe(
      'command_list_ok_begin status ping command_list_end command_list_begin clear add "local:x" command_list_end',
    )
  })

  test('lists that come glued together, and in pieces, are lists', async () => {
    const owner = await house.client('owner-1')
    const text = `command_list_begin\nclear\nplay\ncommand_list_end\ncommand_list_ok_begin\nstop\ncommand_list_end\nstatus\n`
    const answer = `OK\nlist_OK\nOK\n${status}`
    await owner.asks(text, answer)
    for (const piece of text.match(/[\s\S]{1,7}/g) ?? []) {
      owner.send(piece)
      await new Promise((resolve) => setImmediate(resolve))
    }
    await owner.hears(answer)
    expect(lines.slice(lines.length / 2)).toEqual(lines.slice(0, lines.length / 2))
  })

  test('an empty list needs no player', async () => {
    const owner = await house.client('owner-1')
    await owner.asks('command_list_begin\ncommand_list_end\n', 'OK\n')
    expect(lines).toEqual([])
  })

  test('the bound on network addresses holds for the list as for one call', async () => {
    const owner = await house.client('owner-1')
    owner.send('command_list_begin\nadd http://a/\nadd local:x\nadd http://b/\ncommand_list_end\n')
    await owner.hears('ACK [2@2] {add} a list takes at most 1 network address\n')
    expect(lines).toEqual([])
  })

  test('so many searches are no list: nobody else gets a turn between them', async () => {
    const owner = await house.client('owner-1')
    owner.send(`command_list_begin\n${'find title x\n'.repeat(51)}command_list_end\n`)
    await owner.hears('ACK [2@50] {find} a list takes at most 50 searches and look-ups\n')
    owner.send(`command_list_begin\n${'load x\n'.repeat(25)}${'searchadd any x\n'.repeat(26)}command_list_end\n`)
    await owner.hears('ACK [2@50] {searchadd} a list takes at most 50 searches and look-ups\n')
    expect(lines).toEqual([])
  })

  test.each(['idle', 'close', 'password owner-1', 'commands', 'partition bath', 'command_list_begin'])(
    'M4: %s is not part of a list',
    async (line) => {
      const owner = await house.client('owner-1')
      owner.send(`command_list_begin\nclear\n${line}\ncommand_list_end\n`)
      await owner.hears('ACK [5@1]')
      expect(lines).toEqual([])
    },
  )
})

describe('M1, M2: what players read differently is understood once', () => {
  const closes: readonly [name: string, bytes: string | Uint8Array][] = [
    ['NUL', 'status\0clear\n'],
    ['a control character', 'status\x01foo\n'],
    ['a carriage return inside', 'status\rclear\n'],
    ['no-break space', 'setvol\u00a05\n'],
    ['next line', 'setvol\u00855\n'],
    ['line separator', 'setvol\u20285\n'],
    ['a vertical tab', 'setvol\x0b5\n'],
    ['invalid UTF-8', new Uint8Array([...Buffer.from('add "'), 0xff, 0xfe, ...Buffer.from('"\n')])],
    ['a line without end', `add "${'x'.repeat(9000)}`],
    ['a line of 64 KiB', `add "${'x'.repeat(65_536)}"\n`],
  ]
  test.each(closes)('%s: an ACK, the end, and nothing is forwarded', async (_name, bytes) => {
    const other = await house.client('owner-2')
    const owner = await house.client('owner-1')
    owner.send(bytes)
    await owner.hears('ACK [5@0]')
    owner.send('clear\n')
    await owner.end()
    await other.asks('ping\n', 'OK\n')
    expect(lines).toEqual([])
  })

  test.each(['POST / HTTP/1.1\r\n', 'GET', ' status\n', '"status"\n', '\n', 'STATUS\n', '\x16\x03\x01'])(
    'M14: %j ends the connection without a word',
    async (bytes) => {
      const owner = await house.client('owner-1')
      owner.send(`${bytes}`)
      await owner.end()
      expect(owner.rest).toBe('')
      expect(lines).toEqual([])
    },
  )

  test.each(['add "a""b"\n', 'add "abc\n', "add 'abc'\n", 'add "a"b\n', 'add a"b\n'])(
    'odd quoting %j',
    async (line) => {
      const owner = await house.client('owner-1')
      owner.send(line)
      await owner.hears('ACK [5@0] {} ')
      expect(lines).toEqual([])
    },
  )

  test('escapes are read and written anew', async () => {
    const owner = await house.client('owner-1')
    await owner.asks('add "local:a\\"\\\\b\\c"\n', 'OK\n')
    expect(lines).toEqual(['add "local:a\\"\\\\bc"'])
  })

  test('a command in pieces, and several in one', async () => {
    const owner = await house.client('owner-1')
    for (const piece of ['sta', 'tus', '\n']) {
      owner.send(piece)
      await new Promise((resolve) => setImmediate(resolve))
    }
    await owner.hears(status)
    await owner.asks('status\r\nping\nstatus\n', `${status}OK\n${status}`)
  })
})

describe('an answer that does not come', () => {
  test('before its first byte is an ACK 52, and the next command goes its way', async () => {
    const owner = await house.client('owner-1')
    house.home.answer = () => new Fault('player-unreachable', 'the connection to the player broke')
    await owner.asks('status\n', 'ACK [52@0] {status} the connection to the player broke\n')
    await owner.asks(
      'command_list_begin\nclear\nstatus\ncommand_list_end\n',
      'ACK [52@0] {clear} the connection to the player broke\n',
    )
    await owner.asks('ping\n', 'OK\n')
    house.home.answer = () => 'OK\n'
    await owner.asks('clear\n', 'OK\n')
  })

  test('after its first byte ends the connection: no one knows where it stood', async () => {
    const owner = await house.client('owner-1')
    house.home.answer = async function* () {
      yield 'volume: 50\n'
      yield new Fault('player-timeout', 'the player did not answer in time')
    }
    owner.send('status\nclear\n')
    await owner.hears('volume: 50\n')
    await owner.end()
    expect(owner.rest).toBe('')
    expect(lines).toEqual(['status'])
  })

  test('after what this person does not see is an ACK 52: nothing of it is out', async () => {
    house.roles = { kid: { grants: [{ allow: ['status.read'] }] } }
    const kid = await house.client('kid-1')
    house.home.answer = async function* () {
      yield 'song: 3\n'
      yield new Fault('player-timeout', 'the player did not answer in time')
    }
    await kid.asks('status\n', 'ACK [52@0] {status} the player did not answer in time\n')
  })
})

describe('A9: revocation', () => {
  test.each(['idle\n', 'ping\n', ''])('closes the connection, after %j', async (before) => {
    const owner = await house.client('owner-1')
    const other = await house.client('owner-2')
    owner.send(before)
    if (before === 'ping\n') await owner.hears('OK\n')
    house.gone.add('owner-1')
    house.change()
    await owner.end()
    await other.asks('ping\n', 'OK\n')
    expect(house.home.sides.map(({ closed }) => closed)).toEqual([true, false])
  })

  test('and without anybody telling, as when it expires', async () => {
    const owner = await house.client('owner-1')
    await owner.asks('status\n', status)
    house.gone.add('owner-1')
    await owner.end()
    expect(house.home.sides[0]?.closed).toBe(true)
  })

  test('and amid an answer', async () => {
    const owner = await house.client('owner-1')
    house.home.answer = async function* () {
      yield 'volume: 50\n'
      yield undefined
    }
    owner.send('status\n')
    await owner.hears('volume: 50\n')
    house.gone.add('owner-1')
    await owner.end()
    expect(owner.rest).toBe('')
  })
})

describe('slow readers', () => {
  test('the player is held back, and who does not read is sent away in the end, with a record', async () => {
    await restart({ unreadMs: 200 })
    const [near, far] = duplexPair()
    house.door.handle(far, '192.0.2.1')
    house.opened.push(near)
    near.write('password owner-1\nlistallinfo\n')
    let sent = 0
    house.home.answer = async function* () {
      while (sent++ < 400) yield `file: ${'x'.repeat(65_536)}\n`
      yield 'OK\n'
    }
    await until(() => far.destroyed)
    expect(sent).toBeLessThan(400)
    expect(far.writableLength).toBeLessThan(2 ** 20)
    expect(house.home.sides[0]?.closed).toBe(true)
    expect(house.logged).toEqual([
      {
        about: { account: 'owner', name: 'owner', session: 'owner-1', from: '192.0.2.1', player: 'home' },
        text: 'a client did not read its answers and was sent away',
      },
    ])
  })

  test.each(['add spotify:track:1', 'delete 0', 'setvol 10', 'rename a b'])(
    'and sooner while others may wait for what it did: %s',
    async (line) => {
      await restart({ unreadMs: 3_600_000, unreadTurnMs: 200 })
      const [near, far] = duplexPair()
      house.door.handle(far, '192.0.2.1')
      house.opened.push(near)
      near.write(`password owner-1\ncommand_list_begin\n${line}\nlistallinfo\ncommand_list_end\n`)
      house.home.answer = async function* () {
        for (;;) yield `file: ${'x'.repeat(65_536)}\n`
      }
      await until(() => far.destroyed)
      expect(house.logged).toHaveLength(1)
    },
  )

  test('whom the player may not be held for any longer is sent away, with a record', async () => {
    const owner = await house.client('owner-1')
    house.home.answer = async function* () {
      yield 'volume: 50\n'
      yield new Fault('limited', 'too many answers are held')
    }
    owner.send('status\n')
    await owner.end()
    expect(house.logged.map(({ text }) => text)).toEqual(['a client did not read its answers and was sent away'])
  })

  test('who sends thousands of commands at once takes turns with everybody else', async () => {
    const flood = await house.client('kid')
    let turns = 0
    const count = () => {
      turns++
      if (flood.rest.length < 3000 * 3) setImmediate(count)
    }
    flood.send('ping\n'.repeat(3000))
    setImmediate(count)
    await flood.hears('OK\n'.repeat(3000))
    expect(turns).toBeGreaterThan(50)
  })

  test('what is pipelined waits outside while a command is on its way', async () => {
    const owner = await house.client('owner-1')
    const { promise, resolve } = Promise.withResolvers<void>()
    house.home.answer = async function* () {
      await promise
      yield 'OK\n'
    }
    owner.send('status\n')
    await until(() => lines.length > 0)
    for (let i = 0; i < 200; i++) owner.send('listpartitions\n'.repeat(40))
    await new Promise((turn) => setImmediate(turn))
    expect(owner.stream.writableLength).toBeGreaterThan(20_000)
    resolve()
    await owner.hears(`OK\n${'partition: home\npartition: bath\nOK\n'.repeat(8000)}`)
  })
})
