import { BlockList, isIP } from 'node:net'
import type { Static, TSchema } from 'typebox'
import { Check } from 'typebox/value'
import { RoleConfig } from '../policy/policy.ts'
import { suggest } from './explain.ts'
import { defaults, Listen, Player, type PlayerConfig } from './schema.ts'
import type { Finding } from './validate.ts'

/**
 * What a schema cannot say: parts of a configuration that contradict each other, and players anybody could reach.
 *
 * Looks at each part that is sound by itself, so that a slip elsewhere hides nothing.
 */
export function contradictions(file: unknown): readonly Finding[] {
  const { listen, players, roles } = Object(file)
  const playerNames = Object.keys(Object(players))
  return [
    ...(Check(Listen, listen) ? ports(listen) : []),
    ...sound(Player, players).flatMap(([name, player]) => [...reach(`players.${name}`, player)]),
    ...(Object.keys(Object(roles)).length === 0 && typeof roles === 'object' ? [noRole] : []),
    ...sound(RoleConfig, roles).flatMap(([name, role]) => [...grants(`roles.${name}.grants`, role, playerNames)]),
  ]
}

const noRole: Finding = { path: 'roles', at: 'value', what: 'no role', fix: 'add one, or nobody may do anything' }

function sound<S extends TSchema>(schema: S, group: unknown): [string, Static<S>][] {
  return Object.entries(Object(group)).filter((entry): entry is [string, Static<S>] => Check(schema, entry[1]))
}

function* ports({ https = {}, mpd = {} }: Static<typeof Listen>): Generator<Finding> {
  const port = mpd && (mpd.port ?? defaults.mpdPort)
  if (port !== 0 && port === (https.port ?? defaults.httpsPort)) {
    yield { path: 'listen.mpd.port', at: 'value', what: 'the same port as HTTPS', fix: 'give each door its own port' }
  }
}

function* reach(player: string, config: PlayerConfig): Generator<Finding> {
  for (const [key, address] of addressesOf(config)) {
    const path = `${player}.${key}`
    const host = hostOf(address)
    if (host === undefined) {
      yield { path, at: 'value', what: 'no address', fix: 'write host and port, such as 127.0.0.1:6600' }
    } else if (!isLoopback(host) && !config.private) {
      const fix = 'let the player listen on 127.0.0.1, or set `private: true` if nobody but the gateway can reach it'
      yield { path, at: 'value', what: 'not a loopback address', fix }
    } else if (!isLoopback(host) && !isInternal(host)) {
      const fix = 'use a private address (10.…, 172.16.…, 192.168.…, fd…) or a container’s name'
      yield { path, at: 'value', what: 'not a private address', fix }
    }
  }
}

function* grants(path: string, { grants }: Static<typeof RoleConfig>, players: readonly string[]): Generator<Finding> {
  if (grants.length === 0) {
    yield { path, at: 'value', what: 'the role grants nothing', fix: 'add a grant, or remove the role' }
  }
  for (const [i, { on = [] }] of grants.entries()) {
    for (const [j, player] of on.entries()) {
      if (players.includes(player)) continue
      const fix = player === '*' ? 'leave `on` out for all players' : suggest(player, players)
      yield { path: `${path}[${i}].on[${j}]`, at: 'value', what: 'there is no such player', fix }
    }
  }
}

function addressesOf(player: PlayerConfig): [string, string][] {
  const mpd: [string, string][] = player.mpd === undefined ? [] : [['mpd', player.mpd]]
  return player.kind === 'mopidy' ? [['http', player.http], ...mpd] : mpd
}

/** The host as the network stack will read it: a decimal or padded address cannot pass for something else. */
function hostOf(address: string): string | undefined {
  const url = URL.parse(address.startsWith('http://') ? address : `http://${address}`)
  if (!url || url.port === '0' || (url.port === '' && !address.startsWith('http://') && !address.endsWith(':80'))) {
    return undefined
  }
  return url.hostname.replace(/^\[|\]$/g, '')
}

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8)
loopback.addAddress('::1', 'ipv6')

const internal = new BlockList()
internal.addSubnet('10.0.0.0', 8)
internal.addSubnet('172.16.0.0', 12)
internal.addSubnet('192.168.0.0', 16)
internal.addSubnet('fc00::', 7, 'ipv6')

function isLoopback(host: string): boolean {
  return host === 'localhost' || isIn(loopback, host)
}

/** A private address, or a name that only a container's own network resolves. */
function isInternal(host: string): boolean {
  return isIP(host) === 0 ? /^[a-z0-9_-]+(\.internal)?$/.test(host) : isIn(internal, host)
}

function isIn(list: BlockList, host: string): boolean {
  const version = isIP(host)
  return version !== 0 && list.check(host, version === 4 ? 'ipv4' : 'ipv6')
}
