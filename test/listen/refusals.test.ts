import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { createCall, type Principal, type User } from '../../src/call/call.ts'
import { Fault } from '../../src/call/fault.ts'
import type { AuditRecord } from '../../src/gate/audit.ts'
import { createGate } from '../../src/gate/gate.ts'
import { createLimiter } from '../../src/gate/limiter.ts'
import { headersOf, problem } from '../../src/listen/problem.ts'
import { compile } from '../../src/policy/policy.ts'
import { rpcError } from '../../src/protocol/jsonrpc/error.ts'
import { ack } from '../../src/protocol/mpd/ack.ts'
import { decode } from '../../src/protocol/mpd/decode.ts'
import { tokenize } from '../../src/protocol/mpd/token.ts'

const at = Date.parse('2026-01-09T20:30:00Z') // a Friday, half past nine in the evening in Berlin

const policy = compile(
  {
    kid: {
      grants: [
        { allow: ['status.read'], when: { hours: ['mon-fri 07:00-20:00'] } },
        { allow: ['volume.set'], when: { maxVolume: { max: { '07:00': 60, '20:00': 40 } } } },
        { allow: ['queue.add'], when: { uriSchemes: ['local', 'spotify'] } },
        { allow: ['playback.control', 'playback.skip'] },
      ],
      rates: { 'playback.control': '3/1h' },
      quotas: { 'playback.skip': '2/1h' },
    },
    owner: { grants: [{ allow: ['*'] }] },
  },
  { zone: 'Europe/Berlin' },
)

const kim: User = { kind: 'user', id: 'u1', name: 'kim', roles: ['kid'], session: 's', until: at + 1, from: '::1' }
const nobody: Principal = { kind: 'anonymous', from: '::1' }

/** What somebody is told who sends these lines one after the other; the last is the one that is refused. */
function refuse(by: Principal, ...lines: readonly string[]) {
  const records: AuditRecord[] = []
  const gate = createGate({
    policy: () => policy,
    limiter: createLimiter(),
    audit: { write: (record) => records.push(record) },
  })
  for (const line of lines) {
    const request = decode(tokenize(new TextEncoder().encode(line)))
    try {
      gate.admit(createCall({ id: 'r1', by, door: 'mpd', player: 'home', at }, request))
    } catch (error) {
      if (error instanceof Fault) return { fault: error, record: records.at(-1) as AuditRecord }
      throw error
    }
  }
  throw new Error('let through')
}

const hour = (text: string) => `2026-01-${text}:00.000Z`

/** Why, who and what; the sentence, the rule, and when it may be otherwise. */
type Row = readonly [
  why: string,
  by: Principal,
  lines: readonly string[],
  sentence: string,
  rule?: string,
  until?: string,
]
const rows: readonly Row[] = [
  ['nobody has signed in', nobody, ['status'], 'sign in first'],
  ['the sign-in is over', { ...kim, until: at }, ['play'], 'the sign-in has ended: sign in again'],
  ['nothing grants it', kim, ['clear'], 'not allowed: queue.clear (empty the queue) is not granted to kid at home'],
  [
    'nothing grants it to the token',
    { ...kim, roles: ['owner'], ceilings: [['kid']] },
    ['clear'],
    'not allowed: queue.clear (empty the queue) is not granted by this door or token at home',
  ],
  [
    'it is too loud for the hour',
    kim,
    ['setvol 50'],
    'not allowed: maxVolume 40 until Saturday 07:00',
    'roles.kid.grants[1].when.maxVolume',
    hour('10T06:00'),
  ],
  [
    'it is not the time',
    kim,
    ['status'],
    'not allowed: hours mon-fri 07:00-20:00, again from Monday 07:00',
    'roles.kid.grants[0].when.hours',
    hour('12T06:00'),
  ],
  [
    'it is another kind of address',
    kim,
    ['add "tunein:station:s1"'],
    'not allowed: uriSchemes local, spotify',
    'roles.kid.grants[2].when.uriSchemes',
  ],
  [
    'nobody can tell what it would do',
    kim,
    ['load "mine"'],
    'not allowed: uriSchemes local, spotify, and what this would do cannot be known',
    'roles.kid.grants[2].when.uriSchemes',
  ],
  [
    'it is too often',
    kim,
    ['pause 1', 'pause 0', 'pause 1', 'pause 0'],
    'too many calls: not more than 3 playback.control in 1 h, again at 21:50',
    'roles.kid.rates.playback.control',
    hour('09T20:50'),
  ],
  [
    'the quota is spent',
    kim,
    ['next', 'next', 'next'],
    'not more than 2 playback.skip in 1 h: again at 22:30',
    'roles.kid.quotas.playback.skip',
    hour('09T21:30'),
  ],
]

describe.for(rows)('when %s', ([, by, lines, sentence, rule, until]) => {
  const { fault, record } = refuse(by, ...lines)
  const { code, details } = fault
  const command = lines.at(-1)?.split(' ')[0] ?? ''

  test('the sentence names the rule and until when', () => {
    expect(fault.message).toBe(sentence)
    expect(details.rule).toBe(rule)
    expect(details.until === undefined ? undefined : new Date(details.until).toISOString()).toBe(until)
  })

  test('MPD says it in its own error', () => {
    const line = ack(fault, command)
    expect(line.startsWith(`ACK [${code === 'limited' ? 52 : 4}@0] {${command}} `)).toBe(true)
    expect(line.endsWith(`${sentence}\n`)).toBe(true)
  })

  test('JSON-RPC says it, and when as data', () => {
    const { error } = rpcError(fault, 1, 'r1')
    expect(error.message).toBe(sentence)
    expect(error.data).toMatchObject({ code, ...(rule && { rule }), ...(until && { until }) })
    expect('until' in error.data).toBe(until !== undefined)
  })

  test('HTTP says it, and when as data', () => {
    const answer = problem(fault, 'r1')
    expect(answer).toMatchObject({ detail: sentence, code, ...(rule && { rule }), ...(until && { until }) })
    expect('until' in answer).toBe(until !== undefined)
    if (code === 'limited') expect(headersOf(fault)['retry-after']).toBe(`${details.retryAfter}`)
  })

  test('the audit keeps it', () => {
    expect(record).toMatchObject({ says: sentence, rule: rule ?? null })
    expect(record.outcome).not.toBe('allowed')
  })
})

test('a refusal for everybody says why', () => {
  const { fault } = refuse({ ...kim, roles: ['owner'] }, 'newpartition x')
  expect(fault.message).toMatch(/^not offered here: [a-z]/)
})

test('the page shows the sentence', () => {
  const page = readFileSync('web/page.js', 'utf8')
  expect(page).toContain('new Error(answer.detail ')
  expect(page).toContain('say(error.message)')
})
