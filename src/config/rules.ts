import { isIP } from 'node:net'
import type { Static, TSchema } from 'typebox'
import { Check } from 'typebox/value'
import { RoleConfig } from '../policy/policy.ts'
import { addresses } from './address.ts'
import { suggest } from './explain.ts'
import { bare, hostOf, isInternal, isLoopback } from './host.ts'
import { Notify } from './notify.ts'
import { addressesOf, Player, type PlayerConfig, webClients } from './player.ts'
import { isWithin, readRange } from './range.ts'
import { room } from './room.ts'
import { defaults, Listen } from './schema.ts'
import { times, zone } from './time.ts'
import type { Finding } from './validate.ts'

/**
 * What a schema cannot say: parts of a configuration that contradict each other, and players anybody could reach.
 *
 * Looks at each part that is sound by itself, so that a slip elsewhere hides nothing.
 */
export function contradictions(file: unknown): readonly Finding[] {
  const { listen, players, roles, notify, zone: clock } = Object(file)
  const playerNames = Object.keys(Object(players))
  const roleNames = Object.keys(Object(roles))
  return [
    ...(Check(Listen, listen) ? [...ports(listen), ...plainDoor(listen, roleNames)] : []),
    ...sound(Player, players).flatMap(([name, player]) => [
      ...reach(`players.${name}`, player),
      ...web(`players.${name}.web`, player),
      ...room(`players.${name}`, player),
    ]),
    ...(Check(Notify, notify) ? targets(notify) : []),
    ...zone('zone', clock),
    ...(roleNames.length === 0 && typeof roles === 'object' ? [noRole] : []),
    ...sound(RoleConfig, roles).flatMap(([name, role]) => [
      ...grants(`roles.${name}.grants`, role, playerNames),
      ...times(`roles.${name}.grants`, role),
      ...addresses(`roles.${name}.grants`, role),
    ]),
  ]
}

const noRole: Finding = { path: 'roles', at: 'value', what: 'no role', fix: 'add one, or nobody may do anything' }

function sound<S extends TSchema>(schema: S, group: unknown): [string, Static<S>][] {
  return Object.entries(Object(group)).filter((entry): entry is [string, Static<S>] => Check(schema, entry[1]))
}

function* ports({
  https = {},
  mpd = {},
  plainMpd = false,
  metrics = false,
}: Static<typeof Listen>): Generator<Finding> {
  const taken = new Map([[https.port ?? defaults.httpsPort, 'HTTPS']])
  for (const [path, name, port] of [
    ['listen.mpd.port', 'MPD over TLS', mpd && (mpd.port ?? defaults.mpdPort)],
    ['listen.plainMpd.port', 'MPD without TLS', plainMpd ? plainMpd.port : false],
    ['listen.metrics.port', 'metrics', metrics && (Object(metrics).port ?? defaults.metrics.port)],
  ] as const) {
    const other = port && taken.get(port) // with 0 the system finds a free one
    if (other) yield { path, at: 'value', what: `the same port as ${other}`, fix: 'give each door its own port' }
    else if (port) taken.set(port, name)
  }
}

function* plainDoor({ plainMpd }: Static<typeof Listen>, known: readonly string[]): Generator<Finding> {
  if (!plainMpd) return
  for (const [i, text] of plainMpd.from.entries()) {
    const wrong = wrongRange(text)
    if (wrong) yield { path: `listen.plainMpd.from[${i}]`, at: 'value', ...wrong }
  }
  for (const [i, role] of plainMpd.roles.entries()) {
    if (known.includes(role)) continue
    const path = `listen.plainMpd.roles[${i}]`
    yield { path, at: 'value', what: 'there is no such role', fix: suggest(role, known) }
  }
}

/** What a home network may have, and no provider hands on: private, link-local and loopback addresses. */
const homely = [
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '169.254.0.0/16',
  '127.0.0.0/8',
  'fc00::/7',
  'fe80::/10',
  '::1/128',
].flatMap((text) => readRange(text) ?? [])

/** What is wrong with a range that may come in without TLS. */
function wrongRange(text: string): Omit<Finding, 'path' | 'at'> | undefined {
  const range = readRange(text)
  if (!range) {
    const fix = isIP(text)
      ? `for one address write ${text}/${isIP(text) === 4 ? 32 : 128}`
      : 'write address and length, such as 192.168.1.0/24 or fd00::/8'
    return { what: 'not a range of addresses', fix }
  }
  if (range.length === 0) {
    return { what: 'the whole internet', fix: 'name your own network only, such as 192.168.1.0/24' }
  }
  if (!homely.some((home) => isWithin(range, home))) {
    return {
      what: 'not only private addresses',
      fix: 'name your own network only (in 10.…, 172.16.…, 192.168.…, fd…); whoever is farther away needs TLS',
    }
  }
  if (!range.isFirst) {
    const fix = `write its first address; for this one alone /${range.version === 4 ? 32 : 128}`
    return { what: 'an address in the midst of its range', fix }
  }
  return undefined
}

function* reach(player: string, config: PlayerConfig): Generator<Finding> {
  if (config.kind === 'librespot' && config.zeroconf === undefined && config.onevent === undefined) {
    const fix = 'add `zeroconf:` with its address, `onevent: true`, or both'
    yield { path: player, at: 'key', what: 'no way to reach it', fix }
  }
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

/** What we serve ourselves, at the root or below a player: no web client may stand in its place. */
const ours = /^(?:auth|players|mopidy|trust|setup|healthz|readyz|metrics|state|art|events|page\..*)$/

/** Where web clients that are known by name have their commands, and not their files. */
const commands: ReadonlyMap<string, string> = new Map([['settings', 'musicbox_webclient']])

function* web(path: string, player: PlayerConfig): Generator<Finding> {
  if (player.kind !== 'mopidy') return
  const taken = new Set<string>()
  for (const [i, client] of (player.web ?? []).entries()) {
    const inside = `${path}[${i}]`
    // Mopidy tells capitals apart; people do not.
    const name = (typeof client === 'string' ? client : client.path.slice(1, -1)).toLowerCase()
    const known = typeof client === 'object' && (webClients.find((row) => row === name) ?? commands.get(name))
    if (known) {
      const fix = `write ${known} in its place: some of its addresses are commands`
      yield { path: `${inside}.path`, at: 'value', what: 'of a web client that is known by name', fix }
    } else if (ours.test(name)) {
      const what = `the gateway’s own path`
      yield { path: `${inside}.path`, at: 'value', what, fix: 'leave it out: it is served without that' }
    } else if (taken.has(name)) {
      yield { path: inside, at: 'value', what: 'there for the second time', fix: 'keep one of them' }
    }
    taken.add(name)
  }
}

function* targets(notify: Static<typeof Notify>): Generator<Finding> {
  const taken = new Set<string>()
  for (const [i, target] of notify.entries()) {
    const [key, address] = 'ntfy' in target ? (['ntfy', target.ntfy] as const) : (['webhook', target.webhook] as const)
    const wrong = wrongTarget(key, address)
    const path = `notify[${i}].${key}`
    if (wrong) yield { path, at: 'value', ...wrong }
    else if (taken.has(address)) {
      yield { path, at: 'value', what: 'there for the second time', fix: 'keep one of them' }
    }
    taken.add(address)
  }
}

function wrongTarget(key: 'ntfy' | 'webhook', address: string): Omit<Finding, 'path' | 'at'> | undefined {
  const url = URL.parse(address)
  if (!url || url.port === '0') return { what: 'no address', fix: 'write all of it, such as https://ntfy.sh/TOPIC' }
  const host = bare(url.hostname)
  if (url.protocol === 'http:' && !isLoopback(host) && !isInternal(host)) {
    return { what: 'not encrypted', fix: 'write https://; http:// is for private addresses only' }
  }
  // Posted to anything but a topic, ntfy answers with its own page and nobody is told.
  if (key === 'ntfy' && !/^\/[A-Za-z0-9_-]{1,64}$/.test(url.pathname)) {
    return { what: 'no topic', fix: 'end it with /TOPIC: letters, digits, dashes and underscores' }
  }
  return undefined
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
