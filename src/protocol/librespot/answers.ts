import type { Operation } from '../../call/catalog.ts'
import { type Answers, rebuild } from '../rest/answer.ts'
import { goAnswers } from './go.ts'
import { javaAnswers } from './java.ts'
import { zeroconfAnswers, zeroconfOpenAnswers } from './zeroconf.ts'

const tables: readonly Answers[] = [goAnswers, javaAnswers, zeroconfAnswers, zeroconfOpenAnswers]

/**
 * What may be told of a player's answer to a call of this row; undefined for nothing. A player without a session gives
 * none, and most rows have none to give.
 *
 * @param value the body, parsed; undefined for none
 * @throws Fault `player-unreachable` for an answer of another shape
 */
export function rebuildAnswer(operation: Operation, value: unknown): unknown {
  const shape = tables.map((table) => table.get(operation)).find((found) => found !== undefined)
  return shape === undefined || value === undefined || value === null ? undefined : rebuild(shape, value)
}
