import { fileURLToPath } from 'node:url'
import { describe, expect, inject, test } from 'vitest'
import { run } from './tools.ts'

const script = fileURLToPath(new URL('../../bench/run.ts', import.meta.url))

describe.skipIf(!inject('real').available)('the benchmark', () => {
  test('compares the gateway with Mopidy direct and with nginx, in one run', async () => {
    const env = { ...process.env, BENCH_ROUNDS: '1', BENCH_MS: '400', BENCH_CONNECTIONS: '4' }
    const { status, stdout, stderr } = await run(process.execPath, [script], { timeout: 60_000, env })
    expect(stderr).toBe('')
    expect(status).toBe(0)
    for (const name of ['Mopidy direct, no TLS', 'Stagedoor', 'nginx, TLS, checks nothing']) {
      expect(stdout).toMatch(new RegExp(`\\| ${name} +\\| +\\d+ \\| +[\\d.]+ \\| +[\\d.]+ \\| +\\d+ \\|`))
    }
  })
})
