import { join } from 'node:path'
import type { SQLInputValue, StatementSync } from 'node:sqlite'
import type { Fault } from '../call/fault.ts'
import type { AuditRecord, AuditSink } from '../gate/audit.ts'
import { openDatabase, toFault, transaction } from './database.ts'

/** A sign-in, or what else happened to somebody's credentials. */
export interface SignInRecord {
  /** Unix ms. */
  readonly at: number
  readonly kind: string
  /** The account's id; null when there is none of that name. */
  readonly account: string | null
  readonly from: string
  readonly outcome: string
}

export interface AuditStore extends AuditSink {
  writeSignIn(record: SignInRecord): void
  /** Records lost so far because the disk did not take them in time. */
  readonly dropped: number
  /** Writes what waits, as far as the disk takes it. */
  close(): void
}

const migrations = [
  `
  CREATE TABLE decision (
    id INTEGER PRIMARY KEY, at INTEGER NOT NULL, request TEXT NOT NULL, account TEXT, name TEXT, session TEXT,
    address TEXT NOT NULL, door TEXT NOT NULL, player TEXT NOT NULL, operation TEXT NOT NULL, capability TEXT NOT NULL,
    touches TEXT NOT NULL, outcome TEXT NOT NULL, rule TEXT, reason TEXT
  ) STRICT;
  CREATE TABLE sign_in (
    id INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL, account TEXT, address TEXT NOT NULL, outcome TEXT NOT NULL
  ) STRICT;
  `,
  'ALTER TABLE decision ADD COLUMN says TEXT',
]
const tables = ['decision', 'sign_in'] as const

// In the order of the columns: to bind by name takes three times as long.
const insertDecision = 'INSERT INTO decision VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)'
const insertSignIn = 'INSERT INTO sign_in VALUES (NULL, ?, ?, ?, ?, ?)'

type Entry = readonly [insert: StatementSync, values: readonly SQLInputValue[]]

/** How many rows are written or deleted before others get their turn: a millisecond of work. */
const slice = 100
const day = 86_400_000

/**
 * Keeps the audit trail in `audit.sqlite`, off the hot path: `write` only queues.
 *
 * `synchronous = NORMAL`: a batch survives the process being killed, and a power cut costs at most the newest
 * batches, never the file. Waiting for the disk twice a second would buy nothing that anybody was promised.
 */
export function openAudit(options: {
  readonly dir: string
  readonly now: () => number
  /** What is older goes. This and the next are read each time that something may have to go. */
  readonly days: number
  /** What is more goes, the oldest first. The log beside the database may add 4 MB. */
  readonly megabytes: number
  readonly flushMs?: number
  /** Records that may wait; what comes on top is counted and lost. */
  readonly capacity?: number
  /** Each record as it comes, for the log. */
  readonly tee?: (record: AuditRecord | SignInRecord) => void
  /** Records are being lost or cannot be written (a Fault or a number of lost ones), or no longer (undefined). */
  readonly onProblem?: (problem: { readonly fault?: Fault; readonly dropped: number } | undefined) => void
}): AuditStore {
  const { dir, now, flushMs = 500, capacity = 10_000, tee, onProblem = () => {} } = options
  const file = join(dir, 'audit.sqlite')
  const db = openDatabase({ file, migrations, synchronous: 'NORMAL', busyMs: 50, check: false })
  db.exec('PRAGMA journal_size_limit = 4194304')
  const [decision, signIn] = [db.prepare(insertDecision), db.prepare(insertSignIn)]
  const waiting: Entry[] = []
  let dropped = 0
  let troubled = false
  let timer: NodeJS.Timeout | undefined
  let closed = false
  // Age makes no noise: without a single new record the old ones still have to go.
  const hourly = setInterval(() => schedule(0), 3_600_000).unref()
  schedule(flushMs)

  function queue(entry: Entry): void {
    if (closed || waiting.length >= capacity) {
      dropped++
      if (!troubled) onProblem({ dropped })
      troubled = true
      return
    }
    waiting.push(entry)
    schedule(flushMs)
  }

  function schedule(ms: number): void {
    timer ??= setTimeout(work, ms).unref()
  }

  /** One slice; the rest later, so that nobody waits for all of it. */
  function work(): void {
    timer = undefined
    const more = flushSlice() && (waiting.length > 0 || trimSlice())
    if (more) schedule(0)
    else if (waiting.length > 0) schedule(flushMs)
  }

  /** A batch leaves the queue when it is on disk, and not before. */
  function flushSlice(): boolean {
    const batch = waiting.slice(0, slice)
    try {
      if (batch.length > 0) {
        transaction(db, () => {
          for (const [insert, values] of batch) insert.run(...values)
        })
      }
      waiting.splice(0, batch.length)
      if (troubled) onProblem(undefined)
      troubled = false
      return true
    } catch (error) {
      if (!troubled) onProblem({ fault: toFault(file, error), dropped })
      troubled = true
      return false
    }
  }

  /** Deletes some of what is too old or too much. @returns whether there may be more */
  function trimSlice(): boolean {
    try {
      const { days, megabytes } = options
      const size = pragma('page_count') - pragma('freelist_count')
      const tooMuch = size * pragma('page_size') > megabytes * 1_000_000
      let deleted = 0
      // Who tries tokens all day fills the one table: that must not cost the other its records.
      const fuller = tables.reduce((most, table) => (span(table) > span(most) ? table : most))
      for (const table of tooMuch ? [fuller] : tables) {
        const oldest = db.prepare(`SELECT at FROM ${table} ORDER BY id LIMIT 1`).get()?.at
        if (oldest === undefined || !(tooMuch || Number(oldest) < now() - days * day)) continue
        // Rows come in the order of time, so the lowest numbers are the oldest.
        const sql = tooMuch
          ? `DELETE FROM ${table} WHERE id IN (SELECT id FROM ${table} ORDER BY id LIMIT ${slice})`
          : `DELETE FROM ${table} WHERE id IN (SELECT id FROM ${table} ORDER BY id LIMIT ${slice}) AND at < ${now() - days * day}`
        deleted += Number(db.prepare(sql).run().changes)
      }
      if (deleted > 0) db.prepare(`PRAGMA incremental_vacuum(${slice})`).all()
      return deleted > 0
    } catch {
      return false // the next batch tries again, and a full disk shows when writing
    }
  }

  /** About as many rows as the table has: its numbers come one after the other. */
  const span = (table: (typeof tables)[number]) =>
    Number(db.prepare(`SELECT (SELECT max(id) FROM ${table}) - (SELECT min(id) FROM ${table}) AS n`).get()?.n ?? 0)
  const pragma = (name: string) => Number(db.prepare(`PRAGMA ${name}`).get()?.[name])

  return {
    write(record) {
      tee?.(record)
      const { at, request, account, name, session, from, door, player, operation, capability } = record
      const { touches, outcome, rule, reason, says } = record
      const asked = [at, request, account, name, session, from, door, player, operation, capability] as const
      queue([decision, [...asked, JSON.stringify(touches), outcome, rule, reason, says]])
    },
    writeSignIn(record) {
      tee?.(record)
      const { at, kind, account, from, outcome } = record
      queue([signIn, [at, kind, account, from, outcome]])
    },
    get dropped() {
      return dropped
    },
    close() {
      if (closed) return
      clearInterval(hourly)
      clearTimeout(timer)
      timer = undefined
      while (waiting.length > 0 && flushSlice());
      closed = true
      db.close()
    },
  }
}
