import { rebuilding } from '../rest/answer.ts'
import { irisHttpAnswers } from './iris.ts'
import { museAnswers } from './muse.ts'
import { partyAnswers } from './party.ts'
import { piboxAnswers } from './pibox.ts'

/** What may be told of an extension's answer. */
export const rebuildWebAnswer = rebuilding(irisHttpAnswers, museAnswers, partyAnswers, piboxAnswers)
