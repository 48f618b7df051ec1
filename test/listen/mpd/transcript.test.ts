import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, type TLSSocket } from 'node:tls'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Call, User } from '../../../src/call/call.ts'
import { Fault } from '../../../src/call/fault.ts'
import { createGate } from '../../../src/gate/gate.ts'
import { createLimiter } from '../../../src/gate/limiter.ts'
import type { Credential } from '../../../src/identity/identity.ts'
import { createInquiry } from '../../../src/listen/inquiry.ts'
import { createMpdDoor, type MpdDoor } from '../../../src/listen/mpd/door.ts'
import { createTls, type Tls } from '../../../src/listen/tls.ts'
import { compile } from '../../../src/policy/policy.ts'
import { resolve } from '../../../src/protocol/resolve.ts'
import { createMpd } from '../../../src/upstream/mpd.ts'
import type { MpdPlayer } from '../../../src/upstream/player.ts'
import { until } from '../../real/tools.ts'

/** As in the transcripts that are played in memory. */
const policy = compile({
  owner: { grants: [{ allow: ['*'] }] },
  kid: {
    grants: [
      {
        allow: ['status.read', 'library.read', 'queue.add', 'playback.control', 'volume.set'],
        when: { maxVolume: 40, uriSchemes: ['local', 'spotify', 'path'] },
      },
    ],
  },
})

/** One thing the player is asked, a command or a whole list, and what it says to that. */
interface Unit {
  readonly asked: string
  readonly answer: string
}

/** A player that says what stands in a transcript, and keeps apart what the gateway asks for itself. */
interface Scripted {
  readonly port: number
  /** What is to come, in this order. */
  units: Unit[]
  /** What came, and was the client's. */
  readonly heard: string[]
  change(subsystems: readonly string[]): void
  close(): Promise<void>
}

/** What the gateway says to a line of its own accord, to have the client's settings there. */
const isSetting = (unit: string) =>
  unit.split('\n').every((line) => /^(command_list_|(tagtypes|binarylimit|protocol|stringnormalization) )/.test(line))

async function startScripted(): Promise<Scripted> {
  const sockets = new Set<Socket>()
  const idle = new Set<Socket>()
  const server = createServer((socket) => {
    let [text, list] = ['', undefined as string | undefined]
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => {
      sockets.delete(socket)
      idle.delete(socket)
    })
    socket.write('OK MPD 0.24.0\n')
    socket.on('data', (chunk: Buffer) => {
      const whole = (text + chunk.toString('latin1')).split('\n')
      text = whole.pop() ?? ''
      for (const line of whole) {
        if (/^command_list_(ok_)?begin$/.test(line)) list = ''
        if (list !== undefined) list += `${line}\n`
        if (list === undefined) hear(line, socket)
        else if (line === 'command_list_end') {
          const unit = list.trimEnd()
          list = undefined
          hear(unit, socket)
        }
      }
    })
  })

  function hear(unit: string, socket: Socket): void {
    if (/^idle\b/.test(unit)) return void idle.add(socket)
    if (unit === 'noidle') {
      if (idle.delete(socket)) socket.write('OK\n')
      return
    }
    // It offers whatever it is asked for.
    if (unit === 'commands' || unit === 'notcommands') return void socket.write('OK\n')
    // Whether the line is in step: no player knows such a command.
    if (/^sd_[0-9a-f]{16}$/.test(unit)) return void socket.write(`ACK [5@0] {} unknown command "${unit}"\n`)
    const [next] = player.units
    if (isSetting(unit) && next?.asked !== unit) return void socket.write('OK\n')
    player.heard.push(unit)
    if (next?.asked !== unit) return void socket.write('ACK [5@0] {} not in the transcript\n')
    player.units.shift()
    socket.write(next.answer, 'latin1')
  }

  const player: Scripted = {
    port: 0,
    units: [],
    heard: [],
    change(subsystems) {
      for (const socket of idle) socket.write(`${subsystems.map((name) => `changed: ${name}\n`).join('')}OK\n`)
      idle.clear()
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return Object.assign(player, { port: (server.address() as AddressInfo).port })
}

/** A client over TLS, which sends bytes and reads bytes. */
function talk(socket: TLSSocket) {
  let text = ''
  let closed = false
  socket.on('data', (piece: Buffer) => {
    text += piece.toString('latin1')
  })
  socket.on('error', () => {})
  socket.on('close', () => {
    closed = true
  })
  return {
    say: (line: string) => void socket.write(Buffer.from(line, 'latin1')),
    /** Waits for so many bytes, and takes no others. */
    async hear(length: number): Promise<string> {
      await until(() => text.length >= length || closed || undefined, 5_000).catch(() => {})
      const heard = text.slice(0, length)
      text = text.slice(length)
      return heard
    },
    async end(): Promise<string> {
      await until(() => closed || undefined, 5_000)
      return text
    },
    close: () => socket.destroy(),
  }
}

let dir: string
let tls: Tls
let scripted: Scripted
let mpd: MpdPlayer
let door: MpdDoor
let port: number

async function identify(credential: Credential, from: string): Promise<User> {
  const name = credential.kind === 'mpd' ? credential.password : ''
  if (name !== 'owner' && name !== 'kid') throw new Fault('bad-credentials', 'wrong')
  return { kind: 'user', id: name, name, roles: [name], session: 's', until: Number.MAX_SAFE_INTEGER, from }
}

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'stagedoor-transcript-'))
  tls = await createTls({ source: { dir }, names: () => ['127.0.0.1'], now: Date.now, onProblem: () => {} })
  scripted = await startScripted()
  mpd = createMpd({ host: '127.0.0.1', port: scripted.port })
  const gate = createGate({ policy: () => policy, limiter: createLimiter(), audit: { write: () => undefined } })
  const nothing = async () => ({})
  // For the owner it is looked up what a command adds, and it is nothing.
  const adds = async ({ by }: Call) => (by.kind === 'user' && by.roles.includes('owner') ? { adds: [] } : {})
  door = createMpdDoor({
    gate,
    inquiry: createInquiry({ gate, resolve, lookUps: { adds, hosts: nothing, volume: nothing, queue: nothing } }),
    identity: { identify, renew: (user) => user, onChange: () => () => {} },
    players: new Map([['home', mpd]]),
    now: Date.now,
  })
  port = await door.listen({ host: '127.0.0.1', port: 0, tls })
  await until(() => mpd.up || undefined)
})
afterAll(async () => {
  await door.close()
  await mpd.close()
  await scripted.close()
  await tls.close()
  rmSync(dir, { recursive: true })
})

async function enter(role: string) {
  const socket = connect({ host: '127.0.0.1', port, ca: readFileSync(join(dir, 'ca.crt')) })
  await once(socket, 'secureConnect')
  const client = talk(socket)
  expect(await client.hear('OK MPD 0.24.0\n'.length)).toBe('OK MPD 0.24.0\n')
  if (role === 'nobody') return client
  client.say(`password ${role}\n`)
  expect(await client.hear(3)).toBe('OK\n')
  return client
}

const raw = (line: string) =>
  line.replace(/\\x([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))

/** The lines of the player as what it is asked and what it says. */
function unitsOf(lines: readonly string[]): Unit[] {
  const units: { asked: string; answer: string }[] = []
  let list = false
  for (const line of lines) {
    const [kind, text] = [line.slice(0, 3), line.slice(3)]
    const last = units.at(-1)
    if (kind === 'A: ' && last) last.answer += `${raw(text)}\n`
    if (kind !== 'P: ') continue
    if (list && last) last.asked += `\n${text}`
    else units.push({ asked: text, answer: '' })
    list = /^command_list_(ok_)?begin$/.test(text) || (list && text !== 'command_list_end')
  }
  return units
}

/** What the gateway answers out of its own knowledge, however the player was asked in the transcript. */
const isOwn = ({ asked }: Unit) => /^(ping|noidle|idle\b.*)$/.test(asked)

/** Strangers hear of no mistake but that they are strangers, unless it ends the connection. */
function told(role: string, line: string, command = '', closes = false): string {
  if (role !== 'nobody' || closes || !line.startsWith('ACK [5@0]')) return line
  const name = /^\w+/.exec(command)?.[0] ?? ''
  return `ACK [4@0] {${name}} you don't have permission for "${name}": sign in first`
}

const corpus = new URL('../../corpus/mpd/', import.meta.url)
const files = readdirSync(corpus).filter((name) => name.endsWith('.txt') && !name.startsWith('commands-'))

test.each(files)('%s happens as written, over TLS and through the shared upstream', async (file) => {
  const lines = readFileSync(new URL(file, corpus), 'latin1')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
  let client: Awaited<ReturnType<typeof enter>> | undefined
  let role = ''
  for (let at = 0; at < lines.length; ) {
    if (lines[at]?.startsWith('as: ')) {
      client?.close()
      role = lines[at]?.slice(4) ?? ''
      client = await enter(role)
      at++
    }
    const take = (wanted: (line: string) => boolean) => {
      const from = at
      while (at < lines.length && wanted(lines[at] ?? '')) at++
      return lines.slice(from, at)
    }
    const said = take((line) => line.startsWith('C: ')).map((line) => `${raw(line.slice(3))}\n`)
    const written = take((line) => !/^(C|as): /.test(line))
    const units = unitsOf(written)
    const why = `${file}: ${said.join(' / ')}`
    const closes = written.includes('closed')
    const wanted = written
      .flatMap((line) => (line.startsWith('S: ') ? [`${told(role, raw(line.slice(3)), said.at(-1), closes)}\n`] : []))
      .join('')
    const changed = units
      .filter(isOwn)
      .flatMap(({ answer }) => [...answer.matchAll(/^changed: (\w+)$/gm)].map(([, name = '']) => name))

    scripted.heard.length = 0
    scripted.units = units.filter((unit) => !isOwn(unit))
    const asked = scripted.units.map((unit) => unit.asked)
    let heard = ''
    if (changed.length > 0) {
      // It is told at once, also to who is just about to say that it need not be.
      scripted.change(changed)
      if (/^noidle\n/.test(said[0] ?? '')) heard = (await client?.hear(wanted.indexOf('OK\n') + 3)) ?? ''
    }
    client?.say(said.join(''))
    heard += await client?.hear(wanted.length - heard.length)
    expect(heard, why).toBe(wanted)
    if (closes) expect(await client?.end(), why).toBe('')
    expect(scripted.heard, why).toEqual(asked)
  }
  client?.close()
})
