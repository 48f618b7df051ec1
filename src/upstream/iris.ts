import { WebSocket } from 'ws'
import { Fault } from '../call/fault.ts'
import { isPermit, type Permit } from '../policy/decide.ts'
import { encodeIris, type IrisMessage, readIris, rebuildIris } from '../protocol/web/iris.ts'
import { UpstreamError } from './player.ts'

const defaults = {
  handshakeMs: 5_000,
  /** From `send` to the answer; some of what Iris does waits for somebody else on the internet. */
  callMs: 15_000,
  /** Calls of one connection that wait for an answer. */
  waiting: 32,
  connections: 128,
  messageBytes: 4 * 1024 * 1024,
  /** Beyond so many messages of Iris in one second, the connection ends. */
  messages: 1_000,
}
export type IrisLimits = Readonly<typeof defaults>

/** Iris' own side of Mopidy. It knows people by their connections, so each client has one. */
export interface IrisPlayer {
  /** @throws Fault `limited` */
  open(client: IrisClient): IrisConnection
  close(): Promise<void>
}

export type Broadcast = Extract<IrisMessage, { readonly method: string }>

export interface IrisClient {
  /** Fields of the header, of our own writing. */
  readonly fields: Readonly<Record<string, string>>
  /** Hears what Iris tells everybody. Must not throw. */
  hear(broadcast: Broadcast): void
  /** The connection is over, and Iris has forgotten this client. */
  gone(): void
}

export interface IrisConnection {
  /**
   * The result, rebuilt from what its row says it may hold.
   *
   * @throws UpstreamError when Iris itself answered with an error
   * @throws Fault `player-unreachable`, `player-timeout` or `limited`; what was sent is never sent again
   */
  send(permit: Permit): Promise<unknown>
  close(): void
}

interface Pending {
  readonly permit: Permit
  readonly deadline: NodeJS.Timeout
  resolve(result: unknown): void
  reject(error: Error): void
}

/** @param url the address of the player's web server, such as `http://127.0.0.1:6680` */
export function createIris({ url, limits: given }: { url: string; limits?: Partial<IrisLimits> }): IrisPlayer {
  const limits = { ...defaults, ...given }
  const address = new URL('/iris/ws/', url)
  address.protocol = 'ws:'
  const connections = new Set<IrisConnection>()
  let isClosed = false

  function open({ fields, hear, gone }: IrisClient): IrisConnection {
    if (isClosed) throw new Fault('player-unreachable', 'the gateway is shutting down')
    if (connections.size >= limits.connections) {
      throw new Fault('limited', 'too many have Iris open', { retryAfter: 10 })
    }
    const pending = new Map<number, Pending>()
    let lastId = 0
    let isOver = false
    let heard = { second: 0, messages: 0 }
    // No Origin: we are no browser.
    const ws = new WebSocket(address, {
      headers: fields,
      perMessageDeflate: false,
      maxPayload: limits.messageBytes,
      handshakeTimeout: limits.handshakeMs,
      followRedirects: false,
    })

    function end(why: string): void {
      if (isOver) return
      isOver = true
      connections.delete(connection)
      ws.terminate()
      for (const { reject, deadline } of pending.values()) {
        clearTimeout(deadline)
        reject(new Fault('player-unreachable', why, { retryAfter: 5 }))
      }
      pending.clear()
      gone()
    }

    function receive(text: string): void {
      const message = readIris(parse(text))
      if (message === undefined) return
      if ('method' in message) hear(message)
      else answer(message)
    }

    function answer(message: Exclude<IrisMessage, Broadcast>): void {
      const found = pending.get(message.id)
      if (!found) return
      pending.delete(message.id)
      clearTimeout(found.deadline)
      const { permit, resolve, reject } = found
      if ('error' in message) {
        const { code = 0, message: said } = message.error
        reject(new UpstreamError({ code, message: said, data: undefined }))
        return
      }
      try {
        resolve(rebuildIris(permit.call.operation, message.result))
      } catch (error) {
        reject(Fault.from(error))
      }
    }

    const flushers: (() => void)[] = []
    ws.on('open', () => {
      for (const flush of flushers.splice(0)) flush()
    })
    ws.on('message', (data: Buffer, isBinary) => {
      const second = Math.floor(performance.now() / 1000)
      heard = { second, messages: heard.second === second ? heard.messages + 1 : 1 }
      if (heard.messages > limits.messages) return end('the player tells too much')
      if (!isBinary) receive(data.toString())
    })
    ws.on('error', () => end('the player cannot be reached'))
    ws.on('close', () => end('the connection to the player broke'))

    const connection: IrisConnection = {
      async send(permit) {
        if (!isPermit(permit) || permit.call.operation.protocol !== 'iris') {
          throw new Fault('internal', 'only a permit can be sent')
        }
        if (isOver) throw new Fault('player-unreachable', 'the connection to the player broke')
        if (pending.size >= limits.waiting) {
          throw new Fault('limited', 'too many calls are waiting for the player', { retryAfter: 1 })
        }
        const id = ++lastId
        const text = encodeIris(id, permit.call)
        return new Promise((resolve, reject) => {
          const deadline = setTimeout(() => {
            pending.delete(id)
            reject(new Fault('player-timeout', 'the player did not answer in time'))
          }, limits.callMs)
          pending.set(id, { permit, deadline, resolve, reject })
          // Given up on before there was a connection: nobody expects it to be done any more.
          const flush = () => {
            if (pending.has(id)) ws.send(text)
          }
          if (ws.readyState === WebSocket.OPEN) flush()
          else flushers.push(flush)
        })
      },
      close: () => end('the client has gone'),
    }
    connections.add(connection)
    return connection
  }

  return {
    open,
    async close() {
      isClosed = true
      for (const connection of connections) connection.close()
    },
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
