import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const launcher = fileURLToPath(new URL('../bin/stagedoor.js', import.meta.url))

test('the command has threads to find players in, while others wait for names that nobody answers for', () => {
  const asks = 'process.on("exit", () => console.error("threads", process.env.UV_THREADPOOL_SIZE))'
  const words = ['--import', `data:text/javascript,${encodeURIComponent(asks)}`, launcher, 'schema']
  const run = (env: NodeJS.ProcessEnv) => spawnSync(process.execPath, words, { env, encoding: 'utf8' }).stderr
  const { UV_THREADPOOL_SIZE: _, ...env } = process.env
  expect(run(env)).toContain('threads 8')
  expect(run({ ...env, UV_THREADPOOL_SIZE: '16' })).toContain('threads 16')
})
