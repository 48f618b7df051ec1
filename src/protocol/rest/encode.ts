import type { Request } from '../../call/call.ts'
import { Fault } from '../../call/fault.ts'
import { writeForm } from './body.ts'
import { pathParams, writePath } from './route.ts'

/** A request as the player gets it: our path, our words, every parameter once. */
export interface Encoded {
  readonly method: string
  /** The target, with the query of a GET that has one. */
  readonly path: string
  readonly body?: string
  readonly contentType?: string
}

/**
 * Writes a request anew.
 *
 * @throws Fault `player-unreachable` for a row that has yet to be resolved against the player, `internal` for one without a
 * method or a path of its own
 */
export function encodeRest({ operation, args }: Request): Encoded {
  const [method = ''] = operation.name.split(' ')
  if (operation.needs === 'steps') throw new Fault('player-unreachable', 'where the volume stands is not known')
  if (method === 'ANY' || operation.name.endsWith('*')) throw new Fault('internal', `nobody sends ${operation.name}`)
  const path = writePath(operation, args)
  const inPath = new Set(pathParams(operation))
  const names = Object.keys(operation.params).filter((name) => !inPath.has(name))
  const fields = Object.fromEntries(names.flatMap((name) => (args[name] === undefined ? [] : [[name, args[name]]])))
  if (method === 'GET') {
    const query = writeForm(fields)
    return { method, path: query === '' ? path : `${path}?${query}` }
  }
  if (operation.body === 'text') {
    const [name = ''] = names
    return { method, path, body: String(args[name]), contentType: 'text/plain; charset=utf-8' }
  }
  if (operation.body === 'form') {
    return { method, path, body: writeForm(fields), contentType: 'application/x-www-form-urlencoded' }
  }
  // An empty body would do where nothing is given, but not with every version of every player.
  return names.length === 0 && operation.body !== 'json'
    ? { method, path }
    : { method, path, body: JSON.stringify(fields), contentType: 'application/json' }
}
