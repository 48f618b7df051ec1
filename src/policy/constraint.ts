import Type, { type Static, type TSchema } from 'typebox'
import type { Capability } from '../call/capability.ts'
import type { Facet, Facets } from '../call/param.ts'
import { schemeOf } from '../call/uri.ts'

/** A limit a role may carry: what it looks at, where it must be able to see, how it is configured, when it holds. */
interface Constraint<F extends Facet, S extends TSchema> {
  /** Judged wherever a call touches it, whatever the capability. */
  readonly facet: F
  /** Where a call that does not show the facet is refused as unprovable. */
  readonly demands: readonly Capability[]
  readonly setting: S
  holds(setting: Static<S>, value: Facets[F]): boolean
}

function constraint<F extends Facet, S extends TSchema>(row: Constraint<F, S>): Constraint<F, S> {
  return row
}

export const constraints = {
  maxVolume: constraint({
    facet: 'volume',
    demands: ['volume.set'],
    setting: Type.Integer({ minimum: 0, maximum: 100, description: 'Loudest level the role may set' }),
    holds: (max, volume) => volume <= max,
  }),
  uriSchemes: constraint({
    facet: 'uri',
    demands: ['queue.add', 'queue.replace'],
    setting: Type.Array(Type.String({ pattern: '^[a-z][a-z0-9+.-]*$' }), {
      minItems: 1,
      description: "The kinds of address the role may use, reads included; `path` is a path in an MPD player's library",
    }),
    holds: (schemes, uri) => schemes.includes(schemeOf(uri) ?? ''),
  }),
} as const

export type ConstraintName = keyof typeof constraints

/** The `when:` of a grant: static type, validation and editor completion, all from the table above. */
export type When = { readonly [N in ConstraintName]?: Static<(typeof constraints)[N]['setting']> }
export const When = Type.Unsafe<When>(
  Type.Object(
    Object.fromEntries(Object.entries(constraints).map(([name, { setting }]) => [name, Type.Optional(setting)])),
    { additionalProperties: false },
  ),
)
