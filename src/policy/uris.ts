import Type from 'typebox'
import type { Call } from '../call/call.ts'
import type { Capability } from '../call/capability.ts'
import { type Host, hostsIn, isLocalName, isPublic } from '../call/host.ts'
import { hostText, isPlain, isSlip, type Pattern, readPattern } from '../call/pattern.ts'
import { isWellFormed, schemeOf } from '../call/uri.ts'
import { constraint, holds, type Rule, refuses, unseen, type Verdict } from './condition.ts'

const demands: readonly Capability[] = ['queue.add', 'queue.replace']

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
      return isSeen && isWhole(call) ? holds : unseen(says)
    },
    matter: (call) => (isWhole(call) ? undefined : 'adds'),
  }
}

/** Whether all addresses that the player will use for this call are known. */
function isWhole({ operation, known }: Call): boolean {
  return operation.needs !== 'adds' || known.adds !== undefined
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
      return allow ? allow.some((pattern) => pattern.allows(uri)) : schemeOf(uri) !== 'file'
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

/** No path and no address that somebody means is longer. */
const longest = 4096

/**
 * What holds for every grant: no address leads to this machine, this network or a place where machines are told secrets,
 * unless the grant's own `uris` name its host. Looking up is enough to make a player go there, so reads are judged as well.
 *
 * @param names whether a grant names the host of this address
 */
export function publicOnly(names: (uri: string) => boolean): Rule {
  /** Names whose addresses are not known. */
  function* unknownIn({ touches, known }: Call): Generator<string> {
    for (const uri of touches.uri ?? []) {
      for (const host of hostsIn(uri)) {
        if (host?.name !== undefined && !known.hosts?.has(host.name) && !names(uri)) yield host.name
      }
    }
  }

  function judgeHost(call: Call, uri: string, host: Host | undefined): Verdict {
    const { adds, hosts } = call.known
    // What is in a playlist may be nobody's to know who may load it.
    const where = () => (host && !adds?.includes(uri) ? hostText(host) : 'what it leads to')
    if (host === undefined) return refuses(() => 'uris: players read such an address in different ways')
    if (host.name === undefined) return isPublic(host.ip) ? holds : refuses(() => `uris: ${where()} is not public`)
    if (isLocalName(host.name)) return refuses(() => `uris: ${where()} is not public`)
    const ips = hosts?.get(host.name)
    if (ips === undefined || ips.length === 0) return unseen(() => `uris: ${where()} does not resolve`)
    return ips.every(isPublic) ? holds : refuses(() => `uris: ${where()} is not public`)
  }

  return {
    facet: 'uri',
    demands,
    judge(call) {
      if (call.known.adds?.some((uri) => uri.length > longest || !isWellFormed(uri)))
        return refuses(() => 'uris: an address in it is malformed')
      let unproven: Verdict | undefined
      for (const uri of call.touches.uri ?? []) {
        const hosts = hostsIn(uri)
        if (hosts.length === 0 || names(uri)) continue
        for (const host of hosts) {
          const verdict = judgeHost(call, uri, host)
          if (verdict.holds) continue
          if (verdict.why.reason === 'constraint') return verdict
          unproven ??= verdict
        }
      }
      return unproven ?? (isWhole(call) ? holds : unseen(() => 'uris: public addresses only'))
    },
    matter(call) {
      if (!isWhole(call)) return 'adds'
      return unknownIn(call).next().done ? undefined : 'hosts'
    },
  }
}
