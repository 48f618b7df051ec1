import { type Call, createCall, type Origin } from '../../call/call.ts'
import type { Catalog } from '../../call/catalog.ts'
import { Fault } from '../../call/fault.ts'
import type { Gate } from '../../gate/gate.ts'
import { rpcError } from '../../protocol/jsonrpc/error.ts'
import { isObject, parseMessage } from '../../protocol/jsonrpc/message.ts'
import type { WebClient } from '../../protocol/web/clients.ts'
import { openingOf } from '../../protocol/web/files.ts'
import {
  broadcastCapability,
  decodeIris,
  iris,
  writeBroadcast,
  writeIrisAnswer,
  writeIrisError,
} from '../../protocol/web/iris.ts'
import type { IrisConnection, IrisPlayer } from '../../upstream/iris.ts'
import { UpstreamError } from '../../upstream/player.ts'
import { type Inquiry, straight } from '../inquiry.ts'
import type { Room } from '../room.ts'
import type { Answer, Caller } from '../rpc.ts'
import type { Forwarded } from './forwarded.ts'

export interface IrisDeps {
  readonly gate: Pick<Gate, 'admit' | 'mayCall'>
  readonly forwarded: Forwarded
  readonly inquiry?: Inquiry
  now(): number
}

/** The rooms of all players that serve Iris. */
export function irisRooms(
  players: ReadonlyMap<string, { readonly clients: readonly WebClient[]; readonly iris: IrisPlayer }>,
  deps: IrisDeps,
): Room[] {
  return [...players].flatMap(([player, { clients, iris }]) =>
    clients.filter(({ name }) => name === 'iris').map((client) => irisRoom(player, client, iris, deps)),
  )
}

/** Iris' WebSocket: each message is decoded by its row, and each client has a connection of its own behind it. */
export function irisRoom(player: string, client: WebClient, behind: IrisPlayer, deps: IrisDeps): Room {
  const { gate, forwarded, now } = deps
  const operation = openingOf(client)

  return {
    player,
    paths: ['iris/ws', 'iris/ws/'],
    admit(by, id) {
      if (!operation) throw new Fault('unknown-operation', 'nothing is here')
      gate.admit(createCall({ id, by, door: 'websocket', player, at: now() }, { operation, args: {} }))
    },
    join(visitor) {
      const connection = behind.open({
        fields: forwarded.fields(client, visitor.by, visitor.host),
        hear(broadcast) {
          const capability = broadcastCapability(broadcast.method)
          if (capability !== undefined) visitor.tell(capability, () => writeBroadcast(broadcast))
        },
        gone: () => visitor.end(),
      })
      return { answer: answerer(player, connection, deps), leave: () => connection.close() }
    },
    listen: () => () => {},
  }
}

function answerer(player: string, connection: IrisConnection, { gate, now, inquiry = straight }: IrisDeps): Answer {
  return async (bytes, caller) => {
    let message: unknown
    try {
      message = parseMessage(bytes)
      const origin: Origin = { id: caller.id, by: caller.by(), door: 'websocket', player, at: now() }
      checkAlarm(gate, message, origin)
      const { id, operation, args } = decodeIris(message)
      const asked = createCall(origin, { operation, args })
      const go = ([call]: readonly Call[]) => connection.send(gate.admit(call as Call))
      const result = await inquiry.pass(() => ({ ...origin, by: caller.by(), at: now() }), [asked], go)
      return id === undefined ? undefined : writeIrisAnswer(id, operation.name, result)
    } catch (error) {
      return refusal(message, error, caller)
    }
  }
}

/**
 * Whatever came with it: who touches what nobody calls by mistake is refused, and those who run the house are told.
 *
 * @throws Fault `forbidden`
 */
function checkAlarm(gate: IrisDeps['gate'], message: unknown, origin: Origin): void {
  const operation = isObject(message) && typeof message.method === 'string' ? rows[message.method] : undefined
  if (!operation?.alarm || gate.mayCall(origin.by, origin.player, operation)) return
  gate.admit(createCall(origin, { operation, args: {} }))
}

const rows: Catalog = iris

/** What went wrong, as Iris' pages know it; nothing where no answer was wanted. */
function refusal(message: unknown, error: unknown, { id: request }: Caller): string | undefined {
  const { id, method } = isObject(message) ? message : {}
  const isAsking = typeof id === 'string' || typeof id === 'number'
  if (isObject(message) && !isAsking) return undefined
  const told =
    error instanceof UpstreamError
      ? { code: error.code, message: error.message }
      : rpcError(Fault.from(error), null, request).error
  const { code, message: said } = told
  return writeIrisError(isAsking ? id : undefined, typeof method === 'string' ? method.slice(0, 80) : undefined, {
    code,
    message: said,
  })
}
