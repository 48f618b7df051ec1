import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { run as reload } from '../../src/cli/reload.ts'
import { openControl } from '../../src/listen/control.ts'
import { createShell } from './house.ts'

/** A shell beside a gateway that answers so. */
async function openHouse(answer: object) {
  const shell = createShell()
  let asked = 0
  const word = async () => {
    asked++
    return { file: resolve(shell.file), problems: [], changes: [], ...answer }
  }
  const control = await openControl({ path: join(shell.data, 'control.sock'), words: new Map([['reload', word]]) })
  onTestFinished(() => control.close())
  return { shell, asked: () => asked }
}

describe('stagedoor reload', () => {
  test('says what is in force now, and what waits', async () => {
    const { shell } = await openHouse({
      changes: [
        { path: 'listen.https.port', takes: 'restart' },
        { path: 'listen.mpd.timeout', takes: 'new connections' },
        { path: 'roles.kid', takes: 'live' },
        { path: 'log.level', takes: 'live' },
      ],
    })
    expect(await shell.run(reload, '')).toEqual({
      status: 0,
      out: 'in force now: roles.kid, log.level\nfor new connections from now on: listen.mpd.timeout\nwaiting for a restart: listen.https.port',
      err: '',
    })
  })

  test('says when the gateway was quicker', async () => {
    const { shell } = await openHouse({})
    expect(await shell.run(reload, '')).toMatchObject({ status: 0, out: 'all of it was in force already' })
    const other = await openHouse({ changes: [{ path: 'players.home', takes: 'restart' }] })
    expect(await other.shell.run(reload, '')).toMatchObject({
      status: 0,
      out: 'waiting for a restart: players.home\nall else was in force already',
    })
  })

  test('with problems: every one as `check` has it, and the gateway is not even asked', async () => {
    const { shell, asked } = await openHouse({})
    writeFileSync(shell.file, 'players: { home: { kind: mpd } }\nroles: {}\nlog: { level: loud }\n')
    const { status, out, err } = await shell.run(reload, '')
    expect(status).toBe(1)
    expect(out.split('\n')).toHaveLength(3)
    expect(out).toContain(`${shell.file}:3:15: log.level: unknown: "loud"`)
    expect(err).toBe('the configuration is invalid: the one before stays in force')
    expect(asked()).toBe(0)
  })

  test('with problems that only the gateway has: the same', async () => {
    const problem = {
      file: 'c.yaml',
      line: 3,
      column: 1,
      path: 'zone',
      what: 'the variable Z is not set',
      fix: 'set it',
    }
    const { shell } = await openHouse({ problems: [problem] })
    const { status, out } = await shell.run(reload, '')
    expect([status, out]).toEqual([1, 'c.yaml:3:1: zone: the variable Z is not set; set it'])
  })

  test('tells of a gateway that reads another file', async () => {
    const { shell } = await openHouse({ file: '/etc/stagedoor.yaml' })
    const { status, err } = await shell.run(reload, '')
    expect(status).toBe(1)
    expect(err).toContain('the gateway reads /etc/stagedoor.yaml')
  })

  test('says so when no gateway runs, also where one was killed', async () => {
    const shell = createShell()
    const { status, out, err } = await shell.run(reload, '')
    expect([status, out]).toEqual([1, ''])
    expect(err).toContain(`no gateway runs with ${shell.data}: it will be read at the next start`)
    mkdirSync(shell.data)
    writeFileSync(join(shell.data, 'control.sock'), '')
    expect((await shell.run(reload, '')).err).toContain('no gateway runs')
  })

  test('says so when what listens there does not answer', async () => {
    const shell = createShell()
    mkdirSync(shell.data)
    const mute = createServer((socket) => socket.destroy()).listen(join(shell.data, 'control.sock'))
    onTestFinished(() => void mute.close())
    const { status, err } = await shell.run(reload, '')
    expect(status).toBe(1)
    expect(err).toContain('the gateway did not answer')
  })

  test('for programs in JSON', async () => {
    const { shell } = await openHouse({ changes: [{ path: 'zone', takes: 'live' }] })
    const { status, out } = await shell.run(reload, '--json')
    expect(status).toBe(0)
    expect(JSON.parse(out)).toEqual({
      file: resolve(shell.file),
      problems: [],
      changes: [{ path: 'zone', takes: 'live' }],
    })
  })

  test.each(['now', '--file x'])('takes no argument: %s', async (line) => {
    expect((await createShell().run(reload, line)).status).toBe(2)
  })
})
