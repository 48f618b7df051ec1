import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'

/** Mopidy's web clients as they are on PyPI: the name there and the version that is tested. */
const extensions = new Map([
  ['Mopidy-Iris', '3.70.0'],
  ['Mopidy-Mobile', '1.11.0'],
  ['Mopidy-MusicBox-Webclient', '3.1.0'],
  ['Mopidy-Party', '1.3.0'],
])

const wanted = [...extensions].map(([name, version]) => `${name}==${version}`)
const cache = join(import.meta.dirname, '../../node_modules/.cache/stagedoor-real')
const folder = join(cache, `extensions-${wanted.join('-').replace(/[^\w.-]/g, '')}`)

/** Where they are, for Mopidy's PYTHONPATH; undefined until they are installed. */
export function extensionsFolder(): string | undefined {
  return existsSync(folder) ? folder : undefined
}

/** How somebody installs them by hand. */
export const extensionsCommand = `/usr/bin/python3 -m pip install --no-deps --target ${folder} ${wanted.join(' ')}`

/** Installs them once, beside what the machine has. @throws Error when PyPI cannot be reached */
export function installExtensions(): void {
  if (extensionsFolder()) return
  const draft = `${folder}.${process.pid}`
  mkdirSync(cache, { recursive: true })
  try {
    const quietly = ['--quiet', '--disable-pip-version-check', '--no-input', '--retries', '2', '--timeout', '30']
    const args = ['-m', 'pip', 'install', ...quietly, '--no-deps', '--no-compile', '--target', draft, ...wanted]
    const options = {
      env: { ...process.env, PIP_ROOT_USER_ACTION: 'ignore' },
      stdio: 'pipe',
      timeout: 180_000,
    } as const
    execFileSync('/usr/bin/python3', args, options)
    renameSync(draft, folder)
  } finally {
    rmSync(draft, { recursive: true, force: true })
  }
}
