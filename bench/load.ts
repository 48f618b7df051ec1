import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

export interface Target {
  readonly port: number
  /** The CA's certificate (PEM) for TLS; in the clear when left out. */
  readonly ca?: string
}

/** One protocol, as a load generator needs it: what to say first, what to ask, and where an answer ends. */
export interface Dialect {
  /** Sent once; its answer is awaited. */
  readonly hello?: Buffer
  /** Whether the other side speaks first. */
  readonly greeted: boolean
  readonly question: Buffer
  /** The length of the first whole answer in the buffer; 0 while it is not all there. Throws on an error answer. */
  answerLength(buffer: Buffer): number
}

export interface Result {
  readonly perSecond: number
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
  readonly answers: number
}

/** Request and response in turn on each of `connections` connections for `ms` milliseconds. */
export async function load(target: Target, dialect: Dialect, connections: number, ms: number): Promise<Result> {
  const clients = await Promise.all(Array.from({ length: connections }, () => open(target, dialect)))
  const times: number[] = []
  const begin = performance.now()
  const end = begin + ms
  await Promise.all(
    clients.map(async (client) => {
      while (performance.now() < end) {
        const sent = performance.now()
        await client.ask(dialect.question)
        times.push(performance.now() - sent)
      }
    }),
  )
  const seconds = (performance.now() - begin) / 1000
  for (const client of clients) client.socket.destroy()
  times.sort((a, b) => a - b)
  const at = (share: number) => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? Number.NaN
  return { perSecond: times.length / seconds, p50: at(0.5), p99: at(0.99), answers: times.length }
}

interface Client {
  readonly socket: Socket
  ask(bytes: Buffer): Promise<void>
}

async function open({ port, ca }: Target, dialect: Dialect): Promise<Client> {
  const socket = ca ? connectTls({ host: '127.0.0.1', port, ca }) : connectTcp(port, '127.0.0.1')
  socket.setNoDelay(true)
  let buffer: Buffer = Buffer.alloc(0)
  let waiting: { resolve(): void; reject(error: Error): void } | undefined
  const check = () => {
    try {
      const length = waiting ? dialect.answerLength(buffer) : 0
      if (!waiting || length === 0) return
      buffer = buffer.subarray(length)
      const { resolve } = waiting
      waiting = undefined
      resolve()
    } catch (error) {
      waiting?.reject(error as Error)
    }
  }
  socket.on('data', (chunk: Buffer) => {
    buffer = buffer.length === 0 ? chunk : Buffer.concat([buffer, chunk])
    check()
  })
  socket.on('error', (error) => waiting?.reject(error))
  socket.on('close', () => waiting?.reject(new Error('the other side closed the connection')))
  const answer = () =>
    new Promise<void>((resolve, reject) => {
      waiting = { resolve, reject }
      check()
    })
  await new Promise((resolve, reject) => {
    socket.once(ca ? 'secureConnect' : 'connect', resolve)
    socket.once('error', reject)
  })
  if (dialect.greeted) await answer()
  const client: Client = {
    socket,
    ask(bytes) {
      if (socket.destroyed || socket.readableEnded) throw new Error('the other side closed the connection')
      socket.write(bytes)
      return answer()
    },
  }
  if (dialect.hello) await client.ask(dialect.hello)
  return client
}

/** JSON-RPC over HTTP with keep-alive. */
export function httpDialect(authorization?: string): Dialect {
  const body = '{"jsonrpc":"2.0","id":1,"method":"core.playback.get_state"}'
  const head = [
    'POST /mopidy/rpc HTTP/1.1',
    'Host: localhost',
    'Content-Type: application/json',
    `Content-Length: ${body.length}`,
    ...(authorization ? [`Authorization: ${authorization}`] : []),
  ]
  return {
    greeted: false,
    question: Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`),
    answerLength(buffer) {
      const end = buffer.indexOf('\r\n\r\n')
      if (end < 0) return 0
      const header = buffer.toString('latin1', 0, end)
      if (!header.startsWith('HTTP/1.1 200')) throw new Error(header.slice(0, 200))
      const length = Number(/content-length: (\d+)/i.exec(header)?.[1])
      const total = end + 4 + length
      if (buffer.length < total) return 0
      if (buffer.includes('"error"')) throw new Error(buffer.toString('utf8', end + 4, total))
      return total
    },
  }
}

/** MPD's `status`, signed in first when a token is given. */
export function mpdDialect(token?: string): Dialect {
  return {
    greeted: true,
    ...(token && { hello: Buffer.from(`password ${token}\n`) }),
    question: Buffer.from('status\n'),
    answerLength(buffer) {
      const text = buffer.toString('latin1')
      if (text.startsWith('ACK')) throw new Error(text)
      if (text.startsWith('OK MPD')) return text.indexOf('\n') + 1
      if (text.startsWith('OK\n')) return 3
      const end = text.indexOf('\nOK\n')
      return end < 0 ? 0 : end + 4
    },
  }
}
