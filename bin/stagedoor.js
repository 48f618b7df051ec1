#!/usr/bin/env node
// Finds the right Node and the right code: in a clone the sources under the pinned Node 26, in a package `dist`.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

// Half of these threads may wait for names to be found on the network: players must be found while names of strangers are not.
process.env.UV_THREADPOOL_SIZE ??= '8'

const here = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url))
const source = here('src/cli/main.ts')
const pinned = here('node_modules/node/bin/node')
const major = Number(process.versions.node.split('.')[0])

if (existsSync(source) && !existsSync(pinned)) await import('../scripts/prepare.js')

if (major >= 26) {
  const { main } = await import(existsSync(source) ? '../src/cli/main.ts' : '../dist/cli/main.js')
  process.exitCode = await main(process.argv.slice(2))
} else if (existsSync(pinned)) {
  const child = spawn(pinned, process.argv.slice(1), { stdio: 'inherit' })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? (signal ? 1 : 0)
  })
} else {
  console.error(`stagedoor needs Node 26 or later; this is ${process.version}`)
  process.exitCode = 2
}
