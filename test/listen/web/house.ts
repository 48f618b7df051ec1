import { type AddressInfo, createServer, type Socket } from 'node:net'
import { type WebServed, webFileRoutes } from '../../../src/listen/web/files.ts'
import { createForwarded } from '../../../src/listen/web/forwarded.ts'
import { otherClient, type WebClient, webClients } from '../../../src/protocol/web/clients.ts'
import { createWebServer, type WebLimits } from '../../../src/upstream/web.ts'
import { openHouse, type Parts } from '../house.ts'

/** A web server that remembers every byte, and answers what it is told to. */
export async function openUpstream(reply: (head: string, socket: Socket) => string | undefined = () => file('a file')) {
  const heard: string[] = []
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    let text = ''
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
      for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
        const head = text.slice(0, end + 4)
        const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0)
        if (text.length < end + 4 + length) return
        const whole = text.slice(0, end + 4 + length)
        text = text.slice(end + 4 + length)
        heard.push(whole)
        const answer = reply(whole, socket)
        if (answer !== undefined) socket.write(answer, 'latin1')
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    heard,
    /** The request lines, in order. */
    lines: () => heard.map((head) => head.split('\r\n')[0]),
    sockets,
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

export function file(body: string, headers: Readonly<Record<string, string>> = {}, status = '200 OK'): string {
  const all = { 'Content-Type': 'text/html', 'Content-Length': `${Buffer.byteLength(body, 'latin1')}`, ...headers }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return `HTTP/1.1 ${status}\r\n${lines.join('')}\r\n${body}`
}

export function known(...names: string[]): WebClient[] {
  return names.map((name) => webClients.get(name) ?? otherClient(`/${name}/`))
}

/** The HTTP door with the web clients of one player behind it; what the routes need besides is given to `also`. */
export async function openWebHouse(options: {
  upstream: { readonly url: string }
  clients?: readonly WebClient[]
  limits?: Partial<WebLimits>
  now?: () => number
  also?: (app: Parameters<typeof webFileRoutes>[0], parts: Parts) => Promise<void> | void
}) {
  const { upstream, clients = known('iris', 'mobile', 'party', 'local'), now = () => 1e12 } = options
  const files = createWebServer({ url: upstream.url, ...(options.limits && { limits: options.limits }) })
  const served: WebServed = { clients, files, url: upstream.url }
  const house = await openHouse({
    async routes(app, parts) {
      const forwarded = createForwarded('a secret of this house')
      await webFileRoutes(app, {
        ...parts,
        players: new Map([['home', served]]),
        defaultPlayer: 'home',
        forwarded,
        now,
      })
      await options.also?.(app, parts)
    },
  })
  return {
    ...house,
    async close() {
      await house.close()
      await files.close()
    },
  }
}
