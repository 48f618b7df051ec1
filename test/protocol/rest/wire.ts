import type { Request } from '../../../src/call/call.ts'
import type { Catalog } from '../../../src/call/catalog.ts'
import { Fault } from '../../../src/call/fault.ts'
import { bodyKind, parseBody } from '../../../src/protocol/rest/body.ts'
import { decodeRest } from '../../../src/protocol/rest/decode.ts'
import { encodeRest } from '../../../src/protocol/rest/encode.ts'

/** What a listener does with a request line, a Content-Type and a body. */
export function receive(rows: Catalog, line: string, body = '', type = 'application/json'): Request {
  const [method = '', path = ''] = line.split(' ')
  const kind = type.startsWith('text/plain') ? 'text' : (bodyKind(type) ?? 'json')
  const value = parseBody(kind, new TextEncoder().encode(body))
  return decodeRest(rows, { method, path, ...(value !== undefined && { body: value }) })
}

/** What a player would have read of a request that was decoded and written anew. */
export function sent(request: Request): string {
  const { method, path, body, contentType } = encodeRest(request)
  return [`${method} ${path}`, contentType, body].filter((part) => part !== undefined).join(' · ')
}

/** Over the wire and back. */
export function again(rows: Catalog, request: Request): Request {
  const { method, path, body, contentType } = encodeRest(request)
  return receive(rows, `${method} ${path}`, body, contentType)
}

/** The code of the fault; `fine` when there is none, and a sentence that no test expects for any other error. */
export function codeOf(act: () => unknown): string {
  try {
    act()
  } catch (error) {
    return error instanceof Fault ? error.code : `not a fault: ${error}`
  }
  return 'fine'
}
