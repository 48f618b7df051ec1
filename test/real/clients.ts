import { connect } from 'node:tls'
import { WebSocket } from 'ws'
import type { Gateway } from './gateway.ts'

/** An MPD client of the plainest kind: what it writes is what is sent. */
export interface MpdClient {
  readonly greeting: string
  /** Sends the text as it is and answers with the next whole answer (to OK, ACK or the end of the connection). */
  ask(text: string | Buffer): Promise<string>
  /** Waits for one more answer without sending anything. */
  next(): Promise<string>
  readonly closed: boolean
  close(): void
}

export async function connectMpd(gateway: Pick<Gateway, 'mpd' | 'ca'>, token?: string): Promise<MpdClient> {
  const socket = connect({ host: '127.0.0.1', port: gateway.mpd, ca: gateway.ca })
  let text = ''
  let closed = false
  let wake = () => {}
  socket.on('data', (piece) => {
    text += piece.toString('latin1')
    wake()
  })
  socket.on('error', () => {})
  socket.on('close', () => {
    closed = true
    wake()
  })
  async function next(): Promise<string> {
    for (;;) {
      const end = /^(?:OK(?: MPD [^\n]*)?|ACK [^\n]*)\n/m.exec(text)
      if (end || closed) {
        const length = end ? end.index + end[0].length : text.length
        const answer = text.slice(0, length)
        text = text.slice(length)
        return Buffer.from(answer, 'latin1').toString('utf8')
      }
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
  }
  const client: MpdClient = {
    greeting: await next(),
    next,
    ask(line) {
      if (!closed) socket.write(line)
      return next()
    },
    get closed() {
      return closed
    },
    close: () => socket.destroy(),
  }
  if (token !== undefined) {
    const answer = await client.ask(`password ${token}\n`)
    if (answer !== 'OK\n') throw new Error(`password: ${answer}`)
  }
  return client
}

/** A WebSocket client that pairs answers with questions by id and keeps the events. */
export interface RpcClient {
  readonly events: Record<string, unknown>[]
  readonly socket: WebSocket
  call(method: string, params?: unknown): Promise<{ result?: unknown; error?: { code: number; message: string } }>
  /** Sends the text as it is and answers with the next message that is no event. */
  raw(text: string): Promise<unknown>
  /** The close code. */
  ended(): Promise<number>
  close(): void
}

export async function connectRpc(gateway: Pick<Gateway, 'https' | 'ca'>, token: string): Promise<RpcClient> {
  const socket = new WebSocket(`wss://127.0.0.1:${gateway.https}/mopidy/ws`, {
    ca: gateway.ca,
    headers: { authorization: `Bearer ${token}` },
  })
  const events: Record<string, unknown>[] = []
  const waiting: ((message: never) => void)[] = []
  const end = new Promise<number>((resolve) => socket.on('close', resolve))
  await new Promise((resolve, reject) => {
    socket.once('open', resolve)
    socket.once('error', reject)
  })
  socket.on('error', () => {})
  socket.on('message', (data) => {
    const message = JSON.parse(String(data))
    if ('event' in message) events.push(message)
    else waiting.shift()?.(message as never) // answers come in the order of the questions
  })
  let id = 0
  const raw = (text: string) =>
    new Promise((resolve) => {
      waiting.push(resolve)
      socket.send(text)
    })
  return {
    events,
    socket,
    raw,
    call: (method, params) =>
      raw(JSON.stringify({ jsonrpc: '2.0', id: ++id, method, ...(params !== undefined && { params }) })) as never,
    ended: () => end,
    close: () => socket.terminate(),
  }
}
