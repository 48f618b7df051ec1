import { Fault } from '../call/fault.ts'
import { createSecret, hashSecret, writeDeviceToken } from '../identity/tokens.ts'
import { accountOf, withAccounts } from './accounts.ts'
import { choose, Misuse, parse, print } from './command.ts'
import { checkNames } from './config.ts'

const usage = `
  stagedoor token create NAME --label L [--role R] [--player P…] [--expires 90d]
  stagedoor token list [--json]
  stagedoor token revoke ID`

export const run = choose(usage, {
  async create(args, io) {
    const options = {
      label: { type: 'string' },
      role: { type: 'string' },
      player: { type: 'string', multiple: true },
      expires: { type: 'string' },
    } as const
    const { values, words } = parse(args, options, { min: 1, max: 1 })
    const { label, role, player: players, expires } = values
    if (label === undefined || !/^[^\p{C}\p{Zl}\p{Zp}]{1,64}$/u.test(label))
      throw new Misuse('what is it for? --label L, up to 64 characters')
    if (role !== undefined || players)
      checkNames(io, { roles: role === undefined ? [] : [role], players: players ?? [] })
    const lifetime = expires === undefined ? undefined : durationOf(expires)
    const secret = createSecret()
    const token = await withAccounts(io, (accounts) =>
      accounts.createToken(
        {
          account: accountOf(accounts, words[0] ?? '').id,
          label,
          role: role ?? null,
          players: players ?? null,
          expires: lifetime === undefined ? null : io.now() + lifetime,
        },
        hashSecret(secret),
      ),
    )
    io.err('this is shown once: keep it where the device keeps its password')
    io.out(writeDeviceToken(token.id, secret))
  },

  async list(args, io) {
    const { values } = parse(args, { json: { type: 'boolean' } }, { min: 0, max: 0 })
    await withAccounts(io, (accounts) => {
      const rows = accounts.tokens().map(({ id, account, label, role, players, created, expires, used }) => ({
        id,
        user: accounts.byId(account)?.name ?? null,
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

const units: ReadonlyMap<string, number> = new Map([
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
  ['w', 7 * 86_400_000],
])

function durationOf(text: string): number {
  const [, count = '', unit = ''] = /^([1-9]\d{0,4})([mhdw])$/.exec(text) ?? []
  const ms = units.get(unit)
  if (ms === undefined) throw new Misuse(`not a duration: ${JSON.stringify(text)}; 90d, 12h, 30m or 8w is one`)
  return Number(count) * ms
}
