import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { type Call, createCall, type Request, type User } from '../call/call.ts'
import type { Catalog } from '../call/catalog.ts'
import { Fault } from '../call/fault.ts'
import type { Matter } from '../call/known.ts'
import { touched } from '../call/param.ts'
import type { Scale } from '../call/scale.ts'
import { suggest } from '../config/explain.ts'
import type { PlayerConfig } from '../config/player.ts'
import { createGate } from '../gate/gate.ts'
import { createLimiter } from '../gate/limiter.ts'
import { sayTime } from '../policy/clock.ts'
import { type Decision, decide } from '../policy/decide.ts'
import { forecast } from '../policy/forecast.ts'
import { mattersOf } from '../policy/matter.ts'
import type { Override, Policy } from '../policy/role.ts'
import { house } from '../protocol/house/catalog.ts'
import { decode as decodeRpc } from '../protocol/jsonrpc/decode.ts'
import { parseMessage } from '../protocol/jsonrpc/message.ts'
import { goLibrespot } from '../protocol/librespot/go.ts'
import { javaVolume, librespotJava } from '../protocol/librespot/java.ts'
import { resolveVolume } from '../protocol/librespot/volume.ts'
import { zeroconf } from '../protocol/librespot/zeroconf.ts'
import { mopidy } from '../protocol/mopidy/catalog.ts'
import { decode as decodeMpd } from '../protocol/mpd/decode.ts'
import { tokenize } from '../protocol/mpd/token.ts'
import { resolve } from '../protocol/resolve.ts'
import { parseBody } from '../protocol/rest/body.ts'
import { decodeRest } from '../protocol/rest/decode.ts'
import { findRow } from '../protocol/rest/route.ts'
import { webFiles } from '../protocol/web/files.ts'
import { irisHttp } from '../protocol/web/iris.ts'
import { muse } from '../protocol/web/muse.ts'
import { musicbox } from '../protocol/web/musicbox.ts'
import { party } from '../protocol/web/party.ts'
import { pibox } from '../protocol/web/pibox.ts'
import { withAccounts } from './accounts.ts'
import { type Io, Misuse, parse, single } from './command.ts'
import { configOf, policyOf } from './config.ts'
import { readMoment } from './moment.ts'

const usage = `
  stagedoor can WHO mpd 'COMMAND' [--player P] [--at TIME] [--volume N] [--json]
  stagedoor can WHO rpc METHOD ['PARAMS'] [--player P] [--at TIME] [--volume N] [--json]
  stagedoor can WHO rest 'METHOD /PATH [BODY]' [--player P] [--at TIME] [--volume N] [--json]

  WHO is an account, or a role where no account has that name. TIME is such as 2030-01-31T21:00, or 21:00 for today, in the
  configuration's time zone. --volume says where the volume stands, for what changes it by some steps.
  Exit status: 0 allowed, 1 denied or not to be known before it is asked.`

const options = {
  player: { type: 'string' },
  at: { type: 'string' },
  volume: { type: 'string' },
  json: { type: 'boolean' },
} as const

/** What the gate would say to a command, by which line, and until when. Decodes, decides and limits as the gateway does. */
export const run = single(usage, async (args, io) => {
  const { values, words } = parse(args, options, { min: 3, max: 4 })
  const [who = '', door = '', command = '', params] = words
  const { config, where } = configOf(io)
  const { players, roles } = config
  const compiled = policyOf(config)
  const at = values.at === undefined ? io.now() : readMoment(values.at, io.now(), compiled.zone)
  const volume = values.volume === undefined ? undefined : levelOf(values.volume)
  const player = values.player ?? playerFor(door, command, players)
  if (!players.has(player)) throw new Misuse(`no player ${player}: ${suggest(player, [...players.keys()])}`)

  const { by, overrides } = await personOf(who, Object.keys(roles), io)
  const policy = { ...compiled, overrides }
  const gate = createGate({ policy: () => policy, limiter: createLimiter(), audit: { write: () => {} } })
  const answer: Answer = { ...nothing, by: by.roles, player, zone: policy.zone }
  try {
    const asked = requestOf(door, command, params, players.get(player))
    const known = volume === undefined ? {} : { volume }
    const request = resolved(asked, volume, gate.volumeScale(by, player, at))
    const call = createCall({ id: 'can', by, door: 'cli', player, at }, request, known)
    answer.capability = [call.capability, ...call.also].join(' and ')
    answer.depends = dependsOf(policy, call)
    const turn = forecast(policy, call)
    if (turn)
      answer.changes = { at: new Date(turn.at).toISOString(), allowed: turn.decision.allowed, ...setTo(turn.decision) }
    const { rule, call: going, observed } = gate.admit(call)
    answer.rule = rule
    answer.allowed = true
    answer.observed = observed !== undefined
    if (going !== call) answer.volume = going.touches.volume?.[0] ?? null
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    answer.reason = error.message
    answer.rule = error.details.rule ?? ''
  }
  answer.where = where(answer.rule.split(' ')[0] ?? '') ?? ''
  io.out(values.json ? JSON.stringify(answer, null, 2) : write(answer, at))
  return answer.allowed ? 0 : 1
})

/** What is printed, as it is with --json. */
interface Answer {
  allowed: boolean
  /** The roles it was decided by. */
  readonly by: readonly string[]
  readonly player: string
  capability: string
  rule: string
  where: string
  reason: string
  /** It is let through by a role that is only observed. */
  observed: boolean
  /** The volume that is set in place of the one that was asked for. */
  volume: number | null
  /** What would have to be known of the player or the network; where there is any, `allowed` is false. */
  depends: readonly Matter[]
  /** The next moment with another answer, within eight days. */
  changes: { readonly at: string; readonly allowed: boolean; readonly volume?: number } | null
  readonly zone: string
}

const nothing = {
  allowed: false,
  capability: '',
  rule: '',
  where: '',
  reason: '',
  observed: false,
  volume: null,
  depends: [],
  changes: null,
} as const

/** What a refusal would have to know to be sure. */
function dependsOf(policy: Policy, call: Call): readonly Matter[] {
  const decision = decide(policy, call)
  if (decision.allowed || decision.denial.reason !== 'unprovable') return []
  const matters: readonly Matter[] = [
    ...mattersOf(policy, call),
    ...(isRelative(call, undefined) ? ['volume' as const] : []),
  ]
  return [...new Set(matters)].filter((matter) => call.known[matter] === undefined)
}

function levelOf(text: string): number {
  if (!/^(?:\d|[1-9]\d|100)$/.test(text)) throw new Misuse('--volume is from 0 to 100')
  return Number(text)
}

function setTo(decision: Decision): { volume?: number } {
  const [volume] = decision.allowed ? (decision.permit.call.touches.volume ?? []) : []
  return volume === undefined ? {} : { volume }
}

/** The catalogs of plain HTTP that each kind of player has. */
const restOf: Readonly<Record<PlayerConfig['kind'], readonly Catalog[]>> = {
  mopidy: [webFiles, irisHttp, party, pibox, musicbox, muse, house],
  mpd: [house],
  'go-librespot': [goLibrespot, house],
  'librespot-java': [librespotJava, house],
  librespot: [zeroconf, house],
}

/** The player that is meant when none is named: by its paths if it is REST, the first otherwise. */
function playerFor(door: string, command: string, players: ReadonlyMap<string, PlayerConfig>): string {
  const [method = '', path = ''] = command.split(' ')
  const knows = ([, { kind }]: [string, PlayerConfig]) => restOf[kind].some((rows) => findRow(rows, method, path))
  const found = door === 'rest' ? [...players].find(knows) : undefined
  return found?.[0] ?? [...players.keys()][0] ?? ''
}

/** A change of volume as what it comes to from there. Without a player's own number of steps, those are taken it has of itself. */
function resolvedAt(volume: number, request: Request, scale: Scale | undefined): Request {
  const steps = request.operation.protocol === 'librespot-java' ? javaVolume : 100
  return resolveVolume(resolve(request, volume, scale), { volume: Math.round((volume * steps) / 100), steps }, scale)
}

/** The request as it comes to the gate; as it was sent where it takes a volume that nobody said. */
function resolved(request: Request, volume: number | undefined, scale: Scale | undefined): Request {
  if (volume !== undefined) return resolvedAt(volume, request, scale)
  return isRelative(request, scale) ? request : resolvedAt(0, request, scale)
}

/** Whether what it comes to depends on where the volume stands. */
function isRelative(request: Request, scale: Scale | undefined): boolean {
  const [lowest, highest] = [0, 100].map((volume) => {
    const { operation, args } = resolvedAt(volume, request, scale)
    return [args, touched(operation.params, args)]
  })
  return !isDeepStrictEqual(lowest, highest)
}

function restRequest(command: string, params: string | undefined, kind: PlayerConfig['kind']): Request {
  const [method = '', path = '', ...rest] = command.split(' ')
  const text = params ?? rest.join(' ')
  const rows = restOf[kind].find((catalog) => findRow(catalog, method, path)) ?? {}
  const operation = findRow(rows, method, path)?.operation
  const form = operation?.body === 'form' && !text.startsWith('{') ? 'form' : 'json'
  const body = parseBody(operation?.body === 'text' ? 'text' : form, new TextEncoder().encode(text))
  return decodeRest(rows, { method, path, body })
}

function requestOf(door: string, command: string, params: string | undefined, player?: PlayerConfig): Request {
  if (door === 'rest') return restRequest(command, params, player?.kind ?? 'mpd')
  if (door === 'mpd') return decodeMpd(tokenize(new TextEncoder().encode([command, params ?? []].flat().join(' '))))
  if (door !== 'rpc') throw new Misuse(`no such door: ${door}; it is mpd, rpc or rest`)
  const [method = '', ...rest] = command.split(' ')
  const text = params ?? rest.join(' ')
  return decodeRpc(mopidy, {
    jsonrpc: '2.0',
    id: 1,
    method,
    ...(text.trim() !== '' && { params: parseMessage(text) }),
  })
}

interface Asker {
  readonly by: User
  /** What was lifted with an end. */
  readonly overrides: readonly Override[]
}

/** Somebody with an account, or somebody who only has the role of that name. */
async function personOf(who: string, roles: readonly string[], io: Io): Promise<Asker> {
  const person = { kind: 'user', session: 'can', until: Number.MAX_SAFE_INTEGER, from: 'cli' } as const
  // Asking must not create a database.
  const { account, overrides } = existsSync(join(io.data, 'accounts.sqlite'))
    ? await withAccounts(io, (accounts) => ({ account: accounts.byName(who), overrides: accounts.overrides() }))
    : { account: undefined, overrides: [] }
  if (account?.disabled) throw new Fault('forbidden', `the account ${who} is disabled`)
  if (account) return { by: { ...person, id: account.id, name: account.name, roles: account.roles }, overrides }
  if (!roles.includes(who)) throw new Misuse(`neither an account nor a role: ${who}; ${suggest(who, roles)}`)
  return { by: { ...person, id: who, name: who, roles: [who] }, overrides }
}

/** What would have to be looked up, in words. */
const matters: Readonly<Record<Matter, string>> = {
  volume: 'where the volume stands then (say it with --volume N)',
  adds: 'what it would add, which is looked up when it is asked',
  hosts: 'where its host is, which is looked up when it is asked',
  queue: 'what is in the queue then',
}

function write(answer: Answer, at: number): string {
  const { allowed, capability, player, rule, where, reason, observed, volume, depends, changes, zone } = answer
  const set = volume === null ? '' : `, volume ${volume}`
  const verdict =
    depends.length > 0
      ? `depends on ${depends.map((matter) => matters[matter]).join(' and ')}`
      : allowed
        ? `allowed: ${capability} at ${player}${set}${observed ? ' (its role is only observed)' : ''}`
        : `denied: ${reason}`
  return [
    verdict,
    ...(rule === '' ? [] : [`  by ${rule}${where === '' ? '' : ` (${where})`}`]),
    ...(changes && depends.length === 0 ? [`  ${writeChange(changes, at, zone)}`] : []),
  ].join('\n')
}

function writeChange({ at, allowed, volume }: NonNullable<Answer['changes']>, now: number, zone: string): string {
  const set = allowed && volume !== undefined ? `, volume ${volume}` : ''
  return `from ${sayTime(Date.parse(at), now, zone)}: ${allowed ? 'allowed' : 'denied'}${set} (${zone})`
}
