import { readFileSync } from 'node:fs'

const read = (path: string) =>
  readFileSync(new URL(`../../corpus/${path}`, import.meta.url), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))

/** One row of a player's API as it is known: its name, what it takes, its parameters (`?` for those that may be left out). */
export interface KnownRow {
  readonly name: string
  readonly takes: string
  readonly params: readonly string[]
}

export function knownRows(path: string): readonly KnownRow[] {
  return read(path).map((line) => {
    const [name = '', takes = '', params = ''] = line.split('|').map((part) => part.trim())
    return { name, takes, params: params.split(' ').filter((param) => param !== '') }
  })
}

export function knownLines(path: string): readonly string[] {
  return read(path)
}
