import type { AddressInfo } from 'node:net'
import { type WebSocket, WebSocketServer } from 'ws'
import { createCall, type User } from '../../src/call/call.ts'
import type { Catalog } from '../../src/call/catalog.ts'
import { decide, type Permit } from '../../src/policy/decide.ts'
import { compile } from '../../src/policy/policy.ts'
import { mopidy } from '../../src/protocol/mopidy/catalog.ts'

interface Question {
  readonly id: number
  readonly method: string
  readonly params?: unknown
}

/** A player under the test's thumb: it keeps every byte it was sent and answers what it is told to. */
export interface FakePlayer {
  readonly url: string
  /** Every message, as it came. */
  readonly received: readonly string[]
  /** The handshakes' headers. */
  readonly handshakes: readonly Readonly<Record<string, unknown>>[]
  readonly methods: readonly string[]
  /** What to do with a question; the result when something is returned. */
  onQuestion: (question: Question, socket: WebSocket) => unknown
  /** Sends to everybody, as it is. */
  broadcast(text: string | Buffer): void
  /** Waits until so many messages have come. */
  waitFor(count: number): Promise<void>
  /** Breaks all connections without a word. */
  kill(): void
  close(): Promise<void>
}

export async function startFakePlayer(port = 0): Promise<FakePlayer> {
  const received: string[] = []
  const handshakes: Record<string, unknown>[] = []
  const waiters = new Set<() => void>()
  const server = new WebSocketServer({ host: '127.0.0.1', port, path: '/mopidy/ws' })
  await new Promise((resolve, reject) => server.once('listening', resolve).once('error', reject))
  const player: FakePlayer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    handshakes,
    get methods() {
      return received.map((text) => JSON.parse(text).method)
    },
    onQuestion: () => null,
    broadcast(text) {
      for (const socket of server.clients) socket.send(text)
    },
    async waitFor(count) {
      while (received.length < count) await new Promise<void>((resolve) => waiters.add(resolve))
    },
    kill() {
      for (const socket of server.clients) socket.terminate()
    },
    async close() {
      player.kill()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  server.on('connection', (socket, request) => {
    handshakes.push(request.headers)
    socket.on('error', () => undefined)
    socket.on('message', (data: Buffer) => {
      received.push(data.toString())
      for (const waiter of waiters) waiter()
      waiters.clear()
      const question: Question = JSON.parse(data.toString())
      const result = player.onQuestion(question, socket)
      if (result !== undefined) answer(socket, question.id, result)
    })
  })
  return player
}

export function answer(socket: WebSocket, id: number, result: unknown): void {
  socket.send(JSON.stringify({ jsonrpc: '2.0', id, result }))
}

const catalog: Catalog = mopidy
const owner = compile({ owner: { grants: [{ allow: ['*'] }] } })

export function userNamed(id: string, roles: readonly string[] = ['owner']): User {
  return { kind: 'user', id, name: id, roles, session: `session-${id}`, until: Number.MAX_SAFE_INTEGER, from: '::1' }
}

/** A permit as the gate would give it to an owner. */
export function permitFor(method: string, args: Record<string, unknown> = {}, person = 'ada'): Permit {
  const operation = catalog[method]
  if (!operation) throw new Error(`no such method: ${method}`)
  const origin = { id: 'r1', by: userNamed(person), door: 'websocket', player: 'home', at: 0 } as const
  const decision = decide(owner, createCall(origin, { operation, args }))
  if (!decision.allowed) throw new Error(decision.denial.reason)
  return decision.permit
}
