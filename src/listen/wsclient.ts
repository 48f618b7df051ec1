import type { WebSocket } from 'ws'
import type { User } from '../call/call.ts'
import { Fault } from '../call/fault.ts'
import { rpcError } from '../protocol/jsonrpc/error.ts'
import type { Answer } from './rpc.ts'

export const clientDefaults = {
  /** Messages that are worked on at once. */
  inProgress: 32,
  /** Bytes not yet taken by the client, above which nothing more of it is read. */
  lowMark: 64 * 1024,
  /** Bytes of one client that wait for it, and what all clients together may have beyond that. */
  held: 1024 * 1024,
  overflow: 8 * 1024 * 1024,
  incompleteMs: 30_000,
}
export type ClientLimits = Readonly<typeof clientDefaults>

/** Why we end a connection: the close code (RFC 6455 §7.4.1) and a word. What breaks the protocol itself, ws answers. */
const goodbyes = {
  closing: [1001, 'the gateway is shutting down'],
  binary: [1003, 'text only'],
  unfinished: [1008, 'a message was left unfinished'],
  unasked: [1008, 'nothing is taken here'],
  gone: [1012, 'the player is not there any more'],
  slow: [1013, 'reading too slowly'],
  flood: [1013, 'too many messages'],
  over: [4401, 'the sign-in has ended'],
} as const
type Goodbye = keyof typeof goodbyes

/** One open WebSocket: questions in, answers out in the order of the questions, events in between. */
export interface Client {
  readonly ws: WebSocket
  /** The account, as it was when last looked at. */
  by: User
  /** Bytes that wait for the client to take them. */
  held(): number
  /** An event, as JSON text. */
  deliver(text: string): void
  /** Looks again who this is, and ends the connection when that is nobody any more. */
  renew(): User | undefined
  /** Asks for a sign of life; ends the connection of whoever gave none since the last time. */
  beat(): void
  /** Ends the connection of whoever leaves a message unfinished. */
  checkIncomplete(now: number): void
  end(why: Goodbye): void
}

export interface ClientDeps {
  readonly ws: WebSocket
  readonly by: User
  /** Undefined where nothing is taken. */
  readonly answer: Answer | undefined
  /** Whether answers have to come in the order of the questions. */
  readonly isOrdered: boolean
  readonly limits: ClientLimits
  newId(): string
  renew(user: User): User | undefined
  /** Bytes that all clients together hold beyond what each may. */
  overflowing(): number
  /** Whether the account may send one more message, ping or pong now, over all its connections. */
  takeFrame(): boolean
}

/** An answer on its way; text once it is there, empty for none. */
interface Slot {
  text?: string
}

export function createClient({
  ws,
  answer,
  isOrdered,
  limits,
  newId,
  takeFrame,
  overflowing,
  ...deps
}: ClientDeps): Client {
  const inbox: Buffer[] = []
  const slots: Slot[] = []
  let busy = 0
  let batches = 0
  /** Bytes of answers that wait for an earlier one. */
  let unsent = 0
  let alive = true
  let ended = false
  let messages = 0
  let incomplete: { readonly after: number; readonly since: number } | undefined

  const held = () => ws.bufferedAmount + unsent

  function end(why: Goodbye): void {
    if (ended) return
    ended = true
    inbox.length = 0
    slots.length = 0
    unsent = 0
    const [code, reason] = goodbyes[why]
    ws.close(code, reason)
    ws.resume()
  }

  /** A slow reader is not let to fill our memory: who cannot take what it asked for is sent away. */
  function hasRoom(bytes: number): boolean {
    const sum = held()
    if (sum === 0 || sum + bytes <= limits.held || bytes + overflowing() <= limits.overflow) return true
    end('slow')
    return false
  }

  function send(text: string): void {
    ws.send(text, () => {
      // Taking what it asked for is a sign of life too: while nothing is read of a client its pongs are not either.
      if (ws.isPaused) alive = true
      pump()
    })
  }

  /** Starts what may start, in order, and stops reading when that is not everything. */
  function pump(): void {
    if (ended) return
    // A batch is worked on item by item, and what comes after it must not overtake an item.
    const mayStart = () => busy < limits.inProgress && batches === 0 && held() <= limits.lowMark
    while (answer && inbox.length > 0 && mayStart()) start(inbox.shift() as Buffer, answer)
    if (inbox.length > 0 || !mayStart()) ws.pause()
    else if (ws.isPaused) ws.resume()
  }

  function start(message: Buffer, answer: Answer): void {
    const slot: Slot = {}
    const batch = isBatch(message)
    slots.push(slot)
    busy++
    if (batch) batches++
    const id = newId()
    const caller = { id, door: 'websocket', by: currently } as const
    void answer(message, caller)
      .catch((error: unknown) => JSON.stringify(rpcError(Fault.from(error), null, id)))
      .then((text = '') => {
        busy--
        if (batch) batches--
        if (ended || !hasRoom(text.length)) return
        slot.text = text
        unsent += text.length
        flush()
        pump()
      })
  }

  function flush(): void {
    for (;;) {
      const next = isOrdered ? 0 : slots.findIndex(({ text }) => text !== undefined)
      const text = slots[next]?.text
      if (text === undefined) return
      slots.splice(next, 1)
      unsent -= text.length
      if (text !== '') send(text)
    }
  }

  function renew(): User | undefined {
    const user = ended ? undefined : deps.renew(client.by)
    if (user) client.by = user
    else end('over')
    return user
  }

  function currently(): User {
    const user = renew()
    if (!user) throw new Fault('unauthenticated', 'the sign-in has ended: sign in again')
    return user
  }

  function isFlood(): boolean {
    alive = true
    if (ended || takeFrame()) return ended
    end('flood')
    return true
  }

  const client: Client = {
    ws,
    by: deps.by,
    held,
    deliver(text) {
      if (!ended && hasRoom(text.length)) send(text)
    },
    renew,
    beat() {
      if (ended) return
      if (!alive) return ws.terminate()
      alive = false
      ws.ping()
    },
    checkIncomplete(at) {
      if (!isIncomplete(ws)) incomplete = undefined
      else if (incomplete?.after !== messages) incomplete = { after: messages, since: at }
      else if (at - incomplete.since > limits.incompleteMs) end('unfinished')
    },
    end,
  }

  ws.on('message', (data: Buffer, isBinary) => {
    messages++
    if (isFlood()) return
    if (!answer) return end('unasked')
    if (isBinary) return end('binary')
    inbox.push(data)
    pump()
  })
  ws.on('ping', isFlood)
  ws.on('pong', isFlood)
  // ws answers a breach of the protocol with the close code for it.
  ws.on('error', () => {
    ended = true
  })
  ws.on('close', () => {
    ended = true
  })
  return client
}

function isBatch(message: Buffer): boolean {
  const first = message.find((byte) => byte !== 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d)
  return first === 0x5b
}

/** Whether part of a message has come. ws tells nobody, so this looks inside; a test holds the names to its version. */
function isIncomplete(ws: WebSocket): boolean {
  const { _receiver } = ws as WebSocket & {
    _receiver?: { _state: number; _fragmented: number; _bufferedBytes: number }
  }
  return (
    _receiver !== undefined && (_receiver._state !== 0 || _receiver._fragmented !== 0 || _receiver._bufferedBytes > 0)
  )
}
