import { mkdtempSync, rmSync } from 'node:fs'
import { connect as connectTcp, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Duplex, duplexPair } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { User } from '../../../src/call/call.ts'
import { Fault } from '../../../src/call/fault.ts'
import type { AuditRecord } from '../../../src/gate/audit.ts'
import { createGate } from '../../../src/gate/gate.ts'
import { createLimiter } from '../../../src/gate/limiter.ts'
import type { Credential } from '../../../src/identity/identity.ts'
import { createMpdDoor, type MpdDoor, type MpdDoorLimits } from '../../../src/listen/mpd/door.ts'
import { createTls } from '../../../src/listen/tls.ts'
import { compile, type RolesConfig } from '../../../src/policy/policy.ts'
import { createMpd } from '../../../src/upstream/mpd.ts'
import type { MpdPlayer } from '../../../src/upstream/player.ts'
import { type FakeMpd, startFakeMpd } from '../../upstream/fakempd.ts'

const roles: RolesConfig = {
  owner: { grants: [{ allow: ['*'] }] },
  kid: {
    grants: [
      { allow: ['status.read', 'queue.read', 'playback.control'] },
      { allow: ['volume.set'], when: { maxVolume: 40 } },
      { allow: ['queue.add'], when: { uriSchemes: ['local'] } },
    ],
    rates: { 'queue.add': '3/1h' },
  },
  guest: { grants: [{ allow: ['library.read'], on: ['home'] }] },
  bath: { grants: [{ allow: ['*'], on: ['bath'] }] },
}

let fake: FakeMpd
let bath: FakeMpd
let players: Map<string, MpdPlayer>
let door: MpdDoor
let policy = compile(roles)
let records: AuditRecord[]
let gone: Set<string>
let changed: Set<() => void>
const opened: Duplex[] = []

beforeEach(async () => {
  fake = await startFakeMpd()
  bath = await startFakeMpd()
  players = new Map([
    ['home', createMpd({ host: fake.host, port: fake.port, limits: { retryFirstMs: 10, answerMs: 300 } })],
    ['bath', createMpd({ host: bath.host, port: bath.port })],
  ])
  await fake.until(() => [...players.values()].every(({ up }) => up))
  policy = compile(roles)
  records = []
  gone = new Set()
  changed = new Set()
  start()
})
afterEach(async () => {
  await door.close()
  for (const stream of opened.splice(0)) stream.destroy()
  for (const player of players.values()) await player.close()
  await fake.close()
  await bath.close()
})

/** `kid-1` signs in as the account `kid`, which has the role `kid`. */
async function identify(credential: Credential, from: string): Promise<User> {
  const password = credential.kind === 'mpd' ? credential.password : ''
  if (password === 'slow') await new Promise((resolve) => setTimeout(resolve, 30))
  if (password === 'flood') throw new Fault('limited', 'too many failed sign-ins: try again later')
  const [role = ''] = password.split('-')
  if (!Object.hasOwn(roles, role) || gone.has(password)) throw new Fault('bad-credentials', 'wrong')
  return { kind: 'user', id: role, name: role, roles: [role], session: password, until: Number.MAX_SAFE_INTEGER, from }
}

function start(limits: Partial<MpdDoorLimits> = {}): void {
  const gate = createGate({
    policy: () => policy,
    limiter: createLimiter(),
    audit: { write: (record) => records.push(record) },
  })
  door = createMpdDoor({
    gate,
    players,
    identity: {
      identify,
      renew: (user) => (gone.has(user.session) ? undefined : user),
      onChange(listener) {
        changed.add(listener)
        return () => changed.delete(listener)
      },
    },
    now: Date.now,
    limits: { checkMs: 20, ...limits },
  })
}

interface Client {
  send(text: string | Uint8Array): void
  /** Waits for exactly this text to come next. */
  hears(text: string): Promise<void>
  /** Sends and waits for the answer. */
  asks(text: string, answer: string): Promise<void>
  /** What has come and was not waited for. */
  readonly rest: string
  readonly ended: boolean
  readonly stream: Duplex
  end(): Promise<void>
}

function over(stream: Duplex): Client {
  opened.push(stream)
  let rest = ''
  let ended = false
  let wake = () => {}
  stream.on('data', (chunk: Uint8Array) => {
    rest += Buffer.from(chunk).toString('latin1')
    wake()
  })
  const finish = () => {
    ended = true
    wake()
  }
  stream.on('end', finish)
  stream.on('close', finish)
  stream.on('error', finish)
  const more = () =>
    new Promise<void>((resolve) => {
      wake = resolve
    })
  const client: Client = {
    stream,
    send: (text) => stream.write(text),
    async hears(text) {
      while (rest.length < text.length && !ended && text.startsWith(rest)) await more()
      expect(rest.slice(0, text.length)).toBe(text)
      rest = rest.slice(text.length)
    },
    async asks(text, answer) {
      client.send(text)
      await client.hears(answer)
    },
    get rest() {
      return rest
    },
    get ended() {
      return ended
    },
    async end() {
      while (!ended) await more()
    },
  }
  return client
}

let lastHost = 0

/** A client with the greeting behind it, signed in when a password is given. */
async function client(password?: string, from = `192.0.2.${++lastHost % 250}`): Promise<Client> {
  const [near, far] = duplexPair()
  door.handle(far, from)
  const made = over(near)
  await made.hears('OK MPD 0.19.0\n')
  if (password !== undefined) await made.asks(`password ${password}\n`, 'OK\n')
  return made
}

/** The player breaks all connections, and ours have noticed: its own watch is back. */
async function lose(): Promise<void> {
  fake.kill()
  await fake.until(() => players.get('home')?.up === false)
  await fake.until(() => players.get('home')?.up === true)
}

const permission = (name: string, why: string) => `you don't have permission for "${name}": ${why}`
const status = 'volume: 50\nstate: stop\nOK\n'

describe('before sign-in', () => {
  test('ping, commands and notcommands answer, and the player hears nothing', async () => {
    const stranger = await client()
    await stranger.asks('ping\n', 'OK\n')
    const own = ['close', 'commands', 'notcommands', 'password', 'ping'].map((name) => `command: ${name}\n`).join('')
    await stranger.asks('commands\n', `${own}OK\n`)
    stranger.send('notcommands\n')
    await stranger.hears('command: add\ncommand: clear\ncommand: config\n')
    expect(fake.lines).toEqual([])
  })

  const refused = ['status', 'add local:x', 'nonsense', 'kill', 'idle', 'tagtypes clear', 'setvol x', 'listpartitions']
  test.each(refused)('M11: %s is not for strangers', async (line) => {
    const stranger = await client()
    const [name = ''] = line.split(' ')
    await stranger.asks(`${line}\n`, `ACK [4@0] {${name}} ${permission(name, 'sign in first')}\n`)
    await stranger.asks('ping\n', 'OK\n')
    expect(fake.asked).toBe(0)
  })

  test('M3: a list is read to its end and answered once', async () => {
    const stranger = await client()
    stranger.send('command_list_begin\nping\nclear\ncommand_list_end\nping\n')
    await stranger.hears(`ACK [4@0] {command_list_begin} ${permission('command_list_begin', 'sign in first')}\nOK\n`)
    expect(fake.asked).toBe(0)
  })

  test('M3: a list begun before sign-in takes no sign-in and nothing of it is carried out', async () => {
    const stranger = await client()
    stranger.send('command_list_begin\npassword owner-1\nclear\ncommand_list_end\nclear\n')
    await stranger.hears('ACK [4@0] {command_list_begin}')
    await fake.until(() => stranger.rest.includes('{clear}'))
    expect(fake.lines).toEqual([])
  })

  test('M6: three wrong passwords end the connection, whatever follows', async () => {
    const stranger = await client()
    stranger.send('password a\npassword b\npassword c\npassword owner-1\nclear\n')
    await stranger.hears('ACK [3@0] {password} incorrect password\n'.repeat(3))
    await stranger.end()
    expect(stranger.rest).toBe('')
    expect(fake.lines).toEqual([])
  })

  test('M6: too many failures elsewhere are no wrong password', async () => {
    const stranger = await client()
    for (let i = 0; i < 4; i++)
      await stranger.asks('password flood\n', 'ACK [52@0] {password} too many failed sign-ins: try again later\n')
  })

  test('M9: whoever does not sign in is shown out, also when he keeps talking', async () => {
    await door.close()
    start({ signInMs: 100 })
    const silent = await client()
    const talking = await client()
    const timer = setInterval(() => talking.send('ping\n'), 10)
    const signedIn = await client('owner-1')
    await silent.end()
    await talking.end()
    clearInterval(timer)
    await signedIn.asks('ping\n', 'OK\n')
  })

  test('M9: a stranger cannot make us keep much', async () => {
    const stranger = await client()
    stranger.send(`command_list_begin\n${'ping\n'.repeat(20_000)}`)
    await stranger.end()
  })
})

describe('signed in', () => {
  test('a command goes to the player in our own words and its answer comes back', async () => {
    const kid = await client('kid-1')
    await kid.asks('status\n', status)
    await kid.asks('setvol\t 40 \n', 'OK\n')
    await kid.asks('add local:track:a%20b\n', 'OK\n')
    expect(fake.lines).toEqual(['status', 'setvol "40"', 'add "local:track:a%20b"'])
  })

  test('what a role may not do is an ACK 4 and never reaches the player', async () => {
    const kid = await client('kid-1')
    await kid.asks('setvol 41\n', `ACK [4@0] {setvol} ${permission('setvol', 'not allowed: maxVolume 40')}\n`)
    await kid.asks('clear\n', `ACK [4@0] {clear} ${permission('clear', 'not allowed: queue.clear')}\n`)
    await kid.asks('kill\n', `ACK [4@0] {kill} ${permission('kill', 'not allowed: server.admin')}\n`)
    expect(fake.asked).toBe(0)
    expect(records.map(({ operation, outcome, door }) => [operation, outcome, door])).toEqual([
      ['password', 'allowed', 'mpd'],
      ['setvol', 'denied', 'mpd'],
      ['clear', 'denied', 'mpd'],
      ['kill', 'denied', 'mpd'],
    ])
  })

  test.each(['file:///etc/passwd', 'http://127.0.0.1:6680/', 'ftp://x/', 'HTTP://x/', 'local:a b'])(
    'M12, M13: add %s is refused to a role with uriSchemes',
    async (uri) => {
      const kid = await client('kid-1')
      kid.send(`add "${uri}"\n`)
      await kid.hears('ACK [4@0] {add} ')
      expect(fake.asked).toBe(0)
    },
  )

  test.each(['../../../etc', '/etc/passwd', 'local:track:..%2f..%2fx', 'local:%252e%252e/x'])(
    'M12: nobody adds or lists %s',
    async (uri) => {
      const owner = await client('owner-1')
      for (const command of ['add', 'lsinfo', 'listfiles']) {
        owner.send(`${command} "${uri}"\n`)
        await owner.hears(`ACK [2@0] {${command}} not an acceptable URI`)
        await fake.until(() => owner.rest.endsWith('\n'))
        await owner.hears(owner.rest)
      }
      expect(fake.asked).toBe(0)
    },
  )

  test('M11: an unknown command is an ACK 5, and a limited one an ACK 52', async () => {
    const kid = await client('kid-1')
    await kid.asks('frobnicate 1\n', 'ACK [5@0] {} unknown command "frobnicate"\n')
    for (let i = 0; i < 3; i++) await kid.asks('add local:x\n', 'OK\n')
    await kid.asks('add local:x\n', 'ACK [52@0] {add} too many calls: 3 queue.add per 3600 s\n')
  })

  test('commands and notcommands are what this person may and may not use of what the player has', async () => {
    const kid = await client('kid-1')
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

  test('two clients of different roles share nothing', async () => {
    const [kid, owner] = await Promise.all([client('kid-1'), client('owner-1')])
    await Promise.all([
      kid.asks(
        'status\nclear\nstatus\n',
        `${status}ACK [4@0] {clear} ${permission('clear', 'not allowed: queue.clear')}\n${status}`,
      ),
      owner.asks('status\nclear\nstatus\n', `${status}OK\n${status}`),
    ])
    expect(fake.lines.filter((line) => line === 'clear')).toHaveLength(1)
    expect(fake.asked).toBe(2)
  })

  test('close ends the connection after the answers', async () => {
    const owner = await client('owner-1')
    owner.send('status\nclose\nclear\n')
    await owner.hears(status)
    await owner.end()
    expect(owner.rest).toBe('')
    await fake.until(() => fake.open === 0)
    expect(fake.lines).toEqual(['status'])
  })

  test('a client that leaves takes its connection to the player along', async () => {
    const owner = await client('owner-1')
    await owner.asks('status\n', status)
    owner.stream.end()
    await fake.until(() => fake.open === 0)
  })

  test('M9: silence ends the connection, and idling does not', async () => {
    await door.close()
    start({ silenceMs: 100 })
    const silent = await client('owner-1')
    const dripping = await client('owner-2')
    const idling = await client('kid-1')
    idling.send('idle\n')
    const timer = setInterval(() => dripping.send('p'), 10)
    await silent.end()
    await dripping.end()
    clearInterval(timer)
    await fake.until(() => fake.lines.includes('idle "player" "mixer"') || fake.lines.length > 0)
    await idling.asks('noidle\n', 'OK\n')
  })
})

describe('M5: passwords take effect in order', () => {
  test('wrong, then right, in one packet', async () => {
    const one = await client()
    one.send('clear\npassword wrong\nclear\npassword slow\npassword owner-1\nclear\n')
    const no = `ACK [4@0] {clear} ${permission('clear', 'sign in first')}\n`
    const wrong = 'ACK [3@0] {password} incorrect password\n'
    await one.hears(`${no}${wrong}${no}${wrong}OK\nOK\n`)
    expect(fake.lines).toEqual(['clear'])
  })

  test('what came before a new password keeps the old role, and what comes after has the new one', async () => {
    const one = await client('owner-1')
    one.send('setvol 90\npassword kid-1\nsetvol 91\n')
    await one.hears(`OK\nOK\nACK [4@0] {setvol} ${permission('setvol', 'not allowed: maxVolume 40')}\n`)
    await one.asks('setvol 30\n', 'OK\n')
    expect(fake.lines).toEqual(['setvol "90"', 'setvol "30"'])
    expect(fake.asked).toBe(2) // nor is a connection to the player handed over
  })

  test('a wrong password leaves everything as it was', async () => {
    const one = await client('owner-1')
    await one.asks('password wrong\n', 'ACK [3@0] {password} incorrect password\n')
    await one.asks('setvol 90\n', 'OK\n')
  })

  test('the password reaches neither the player nor the records', async () => {
    const one = await client('owner-1')
    await one.asks('status\n', status)
    expect(JSON.stringify([fake.lines, records])).not.toContain('owner-1"]')
    expect(fake.lines).toEqual(['status'])
    expect(records.every(({ touches }) => Object.keys(touches).length === 0)).toBe(true)
  })
})

describe('M3: lists are admitted whole', () => {
  test('one denied command, and not a byte goes', async () => {
    const kid = await client('kid-1')
    kid.send('command_list_ok_begin\nstatus\nsetvol 41\nplay\ncommand_list_end\nstatus\n')
    await kid.hears(`ACK [4@1] {setvol} ${permission('setvol', 'not allowed: maxVolume 40')}\n${status}`)
    expect(fake.lines).toEqual(['status'])
    expect(records.map(({ operation, outcome }) => `${operation} ${outcome}`)).toContain('status dropped')
  })

  test('one unacceptable address, and not a byte goes', async () => {
    const owner = await client('owner-1')
    owner.send('command_list_begin\nstatus\nadd ../x\ncommand_list_end\n')
    await owner.hears('ACK [2@1] {add} not an acceptable URI')
    expect(fake.asked).toBe(0)
  })

  test('a list goes as a list', async () => {
    const owner = await client('owner-1')
    await owner.asks('command_list_ok_begin\nstatus\nping\ncommand_list_end\n', 'list_OK\nlist_OK\nOK\n')
    await owner.asks('command_list_begin\nclear\nadd local:x\ncommand_list_end\n', 'OK\n')
    expect(fake.lines.join(' ')).toBe(
      'command_list_ok_begin status ping command_list_end command_list_begin clear add "local:x" command_list_end',
    )
  })

  test('an empty list needs no player', async () => {
    const owner = await client('owner-1')
    await owner.asks('command_list_begin\ncommand_list_end\n', 'OK\n')
    expect(fake.asked).toBe(0)
  })

  test('the bound on network addresses holds for the list as for one call', async () => {
    const owner = await client('owner-1')
    owner.send('command_list_begin\nadd http://a/\nadd local:x\nadd http://b/\ncommand_list_end\n')
    await owner.hears('ACK [2@2] {add} a list takes at most 1 network address\n')
    expect(fake.asked).toBe(0)
  })

  test.each(['idle', 'close', 'password owner-1', 'commands', 'partition bath', 'command_list_begin'])(
    'M4: %s is not part of a list',
    async (line) => {
      const owner = await client('owner-1')
      owner.send(`command_list_begin\nclear\n${line}\ncommand_list_end\n`)
      await owner.hears('ACK [5@1]')
      expect(fake.asked).toBe(0)
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
    const other = await client('owner-2')
    const owner = await client('owner-1')
    owner.send(bytes)
    await owner.hears('ACK [5@0]')
    owner.send('clear\n')
    await owner.end()
    await other.asks('ping\n', 'OK\n')
    expect(fake.asked).toBe(0)
  })

  test.each(['POST / HTTP/1.1\r\n', 'GET', ' status\n', '"status"\n', '\n', 'STATUS\n', '\x16\x03\x01'])(
    'M14: %j ends the connection without a word',
    async (bytes) => {
      const owner = await client('owner-1')
      owner.send(`${bytes}`)
      await owner.end()
      expect(owner.rest).toBe('')
      expect(fake.asked).toBe(0)
    },
  )

  test.each(['add "a""b"\n', 'add "abc\n', "add 'abc'\n", 'add "a"b\n', 'add a"b\n'])(
    'odd quoting %j',
    async (line) => {
      const owner = await client('owner-1')
      owner.send(line)
      await owner.hears('ACK [5@0] {} ')
      expect(fake.asked).toBe(0)
    },
  )

  test('escapes are read and written anew', async () => {
    const owner = await client('owner-1')
    await owner.asks('add "local:a\\"\\\\b\\c"\n', 'OK\n')
    expect(fake.lines).toEqual(['add "local:a\\"\\\\bc"'])
  })

  test('a command in pieces, and several in one', async () => {
    const owner = await client('owner-1')
    for (const piece of ['sta', 'tus', '\n']) {
      owner.send(piece)
      await new Promise((resolve) => setImmediate(resolve))
    }
    await owner.hears(status)
    await owner.asks('status\r\nping\nstatus\n', `${status}OK\n${status}`)
  })
})

describe('idle', () => {
  test('only what this person may see is asked for and told', async () => {
    const kid = await client('kid-1')
    kid.send('idle player database playlist sticker\n')
    await fake.until(() => fake.lines.length > 0)
    expect(fake.lines).toEqual(['idle "player" "playlist"'])
    fake.change('playlist')
    await kid.hears('changed: playlist\nOK\n')
    kid.send('idle\n')
    await fake.until(() => fake.lines.length > 1)
    expect(fake.lines[1]).toBe('idle "playlist" "player" "mixer" "options"')
    fake.change('database')
    await fake.until(() => fake.lines.length > 2) // asked again: that was for others
    fake.change('mixer')
    await kid.hears('changed: mixer\nOK\n')
  })

  test('a role that was taken away meanwhile hears nothing', async () => {
    const kid = await client('kid-1')
    kid.send('idle mixer\n')
    await fake.until(() => fake.lines.length > 0)
    policy = compile({ ...roles, kid: { grants: [{ allow: ['queue.read'] }] } })
    fake.change('mixer')
    await fake.until(() => fake.lines.length > 1)
    expect(kid.rest).toBe('')
    await kid.asks('noidle\n', 'OK\n')
  })

  test('who may see nothing of it waits until noidle, and the player hears nothing', async () => {
    const kid = await client('kid-1')
    kid.send('idle database\n')
    await kid.asks('noidle\nping\n', 'OK\nOK\n')
    expect(fake.asked).toBe(0)
  })

  test('an unknown subsystem is refused: Mopidy would wait for it forever', async () => {
    const owner = await client('owner-1')
    owner.send('idle foo\n')
    await owner.hears('ACK [2@0] {idle} ')
    expect(fake.asked).toBe(0)
  })

  test('M4: noidle and commands in one packet', async () => {
    const owner = await client('owner-1')
    await owner.asks('idle player\nnoidle\nstatus\nidle\nnoidle\nnoidle\nstatus\n', `OK\n${status}OK\n${status}`)
  })

  test('M4: a noidle with a blank behind it is one, and the player gets a plain one', async () => {
    const owner = await client('owner-1')
    owner.send('idle player\n')
    await fake.until(() => fake.lines.length > 0)
    await owner.asks('noidle \nping\n', 'OK\nOK\n')
    expect(fake.lines).toEqual(['idle "player"', 'noidle', 'ping'])
  })

  test('M4: a noidle that crosses a change gets one answer', async () => {
    const owner = await client('owner-1')
    for (let i = 0; i < 20; i++) {
      owner.send('idle player\n')
      await fake.until(() => fake.lines.at(-1) === 'idle "player"')
      fake.change('player')
      owner.send('noidle\nstatus\n')
      await owner.hears('changed: player\nOK\n')
      await owner.hears(status)
    }
  })

  test.each(['clear\n', 'idle\n', 'close\n', 'ping\n', 'noidle x\n'])(
    'M4: %j while idle ends the connection',
    async (line) => {
      const owner = await client('owner-1')
      owner.send('idle player\n')
      await fake.until(() => fake.lines.length > 0)
      owner.send(line)
      await owner.end()
      expect(owner.rest).toBe('')
      await fake.until(() => fake.open === 0)
      expect(fake.lines).toEqual(['idle "player"'])
    },
  )

  test('noidle without idle has no answer', async () => {
    const owner = await client('owner-1')
    await owner.asks('noidle\nping\n', 'OK\n')
  })
})

describe('the player', () => {
  test('M8: a binary answer comes through unbroken, whatever is in it', async () => {
    const owner = await client('owner-1')
    const bytes = Buffer.from([...Buffer.from('OK\nACK [5@0] {} x\nlist_OK\n'), ...Array(256).keys()])
    const answer = Buffer.concat([
      Buffer.from(`size: ${bytes.length}\nbinary: ${bytes.length}\n`),
      bytes,
      Buffer.from('\nOK\n'),
    ])
    fake.answer = (_line, socket) => {
      socket.write(answer.subarray(0, 30))
      setTimeout(() => socket.write(answer.subarray(30)), 20)
      return undefined
    }
    await owner.asks('albumart local:x 0\n', answer.toString('latin1'))
    fake.answer = () => 'OK\n'
    await owner.asks('clear\n', 'OK\n')
  })

  test('M8: a piece of another length than announced ends the connection to the player', async () => {
    const owner = await client('owner-1')
    fake.answer = () => 'size: 9\nbinary: 3\nabcdefghi\nOK\n'
    owner.send('albumart local:x 0\n')
    await owner.hears('ACK [52@0] {albumart} the player sent')
    await fake.until(() => fake.open === 0)
  })

  test('ACK [0@0] is made legal', async () => {
    const owner = await client('owner-1')
    fake.answer = () => 'ACK [0@0] {crossfade} Not implemented\n'
    await owner.asks('crossfade 3\n', 'ACK [5@0] {crossfade} Not implemented\n')
  })

  test('one that dies before its answer is an ACK 52 in that moment, and the next command finds it again', async () => {
    const owner = await client('owner-1')
    fake.answer = () => undefined
    owner.send('status\n')
    await fake.until(() => fake.lines.length > 0)
    fake.kill()
    await owner.hears('ACK [52@0] {status} the connection to the player broke\n')
    fake.answer = () => 'OK\n'
    await owner.asks('clear\n', 'OK\n')
    expect(fake.lines).toEqual(['status', 'clear']) // nothing is sent twice
  })

  test('one that dies amid its answer ends the connection: no one knows where it stood', async () => {
    const owner = await client('owner-1')
    fake.answer = (_line, socket) => {
      socket.write('volume: 50\n', () => setTimeout(() => socket.destroy(), 20))
      return undefined
    }
    owner.send('status\nclear\n')
    await owner.hears('volume: 50\n')
    await owner.end()
    expect(owner.rest).toBe('')
    expect(fake.lines).toEqual(['status'])
  })

  test('half an answer and then silence ends the connection too', async () => {
    const owner = await client('owner-1')
    fake.answer = () => 'volume: 50\n'
    owner.send('status\n')
    await owner.hears('volume: 50\n')
    await owner.end()
  })

  test('silence is an ACK 52', async () => {
    const owner = await client('owner-1')
    fake.answer = () => undefined
    await owner.asks('status\n', 'ACK [52@0] {status} the player did not answer in time\n')
  })

  test('one that is down is an ACK 52 for commands, lists and idle, and ping still answers', async () => {
    const owner = await client('owner-1')
    await fake.close()
    const why = 'the player cannot be reached\n'
    await owner.asks('status\n', `ACK [52@0] {status} ${why}`)
    await owner.asks('command_list_begin\nclear\nstatus\ncommand_list_end\n', `ACK [52@0] {clear} ${why}`)
    await owner.asks('idle\n', `ACK [52@0] {idle} ${why}`)
    await owner.asks('ping\n', 'OK\n')
    await fake.reopen()
    await owner.asks('status\n', status)
  })

  test('what a client set for its connection is set again on a new one', async () => {
    const owner = await client('owner-1')
    await owner.asks(
      'tagtypes clear\ntagtypes enable Artist\ntagtypes clear\nbinarylimit 8192\ntagtypes enable Title\n',
      'OK\n'.repeat(5),
    )
    await owner.asks('subscribe news\n', 'OK\n')
    fake.answer = (line) => (line === 'tagtypes enable "Album"' ? 'ACK [2@0] {tagtypes} Unknown tag type\n' : 'OK\n')
    await owner.asks('tagtypes enable Album\n', 'ACK [2@0] {tagtypes} Unknown tag type\n')
    const before = fake.lines.length
    await lose()
    await owner.asks('clear\n', 'OK\n')
    expect(fake.lines.slice(before)).toEqual([
      'tagtypes enable "Artist"',
      'tagtypes clear',
      'binarylimit "8192"',
      'tagtypes enable "Title"',
      'subscribe "news"',
      'clear',
    ])
  })

  test('after a lost connection everything may have changed, and the next idle says so once', async () => {
    const kid = await client('kid-1')
    await kid.asks('status\n', status)
    await lose()
    await kid.asks('idle player mixer database\n', 'changed: player\nchanged: mixer\nOK\n')
    kid.send('idle player\n')
    await fake.until(() => fake.lines.at(-1) === 'idle "player"')
    await kid.asks('noidle\n', 'OK\n')
  })

  test('M10: more than four connections of one person are refused, and those that are open go on', async () => {
    const five = await Promise.all([1, 2, 3, 4, 5].map(() => client('owner-1')))
    const answers = five.map(async (one) => {
      one.send('setvol 1\n')
      await fake.until(() => one.rest.length > 0)
      return one.rest
    })
    const found = await Promise.all(answers)
    expect(found.filter((text) => text === 'OK\n')).toHaveLength(4)
    expect(found.filter((text) => text.startsWith('ACK [52@0] {setvol} only 4'))).toHaveLength(1)
  })
})

describe('partitions are the players', () => {
  test('listed are those this person may use, and partition moves there', async () => {
    const owner = await client('owner-1')
    await owner.asks('listpartitions\n', 'partition: home\npartition: bath\nOK\n')
    await owner.asks('setvol 1\npartition bath\nsetvol 2\n', 'OK\nOK\nOK\n')
    expect([fake.lines, bath.lines]).toEqual([['setvol "1"'], ['setvol "2"']])
    await fake.until(() => fake.open === 0)
    expect(records.at(-1)?.player).toBe('bath')
  })

  test('one that this person may not use is as good as none', async () => {
    const guest = await client('guest-1')
    await guest.asks('listpartitions\n', 'partition: home\nOK\n')
    await guest.asks('partition bath\npartition nowhere\n', 'ACK [2@0] {partition} no such partition\n'.repeat(2))
  })

  test('who may use only another player than the first begins there', async () => {
    const one = await client('bath-1')
    await one.asks('setvol 9\n', 'OK\n')
    expect([fake.lines, bath.lines]).toEqual([[], ['setvol "9"']])
  })
})

describe('A9: revocation', () => {
  test.each(['idle\n', 'ping\n', ''])('closes the connection, after %j', async (before) => {
    const owner = await client('owner-1')
    const other = await client('owner-2')
    owner.send(before)
    if (before === 'ping\n') await owner.hears('OK\n')
    gone.add('owner-1')
    for (const listener of changed) listener()
    await owner.end()
    await other.asks('ping\n', 'OK\n')
  })

  test('and without anybody telling, as when it expires', async () => {
    const owner = await client('owner-1')
    await owner.asks('status\n', status)
    gone.add('owner-1')
    await owner.end()
    await fake.until(() => fake.open === 0)
  })
})

describe('slow readers', () => {
  test('the player is held back, and who does not read is dropped in the end', async () => {
    await door.close()
    start({ unreadMs: 200 })
    const [near, far] = duplexPair()
    door.handle(far, '192.0.2.1')
    opened.push(near)
    near.write('password owner-1\nlistallinfo\n')
    let sent = 0
    fake.answer = (_line, socket: Socket) => {
      const more = () => {
        while (sent++ < 400) if (!socket.write(`file: ${'x'.repeat(65_536)}\n`)) return
      }
      socket.on('drain', more)
      more()
      return undefined
    }
    await fake.until(() => far.destroyed)
    expect(sent).toBeLessThan(400)
    expect(far.writableLength).toBeLessThan(2 ** 20)
    await fake.until(() => fake.open === 0)
  })

  test('who sends thousands of commands at once takes turns with everybody else', async () => {
    const flood = await client('kid')
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
    const owner = await client('owner-1')
    const waiting: Socket[] = []
    fake.answer = (line, socket) => {
      if (line !== 'status') return 'OK\n'
      waiting.push(socket)
      return undefined
    }
    owner.send('status\n')
    await fake.until(() => waiting.length > 0)
    for (let i = 0; i < 200; i++) owner.send('listpartitions\n'.repeat(40))
    await new Promise((resolve) => setTimeout(resolve, 30))
    expect(owner.stream.writableLength).toBeGreaterThan(20_000)
    waiting[0]?.write('OK\n')
    await owner.hears(`OK\n${'partition: home\npartition: bath\nOK\n'.repeat(8000)}`)
  })
})

describe('over TLS', () => {
  let dir: string
  let port: number
  let tls: Awaited<ReturnType<typeof createTls>>

  async function listen(limits: Partial<MpdDoorLimits> = {}, handshakeTimeout = 5_000): Promise<void> {
    await door.close()
    start(limits)
    dir = mkdtempSync(join(tmpdir(), 'stagedoor-'))
    tls = await createTls({ source: { dir }, names: () => ['127.0.0.1'], now: Date.now, onProblem: () => {} })
    const options = { mpdOptions: () => ({ ...tls.mpdOptions(), handshakeTimeout }), apply: tls.apply }
    port = await door.listen({ host: '127.0.0.1', port: 0, tls: options })
  }
  afterEach(() => {
    tls.close()
    rmSync(dir, { recursive: true, force: true })
  })

  const plain = (): Client => over(connectTcp({ host: '127.0.0.1', port }))
  const secure = (): Client => {
    const ca = tls.caPem()
    return over(connectTls({ host: '127.0.0.1', port, servername: '', ...(ca !== undefined && { ca }) }))
  }

  test('a client signs in and plays', async () => {
    await listen()
    const owner = secure()
    await owner.asks('password owner-1\nstatus\n', `OK MPD 0.19.0\nOK\n${status}`)
    await owner.asks('close\n', '')
    await owner.end()
  })

  test('M15: nothing in the clear is understood', async () => {
    await listen()
    const one = plain()
    one.send('password owner-1\nclear\n')
    await one.end()
    expect(one.rest).not.toContain('OK')
    expect(fake.asked).toBe(0)
  })

  test('trap b: a handshake that does not come ends the socket', async () => {
    await listen({}, 100)
    const silent = [1, 2, 3, 4, 5].map(() => plain())
    await Promise.all(silent.map((one) => one.end()))
  })

  test('trap k: one source cannot take all places', async () => {
    await listen({ connectionsEach: 3 })
    const first = [1, 2, 3].map(() => secure())
    await Promise.all(first.map((one) => one.hears('OK MPD 0.19.0\n')))
    await secure().end()
    first[0]?.stream.destroy()
    await fake.until(() => first[0]?.stream.closed === true)
    await new Promise((resolve) => setTimeout(resolve, 50))
    await secure().hears('OK MPD 0.19.0\n')
  })

  test('trap k: who fills the door without signing in makes room for who comes', async () => {
    await listen({ strangers: 4 })
    const owner = secure()
    await owner.asks('password owner-1\n', 'OK MPD 0.19.0\nOK\n')
    const crowd = Array.from({ length: 20 }, () => plain())
    await Promise.all(crowd.slice(0, 16).map((one) => one.end()))
    const late = secure()
    await late.asks('password owner-2\nstatus\n', `OK MPD 0.19.0\nOK\n${status}`)
    await owner.asks('status\n', status)
  })
})
