import type { Request } from '../../call/call.ts'

/** A request as Mopidy gets it: our words, our order, every parameter by its name. */
export function encode(id: number, { operation, args }: Request): string {
  const params = Object.keys(operation.params).flatMap((name) =>
    args[name] === undefined ? [] : [[name, args[name]] as const],
  )
  return JSON.stringify({ jsonrpc: '2.0', id, method: operation.name, params: Object.fromEntries(params) })
}
