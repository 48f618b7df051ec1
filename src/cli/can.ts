import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createCall, type Request, type User } from '../call/call.ts'
import type { Catalog } from '../call/catalog.ts'
import { Fault } from '../call/fault.ts'
import { suggest } from '../config/explain.ts'
import type { PlayerConfig } from '../config/player.ts'
import { createGate } from '../gate/gate.ts'
import { createLimiter } from '../gate/limiter.ts'
import { compile } from '../policy/policy.ts'
import { house } from '../protocol/house/catalog.ts'
import { decode as decodeRpc } from '../protocol/jsonrpc/decode.ts'
import { parseMessage } from '../protocol/jsonrpc/message.ts'
import { goLibrespot } from '../protocol/librespot/go.ts'
import { librespotJava } from '../protocol/librespot/java.ts'
import { resolveVolume } from '../protocol/librespot/volume.ts'
import { zeroconf } from '../protocol/librespot/zeroconf.ts'
import { mopidy } from '../protocol/mopidy/catalog.ts'
import { decode as decodeMpd } from '../protocol/mpd/decode.ts'
import { tokenize } from '../protocol/mpd/token.ts'
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
import { configOf } from './config.ts'

const usage = `
  stagedoor can WHO mpd 'COMMAND' [--player P] [--at TIME] [--json]
  stagedoor can WHO rpc METHOD ['PARAMS'] [--player P] [--at TIME] [--json]
  stagedoor can WHO rest 'METHOD /PATH [BODY]' [--player P] [--at TIME] [--json]

  WHO is an account, or a role where no account has that name. TIME is such as 2030-01-31T21:00.
  Exit status: 0 allowed, 1 denied.`

/** What the gate would say to a command, and by which line. Decodes, decides and limits as the gateway does. */
export const run = single(usage, async (args, io) => {
  const options = { player: { type: 'string' }, at: { type: 'string' }, json: { type: 'boolean' } } as const
  const { values, words } = parse(args, options, { min: 3, max: 4 })
  const [who = '', door = '', command = '', params] = words
  const { config, where } = configOf(io)
  const { players, roles } = config
  const at = values.at === undefined ? io.now() : Date.parse(values.at)
  if (Number.isNaN(at)) throw new Misuse('no such time: write it as 2030-01-31T21:00')
  const player = values.player ?? playerFor(door, command, players)
  if (!players.has(player)) throw new Misuse(`no player ${player}: ${suggest(player, [...players.keys()])}`)

  const by = await personOf(who, Object.keys(roles), at, io)
  const policy = compile(roles)
  const gate = createGate({ policy: () => policy, limiter: createLimiter(), audit: { write: () => {} } })
  const answer = { allowed: false, by: by.roles, player, capability: '', rule: '', where: '', reason: '' }
  try {
    const call = createCall(
      { id: 'can', by, door: 'cli', player, at },
      requestOf(door, command, params, players.get(player)),
    )
    answer.capability = [call.capability, ...call.also].join(' and ')
    answer.rule = gate.admit(call).rule
    answer.allowed = true
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    answer.reason = error.message
    answer.rule = error.details.rule ?? ''
  }
  answer.where = where(answer.rule) ?? ''
  io.out(values.json ? JSON.stringify(answer, null, 2) : write(answer))
  return answer.allowed ? 0 : 1
})

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

function restRequest(command: string, params: string | undefined, kind: PlayerConfig['kind']): Request {
  const [method = '', path = '', ...rest] = command.split(' ')
  const text = params ?? rest.join(' ')
  const rows = restOf[kind].find((catalog) => findRow(catalog, method, path)) ?? {}
  const operation = findRow(rows, method, path)?.operation
  const form = operation?.body === 'form' && !text.startsWith('{') ? 'form' : 'json'
  const body = parseBody(operation?.body === 'text' ? 'text' : form, new TextEncoder().encode(text))
  const request = decodeRest(rows, { method, path, body })
  // Without the player's own number of steps, an absolute volume is taken by those it has if nobody set another.
  return request.args.relative === true ? request : resolveVolume(request, { volume: 0, steps: 100 })
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

/** Somebody with an account, or somebody who only has the role of that name. */
async function personOf(who: string, roles: readonly string[], at: number, io: Io): Promise<User> {
  const person = { kind: 'user', session: 'can', until: at + 1, from: 'cli' } as const
  // Asking must not create a database.
  const account = existsSync(join(io.data, 'accounts.sqlite'))
    ? await withAccounts(io, (accounts) => accounts.byName(who))
    : undefined
  if (account?.disabled) throw new Fault('forbidden', `the account ${who} is disabled`)
  if (account) return { ...person, id: account.id, name: account.name, roles: account.roles }
  if (!roles.includes(who)) throw new Misuse(`neither an account nor a role: ${who}; ${suggest(who, roles)}`)
  return { ...person, id: who, name: who, roles: [who] }
}

function write(answer: Readonly<Record<'capability' | 'player' | 'rule' | 'where' | 'reason', string>>): string {
  const { capability, player, rule, where, reason } = answer
  const verdict = reason === '' ? `allowed: ${capability} at ${player}` : `denied: ${reason}`
  return rule === '' ? verdict : `${verdict}\n  by ${rule}${where === '' ? '' : ` (${where})`}`
}
