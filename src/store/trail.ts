import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Fault } from '../call/fault.ts'
import type { AuditRecord } from '../gate/audit.ts'
import { toFault } from './database.ts'

/** What is read of a record. */
export type Trace = Pick<
  AuditRecord,
  'at' | 'account' | 'player' | 'operation' | 'capability' | 'touches' | 'outcome' | 'rule' | 'reason'
>

const sql = `
  SELECT at, account, player, operation, capability, touches, outcome, rule, reason FROM decision
  WHERE at >= ? AND account IN (SELECT value FROM json_each(?)) ORDER BY id`

/**
 * The decisions about these accounts since a moment, the oldest first. Changes nothing, and the gateway may go on writing.
 *
 * @throws Fault `internal` saying what is wrong with the database
 */
export function* readTrail(dir: string, since: number, accounts: readonly string[]): Generator<Trace> {
  const file = join(dir, 'audit.sqlite')
  if (!existsSync(file))
    throw new Fault('internal', `${file}: not there: has the gateway run with this data directory?`)
  let db: DatabaseSync | undefined
  try {
    db = new DatabaseSync(file, { readOnly: true, timeout: 5_000 })
    for (const row of db.prepare(sql).iterate(since, JSON.stringify(accounts))) {
      yield { ...row, touches: JSON.parse(String(row.touches)) } as unknown as Trace
    }
  } catch (error) {
    throw toFault(file, error)
  } finally {
    db?.close()
  }
}
