import { statSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync, StatementSync } from 'node:sqlite'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { AuditRecord } from '../../src/gate/audit.ts'
import { type AuditStore, openAudit } from '../../src/store/audit.ts'
import { createDir } from '../identity/house.ts'

const day = 86_400_000
const record = (more: Partial<AuditRecord> = {}): AuditRecord => ({
  at: Date.UTC(2026, 0, 1),
  request: 'r1',
  account: 'a1',
  name: 'Eva',
  session: 's1',
  from: '10.0.0.1',
  door: 'mpd',
  player: 'home',
  operation: 'setvol',
  capability: 'volume.set',
  touches: { volume: [61] },
  outcome: 'denied',
  rule: 'roles.guest.grants[1].when.maxVolume',
  reason: 'constraint',
  says: 'not allowed: maxVolume 40',
  ...more,
})

function createAudit(more: Partial<Parameters<typeof openAudit>[0]> = {}) {
  const dir = more.dir ?? createDir()
  const clock = { now: Date.UTC(2026, 0, 1) }
  const problems: unknown[] = []
  const audit: AuditStore = openAudit({
    dir,
    now: () => clock.now,
    days: 90,
    megabytes: 200,
    flushMs: 5,
    onProblem: (problem) => problems.push(problem),
    ...more,
  })
  const other = new DatabaseSync(join(dir, 'audit.sqlite'))
  onTestFinished(() => {
    other.close()
    audit.close()
  })
  const count = (table = 'decision') => Number(other.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.n)
  return { audit, dir, clock, problems, other, count }
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 10))
}

describe('the audit trail', () => {
  it('P7 · keeps each record whole, in a file of its own for its owner alone', async () => {
    const { audit, dir, other, count } = createAudit()
    audit.write(record())
    audit.write(
      record({ account: null, name: null, session: null, outcome: 'allowed', rule: null, reason: null, touches: {} }),
    )
    audit.writeSignIn({ at: record().at, kind: 'login', account: null, from: '10.0.0.2', outcome: 'failed' })
    expect(count(), 'off the hot path').toBe(0)
    await until(() => count() === 2 && count('sign_in') === 1)
    expect({ ...other.prepare('SELECT * FROM decision ORDER BY id').get() }).toEqual({
      id: 1,
      ...Object.fromEntries(Object.entries(record()).filter(([name]) => name !== 'from')),
      address: '10.0.0.1',
      touches: '{"volume":[61]}',
    })
    expect({ ...other.prepare('SELECT * FROM sign_in').get() }).toEqual({
      id: 1,
      at: record().at,
      kind: 'login',
      account: null,
      address: '10.0.0.2',
      outcome: 'failed',
    })
    expect(statSync(join(dir, 'audit.sqlite')).mode & 0o777).toBe(0o600)
  })

  it('shows each record to the log as it comes', () => {
    const seen: unknown[] = []
    const { audit } = createAudit({ tee: (each) => seen.push(each) })
    audit.write(record())
    expect(seen).toEqual([record()])
  })

  it('writes what waits when it is closed', () => {
    const { audit, count } = createAudit({ flushMs: 1_000_000 })
    for (let i = 0; i < 1000; i++) audit.write(record({ request: `r${i}` }))
    audit.close()
    expect(count()).toBe(1000)
  })

  it('writes a thousand records in slices, with others in between', async () => {
    const { audit, count } = createAudit()
    const seen = new Set<number>()
    for (let i = 0; i < 1000; i++) audit.write(record())
    while (count() < 1000) {
      seen.add(count())
      await new Promise(setImmediate)
    }
    expect(seen.size).toBeGreaterThan(1)
  })

  it('P5 · what is in a record stays in its column', async () => {
    const { audit, other, count } = createAudit()
    const evil = `'); DROP TABLE decision; --\r\n\u2028\x1b[31m"`
    audit.write(record({ name: evil, operation: evil, touches: { uri: [evil] } }))
    await until(() => count() === 1)
    const row = other.prepare('SELECT * FROM decision').get()
    expect([row?.name, row?.operation, JSON.parse(String(row?.touches)).uri[0]]).toEqual([evil, evil, evil])
  })
})

describe('P4 · a disk that does not take it', () => {
  it('neither throws nor grows: what does not fit in the queue is counted, alarmed once, and over again', async () => {
    const { audit, problems, other, count } = createAudit({ capacity: 100 })
    other.exec('BEGIN IMMEDIATE')
    for (let i = 0; i < 150; i++) expect(() => audit.write(record())).not.toThrow()
    expect(audit.dropped).toBe(50)
    expect(problems).toEqual([{ dropped: 1 }])
    other.exec('ROLLBACK')
    await until(() => count() === 100)
    await until(() => problems.length === 2)
    expect(problems[1]).toBeUndefined()
    audit.write(record())
    await until(() => count() === 101)
    expect(audit.dropped).toBe(50)
  })

  it('a full disk is a problem and not an exception, and nothing that waited is lost', async () => {
    const dir = createDir()
    const { audit, problems, count } = createAudit({ dir })
    audit.write(record())
    await until(() => count() === 1)
    const full = new Error('database or disk is full')
    Object.assign(full, { errcode: 13 })
    const { run } = StatementSync.prototype
    StatementSync.prototype.run = function (this: StatementSync, ...values: unknown[]) {
      if (this.sourceSQL.startsWith('INSERT')) throw full
      return Reflect.apply(run, this, values)
    }
    try {
      for (let i = 0; i < 10; i++) audit.write(record())
      await until(() => problems.length === 1)
    } finally {
      StatementSync.prototype.run = run
    }
    expect(problems[0]).toMatchObject({
      dropped: 0,
      fault: { code: 'internal', message: expect.stringMatching(/disk is full/) },
    })
    await until(() => count() === 11)
    expect(audit.dropped).toBe(0)
  })

  it('after closing it is only counted', () => {
    const { audit } = createAudit()
    audit.close()
    expect(() => audit.write(record())).not.toThrow()
    expect(audit.dropped).toBe(1)
  })
})

describe('retention', () => {
  it('what is too old goes, also from before the start', async () => {
    const dir = createDir()
    const first = createAudit({ dir, flushMs: 1_000_000 })
    for (let i = 0; i < 600; i++) first.audit.write(record({ at: first.clock.now - 91 * day }))
    for (let i = 0; i < 5; i++) first.audit.write(record({ at: first.clock.now - 89 * day }))
    first.audit.writeSignIn({
      at: first.clock.now - 91 * day,
      kind: 'login',
      account: null,
      from: 'x',
      outcome: 'failed',
    })
    first.audit.close()
    expect(first.count()).toBe(605)
    const { count } = createAudit({ dir })
    await until(() => count() === 5 && count('sign_in') === 0)
  })

  it('what is too much goes, the oldest first, and the file shrinks', async () => {
    const dir = createDir()
    const first = createAudit({ dir, flushMs: 1_000_000 })
    const long = 'x'.repeat(200)
    for (let i = 0; i < 9000; i++) first.audit.write(record({ request: `r${i}`, touches: { uri: [long, long] } }))
    first.audit.close()
    const { other, count } = createAudit({ dir, megabytes: 1 })
    const size = () => Number(other.prepare('PRAGMA page_count').get()?.page_count) * 4096
    await until(() => size() <= 1_000_000)
    expect(count()).toBeGreaterThan(500)
    expect(other.prepare('SELECT request FROM decision ORDER BY id DESC LIMIT 1').get()?.request).toBe('r8999')
    expect(other.prepare('SELECT request FROM decision ORDER BY id LIMIT 1').get()?.request).toBe(`r${9000 - count()}`)
  })

  it('sign-ins that fail by the thousand cost no decision its record', async () => {
    const dir = createDir()
    const first = createAudit({ dir, flushMs: 1_000_000, capacity: 50_000 })
    for (let i = 0; i < 500; i++) first.audit.write(record())
    const failed = { at: record().at, kind: 'credential', account: null, from: '10.0.0.2', outcome: 'failed' }
    for (let i = 0; i < 30_000; i++) first.audit.writeSignIn(failed)
    first.audit.close()
    const { other, count } = createAudit({ dir, megabytes: 1 })
    const size = () => Number(other.prepare('PRAGMA page_count').get()?.page_count) * 4096
    await until(() => size() <= 1_000_000)
    expect(count('sign_in')).toBeLessThan(30_000)
    expect(count()).toBe(500)
  })
})
