import { rebuilding } from '../rest/answer.ts'
import { goAnswers } from './go.ts'
import { javaAnswers } from './java.ts'
import { zeroconfAnswers, zeroconfOpenAnswers } from './zeroconf.ts'

/** What may be told of a player's answer. A player without a session gives none. */
export const rebuildAnswer = rebuilding(goAnswers, javaAnswers, zeroconfAnswers, zeroconfOpenAnswers)
