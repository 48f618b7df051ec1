import { expect, it } from 'vitest'
import { run as token } from '../../src/cli/token.ts'
import { run as user } from '../../src/cli/user.ts'
import { codeOf, createHouse } from '../identity/house.ts'
import { createShell } from './house.ts'

const day = 86_400_000

async function withEva() {
  const shell = createShell()
  await shell.run(user, 'add Eva --role owner --password-stdin', 'correct horse')
  return shell
}

it('prints the secret once, alone on standard output, and it works', async () => {
  const { run, data } = await withEva()
  const { status, out } = await run(
    token,
    'create eva --label "kitchen radio" --role guest --player home --player attic --expires 90d',
  )
  expect(status).toBe(0)
  expect(out).toMatch(/^sd1_[0-9a-f]{16}_[A-Za-z0-9_-]{43}$/)
  const house = createHouse({ dir: data })
  expect(await house.identity.identify({ kind: 'mpd', password: out }, 'x')).toMatchObject({
    name: 'Eva',
    roles: ['owner'],
    ceilings: [['guest']],
    players: ['home', 'attic'],
    until: Date.UTC(2026, 0, 1) + 90 * day,
  })
  const listed = (await run(token, 'list --json')).out
  expect(listed).not.toContain(out.slice(-43))
  expect(JSON.parse(listed)).toMatchObject([
    { user: 'Eva', label: 'kitchen radio', role: 'guest', players: ['home', 'attic'], used: null },
  ])
})

it('without options it is good for everything its account may, until revoked', async () => {
  const { run, data } = await withEva()
  const { out } = await run(token, 'create Eva --label phone')
  const house = createHouse({ dir: data })
  const show = () => house.identity.identify({ kind: 'bearer', token: out }, 'x')
  const principal = await show()
  expect(principal).not.toHaveProperty('ceilings')
  expect(principal).not.toHaveProperty('players')
  const [{ id }] = JSON.parse((await run(token, 'list --json')).out)
  expect((await run(token, `revoke ${id}`)).status).toBe(0)
  expect(await codeOf(createHouse({ dir: data }).identity.identify({ kind: 'bearer', token: out }, 'x'))).toBe(
    'bad-credentials',
  )
  expect((await run(token, `revoke ${id}`)).status).toBe(1)
  expect((await run(token, 'list')).err).toBe('none')
})

it.each([
  ['create Gus --label x', 1, 'no account "Gus"'],
  ['create Eva --label x --role gest', 1, 'did you mean "guest"?'],
  ['create Eva --label x --player cellar', 1, 'no player "cellar"'],
  ['create Eva', 2, '--label'],
  ['create Eva --label x --expires soon', 2, 'not a duration: "soon"'],
  ['create Eva --label x --expires 0d', 2, 'not a duration'],
  ['create Eva --label x --expires -1d', 2, 'stagedoor token create'],
  ['create Eva --label \x1b[31m', 2, '--label'],
  ['revoke', 2, 'something is missing'],
  ['revoke nothing', 1, 'no device token "nothing"'],
  ['', 2, 'what to do?'],
])('%j ends with %i: %s', async (line, expected, reason) => {
  const { run } = await withEva()
  const { status, out, err } = await run(token, line)
  expect(err).toContain(reason)
  expect([status, out]).toEqual([expected, ''])
  expect(JSON.parse((await run(token, 'list --json')).out)).toEqual([])
})

it('a disabled account gets none', async () => {
  const { run } = await withEva()
  await run(user, 'add Gus --role guest --password-stdin', 'correct horse')
  await run(user, 'disable Gus')
  const { status, err } = await run(token, 'create Gus --label x')
  expect([status, err]).toEqual([1, 'stagedoor: the account is disabled or gone'])
})
