import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { createCall, type Principal } from '../../../src/call/call.ts'
import { Fault } from '../../../src/call/fault.ts'
import { createGate, Refusal } from '../../../src/gate/gate.ts'
import { createLimiter } from '../../../src/gate/limiter.ts'
import { compile } from '../../../src/policy/policy.ts'
import { ack } from '../../../src/protocol/mpd/ack.ts'
import { commandOf, encode, type MpdRequest } from '../../../src/protocol/mpd/decode.ts'
import { createReply } from '../../../src/protocol/mpd/reply.ts'
import { createSession, type Step } from '../../../src/protocol/mpd/session.ts'

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

/** A door in little: everything between the client's bytes and the player's, without sockets. */
function createDoor(by: Principal, happened: (line: string) => void) {
  const session = createSession({ mayList: () => by.kind === 'user' })
  let answers: (readonly string[])[] = []
  let idle = false

  /** What the player says to one question goes through the framing. */
  function answer(items?: number): void {
    const reply = createReply({ bytes: 1e6, ...(items !== undefined && { items }) })
    const { out } = reply.push(
      bytes(
        answers
          .shift()
          ?.map((line) => `${line}\n`)
          .join('') ?? '',
      ),
    )
    for (const line of out.map(textOf).join('').trimEnd().split('\n')) happened(`S: ${line}`)
  }

  function admit(requests: readonly MpdRequest[]): void {
    const calls = requests.map((request) => createCall({ id: 'r', by, door: 'mpd', player: 'home', at: 0 }, request))
    gate.admitAll(calls)
  }

  function act(step: Step): void {
    switch (step.kind) {
      case 'end':
        happened('closed')
        return
      case 'fault':
        happened(`S: ${ack(step.fault, step.command, step.index).trimEnd()}`)
        if (step.close) happened('closed')
        return
      case 'noidle':
        happened('P: noidle')
        idle = false
        answer()
        session.wake()
        return
      default:
    }
    const requests = step.kind === 'list' ? step.requests : [step.request]
    if (requests.length === 0) {
      happened('S: OK')
      return
    }
    let index = 0
    try {
      admit(requests)
      const framing = step.kind === 'list' ? (step.ok ? 'command_list_ok_begin' : 'command_list_begin') : undefined
      if (framing) happened(`P: ${framing}`)
      for (const request of requests) happened(`P: ${encode(request).trimEnd()}`)
      if (framing) happened('P: command_list_end')
      if (step.kind === 'idle') idle = true
      else answer(step.kind === 'list' && step.ok ? requests.length : undefined)
    } catch (error) {
      const cause = error instanceof Refusal ? error.fault : Fault.from(error)
      if (error instanceof Refusal) index = error.index
      const request = requests[index]
      happened(`S: ${ack(cause, request ? commandOf(request.operation) : '', index).trimEnd()}`)
      if (step.kind === 'idle') session.wake()
    }
  }

  return {
    say(lines: readonly string[], ready: readonly (readonly string[])[]) {
      answers = [...ready]
      session.push(bytes(lines.map((line) => `${raw(line)}\n`).join('')))
      for (let step = session.next(); step; step = session.next()) act(step)
      if (idle && answers.length > 0) answer()
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
  const happened: string[] = []
  let door: ReturnType<typeof createDoor> | undefined
  for (let at = 0; at < lines.length; ) {
    if (lines[at]?.startsWith('as: ')) {
      door = createDoor(principal(lines[at]?.slice(4) ?? ''), (line) => happened.push(line))
      at++
    }
    const take = (wanted: (line: string) => boolean) => {
      const from = at
      while (at < lines.length && wanted(lines[at] ?? '')) at++
      return lines.slice(from, at)
    }
    const said = take((line) => line.startsWith('C: ')).map((line) => line.slice(3))
    const written = take((line) => !/^(C|as): /.test(line))
    expect(said.length, `${file}: a client speaks first`).toBeGreaterThan(0)
    happened.length = 0
    door?.say(said, runs(written))
    const of = (kind: string) => written.filter((line) => line.startsWith(kind))
    const did = (kind: string) => happened.filter((line) => line.startsWith(kind))
    for (const kind of ['P: ', 'S: ', 'closed']) expect(did(kind), `${file}: ${said.join(' / ')}`).toEqual(of(kind))
  }
})
