import { type Capability, capabilityNames, isCapability } from '../call/capability.ts'
import { Fault } from '../call/fault.ts'
import { isNetwork } from '../call/host.ts'
import { schemeOf } from '../call/uri.ts'
import type { Config } from '../config/schema.ts'
import { catalogs } from '../protocol/catalogs.ts'
import { readTrail, type Trace } from '../store/trail.ts'
import { withAccounts } from './accounts.ts'
import { Misuse, parse, single } from './command.ts'
import { checkNames, configOf, policyOf } from './config.ts'
import { facetsOf } from './matrix.ts'
import { readSince } from './moment.ts'

const usage = `
  stagedoor learn --role R --since 2d [--json]

  The smallest role that allows what the people of a role did, out of the record of decisions, as YAML to read, mend and put
  into the configuration. --since takes 12h, 2d, 1w or a date. Whoever has the role writes this record by what they do: who
  tries things out widens the proposal.`

const options = { role: { type: 'string' }, since: { type: 'string' }, json: { type: 'boolean' } } as const

export const run = single(usage, async (args, io) => {
  const { values } = parse(args, options, { min: 0, max: 0 })
  const { role, since: text } = values
  if (role === undefined) throw new Misuse('which role? --role kid')
  if (text === undefined) throw new Misuse('since when? --since 2d')
  checkNames(io, { roles: [role] })
  const { config } = configOf(io)
  const since = readSince(text, io.now(), policyOf(config).zone)
  const people = await withAccounts(io, (accounts) => accounts.list().filter(({ roles }) => roles.includes(role)))
  if (people.length === 0) throw new Fault('bad-arguments', `nobody has the role ${role}`)
  const ids = people.map(({ id }) => id)
  const found = propose(readTrail(io.data, since, ids), { role, config })
  const names = people.map(({ name }) => name)
  const about = { role, since: new Date(since).toISOString(), people: names }
  io.out(values.json ? JSON.stringify({ ...about, ...found }, null, 2) : write(found, about, config))
  return found.grants.length === 0 ? 1 : 0
})

/** One use of a capability at a player, counted. */
interface Use {
  times: number
  readonly schemes: Map<string, number>
  readonly volumes: number[]
  /** Calls whose volume or addresses are not in the record. */
  unseen: number
}

interface ProposedGrant {
  readonly allow: readonly Capability[]
  readonly on: readonly string[]
  readonly when?: { readonly maxVolume?: number; readonly uriSchemes?: readonly string[] }
  /** How often each was used, in the order of `allow`. */
  readonly times: readonly number[]
  /** What a reader should know of it. */
  readonly notes: readonly string[]
}

interface Proposal {
  /** The calls that it allows, and that were let through. */
  readonly calls: number
  readonly grants: readonly ProposedGrant[]
  /** What it does not allow: what it was, why, and how often. */
  readonly leftOut: readonly { readonly what: string; readonly why: string; readonly times: number }[]
}

/** What outlives a song is nobody's by having been done once. */
const never: ReadonlySet<string> = new Set<Capability>(['server.admin', 'player.takeover'])
/** To look something up is to make a player open it, and what is found is shown: these go by the kinds that were used at all. */
const reading: ReadonlySet<string> = new Set<Capability>(['library.read', 'playlists.read'])
/** Without an address in sight these are refused wherever there is a condition on addresses. */
const demanding: ReadonlySet<string> = new Set<Capability>(['queue.add', 'queue.replace'])

/** The smallest grants that allow what these people were allowed or observed doing. */
function propose(
  traces: Iterable<Trace>,
  { role, config }: { readonly role: string; readonly config: Pick<Config, 'players'> },
): Proposal {
  const uses = new Map<string, Map<Capability, Use>>()
  const left = new Map<string, { what: string; why: string; times: number }>()
  const leave = (what: string, why: string) => {
    const entry = left.get(`${what} ${why}`) ?? { what, why, times: 0 }
    left.set(`${what} ${why}`, { ...entry, times: entry.times + 1 })
  }
  let calls = 0
  for (const trace of traces) {
    const { player, capability, outcome } = trace
    if (!isCapability(capability)) continue
    const takes = [capability, ...besidesOf(trace)]
    const why = leftOutFor(trace, takes, role, config)
    if (why !== undefined) leave(`${takes.join(' and ')} at ${known(player, config)}`, why)
    if (why !== undefined || outcome !== 'allowed') continue
    calls++
    for (const each of perhapsOf(trace)) {
      leave(`${each} at ${player}`, `may have gone along with ${trace.operation}: the record does not show it`)
    }
    const there = uses.get(player) ?? new Map<Capability, Use>()
    uses.set(player, there)
    for (const each of takes) {
      const use = there.get(each) ?? { times: 0, schemes: new Map(), volumes: [], unseen: 0 }
      there.set(each, use)
      count(use, trace, each)
    }
  }
  return { calls, grants: grantsOf(uses), leftOut: [...left.values()].sort((a, b) => b.times - a.times) }
}

/** Why a call is not to be allowed because of this record; undefined where it is, or is not to be spoken of. */
function leftOutFor(
  { outcome, rule, reason, player, touches }: Trace,
  takes: readonly Capability[],
  role: string,
  { players }: Pick<Config, 'players'>,
): string | undefined {
  if (outcome === 'denied') return 'was refused'
  if (outcome === 'limited') return 'was too much at once'
  if (outcome !== 'allowed') return undefined
  if (takes.some((each) => never.has(each))) return 'outlives a song: grant it by hand, if it is meant'
  if (!players.has(player)) return 'the configuration has no such player'
  if (
    reason !== 'observed' &&
    rule !== null &&
    !rule.split(' and ').some((each) => each.startsWith(`roles.${role}.`))
  ) {
    return 'another role of theirs allowed it'
  }
  const schemes = schemesIn(touches)
  if (schemes.includes(undefined)) return 'an address that players read in different ways'
  const far = schemes.find((scheme) => scheme === 'file' || isNetwork(scheme ?? ''))
  // To name a host is to trust it wherever it leads, and a file is anything on the player's disk.
  if (far !== undefined)
    return `addresses of the kind ${far}: name their hosts or folders under uris, if they are meant`
  return undefined
}

function schemesIn({ uri = [] }: Trace['touches']): readonly (string | undefined)[] {
  return uri.map((each) => schemeOf(String(each)))
}

/** What a recorded call took besides its own capability: by the parameters that it shows. */
function besidesOf({ operation, touches }: Trace): readonly Capability[] {
  const rows = [...catalogs.values()].flatMap((catalog) => catalog[operation] ?? [])
  const found = rows.flatMap(({ also = {}, params }) =>
    Object.entries(also).flatMap(([name, capability]) => {
      const { facet } = params[name] ?? {}
      return capability && facet && (touches[facet]?.length ?? 0) > 0 ? [capability] : []
    }),
  )
  return [...new Set(found)]
}

/** What it may have taken besides, by parameters that touch nothing and so leave no mark. */
function perhapsOf({ operation }: Trace): readonly Capability[] {
  const rows = [...catalogs.values()].flatMap((catalog) => catalog[operation] ?? [])
  return rows.flatMap(({ also = {}, params }) =>
    Object.entries(also).flatMap(([name, capability]) => (capability && !params[name]?.facet ? [capability] : [])),
  )
}

function count(use: Use, { touches }: Trace, capability: Capability): void {
  use.times++
  const schemes = schemesIn(touches)
  for (const scheme of schemes) if (scheme !== undefined) use.schemes.set(scheme, (use.schemes.get(scheme) ?? 0) + 1)
  for (const volume of touches.volume ?? []) use.volumes.push(Number(volume))
  const isUnseen =
    capability === 'volume.set'
      ? (touches.volume ?? []).length === 0
      : demanding.has(capability) && schemes.length === 0
  if (isUnseen) use.unseen++
}

type Wish = Omit<ProposedGrant, 'on' | 'times' | 'allow'> & { readonly times: number }

function grantsOf(uses: ReadonlyMap<string, ReadonlyMap<Capability, Use>>): readonly ProposedGrant[] {
  const wishes = [...uses].flatMap(([player, there]) => {
    const all = [...there.values()].flatMap(({ schemes }) => [...schemes.keys()])
    return [...there].map(([capability, use]) => ({ player, capability, ...wishOf(capability, use, all) }))
  })
  // What is the same at several players is said once, and so is what goes together at the same players.
  const perCapability = Map.groupBy(wishes, ({ capability, when }) => JSON.stringify([capability, when]))
  const spread = [...perCapability.values()].map((same) => ({
    allow: (same[0] as (typeof same)[number]).capability,
    when: same[0]?.when,
    on: same.map(({ player }) => player).sort(),
    times: same.reduce((sum, { times }) => sum + times, 0),
    notes: same.flatMap(({ notes, player }) => notes.map((note) => (same.length > 1 ? `${player}: ${note}` : note))),
  }))
  const order: readonly string[] = capabilityNames
  spread.sort((a, b) => order.indexOf(a.allow) - order.indexOf(b.allow))
  return [...Map.groupBy(spread, ({ on, when }) => JSON.stringify([on, when])).values()].map((each) => {
    const [first] = each
    return {
      allow: each.map(({ allow }) => allow),
      on: first?.on ?? [],
      ...(first?.when && { when: first.when }),
      times: each.map(({ times }) => times),
      notes: each.flatMap(({ notes }) => notes),
    }
  })
}

/** The narrowest conditions under which this use goes on. */
function wishOf(capability: Capability, { times, schemes, volumes, unseen }: Use, all: readonly string[]): Wish {
  const own = reading.has(capability) ? all : [...schemes.keys()]
  const isByAddress = own.length > 0 && facetsOf(capability).has('uri') && unseen < times
  const isByVolume = volumes.length > 0
  const when = {
    ...(isByVolume && { maxVolume: Math.max(...volumes) }),
    ...(isByAddress && { uriSchemes: [...new Set(own)].sort() }),
  }
  const notes = [
    ...(isByVolume ? [`volume: the loudest of ${volumes.length}, nine in ten at most ${nineInTen(volumes)}`] : []),
    ...(isByAddress ? [...schemes].map(([scheme, n]) => `${scheme}: ${timesOf(n)}`) : []),
    ...(unseen > 0
      ? [`${capability}: ${timesOf(unseen)} by what the record does not show; see whether that still goes`]
      : []),
  ]
  return { times, notes, ...((isByVolume || isByAddress) && { when }) }
}

function nineInTen(volumes: readonly number[]): number {
  return volumes.toSorted((a, b) => a - b)[Math.ceil(volumes.length * 0.9) - 1] ?? 0
}

/** A player as the configuration has it; the record may name others. */
function known(player: string, { players }: Pick<Config, 'players'>): string {
  return players.has(player) ? player : 'a player that is gone'
}

function timesOf(n: number): string {
  return n === 1 ? 'once' : `${n} times`
}

/** YAML that is valid as it stands. Of what people sent there are only kinds of address in it, and these are quoted. */
function write(
  { calls, grants, leftOut }: Proposal,
  { role, since, people }: { role: string; since: string; people: readonly string[] },
  { roles }: Pick<Config, 'roles'>,
): string {
  const { rates, quotas } = roles[role] ?? {}
  const kept = Object.entries({ rates, quotas }).flatMap(([name, value]) =>
    value ? [`    ${name}: ${JSON.stringify(value)} # as it is now`] : [],
  )
  return [
    `# The smallest role that allows what ${people.map((name) => JSON.stringify(name)).join(', ')} did`,
    `# since ${since}: ${calls} calls. Read it before it goes anywhere:`,
    '# whoever tried something out in that time has put it in here.',
    'roles:',
    `  ${role}:`,
    ...(grants.length === 0 ? ['    grants: [] # nothing was done'] : ['    grants:', ...grants.flatMap(writeGrant)]),
    ...kept,
    ...(leftOut.length === 0 ? [] : ['# Left out:']),
    ...leftOut.slice(0, 50).map(({ what, why, times }) => `# - ${what}, ${timesOf(times)}: ${why}`),
    ...(leftOut.length > 50 ? [`# - and ${leftOut.length - 50} more (--json has all)`] : []),
  ].join('\n')
}

function writeGrant({ allow, on, when, times, notes }: ProposedGrant): readonly string[] {
  const conditions = Object.entries(when ?? {}).map(([name, value]) => `${name}: ${JSON.stringify(value)}`)
  return [
    '      - allow:',
    ...allow.map((name, i) => `          - ${name} # ${timesOf(times[i] ?? 0)}`),
    `        on: ${JSON.stringify(on)}`,
    ...(conditions.length === 0 ? [] : [`        when: { ${conditions.join(', ')} }`]),
    ...notes.map((note) => `        # ${note}`),
  ]
}
