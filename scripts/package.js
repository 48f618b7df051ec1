// Packs the project, looks at what would be published, installs it in an empty directory and runs it.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const npm = (args, cwd) => execFileSync('npm', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
const fail = (why) => {
  console.error(`package: ${why}`)
  process.exit(1)
}

const place = mkdtempSync(join(tmpdir(), 'stagedoor-package-'))
try {
  const [{ files, filename }] = JSON.parse(
    npm(['pack', '--json', '--ignore-scripts', '--pack-destination', place], root),
  )
  const names = files.map(({ path }) => path)
  const expected = [
    'package.json',
    'README.md',
    'LICENSE',
    'bin/stagedoor.js',
    'dist/cli/main.js',
    'config/stagedoor.yaml',
  ]
  for (const name of expected) if (!names.includes(name)) fail(`${name} is missing`)
  const stray = names.filter((name) =>
    /^(src|test|bench|data|certs|scripts|node_modules)\/|\.(key|crt|sqlite|env)/.test(name),
  )
  if (stray.length > 0) fail(`should not be published: ${stray.join(', ')}`)

  writeFileSync(join(place, 'package.json'), '{"private":true}')
  npm(['install', '--omit=dev', '--no-audit', '--no-fund', '--loglevel=error', `./${filename}`], place)
  const bin = join(place, 'node_modules/stagedoor/bin/stagedoor.js')
  const config = join(place, 'node_modules/stagedoor/config/stagedoor.yaml')
  const said = execFileSync(process.execPath, [bin, 'check', '--config', config], { cwd: place, encoding: 'utf8' })
  const runtime = JSON.parse(npm(['ls', '--all', '--json', '--omit=dev'], place))
  const count = countPackages(runtime)
  console.log(`${filename}: ${names.length} files, ${count} runtime packages; ${said.trim()}`)
} finally {
  rmSync(place, { recursive: true, force: true })
}

function countPackages(tree, seen = new Set()) {
  for (const [name, node] of Object.entries(tree.dependencies ?? {})) {
    seen.add(`${name}@${node.version}`)
    countPackages(node, seen)
  }
  return seen.size
}
