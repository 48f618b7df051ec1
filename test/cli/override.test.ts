import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, it } from 'vitest'
import { run as override } from '../../src/cli/override.ts'
import { createHouse } from '../identity/house.ts'
import { createShell } from './house.ts'

const hour = 3_600_000

/** It is 20:00 in Berlin, on a Thursday. */
function createHome() {
  const shell = createShell()
  writeFileSync(shell.file, `zone: Europe/Berlin\n${readFileSync(shell.file, 'utf8')}`)
  const { accounts } = createHouse({ dir: shell.data })
  const ben = accounts.create({ name: 'Ben', roles: ['guest'], password: 'x' })
  shell.clock.now = Date.UTC(2026, 0, 1, 19)
  const records = () => {
    const db = new DatabaseSync(join(shell.data, 'audit.sqlite'))
    const rows = db.prepare('SELECT kind, account, address, outcome FROM sign_in ORDER BY id').all()
    db.close()
    return rows.map((row) => ({ ...row }))
  }
  // What another process wrote is there at the next poll; here, at once.
  const overrides = () => createHouse({ dir: shell.data }).accounts.overrides()
  return { ...shell, ben, records, overrides }
}

it('lifts the hours of an account until a time of day, and says so in the audit', async () => {
  const { run, clock, ben, records, overrides } = createHome()
  const said = 'Ben (account): hours do not bind until'
  expect(await run(override, 'add ben --until 22:30')).toMatchObject({ status: 0, out: `${said} 22:30` })
  expect(overrides()).toEqual([{ who: ben.id, from: clock.now, until: clock.now + 2.5 * hour }])
  expect(records()).toEqual([
    { kind: 'override', account: ben.id, address: 'this machine', outcome: `${said} 2026-01-01T21:30:00.000Z` },
  ])
})

it('of a role, at one player, for a while; a second one takes the place of the first', async () => {
  const { run, clock, records, overrides } = createHome()
  await run(override, 'add guest --for 90m --player attic')
  expect(overrides()).toEqual([{ who: 'guest', player: 'attic', from: clock.now, until: clock.now + 1.5 * hour }])
  expect((await run(override, 'add guest --for 6h --player attic')).out).toBe(
    'guest (role): hours do not bind at attic until Friday 02:00',
  )
  expect(overrides()).toHaveLength(1)
  await run(override, 'add guest --for 1h')
  expect(overrides()).toHaveLength(2)
  expect(records()).toHaveLength(3)
})

it.each([
  ['20:00', 24 * hour, 'Friday 20:00'],
  ['19:59', 24 * hour - 60_000, 'Friday 19:59'],
  ['20:01', 60_000, '20:01'],
  ['00:00', 4 * hour, 'Friday 00:00'],
])('until %s is the next time that the clock shows it', async (time, length, said) => {
  const { run, clock, overrides } = createHome()
  expect((await run(override, `add ben --until ${time}`)).out).toBe(`Ben (account): hours do not bind until ${said}`)
  expect(overrides()[0]?.until).toBe(clock.now + length)
})

it.each([
  ['2026-03-28T22:00+01:00', '03:00', 4],
  ['2026-10-24T22:00+02:00', '03:00', 6],
  ['2026-10-24T22:00+02:00', '21:59', 24 + 59 / 60],
] as const)('%s · until %s, with the clock being changed: %d hours', async (now, time, hours) => {
  const { run, clock, overrides } = createHome()
  clock.now = Date.parse(now)
  expect((await run(override, `add ben --until ${time}`)).status).toBe(0)
  expect(overrides()[0]?.until).toBe(clock.now + hours * hour)
})

it('lists those in force, for people and for programs', async () => {
  const { run, clock } = createHome()
  await run(override, 'add ben --for 1h')
  await run(override, 'add guest --until 23:00 --player home')
  const { out } = await run(override, 'list')
  expect(out.split('\n').map((line) => line.split(/ +/))).toEqual([
    ['WHO', 'KIND', 'PLAYER', 'UNTIL'],
    ['Ben', 'account', '-', '21:00'],
    ['guest', 'role', 'home', '23:00'],
  ])
  expect(JSON.parse((await run(override, 'list --json')).out)).toEqual([
    { who: 'Ben', kind: 'account', player: null, until: clock.now + hour },
    { who: 'guest', kind: 'role', player: 'home', until: clock.now + 3 * hour },
  ])
  clock.now += hour
  expect((await run(override, 'list')).out).not.toContain('Ben')
  clock.now -= 2 * hour
  expect(JSON.parse((await run(override, 'list --json')).out), 'a clock that was set back').toEqual([])
})

it('ends one, or all of somebody', async () => {
  const { run, records, overrides } = createHome()
  for (const where of ['', ' --player home', ' --player attic']) await run(override, `add ben --for 1h${where}`)
  await run(override, 'add guest --for 1h')
  expect((await run(override, 'remove ben --player home')).out).toBe('Ben (account): hours bind again at home')
  expect(overrides()).toHaveLength(3)
  expect((await run(override, 'remove BEN')).out).toBe('Ben (account): hours bind again')
  expect(overrides().map(({ who }) => who)).toEqual(['guest'])
  expect((await run(override, 'remove ben')).out).toBe('Ben (account): hours bind anyway')
  expect(
    records()
      .slice(4)
      .map(({ outcome }) => outcome),
  ).toEqual(['Ben (account): hours bind again at home', 'Ben (account): hours bind again'])
})

it.each([
  ['add bem --for 1h', 'neither an account nor a role: "bem"; did you mean "Ben"?'],
  ['add gest --for 1h', 'did you mean "guest"?'],
  ['add constructor --for 1h', 'neither an account nor a role'],
  ['add ben --for 1h --player attick', 'no player "attick" in the configuration: did you mean "attic"?'],
  ['remove nobody', 'neither an account nor a role'],
])('refused, with the reason: override %s', async (line, reason) => {
  const { run, overrides } = createHome()
  const { status, out, err } = await run(override, line)
  expect([status, out]).toEqual([1, ''])
  expect(err).toContain(reason)
  expect(overrides()).toEqual([])
})

it.each([
  ...['', 'ad ben --for 1h', 'add --for 1h', 'add ben', 'add ben --for 1h --until 22:30', 'add ben guest --for 1h'],
  ...['add ben --for 0m', 'add ben --for 90', 'add ben --for 1d', 'add ben --for 26h', 'add ben --for 9999m'],
  ...['add ben --until 7:00', 'add ben --until 24:00', 'add ben --until 2026-01-01T22:30', 'list ben', 'remove'],
])('wrong usage: override %s', async (line) => {
  const { run, overrides } = createHome()
  const { status, err } = await run(override, line)
  expect(status).toBe(2)
  expect(err).toContain('stagedoor override add WHO')
  expect(overrides()).toEqual([])
})

it('what cannot be written down does not happen', async () => {
  const { run, data, overrides } = createHome()
  expect((await run(override, 'add guest --for 1h')).status).toBe(0)
  const held = new DatabaseSync(join(data, 'audit.sqlite'))
  held.exec('BEGIN IMMEDIATE')
  const { status, err } = await run(override, 'add ben --for 1h')
  held.close()
  expect(status).toBe(1)
  expect(err).toMatch(/audit.*(?:locked by another process|cannot be written)/)
  expect(overrides()).toHaveLength(1)
})
