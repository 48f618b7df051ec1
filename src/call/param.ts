import type { Static, TSchema } from 'typebox'
import type { Entry } from './known.ts'

/** What an argument can touch. Constraints look at these, never at arguments. */
export interface Facets {
  /** 0 to 100. */
  readonly volume: number
  readonly uri: string
  readonly playlist: string
  readonly output: string
  /** What is in the queue already. Rows say it rather than parameters, as it often takes several to name some. */
  readonly entry: Entry
}
export type Facet = keyof Facets
export type Touched = { readonly [F in Facet]?: readonly Facets[F][] }

export type Count = 'one' | 'optional' | 'many'

/** One parameter: its shape, how often it may come, and what it touches. */
export interface Param<S extends TSchema = TSchema, C extends Count = Count> {
  readonly schema: S
  readonly count: C
  readonly facet?: Facet
  /** The facet's values inside a nested argument; the argument itself (or its items) when left out. */
  readonly within?: (value: never) => readonly unknown[]
  /** The argument that stands for this value of the facet, where policy may put another in its place. */
  readonly back?: (value: number) => unknown
  /** What the argument counts to where the facet's value is a hundredth part. */
  readonly steps?: number
  /** Why a call that gives this parameter is refused, whoever calls. */
  readonly refused?: string
}

/** A parameter list. Order matters: positional calls follow it. */
export type Params = Readonly<Record<string, Param>>

export function param<S extends TSchema>(
  schema: S,
  facet?: Facet,
  within?: (value: Static<S>) => readonly unknown[],
): Param<S, 'one'> {
  return { schema, count: 'one', ...(facet && { facet }), ...(within && { within }) }
}

/** A volume that policy may replace by another, counted in so many steps; the one below where there is none. */
export function replaceable<P extends Param>(p: P, steps = 100): P {
  return { ...p, steps, back: (value) => Math.floor((value * steps) / 100) }
}

export function optional<P extends Param>(p: P): Omit<P, 'count'> & { readonly count: 'optional' } {
  return { ...p, count: 'optional' }
}

export function many<P extends Param>(p: P): Omit<P, 'count'> & { readonly count: 'many' } {
  return { ...p, count: 'many' }
}

/** A parameter that exists on the wire and is never let through; an absent or null one is fine. */
export function refusedParam<S extends TSchema>(schema: S, refused: string) {
  return { schema, count: 'optional', refused } as const satisfies Param
}

/** Collects what a call touches, so that no catalog row can forget to say so. */
export function touched(params: Params, args: Readonly<Record<string, unknown>>): Touched {
  const found: Partial<Record<Facet, unknown[]>> = {}
  for (const [name, { facet, within }] of Object.entries(params)) {
    const value = args[name]
    if (facet === undefined || value === undefined || value === null) continue
    const values = within ? within(value as never) : [value].flat()
    found[facet] = [...(found[facet] ?? []), ...values]
  }
  return found as Touched
}
