import { Fault } from '../call/fault.ts'
import { accountOf, withAccounts } from './accounts.ts'
import { choose, Misuse, parse, print } from './command.ts'

const usage = `
  stagedoor session list [--json]
  stagedoor session revoke ID
  stagedoor session revoke --user NAME`

export const run = choose(usage, {
  async list(args, io) {
    const { values } = parse(args, { json: { type: 'boolean' } }, { min: 0, max: 0 })
    await withAccounts(io, (accounts) => {
      const rows = accounts.sessions().map(({ id, account, created, used, ends, from }) => ({
        id,
        user: accounts.byId(account)?.name ?? null,
        from,
        created,
        used,
        ends,
      }))
      print(io, rows, values.json)
    })
  },

  async revoke(args, io) {
    const { values, words } = parse(args, { user: { type: 'string' } }, { min: 0, max: 1 })
    const { user } = values
    const [id] = words
    if ((user === undefined) === (id === undefined)) throw new Misuse('which one? ID, or --user NAME')
    await withAccounts(io, (accounts) => {
      if (user !== undefined) {
        const ended = accounts.endSessionsOf(accountOf(accounts, user).id)
        io.out(`${ended} ended`)
      } else if (id !== undefined) {
        if (!accounts.endSession(id))
          throw new Fault('bad-arguments', `no session ${JSON.stringify(id)}: see stagedoor session list`)
        io.out(`${id} has ended`)
      }
    })
  },
})
