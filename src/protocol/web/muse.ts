import Type from 'typebox'
import { catalog, op } from '../../call/catalog.ts'
import { answering } from '../rest/answer.ts'

export const muse = catalog('web', { 'GET /muse/config': op('status.read') })

/** Where it would find Mopidy and Snapcast past this door is left out: then it looks where it came from. */
export const museAnswers = answering(muse, {
  'GET /muse/config': Type.Object({ mopidy: Type.Object({}), snapcast: Type.Object({}) }),
})
