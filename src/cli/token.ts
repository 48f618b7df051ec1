import { X509Certificate } from 'node:crypto'
import { rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Fault, messageOf } from '../call/fault.ts'
import { createSecret, hashSecret, writeDeviceToken } from '../identity/tokens.ts'
import { createClient, day, fingerprintOf, type Pair } from '../listen/certificate.ts'
import type { NewToken } from '../store/record.ts'
import { accountOf, withAccounts } from './accounts.ts'
import { choose, type Io, Misuse, parse, print } from './command.ts'
import { checkNames } from './config.ts'

const usage = `
  stagedoor token create NAME --label L [--role R] [--player P…] [--expires 90d]
  stagedoor token create NAME --label L --certificate [--out DIR|PREFIX] […]
  stagedoor token list [--json]
  stagedoor token revoke ID

  --certificate   a client certificate and its key in place of a secret: signs in to MPD over TLS without a password
  --out           writes L.crt and L.key into this directory, or PREFIX.crt and PREFIX.key; else both are printed`

export const run = choose(usage, {
  async create(args, io) {
    const options = {
      label: { type: 'string' },
      role: { type: 'string' },
      player: { type: 'string', multiple: true },
      expires: { type: 'string' },
      certificate: { type: 'boolean' },
      out: { type: 'string' },
    } as const
    const { values, words } = parse(args, options, { min: 1, max: 1 })
    const { label, role, player: players, expires, certificate, out } = values
    if (label === undefined || !/^[^\p{C}\p{Zl}\p{Zp}]{1,64}$/u.test(label))
      throw new Misuse('what is it for? --label L, up to 64 characters')
    if (out !== undefined && !certificate) throw new Misuse('--out is for --certificate: a secret is only shown')
    if (role !== undefined || players)
      checkNames(io, { roles: role === undefined ? [] : [role], players: players ?? [] })
    const lifetime = expires === undefined ? undefined : durationOf(expires)
    const about = {
      label,
      role: role ?? null,
      players: players ?? null,
      expires: lifetime === undefined ? null : io.now() + lifetime,
    }
    const name = words[0] ?? ''
    await (certificate ? createCertificate(io, name, about, out) : createToken(io, name, about))
  },

  async list(args, io) {
    const { values } = parse(args, { json: { type: 'boolean' } }, { min: 0, max: 0 })
    await withAccounts(io, (accounts) => {
      const rows = accounts.tokens().map(({ id, kind, account, label, role, players, created, expires, used }) => ({
        id,
        user: accounts.byId(account)?.name ?? null,
        kind,
        label,
        role,
        players,
        created,
        expires,
        used,
      }))
      print(io, rows, values.json)
    })
  },

  async revoke(args, io) {
    const [id = ''] = parse(args, {}, { min: 1, max: 1 }).words
    await withAccounts(io, (accounts) => {
      if (!accounts.removeToken(id))
        throw new Fault('bad-arguments', `no device token ${JSON.stringify(id)}: see stagedoor token list`)
    })
    io.out(`${id} is revoked`)
  },
})

type About = Omit<NewToken, 'account'>

async function createToken(io: Io, name: string, about: About): Promise<void> {
  const secret = createSecret()
  const token = await withAccounts(io, (accounts) =>
    accounts.createToken({ ...about, account: accountOf(accounts, name).id }, hashSecret(secret)),
  )
  io.err('this is shown once: keep it where the device keeps its password')
  io.out(writeDeviceToken(token.id, secret))
}

async function createCertificate(io: Io, name: string, about: About, out: string | undefined): Promise<void> {
  // A certificate counts in whole seconds, and the device is to end with it.
  const expires = Math.floor((about.expires ?? io.now() + 3652 * day) / 1000) * 1000
  const pair = await createClient(about.label, io.now(), expires)
  const fingerprint = fingerprintOf(new X509Certificate(pair.cert))
  const files = out === undefined ? undefined : filesOf(out, about.label)
  const token = await withAccounts(io, (accounts) => {
    const account = accountOf(accounts, name).id
    if (files) writePair(files, pair)
    try {
      return accounts.createCertificate({ ...about, account, expires }, fingerprint)
    } catch (error) {
      if (files) for (const file of Object.values(files)) rmSync(file)
      throw error
    }
  })
  const ends = new Date(expires).toISOString().slice(0, 10)
  if (files) {
    io.err(`${token.id}: ${files.cert} and ${files.key}; there is no copy of the key. Good until ${ends}`)
  } else {
    io.err(`${token.id}: the key is shown once: keep it where no other user reads it. Good until ${ends}`)
    io.out(`${pair.cert}${pair.key}`.trimEnd())
  }
  const { cert, key } = files ?? { cert: 'FILE', key: 'FILE' }
  io.err(`it signs in to MPD over TLS without a password, such as through stunnel: cert = ${cert}, key = ${key}`)
  io.err(`or: openssl s_client -quiet -connect HOST:6601 -cert ${cert} -key ${key}`)
}

/** Where a certificate and its key go: a directory gets files named after the label. */
function filesOf(out: string, label: string): Pair {
  const isDirectory = out.endsWith('/') || statSync(out, { throwIfNoEntry: false })?.isDirectory()
  const name = label.replace(/[^\p{L}\p{N}_-]+/gu, '-').replace(/^-+/, '') || 'device'
  const prefix = isDirectory ? join(out, name) : out
  return { cert: `${prefix}.crt`, key: `${prefix}.key` }
}

/** Both files, for their owner alone, or none. @throws Fault when there is one already */
function writePair(files: Pair, pair: Pair): void {
  const written: string[] = []
  try {
    for (const part of ['key', 'cert'] as const) {
      writeFileSync(files[part], pair[part], { flag: 'wx', mode: 0o600 })
      written.push(files[part])
    }
  } catch (error) {
    for (const file of written) rmSync(file)
    throw new Fault('bad-arguments', `nothing is written: ${messageOf(error)}`, { cause: error })
  }
}

const units: ReadonlyMap<string, number> = new Map([
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', day],
  ['w', 7 * day],
])

function durationOf(text: string): number {
  const [, count = '', unit = ''] = /^([1-9]\d{0,4})([mhdw])$/.exec(text) ?? []
  const ms = units.get(unit)
  if (ms === undefined) throw new Misuse(`not a duration: ${JSON.stringify(text)}; 90d, 12h, 30m or 8w is one`)
  return Number(count) * ms
}
