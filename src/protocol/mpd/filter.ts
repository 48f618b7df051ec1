import { Fault } from '../../call/fault.ts'

/**
 * A search expression as a tree.
 *
 * A term without an operator is a bare comparison: `(base "x")` inside an expression, a pair of words outside.
 */
export type Filter = Term | { readonly not: Filter } | { readonly and: readonly Filter[] }
export interface Term {
  readonly tag: string
  readonly operator?: string
  readonly value: string
}

const deepest = 16
const blanks = /[ \t]*/y
const word = /[A-Za-z_-]{1,64}/y
const operators = /==|!=|=~|!~|>=|!?(?:(?:contains|starts_with)(?:_c[is])?|eq_c[is])(?=[ \t])/iy
const quoted = /"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'/suy
const digits = /\d{1,3}/y
/** Compared with nothing but their value. */
const bare = new Set(['base', 'modified-since', 'added-since'])

/** @throws Fault `bad-arguments` for what is no expression, or nests too deep */
export function parseFilter(source: string): Filter {
  let at = 0

  function take(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = at
    const found = pattern.exec(source) ?? undefined
    if (found) {
      at = pattern.lastIndex
      blanks.lastIndex = at
      at += blanks.exec(source)?.[0].length ?? 0
    }
    return found
  }
  function expect(pattern: RegExp, what: string): RegExpExecArray {
    const found = take(pattern)
    if (!found) throw new Fault('bad-arguments', `${what} expected in the filter expression`)
    return found
  }

  function expression(depth: number): Filter {
    if (depth > deepest) throw new Fault('bad-arguments', 'the filter expression nests too deep')
    expect(/\(/y, "'('")
    const filter = source[at] === '(' ? conjunction(depth) : take(/!/y) ? { not: expression(depth + 1) } : term()
    expect(/\)/y, "')'")
    return filter
  }
  function conjunction(depth: number): Filter {
    const first = expression(depth + 1)
    const rest: Filter[] = []
    while (source[at] !== ')') {
      expect(/AND(?=[ \t(])/y, "'AND'")
      rest.push(expression(depth + 1))
    }
    return rest.length === 0 ? first : { and: [first, ...rest] }
  }
  function term(): Term {
    const tag = expect(word, 'Tag type')[0]
    if (bare.has(tag.toLowerCase())) return { tag, value: string() }
    const operator = expect(operators, 'Operator')[0].toLowerCase()
    return { tag, operator, value: operator === '>=' ? expect(digits, 'Number')[0] : string() }
  }
  function string(): string {
    const found = expect(quoted, 'Quoted string')
    return (found[1] ?? found[2] ?? '').replace(/\\(.)/gsu, '$1')
  }

  const filter = expression(1)
  if (at < source.length) throw new Fault('bad-arguments', 'Unparsed garbage after expression')
  return filter
}

export function printFilter(filter: Filter): string {
  if ('and' in filter) return `(${filter.and.map(printFilter).join(' AND ')})`
  if ('not' in filter) return `(!${printFilter(filter.not)})`
  const { tag, operator, value } = filter
  if (operator === '>=') return `(${tag} >= ${value})`
  return `(${[tag, operator, `"${value.replace(/[\\"]/g, '\\$&')}"`].filter((part) => part !== undefined).join(' ')})`
}

/** Tags whose value is an address or a path; players compare their names without regard to case. */
const addresses = new Set(['file', 'filename', 'base', 'uri'])

export function urisOf(filter: Filter): readonly string[] {
  if ('and' in filter) return filter.and.flatMap(urisOf)
  if ('not' in filter) return urisOf(filter.not)
  return addresses.has(filter.tag.toLowerCase()) ? [filter.value] : []
}
