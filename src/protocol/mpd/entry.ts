import type { Entry } from '../../call/known.ts'

/** What a `range` names: `N`, `N:` or `N:M`. */
function spanOf(range: string): Entry {
  const [first = '', last] = range.split(':')
  const from = Number(first)
  if (last === undefined) return { from, to: from + 1 }
  return last === '' ? { from } : { from, to: Number(last) }
}

export const byRange = ({ range }: { range?: string }): readonly Entry[] => [range === undefined ? all : spanOf(range)]
export const byRanges = ({ ranges }: { ranges: readonly string[] }): readonly Entry[] => ranges.map(spanOf)
export const byId = ({ id }: { id: number }): readonly Entry[] => [{ id }]
export const byIds = ({ ids }: { ids: readonly number[] }): readonly Entry[] => ids.map((id) => ({ id }))

type Pair = { one: number; other: number }
/** Mopidy, told to swap an entry with itself, moves the one before it: which that is nobody said. */
export const byPlaces = ({ one, other }: Pair): readonly Entry[] => (one === other ? [] : [one, other].map(placeOf))
export const byPair = ({ one, other }: Pair): readonly Entry[] =>
  one === other ? [] : [one, other].map((id) => ({ id }))

const all: Entry = { from: 0 }

function placeOf(from: number): Entry {
  return { from, to: from + 1 }
}
