import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { createCall, type Request, type User } from '../../src/call/call.ts'
import { Fault } from '../../src/call/fault.ts'
import type { Known } from '../../src/call/known.ts'
import { readConfig } from '../../src/config/load.ts'
import type { AuditRecord } from '../../src/gate/audit.ts'
import { createGate } from '../../src/gate/gate.ts'
import { createLimiter } from '../../src/gate/limiter.ts'
import { compile } from '../../src/policy/policy.ts'
import { decode as decodeRpc } from '../../src/protocol/jsonrpc/decode.ts'
import { mopidy } from '../../src/protocol/mopidy/catalog.ts'
import { decode as decodeMpd } from '../../src/protocol/mpd/decode.ts'
import { tokenize } from '../../src/protocol/mpd/token.ts'
import { resolve } from '../../src/protocol/resolve.ts'

/** The examples of docs/policy.md: each a block of YAML and the table of what comes of it. */
const [, chapter = ''] = readFileSync('docs/policy.md', 'utf8').split(/^## Examples$/m)
const [section = ''] = chapter.split(/^## /m)
const examples = section
  .split(/^### /m)
  .slice(1)
  .map((text) => {
    const [, yaml = ''] = /^```yaml\n([\s\S]*?)^```$/m.exec(text) ?? []
    const rows = text.split('\n').filter((line) => line.startsWith('| '))
    return { name: text.slice(0, text.indexOf('\n')), yaml, rows: rows.slice(1).map(cells) }
  })

function cells(line: string) {
  const all = line.split('|').map((cell) => cell.trim())
  const [, who = '', door = '', command = '', when = '', player = '', given = '', answer = ''] = all
  return { who, door, command: command.replaceAll('`', ''), when, player, given, answer }
}
type Row = ReturnType<typeof cells>

const players = ['home', 'office', 'living-room', 'kids-room', 'kitchen', 'bar']
const head = `zone: Europe/Berlin
players:
${players.map((name) => `  ${name}: { kind: mopidy, http: "http://127.0.0.1:6680", mpd: "127.0.0.1:6600" }`).join('\n')}
`
const days = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday']

function timeOf(when: string): number {
  const [day = '', time = ''] = when.split(' ')
  const date = Temporal.PlainDate.from('2026-01-05').add({ days: days.indexOf(day) })
  return Temporal.PlainDateTime.from(`${date}T${time}`).toZonedDateTime('Europe/Berlin').epochMilliseconds
}

function requestOf({ door, command }: Row): Request {
  if (door === 'mpd') return decodeMpd(tokenize(new TextEncoder().encode(command)))
  const [method, ...params] = command.split(' ')
  return decodeRpc(mopidy, {
    jsonrpc: '2.0',
    id: 1,
    method,
    ...(params.length > 0 && { params: JSON.parse(params.join(' ')) }),
  })
}

/** What was looked up, as a row has it: `volume 39`, `queue: kid, parent`, `queue of 25 by kid`. */
function knownOf({ given }: Row): Known {
  const volume = /volume (\d+)/.exec(given)?.[1]
  const names = /queue: ([a-z, ]+)/.exec(given)?.[1]?.split(', ')
  const [, count, owner = 'another'] = /queue of (\d+)(?: by ([a-z]+))?/.exec(given) ?? []
  const owners = names ?? (count === undefined ? undefined : Array.from({ length: Number(count) }, () => owner))
  return {
    ...(volume !== undefined && { volume: Number(volume) }),
    ...(owners && { queue: { entries: owners.map((owner, i) => ({ id: i + 1, owner })) } }),
  }
}

function answerTo(yaml: string, row: Row): string {
  const { config, problems } = readConfig(`${head}${yaml}`, 'policy.md', { env: {}, read: () => '' })
  if (!config) throw new Error(problems.map(({ path, what, fix }) => `${path}: ${what}; ${fix}`).join('\n'))
  const policy = compile(config.roles, { zone: config.zone })
  expect([...policy.roles.keys()]).toContain(row.who)
  const records: AuditRecord[] = []
  const gate = createGate({
    policy: () => policy,
    limiter: createLimiter(),
    audit: { write: (record) => records.push(record) },
  })
  const at = timeOf(row.when)
  const by: User = {
    kind: 'user',
    id: row.who,
    name: row.who,
    roles: [row.who],
    session: 's',
    until: at + 1,
    from: '::1',
  }
  const known = knownOf(row)
  const asked = requestOf(row)
  const scale = gate.volumeScale(by, row.player, at)
  const request = known.volume === undefined ? asked : resolve(asked, known.volume, scale)
  const call = createCall({ id: 'r', by, door: 'cli', player: row.player, at }, request, known)
  const before = Number(/(\d+) before/.exec(row.given)?.[1] ?? 0)
  try {
    for (let i = 0; i < before; i++) gate.admit(call)
    const { call: going, observed } = gate.admit(call)
    if (observed) return `allowed; observed: ${records.at(-1)?.says}`
    return going.args === call.args ? 'allowed' : `allowed, volume ${going.touches.volume}`
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    return `denied: ${error.message}`
  }
}

test('there are examples for a family, a flat-share, a party, a shop and an office', () => {
  const names = ['Family', 'Flat-share', 'Party', 'Shop', 'Office', 'All of it at once']
  expect(examples.map(({ name }) => name)).toEqual(names)
  for (const { rows } of examples) expect(rows.length).toBeGreaterThan(6)
})

describe.each(examples)('$name', ({ yaml, rows }) => {
  test.each(rows)('$who · $command at $player, $when, $given: $answer', (row) => {
    expect(answerTo(yaml, row)).toBe(row.answer)
  })
})
