import type { Capability, Standing } from './capability.ts'
import type { Entry } from './known.ts'
import type { Params } from './param.ts'

/** The dialects that have a catalog; the name goes into `can`, the matrix and the audit. */
export type Protocol = 'mpd' | 'mopidy' | 'go-librespot' | 'librespot-java' | 'zeroconf' | 'iris' | 'web' | 'house'

/** What one call may cost, beyond the shapes of its arguments. */
export interface Bounds {
  /** Takes long, or makes the player search or fetch: few of these are in flight at one player. */
  readonly costly?: true
  /** How many URIs one call may hold that make the player open a network connection. Each may freeze it for 10 s. */
  readonly streams?: number
}

/**
 * How a command concerns the connection it came by, where there is such a thing: `local` is answered by the gateway and
 * never reaches a player, `setting` holds for the rest of the connection, `channel` ties the connection to one at the
 * player, `idle` waits.
 */
export type ConnectionState = 'local' | 'setting' | 'channel' | 'idle'

/**
 * What an answer may tell beyond what the call itself takes: `status` speaks of the queue and the library, `queue` holds
 * entries that are counted by their place, `library` holds entries that may be missing. `volume` is a volume and nothing else
 * that some are not to see; a status may hold one as well.
 */
export type Shown = 'status' | 'queue' | 'library' | 'volume'

/**
 * What must be known of the player at the moment of the call: `track`, that something is loaded; `steps`, how many its volume
 * has, as the row means nothing without. For some people besides: `volume`, where the volume stands, so that the row can be
 * resolved against it; `adds`, the addresses that it adds without naming them.
 */
export type Need = 'track' | 'steps' | 'volume' | 'adds'

/** Everything the gateway knows about one wire command, in one place. */
export interface Operation<P extends Params = Params> {
  readonly protocol: Protocol
  readonly name: string
  readonly capability: Capability | Standing
  readonly params: P
  readonly bounds: Bounds
  /** Parameters that make it a different thing to ask for, by name: `play` goes on playing, `play` with a place skips. */
  readonly given?: Partial<Readonly<Record<string, Capability>>>
  /** Parameters that take a capability besides the row's own: `next` with an address skips and adds. */
  readonly also?: Partial<Readonly<Record<string, Capability>>>
  /** How it concerns its connection; left out for what any connection may ask as well as any other. */
  readonly state?: ConnectionState
  /** What its answer may show; left out for what shows no more than was asked. */
  readonly shows?: Shown
  /** What must be known of the player; left out for what it may be asked at any time. */
  readonly needs?: Need
  /** The entries of the queue that it changes; left out for what changes none, or does not say which. */
  readonly entries?: (args: Readonly<Record<string, unknown>>) => readonly Entry[]
  /** Those are gone afterwards. */
  readonly removes?: true
  /** What it begins goes on adding to the queue by itself, so that nobody can count what comes of it. */
  readonly goesOn?: true
  /** How the arguments stand in the body of an HTTP request. Left out, it is JSON, or nothing where a row takes none. */
  readonly body?: 'json' | 'form' | 'text'
  /** What the arguments must be to one another: says what is wrong with them; undefined when nothing is. */
  readonly together?: (args: Readonly<Record<string, unknown>>) => string | undefined
  /** Why nobody may call this, whatever their role. */
  readonly refused?: string
  /** Nobody calls this by mistake: a refused call of it is told to those who run the house. */
  readonly alarm?: true
}

export type Catalog<P extends Params = Params> = Readonly<Record<string, Operation<P>>>

type Row<P extends Params> = Omit<Operation<P>, 'name' | 'protocol'>

export function op(capability: Capability | Standing): Row<Record<never, never>>
export function op<const P extends Params>(
  capability: Capability | Standing,
  params: P,
  bounds?: Bounds,
  given?: Partial<Readonly<Record<keyof P, Capability>>>,
): Row<P>
export function op(
  capability: Capability | Standing,
  params: Params = {},
  bounds: Bounds = {},
  given?: Operation['given'],
): Row<Params> {
  return { capability, params, bounds, ...(given && { given }) }
}

/** A row that concerns its connection. */
export function stateful<S extends ConnectionState, R extends Row<Params>>(
  state: S,
  row: R,
): R & { readonly state: S } {
  return { ...row, state }
}

/** A row whose answer is not everybody's to see in full. */
export function showing<R extends Row<Params>>(shows: Shown, row: R): R {
  return { ...row, shows }
}

/** A row whose parameters, when given, take a capability besides its own. */
export function besides<R extends Row<Params>>(
  also: Partial<Readonly<Record<keyof R['params'], Capability>>>,
  row: R,
): R {
  return { ...row, also }
}

/** A row that depends on what the player is doing. */
export function needing<R extends Row<Params>>(needs: Need, row: R): R {
  return { ...row, needs }
}

/** A row whose arguments bind one another. */
export function agreeing<R extends Row<Params>>(together: NonNullable<Operation['together']>, row: R): R {
  return { ...row, together }
}

/** A row that changes entries of the queue. */
export function changing<R extends Row<Params>>(entries: (args: never) => readonly Entry[], row: R): R {
  return { ...row, entries }
}

/** A row that takes entries out of the queue. */
export function removing<R extends Row<Params>>(entries: (args: never) => readonly Entry[], row: R): R {
  return { ...row, entries, removes: true }
}

/** A row after which more comes into the queue by and by. */
export function goingOn<R extends Row<Params>>(row: R): R {
  return { ...row, goesOn: true }
}

/** A row whose arguments are sent as a form, as the one text itself, or as JSON even when there are none. */
export function sending<R extends Row<Params>>(body: NonNullable<Operation['body']>, row: R): R {
  return { ...row, body }
}

/** A row that raises an alarm when it is refused. */
export function alarming<R extends Row<Params>>(row: R): R {
  return { ...row, alarm: true }
}

/** A command that exists at the player and not at this door, with the reason people are told. */
export function refuse(capability: Capability, reason: string): Row<Record<never, never>>
export function refuse<const P extends Params>(capability: Capability, reason: string, params: P): Row<P>
export function refuse(capability: Capability, reason: string, params: Params = {}): Row<Params> {
  return { capability, params, bounds: {}, refused: reason }
}

/** Stamps each row with its key, and drops the prototype so that `constructor` is no command. */
export function catalog<const T extends Record<string, Row<Params>>>(protocol: Protocol, rows: T) {
  const table = Object.create(null)
  for (const [name, row] of Object.entries(rows)) table[name] = Object.freeze({ protocol, name, ...row })
  return Object.freeze(table) as { readonly [K in keyof T]: T[K] & { readonly protocol: Protocol; readonly name: K } }
}
