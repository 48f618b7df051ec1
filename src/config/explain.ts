/** Something wrong with a configuration, where it stands and what would put it right. Holds no secrets. */
export interface Problem {
  readonly file: string
  /** From 1, as editors count. */
  readonly line: number
  readonly column: number
  /** Such as `roles.kid.grants[1].when`; empty for the file as a whole. */
  readonly path: string
  readonly what: string
  readonly fix: string
}

export function explain({ file, line, column, path, what, fix }: Problem): string {
  return `${file}:${line}:${column}: ${path === '' ? '' : `${path}: `}${what}; ${fix}`
}

/** `a, b or c` */
export function oneOf(names: readonly string[]): string {
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`
}

/** A fix for a word nobody knows: the nearest one that is known, else all of them. */
export function suggest(word: string, known: readonly string[]): string {
  const near = known
    .map((name) => ({ name, steps: distance(word.toLowerCase(), name.toLowerCase()) }))
    .sort((a, b) => a.steps - b.steps)[0]
  const tolerated = Math.min(Math.max(2, Math.floor(word.length / 3)), word.length - 1)
  if (near && near.steps <= tolerated) return `did you mean "${near.name}"?`
  return known.length === 0 ? 'remove it' : `here may stand ${oneOf(known)}`
}

/** Letters to insert, remove or change to get from one word to the other. */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, i) => i)
  for (const [i, letter] of [...from.slice(0, 64)].entries()) {
    const next = [i + 1]
    for (let j = 1; j <= to.length; j++) {
      const change = (row[j - 1] as number) + (letter === to[j - 1] ? 0 : 1)
      next.push(Math.min(change, (row[j] as number) + 1, (next[j - 1] as number) + 1))
    }
    row = next
  }
  return row.at(-1) as number
}
