import { fileURLToPath } from 'node:url'
import { describe, expect, inject, test } from 'vitest'
import { run } from './tools.ts'

const script = fileURLToPath(new URL('../../bench/run.ts', import.meta.url))

/** The shortest run that asks everybody everything. */
const env = { ...process.env, BENCH_ROUNDS: '1', BENCH_MS: '100', BENCH_CONNECTIONS: '4' }

/** The report's tables by the lines above them, each as its rows by their first column. */
function tablesOf(report: string): Map<string, Map<string, readonly string[]>> {
  const tables = new Map<string, Map<string, readonly string[]>>()
  let title = ''
  for (const line of report.split('\n')) {
    const [, name = '', ...cells] = line.split('|').map((cell) => cell.trim())
    if (/^[\w-]+: /.test(line)) title = line
    if (!line.startsWith('|') || name === '' || name.startsWith('-')) continue
    tables.set(title, (tables.get(title) ?? new Map()).set(name, cells.slice(0, -1)))
  }
  return tables
}

const around = ['direct, no TLS', 'stunnel', 'HAProxy', 'Stagedoor']

/** What is asked of whom, as the titles begin. */
const expected: Readonly<Record<string, readonly string[]>> = {
  'Mopidy: core.playback.get_state over HTTP, 4 connections': ['direct, no TLS', 'Stagedoor', 'nginx'],
  'MPD: status, the same question from all, 4 connections': around,
  'MPD: status, the same question from all, 4 connections, 50 at a time': around,
  'MPD: playlistinfo N, from each client another, 4 connections': around,
  'MPD: playlistinfo N, from each client another, 4 connections, 50 at a time': around,
  'MPD: ping, 4 connections': around,
  'MPD: ping, 4 connections, 50 at a time': around,
  'MPD: albumart in pieces of 8 KiB, 8 connections': around,
  'MPD: albumart in pieces of 1024 KiB, 8 connections': around,
  'Mopidy: status, the same question from all, 4 connections': around,
  'Mopidy: status, the same question from all, 4 connections, 50 at a time': around,
  'Mopidy: playlistinfo N, from each client another, 4 connections': around,
  'Mopidy: playlistinfo N, from each client another, 4 connections, 50 at a time': around,
  'Mopidy: ping, 4 connections': around,
  'Mopidy: ping, 4 connections, 50 at a time': around,
  'Mopidy: 4 clients in idle, a setvol wakes them all': around,
  'Mopidy: 4 WebSocket clients hear of one change of the volume': ['direct, no TLS', 'HAProxy', 'Stagedoor'],
  'go-librespot: 4 WebSocket clients hear of one change of the volume': ['direct, no TLS', 'HAProxy', 'Stagedoor'],
  'decide: one decision with all constraints': ['1 grant', '10 grants', '100 grants'],
}

describe.skipIf(!inject('real').available)('the benchmark', () => {
  test('asks everybody everything, and each answers', async () => {
    const { status, stdout, stderr } = await run(process.execPath, [script], { timeout: 150_000, env })
    expect(stderr).toBe('')
    expect(status).toBe(0)
    expect(stdout).not.toContain('LEFT OUT')

    const tables = [...tablesOf(stdout)].map(([title, rows]) => [title.replace(/ \(.*/, ''), rows] as const)
    expect(tables.map(([title]) => title).toSorted()).toEqual(Object.keys(expected).toSorted())
    for (const [title, rows] of tables) {
      expect([title, ...rows.keys()]).toEqual([title, ...(expected[title] ?? [])])
      // A figure in each cell; a direct connection has nobody in the middle.
      for (const cells of rows.values())
        expect(cells.join(' ')).toMatch(/^(?:\d+(?:\.\d+)?|–)(?: (?:\d+(?:\.\d+)?|–))+$/)
      for (const [first = ''] of rows.values()) expect(first).toMatch(/^\d/)
    }
  }, 180_000)

  test('a part that there is not is named, and nothing is started', async () => {
    const { status, stderr } = await run(process.execPath, [script, 'mdp'])
    expect(stderr).toBe('no such part: mdp; there are: http, mpd, crowd, events, decide\n')
    expect(status).toBe(2)
  })
})
