import { hidePaths } from '../../call/path.ts'
import { isObject } from '../jsonrpc/message.ts'

/** One event as the player sent it. One object goes to every listener, so nobody may change it. */
export type PlayerEvent = Readonly<Record<string, unknown>> & { readonly event: string }

/** What the player says went wrong, without traces of its inside. `code` is its own. */
export interface ReplyError {
  readonly code: number
  readonly message: string
  readonly data: { readonly type?: string; readonly message?: string } | undefined
}

export type Reply =
  | { readonly event: PlayerEvent }
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: ReplyError }

/** One message of the player. @throws SyntaxError when it is neither an event nor a JSON-RPC 2.0 answer to an id of ours */
export function readReply(text: string): Reply {
  const message: unknown = JSON.parse(text)
  if (!isObject(message)) throw new SyntaxError('no object')
  const { id, event, jsonrpc, error, result } = message
  if (typeof event === 'string' && id === undefined) return { event: { ...message, event } }
  const hasResult = Object.hasOwn(message, 'result')
  if (jsonrpc !== '2.0' || typeof id !== 'number' || hasResult === Object.hasOwn(message, 'error')) {
    throw new SyntaxError('neither an event nor an answer')
  }
  return hasResult ? { id, result } : { id, error: readError(error) }
}

function readError(error: unknown): ReplyError {
  if (!isObject(error) || typeof error.code !== 'number' || typeof error.message !== 'string') {
    throw new SyntaxError('an error has a code and a message')
  }
  return { code: error.code, message: hidePaths(error.message), data: readData(error.data) }
}

/** The type and the message, never the traceback. */
function readData(data: unknown): ReplyError['data'] {
  if (typeof data === 'string') return { message: hidePaths(data) }
  if (!isObject(data)) return undefined
  return {
    ...(typeof data.type === 'string' && { type: hidePaths(data.type) }),
    ...(typeof data.message === 'string' && { message: hidePaths(data.message) }),
  }
}
