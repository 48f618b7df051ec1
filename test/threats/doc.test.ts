import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { webClients } from '../../src/protocol/web/clients.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const document = read('docs/threats.md')

/** The ids of a text, sorted; one that stands twice stays twice. */
function ids(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map(([, id = '']) => id).sort()
}

describe('docs/threats.md keeps up with the suite', () => {
  const suites = readdirSync(join(root, 'test/threats')).filter((name) => /^(?!doc).*\.test\.ts$/.test(name))

  test.each(suites)('test/threats/%s and its table have the same rows', (name) => {
    const section = document.split(/^## /m).find((text) => text.includes(`\`test/threats/${name}\``)) ?? ''
    const rows = ids(read(`test/threats/${name}`), /^ {4,6}id: '([A-Z]\d+|[a-m])',$/gm)
    expect(rows.length).toBeGreaterThan(7)
    expect(ids(section, /^\| ([A-Z]\d+|[a-m]) \|/gm)).toEqual(rows)
    expect(new Set(rows).size).toBe(rows.length)
  })

  test('every file it names is there', () => {
    const files = [...document.matchAll(/`((?:src|test)\/[\w./-]+)`/g)].map(([, path = '']) => path)
    expect(files.length).toBeGreaterThan(100)
    for (const path of files) expect(existsSync(join(root, path)), path).toBe(true)
  })

  test('every route of the code is named', () => {
    const code = ['auth', 'page', 'trust', 'status', 'http', 'players']
      .map((name) => read(`src/listen/${name}.ts`))
      .join('\n')
    const routes = [...code.matchAll(/['`](\/[\w.-]+(?:\/[\w.-]+)*)['`]/g)].map(([, path = '']) => path)
    expect(routes.length).toBeGreaterThan(15)
    for (const path of routes) expect(document, path).toContain(path)
    for (const { path } of webClients.values()) expect(document, path).toContain(`\`${path}\``)
  })
})
