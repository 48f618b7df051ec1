import { expect, test } from 'vitest'
import type { User } from '../../src/call/call.ts'
import { compile } from '../../src/policy/policy.ts'
import { budgetsFor, quotasAt } from '../../src/policy/rate.ts'

const grants = [{ allow: ['*'] }]
const policy = compile({
  free: { grants },
  slow: { grants, rates: { '*': '60/1m', 'queue.*': '2/15m' } },
  fast: { grants, rates: { '*': '600/m', 'queue.add': '10/s' } },
})
const user = (roles: string[], ceilings?: string[][]): User => ({
  kind: 'user',
  id: 'u',
  name: 'u',
  roles,
  ...(ceilings && { ceilings }),
  session: 's',
  until: 1,
  from: '::1',
})
const budgets = (by: User, capability: Parameters<typeof budgetsFor>[2]) =>
  budgetsFor(policy, by, capability).map(({ counts, rate }) => `${counts} ${rate.count}/${rate.ms} ${rate.rule}`)

test('a rate counts everything or one capability, and wildcards stand for each of theirs', () => {
  expect(budgets(user(['slow']), 'queue.add')).toEqual([
    '* 60/60000 roles.slow.rates.*',
    'queue.add 2/900000 roles.slow.rates.queue.*',
  ])
  expect(budgets(user(['slow']), 'status.read')).toEqual(['* 60/60000 roles.slow.rates.*'])
  expect(budgets(user(['slow']), 'signed-in')).toEqual(['* 60/60000 roles.slow.rates.*'])
})

test('of several roles the most generous counts, and a role without a rate is', () => {
  expect(budgets(user(['slow', 'fast']), 'queue.add')).toEqual([
    '* 600/60000 roles.fast.rates.*',
    'queue.add 10/1000 roles.fast.rates.queue.add',
  ])
  expect(budgets(user(['slow', 'free']), 'queue.add')).toEqual([])
})

test('a ceiling binds on top', () => {
  expect(budgets(user(['free'], [['slow']]), 'queue.add')).toHaveLength(2)
  expect(budgets(user(['fast'], [['slow']]), 'queue.add')).toHaveLength(4)
})

test('an unknown role has neither grants nor rates', () => {
  expect(budgets(user(['constructor', 'slow']), 'status.read')).toEqual(['* 60/60000 roles.slow.rates.*'])
})

test('a quota is of one capability; of the roles that allow it the most generous has it, and one without lifts it', () => {
  const policy = compile({
    child: { grants, quotas: { 'playback.*': '6/1h' } },
    teen: { grants, quotas: { 'playback.skip': '20/1h' } },
    free: { grants },
    reader: { grants: [{ allow: ['status.read'] }] },
    weekend: { grants: [{ allow: ['*'], when: { hours: { zone: 'UTC', allow: 'sat,sun 00:00-24:00' } } }] },
  })
  const [friday, saturday] = [Date.UTC(2030, 0, 4), Date.UTC(2030, 0, 5)]
  const quotas = (roles: string[], at = friday) =>
    quotasAt(policy, user(roles), 'home', at).map(({ counts, rate }) => `${counts} ${rate.count}/${rate.ms}`)
  expect(quotas(['child'])).toEqual(['playback.control 6/3600000', 'playback.skip 6/3600000'])
  expect(quotas(['child', 'teen'])).toEqual(['playback.skip 20/3600000'])
  expect(quotas(['child', 'free'])).toEqual([])
  expect(quotas(['child', 'reader'])).toHaveLength(2)
  expect(quotas(['child', 'weekend'])).toHaveLength(2)
  expect(quotas(['child', 'weekend'], saturday)).toEqual([])
  expect(quotasAt(policy, { kind: 'anonymous', from: '::1' }, 'home', friday)).toEqual([])
})

test('a rate that a role and a ceiling have in common is one bucket, drawn once', () => {
  expect(budgets(user(['slow'], [['slow']]), 'status.read')).toEqual(['* 60/60000 roles.slow.rates.*'])
  expect(budgets(user(['slow'], [['fast']]), 'status.read')).toHaveLength(2)
})
