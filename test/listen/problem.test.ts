import { expect, test } from 'vitest'
import { Fault, faultCodes } from '../../src/call/fault.ts'
import { HttpFault, headersOf, problem, statusOf } from '../../src/listen/problem.ts'

test('each fault code has its status', () => {
  expect(Object.fromEntries(faultCodes.map((code) => [code, statusOf(new Fault(code, 'x'))]))).toEqual({
    unparsable: 400,
    malformed: 400,
    'too-large': 413,
    'unknown-operation': 404,
    'bad-arguments': 400,
    unauthenticated: 401,
    'bad-credentials': 401,
    forbidden: 403,
    limited: 429,
    'player-unreachable': 502,
    'player-timeout': 504,
    internal: 500,
  })
})

test('a problem document says the code, the request and the rule, and nothing of the cause', () => {
  const fault = new Fault('forbidden', 'no', {
    capability: 'volume.set',
    rule: 'roles.kid',
    cause: new Error('secret'),
  })
  expect(problem(fault, 'r1')).toEqual({
    type: 'about:blank',
    title: 'Forbidden',
    status: 403,
    detail: 'no',
    code: 'forbidden',
    request_id: 'r1',
    capability: 'volume.set',
    rule: 'roles.kid',
  })
  expect(problem(new HttpFault(421, 'malformed', 'x'), 'r2')).toMatchObject({
    status: 421,
    title: 'Misdirected Request',
  })
})

test('401 says how to sign in, 429 says when to come back', () => {
  expect(headersOf(new Fault('unauthenticated', 'x'))).toEqual({ 'www-authenticate': 'Bearer realm="stagedoor"' })
  expect(headersOf(new Fault('bad-credentials', 'x'))['www-authenticate']).toContain('invalid_token')
  expect(headersOf(new Fault('limited', 'x', { retryAfter: 7 }))).toMatchObject({
    'retry-after': '7',
    'ratelimit-reset': '7',
  })
  expect(headersOf(new Fault('forbidden', 'x'))).toEqual({})
})

test('of a spent quota the fields say what it has, what is left, and when there is one more', () => {
  const until = Date.UTC(2030, 0, 1, 18, 40)
  const fault = new Fault('limited', 'x', { limit: 20, remaining: 3, reset: 60, retryAfter: 600, until })
  expect(headersOf(fault)).toEqual({
    'retry-after': '600',
    'ratelimit-limit': '20',
    'ratelimit-remaining': '3',
    'ratelimit-reset': '60',
  })
  expect(problem(fault, 'r1')).toMatchObject({ limit: 20, remaining: 3, reset: 60, until: '2030-01-01T18:40:00.000Z' })
})
