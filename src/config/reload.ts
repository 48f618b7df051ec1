import { isDeepStrictEqual } from 'node:util'
import type { Config } from './schema.ts'

/** When a change of a setting counts, in a gateway that runs: at the next call, for connections to come, or after it began anew. */
export type Takes = 'live' | 'new connections' | 'restart'

/** The settings of a configuration: each key, with those inside it where it is a group, such as `listen.https.port`. */
type Setting<T> = {
  [K in keyof T & string]-?: Exclude<T[K], false> extends infer V
    ? V extends readonly unknown[] | ReadonlyMap<string, unknown>
      ? K
      : V extends object
        ? string extends keyof V
          ? K // by names that people give
          : `${K}.${Setting<V>}` | (false extends T[K] ? K : never)
        : K
    : never
}[keyof T & string]

/** Each setting has its row here and in docs/configuration.md: a new key of the configuration does not compile without. */
export const takes: Readonly<Record<Setting<Config>, Takes>> = {
  'listen.https.host': 'restart',
  'listen.https.port': 'restart',
  'listen.https.names': 'restart',
  'listen.mpd': 'restart',
  'listen.mpd.host': 'restart',
  'listen.mpd.port': 'restart',
  'listen.mpd.timeout': 'new connections',
  'listen.mpd.connections': 'new connections',
  'listen.mpd.connectionsEach': 'new connections',
  'listen.plainMpd': 'restart',
  'listen.plainMpd.host': 'restart',
  'listen.plainMpd.port': 'restart',
  'listen.plainMpd.from': 'restart',
  'listen.plainMpd.roles': 'restart',
  'listen.plainMpd.timeout': 'new connections',
  'listen.plainMpd.connections': 'new connections',
  'listen.plainMpd.connectionsEach': 'new connections',
  'listen.metrics': 'restart',
  'listen.metrics.host': 'restart',
  'listen.metrics.port': 'restart',
  'tls.dir': 'restart',
  'tls.cert': 'restart',
  'tls.key': 'restart',
  players: 'restart',
  zone: 'live',
  roles: 'live',
  notify: 'live',
  'audit.days': 'live',
  'audit.megabytes': 'live',
  'log.level': 'live',
}

/** A setting that differs. */
export interface Change {
  /** Such as `log.level`, or `roles.kid` where it has names inside. */
  readonly path: string
  readonly takes: Takes
}

/** What of `next` differs from the configuration that is in force, and when each of it counts. */
export function changesOf(running: Config, next: Config): readonly Change[] {
  return Object.entries(takes).flatMap(([path, when]) => {
    const [before, after] = [valueAt(running, path), valueAt(next, path)]
    return namesOf(before, after).map((name) => ({ path: path + name, takes: when }))
  })
}

/** The configuration in force once `next` is: what needs a restart stays as it was. */
export function merge(running: Config, next: Config): Config {
  return Object.entries(takes).reduce<Config>(
    (merged, [path, when]) => (when === 'restart' ? merged : put(merged, path.split('.'), next)),
    running,
  )
}

type Group = Readonly<Record<string, unknown>>

/**
 * What stands there: null for nothing, undefined where the group itself is none. A door that is open or shut is compared
 * as such here, and what is inside it by itself.
 */
function valueAt(config: Config, path: string): unknown {
  const value = path
    .split('.')
    .reduce<unknown>((group, key) => (isGroup(group) ? (group[key] ?? null) : undefined), config)
  const isDoor = Object.keys(takes).some((other) => other.startsWith(`${path}.`))
  return isDoor ? value !== false : value
}

/** The names that differ between two of something; an empty one for all of it, none when they are the same. */
function namesOf(before: unknown, after: unknown): string[] {
  const [old, fresh] = [entriesOf(before), entriesOf(after)]
  // What is in a door that is shut comes or goes with it, and its own row says so.
  if (before === undefined || after === undefined || isDeepStrictEqual(old ?? before, fresh ?? after)) return []
  if (!old || !fresh) return ['']
  const [from, to] = [new Map(old), new Map(fresh)]
  const names = [...new Set([...from.keys(), ...to.keys()])]
  const changed = names.filter((name) => !isDeepStrictEqual(from.get(name), to.get(name)))
  return changed.length === 0 ? [''] : changed.map((name) => `.${name}`)
}

/** What people gave names to, in order where that counts. */
function entriesOf(value: unknown): [string, unknown][] | undefined {
  if (value instanceof Map) return [...value]
  return isGroup(value) ? Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)) : undefined
}

function put<T>(into: T, [key = '', ...rest]: readonly string[], from: unknown): T {
  if (!isGroup(into) || !isGroup(from)) return into
  if (rest.length > 0) return { ...into, [key]: put(into[key], rest, from[key]) }
  const { [key]: _, ...others } = into
  return { ...others, ...(Object.hasOwn(from, key) && { [key]: from[key] }) } as T
}

function isGroup(value: unknown): value is Group {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Map)
}
