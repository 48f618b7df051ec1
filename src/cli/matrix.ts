import { type Capability, capabilities, isCapability, type Standing } from '../call/capability.ts'
import type { Operation } from '../call/catalog.ts'
import type { Facet } from '../call/param.ts'
import type { Condition, Grant, Policy } from '../policy/decide.ts'
import { compile } from '../policy/policy.ts'
import { catalogs } from '../protocol/catalogs.ts'
import { parse, print, single } from './command.ts'
import { configOf } from './config.ts'

export interface Verdict {
  readonly verdict: 'allowed' | 'constrained' | 'denied'
  /** What binds, the alternatives parted by `or`; empty unless constrained. */
  readonly by: string
}

/** Every role × every capability. */
export const run = single('\n  stagedoor matrix [--json]', (args, io) => {
  const { values } = parse(args, { json: { type: 'boolean' } }, { min: 0, max: 0 })
  const { config } = configOf(io)
  const policy = compile(config.roles)
  const players = [...config.players.keys()]
  const names = Object.keys(capabilities).filter(isCapability)
  const rows = names.map((capability) => ({
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
  // A condition that must see and cannot refuses whatever comes.
  const hopeful = grants.filter(({ conditions }) =>
    conditions.every(({ demands, facet }) => facet === undefined || facets.has(facet) || !demands.includes(capability)),
  )
  if (hopeful.length === 0) return { verdict: 'denied', by: '' }
  const limits = hopeful.map((grant) => limitsOf(grant, players, facets))
  if (limits.some((limit) => limit === '')) return { verdict: 'allowed', by: '' }
  return { verdict: 'constrained', by: [...new Set(limits)].join(' or ') }
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

/** The facets that a call of this row can show. */
export function facetsOfRow({ params }: Operation): ReadonlySet<Facet> {
  return new Set(Object.values(params).flatMap(({ facet, refused }) => (facet && !refused ? [facet] : [])))
}

function facetsOf(capability: Capability): ReadonlySet<Facet> {
  const rows = [...catalogs.values()].flatMap((catalog) => Object.values(catalog))
  const asking = rows.filter(
    (row) => row.capability === capability || Object.values(row.also ?? {}).includes(capability),
  )
  // What no player we know asks for yet may show anything.
  if (asking.length === 0) return new Set(['volume', 'uri', 'playlist', 'output'])
  return new Set(asking.flatMap((row) => [...facetsOfRow(row)]))
}

function limitsOf({ players: on, conditions }: Grant, players: readonly string[], facets: ReadonlySet<Facet>): string {
  const elsewhere = on !== 'all' && !players.every((player) => on.has(player))
  return [
    ...(elsewhere ? [`on ${[...on].join(' ')}`] : []),
    ...conditions.filter(({ facet }) => facet === undefined || facets.has(facet)).map(writeCondition),
  ].join(', ')
}

function writeCondition({ name, setting }: Condition): string {
  const all = [setting].flat().map(String)
  return `${name} ${all.slice(0, 4).join(' ')}${all.length > 4 ? ' …' : ''}`
}
