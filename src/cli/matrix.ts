import { type Capability, capabilityNames, isCapability, type Standing } from '../call/capability.ts'
import type { Operation } from '../call/catalog.ts'
import type { Facet } from '../call/param.ts'
import { isAddition } from '../call/queue.ts'
import type { Condition, Grant, Policy, Rate } from '../policy/role.ts'
import { catalogs } from '../protocol/catalogs.ts'
import { parse, print, single } from './command.ts'
import { configOf, policyOf, warningsOf } from './config.ts'

export interface Verdict {
  readonly verdict: 'allowed' | 'constrained' | 'denied'
  /** What binds, the alternatives parted by `or`; empty unless constrained. */
  readonly by: string
}

/** Every role × every capability. */
export const run = single('\n  stagedoor matrix [--json]', (args, io) => {
  const { values } = parse(args, { json: { type: 'boolean' } }, { min: 0, max: 0 })
  const { config } = configOf(io)
  for (const { text } of warningsOf(config)) io.err(`stagedoor: ${text}`)
  const policy = policyOf(config)
  const players = [...config.players.keys()]
  const rows = capabilityNames.map((capability) => ({
    capability,
    ...Object.fromEntries(
      [...policy.roles.keys()].map((role) => {
        const verdict = verdictOf(policy, role, players, capability, facetsOf(capability))
        return [role, values.json ? verdict : write(verdict)]
      }),
    ),
  }))
  print(io, rows, values.json)
  return 0
})

/** What a role says to a capability whose calls show these facets, over all players. */
export function verdictOf(
  { roles }: Policy,
  role: string,
  players: readonly string[],
  capability: Capability | Standing,
  facets: ReadonlySet<Facet>,
): Verdict {
  if (!isCapability(capability)) return { verdict: 'allowed', by: '' }
  const grants = roles.get(role)?.grants.filter((grant) => grant.capabilities.has(capability)) ?? []
  const hopeful = grants.filter((grant) => isHopeful(grant, capability, facets))
  if (hopeful.length === 0) return { verdict: 'denied', by: '' }
  const limits = hopeful.map((grant) => limitsOf(grant, players, facets))
  const limit = limits.some((limit) => limit === '') ? '' : [...new Set(limits)].join(' or ')
  const quota = roles.get(role)?.quotas.get(capability)
  const by = [limit, ...(quota ? [`quota ${writeRate(quota)}`] : [])].filter((text) => text !== '').join('; ')
  return { verdict: by === '' ? 'allowed' : 'constrained', by }
}

/** Whether it can allow such a call at all: a condition that must see and cannot refuses whatever comes. */
export function isHopeful({ conditions }: Grant, capability: Capability, facets: ReadonlySet<Facet>): boolean {
  return conditions.every(
    ({ demands, facet }) => facet === undefined || facets.has(facet) || !demands.includes(capability),
  )
}

/** Whether it has something to say to calls that show these facets. */
export function binds({ facet }: Condition, facets: ReadonlySet<Facet>): boolean {
  return facet === undefined || facets.has(facet)
}

/** What comes of several capabilities that one call takes: all of them bind. */
export function together(verdicts: readonly Verdict[]): Verdict {
  if (verdicts.some(({ verdict }) => verdict === 'denied')) return { verdict: 'denied', by: '' }
  const limits = [...new Set(verdicts.flatMap(({ by }) => (by === '' ? [] : [by])))]
  return limits.length === 0 ? { verdict: 'allowed', by: '' } : { verdict: 'constrained', by: limits.join(', ') }
}

export function write({ verdict, by }: Verdict): string {
  return by === '' ? verdict : `${verdict}: ${by}`
}

/** The facets that a call of this row can show, by itself or after what it needs was looked up. */
function facetsOfRow({ params, needs, entries, capability, also = {} }: Operation): ReadonlySet<Facet> {
  const found = Object.values(params).flatMap(({ facet, refused }) => (facet && !refused ? [facet] : []))
  return new Set<Facet>([
    ...found,
    ...(needs === 'volume' ? ['volume' as const] : needs === 'adds' ? ['uri' as const] : []),
    ...(entries || [capability, ...Object.values(also)].some(isOfQueue) ? ['entry' as const] : []),
  ])
}

/** It is about all of the queue, or its length. */
function isOfQueue(capability: Capability | Standing | undefined): boolean {
  return capability !== undefined && (capability === 'queue.clear' || isAddition(capability))
}

/** What one call of a row can be: with none of the parameters that change what it takes, and with each. */
export interface Way {
  readonly name: string
  readonly takes: readonly (Capability | Standing)[]
  readonly facets: ReadonlySet<Facet>
}

export function waysOf(row: Operation): readonly Way[] {
  const { name, capability, given = {}, also = {} } = row
  const params = Object.fromEntries(Object.entries(row.params).filter(([param]) => !(param in also)))
  return [
    { name, takes: [capability], facets: facetsOfRow({ ...row, params }) },
    ...Object.entries(given).map(([p, other]) => ({
      name: `${name} (${p})`,
      takes: [other ?? capability],
      facets: facetsOfRow(row),
    })),
    ...Object.entries(also).map(([p, more]) => ({
      name: `${name} (${p})`,
      takes: [capability, ...(more ? [more] : [])],
      facets: facetsOfRow(row),
    })),
  ]
}

export function facetsOf(capability: Capability): ReadonlySet<Facet> {
  const rows = [...catalogs.values()].flatMap((catalog) => Object.values(catalog))
  const asking = rows.filter(
    (row) => row.capability === capability || Object.values(row.also ?? {}).includes(capability),
  )
  // What no player we know asks for yet may show anything.
  if (asking.length === 0) return new Set(['volume', 'uri', 'playlist', 'output'])
  return new Set(asking.flatMap((row) => [...facetsOfRow(row)]))
}

/** As it is written in a configuration. */
export function writeRate({ count, ms }: Rate): string {
  const [unit, size] = spans.find(([, size]) => ms % size === 0) ?? ['s', 1_000]
  return `${count}/${ms / size}${unit}`
}

const spans = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
] as const

function limitsOf({ players: on, conditions }: Grant, players: readonly string[], facets: ReadonlySet<Facet>): string {
  const elsewhere = on !== 'all' && !players.every((player) => on.has(player))
  return [
    ...(elsewhere ? [`on ${[...on].join(' ')}`] : []),
    ...conditions.filter((condition) => binds(condition, facets)).map(writeCondition),
  ].join(', ')
}

function writeCondition({ name, setting }: Condition): string {
  return writeLimit(name, setting, 4)
}

/** A condition in one line; of long lists the first so many. */
export function writeLimit(name: Condition['name'], setting: unknown, most: number): string {
  return `${name} ${writeSetting(name === 'maxVolume' ? volumeOf(setting, most) : setting, most)}`
}

/** A ceiling reads like one whether it stands alone or in a group. */
function volumeOf(setting: unknown, most: number): unknown {
  if (typeof setting !== 'object' || setting === null || !('max' in setting)) return setting
  const { max, ...rest } = setting
  return Object.keys(rest).length === 0 ? max : [writeSetting(max, most), writeSetting(rest, most)]
}

/** Names before what they hold, a level before the time it is from. */
function writeSetting(setting: unknown, most: number): string {
  if (Array.isArray(setting)) {
    const all = setting.map((each) => writeSetting(each, most))
    return `${all.slice(0, most).join(' ')}${all.length > most ? ' …' : ''}`
  }
  if (typeof setting !== 'object' || setting === null) return String(setting)
  const entries = Object.entries(setting)
  if (entries.every(([key]) => isTime(key))) return entries.map(([key, level]) => `${level} from ${key}`).join(' / ')
  return entries
    .flatMap(([key, value]) => (value === false ? [] : value === true ? key : `${key} ${writeSetting(value, most)}`))
    .join(' ')
}

function isTime(key: string): boolean {
  return /^\d\d:\d\d$/.test(key)
}
