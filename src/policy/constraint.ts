import Type, { type Static } from 'typebox'
import { hours } from './hours.ts'
import { queue } from './queue.ts'
import { uriSchemes, uris } from './uris.ts'
import { maxVolume } from './volume.ts'

/** Every kind of limit: its schema, its type and its rule, by the name it has in `when:`. */
export const constraints = { hours, maxVolume, uris, uriSchemes, queue } as const

export type ConstraintName = keyof typeof constraints

/** The `when:` of a grant: static type, validation and editor completion, all from the table above. */
export type When = { readonly [N in ConstraintName]?: Static<(typeof constraints)[N]['setting']> }
export const When = Type.Unsafe<When>(
  Type.Object(
    Object.fromEntries(Object.entries(constraints).map(([name, { setting }]) => [name, Type.Optional(setting)])),
    { additionalProperties: false },
  ),
)
