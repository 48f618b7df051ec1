import { randomBytes } from 'node:crypto'
import { request } from 'node:https'
import { connect as connectTcp, type Socket } from 'node:net'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'

/** The gateway as a client finds it. */
export interface Target {
  readonly https: number
  readonly mpd: number
  /** MPD without TLS, where that door is open. */
  readonly plain?: number
  readonly ca: string
  /** The address a client comes from. */
  readonly from: string
}

type Bytes = string | Buffer
const { concat } = Buffer
const bytesOf = (bytes: Bytes) => (typeof bytes === 'string' ? Buffer.from(bytes) : bytes)

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
  /** The body, where it is JSON. */
  readonly json: Record<string, never> & { error?: { code: number; data?: Record<string, unknown> }; result?: unknown }
}

/** One well-formed request on a connection of its own. */
export function ask(
  { https, ca, from: own }: Target,
  path: string,
  options: {
    readonly method?: string
    readonly headers?: Readonly<Record<string, string | string[]>>
    readonly token?: string
    readonly json?: unknown
    readonly body?: Bytes
    readonly from?: string
  } = {},
): Promise<Answer> {
  const { json, token, from = own } = options
  const body = json === undefined ? options.body : JSON.stringify(json)
  const headers = {
    ...(body !== undefined && { 'content-type': 'application/json', 'content-length': bytesOf(body).length }),
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
    ...options.headers,
  }
  return new Promise((resolve, reject) => {
    const method = options.method ?? (body === undefined ? 'GET' : 'POST')
    const asked = request(
      { host: '127.0.0.1', port: https, path, method, ca, agent: false, headers, localAddress: from },
      (answer) => {
        const pieces: Buffer[] = []
        answer.on('data', (piece: Buffer) => pieces.push(piece))
        answer.on('error', reject)
        answer.on('end', () => {
          const text = concat(pieces).toString()
          const isJson = /json/.test(answer.headers['content-type'] ?? '')
          resolve({
            status: answer.statusCode ?? 0,
            headers: answer.headers,
            text,
            // An answer to HEAD has a type and no body.
            json: isJson && text !== '' ? JSON.parse(text) : {},
          })
        })
      },
    )
    asked.on('error', reject)
    asked.end(body)
  })
}

/** A JSON-RPC message over HTTP, as it is. */
export function post(
  target: Target,
  token: string,
  message: Bytes,
  more: Parameters<typeof ask>[2] = {},
): Promise<Answer> {
  return ask(target, '/mopidy/rpc', { token, body: message, ...more })
}

/** A call over HTTP; the code of its error, 0 for a result. */
export async function call(target: Target, token: string, method: string, params: unknown = {}): Promise<number> {
  const { json } = await ask(target, '/mopidy/rpc', { token, json: { jsonrpc: '2.0', id: 1, method, params } })
  return json.error?.code ?? 0
}

/** Such as a certificate to show, or an earlier session to resume. */
export type TlsChoice = Omit<ConnectionOptions, 'host' | 'port' | 'ca' | 'localAddress'>

/** A TLS connection whose bytes are one's own. */
export async function dial(
  { ca, from: own, ...ports }: Target,
  door: 'https' | 'mpd',
  options: TlsChoice & { readonly from?: string } = {},
): Promise<TLSSocket> {
  const { from = own, ...more } = options
  const socket = connect({ host: '127.0.0.1', port: ports[door], ca, localAddress: from, ...more } as ConnectionOptions)
  await new Promise<void>((resolve, reject) => {
    socket.once('secureConnect', resolve)
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('closed before TLS was there')))
  })
  socket.on('error', () => {})
  return socket
}

/** A plain TCP connection to a door, with nothing sent. */
export function knock({ from: own, ...ports }: Target, door: 'https' | 'mpd' | 'plain', from = own): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const port = ports[door] ?? 0
    const socket = connectTcp({ host: '127.0.0.1', port, localAddress: from }, () => resolve(socket))
    socket.once('error', reject)
    socket.on('error', () => {})
  })
}

/** Resolves to all that still comes when the other side has ended the connection. */
export function ended(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let text = ''
    socket.on('data', (piece: Buffer) => {
      text += piece.toString('latin1')
    })
    if (socket.closed) resolve(text)
    socket.on('close', () => resolve(text))
  })
}

/** Sends bytes and gives back all that comes until the gateway closes. */
export async function exchange(
  target: Target,
  bytes: Bytes | readonly Bytes[],
  { door = 'https' as 'https' | 'mpd', from = target.from } = {},
): Promise<string> {
  const socket = await dial(target, door, { from })
  const all = ended(socket)
  for (const piece of [bytes].flat() as Bytes[]) socket.write(piece)
  return all
}

/** The status of each answer in what came over a connection. */
export function statuses(text: string): number[] {
  return [...text.matchAll(/(?:^|\n|\}|>)HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status))
}

/** A request as text: the lines of its head, and its body. */
export function lines(head: readonly string[], body = ''): string {
  return `${head.join('\r\n')}\r\n\r\n${body}`
}

export interface MpdClient {
  readonly greeting: string
  /** Sends and waits for one answer: up to OK, ACK or the end of the connection. */
  ask(text: Bytes): Promise<string>
  send(text: Bytes): void
  next(): Promise<string>
  /** Resolves to what was left when the gateway closed. */
  end(): Promise<string>
  readonly socket: Socket
  close(): void
}

export async function openMpd(
  target: Target,
  { token, from = target.from, tls = {} }: { token?: string; from?: string; tls?: TlsChoice } = {},
): Promise<MpdClient> {
  return greet(await dial(target, 'mpd', { ...tls, from }), token)
}

/** By the door that has no TLS. */
export async function openPlain(
  target: Target,
  { token, from = target.from }: { token?: string; from?: string } = {},
): Promise<MpdClient> {
  return greet(await knock(target, 'plain', from), token)
}

async function greet(socket: Socket, token: string | undefined): Promise<MpdClient> {
  let text = ''
  const waiting = new Set<() => void>()
  const wake = () => {
    for (const resolve of waiting) resolve()
    waiting.clear()
  }
  socket.on('data', (piece: Buffer) => {
    text += piece.toString('latin1')
    wake()
  })
  socket.on('close', () => wake())
  const change = () =>
    new Promise<void>((resolve) => {
      waiting.add(resolve)
    })
  async function next(): Promise<string> {
    for (;;) {
      const found = /^(?:OK(?: MPD [^\n]*)?|ACK [^\n]*)\n/m.exec(text)
      if (found || socket.closed) {
        const length = found ? found.index + found[0].length : text.length
        const answer = text.slice(0, length)
        text = text.slice(length)
        return answer
      }
      await change()
    }
  }
  const client: MpdClient = {
    greeting: await next(),
    next,
    socket,
    send: (bytes) => void socket.write(bytes),
    ask(bytes) {
      socket.write(bytes)
      return next()
    },
    async end() {
      while (!socket.closed) await change()
      return text
    },
    close: () => socket.destroy(),
  }
  if (token !== undefined) {
    const answer = await client.ask(`password ${token}\n`)
    if (answer !== 'OK\n') throw new Error(`password: ${answer}`)
  }
  return client
}

/** A frame as clients write it (RFC 6455 §5.2): masked, whole and short of any mistake, unless told otherwise. */
export function frame(
  payload: Bytes,
  {
    opcode = 1,
    fin = true,
    rsv = 0,
    mask = true,
    length,
  }: { opcode?: number; fin?: boolean; rsv?: number; mask?: boolean; length?: bigint } = {},
): Buffer {
  const body = Buffer.from(bytesOf(payload))
  const size = length ?? BigInt(body.length)
  const first = (fin ? 0x80 : 0) | (rsv << 4) | opcode
  const bit = mask ? 0x80 : 0
  const head =
    size < 126n
      ? Buffer.from([first, bit | Number(size)])
      : size < 65_536n
        ? Buffer.from([first, bit | 126, Number(size >> 8n), Number(size & 255n)])
        : concat([Buffer.from([first, bit | 127]), bigEndian(size)])
  if (!mask) return concat([head, body])
  const key = randomBytes(4)
  for (let i = 0; i < body.length; i++) body[i] = (body[i] ?? 0) ^ (key[i % 4] ?? 0)
  return concat([head, key, body])
}

function bigEndian(size: bigint): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(size)
  return bytes
}

export const upgradeHead = {
  host: '127.0.0.1',
  connection: 'Upgrade',
  upgrade: 'websocket',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
}

export interface Upgrade {
  readonly path?: string
  readonly token?: string | undefined
  readonly headers?: Readonly<Record<string, string>>
  readonly first?: string
  readonly from?: string
}

export function upgrade({ path = '/mopidy/ws', token, headers, first = `GET ${path} HTTP/1.1` }: Upgrade): string {
  const all = { ...upgradeHead, ...(token !== undefined && { authorization: `Bearer ${token}` }), ...headers }
  return lines([first, ...Object.entries(all).map(([name, value]) => `${name}: ${value}`)])
}

/** The status that answers an upgrade; 101 when it was taken. */
export async function knockWs(target: Target, given: Upgrade & { readonly raw?: string }): Promise<number> {
  const socket = await dial(target, 'https', { from: given.from ?? target.from })
  socket.write(given.raw ?? upgrade(given))
  return new Promise((resolve) => {
    let text = ''
    socket.on('data', (piece: Buffer) => {
      text += piece.toString('latin1')
      const status = /^HTTP\/1\.1 (\d{3})[\s\S]*\r\n\r\n/.exec(text)?.[1]
      if (status === undefined) return
      resolve(Number(status))
      socket.destroy()
    })
    socket.on('close', () => resolve(0))
  })
}

export interface WsClient {
  readonly socket: TLSSocket
  /** Texts that came and nobody waited for: events, and answers to what was sent by `write`. */
  readonly texts: string[]
  readonly head: string
  write(bytes: Bytes): void
  /** Sends a text and waits for the next one that is no event. */
  say(text: Bytes): Promise<Record<string, never> & { error?: { code: number }; result?: unknown }>
  rpc(message: unknown): ReturnType<WsClient['say']>
  next(): ReturnType<WsClient['say']>
  /** The close code; 1006 when there was none. */
  end(): Promise<number>
  close(): void
}

/** A WebSocket in plain sight: frames can be written by hand, also behind the upgrade in the same packet. */
export async function openWs(target: Target, given: Upgrade & { readonly with?: Bytes } = {}): Promise<WsClient> {
  const socket = await dial(target, 'https', { from: given.from ?? target.from })
  socket.write(concat([Buffer.from(upgrade(given)), bytesOf(given.with ?? '')]))
  const texts: string[] = []
  const answers: string[] = []
  const waiting: ((text: string) => void)[] = []
  let code = 1006
  let rest: Buffer = Buffer.alloc(0)
  let head: string | undefined

  function read(): void {
    if (head === undefined) {
      const end = rest.indexOf('\r\n\r\n')
      if (end < 0) return
      head = rest.toString('latin1', 0, end)
      rest = rest.subarray(end + 4)
    }
    while (rest.length >= 2) {
      const short = (rest[1] ?? 0) & 127
      const start = short === 126 ? 4 : short === 127 ? 10 : 2
      if (rest.length < start) return
      const size = short === 126 ? rest.readUInt16BE(2) : short === 127 ? Number(rest.readBigUInt64BE(2)) : short
      if (rest.length < start + size) return
      take((rest[0] ?? 0) & 15, rest.subarray(start, start + size))
      rest = rest.subarray(start + size)
    }
  }
  function take(opcode: number, payload: Buffer): void {
    if (opcode === 8) {
      if (payload.length >= 2) code = payload.readUInt16BE(0)
      socket.end(frame(payload.subarray(0, 2), { opcode: 8 }))
    }
    if (opcode !== 1) return
    const text = payload.toString()
    texts.push(text)
    if (/^\{"event"/.test(text) || /"event":/.test(text.slice(0, 40))) return
    const next = waiting.shift()
    if (next) next(text)
    else answers.push(text)
  }

  await new Promise<void>((resolve, reject) => {
    socket.on('data', (piece: Buffer) => {
      rest = concat([rest, piece])
      read()
      if (head !== undefined) /^HTTP\/1\.1 101 /.test(head) ? resolve() : reject(new Error(head.split('\r\n')[0]))
    })
    socket.on('close', () => {
      reject(new Error('closed'))
      for (const give of waiting.splice(0)) give('{"closed":true}')
    })
  })
  const next = async () => {
    const ready = answers.shift()
    if (ready === undefined && socket.closed) return { closed: true } as never
    return JSON.parse(ready ?? (await new Promise<string>((resolve) => waiting.push(resolve))))
  }
  const client: WsClient = {
    socket,
    texts,
    head: head ?? '',
    write: (bytes) => void socket.write(bytes),
    next,
    say(text) {
      socket.write(frame(text))
      return next()
    },
    rpc: (message) => client.say(JSON.stringify(message)),
    end: () => new Promise((resolve) => (socket.closed ? resolve(code) : socket.on('close', () => resolve(code)))),
    close: () => socket.destroy(),
  }
  return client
}
