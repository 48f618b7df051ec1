import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { capabilities } from '../src/call/capability.ts'
import { faultCodes } from '../src/call/fault.ts'
import { constraints } from '../src/policy/constraint.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const read = (path: string) => readFileSync(join(root, path), 'utf8')

describe('the documents keep up with the code', () => {
  test.each(faultCodes)('docs/errors.md explains %s', (code) => {
    expect(read('docs/errors.md')).toContain(`| \`${code}\` |`)
  })

  test.each(Object.entries(capabilities))('docs/policy.md explains %s', (name, text) => {
    expect(read('docs/policy.md')).toContain(`| \`${name}\` | ${text} |`)
  })

  test.each(Object.keys(constraints))('docs/policy.md explains the condition %s', (name) => {
    expect(read('docs/policy.md')).toContain(`**\`${name}:`)
  })

  test.each([
    'README.md',
    'SECURITY.md',
    'docs/architecture.md',
    'docs/threats.md',
    'docs/policy.md',
    'docs/players.md',
    'docs/devices.md',
    'docs/docker.md',
    'docs/configuration.md',
  ])('every link of %s leads somewhere', (path) => {
    for (const [, target = ''] of read(path).matchAll(/\]\((?!https?:)([^)#]+)/g)) {
      expect(existsSync(join(root, dirname(path), target)), `${path} links to ${target}`).toBe(true)
    }
  })
})
