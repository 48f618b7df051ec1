import type { webcrypto } from 'node:crypto'
import type { DatabaseSync, SQLOutputValue } from 'node:sqlite'
import { fold } from './name.ts'

export interface Account {
  readonly id: string
  readonly name: string
  readonly roles: readonly string[]
  readonly disabled: boolean
  readonly created: number
}

/** `password` is its hash. */
export interface NewAccount {
  readonly name: string
  readonly roles: readonly string[]
  readonly password: string
}

/** A sign-in and every refresh token that came of it. All times are Unix ms. */
export interface Session {
  readonly id: string
  readonly account: string
  readonly created: number
  /** When it was last refreshed, to the hour when its cookie was used. */
  readonly used: number
  readonly ends: number
  readonly from: string
}

/** What lets one device in: a secret it shows, or the certificate of a key it holds. */
export interface DeviceToken {
  readonly id: string
  readonly kind: 'secret' | 'certificate'
  readonly account: string
  readonly label: string
  /** The ceiling: calls need this role's permission as well as the account's. */
  readonly role: string | null
  /** The players it is for; null for all of them. */
  readonly players: readonly string[] | null
  readonly created: number
  /** A certificate always has an end, which is its own. */
  readonly expires: number | null
  /** When it was last shown, to the minute. */
  readonly used: number | null
}

export type NewToken = Omit<DeviceToken, 'id' | 'kind' | 'created' | 'used'>

/** The time (Unix ms) in which a player may be handed to another account, once. */
export interface Pairing {
  readonly opened: number
  readonly until: number
}

/** Hours that do not bind for a while (Unix ms). */
export interface Override {
  /** An account (its id), or a role. */
  readonly who: string
  /** All players when left out. */
  readonly player?: string
  readonly from: number
  readonly until: number
}

export interface SigningKey {
  readonly kid: string
  readonly jwk: webcrypto.JsonWebKey
}

const day = 86_400_000
/** How long a session may sleep, and how long it lasts in all. */
export const idle = 30 * day
export const absolute = 90 * day

export const migrations = [
  `
  CREATE TABLE account (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, folded TEXT NOT NULL UNIQUE, roles TEXT NOT NULL,
    disabled INTEGER NOT NULL DEFAULT 0, password TEXT NOT NULL, created INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE session (
    id TEXT PRIMARY KEY, account TEXT NOT NULL REFERENCES account ON DELETE CASCADE, refresh BLOB NOT NULL UNIQUE,
    created INTEGER NOT NULL, used INTEGER NOT NULL, address TEXT NOT NULL
  ) STRICT;
  CREATE INDEX session_account ON session (account);
  CREATE TABLE spent (
    id INTEGER PRIMARY KEY, refresh BLOB NOT NULL UNIQUE, session TEXT NOT NULL REFERENCES session ON DELETE CASCADE
  ) STRICT;
  CREATE INDEX spent_session ON spent (session);
  CREATE TABLE known (
    account TEXT NOT NULL REFERENCES account ON DELETE CASCADE, source TEXT NOT NULL, used INTEGER NOT NULL,
    PRIMARY KEY (account, source)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE token (
    id TEXT PRIMARY KEY, account TEXT NOT NULL REFERENCES account ON DELETE CASCADE, secret BLOB NOT NULL,
    label TEXT NOT NULL, role TEXT, players TEXT, created INTEGER NOT NULL, expires INTEGER, used INTEGER
  ) STRICT;
  CREATE INDEX token_account ON token (account);
  CREATE TABLE signing_key (kid TEXT PRIMARY KEY, jwk TEXT NOT NULL, created INTEGER NOT NULL) STRICT;
  CREATE TABLE setup (hash BLOB PRIMARY KEY, expires INTEGER NOT NULL) STRICT;
  `,
  // Either a secret or a certificate. SQLite cannot lift a NOT NULL, so the table is made anew.
  `
  CREATE TABLE device (
    id TEXT PRIMARY KEY, account TEXT NOT NULL REFERENCES account ON DELETE CASCADE, secret BLOB, certificate BLOB UNIQUE,
    label TEXT NOT NULL, role TEXT, players TEXT, created INTEGER NOT NULL, expires INTEGER, used INTEGER,
    CHECK ((secret IS NULL) <> (certificate IS NULL)), CHECK (certificate IS NULL OR expires IS NOT NULL)
  ) STRICT;
  INSERT INTO device SELECT id, account, secret, NULL, label, role, players, created, expires, used FROM token
    ORDER BY rowid;
  DROP TABLE token;
  ALTER TABLE device RENAME TO token;
  CREATE INDEX token_account ON token (account);
  `,
  'CREATE TABLE pairing (player TEXT PRIMARY KEY, opened INTEGER NOT NULL, until INTEGER NOT NULL) STRICT, WITHOUT ROWID',
  // No player's name is empty: that stands for all of them.
  `
  CREATE TABLE override (
    who TEXT NOT NULL, player TEXT NOT NULL, made INTEGER NOT NULL, until INTEGER NOT NULL, PRIMARY KEY (who, player)
  ) STRICT, WITHOUT ROWID
  `,
]

/** What memory holds: a copy of one moment, replaced as a whole. */
export interface Snapshot {
  readonly accounts: ReadonlyMap<string, Account>
  readonly names: ReadonlyMap<string, Account>
  readonly sessions: ReadonlyMap<string, Session>
  readonly refreshes: ReadonlyMap<string, Session>
  readonly tokens: ReadonlyMap<string, DeviceToken>
  readonly secrets: ReadonlyMap<string, Buffer>
  /** By fingerprint, in hex. */
  readonly certificates: ReadonlyMap<string, DeviceToken>
  readonly known: ReadonlyMap<string, ReadonlySet<string>>
  /** By player. */
  readonly pairings: ReadonlyMap<string, Pairing>
  readonly overrides: readonly Override[]
}

export type Row = Readonly<Record<string, SQLOutputValue>>

export function toSession({ id, account, created, used, address }: Row): Session {
  const ends = Math.min(Number(used) + idle, Number(created) + absolute)
  return {
    id: String(id),
    account: String(account),
    created: Number(created),
    used: Number(used),
    ends,
    from: String(address),
  }
}

function toAccount({ id, name, roles, disabled, created }: Row): Account {
  return {
    id: String(id),
    name: String(name),
    roles: JSON.parse(String(roles)),
    disabled: disabled !== 0,
    created: Number(created),
  }
}

function toToken({ id, account, certificate, label, role, players, created, expires, used }: Row): DeviceToken {
  return {
    id: String(id),
    kind: certificate == null ? 'secret' : 'certificate',
    account: String(account),
    label: String(label),
    role: role == null ? null : String(role),
    players: players == null ? null : JSON.parse(String(players)),
    created: Number(created),
    expires: expires == null ? null : Number(expires),
    used: used == null ? null : Number(used),
  }
}

function toOverride({ who, player, made, until }: Row): Override {
  const where = player === '' ? {} : { player: String(player) }
  return { who: String(who), ...where, from: Number(made), until: Number(until) }
}

export function readSnapshot(db: DatabaseSync): Snapshot {
  db.exec('BEGIN')
  try {
    const all = (table: string) => db.prepare(`SELECT * FROM ${table} ORDER BY rowid`).all()
    const accounts = new Map(all('account').map((row) => [String(row.id), toAccount(row)]))
    const sessions = all('session').map((row) => ({ session: toSession(row), refresh: row.refresh as Uint8Array }))
    const tokens = all('token').map((row) => ({
      token: toToken(row),
      secret: row.secret as Uint8Array | null,
      certificate: row.certificate as Uint8Array | null,
    }))
    const known = new Map<string, Set<string>>()
    for (const { account, source } of db.prepare('SELECT account, source FROM known').all()) {
      const sources = known.get(String(account)) ?? new Set()
      known.set(String(account), sources.add(String(source)))
    }
    const pairings = db.prepare('SELECT * FROM pairing').all()
    return {
      accounts,
      names: new Map([...accounts.values()].map((account) => [fold(account.name), account])),
      sessions: new Map(sessions.map(({ session }) => [session.id, session])),
      refreshes: new Map(sessions.map(({ session, refresh }) => [Buffer.from(refresh).toString('hex'), session])),
      tokens: new Map(tokens.map(({ token }) => [token.id, token])),
      secrets: new Map(tokens.flatMap(({ token, secret }) => (secret ? [[token.id, Buffer.from(secret)]] : []))),
      certificates: new Map(
        tokens.flatMap(({ token, certificate }) =>
          certificate ? [[Buffer.from(certificate).toString('hex'), token]] : [],
        ),
      ),
      known,
      pairings: new Map(
        pairings.map(({ player, opened, until }) => [String(player), { opened: Number(opened), until: Number(until) }]),
      ),
      overrides: db.prepare('SELECT * FROM override ORDER BY until, who, player').all().map(toOverride),
    }
  } finally {
    db.exec('ROLLBACK')
  }
}
