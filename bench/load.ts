import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { Talk } from './talk.ts'

export interface Target {
  readonly port: number
  /** The CA's certificate (PEM) for TLS; in the clear when left out. */
  readonly ca?: string
}

export interface Result {
  readonly answers: number
  readonly perSecond: number
  /** Milliseconds from a question to the last of its answers. */
  readonly p50: number
  readonly p99: number
}

/** Clients that are connected and signed in. */
export interface Load {
  /** Each asks, waits for the answers and asks again, for `ms` milliseconds. @throws when somebody hears no, or nothing */
  run(ms: number): Promise<Result>
  close(): void
}

export interface Client {
  /** Asks again and again until `end` (as `performance.now()` has it), and keeps how long each took (ms). */
  run(end: number, times: number[]): Promise<void>
  /** Sends bytes of its own and waits for one answer. */
  ask(bytes: Buffer): Promise<void>
  close(): void
}

const patience = 30_000

/** One after the other: of connects at the same time, Mopidy loses some. */
export async function openLoad(target: Target, talk: Talk, connections: number): Promise<Load> {
  const clients: Client[] = []
  for (let number = 0; number < connections; number++) clients.push(await connectClient(target, talk, number))
  return {
    async run(ms) {
      const times: number[] = []
      const begin = performance.now()
      await within(Promise.all(clients.map((client) => client.run(begin + ms, times))), ms + patience)
      const seconds = (performance.now() - begin) / 1000
      times.sort((a, b) => a - b)
      const at = (share: number) => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? Number.NaN
      const answers = times.length * talk.answers
      return { answers, perSecond: answers / seconds, p50: at(0.5), p99: at(0.99) }
    },
    close() {
      for (const client of clients) client.close()
    },
  }
}

/** A client that is past its greeting and what it has to say first. No promise is made for each answer: this shares the cores with what it measures. */
export async function connectClient({ port, ca }: Target, talk: Talk, number: number): Promise<Client> {
  // One cipher for all, whatever each would rather have.
  const socket: Socket = ca
    ? connectTls({ host: '127.0.0.1', port, ca, minVersion: 'TLSv1.3', ciphers: 'TLS_AES_128_GCM_SHA256' })
    : connectTcp(port, '127.0.0.1')
  socket.setNoDelay(true)
  const count = talk.createCount()
  const gone = () => new Error(`the connection to port ${port} ended in the middle`)
  let turn = 0
  let hear: (chunk: Buffer) => void = () => {}
  let fail: (error: Error) => void = () => {}
  socket.on('data', (chunk: Buffer) => {
    try {
      hear(chunk)
    } catch (error) {
      fail(error as Error)
    }
  })
  socket.on('error', (error) => fail(error))
  socket.on('close', () => fail(gone()))

  /** Calls `done` once that many answers are there. */
  const expect = (answers: number, done: () => void) => {
    let missing = answers
    hear = (chunk) => {
      missing -= count(chunk)
      if (missing < 0) throw new Error('more answers than questions')
      if (missing === 0) done()
    }
  }
  const settle = (begin: (resolve: () => void) => void) =>
    new Promise<void>((resolve, reject) => {
      fail = reject
      if (socket.destroyed) reject(gone())
      else begin(resolve)
    })
  const client: Client = {
    run: (end, times) =>
      settle((resolve) => {
        let sent = 0
        const again = () => {
          expect(talk.answers, () => {
            const now = performance.now()
            times.push(now - sent)
            if (now < end) again()
            else resolve()
          })
          sent = performance.now()
          socket.write(talk.question(number, turn++))
        }
        again()
      }),
    ask: (bytes) =>
      settle((resolve) => {
        expect(1, resolve)
        socket.write(bytes)
      }),
    close: () => socket.destroy(),
  }
  const ready = settle((resolve) => {
    if (!talk.greeted) socket.once(ca ? 'secureConnect' : 'connect', resolve)
    hear = (chunk) => chunk.includes('\n') && resolve()
  })
  await within(ready, patience)
  for (const words of talk.hello) await within(client.ask(words), patience)
  return client
}

function within<T>(done: Promise<T>, ms: number): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<T>()
  const timer = setTimeout(() => reject(new Error(`no answer within ${ms / 1000} s`)), ms)
  return Promise.race([done, late]).finally(() => clearTimeout(timer))
}
