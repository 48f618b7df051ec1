import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { isStream } from '../../../src/call/uri.ts'
import { commandsFor } from '../../../src/protocol/mpd/commands.ts'
import { commandOf } from '../../../src/protocol/mpd/decode.ts'
import { framing } from '../../../src/protocol/mpd/session.ts'
import { rows } from './arbitrary.ts'

const listed = (name: string) =>
  readFileSync(new URL(`../../corpus/mpd/${name}`, import.meta.url), 'utf8')
    .trim()
    .split('\n')
const known = new Set<string>([...rows.map(commandOf), ...framing])

test.each([
  ['commands-mpd-0.24.txt', 119],
  ['commands-mopidy-mpd-3.3.txt', 99],
])('every command of %s is in the catalog or is the session’s own', (file, count) => {
  const names = listed(file)
  expect(names).toHaveLength(count)
  expect(names.filter((name) => !known.has(name))).toEqual([])
})

test('the catalog holds nothing that no player has', () => {
  const real = new Set([...listed('commands-mpd-0.24.txt'), 'findaddpl'])
  expect([...known].filter((name) => !real.has(name))).toEqual([])
})

test('before signing in there is ping, close, password, commands and notcommands', () => {
  const open = rows.filter((row) => row.capability === 'anyone').map((row) => row.name)
  expect(open.sort()).toEqual(['close', 'commands', 'notcommands', 'password', 'ping'])
})

test('whatever takes an address shows it, is costly, and takes one network address at a time', () => {
  const taking = rows.filter((row) => 'uri' in row.params)
  expect(taking.length).toBeGreaterThan(13)
  for (const row of taking) {
    expect(row.params.uri?.facet, row.name).toBe('uri')
    expect(row.bounds, row.name).toEqual({ costly: true, streams: 1 })
  }
  expect(isStream('http://h/x')).toBe(true)
})

test('whatever searches is costly and shows the addresses it compares with', () => {
  for (const row of rows.filter((each) => 'match' in each.params)) {
    // What queues what it finds shows nothing, so that a limit on addresses refuses it
    expect(row.params.match?.facet, row.name).toBe(row.capability === 'queue.add' ? undefined : 'uri')
    if (row.capability !== 'queue.read') expect(row.bounds.costly, row.name).toBe(true)
  }
})

test('M11 · commands and notcommands share out every command, by what the person may', () => {
  const all = commandsFor(() => true)
  expect(all.notcommands).toEqual(['delpartition', 'moveoutput', 'newpartition'])
  expect(all.commands).not.toContain('sticker get')
  const few = commandsFor(({ capability }) => capability === 'anyone' || capability === 'library.read')
  expect(few.commands).toContain('sticker')
  expect(few.commands).not.toContain('setvol')
  expect(few.notcommands).toContain('setvol')
  expect([...few.commands, ...few.notcommands].sort()).toEqual([...all.commands, ...all.notcommands].sort())
})
