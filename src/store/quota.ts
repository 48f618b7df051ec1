import { join } from 'node:path'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { Fault } from '../call/fault.ts'
import type { QuotaStore } from '../gate/quota.ts'
import { openDatabase, toFault, transaction } from './database.ts'

const migrations = [
  `
  CREATE TABLE draw (
    id INTEGER PRIMARY KEY, person TEXT NOT NULL, capability TEXT NOT NULL, at INTEGER NOT NULL, weight INTEGER NOT NULL,
    until INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX draw_of ON draw (person);
  `,
]

export interface StoredQuotas extends QuotaStore {
  close(): void
}

/** How often a file that cannot be opened is tried at most: it is read whole each time, and everybody waits. */
const retryMs = 1_000

interface Open {
  readonly db: DatabaseSync
  readonly select: StatementSync
  readonly insert: StatementSync
  readonly remove: StatementSync
}

/**
 * Keeps in `quota.sqlite` what was drawn from quotas.
 *
 * `synchronous = FULL`: whoever has nothing left may be the one who stands beside the plug. It costs a wait for the disk
 * at each draw, and of those a quota allows few; what it refuses is not written.
 *
 * A file that cannot be opened is told and tried again, as only those with quotas have to wait for it. One that another
 * process holds is waited for once, for `busyMs`, and everybody with it; until it is let go nobody waits again, however
 * often somebody asks.
 */
export function openQuotas(options: {
  readonly dir: string
  readonly now: () => number
  /** It cannot be read or written (a Fault), or can again (undefined). */
  readonly onProblem?: (fault: Fault | undefined) => void
  readonly busyMs?: number
}): StoredQuotas {
  const { dir, now, onProblem = () => {}, busyMs = 50 } = options
  const file = join(dir, 'quota.sqlite')
  let opened: Open | undefined
  /** What could not be done last, and since then was not: in a file that is held one may still read. */
  let trouble: 'reading' | 'writing' | undefined
  let unopened: { readonly at: number; readonly fault: Fault } | undefined
  let isClosed = false

  function open(): Open {
    const db = openDatabase({ file, migrations, synchronous: 'FULL', busyMs, check: true })
    try {
      db.prepare('DELETE FROM draw WHERE until <= ?').run(now())
      return {
        db,
        select: db.prepare('SELECT id, person, capability, at, weight, until FROM draw WHERE person = ? ORDER BY id'),
        insert: db.prepare('INSERT INTO draw (person, capability, at, weight, until) VALUES (?, ?, ?, ?, ?)'),
        remove: db.prepare('DELETE FROM draw WHERE id = ?'),
      }
    } catch (error) {
      db.close()
      throw error
    }
  }

  /** @throws Fault */
  function reach(): Open {
    if (isClosed) throw new Fault('internal', `${file}: closed`)
    if (opened) return opened
    const at = now()
    if (unopened && unopened.at <= at && at - unopened.at < retryMs) throw unopened.fault
    try {
      opened = open()
      return opened
    } catch (error) {
      unopened = { at, fault: toFault(file, error) }
      throw unopened.fault
    }
  }

  /** @throws Fault */
  function use<T>(doing: 'reading' | 'writing', work: (open: Open) => T): T {
    try {
      const result = work(reach())
      if (trouble && (trouble === 'reading' || doing === 'writing')) {
        trouble = undefined
        wait(busyMs)
        onProblem(undefined)
      }
      return result
    } catch (error) {
      const fault = toFault(file, error)
      if (!trouble) onProblem(fault)
      trouble = opened ? doing : 'reading'
      wait(0)
      throw fault
    }
  }

  /** How long what is done from now on waits for another process. */
  function wait(ms: number): void {
    opened?.db.exec(`PRAGMA busy_timeout = ${ms}`)
  }

  try {
    use('reading', () => {})
  } catch {
    // It was told.
  }

  return {
    read: (person) =>
      use('reading', ({ select }) =>
        select.all(person).map(({ id, capability, at, weight, until }) => ({
          id: Number(id),
          person,
          capability: String(capability),
          at: Number(at),
          weight: Number(weight),
          until: Number(until),
        })),
      ),
    write: (draws, forgotten) =>
      use('writing', ({ db, insert, remove }) =>
        transaction(db, () => {
          for (const id of forgotten) remove.run(id)
          return draws.map(({ person, capability, at, weight, until }) =>
            Number(insert.run(person, capability, Math.trunc(at), weight, Math.trunc(until)).lastInsertRowid),
          )
        }),
      ),
    close() {
      isClosed = true
      opened?.db.close()
      opened = undefined
    },
  }
}
