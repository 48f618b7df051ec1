import type { Call } from '../call/call.ts'
import { type Host, hostsIn, isLocalName, isPublic } from '../call/host.ts'
import { hostText } from '../call/pattern.ts'
import { addsUnseen } from '../call/queue.ts'
import { isWellFormed, longestUri } from '../call/uri.ts'
import { holds, type Rule, refuses, unseen, type Verdict } from './condition.ts'
import type { Condition } from './role.ts'
import { demands } from './uris.ts'

/**
 * What holds for every grant: no address leads to this machine, this network or a place where machines are told secrets,
 * unless the grant's own `uris` name its host. Looking up is enough to make a player go there, so reads are judged as well.
 *
 * @param names whether a grant names the host of this address
 */
function publicOnly(names: (uri: string) => boolean): Rule {
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
      if (call.known.adds?.some((uri) => uri.length > longestUri || !isWellFormed(uri)))
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
      return unproven ?? (addsUnseen(call) ? unseen(() => 'uris: public addresses only') : holds)
    },
    matter(call) {
      if (addsUnseen(call)) return 'adds'
      return unknownIn(call).next().done ? undefined : 'hosts'
    },
  }
}

/** As a grant has it, or what binds without one. */
export function createGuard(role: string, rule: string, names: (uri: string) => boolean): Condition {
  return { ...publicOnly(names), name: 'uris', role, setting: undefined, rule }
}

/** What binds those whom no grant allows a call, and who are observed only. */
export const ofNoGrant = createGuard('', 'roles', () => false)
