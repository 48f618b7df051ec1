import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, it } from 'vitest'
import { run as pair } from '../../src/cli/pair.ts'
import { createHouse } from '../identity/house.ts'
import { createShell } from './house.ts'

function createHome() {
  const shell = createShell()
  const players = `
  bath: { kind: librespot, zeroconf: "http://127.0.0.1:5355" }
  den: { kind: librespot, zeroconf: "http://127.0.0.1:5356", onevent: true }
  hall: { kind: librespot, onevent: true }
roles:`
  writeFileSync(shell.file, readFileSync(shell.file, 'utf8').replace('\nroles:', players))
  const records = () => {
    const db = new DatabaseSync(join(shell.data, 'audit.sqlite'))
    const rows = db.prepare('SELECT kind, account, address, outcome FROM sign_in ORDER BY id').all()
    db.close()
    return rows.map((row) => ({ ...row }))
  }
  return { ...shell, records }
}

it('opens pairing for two minutes, which a running gateway sees at once, and one request uses up', async () => {
  const { run, data, clock, records } = createHome()
  const { accounts } = createHouse({ dir: data })
  const { status, out } = await run(pair, 'bath')
  expect(status).toBe(0)
  expect(out).toMatch(/^bath can be paired until \d\d:\d\d:\d\d, by the first who asks$/)
  expect(accounts.pairing('bath')).toBe(clock.now + 120_000)
  expect(accounts.pairing('den'), 'not of another player').toBeUndefined()
  expect(accounts.takePairing('den')).toBe(false)
  expect([accounts.takePairing('bath'), accounts.takePairing('bath')]).toEqual([true, false])
  expect(records()).toEqual([
    { kind: 'pairing', account: null, address: 'this machine', outcome: 'bath: opened for 2 minutes' },
  ])
})

it('for as long as is said, and closes it again', async () => {
  const { run, data, clock, records } = createHome()
  const { accounts } = createHouse({ dir: data })
  await run(pair, 'bath --minutes 10')
  expect(accounts.pairing('bath')).toBe(clock.now + 600_000)
  expect(await run(pair, 'bath --close')).toMatchObject({ status: 0, out: 'bath can no longer be paired' })
  expect(accounts.takePairing('bath')).toBe(false)
  expect(await run(pair, 'bath --close')).toMatchObject({ status: 0, out: 'bath could not be paired anyway' })
  expect(records().map(({ outcome }) => outcome)).toEqual(['bath: opened for 10 minutes', 'bath: closed'])
})

it.each([
  ['home', 'home cannot be paired: here may stand bath or den'],
  ['hall', 'hall cannot be paired'],
  ['bat', 'no player "bat" in the configuration: did you mean "bath"?'],
  ['constructor', 'no player "constructor"'],
  ['__proto__', 'no player "__proto__"'],
  ['home --close', 'home cannot be paired'],
])('refused, with the reason: pair %s', async (line, reason) => {
  const { run } = createHome()
  const { status, out, err } = await run(pair, line)
  expect([status, out]).toEqual([1, ''])
  expect(err).toContain(reason)
})

it('refused where no player can be paired at all', async () => {
  const { run } = createShell()
  const { status, err } = await run(pair, 'home')
  expect(status).toBe(1)
  expect(err).toContain('that takes a player with `zeroconf:`')
})

it.each([
  ...['', 'bath den', 'bath --minutes 0', 'bath --minutes 11', 'bath --minutes 1.5', 'bath --minutes 02'],
  ...['bath --minutes -1', 'bath --minutes 1e1', 'bath --minuets 2', 'bath --minutes'],
])('wrong usage: pair %s', async (line) => {
  const { run } = createHome()
  const { status, err } = await run(pair, line)
  expect(status).toBe(2)
  expect(err).toContain('stagedoor pair PLAYER')
})

it('what cannot be written down does not happen', async () => {
  const { run, data } = createHome()
  const { accounts } = createHouse({ dir: data })
  expect((await run(pair, 'den')).status).toBe(0)
  const held = new DatabaseSync(join(data, 'audit.sqlite'))
  held.exec('BEGIN IMMEDIATE')
  const { status, err } = await run(pair, 'bath')
  held.close()
  expect(status).toBe(1)
  expect(err).toMatch(/audit.*(?:locked by another process|cannot be written)/)
  expect(accounts.pairing('bath')).toBeUndefined()
})
