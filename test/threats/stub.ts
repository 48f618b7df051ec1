import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { expect } from 'vitest'
import { type WebSocket, WebSocketServer } from 'ws'
import { type FakeLibrespot, type Kind, song, startFakeLibrespot } from '../upstream/fakelibrespot.ts'
import type { Neighbour } from './harness.ts'

/** What the gateway asks by itself. */
const own: Readonly<Record<Kind, RegExp>> = {
  'go-librespot': /^GET \/status$/,
  'librespot-java': /^POST \/player\/current$/,
  zeroconf: /^GET \/\?action=getInfo$/,
}
/** The words of a request of ours; whose they are and where they come from is in none of them. */
const words: ReadonlySet<string> = new Set([
  'host',
  'connection',
  'accept',
  'accept-encoding',
  'content-type',
  'content-length',
])

/** A player of the librespot family that rows are judged by. */
export interface Stub extends Neighbour {
  readonly fake: FakeLibrespot
}

export async function startStub(kind: Kind): Promise<Stub> {
  const fake = await startFakeLibrespot(kind)
  let requests = 0
  let bytes = 0
  const recent = () => fake.requests.slice(requests)
  return {
    fake,
    heard: () => [
      ...recent().flatMap(({ method, path, headers, body }) => {
        const text = `${method} ${path}${body === '' ? '' : ` ${body}`}`
        const strange = Object.keys(headers).filter((name) => !words.has(name))
        return [...(own[kind].test(text) ? [] : [text]), ...strange.map((name) => `the header ${name}`)]
      }),
    ],
    sent: () => fake.bytes.slice(bytes),
    forget() {
      requests = fake.requests.length
      bytes = fake.bytes.length
      fake.trouble = undefined
      fake.troubled = () => true
      fake.latencyMs = 0
      fake.status = undefined
      fake.says = undefined
      fake.session = true
      fake.state.track = song()
      fake.state.volume = 32_768
    },
    check() {
      expect(fake.crashed, `the ${kind} ended`).toBe(false)
      // A player of this kind is asked by one line of ours, whoever asks.
      if (kind === 'go-librespot') expect(fake.mostAtOnce, 'requests at once').toBeLessThanOrEqual(1)
    },
  }
}

/** A web server that alarms are posted to. */
export interface Webhook {
  readonly url: string
  readonly posts: readonly Readonly<Record<string, unknown>>[]
  close(): Promise<void>
}

export async function startWebhook(): Promise<Webhook> {
  const posts: Record<string, unknown>[] = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    posts.push(JSON.parse(body))
    response.end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/alarm`,
    posts,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** What the web server of a Mopidy is asked, and what it says to that when it is made to lie. */
export interface WebAsked {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

/** The web clients of a Mopidy, in front of the demo player. */
export interface WebStub extends Neighbour {
  readonly url: string
  readonly asked: readonly WebAsked[]
  /** Plays a trick on a request, and says whether it did. */
  trick: ((asked: WebAsked, response: ServerResponse) => boolean) | undefined
  /** Iris' sockets that are open, the oldest first. */
  readonly iris: readonly WebSocket[]
  /** Iris says this to everybody. */
  tell(message: object | string | Buffer): void
  /** What Iris answers instead of what it would. */
  answer: ((asked: { id: number; method: string; params: unknown }) => object | undefined) | undefined
  /** Ends everything that has begun. */
  close(): Promise<void>
}

const webWords: ReadonlySet<string> = new Set([
  ...words,
  'if-none-match',
  'if-modified-since',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-pibox-fingerprint',
  ...['upgrade', 'sec-websocket-key', 'sec-websocket-version'],
])

/** @param demo the address of the demo player's own HTTP door, which has all of Mopidy below `/mopidy/` */
export async function startWebStub(demo: () => string): Promise<WebStub> {
  const asked: WebAsked[] = []
  const said: string[] = []
  const sockets = new Set<Socket>()
  let begin = 0
  let saidBegin = 0
  const irisServer = new WebSocketServer({ noServer: true })
  const text = ({ method, path, body }: WebAsked) => `${method} ${path}${body === '' ? '' : ` ${body}`}`

  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    const { method = '', url: path = '', headers } = request
    const one = { method, path, headers, body }
    asked.push(one)
    if (stub.trick?.(one, response)) return
    const isCommand = /^\/(?:iris\/http|pibox\/api|muse\/config|settings)/.test(path)
    const iris = { jsonrpc: '2.0', id: 1, method: path.split('/').at(-1), result: { message: 'done' } }
    if (isCommand) return void response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(iris))
    const type = /\.png$/.test(path) ? 'image/png' : /\.js$/.test(path) ? 'text/javascript' : 'text/html'
    response.writeHead(200, { 'content-type': type }).end(`the file ${path}`)
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
  })
  server.on('upgrade', (request, socket: Socket, head) => {
    if (request.url === '/mopidy/ws') {
      const { hostname, port } = new URL(demo())
      const behind = connect(Number(port), hostname, () => {
        const fields = request.rawHeaders.flatMap((name, i, all) => (i % 2 === 0 ? [`${name}: ${all[i + 1]}`] : []))
        behind.write(`GET /mopidy/ws HTTP/1.1\r\n${fields.join('\r\n')}\r\n\r\n`)
        behind.write(head)
        socket.pipe(behind).pipe(socket)
      })
      sockets.add(behind)
      for (const each of [socket, behind]) each.on('error', () => {})
      behind.on('close', () => socket.destroy())
      socket.on('close', () => behind.destroy())
      return
    }
    asked.push({ method: 'WS', path: request.url ?? '', headers: request.headers, body: '' })
    irisServer.handleUpgrade(request, socket, head, (ws) => {
      ws.on('error', () => {})
      ws.on('message', (bytes) => {
        said.push(String(bytes))
        const { id, method, params } = JSON.parse(String(bytes))
        const answer = stub.answer?.({ id, method, params }) ?? { jsonrpc: '2.0', id, result: { message: 'done' } }
        ws.send(JSON.stringify(answer))
      })
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))

  const stub: WebStub = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    trick: undefined,
    answer: undefined,
    get iris() {
      return [...irisServer.clients]
    },
    tell(message) {
      const data = typeof message === 'string' || Buffer.isBuffer(message) ? message : JSON.stringify(message)
      for (const ws of irisServer.clients) ws.send(data, { binary: false })
    },
    heard: () => [
      ...asked.slice(begin).flatMap((one) => {
        const strange = Object.keys(one.headers).filter((name) => !webWords.has(name))
        return [text(one), ...strange.map((name) => `the header ${name}`)]
      }),
      ...said.slice(saidBegin).map((message) => {
        const { jsonrpc, id, method, params, ...more } = JSON.parse(message)
        expect([jsonrpc, typeof id, typeof params, more], 'a message in our own words').toEqual([
          '2.0',
          'number',
          'object',
          {},
        ])
        return `iris ${method} ${JSON.stringify(params)}`
      }),
    ],
    sent: () => JSON.stringify([asked.slice(begin), said.slice(saidBegin)]),
    forget() {
      begin = asked.length
      saidBegin = said.length
      stub.trick = undefined
      stub.answer = undefined
    },
    check() {
      for (const { headers } of asked.slice(begin)) {
        expect(headers['x-forwarded-for'], 'an address of nobody’s network').toMatch(
          /^fd[0-9a-f]{2}(?::[0-9a-f]{4}){7}$/,
        )
        expect([headers['x-forwarded-proto'], headers['x-forwarded-host']]).toEqual([
          'https',
          expect.stringMatching(/^127\.0\.0\.1(:\d+)?$/),
        ])
      }
    },
    async close() {
      const closed = once(server, 'close')
      server.close()
      for (const ws of irisServer.clients) ws.terminate()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
  return stub
}
