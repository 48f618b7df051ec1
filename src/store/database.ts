import { chmodSync, closeSync, mkdirSync, openSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Fault, messageOf } from '../call/fault.ts'

export interface DatabaseOptions {
  readonly file: string
  /** Each brings the schema one version further. A database remembers how many it has had. */
  readonly migrations: readonly string[]
  /** FULL: what was answered survives a power cut. NORMAL: it survives the process, and never corrupts. */
  readonly synchronous: 'FULL' | 'NORMAL'
  /** How long a statement waits for another process; the event loop waits with it. */
  readonly busyMs: number
  /** Whether to read the whole file once at the start. */
  readonly check: boolean
}

/**
 * Opens a database that only its owner can read, and brings its schema up to date.
 *
 * @throws Fault `internal` saying what is wrong with the file and what to do
 */
export function openDatabase(options: DatabaseOptions): DatabaseSync {
  const { file, busyMs } = options
  let db: DatabaseSync | undefined
  try {
    protect(file)
    db = new DatabaseSync(file, { timeout: busyMs, enableForeignKeyConstraints: true })
    // auto_vacuum has to be set before the first table, and counts for nothing afterwards.
    db.exec(`PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = ${options.synchronous}`)
    if (options.check && db.prepare('PRAGMA quick_check(1)').get()?.quick_check !== 'ok') throw damaged(file)
    migrate(db, options)
    return db
  } catch (error) {
    db?.close()
    throw toFault(file, error)
  }
}

/** Runs `work` so that all of it is written or nothing. @throws what `work` throws, or a Fault of the database */
export function transaction<T>(db: DatabaseSync, work: () => T): T {
  try {
    db.exec('BEGIN IMMEDIATE')
    const result = work()
    db.exec('COMMIT')
    return result
  } catch (error) {
    try {
      if (db.isTransaction) db.exec('ROLLBACK')
    } catch {
      // The first error is the one to tell.
    }
    throw toFault(db.location() ?? 'the database', error)
  }
}

/** What went wrong with a database, in words for its operator. Faults pass unchanged. */
export function toFault(file: string, error: unknown): Fault {
  if (error instanceof Fault) return error
  const code = error instanceof Error && 'errcode' in error ? Number(error.errcode) & 0xff : undefined
  const why = (code !== undefined && troubles.get(code)) || messageOf(error)
  return new Fault('internal', `${file}: ${why}`, { cause: error })
}

// https://www.sqlite.org/rescode.html
const troubles: ReadonlyMap<number, string> = new Map([
  [5, 'locked by another process'],
  [6, 'locked by another process'],
  [8, 'cannot be written: check its owner and permissions'],
  [11, 'damaged: restore a backup, or move the file away to begin anew'],
  [13, 'the disk is full'],
  [14, 'cannot be opened: check that it and its folder belong to the user the gateway runs as'],
  [26, 'not a database, or damaged: restore a backup, or move the file away to begin anew'],
])

function damaged(file: string): Fault {
  return new Fault('internal', `${file}: ${troubles.get(11)}`)
}

/** SQLite gives `-wal` and `-shm` the mode of the database, so it is enough to make that 0600, whatever the umask. */
function protect(file: string): void {
  const dir = dirname(file)
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  if ((statSync(dir).mode & 0o077) !== 0) chmodSync(dir, 0o700)
  try {
    closeSync(openSync(file, 'wx', 0o600))
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
    // Keys that others could read are no longer keys; tightening the mode in silence would hide that.
    const mode = statSync(file).mode & 0o777
    if ((mode & 0o077) !== 0) {
      throw new Fault(
        'internal',
        `${file}: other users of this machine may open it (mode ${mode.toString(8)}). Run chmod 600 on it if you trust them all, or move it away to begin anew`,
      )
    }
  }
}

function migrate(db: DatabaseSync, { file, migrations }: DatabaseOptions): void {
  if (versionOf(db) === migrations.length) return
  transaction(db, () => {
    const version = versionOf(db) // another process may have been quicker
    if (version > migrations.length) {
      throw new Fault(
        'internal',
        `${file}: written by a newer Stagedoor (schema ${version}, this one knows ${migrations.length}): use that version, or restore a backup`,
      )
    }
    for (const migration of migrations.slice(version)) db.exec(migration)
    db.exec(`PRAGMA user_version = ${migrations.length}`)
  })
}

function versionOf(db: DatabaseSync): number {
  return Number(db.prepare('PRAGMA user_version').get()?.user_version)
}
