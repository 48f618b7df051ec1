import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { type Call, createCall, type Principal } from '../../../src/call/call.ts'
import { Fault } from '../../../src/call/fault.ts'
import { createGate, Refusal } from '../../../src/gate/gate.ts'
import { createLimiter } from '../../../src/gate/limiter.ts'
import { compile } from '../../../src/policy/policy.ts'
import { ack } from '../../../src/protocol/mpd/ack.ts'
import { commandOf, encode, type MpdRequest } from '../../../src/protocol/mpd/decode.ts'
import { createReply } from '../../../src/protocol/mpd/reply.ts'
import { createSession, type Step } from '../../../src/protocol/mpd/session.ts'
import { createView, type Framing } from '../../../src/protocol/mpd/view.ts'

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
const gate = createGate({ policy: () => policy, limiter: createLimiter(), audit: { write: () => undefined } })

function principal(role: string): Principal {
  if (role === 'nobody') return { kind: 'anonymous', from: 'here' }
  return {
    kind: 'user',
    id: role,
    name: role,
    roles: [role],
    session: 's',
    until: Number.POSITIVE_INFINITY,
    from: 'here',
  }
}

const bytes = (text: string) => Uint8Array.from(text, (c) => c.charCodeAt(0))
const textOf = (chunk: Uint8Array) => String.fromCharCode(...chunk)
const raw = (line: string) =>
  line.replace(/\\x([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))

/** What happened: lines for the player and the end by themselves, what the client got as one text. */
interface Happened {
  readonly player: string[]
  client: string
  closed: boolean
}

/** A door in little: everything between the client's bytes and the player's, without sockets. */
function createDoor(by: Principal, happened: Happened) {
  const session = createSession({ mayList: () => by.kind === 'user' })
  let answers: (readonly string[])[] = []
  let idle = false

  function told(fault: Fault, command: string, index: number): void {
    happened.client += ack(fault, command, index)
  }

  /** What the player says to one question goes through the framing, and through what this person may see. */
  function answer(see = (bytes: Uint8Array) => bytes, items?: number): void {
    const reply = createReply({ bytes: 1e6, ...(items !== undefined && { items }) })
    const said = answers.shift() ?? []
    const { out } = reply.push(bytes(raw(said.map((line) => `${line}\n`).join(''))))
    for (const piece of out) happened.client += textOf(see(piece))
  }

  function admit(requests: readonly MpdRequest[]): readonly Call[] {
    const origin = { id: 'r', by, door: 'mpd', player: 'home', at: 0 } as const
    // For the owner it was looked up what a command adds, and it was nothing.
    const known = by.kind === 'user' && by.roles.includes('owner') ? { adds: [] } : {}
    const calls = requests.map((request) => createCall(origin, request, known))
    gate.admitAll(calls)
    return calls
  }

  function ask(calls: readonly Call[], wanted: Framing): void {
    const view = createView(calls, wanted, gate)
    const framing = view?.framing ?? wanted
    if (framing !== 'single') happened.player.push(framing === 'list' ? 'command_list_begin' : 'command_list_ok_begin')
    for (const call of calls) happened.player.push(encode(call).trimEnd())
    if (framing !== 'single') happened.player.push('command_list_end')
    answer(view?.push, framing === 'ok-list' ? calls.length : undefined)
  }

  /** What the gateway answers of its own. */
  function own({ operation: { name }, args }: Call): void {
    if (name === 'partition' && args.name !== 'home') throw new Fault('bad-arguments', 'no such partition')
    happened.client += name === 'listpartitions' ? 'partition: home\nOK\n' : 'OK\n'
  }

  function act(step: Step): void {
    switch (step.kind) {
      case 'end':
        happened.closed = true
        return
      case 'fault':
        told(step.fault, step.command, step.index)
        happened.closed = step.close
        return
      case 'noidle':
        rise('noidle')
        return
      default:
        pass(step)
    }
  }

  /** What asks for something: admitted as a whole, then answered here or asked of the player. */
  function pass(step: Extract<Step, { kind: 'command' | 'list' | 'idle' }>): void {
    const requests = step.kind === 'list' ? step.requests : [step.request]
    if (requests.length === 0) {
      happened.client += 'OK\n'
      return
    }
    try {
      const calls = admit(requests)
      if (step.kind === 'list') ask(calls, step.ok ? 'ok-list' : 'list')
      else if (step.kind === 'idle') {
        happened.player.push(encode(step.request).trimEnd())
        idle = true
      } else if (step.request.operation.state === 'local') for (const call of calls) own(call)
      else ask(calls, 'single')
    } catch (error) {
      const { fault, index } = error instanceof Refusal ? error : { fault: Fault.from(error), index: 0 }
      const request = requests[index]
      told(fault, request ? commandOf(request.operation) : '', index)
      if (step.kind === 'idle') session.wake()
    }
  }

  /** Ends an idle with what the player says of changes. */
  function rise(...lines: readonly string[]): void {
    happened.player.push(...lines)
    idle = false
    answer()
    session.wake()
  }

  function go(): void {
    for (let step = session.next(); step; step = session.next()) act(step)
  }

  return {
    say(lines: readonly string[], ready: readonly (readonly string[])[]) {
      answers = [...ready]
      session.push(bytes(lines.map((line) => `${raw(line)}\n`).join('')))
      go()
      if (!idle || answers.length === 0) return
      rise()
      go()
    },
  }
}

/** The player's answers: each run of its lines is one. */
function runs(lines: readonly string[]): string[][] {
  const found: string[][] = []
  for (const [i, line] of lines.entries()) {
    if (!line.startsWith('A: ')) continue
    if (!lines[i - 1]?.startsWith('A: ')) found.push([])
    found.at(-1)?.push(line.slice(3))
  }
  return found
}

const corpus = new URL('../../corpus/mpd/', import.meta.url)
const files = readdirSync(corpus).filter((name) => name.endsWith('.txt') && !name.startsWith('commands-'))

test('there are conversations', () => {
  expect(files.length).toBeGreaterThanOrEqual(6)
})

test.each(files)('%s happens as written', (file) => {
  const lines = readFileSync(new URL(file, corpus), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
  let happened: Happened = { player: [], client: '', closed: false }
  let door: ReturnType<typeof createDoor> | undefined
  for (let at = 0; at < lines.length; ) {
    if (lines[at]?.startsWith('as: ')) {
      happened = { player: [], client: '', closed: false }
      door = createDoor(principal(lines[at]?.slice(4) ?? ''), happened)
      at++
    }
    const take = (wanted: (line: string) => boolean) => {
      const from = at
      while (at < lines.length && wanted(lines[at] ?? '')) at++
      return lines.slice(from, at)
    }
    const said = take((line) => line.startsWith('C: ')).map((line) => line.slice(3))
    const written = take((line) => !/^(C|as): /.test(line))
    const of = (kind: string) => written.filter((line) => line.startsWith(kind)).map((line) => line.slice(3))
    expect(said.length, `${file}: a client speaks first`).toBeGreaterThan(0)
    happened.player.length = 0
    happened.client = ''
    door?.say(said, runs(written))
    const why = `${file}: ${said.join(' / ')}`
    expect(happened.player, why).toEqual(of('P: '))
    expect(happened.client, why).toBe(
      of('S: ')
        .map((line) => `${raw(line)}\n`)
        .join(''),
    )
    expect(happened.closed, why).toBe(written.includes('closed'))
  }
})
