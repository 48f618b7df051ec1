import Type from 'typebox'
import type { Capability } from '../call/capability.ts'
import { isPlain, isSlip, type Pattern, readPattern } from '../call/pattern.ts'
import { addsUnseen } from '../call/queue.ts'
import { schemeOf } from '../call/uri.ts'
import { constraint, holds, type Rule, refuses, unseen } from './condition.ts'

/** What cannot go by an address that is not seen. */
export const demands: readonly Capability[] = ['queue.add', 'queue.replace']

/** What comes of a call whose addresses must be of some kind. */
function binding(says: () => string, shows: (uri: string) => boolean): Rule {
  return {
    facet: 'uri',
    demands,
    shows,
    judge(call, capability) {
      const uris = call.touches.uri ?? []
      const isSeen = uris.length > 0 || call.known.adds !== undefined || !demands.includes(capability)
      if (!uris.every(shows)) return refuses(says)
      return isSeen && !addsUnseen(call) ? holds : unseen(says)
    },
    matter: (call) => (addsUnseen(call) ? 'adds' : undefined),
  }
}

/** A few of a list, for people. */
function few(texts: readonly string[]): string {
  return `${texts.slice(0, 6).join(', ')}${texts.length > 6 ? ', …' : ''}`
}

export const uriSchemes = constraint({
  setting: Type.Array(Type.String({ pattern: '^[a-z][a-z0-9+.-]*$' }), {
    minItems: 1,
    description: "The kinds of address the role may use, reads included; `path` is a path in an MPD player's library",
  }),
  bind: (schemes) =>
    binding(
      () => `uriSchemes ${few(schemes)}`,
      (uri) => schemes.includes(schemeOf(uri) ?? ''),
    ),
})

const patterns = (description: string) =>
  Type.Optional(
    Type.Array(Type.String({ minLength: 2, maxLength: 500, description: 'How addresses begin, such as local:' }), {
      minItems: 1,
      maxItems: 200,
      description,
    }),
  )

export const uris = constraint({
  setting: Type.Object(
    {
      allow: patterns(
        'What the addresses must begin with, such as local:, spotify:, https://*.radio.example/live/, path:kids/ or file:///srv/music/; anything but files when left out',
      ),
      deny: patterns('What they must not begin with, whatever `allow` says'),
    },
    { additionalProperties: false, minProperties: 1, description: 'Which addresses the role may use, reads included' },
  ),
  bind(setting) {
    const [allow, deny] = [setting.allow?.map(compilePattern), (setting.deny ?? []).map(compilePattern)]
    const says = () =>
      [
        'uris',
        ...(allow ? [few(allow.map(({ text }) => text))] : []),
        ...(deny.length > 0 ? [`but not ${few(deny.map(({ text }) => text))}`] : []),
      ].join(' ')
    const shows = (uri: string) => {
      if (!isPlain(uri) || deny.some((pattern) => pattern.denies(uri))) return false
      // A file goes by its folder, or not at all.
      return allow ? allow.some((pattern) => pattern.allows(uri)) : !schemeOf(uri)?.split('+').includes('file')
    }
    const named = (allow ?? []).filter(({ host }) => host !== undefined)
    return { ...binding(says, shows), names: (uri) => named.some((pattern) => pattern.allows(uri)) }
  },
})

function compilePattern(text: string): Pattern {
  const read = readPattern(text)
  if (isSlip(read)) throw new Error(`uris: ${text}: ${read.what}: ${read.fix}`)
  return read
}
