import { generateKeyPairSync, randomBytes, type webcrypto } from 'node:crypto'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import type { SQLInputValue, SQLOutputValue } from 'node:sqlite'
import { Fault } from '../call/fault.ts'
import { openDatabase, toFault, transaction } from './database.ts'
import { fold, isName } from './name.ts'
import {
  type Account,
  absolute,
  type DeviceToken,
  idle,
  migrations,
  type NewAccount,
  type NewToken,
  type Override,
  type Row,
  readSnapshot,
  type Session,
  type SigningKey,
  type Snapshot,
  toSession,
} from './record.ts'

/**
 * Accounts and what vouches for them: sessions, device tokens, keys.
 *
 * Reads come from memory and are as new as the last poll; they throw Fault `internal` while the database cannot be
 * read. Writes are on disk when they return, and throw Fault.
 */
export interface Accounts {
  /** Whether the database can be read. While it cannot, nobody is who they say. */
  readonly ready: boolean
  list(): readonly Account[]
  byId(id: string): Account | undefined
  byName(name: string): Account | undefined
  /** The password hash, from disk. */
  passwordOf(account: string): string | undefined
  create(account: NewAccount): Account
  setRoles(account: string, roles: readonly string[]): void
  /** Ends the account's sessions as well. */
  setPassword(account: string, password: string): void
  /** Disabling ends sessions and device tokens. */
  setDisabled(account: string, disabled: boolean): void
  remove(account: string): void

  /** The open ones. */
  sessions(): readonly Session[]
  /** One of them, or one that has ended of age: look at `ends`. */
  session(id: string): Session | undefined
  /** The session whose current refresh token has this hash. */
  sessionOf(refresh: Buffer): Session | undefined
  /**
   * Begins a session, if the account is as it was when its password was checked.
   *
   * @throws Fault `bad-credentials` when it was disabled, removed or given another password since
   */
  startSession(session: { account: string; password: string; refresh: Buffer; from: string; source: string }): Session
  /** Replaces a refresh token. One that was replaced before ends the session: somebody has a copy. */
  rotate(refresh: Buffer, next: Buffer): { outcome: 'rotated' | 'reused'; session: Session } | undefined
  endSession(id: string): boolean
  endSessionsOf(account: string): number
  /** Whether the account has signed in from this source before. */
  knows(account: string, source: string): boolean

  tokens(): readonly DeviceToken[]
  token(id: string): DeviceToken | undefined
  /** SHA-256 of the token's secret. */
  secretOf(token: string): Buffer | undefined
  /** The token of the certificate whose SHA-256 (hex, small letters) this is. */
  tokenOf(fingerprint: string): DeviceToken | undefined
  /** `secret` is its SHA-256. */
  createToken(token: NewToken, secret: Buffer): DeviceToken
  /** One that stands on a certificate (its SHA-256, as above), and ends when that does. No two stand on the same. */
  createCertificate(token: NewToken & { readonly expires: number }, fingerprint: string): DeviceToken
  removeToken(id: string): boolean
  /** Notes that a session or token was used; written later, and seldom. */
  touch(id: string): void

  /** The newest first; made at the first run. */
  keys(): readonly SigningKey[]
  /** Keeps the hash of the one setup token, in place of any other. @throws Fault `forbidden` when there are accounts */
  offerSetup(hash: Buffer, expires: number): void
  mayBeSetUp(hash: Buffer): boolean
  /** Uses the setup token up. @throws Fault `bad-credentials` when it is not good, or there is an account already */
  setUp(hash: Buffer, account: NewAccount): Account

  /**
   * Lets the player be handed to another account, once, until then (Unix ms; ten minutes at most). In place of an
   * earlier time.
   */
  openPairing(player: string, until: number): void
  closePairing(player: string): boolean
  /** Until when the player may be handed over; undefined when it may not. */
  pairing(player: string): number | undefined
  /** Uses that up: of all that ask, in every process, one is told true. */
  takePairing(player: string): boolean

  /**
   * Lets hours not bind for an account (its id) or a role, at one player or all, until then (Unix ms; a day at most). In
   * place of an earlier one.
   */
  override(who: string, player: string | undefined, until: number): void
  /** Of one player, or all there are for this account or role; how many. */
  endOverrides(who: string, player?: string): number
  /** Those that were made; one that is over may still be among them. The same list until something changes. */
  overrides(): readonly Override[]

  /** Something changed, here or in another process. */
  onChange(listener: () => void): () => void
  close(): void
}

/** The role that the house cannot be without. */
export const ownerRole = 'owner'

/** Per account. The oldest session gives way; a token more is refused. */
const maxSessions = 50
const maxTokens = 100
const maxKnown = 20
const maxPairing = 10 * 60_000
/** A day, and the hour by which a clock may be put back. */
export const maxOverride = 25 * 3_600_000
/** Per session: what is kept to recognise a stolen refresh token. At one refresh in ten minutes this is a fortnight. */
const maxSpent = 2000

/**
 * Opens `accounts.sqlite` in `dir`. Several processes may: each sees the others' changes within `pollMs`.
 *
 * @throws Fault `internal` when the database is damaged, locked, from a newer version, or open to other users
 */
export function openAccounts(options: {
  readonly dir: string
  readonly now: () => number
  /** 0: no timer, for a process that leaves at once. */
  readonly pollMs?: number
  readonly busyMs?: number
  /** The database can no longer be read (a Fault), or can again (undefined). */
  readonly onProblem?: (fault: Fault | undefined) => void
}): Accounts {
  const { dir, now, pollMs = 200, busyMs = 250, onProblem = () => {} } = options
  const file = join(dir, 'accounts.sqlite')
  const db = openDatabase({ file, migrations, synchronous: 'FULL', busyMs, check: true })
  const identity = fileIdentity(file)
  const dataVersion = db.prepare('PRAGMA data_version')
  const listeners = new Set<() => void>()
  const touched = new Map<string, number>()
  let version: SQLOutputValue | undefined
  let snapshot: Snapshot | undefined
  let broken: Fault | undefined

  const run = (sql: string, ...values: SQLInputValue[]) => Number(db.prepare(sql).run(...values).changes)
  const first = (sql: string, ...values: SQLInputValue[]): Row | undefined => {
    try {
      return db.prepare(sql).get(...values)
    } catch (error) {
      throw toFault(file, error)
    }
  }
  const count = (what: string, ...values: SQLInputValue[]) =>
    Number(first(`SELECT count(*) AS n FROM ${what}`, ...values)?.n)
  const owners = () =>
    count('account WHERE disabled = 0 AND EXISTS (SELECT 1 FROM json_each(roles) WHERE value = ?)', ownerRole)

  function load(): void {
    snapshot = undefined // what cannot be read again is not believed any longer
    try {
      version = dataVersion.get()?.data_version
      snapshot = readSnapshot(db)
    } catch (error) {
      throw toFault(file, error)
    }
  }

  /** Looks whether the file is still ours and whether another process wrote to it. */
  function poll(): void {
    try {
      if (fileIdentity(file) !== identity) throw new Fault('internal', `${file}: replaced: restart the gateway`)
      const changed = dataVersion.get()?.data_version !== version
      const recovered = broken !== undefined || !snapshot
      if (changed || recovered) load()
      broken = undefined
      if (recovered) onProblem(undefined)
      if (changed || recovered) tell()
      writeTouched()
    } catch (error) {
      if (broken) return
      broken = toFault(file, error)
      onProblem(broken)
      tell()
    }
  }

  function tell(): void {
    for (const listener of [...listeners]) listener()
  }

  function current(): Snapshot {
    if (broken || !snapshot) throw new Fault('internal', 'the accounts cannot be read now', { cause: broken })
    return snapshot
  }

  /** What nobody knows another process may have made a moment ago: so a second look, before the answer is no. */
  function find<T>(look: (snapshot: Snapshot) => T | undefined): T | undefined {
    const found = look(current())
    if (found !== undefined) return found
    poll()
    return look(current())
  }

  /** One change: on disk, then in memory, then told. */
  function change<T>(work: () => T): T {
    current()
    const result = transaction(db, work)
    load()
    tell()
    return result
  }

  function changeAccount<T>(id: string, work: () => T): T {
    return change(() => {
      const before = owners()
      const result = work()
      if (before > 0 && owners() === 0) {
        throw new Fault(
          'forbidden',
          `this is the last account with the role ${ownerRole}: give it to another one first`,
        )
      }
      if (result === 0) throw new Fault('bad-arguments', `no account ${id}`)
      return result
    })
  }

  function insertAccount({ name, roles, password }: NewAccount): Account {
    if (!isName(name)) {
      throw new Fault(
        'bad-arguments',
        "a name has 1 to 64 letters, digits, blanks and . _ - @ + ' and begins with one of the first two",
      )
    }
    const account: Account = { id: createId(), name: name.normalize('NFKC'), roles, disabled: false, created: now() }
    const sql = 'INSERT OR IGNORE INTO account (id, name, folded, roles, password, created) VALUES (?, ?, ?, ?, ?, ?)'
    if (run(sql, account.id, account.name, fold(name), JSON.stringify(roles), password, account.created) === 0) {
      throw new Fault('bad-arguments', `the name ${account.name} is taken`)
    }
    return account
  }

  function insertToken(token: NewToken, kind: DeviceToken['kind'], proof: Buffer): DeviceToken {
    if (count('token WHERE account = ?', token.account) >= maxTokens) {
      throw new Fault('forbidden', `an account has at most ${maxTokens} device tokens: revoke one first`)
    }
    const { account, label, role, expires } = token
    if (count('account WHERE id = ? AND disabled = 0', account) === 0) {
      throw new Fault('forbidden', 'the account is disabled or gone')
    }
    const players = token.players && JSON.stringify(token.players)
    const made: DeviceToken = { ...token, id: createId(), kind, created: now(), used: null }
    const sql = `INSERT INTO token (id, account, ${kind}, label, role, players, created, expires) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`
    run(sql, made.id, account, proof, label, role, players, made.created, expires)
    return made
  }

  function createKey(): void {
    if (count('signing_key') > 0) return // another process was quicker
    const jwk = JSON.stringify(generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }))
    run('INSERT INTO signing_key VALUES (?, ?, ?)', createId(), jwk, now())
  }

  function prune(): void {
    run('DELETE FROM session WHERE used <= ? OR created <= ?', now() - idle, now() - absolute)
  }

  function replaceRefresh(refresh: Buffer, next: Buffer): { outcome: 'rotated'; session: Session } | undefined {
    const row = first('SELECT * FROM session WHERE refresh = ?', refresh)
    if (!row) return undefined
    const session = toSession({ ...row, used: now() })
    run('UPDATE session SET refresh = ?, used = ? WHERE id = ?', next, session.used, session.id)
    run('INSERT INTO spent (refresh, session) VALUES (?, ?)', refresh, session.id)
    run(
      'DELETE FROM spent WHERE session = ? AND id NOT IN (SELECT id FROM spent WHERE session = ? ORDER BY id DESC LIMIT ?)',
      session.id,
      session.id,
      maxSpent,
    )
    return { outcome: 'rotated', session }
  }

  function endStolen(refresh: Buffer): { outcome: 'reused'; session: Session } | undefined {
    const sql = 'SELECT session.* FROM spent JOIN session ON session.id = spent.session WHERE spent.refresh = ?'
    const row = first(sql, refresh)
    if (!row) return undefined
    const session = toSession(row)
    run('DELETE FROM session WHERE id = ?', session.id)
    return { outcome: 'reused', session }
  }

  /** Uses, which are worth a write now and then and not worth an error. */
  function writeTouched(): void {
    if (touched.size === 0) return
    const uses = [...touched]
    touched.clear()
    try {
      transaction(db, () => {
        for (const [id, at] of uses) {
          run('UPDATE token SET used = ? WHERE id = ?', at, id)
          run('UPDATE session SET used = ? WHERE id = ?', at, id)
        }
      })
      load()
    } catch {
      // A full disk or a busy one: the next use will be noted.
    }
  }

  try {
    if (count('signing_key') === 0) transaction(db, createKey)
    load()
  } catch (error) {
    db.close()
    throw toFault(file, error)
  }
  const timer = pollMs > 0 ? setInterval(poll, pollMs).unref() : undefined

  const setupIsGood = (hash: Buffer) =>
    count('setup WHERE hash = ? AND expires > ?', hash, now()) === 1 && count('account') === 0

  const pairing = (player: string): number | undefined => {
    const found = find(({ pairings }) => pairings.get(player))
    // A clock that was set back must not make it longer.
    return found && found.opened <= now() && now() < found.until ? found.until : undefined
  }

  return {
    get ready() {
      return broken === undefined && snapshot !== undefined
    },
    list: () => [...current().accounts.values()],
    byId: (id) => current().accounts.get(id),
    byName: (name) => find(({ names }) => names.get(fold(name))),
    passwordOf(account) {
      current()
      const found = first('SELECT password FROM account WHERE id = ?', account)?.password
      return found === undefined ? undefined : String(found)
    },
    create: (account) => change(() => insertAccount(account)),
    setRoles(account, roles) {
      changeAccount(account, () => run('UPDATE account SET roles = ? WHERE id = ?', JSON.stringify(roles), account))
    },
    setPassword(account, password) {
      changeAccount(account, () => {
        run('DELETE FROM session WHERE account = ?', account)
        return run('UPDATE account SET password = ? WHERE id = ?', password, account)
      })
    },
    setDisabled(account, disabled) {
      changeAccount(account, () => {
        if (disabled) {
          run('DELETE FROM session WHERE account = ?', account)
          run('DELETE FROM token WHERE account = ?', account)
        }
        return run('UPDATE account SET disabled = ? WHERE id = ?', Number(disabled), account)
      })
    },
    remove(account) {
      changeAccount(account, () => run('DELETE FROM account WHERE id = ?', account))
    },

    sessions: () => [...current().sessions.values()].filter(({ ends }) => ends > now()),
    session: (id) => current().sessions.get(id),
    sessionOf: (refresh) => current().refreshes.get(refresh.toString('hex')),
    startSession: ({ account, password, refresh, from, source }) =>
      change(() => {
        const unchanged = count('account WHERE id = ? AND password = ? AND disabled = 0', account, password)
        if (unchanged === 0) throw new Fault('bad-credentials', 'the account has changed')
        prune()
        const at = now()
        const id = createId()
        run('INSERT INTO session VALUES (?, ?, ?, ?, ?, ?)', id, account, refresh, at, at, from)
        run(
          'DELETE FROM session WHERE account = ? AND id NOT IN (SELECT id FROM session WHERE account = ? ORDER BY used DESC, rowid DESC LIMIT ?)',
          account,
          account,
          maxSessions,
        )
        run('INSERT OR REPLACE INTO known VALUES (?, ?, ?)', account, source, at)
        run(
          'DELETE FROM known WHERE account = ? AND source NOT IN (SELECT source FROM known WHERE account = ? ORDER BY used DESC LIMIT ?)',
          account,
          account,
          maxKnown,
        )
        return { id, account, created: at, used: at, ends: at + idle, from }
      }),
    rotate(refresh, next) {
      current()
      // A forged one must not cost a transaction.
      if (count('session WHERE refresh = ?', refresh) + count('spent WHERE refresh = ?', refresh) === 0)
        return undefined
      return change(() => {
        prune()
        return replaceRefresh(refresh, next) ?? endStolen(refresh)
      })
    },
    endSession: (id) => change(() => run('DELETE FROM session WHERE id = ?', id)) > 0,
    endSessionsOf: (account) => change(() => run('DELETE FROM session WHERE account = ?', account)),
    knows: (account, source) => current().known.get(account)?.has(source) ?? false,

    tokens: () => [...current().tokens.values()],
    token: (id) => current().tokens.get(id),
    secretOf: (id) => find(({ secrets }) => secrets.get(id)),
    tokenOf: (fingerprint) => find(({ certificates }) => certificates.get(fingerprint)),
    createToken: (token, secret) => change(() => insertToken(token, 'secret', secret)),
    createCertificate: (token, fingerprint) =>
      change(() => {
        const certificate = Buffer.from(fingerprint, 'hex')
        if (count('token WHERE certificate = ?', certificate) > 0) {
          throw new Fault('bad-arguments', 'this certificate is already in use by a device')
        }
        return insertToken(token, 'certificate', certificate)
      }),
    removeToken: (id) => change(() => run('DELETE FROM token WHERE id = ?', id)) > 0,
    touch(id) {
      const { sessions, tokens } = current()
      const used = tokens.get(id)?.used ?? sessions.get(id)?.used ?? 0
      const often = tokens.has(id) ? 60_000 : 3_600_000
      if (now() - used >= often) touched.set(id, now())
    },

    keys: () =>
      db
        .prepare('SELECT kid, jwk FROM signing_key ORDER BY created DESC')
        .all()
        .map(({ kid, jwk }) => ({ kid: String(kid), jwk: JSON.parse(String(jwk)) as webcrypto.JsonWebKey })),
    offerSetup(hash, expires) {
      change(() => {
        if (count('account') > 0) throw new Fault('forbidden', 'there are accounts already')
        run('DELETE FROM setup')
        run('INSERT INTO setup VALUES (?, ?)', hash, expires)
      })
    },
    mayBeSetUp: setupIsGood,
    setUp: (hash, account) =>
      change(() => {
        if (!setupIsGood(hash)) throw new Fault('bad-credentials', 'this setup link is not good, or no longer')
        run('DELETE FROM setup')
        return insertAccount(account)
      }),

    openPairing(player, until) {
      const at = now()
      if (!(until > at && until - at <= maxPairing)) {
        throw new Fault('bad-arguments', `pairing takes ${maxPairing / 60_000} minutes at most`)
      }
      change(() => {
        run('DELETE FROM pairing WHERE until <= ?', at)
        run('INSERT OR REPLACE INTO pairing VALUES (?, ?, ?)', player, at, until)
      })
    },
    closePairing: (player) => change(() => run('DELETE FROM pairing WHERE player = ?', player)) > 0,
    pairing,
    takePairing(player) {
      // Somebody unknown asks, and must not cost a transaction.
      if (pairing(player) === undefined) return false
      const sql = 'DELETE FROM pairing WHERE player = ? AND opened <= ? AND until > ?'
      return change(() => run(sql, player, now(), now())) > 0
    },

    override(who, player, until) {
      const at = now()
      if (!(until > at && until - at <= maxOverride)) {
        throw new Fault('bad-arguments', 'hours can be lifted for 24 hours at most')
      }
      change(() => {
        run('DELETE FROM override WHERE until <= ?', at)
        run('INSERT OR REPLACE INTO override VALUES (?, ?, ?, ?)', who, player ?? '', at, until)
      })
    },
    endOverrides: (who, player) =>
      change(() =>
        run('DELETE FROM override WHERE who = ? AND (player = ? OR ? IS NULL)', who, player ?? null, player ?? null),
      ),
    overrides: () => current().overrides,

    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    close() {
      if (!db.isOpen) return
      clearInterval(timer)
      if (!broken) writeTouched()
      broken = new Fault('internal', `${file}: closed`)
      db.close()
    },
  }
}

/** Names a thing; nothing follows from knowing one. */
function createId(): string {
  return randomBytes(8).toString('hex')
}

function fileIdentity(file: string): string {
  const { dev, ino } = statSync(file)
  return JSON.stringify([dev, ino])
}
