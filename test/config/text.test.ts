// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references as people write them
import { execFileSync } from 'node:child_process'
import { mkdirSync, renameSync, rmSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { takeSnapshot } from '../../src/config/load.ts'
import { readText } from '../../src/config/text.ts'
import { createDir } from '../identity/house.ts'

const good = `players: { home: { kind: mpd, mpd: "127.0.0.1:6600" } }
roles: { owner: { grants: [{ allow: ["*"] }] } }
`
let dir = ''
let file = ''
beforeEach(() => {
  dir = createDir()
  file = join(dir, 'stagedoor.yaml')
})
const take = () => takeSnapshot(file, {})

describe('a file that is no configuration', () => {
  const bomb = `a: &a [x, x]\n${Array.from({ length: 40 }, (_, i) => `b${i}: &b${i} [*${i ? `b${i - 1}` : 'a'}, *${i ? `b${i - 1}` : 'a'}]`).join('\n')}`
  test.each<[string, () => void, string]>([
    ['is not there', () => {}, 'cannot be read (ENOENT)'],
    ['is a directory', () => mkdirSync(file), 'cannot be read (not a file)'],
    ['is a pipe that nobody writes to', () => execFileSync('mkfifo', [file]), 'cannot be read (not a file)'],
    ['is a device', () => symlinkSync('/dev/zero', file), 'cannot be read (not a file)'],
    ['is a link to nothing', () => symlinkSync(join(dir, 'gone'), file), 'cannot be read (ENOENT)'],
    [
      'is not UTF-8',
      () => writeFileSync(file, Buffer.concat([Buffer.from(`${good}# M`), Buffer.of(0xfc)])),
      'cannot be read (not UTF-8)',
    ],
    [
      'has 100 MB',
      () => {
        writeFileSync(file, good)
        truncateSync(file, 100_000_000)
      },
      'cannot be read (more than 128 KiB)',
    ],
    ['is empty', () => writeFileSync(file, ''), 'not a group of keys'],
    ['is cut in the middle', () => writeFileSync(file, good.slice(0, 80)), 'not YAML'],
    ['unfolds without end', () => writeFileSync(file, good + bomb), 'an alias'],
    ['is deeper than anybody reads', () => writeFileSync(file, '['.repeat(60_000)), 'not YAML'],
    ['is of zeros', () => writeFileSync(file, Buffer.alloc(100)), 'no'],
    ['says everything twice', () => writeFileSync(file, good + good), 'a key for the second time'],
  ])('%s: no half of it', (_, make, what) => {
    make()
    const { config, problems } = take().load()
    expect(config).toBeUndefined()
    expect(problems.map((problem) => problem.what).join('\n')).toContain(what)
    expect(problems[0]).toMatchObject({ file, line: expect.any(Number), fix: expect.stringMatching(/./) })
  })

  test('is refused with no more problems than anybody reads, however many there are', () => {
    const many = `roles: { a: { grants: [{ allow: [${'x,'.repeat(60_000)}] }] } }`
    writeFileSync(file, many)
    expect(take().load().problems).toHaveLength(1_000)
    writeFileSync(file, Array.from({ length: 12_000 }, (_, i) => `k${i}: 1\n`).join(''))
    expect(take().load().problems).toHaveLength(1_000)
  })
})

test('a mark of byte order is no part of the text', () => {
  writeFileSync(file, `\ufeff${good}`)
  expect(take().load().problems).toEqual([])
})

describe('a snapshot', () => {
  test('changes with what the file holds, and not with its time', () => {
    writeFileSync(file, good)
    const before = take().digest
    utimesSync(file, 1, 1)
    expect(take().digest).toBe(before)
    writeFileSync(file, `${good}#`)
    expect(take().digest).not.toBe(before)
    rmSync(file)
    expect(take().digest).not.toBe(before)
  })

  test('is of one moment: what is written later is not in it', () => {
    writeFileSync(join(dir, 'level'), 'warn\n')
    writeFileSync(file, `${good}log: { level: "\${file:${dir}/level}" }\n`)
    const snapshot = take()
    writeFileSync(join(dir, 'level'), 'loud')
    writeFileSync(file, '')
    expect(snapshot.load().config?.log.level).toBe('warn')
  })

  test('sees a borrowed file change, come and go', () => {
    writeFileSync(file, `${good}log: { level: "\${file:${dir}/level}" }\n`)
    const digests = [take().digest]
    expect(take().load().problems).toMatchObject([{ path: 'log.level', what: expect.stringContaining('ENOENT') }])
    for (const level of ['warn', 'error']) {
      writeFileSync(join(dir, 'level'), level)
      digests.push(take().digest)
      expect(take().load().config?.log.level).toBe(level)
    }
    rmSync(join(dir, 'level'))
    expect(take().digest).toBe(digests[0])
    expect(new Set(digests).size).toBe(3)
  })

  test('does not wait for a borrowed pipe, nor read a borrowed device to its end', () => {
    execFileSync('mkfifo', [join(dir, 'pipe')])
    writeFileSync(file, `${good}log: { level: "\${file:${dir}/pipe}" }\nzone: "\${file:/dev/zero}"\n`)
    expect(take().load().problems).toHaveLength(2)
  })

  test('follows links, as Kubernetes swaps them', () => {
    for (const [name, level] of Object.entries({ '..1': 'warn', '..2': 'error' })) {
      mkdirSync(join(dir, name))
      writeFileSync(join(dir, name, 'stagedoor.yaml'), `${good}log: { level: ${level} }\n`)
    }
    symlinkSync('..1', join(dir, '..data'))
    symlinkSync('..data/stagedoor.yaml', file)
    const before = take()
    symlinkSync('..2', join(dir, '..tmp'))
    renameSync(join(dir, '..tmp'), join(dir, '..data'))
    const after = take()
    expect([before, after].map((snapshot) => snapshot.load().config?.log.level)).toEqual(['warn', 'error'])
    expect(after.digest).not.toBe(before.digest)
  })
})

test('a text is read whole or not at all', () => {
  writeFileSync(file, 'ä'.repeat(64 * 1024))
  expect(readText(file)).toHaveLength(64 * 1024)
  writeFileSync(file, `${'ä'.repeat(64 * 1024)}x`)
  expect(() => readText(file)).toThrow('more than 128 KiB')
})
