import { Fault } from '../call/fault.ts'
import { suggest } from '../config/explain.ts'
import type { Config } from '../config/schema.ts'
import { minuteOf, onWall, sayTime } from '../policy/clock.ts'
import { type Accounts, maxOverride } from '../store/accounts.ts'
import { withAccounts } from './accounts.ts'
import { choose, Misuse, parse, print } from './command.ts'
import { checkNames, configOf } from './config.ts'
import { note } from './note.ts'

const usage = `
  stagedoor override add WHO --until 22:30 [--player P]   until then hours do not bind; or: --for 90m
  stagedoor override list [--json]
  stagedoor override remove WHO [--player P]

  WHO is an account, or a role where no account has that name. Nothing else is lifted, and for 24 hours at most.`

const player = { type: 'string' } as const

/** Who can read the state's directory owns the house anyway, so no account is asked for here. */
export const run = choose(usage, {
  async add(args, io) {
    const options = { until: { type: 'string' }, for: { type: 'string' }, player } as const
    const { values, words } = parse(args, options, { min: 1, max: 1 })
    const { config } = configOf(io)
    checkNames(io, { players: [values.player ?? []].flat() })
    const now = io.now()
    const until = endOf(values, now, config.zone)
    if (until - now > maxOverride) throw new Misuse('hours can be lifted for 24 hours at most')
    await withAccounts(io, (accounts) => {
      const who = find(accounts, config, words[0] ?? '')
      const where = values.player === undefined ? '' : ` at ${values.player}`
      const said = `${who.said}: hours do not bind${where}`
      note(io, config, { ...who.noted, kind: 'override', outcome: `${said} until ${new Date(until).toISOString()}` })
      accounts.override(who.id, values.player, until)
      io.out(`${said} until ${sayTime(until, now, config.zone)}`)
    })
  },

  async list(args, io) {
    const { values } = parse(args, { json: { type: 'boolean' } }, { min: 0, max: 0 })
    const { config } = configOf(io)
    const now = io.now()
    await withAccounts(io, (accounts) => {
      const rows = accounts
        .overrides()
        .filter(({ from, until }) => from <= now && now < until)
        .map(({ who, player = null, until }) => {
          const account = accounts.byId(who)
          return {
            who: account?.name ?? who,
            kind: account ? 'account' : 'role',
            player,
            until: values.json ? until : sayTime(until, now, config.zone),
          }
        })
      print(io, rows, values.json)
    })
  },

  async remove(args, io) {
    const { values, words } = parse(args, { player }, { min: 1, max: 1 })
    const { config } = configOf(io)
    checkNames(io, { players: [values.player ?? []].flat() })
    await withAccounts(io, (accounts) => {
      const who = find(accounts, config, words[0] ?? '')
      const where = values.player === undefined ? '' : ` at ${values.player}`
      const ended = accounts.endOverrides(who.id, values.player)
      if (ended > 0)
        note(io, config, { ...who.noted, kind: 'override', outcome: `${who.said}: hours bind again${where}` })
      io.out(`${who.said}: hours bind${ended > 0 ? ' again' : ' anyway'}${where}`)
    })
  },
})

/** @throws Misuse for what is no end, or two */
function endOf({ until, for: length }: { until?: string; for?: string }, now: number, zone: string): number {
  if ((until === undefined) === (length === undefined)) throw new Misuse('until when? --until 22:30, or --for 90m')
  if (length !== undefined) {
    const [, count, unit] = /^([1-9]\d{0,3})([mh])$/.exec(length) ?? []
    if (count === undefined) throw new Misuse(`not so long: ${JSON.stringify(length)}; 90m or 2h is`)
    return now + Number(count) * (unit === 'h' ? 3_600_000 : 60_000)
  }
  if (!/^(?:[01]\d|2[0-3]):[0-5]\d$/.test(until ?? '')) throw new Misuse('--until takes a time of day, such as 22:30')
  const asked = minuteOf(until ?? '')
  const shown = onWall(zone, [asked, asked + 1], ({ minute }) => minute === asked)
  const next = shown.at(now) ? (shown.changes(now) ?? now) : now
  return shown.changes(next) ?? now
}

/** @throws Fault when there is neither an account nor a role of that name */
function find(accounts: Accounts, { roles }: Config, name: string) {
  const account = accounts.byName(name)
  if (account) return { id: account.id, said: `${account.name} (account)`, noted: { account: account.id } }
  if (Object.hasOwn(roles, name)) return { id: name, said: `${name} (role)`, noted: {} }
  const known = [...accounts.list().map(({ name }) => name), ...Object.keys(roles)]
  throw new Fault('bad-arguments', `neither an account nor a role: ${JSON.stringify(name)}; ${suggest(name, known)}`)
}
