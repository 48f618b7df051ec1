import type { Catalog, Operation } from '../../call/catalog.ts'

/** A row whose template fits a path, and the segments that stand for its parameters, decoded once. */
export interface Route {
  readonly operation: Operation
  readonly segments: Readonly<Record<string, string>>
}

/** A row's key, taken apart: `POST /metadata/{type}/{uri}`. `ANY` is every method; a last `*` is whatever follows. */
interface Template {
  readonly operation: Operation
  readonly method: string
  readonly parts: readonly string[]
}

/** The row for a request, by exact match of what the wire says; undefined when there is none. Literals come first. */
export function findRow(catalog: Catalog, method: string, path: string): Route | undefined {
  return routes(catalog, path).find(({ template }) => template.method === method || template.method === 'ANY')?.route
}

/** The methods that rows of this path have; empty for a path that is none. `ANY` stands for all of them. */
export function allowedMethods(catalog: Catalog, path: string): readonly string[] {
  return [...new Set(routes(catalog, path).map(({ template }) => template.method))]
}

/** The names of the parameters that stand in a row's path. */
export function pathParams({ name }: Operation): readonly string[] {
  return [...name.matchAll(/\{(\w+)\}/g)].map(([, param = '']) => param)
}

function routes(catalog: Catalog, path: string): { readonly template: Template; readonly route: Route }[] {
  const parts = pathOf(path).split('/')
  const found: { readonly template: Template; readonly route: Route }[] = []
  for (const template of templatesOf(catalog)) {
    const segments = match(template.parts, parts)
    if (segments) found.push({ template, route: { operation: template.operation, segments } })
  }
  return found.sort((a, b) => Object.keys(a.route.segments).length - Object.keys(b.route.segments).length)
}

/** The path of a request's target, without its query. */
export function pathOf(target: string): string {
  const query = target.indexOf('?')
  return query < 0 ? target : target.slice(0, query)
}

/** What follows the first question mark; undefined when there is none. */
export function queryOf(target: string): string | undefined {
  const query = target.indexOf('?')
  return query < 0 ? undefined : target.slice(query + 1)
}

function match(template: readonly string[], parts: readonly string[]): Readonly<Record<string, string>> | undefined {
  const open = template.at(-1) === '*'
  if (open ? parts.length < template.length - 1 : parts.length !== template.length) return undefined
  const segments: Record<string, string> = Object.create(null)
  for (const [i, part] of template.entries()) {
    if (open && i === template.length - 1) break
    const given = parts[i] ?? ''
    const name = /^\{(\w+)\}$/.exec(part)?.[1]
    if (name === undefined) {
      if (part !== given) return undefined
      continue
    }
    const decoded = decodeSegment(given)
    if (decoded === undefined) return undefined
    segments[name] = decoded
  }
  return segments
}

/** One segment, decoded once; undefined for what two parsers could take for two paths. */
function decodeSegment(segment: string): string | undefined {
  let text: string
  try {
    text = decodeURIComponent(segment)
  } catch {
    return undefined
  }
  const bad = text === '' || text === '.' || text === '..' || text.length > 2048
  return bad || /[/\\%]|\p{Cc}/u.test(text) ? undefined : text
}

/** A row's path with its parameters written in. Undoes what `findRow` does. */
export function writePath({ name }: Operation, args: Readonly<Record<string, unknown>>): string {
  const [, template = ''] = name.split(' ')
  return template.replace(/\{(\w+)\}/g, (_, param: string) => encodeSegment(String(args[param])))
}

/** RFC 3986 §3.3 lets a colon stand as it is, and players know their addresses that way. */
function encodeSegment(text: string): string {
  return encodeURIComponent(text).replaceAll('%3A', ':')
}

const templates = new WeakMap<Catalog, readonly Template[]>()

function templatesOf(catalog: Catalog): readonly Template[] {
  let found = templates.get(catalog)
  if (!found) {
    found = Object.values(catalog).map((operation) => {
      const [method = '', path = ''] = operation.name.split(' ')
      return { operation, method, parts: path.split('/') }
    })
    templates.set(catalog, found)
  }
  return found
}
