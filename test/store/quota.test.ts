import { spawn } from 'node:child_process'
import { chmodSync, existsSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Fault } from '../../src/call/fault.ts'
import type { Draw } from '../../src/gate/quota.ts'
import { openQuotas } from '../../src/store/quota.ts'
import { createDir } from '../identity/house.ts'

const hour = 3_600_000
const draw = (at: number, more: Partial<Draw> = {}): Draw => {
  return { person: 'u1', capability: 'playback.skip', at, weight: 1, until: at + hour, ...more }
}

function open(dir: string, now = 0, busyMs = 50) {
  const problems: (string | undefined)[] = []
  const clock = { now }
  const store = openQuotas({ dir, now: () => clock.now, onProblem: (fault) => problems.push(fault?.message), busyMs })
  onTestFinished(() => store.close())
  return { store, problems, clock }
}

/** Another process that draws until it is killed; resolves to how many it was told were kept. */
async function drawAndDie(dir: string, count: number): Promise<number> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'drawer.ts'), dir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let kept = 0
  for await (const chunk of child.stdout) {
    kept += String(chunk).split('\n').length - 1
    if (kept >= count) child.kill('SIGKILL')
  }
  return kept
}

describe('what was drawn from quotas', () => {
  test('is there after a restart, each person by itself', () => {
    const dir = createDir()
    const first = open(dir).store
    const [a, b] = first.write([draw(1), draw(2, { person: 'u2', weight: 7 })], [])
    first.close()
    const { store } = open(dir)
    expect(store.read('u1')).toEqual([{ id: a, ...draw(1) }])
    expect(store.read('u2')).toEqual([{ id: b, ...draw(2, { person: 'u2', weight: 7 }) }])
    expect(store.read('u3')).toEqual([])
  })

  test('is written with what is forgotten, or neither', () => {
    const { store } = open(createDir())
    const [id = 0] = store.write([draw(1)], [])
    expect(() => store.write([draw(2), { ...draw(3), weight: Number.NaN }], [id])).toThrow(Fault)
    expect(store.read('u1').map(({ at }) => at)).toEqual([1])
    store.write([draw(4)], [id])
    expect(store.read('u1').map(({ at }) => at)).toEqual([4])
  })

  test('goes at the start when nothing counts it any more', () => {
    const dir = createDir()
    const first = open(dir).store
    first.write([draw(0), draw(10)], [])
    first.close()
    expect(
      open(dir, hour)
        .store.read('u1')
        .map(({ at }) => at),
    ).toEqual([10])
  })

  test('survives kill -9: whatever was answered was written', async () => {
    const dir = createDir()
    const kept = await drawAndDie(dir, 20)
    expect(kept).toBeGreaterThanOrEqual(20)
    expect(open(dir).store.read('u1').length).toBeGreaterThanOrEqual(kept)
  }, 20_000)

  test('is read by its owner only', () => {
    const dir = createDir()
    open(dir)
    expect(statSync(join(dir, 'quota.sqlite')).mode & 0o777).toBe(0o600)
  })
})

function shared(file: string): void {
  writeFileSync(file, '')
  chmodSync(file, 0o644)
}

describe('a file that is no use', () => {
  test.each([
    ['is no database', (file: string) => writeFileSync(file, 'x'.repeat(4096), { mode: 0o600 }), /not a database/],
    ['others may open', shared, /chmod 600/],
  ])('%s: it is told, every use is refused, and it is taken up when it is well', (_, spoil, words) => {
    const dir = createDir()
    const file = join(dir, 'quota.sqlite')
    spoil(file)
    const { store, problems, clock } = open(dir)
    expect(problems).toEqual([expect.stringMatching(words)])
    expect(() => store.read('u1')).toThrow(Fault)
    expect(() => store.write([draw(1)], [])).toThrow(words)
    expect(problems).toHaveLength(1)
    rmSync(file)
    // It is read whole each time that it is tried, so not each time that somebody asks.
    expect(() => store.write([draw(1)], [])).toThrow(words)
    clock.now = 1_000
    expect(store.write([draw(1)], [])).toHaveLength(1)
    expect(problems).toEqual([expect.any(String), undefined])
    expect(existsSync(file)).toBe(true)
  })

  test('is locked by another process: refused for as long, and nothing is lost', () => {
    const dir = createDir()
    const { store } = open(dir)
    store.write([draw(1)], [])
    const other = new DatabaseSync(join(dir, 'quota.sqlite'))
    onTestFinished(() => other.close())
    other.exec('BEGIN IMMEDIATE')
    expect(() => store.write([draw(2)], [])).toThrow(/locked/)
    other.exec('ROLLBACK')
    store.write([draw(3)], [])
    expect(store.read('u1').map(({ at }) => at)).toEqual([1, 3])
  })

  test('is locked, and somebody asks without end: nobody else waits for it more than once, and it is told once', () => {
    const dir = createDir()
    const { store, problems } = open(dir, 0, 500)
    const other = new DatabaseSync(join(dir, 'quota.sqlite'))
    onTestFinished(() => other.close())
    other.exec('BEGIN IMMEDIATE')
    // Waiting each time it would take minutes.
    for (let i = 0; i < 500; i++) {
      expect(() => store.write([draw(i)], [])).toThrow(/locked/)
      expect(store.read('u1')).toEqual([])
    }
    expect(problems).toEqual([expect.stringMatching(/locked/)])
    other.exec('ROLLBACK')
    store.write([draw(3)], [])
    expect(problems).toHaveLength(2)
  })
})
