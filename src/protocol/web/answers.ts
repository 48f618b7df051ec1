import type { Operation } from '../../call/catalog.ts'
import { type Answers, rebuild } from '../rest/answer.ts'
import { irisHttpAnswers } from './iris.ts'
import { museAnswers } from './muse.ts'
import { partyAnswers } from './party.ts'
import { piboxAnswers } from './pibox.ts'

const tables: readonly Answers[] = [irisHttpAnswers, museAnswers, partyAnswers, piboxAnswers]

/**
 * What may be told of an extension's answer to a call of this row; undefined for nothing.
 *
 * @param value the body, parsed; a text for a client that answers in words; undefined for none
 * @throws Fault `player-unreachable` for an answer of another shape
 */
export function rebuildWebAnswer(operation: Operation, value: unknown): unknown {
  const shape = tables.map((table) => table.get(operation)).find((found) => found !== undefined)
  return shape === undefined || value === undefined || value === null ? undefined : rebuild(shape, value)
}
