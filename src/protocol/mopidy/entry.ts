import type { Entry } from '../../call/known.ts'
import { isObject } from '../jsonrpc/message.ts'

export interface Criteria {
  readonly tlid?: readonly number[]
  readonly uri?: readonly string[]
}

/** What all criteria together can match: each of them only narrows it. By names alone it could be anything. */
export function byCriteria({ criteria: { tlid, uri } }: { criteria: Criteria }): readonly Entry[] {
  return tlid?.map((id) => ({ id })) ?? uri?.map((each) => ({ uri: each })) ?? []
}

/** Mopidy takes a span that ends where it begins for one entry. */
export function bySpan({ start, end }: { start: number; end: number }): readonly Entry[] {
  return [{ from: start, to: start === end ? end + 1 : end }]
}

/** Mopidy takes an end of 0 for the end of the queue, and with no start then empties it. */
export function byShuffled({ start, end }: { start?: number | null; end?: number | null }): readonly Entry[] {
  return [end ? { from: start ?? 0, to: end } : { from: end === 0 ? 0 : (start ?? 0) }]
}

export const byTlids = ({ tlids }: { tlids: readonly number[] }): readonly Entry[] => tlids.map((id) => ({ id }))

/** An answer that holds entries, without those. */
export function withoutEntries(result: unknown, tlids: ReadonlySet<unknown>): unknown {
  return Array.isArray(result) ? result.filter((entry) => !isObject(entry) || !tlids.has(entry.tlid)) : result
}
