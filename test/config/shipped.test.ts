import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { isShipped } from '../../src/config/shipped.ts'

const shipped = fileURLToPath(new URL('../../config/stagedoor.yaml', import.meta.url))

test('config/stagedoor.yaml is the shipped one: when it is changed here, so must be its digest in src/config/shipped.ts', () => {
  expect(isShipped(shipped)).toBe(true)
})

test('one that somebody edited is not, wherever it lies', () => {
  const dir = mkdtempSync(join(tmpdir(), 'stagedoor-shipped-'))
  onTestFinished(() => rmSync(dir, { recursive: true }))
  const file = join(dir, 'stagedoor.yaml')
  writeFileSync(file, readFileSync(shipped, 'utf8').replace('maxVolume: 40', 'maxVolume: 30'))
  expect(isShipped(file)).toBe(false)
})
