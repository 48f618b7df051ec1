import Type, { type Static } from 'typebox'
import { schemeOf } from '../call/uri.ts'
import { constraint, holds, refuses, unseen } from './condition.ts'
import { hours } from './hours.ts'
import { maxVolume } from './volume.ts'

const uriSchemes = constraint({
  setting: Type.Array(Type.String({ pattern: '^[a-z][a-z0-9+.-]*$' }), {
    minItems: 1,
    description: "The kinds of address the role may use, reads included; `path` is a path in an MPD player's library",
  }),
  bind(schemes) {
    const says = () => `uriSchemes ${schemes.slice(0, 6).join(', ')}${schemes.length > 6 ? ', …' : ''}`
    const shows = (uri: string) => schemes.includes(schemeOf(uri) ?? '')
    const demands = ['queue.add', 'queue.replace'] as const
    return {
      facet: 'uri',
      demands,
      shows,
      judge({ touches, known }, capability) {
        const uris = touches.uri ?? []
        const isSeen = uris.length > 0 || known.adds !== undefined || !demands.some((each) => each === capability)
        if (!isSeen) return unseen(says)
        return uris.every(shows) ? holds : refuses(says)
      },
      matter: ({ operation }) => (operation.needs === 'adds' ? 'adds' : undefined),
    }
  },
})

/** Every kind of limit: its schema, its type and its rule, by the name it has in `when:`. */
export const constraints = { hours, maxVolume, uriSchemes } as const

export type ConstraintName = keyof typeof constraints

/** The `when:` of a grant: static type, validation and editor completion, all from the table above. */
export type When = { readonly [N in ConstraintName]?: Static<(typeof constraints)[N]['setting']> }
export const When = Type.Unsafe<When>(
  Type.Object(
    Object.fromEntries(Object.entries(constraints).map(([name, { setting }]) => [name, Type.Optional(setting)])),
    { additionalProperties: false },
  ),
)
