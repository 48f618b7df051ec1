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

/** What a WebSocket client said, as a tap saw it (RFC 6455 §5.2): the text of whole frames, a line each. */
export function unmask(bytes: Buffer): string {
  const lines: string[] = []
  let at = bytes.toString('latin1', 0, 4) === 'GET ' ? bytes.indexOf('\r\n\r\n') + 4 : 0
  while (at + 6 <= bytes.length) {
    const opcode = (bytes[at] as number) & 0x0f
    const short = (bytes[at + 1] as number) & 0x7f
    const length = short === 126 ? bytes.readUInt16BE(at + 2) : short === 127 ? bytes.readUInt32BE(at + 6) : short
    const mask = at + 2 + (short === 126 ? 2 : short === 127 ? 8 : 0)
    const payload = Buffer.from(bytes.subarray(mask + 4, mask + 4 + length))
    for (let i = 0; i < payload.length; i++) payload[i] = (payload[i] as number) ^ (bytes[mask + (i % 4)] as number)
    if (opcode === 1) lines.push(payload.toString())
    at = mask + 4 + length
  }
  return lines.map((line) => `${line}\n`).join('')
}
