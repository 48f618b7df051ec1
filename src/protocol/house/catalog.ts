import { catalog, op } from '../../call/catalog.ts'

/** What the gateway itself answers of its players, whatever their kind. */
export const house = catalog('house', {
  'GET /players': op('signed-in'),
  'GET /players/{name}/state': op('status.read'),
  /** Of players whose own catalog has no events. */
  'GET /players/{name}/events': op('status.read'),
})
