import { execFileSync, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))
const biome = join(root, 'node_modules/.bin/biome')
const folders = readdirSync(join(root, 'src'), { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && entry.name !== 'cli')
  .map((entry) => entry.name)

/** One import per module that its row in docs/architecture.md forbids. */
const forbidden: Readonly<Record<string, readonly string[]>> = {
  call: ['../policy/decide.ts', 'node:fs', 'fastify'],
  protocol: ['../policy/decide.ts', 'node:net', 'ws', 'fastify'],
  policy: ['../protocol/mpd/catalog.ts', 'node:fs'],
  gate: ['../listen/http.ts', '../upstream/mpd.ts', 'pino'],
  identity: ['../policy/decide.ts', 'fastify', 'node:fs'],
  store: ['../policy/decide.ts', '../listen/http.ts'],
  upstream: ['../gate/gate.ts', '../listen/http.ts', '../policy/policy.ts'],
  govern: ['../policy/decide.ts', '../listen/http.ts', '../protocol/mpd/catalog.ts', 'node:fs'],
  notify: ['../policy/decide.ts', '../listen/http.ts', '../config/notify.ts'],
  listen: ['../policy/decide.ts', '../store/database.ts'],
  config: ['../listen/http.ts', '../gate/gate.ts'],
  demo: ['../call/fault.ts', '../upstream/mpd.ts'],
}

/** And one that it allows, so that a rule which refuses everything is noticed too. */
const allowed: Readonly<Record<string, string>> = {
  call: 'typebox',
  protocol: '../../call/fault.ts',
  policy: '../call/fault.ts',
  gate: '../policy/decide.ts',
  identity: 'node:crypto',
  store: 'node:sqlite',
  upstream: '../policy/decide.ts',
  govern: '../gate/gate.ts',
  notify: 'undici',
  listen: '../gate/gate.ts',
  config: 'yaml',
  demo: 'ws',
}

/** Plants a file with one import and says whether the linter objects. */
function lint(folder: string, specifier: string): string {
  const where = folder === 'protocol' ? 'src/protocol/mpd' : `src/${folder}`
  const file = join(root, where, `planted-${process.pid}.ts`)
  const from = folder === 'protocol' ? specifier.replace(/^(\.\.\/)+/, '../../') : specifier
  writeFileSync(file, `import '${from}'\n`)
  try {
    const { stdout, stderr } = spawnSync(biome, ['lint', '--only=style/noRestrictedImports', file], {
      cwd: root,
      encoding: 'utf8',
    })
    return stdout + stderr
  } finally {
    rmSync(file)
  }
}

describe('the linter holds the boundaries', () => {
  test('every folder under src/ has a row and a planted violation', () => {
    const { overrides } = JSON.parse(readFileSync(join(root, 'biome.json'), 'utf8'))
    const covered = overrides.flatMap((o: { includes: string[] }) => o.includes)
    for (const folder of folders) {
      expect(covered, `biome.json has no override for src/${folder}`).toContain(`src/${folder}/**`)
      expect(forbidden[folder], `no planted violation for src/${folder}`).toBeDefined()
    }
  })

  test.each(folders.flatMap((folder) => (forbidden[folder] ?? []).map((specifier) => [folder, specifier] as const)))(
    'src/%s importing %s is an error',
    (folder, specifier) => {
      expect(lint(folder, specifier)).toContain('noRestrictedImports')
    },
  )

  test.each(folders.map((folder) => [folder, allowed[folder] ?? '']))('src/%s may import %s', (folder, specifier) => {
    expect(specifier).not.toBe('')
    expect(lint(folder, specifier)).not.toContain('noRestrictedImports')
  })

  test('and the tree as it is has none', () => {
    execFileSync(biome, ['lint', '--only=style/noRestrictedImports', '--only=suspicious/noImportCycles', 'src'], {
      cwd: root,
      stdio: 'pipe',
    })
  })
})
