import { expect, test } from 'vitest'
import { createCall, type User } from '../../../src/call/call.ts'
import { createGate } from '../../../src/gate/gate.ts'
import { createLimiter } from '../../../src/gate/limiter.ts'
import { createOpenings } from '../../../src/listen/web/opening.ts'
import { compile } from '../../../src/policy/policy.ts'
import { webFiles } from '../../../src/protocol/web/files.ts'

const eight = Date.parse('2026-03-10T20:00:00Z')
const by: User = {
  kind: 'user',
  id: 'u',
  name: 'kim',
  roles: ['kid'],
  session: 's',
  until: Number.MAX_SAFE_INTEGER,
  from: '::1',
}

test('a client that is open is judged for each file, and recorded once a minute', () => {
  const policy = compile({ kid: { grants: [{ allow: ['*'], when: { hours: '07:00-20:00' } }] } }, { zone: 'UTC' })
  const records: unknown[] = []
  const gate = createGate({
    policy: () => policy,
    limiter: createLimiter(),
    audit: { write: (record) => records.push(record) },
  })
  const openings = createOpenings({ gate })
  const [operation] = Object.values(webFiles)
  if (!operation) throw new Error('no web client has files')
  const look = (at: number) =>
    openings.open(createCall({ id: 'r', by, door: 'http', player: 'home', at }, { operation, args: {} }), by)

  look(eight - 20_000)
  look(eight - 1)
  expect(records).toHaveLength(1)
  expect(() => look(eight)).toThrow('hours 07:00-20:00')
})
