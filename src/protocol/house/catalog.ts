import Type from 'typebox'
import { catalog, op } from '../../call/catalog.ts'
import { param } from '../../call/param.ts'

const name = param(Type.String({ pattern: '^[a-z][a-z0-9-]*$', maxLength: 100 }))

/** What the gateway itself answers of its players, whatever their kind. */
export const house = catalog('house', {
  'GET /players': op('signed-in'),
  'GET /players/{name}/state': op('status.read', { name }),
  /** Of players whose own catalog has no events. */
  'GET /players/{name}/events': op('status.read', { name }),
})
