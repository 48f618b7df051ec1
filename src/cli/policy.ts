import { type Capability, capabilityNames, isCapability, type Standing } from '../call/capability.ts'
import type { Facet } from '../call/param.ts'
import { explain } from '../config/explain.ts'
import { loadConfig } from '../config/load.ts'
import type { PlayerConfig } from '../config/player.ts'
import type { Config } from '../config/schema.ts'
import type { Condition, Policy, Rate } from '../policy/role.ts'
import { catalogs } from '../protocol/catalogs.ts'
import { isObject } from '../protocol/jsonrpc/message.ts'
import { type Io, Misuse, parse, single } from './command.ts'
import { policyOf } from './config.ts'
import { binds, facetsOf, isHopeful, waysOf, writeLimit, writeRate } from './matrix.ts'

const usage = `
  stagedoor policy diff A B [--json]

  What the roles of two configuration files may and may not, where they differ.
  Exit status: 0 no difference, 1 some, 2 a file that is no configuration.`

/** What changes for a role from one configuration to the other. */
export interface Difference {
  readonly role: string
  /** What it is about: a capability (several where a call takes them together), or the setting of a role. */
  readonly what: string
  /** Where; none for what holds everywhere. */
  readonly players: readonly string[]
  readonly before: string
  readonly after: string
  /** The commands it concerns, such as `MPD setvol`. */
  readonly operations: readonly string[]
}

export const run = single(usage, (args, io) => {
  const { values, words } = parse(args, { json: { type: 'boolean' } }, { min: 1, max: 3 })
  const [verb, a, b] = words
  if (verb !== 'diff') throw new Misuse(`no such command: ${verb}`)
  if (a === undefined || b === undefined) throw new Misuse('two files are needed')
  const [before, after] = [a, b].map((file) => read(file, io))
  if (!before || !after) return 2
  const found = compare(before, after)
  if (values.json) io.out(JSON.stringify(found, null, 2))
  else for (const each of found) io.out(write(each))
  return found.length === 0 ? 0 : 1
})

function read(file: string, io: Io): Config | undefined {
  const { config, problems } = loadConfig(file, io.env)
  for (const problem of problems) io.err(explain(problem))
  return config
}

/**
 * Every difference between the roles of two configurations, and nothing that is only written otherwise: what a wildcard
 * stands for, a default that is spelled out, another order.
 */
export function compare(before: Config, after: Config): readonly Difference[] {
  const sides = [sideOf(before), sideOf(after)] as const
  const roles = union(sides.map(({ policy }) => [...policy.roles.keys()]))
  const players = union(sides.map(({ config }) => [...config.players.keys()]))
  const found = roles.flatMap((role) => [
    ...settings(sides, role),
    ...players.flatMap((player) => calls(sides, role, player)),
  ])
  return [...players.flatMap((player) => room(sides, player)), ...merge(found, players)]
}

/** A room's own ceiling, which holds for every role. */
function room(sides: readonly [Side, Side], player: string): Difference[] {
  const [before = 'none', after = 'none'] = sides.map(({ config: { players, zone } }) => {
    const ceiling = players.get(player)?.maxVolume
    return ceiling === undefined
      ? 'none'
      : writeLimit('maxVolume', plainVolume(ceiling, zone), Number.POSITIVE_INFINITY)
  })
  if (before === after) return []
  return [{ role: 'everybody', what: 'the room', players: [player], before, after, operations: [] }]
}

interface Side {
  readonly config: Config
  readonly policy: Policy
}

const sideOf = (config: Config): Side => ({ config, policy: policyOf(config) })

/** What a role has besides its grants. */
function settings(sides: readonly [Side, Side], role: string): Difference[] {
  const [before, after] = sides.map(({ policy }) => {
    const known = policy.roles.get(role)
    const entries = (kind: string, rates: ReadonlyMap<string, Rate> = new Map()) =>
      [...rates].map(([name, rate]) => [`${kind} ${name}`, writeRate(rate)] as const)
    return new Map([
      ['mode', known?.isObserved ? 'observe' : 'enforce'],
      ...entries('rates', known?.rates),
      ...entries('quotas', known?.quotas),
    ])
  }) as [Map<string, string>, Map<string, string>]
  return union([[...before.keys()], [...after.keys()]]).flatMap((what) => {
    const [was = 'none', is = 'none'] = [before.get(what), after.get(what)]
    return was === is ? [] : [{ role, what, players: [], before: was, after: is, operations: [] }]
  })
}

/** What a role may call at one player. */
function calls(sides: readonly [Side, Side], role: string, player: string): Difference[] {
  const offered = sides.map(({ config }) => titlesOf(config.players.get(player)))
  const rows = [...catalogs].flatMap(([title, catalog]) =>
    offered.some((titles) => titles.includes(title))
      ? Object.values(catalog).flatMap((row) =>
          // What needs no grant changes with no role.
          row.refused === undefined && isCapability(row.capability)
            ? waysOf(row).map((way) => ({ ...way, title, name: `${title} ${way.name}` }))
            : [],
        )
      : [],
  )
  const asked = new Set(rows.flatMap(({ takes }) => takes))
  // What no command of this player asks for is granted or not all the same.
  const silent = capabilityNames
    .filter((name) => !asked.has(name))
    .map((name) => ({ title: undefined, name: undefined, takes: [name], facets: facetsOf(name) }))
  return [...rows, ...silent].flatMap(({ title, name, takes, facets }) => {
    const [before = denied, after = denied] = sides.map(({ policy, config }, i) => {
      const isThere = title === undefined ? config.players.has(player) : offered[i]?.includes(title)
      return isThere ? say(policy, role, player, takes, facets) : denied
    })
    if (before.key === after.key) return []
    const isSame = before.text === after.text
    return [
      {
        role,
        what: takes.join(' and '),
        players: [player],
        before: isSame ? before.key : before.text,
        after: isSame ? after.key : after.text,
        operations: name === undefined ? [] : [name],
      },
    ]
  })
}

/** The catalogs that a player has; a client's own page is there or not, which is no question of roles. */
function titlesOf(player: PlayerConfig | undefined): readonly string[] {
  if (!player) return []
  const web = ['files of web clients', 'Iris', 'Iris by HTTP', 'Party', 'Pibox', 'MusicBox', 'Muse']
  const titles = {
    mopidy: ['Mopidy', 'MPD', ...web],
    mpd: ['MPD'],
    'go-librespot': ['go-librespot'],
    'librespot-java': ['librespot-java'],
    librespot: ['zeroconf', 'zeroconf in a pairing window'],
  } as const satisfies Record<PlayerConfig['kind'], readonly string[]>
  return [...titles[player.kind], 'the house']
}

/** What a role says to a call: `key` is the same exactly where the answers are, `text` is for people. */
interface Said {
  readonly key: string
  readonly text: string
}
const denied: Said = { key: 'denied', text: 'denied' }
const allowed: Said = { key: 'allowed', text: 'allowed' }

function say(
  policy: Policy,
  role: string,
  player: string,
  takes: readonly (Capability | Standing)[],
  facets: ReadonlySet<Facet>,
): Said {
  const all = takes.map((each) => (isCapability(each) ? sayOf(policy, role, player, each, facets) : allowed))
  if (all.includes(denied)) return denied
  const limits = all.filter((said) => said !== allowed)
  if (limits.length === 0) return allowed
  const join = (part: keyof Said) => [...new Set(limits.map((said) => said[part]))].join(' and ')
  return { key: join('key'), text: join('text') }
}

function sayOf(
  { roles, zone }: Policy,
  role: string,
  player: string,
  capability: Capability,
  facets: ReadonlySet<Facet>,
): Said {
  const grants = (roles.get(role)?.grants ?? []).filter(
    (grant) =>
      grant.capabilities.has(capability) &&
      (grant.players === 'all' || grant.players.has(player)) &&
      isHopeful(grant, capability, facets),
  )
  if (grants.length === 0) return denied
  const ways = grants.map(({ conditions }) =>
    conditions
      .filter((condition) => binds(condition, facets))
      .map(({ name, setting }) => ({ name, setting: plain(name, setting, zone) }))
      .sort((a, b) => a.name.localeCompare(b.name)),
  )
  if (ways.some((conditions) => conditions.length === 0)) return allowed
  const texts = ways.map((conditions) =>
    conditions.map(({ name, setting }) => writeLimit(name, setting, Number.POSITIVE_INFINITY)).join(', '),
  )
  const keys = ways.map((conditions) => JSON.stringify(conditions))
  return { key: [...new Set(keys)].sort().join(' or '), text: [...new Set(texts)].sort().join(' or ') }
}

/** A setting as it would be written by somebody who leaves nothing to defaults, nor writes anything in vain. */
function plain(name: Condition['name'], setting: unknown, zone: string): unknown {
  if (name === 'maxVolume') return plainVolume(setting, zone)
  if (name === 'hours') {
    const { allow, atEnd = 'finish', ...rest } = isObject(setting) ? setting : { allow: setting }
    return sorted({ allow: [allow].flat(), atEnd, zone, ...rest })
  }
  return sorted(setting)
}

function plainVolume(setting: unknown, zone: string): unknown {
  const { max, over = 'refuse', ...rest } = isObject(setting) ? setting : { max: setting }
  const named = over === 'refuse' ? {} : { over }
  const steps = isObject(max) ? stepsOf(max) : []
  // A level that never changes is no question of the time.
  if (steps.length < 2) return { max: isObject(max) ? Object.values(max)[0] : max, ...named }
  return { max: Object.fromEntries(steps), zone, ...rest, ...named }
}

/** The levels by time of day, without those that say again what holds already. */
function stepsOf(max: Readonly<Record<string, unknown>>): readonly [string, unknown][] {
  const all = Object.entries(max).sort(([a], [b]) => a.localeCompare(b))
  return all.filter(([, level], i) => level !== all.at(i - 1)?.[1])
}

function sorted(setting: unknown): unknown {
  if (Array.isArray(setting)) return [...new Set(setting.map(String))].sort()
  if (!isObject(setting)) return setting
  const entries = Object.entries(setting).filter(([, value]) => value !== false)
  return Object.fromEntries(entries.sort(([a], [b]) => a.localeCompare(b)).map(([key, value]) => [key, sorted(value)]))
}

/** One entry for what is the same for several commands and players. */
function merge(found: readonly Difference[], all: readonly string[]): readonly Difference[] {
  const same = Map.groupBy(found, ({ role, what, before, after }) => JSON.stringify([role, what, before, after]))
  return [...same.values()].map((each) => {
    const players = union(each.map((one) => one.players))
    return {
      ...(each[0] as Difference),
      players: players.length === all.length ? [] : players,
      operations: union(each.map(({ operations }) => operations)),
    }
  })
}

function union(lists: readonly (readonly string[])[]): readonly string[] {
  return [...new Set(lists.flat())]
}

function write({ role, what, players, before, after, operations }: Difference): string {
  const where = players.length === 0 ? '' : ` at ${players.join(', ')}`
  const head = `${role} · ${what}${where}: ${before} → ${after}`
  if (operations.length === 0) return head
  const more = operations.length > 6 ? ` and ${operations.length - 6} more` : ''
  return `${head}\n    ${operations.slice(0, 6).join(', ')}${more}`
}
