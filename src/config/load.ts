import { readFileSync } from 'node:fs'
import { Check } from 'typebox/value'
import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml'
import type { Problem } from './explain.ts'
import { contradictions } from './rules.ts'
import { type Config, ConfigFile, fillIn } from './schema.ts'
import { borrow, type Sources } from './secrets.ts'
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

/** Reads a configuration. Paths within it, and those of `${file:…}`, start from the current directory. */
export function loadConfig(file: string, env: Sources['env']): Loaded {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'
    const what = `the configuration cannot be read (${code})`
    const problem = { file, line: 1, column: 1, path: '', what, fix: 'name another with --config FILE' }
    return { problems: [problem], where: () => undefined }
  }
  return readConfig(text, file, { env, read: (path) => readFileSync(path, 'utf8') })
}

/** The same, from text. */
export function readConfig(text: string, file: string, sources: Sources): Loaded {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, merge: false, prettyErrors: false })
  const places = new Map<string, Place>()
  const borrowed = new Set<string>()
  const problems: Problem[] = []

  const report = (offset: number, { path, what, fix }: Omit<Finding, 'at'>) => {
    const { line, col } = lines.linePos(offset)
    problems.push({ file, line: Math.max(line, 1), column: Math.max(col, 1), path, what, fix })
  }
  const reportAll = (findings: readonly Finding[]) => {
    for (const finding of findings) {
      const { path, at } = finding
      if (at === 'value' && problems.some((problem) => problem.path === path)) continue
      // What came from the environment or a file may be a secret, and is not even hinted at.
      const said = at === 'value' && borrowed.has(path) ? { ...finding, ...unsaid } : finding
      report(placeOf(places, path)[at], said)
    }
  }
  const where = (path: string) => {
    const place = places.get(path)
    return place && `${file}:${lines.linePos(place.key).line}`
  }

  const repeated = document.errors.filter(({ code }) => code === 'DUPLICATE_KEY')
  // One slip of syntax makes the parser stumble over all that follows: the first is the one to mend.
  const broken = document.errors.find(({ code }) => code !== 'DUPLICATE_KEY')
  for (const { pos } of repeated)
    report(pos[0], { path: '', what: 'a key for the second time', fix: 'keep one of them' })
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
      if (Object.hasOwn(found, name)) continue // reported as a key for the second time
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
