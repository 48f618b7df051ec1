import { expect, it, vi } from 'vitest'
import { run as session } from '../../src/cli/session.ts'
import { createHouse } from '../identity/house.ts'
import { createShell } from './house.ts'

async function withSessions() {
  const shell = createShell()
  const house = createHouse({ dir: shell.data, pollMs: 20 })
  await house.add('Eva')
  await house.add('Gus', ['guest'])
  const login = (name: string) => house.sessions.login(name, 'correct horse', '10.0.0.1')
  const tokens = [await login('Eva'), await login('Eva'), await login('Gus')]
  const users = tokens.map((each) => each.user)
  const open = () => users.map((each) => house.identity.renew(each) !== undefined)
  return { ...shell, house, tokens, open }
}

it('lists open sessions, with nothing that opens one', async () => {
  const { run, tokens } = await withSessions()
  const { out } = await run(session, 'list --json')
  expect(JSON.parse(out)).toMatchObject([
    { user: 'Eva', from: '10.0.0.1' },
    { user: 'Eva' },
    { user: 'Gus', id: tokens[2]?.session },
  ])
  expect(out).not.toContain(tokens[0]?.refreshToken)
  expect((await run(session, 'list')).out.split('\n')[0]).toMatch(/^ID +USER +FROM +CREATED +USED +ENDS$/)
})

it('ends one, and a running gateway sees it', async () => {
  const { run, tokens, open } = await withSessions()
  expect((await run(session, `revoke ${tokens[0]?.session}`)).status).toBe(0)
  await vi.waitUntil(() => JSON.stringify(open()) === '[false,true,true]')
  expect((await run(session, `revoke ${tokens[0]?.session}`)).status).toBe(1)
})

it('ends all of one account', async () => {
  const { run, open } = await withSessions()
  expect(await run(session, 'revoke --user eva')).toMatchObject({ status: 0, out: '2 ended' })
  await vi.waitUntil(() => JSON.stringify(open()) === '[false,false,true]')
})

it.each([
  ['revoke', 2],
  ['revoke x --user Eva', 2],
  ['revoke x', 1],
  ['revoke --user Nobody', 1],
  ['list x', 2],
  ['end', 2],
])('session %s ends with %i', async (line, status) => {
  const { run, open } = await withSessions()
  expect((await run(session, line)).status).toBe(status)
  expect(open()).toEqual([true, true, true])
})
