import { createHash } from 'node:crypto'
import { Check } from 'typebox/value'
import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml'
import { messageOf } from '../call/fault.ts'
import type { Problem } from './explain.ts'
import { contradictions } from './rules.ts'
import { type Config, ConfigFile, fillIn } from './schema.ts'
import { borrow, type Sources } from './secrets.ts'
import { readText } from './text.ts'
import { type Finding, validate } from './validate.ts'

/** A configuration as far as it could be understood. */
export interface Loaded {
  /** Absent when there is any problem: half a configuration is none. */
  readonly config?: Config
  readonly problems: readonly Problem[]
  /** Where a path such as `roles.kid.grants[1]` stands, as `config/stagedoor.yaml:41`. */
  where(path: string): string | undefined
}

interface Place {
  readonly key: number
  readonly value: number
}

/** What a configuration's file and those it borrows from held at one moment. */
export interface Snapshot {
  /** Two of the same hold the same. */
  readonly digest: string
  load(): Loaded
}

/** Reads a configuration. Paths within it, and those of `${file:…}`, start from the current directory. */
export function loadConfig(file: string, env: Sources['env']): Loaded {
  return takeSnapshot(file, env).load()
}

/** Looks at the files without judging them. Never throws: what cannot be read is a problem of what was loaded. */
export function takeSnapshot(file: string, env: Sources['env']): Snapshot {
  const taken = new Map<string, Glance>()
  const look = (path: string) => taken.get(path) ?? glance(path)
  const own = glance(file)
  // More than are borrowed, where such words are in a comment: nobody gets to see what is in them.
  for (const [, path = ''] of own.text?.matchAll(/\$\{file:([^}]*)\}/g) ?? []) taken.set(path, look(path))
  const digest = createHash('sha256')
    .update(JSON.stringify([own, ...taken]))
    .digest('hex')
  const read = (path: string) => {
    const { text, code } = look(path)
    if (text === undefined) throw Object.assign(new Error(code), { code })
    return text
  }
  return {
    digest,
    load() {
      if (own.text === undefined) return unreadable(file, `cannot be read (${own.code})`)
      try {
        return readConfig(own.text, file, { env, read })
      } catch (error) {
        return unreadable(file, `is not to be understood (${messageOf(error)})`) // such as brackets in brackets, ten thousand deep
      }
    },
  }
}

interface Glance {
  readonly text?: string
  /** Why there is no text. */
  readonly code?: string
}

function glance(path: string): Glance {
  try {
    return { text: readText(path) }
  } catch (error) {
    return { code: error instanceof Error && 'code' in error ? String(error.code) : 'unreadable' }
  }
}

function unreadable(file: string, what: string): Loaded {
  const problem = { file, line: 1, column: 1, path: '', what: `the configuration ${what}` }
  return { problems: [{ ...problem, fix: 'name another with --config FILE' }], where: () => undefined }
}

/** The same, from text. */
export function readConfig(text: string, file: string, sources: Sources): Loaded {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, merge: false, prettyErrors: false, uniqueKeys: false })
  const places = new Map<string, Place>()
  const borrowed = new Set<string>()
  const problems: Problem[] = []

  const report = (offset: number, { path, what, fix }: Omit<Finding, 'at'>) => {
    const { line, col } = lines.linePos(offset)
    problems.push({ file, line: Math.max(line, 1), column: Math.max(col, 1), path, what, fix })
  }
  const reportAll = (findings: readonly Finding[]) => {
    const said = new Set(problems.map(({ path }) => path))
    for (const finding of findings) {
      const { path, at } = finding
      if (at === 'value' && said.has(path)) continue
      said.add(path)
      // What came from the environment or a file may be a secret, and is not even hinted at.
      const open = at === 'value' && borrowed.has(path) ? { ...finding, ...unsaid } : finding
      report(placeOf(places, path)[at], open)
    }
  }
  const where = (path: string) => {
    const place = places.get(path)
    return place && `${file}:${lines.linePos(place.key).line}`
  }

  // One slip of syntax makes the parser stumble over all that follows: the first is the one to mend.
  const [broken] = document.errors
  for (const { pos, message } of [...(broken ? [broken] : []), ...document.warnings]) {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is what people write
    report(pos[0], { path: '', what: `not YAML: ${message}`, fix: 'mend it there; within { } a ${NAME} needs quotes' })
  }
  if (!broken) {
    const value = read(document.contents, '', { places, borrowed, report, sources })
    reportAll(validate(ConfigFile, value))
    reportAll(contradictions(value))
    // The library's own judgement has the last word; what it alone refuses is still refused.
    if (problems.length === 0 && !Check(ConfigFile, value)) {
      report(0, { path: '', what: 'not a configuration', fix: 'compare it with the schema: stagedoor schema' })
    }
    if (problems.length === 0) return { config: fillIn(value as ConfigFile), problems, where }
  }
  problems.sort((a, b) => a.line - b.line || a.column - b.column)
  return { problems, where }
}

const unsaid = { what: 'not acceptable', fix: 'look at the variable or file that it comes from' } as const

/** A place for what is not there: that of the nearest thing around it. */
function placeOf(places: ReadonlyMap<string, Place>, path: string): Place {
  for (let at = path; at !== ''; at = at.slice(0, Math.max(0, at.lastIndexOf('.'), at.lastIndexOf('[')))) {
    const place = places.get(at)
    if (place) return place
  }
  return places.get('') ?? { key: 0, value: 0 }
}

interface Reading {
  readonly places: Map<string, Place>
  /** The paths whose values came from elsewhere. */
  readonly borrowed: Set<string>
  readonly report: (offset: number, finding: Omit<Finding, 'at'>) => void
  readonly sources: Sources
}

/** A YAML node as plain values. What YAML has beyond those (anchors, tags) is refused. */
function read(node: unknown, path: string, reading: Reading, key?: number): unknown {
  const value = (node as Node | null)?.range?.[0] ?? key ?? 0
  if (!reading.places.has(path)) reading.places.set(path, { key: key ?? value, value })
  if (isAlias(node)) {
    reading.report(value, { path, what: 'an alias', fix: 'write out what it stands for' })
    return undefined
  }
  if (isMap(node)) {
    const found: Record<string, unknown> = Object.create(null)
    for (const { key, value } of node.items) {
      const name = isScalar(key) ? String(key.value) : ''
      if (Object.hasOwn(found, name)) {
        // Found here and not by the parser, which compares each key with each.
        const offset = (key as Node | null)?.range?.[0] ?? 0
        reading.report(offset, { path: '', what: 'a key for the second time', fix: 'keep one of them' })
        continue
      }
      const inside = path === '' ? name : `${path}.${name}`
      found[name] = read(value, inside, reading, (key as Node | null)?.range?.[0])
    }
    return found
  }
  if (isSeq(node)) return node.items.map((item, i) => read(item, `${path}[${i}]`, reading))
  if (!isScalar(node)) return null
  if (typeof node.value !== 'string') return node.value
  const result = borrow(node.value, reading.sources)
  if ('what' in result) {
    reading.report(value, { path, ...result })
    return ''
  }
  if (result.borrowed) reading.borrowed.add(path)
  return /^\$\{[^}]*\}$/.test(node.value) ? plain(result.text) : result.text
}

/** Numbers and switches are text in the environment, and YAML quotes every reference within braces. */
function plain(text: string): string | number | boolean {
  if (/^\d{1,15}$/.test(text)) return Number(text)
  return text === 'true' ? true : text === 'false' ? false : text
}
