import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'

/** What a process of ours writes when it logs this. */
function logged(about: string, how = 'info'): Record<string, unknown> {
  const module = new URL('../../src/cli/log.ts', import.meta.url)
  const script = `import { createLog } from '${module}'; createLog('info').${how}(${about}, 'said'); process.exit(0)`
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', `${script}`], { encoding: 'utf8' })
  return JSON.parse(stdout)
}

test('a secret is redacted by its name, at any depth somebody may put it', () => {
  const line = logged(
    `{ token: 'c4n4ry', request: { headers: { Authorization: 'c4n4ry', host: 'a' } }, list: [{ password: 'c4n4ry' }] }`,
  )
  expect(JSON.stringify(line)).not.toContain('c4n4ry')
  expect(line).toMatchObject({ token: '[redacted]', request: { headers: { host: 'a' } }, msg: 'said' })
})

test('what is no secret is logged as it is, errors with their message', () => {
  const line = logged(`{ operation: 'status', touches: { uri: ['a'] }, none: null, err: new Error('why') }`)
  expect(line).toMatchObject({ operation: 'status', touches: { uri: ['a'] }, none: null, err: { message: 'why' } })
})

test('a decision is a line like any other, written faster', () => {
  const record = `{ operation: 'status', touches: { uri: ['a\\n"b'] }, rule: null }`
  const { time: first, ...line } = logged(record, 'decision')
  const { time: second, ...slow } = logged(record)
  expect(line).toEqual({ ...slow, msg: 'decision' })
  expect([typeof first, typeof second]).toEqual(['number', 'number'])
})
