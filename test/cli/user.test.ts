import { writeFileSync } from 'node:fs'
import { expect, it, vi } from 'vitest'
import { run as user } from '../../src/cli/user.ts'
import { createPasswords } from '../../src/identity/password.ts'
import { openAccounts } from '../../src/store/accounts.ts'
import { createHouse } from '../identity/house.ts'
import { createShell } from './house.ts'

async function withEva() {
  const shell = createShell()
  expect(await shell.run(user, 'add Eva --role owner --password-stdin', 'correct horse\n')).toMatchObject({
    status: 0,
    err: '',
  })
  return shell
}

it('an account that was added can sign in', async () => {
  const { run, data } = createShell()
  const { status, out } = await run(
    user,
    'add Eva --role owner --role member --password-stdin',
    'correct horse\nmore\n',
  )
  expect([status, out]).toEqual([0, 'Eva may come in as owner, member'])
  const accounts = openAccounts({ dir: data, now: Date.now, pollMs: 0 })
  const stored = accounts.passwordOf(accounts.byName('eva')?.id ?? '')
  accounts.close()
  expect(await createPasswords().verify('correct horse', stored)).toBe(true)
})

it('without a terminal it says that it reads the password from standard input', async () => {
  const { run } = createShell()
  const { isTTY } = process.stdin
  process.stdin.isTTY = false
  try {
    const { status, err } = await run(user, 'add Eva --role owner', 'correct horse')
    expect([status, err]).toEqual([0, 'reading the password from standard input, one line'])
  } finally {
    process.stdin.isTTY = isTTY
  }
})

it('lists accounts for people and for programs, without hashes', async () => {
  const { run } = await withEva()
  const table = await run(user, 'list')
  expect(table.out).toMatch(
    /^NAME {2}ROLES {2}DISABLED {2}SESSIONS {2}TOKENS {2}CREATED +ID\nEva +owner +false +0 +0 +2026-01-01 00:00 +[0-9a-f]{16}$/,
  )
  const [eva] = JSON.parse((await run(user, 'list --json')).out)
  expect(eva).toEqual({
    name: 'Eva',
    roles: ['owner'],
    disabled: false,
    sessions: 0,
    tokens: 0,
    created: Date.UTC(2026, 0, 1),
    id: eva.id,
  })
  expect(JSON.parse((await createShell().run(user, 'list --json')).out)).toEqual([])
})

it('changes roles, passwords and whether somebody may come in', async () => {
  const { run } = await withEva()
  const list = async () => JSON.parse((await run(user, 'list --json')).out)
  await run(user, 'add Gus --role guest --password-stdin', 'correct horse')
  expect((await run(user, 'role GUS member guest')).status).toBe(0)
  expect((await run(user, 'disable gus')).status).toBe(0)
  expect((await list())[1]).toMatchObject({ name: 'Gus', roles: ['member', 'guest'], disabled: true })
  expect((await run(user, 'enable gus')).status).toBe(0)
  expect((await list())[1]).toMatchObject({ disabled: false })
  expect((await run(user, 'passwd gus --password-stdin', 'another horse')).status).toBe(0)
  expect((await run(user, 'remove gus')).status).toBe(0)
  expect(await list()).toHaveLength(1)
})

it.each([
  'add Gus --role gest --password-stdin|did you mean "guest"?',
  'add Gus --role constructor --password-stdin|no role "constructor"',
  'add EVA --role guest --password-stdin|the name EVA is taken',
  'add a:b --role guest --password-stdin|a name has 1 to 64',
  'role Eva boss|no role "boss"',
  'role Eva guest|this is the last account with the role owner',
  'disable Eva|this is the last account with the role owner',
  'remove Eva|this is the last account with the role owner',
  'remove Gus|no account "Gus"; there is: Eva',
  'passwd Gus --password-stdin|no account "Gus"',
  'role __proto__ guest|no account "__proto__"',
])('refused, with the reason: %s', async (text) => {
  const [line = '', reason = ''] = text.split('|')
  const { run } = await withEva()
  const { status, out, err } = await run(user, line, 'correct horse')
  expect(err).toContain(reason)
  expect([status, out]).toEqual([1, ''])
  expect(JSON.parse((await run(user, 'list --json')).out)).toMatchObject([
    { name: 'Eva', roles: ['owner'], disabled: false },
  ])
})

it.each(['short', '', 'x'.repeat(1025)])('a password like %j is refused', async (password) => {
  const { run } = createShell()
  expect((await run(user, 'add Eva --role owner --password-stdin', password)).status).toBe(1)
})

it.each([
  '',
  'sing',
  'constructor',
  'add',
  'add Eva',
  'add --role owner',
  'add Eva Gus --role owner',
  'add Eva --roll owner',
  'list Eva',
  'role Eva',
  'remove',
  'remove --force Eva',
])('wrong usage: user %s', async (line) => {
  const { run } = createShell()
  const { status, err } = await run(user, line, 'correct horse')
  expect(status).toBe(2)
  expect(err).toContain('stagedoor user add NAME')
})

it('refuses with every problem of a configuration that cannot be read', async () => {
  const { run, file } = createShell()
  writeFileSync(file, 'players: 7\n')
  const { status, err } = await run(user, 'add Eva --role owner --password-stdin', 'correct horse')
  expect(status).toBe(1)
  expect(err).toContain(`${file}:1`)
})

it('a running gateway sees it, and the sessions of whoever got a new password end', async () => {
  const shell = await withEva()
  const house = createHouse({ dir: shell.data, pollMs: 20 })
  const gus = await house.add('Gus', ['guest'])
  const { user: principal } = await house.sessions.login('Gus', 'correct horse', 'x')
  expect((await shell.run(user, 'passwd Gus --password-stdin', 'another horse')).status).toBe(0)
  await vi.waitUntil(() => house.identity.renew(principal) === undefined)
  expect(house.accounts.byId(gus.id)?.disabled).toBe(false)
})
