import { createServer, type Socket } from 'node:net'
import { placeSocket } from '../upstream/socket.ts'

/** What the command line asks of a running gateway, through a socket that only the account it runs as can open. */
export interface Control {
  close(): Promise<void>
}

const defaults = {
  connections: 8,
  /** One connection: how long, and how many bytes it may say. */
  connectionMs: 5_000,
  bytes: 64,
}
export type ControlLimits = Readonly<typeof defaults>

/**
 * Takes a word a connection, and answers with a line of JSON. A word takes no arguments: which file is read, or anything
 * else, is not for whoever asks to say.
 *
 * @param deps.path where the socket is, such as `data/control.sock`
 * @throws Fault saying what is in the way
 */
export async function openControl(deps: {
  readonly path: string
  readonly words: ReadonlyMap<string, () => Promise<unknown>>
  readonly limits?: Partial<ControlLimits>
}): Promise<Control> {
  const limits = { ...defaults, ...deps.limits }
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    if (sockets.size >= limits.connections) return void socket.destroy()
    sockets.add(socket)
    const timer = setTimeout(() => socket.destroy(), limits.connectionMs)
    socket.on('error', () => {})
    socket.on('close', () => {
      clearTimeout(timer)
      sockets.delete(socket)
    })
    hear(socket)
  })
  server.on('error', () => {})

  function hear(socket: Socket): void {
    let said = ''
    const listen = (chunk: Buffer) => {
      said += chunk.toString('latin1')
      const word = deps.words.get(said.slice(0, -1))
      if (word && said.endsWith('\n')) {
        socket.off('data', listen).off('end', leave).resume()
        word().then(
          (answer) => socket.end(`${JSON.stringify(answer)}\n`),
          () => socket.destroy(),
        )
      } else if (said.length > limits.bytes || said.includes('\n')) socket.destroy()
    }
    const leave = () => void socket.destroy()
    socket.on('data', listen).on('end', leave)
  }

  const placed = await placeSocket(server, deps.path)
  return {
    async close() {
      for (const socket of sockets) socket.destroy()
      await placed.close()
    },
  }
}
