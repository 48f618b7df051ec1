import Type, { type TSchema } from 'typebox'
import type { Request } from '../../call/call.ts'
import type { Capability } from '../../call/capability.ts'
import {
  alarming,
  type Catalog,
  catalog,
  changing,
  goingOn,
  type Operation,
  op,
  refuse,
  sending,
} from '../../call/catalog.ts'
import { Fault } from '../../call/fault.ts'
import { optional, param } from '../../call/param.ts'
import { hidePaths } from '../../call/path.ts'
import { checked, idOf, show } from '../jsonrpc/decode.ts'
import { isObject } from '../jsonrpc/message.ts'
import { byTlids } from '../mopidy/entry.ts'
import { Uri, uint } from '../mopidy/model.ts'
import { type Answers, answering, flag, nullable, number, rebuild, rebuilt, text } from '../rest/answer.ts'
import { clean } from '../rest/text.ts'

const Short = Type.String({ pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]*$', maxLength: 200 })
/** Who has not said what they are called goes by a number of their browser's making: the time and two digits. */
const Made = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const username = optional(param(Type.Union([Short, Made, Type.Null()])))
const client_id = optional(param(Type.Union([Type.String({ pattern: '^[A-Za-z0-9-]{1,64}$' }), Made, Type.Null()])))
const recipient = param(Type.String({ pattern: '^[A-Z0-9]{1,32}$' }))

/** Something to be shown for a moment. Whatever else a browser does when told, it is not told through this door. */
const Notification = Type.Object({
  content: Type.String({ maxLength: 500 }),
  title: Type.Optional(nullable(Type.String({ maxLength: 200 }))),
  icon: Type.Optional(nullable(text)),
  level: Type.Optional(Type.String({ maxLength: 20 })),
})
const Shown = Type.Object({ notification: Notification })
const shown = { method: param(Type.Literal('notification')), params: param(Shown) } as const

const From = Type.Union([
  text,
  Type.Object({ uri: Type.Optional(text), name: Type.Optional(text), type: Type.Optional(text) }),
  Type.Null(),
])
const metadata = {
  tlids: param(Type.Array(uint, { maxItems: 10_000 })),
  added_from: optional(param(From)),
  added_by: username,
} as const

/** Something kept at hand: what it is called and where it is. */
const Pin = Type.Object({ uri: Uri, name: Type.Optional(nullable(text)), type: Type.Optional(nullable(text)) })
const Pins = Type.Array(Pin, { maxItems: 500 })

/** They end up in the address of a request that Iris makes. */
const seeds = (kind: string) => {
  const Seed = Type.String({ pattern: `^spotify:${kind}:[A-Za-z0-9-]{1,64}$` })
  return optional(param(Type.Array(Seed, { maxItems: 20 }), 'uri'))
}
const radio = { seed_artists: seeds('artist'), seed_genres: seeds('genre'), seed_tracks: seeds('track') } as const

const costly = { costly: true } as const
const system = 'a GET changes nothing here'
const socketOnly = 'only over the socket of Iris, which knows whose it is'
const inside = 'it is no command but a part of Iris'
const token = 'it hands out a login at Spotify'

const part = alarming(refuse('server.admin', inside))
const login = refuse('server.admin', token)

/**
 * Iris' own methods. It calls whatever attribute it is asked for: a name that is not here is none.
 *
 * What its pages ask for by themselves raises no alarm, whoever has them open.
 */
export const iris = catalog('iris', {
  get_config: op('status.read'),
  get_connections: op('status.read'),
  get_pinned: op('status.read'),
  get_queue_metadata: op('status.read'),
  get_radio: op('status.read'),
  get_shared_config: op('status.read'),
  get_version: op('status.read', {}, costly),
  get_lyrics: refuse('library.read', 'only over HTTP'),

  // The connection they are about is the one they come by: Iris would take any that is named.
  set_username: op('status.read', { username }),
  update_connection: op('status.read', { username, client_id }),

  // Labels on what is in the queue already. They bring no address into it, so that nothing of them has to be seen.
  add_queue_metadata: changing(byTlids, op('queue.edit', metadata)),
  clean_queue_metadata: op('queue.edit'),
  load_more_tracks: goingOn(op('queue.add', {}, costly)),

  change_radio: goingOn(op('queue.replace', { reset: param(Type.Boolean()), ...radio }, costly)),
  // It stops the music, as any stop does, and looks at none of this.
  stop_radio: op('playback.control', radio),

  set_pinned: op('playlists.edit', { pinned: param(Pins) }),

  broadcast: op('messages.send', shown),
  send_message: op('messages.send', { recipient, ...shown }),

  get_commands: op('server.admin'),
  restart: alarming(op('server.admin')),
  upgrade: alarming(op('server.admin')),
  local_scan: alarming(op('server.admin')),
  test: alarming(op('server.admin')),

  run_command: alarming(refuse('server.admin', 'it sends requests from the machine to any address')),
  set_commands: alarming(refuse('server.admin', 'it plants what run_command sends')),
  set_shared_config: refuse('server.admin', 'it pushes settings and logins into every browser'),
  get_data: part,
  set_data: part,

  get_spotify_token: login,
  refresh_spotify_token: login,

  add_connection: part,
  add_radio_metadata: part,
  check_for_radio_update: part,
  digest_protocol: part,
  do_fetch: part,
  generateGuid: part,
  is_root: part,
  load_from_file: part,
  local_scan_callback: part,
  remove_connection: part,
  restart_callback: part,
  save_to_file: part,
  setup: part,
  start: part,
  stop: part,
  test_callback: part,
  update_snapcast_meta: part,
  upgrade_callback: part,
})

/** A page of lyrics. It is fetched from one site, by a path that stays on it. */
const lyrics = op(
  'library.read',
  {
    path: param(Type.String({ pattern: '^/[A-Za-z0-9-]{1,300}$' })),
    connection_id: param(Type.String({ pattern: '^[A-Z0-9]{1,32}$' })),
  },
  costly,
)

type HttpRow = Parameters<typeof catalog>[1][string]

function overHttp(rows: Catalog): Readonly<Record<string, HttpRow>> {
  const ways = Object.values(rows).flatMap((row) => waysTo(row).map(([name, way]): [string, HttpRow] => [name, way]))
  return Object.fromEntries(ways)
}

const ownOnly: ReadonlySet<string> = new Set(['set_username', 'update_connection', 'broadcast', 'send_message'])

function waysTo(row: Operation): readonly (readonly [string, HttpRow])[] {
  const { name, protocol: _protocol, ...way } = row
  const [get, post] = [`GET /iris/http/${name}`, `POST /iris/http/${name}`] as const
  if (name === 'get_lyrics') return [[get, lyrics]]
  if (ownOnly.has(name)) return [[post, refuse('messages.send', socketOnly)]]
  if (row.refused !== undefined)
    return [
      [get, way],
      [post, way],
    ]
  if (name.startsWith('get_')) return [[get, way]]
  const change: readonly [string, HttpRow] = [post, sending('json', way)]
  return row.alarm ? [[get, alarming(refuse('server.admin', system))], change] : [change]
}

/** The same methods by HTTP: a GET for what looks, a POST for what changes. */
export const irisHttp: Catalog = catalog('iris', overHttp(iris))

const Called = nullable(Type.Union([text, number]))
const Connection = Type.Object({
  connection_id: text,
  username: Type.Optional(Called),
  created: Type.Optional(text),
})
const Own = Type.Object({
  connection_id: text,
  username: Type.Optional(Called),
  client_id: Type.Optional(nullable(Type.Union([text, number]))),
})
const names = Type.Array(text, { maxItems: 500 })
const Radio = Type.Object({
  enabled: Type.Union([number, flag]),
  seed_artists: names,
  seed_genres: names,
  seed_tracks: names,
  results: names,
})
const Metadata = Type.Record(
  Type.String({ pattern: '^tlid_[0-9]{1,10}$' }),
  Type.Object({ tlid: number, added_from: Type.Optional(From), added_by: Type.Optional(Called) }),
)
const Message = Type.Object({ message: text })
/** Settings and logins that somebody shared with every browser: none of it is passed on. */
const Nothing = Type.Object({})

const results: { readonly [N in keyof typeof iris]?: TSchema } = {
  // Not where to sign in, whose account it is, or what else runs in the house.
  get_config: Type.Object({
    config: Type.Object({
      country: Type.Optional(text),
      locale: Type.Optional(text),
      shared_config: Type.Optional(Nothing),
    }),
  }),
  get_connections: Type.Object({ connections: Type.Array(Connection, { maxItems: 1000 }) }),
  get_pinned: Type.Object({ pinned: Pins }),
  get_queue_metadata: Type.Object({ queue_metadata: Metadata }),
  get_radio: Type.Object({ radio: Radio }),
  get_shared_config: Type.Object({ shared_config: Nothing }),
  get_version: Type.Object({
    version: Type.Object({ current: text, latest: Type.Optional(text), upgrade_available: Type.Optional(flag) }),
  }),
  set_username: Own,
  update_connection: Type.Object({ connection: Own }),
  add_queue_metadata: Message,
  change_radio: Type.Object({ radio: Radio }),
  stop_radio: Message,
  set_pinned: Message,
  broadcast: Message,
  send_message: Message,
  // They hold addresses and headers with passwords; nothing here runs them.
  get_commands: Type.Object({ commands: Nothing }),
  restart: Message,
  upgrade: Message,
  local_scan: Message,
  test: Message,
}

/** What a result may hold, by row. A row that is not here has none. */
const irisAnswers: Answers = answering<Catalog>(iris, results)

const Page = Type.String({ maxLength: 1_000_000 })

/** By HTTP a result stands in an envelope. */
export const irisHttpAnswers: Answers = new Map(
  Object.values(irisHttp).flatMap((row): readonly (readonly [Operation, TSchema])[] => {
    const method = row.name.slice(row.name.lastIndexOf('/') + 1)
    const result = method === 'get_lyrics' ? Page : shapeOf(method)
    if (row.refused !== undefined || !result) return []
    return [[row, Type.Object({ id: Type.Optional(number), jsonrpc: text, method: Type.Optional(text), result })]]
  }),
)

function shapeOf(method: string): TSchema | undefined {
  const row = findRow(method)
  return row && irisAnswers.get(row)
}

function findRow(method: string): Operation | undefined {
  const rows: Catalog = iris
  return rows[method]
}

/** What Iris' pages send along without need is left behind, so that what is sent is what is known. */
const narrowed: ReadonlyMap<string, ReadonlyMap<string, TSchema>> = new Map([
  ['set_pinned', new Map<string, TSchema>([['pinned', Pins]])],
  ['add_queue_metadata', new Map<string, TSchema>([['added_from', From]])],
  ['broadcast', new Map<string, TSchema>([['params', Shown]])],
  ['send_message', new Map<string, TSchema>([['params', Shown]])],
])

/** One message of a browser, and the id to answer to: undefined when it wants no answer. */
export interface IrisRequest extends Request {
  readonly id: string | number | undefined
}

/** @throws Fault `malformed`, `unknown-operation` or `bad-arguments` */
export function decodeIris(message: unknown): IrisRequest {
  if (!isObject(message) || message.jsonrpc !== '2.0' || typeof message.method !== 'string') {
    throw new Fault('malformed', 'not a request to Iris')
  }
  const stranger = Object.keys(message).find((key) => !['jsonrpc', 'id', 'method', 'params'].includes(key))
  if (stranger !== undefined) throw new Fault('malformed', `a request has no member ${show(stranger)}`)
  const id = message.id === undefined ? undefined : idOf(message)
  if (message.id !== undefined && (id === undefined || id === null)) {
    throw new Fault('malformed', 'an id is a string of at most 64 bytes or a safe integer')
  }
  const operation = findRow(message.method)
  if (!operation) throw new Fault('unknown-operation', `unknown method ${show(message.method)}`)
  if (operation.refused !== undefined) return { id: id ?? undefined, operation, args: {} }
  const params = message.params ?? {}
  if (!isObject(params)) throw new Fault('malformed', 'params is an object')
  return { id: id ?? undefined, operation, args: checked(operation, narrow(operation, params), 'left out') }
}

function narrow({ name }: Operation, params: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const shapes = narrowed.get(name)
  if (!shapes) return params
  return Object.fromEntries(
    Object.entries(params).map(([key, value]) => {
      const shape = shapes.get(key)
      // What does not fit is left as it is, for the row to refuse.
      return [key, shape === undefined ? value : (rebuilt(shape, value) ?? value)]
    }),
  )
}

/** A request as Iris gets it. The parameters are always there: only then does it add whose connection it is. */
export function encodeIris(id: number, { operation, args }: Request): string {
  return JSON.stringify({ jsonrpc: '2.0', id, method: operation.name, params: { ...args } })
}

/** What takes it to hear of something, and what may be said of it. */
interface BroadcastRow {
  readonly capability: Capability
  readonly shape: TSchema
}

const heard = (shape: TSchema): BroadcastRow => ({ capability: 'status.read', shape })
const progress: BroadcastRow = { capability: 'server.admin', shape: Nothing }

/** One that is not here is heard by nobody: logins, commands, settings, and orders to load the page again. */
const broadcasts: ReadonlyMap<string, BroadcastRow> = new Map([
  ['connection_added', heard(Type.Object({ connection: Connection }))],
  ['connection_changed', heard(Type.Object({ connection: Connection }))],
  ['connection_removed', heard(Type.Object({ connection: Connection }))],
  ['notification', heard(Shown)],
  ['pinned_changed', heard(Type.Object({ pinned: Pins }))],
  ['queue_metadata_changed', heard(Type.Object({ queue_metadata: Metadata }))],
  ['radio_changed', heard(Type.Object({ radio: Radio }))],
  ['radio_started', heard(Type.Object({ radio: Radio }))],
  ['radio_stopped', heard(Type.Object({ radio: Radio }))],
  ...['local_scan', 'restart', 'test', 'upgrade'].flatMap((task) =>
    ['started', 'updated', 'finished', 'error'].map((step): [string, BroadcastRow] => [`${task}_${step}`, progress]),
  ),
])

/** What it takes to hear of a broadcast; undefined for one that nobody hears. */
export function broadcastCapability(method: string): Capability | undefined {
  return broadcasts.get(method)?.capability
}

/** What Iris says went wrong, without the places of its files. */
export interface IrisError {
  readonly code?: number
  readonly message: string
}

export type IrisMessage =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: IrisError }
  | { readonly method: string; readonly params: unknown }

/**
 * One message of Iris: an answer to an id of ours, its result as it came, or a broadcast, rebuilt. Undefined for what is
 * neither, or not to be heard.
 */
export function readIris(value: unknown): IrisMessage | undefined {
  if (!isObject(value)) return undefined
  const { id, error } = value
  const ours = typeof id === 'number' ? id : isObject(error) && typeof error.id === 'number' ? error.id : undefined
  if (ours !== undefined) {
    return isObject(error) ? { id: ours, error: readError(error) } : { id: ours, result: value.result ?? null }
  }
  const row = typeof value.method === 'string' ? broadcasts.get(value.method) : undefined
  if (typeof value.method !== 'string' || !row) return undefined
  const params = rebuilt(row.shape, value.params ?? {})
  return params === undefined ? undefined : { method: value.method, params }
}

function readError({ code, message }: Record<string, unknown>): IrisError {
  const said = typeof message === 'string' ? clean(hidePaths(message), 500) : 'Iris refused'
  return { ...(typeof code === 'number' && { code }), message: said }
}

/**
 * What may be told of a result.
 *
 * @throws Fault `player-unreachable` for one of another shape
 */
export function rebuildIris(operation: Operation, result: unknown): unknown {
  const shape = irisAnswers.get(operation)
  return shape === undefined ? null : rebuild(shape, result)
}

/** An answer as Iris' pages know it. */
export function writeIrisAnswer(id: string | number, method: string, result: unknown): string {
  return JSON.stringify({ jsonrpc: '2.0', id, method, result })
}

/** A refusal as Iris' pages know it: they find the id within. */
export function writeIrisError(id: string | number | undefined, method: string | undefined, error: IrisError): string {
  return JSON.stringify({ jsonrpc: '2.0', ...(id !== undefined && { id }), method, error: { ...error, id } })
}

/** A broadcast as Iris' pages know it. */
export function writeBroadcast({ method, params }: { readonly method: string; readonly params: unknown }): string {
  return JSON.stringify({ jsonrpc: '2.0', method, params })
}
