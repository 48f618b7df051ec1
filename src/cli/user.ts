import { createPasswords } from '../identity/password.ts'
import type { Accounts } from '../store/accounts.ts'
import { accountOf, withAccounts } from './accounts.ts'
import { choose, type Io, Misuse, parse, print } from './command.ts'
import { checkNames } from './config.ts'
import { readPassword } from './password.ts'

const usage = `
  stagedoor user add NAME --role R [--role R…] [--password-stdin]
  stagedoor user list [--json]
  stagedoor user role NAME R…
  stagedoor user passwd NAME [--password-stdin]
  stagedoor user disable NAME | enable NAME | remove NAME`

const one = { min: 1, max: 1 }
const passwordStdin = { 'password-stdin': { type: 'boolean' } } as const

export const run = choose(usage, {
  async add(args, io) {
    const options = { role: { type: 'string', multiple: true }, ...passwordStdin } as const
    const { values, words } = parse(args, options, one)
    const [name = ''] = words
    const { role: roles = [] } = values
    if (roles.length === 0) throw new Misuse('which role? --role R')
    checkNames(io, { roles })
    const password = await hashOf(io, values['password-stdin'])
    const account = await withAccounts(io, (accounts) => accounts.create({ name, roles, password }))
    io.out(`${account.name} may come in as ${roles.join(', ')}`)
  },

  async list(args, io) {
    const { values } = parse(args, { json: { type: 'boolean' } }, { min: 0, max: 0 })
    await withAccounts(io, (accounts) => {
      const [sessions, tokens] = [accounts.sessions(), accounts.tokens()]
      const rows = accounts.list().map(({ id, name, roles, disabled, created }) => ({
        name,
        roles,
        disabled,
        sessions: sessions.filter(({ account }) => account === id).length,
        tokens: tokens.filter(({ account }) => account === id).length,
        created,
        id,
      }))
      print(io, rows, values.json)
    })
  },

  async role(args, io) {
    const { words } = parse(args, {}, { min: 2, max: 64 })
    const [name = '', ...roles] = words
    checkNames(io, { roles })
    await change(io, name, (accounts, id) => accounts.setRoles(id, roles))
    io.out(`${name} is now ${roles.join(', ')}`)
  },

  async passwd(args, io) {
    const { values, words } = parse(args, passwordStdin, one)
    const [name = ''] = words
    await withAccounts(io, (accounts) => accountOf(accounts, name)) // before asking for a password in vain
    const password = await hashOf(io, values['password-stdin'])
    await change(io, name, (accounts, id) => accounts.setPassword(id, password))
    io.out(`${name} has a new password; open sessions have ended, device tokens are as they were`)
  },

  async disable(args, io) {
    const [name = ''] = parse(args, {}, one).words
    await change(io, name, (accounts, id) => accounts.setDisabled(id, true))
    io.out(`${name} is disabled; sessions and device tokens have ended`)
  },

  async enable(args, io) {
    const [name = ''] = parse(args, {}, one).words
    await change(io, name, (accounts, id) => accounts.setDisabled(id, false))
    io.out(`${name} may sign in again`)
  },

  async remove(args, io) {
    const [name = ''] = parse(args, {}, one).words
    await change(io, name, (accounts, id) => accounts.remove(id))
    io.out(`${name} is removed, with sessions and device tokens`)
  },
})

async function hashOf(io: Io, fromStdin: boolean | undefined): Promise<string> {
  return createPasswords().hash(await readPassword(io, fromStdin))
}

function change(io: Io, name: string, work: (accounts: Accounts, id: string) => void): Promise<void> {
  return withAccounts(io, (accounts) => work(accounts, accountOf(accounts, name).id))
}
