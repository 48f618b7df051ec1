import type { Capability, Standing } from './capability.ts'
import type { Operation } from './catalog.ts'
import { Fault } from './fault.ts'
import type { Known } from './known.ts'
import { type Param, type Touched, touched } from './param.ts'
import type { Scale } from './scale.ts'
import { isStream, isWellFormed } from './uri.ts'

/** Who is calling. A user is one until `until` (Unix ms): connections outlive tokens. */
export type Principal =
  | { readonly kind: 'anonymous'; readonly from: string }
  /** The gateway itself, keeping what it was told to keep. Nobody signs in as this. */
  | { readonly kind: 'house'; readonly name: 'governor' | 'curfew' | 'queue'; readonly from: 'house' }
  | {
      readonly kind: 'user'
      /** The account's id, which survives a renaming. */
      readonly id: string
      readonly name: string
      readonly roles: readonly string[]
      /** Each of these role lists must allow a call as well: a token's ceiling, a door's ceiling. */
      readonly ceilings?: readonly (readonly string[])[]
      /** The players this credential is for; all of them when left out. */
      readonly players?: readonly string[]
      /** The session or device token that vouches for this principal. */
      readonly session: string
      readonly until: number
      /** The address of the peer, without port. */
      readonly from: string
    }

/** Whose budget, turn and place something takes: the account, or the address of somebody unknown. */
export function personOf(by: Principal): string {
  return by.kind === 'user' ? by.id : by.kind === 'house' ? `house ${by.name}` : by.from
}

export type User = Extract<Principal, { kind: 'user' }>

/** Where a call came in. */
export type Door = 'http' | 'websocket' | 'mpd' | 'cli' | 'house'

/** A wire command, decoded: what was asked, and nothing of who asked. */
export interface Request<O extends Operation = Operation> {
  readonly operation: O
  readonly args: Readonly<Record<string, unknown>>
}

/** Who asked, where, and when (Unix ms). `id` names the request in answers, log and audit. */
export interface Origin {
  readonly id: string
  readonly by: Principal
  readonly door: Door
  readonly player: string
  readonly at: number
}

/** One wire command, decoded and checked, with no trace of the protocol it came by. */
export interface Call extends Origin, Request {
  /** What it takes to make this very call; policy, limiter and audit go by it. */
  readonly capability: Capability | Standing
  /** What it takes besides. */
  readonly also: readonly Capability[]
  readonly touches: Touched
  /** What was looked up for it, so that policy sees what the call itself does not show. */
  readonly known: Known
  /** Why this is refused whoever calls; undefined for what policy may decide. */
  readonly refused: string | undefined
}

/**
 * Puts a request and its origin together.
 *
 * @param known what was looked up for it
 * @throws Fault `bad-arguments` when a URI breaks the grammar or the row's bounds are exceeded
 */
export function createCall(origin: Origin, { operation, args }: Request, known: Known = nothing): Call {
  const shown = touched(operation.params, args)
  checkUris(operation, shown.uri ?? [])
  const entry = operation.entries?.(args)
  const touches = {
    ...shown,
    ...(known.adds && { uri: [...(shown.uri ?? []), ...known.adds] }),
    ...(entry && { entry }),
  }
  return {
    ...origin,
    operation,
    args,
    capability: capabilityOf(operation, args),
    also: operation.also ? besidesOf(operation.also, args) : none,
    touches,
    known,
    refused: refusalOf(operation, args),
  }
}

/** The same call with another volume; undefined where none can be put in its place. */
export function withVolume(call: Call, change: (volume: number) => number): Call | undefined {
  return withLevel(call, ({ back }, _level, volume) => back?.(change(volume)))
}

/** The same call in the player's volumes, made in a person's own; undefined where none can be put in its place. */
export function withScale(call: Call, scale: Scale): Call | undefined {
  return withLevel(call, ({ steps }, level) => scale.real(level, steps))
}

type Change = (param: Param, level: number, volume: number) => unknown

/** @param change says what to put in the place of the argument that sets the volume */
function withLevel(call: Call, change: Change): Call | undefined {
  const { operation, args, touches } = call
  const [name, ...others] = Object.keys(operation.params).filter(
    (name) => operation.params[name]?.facet === 'volume' && isGiven(args[name]),
  )
  const param = name === undefined ? undefined : operation.params[name]
  const [volume, ...more] = touches.volume ?? []
  if (name === undefined || !param?.back || volume === undefined || others.length + more.length > 0) return undefined
  const level = change(param, Number(args[name]), volume)
  if (level === args[name]) return call
  const changed = { ...args, [name]: level }
  return { ...call, args: changed, touches: { ...touches, volume: touched(operation.params, changed).volume ?? [] } }
}

function checkUris({ bounds, name }: Operation, uris: readonly string[]): void {
  const bad = uris.find((uri) => !isWellFormed(uri))
  if (bad !== undefined) {
    throw new Fault('bad-arguments', `not an acceptable URI: ${JSON.stringify(bad.slice(0, 80))}`)
  }
  const streams = uris.filter(isStream).length
  if (bounds.streams !== undefined && streams > bounds.streams) {
    throw new Fault('bad-arguments', `${name} takes at most ${bounds.streams} network address at a time`)
  }
}

function capabilityOf(operation: Operation, args: Request['args']): Capability | Standing {
  for (const [name, capability] of Object.entries(operation.given ?? {})) {
    if (capability && isGiven(args[name])) return capability
  }
  return operation.capability
}

const none: readonly Capability[] = []
const nothing: Known = {}

function besidesOf(also: NonNullable<Operation['also']>, args: Request['args']): readonly Capability[] {
  return Object.entries(also).flatMap(([name, capability]) => (capability && isGiven(args[name]) ? [capability] : []))
}

function refusalOf(operation: Operation, args: Request['args']): string | undefined {
  if (operation.refused !== undefined) return operation.refused
  for (const [name, { refused }] of Object.entries(operation.params)) {
    if (refused !== undefined && isGiven(args[name])) return refused
  }
  return undefined
}

/** JSON-RPC's null stands for a parameter that was left out. */
function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null
}
