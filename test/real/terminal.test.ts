import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest'
import { type Gateway, startGateway } from './gateway.ts'
import { tunes } from './library.ts'
import { type Mpd, startMpd } from './mpd.ts'
import { snippetsFor } from './snippet.ts'
import { openTerminal, type Terminal } from './terminal.ts'
import { run, startTap, startTunnel, type Tap, type Tunnel, until } from './tools.ts'

const people = { mia: 'member', gus: 'guest' } as const

/** The two clients: their settings as we tell people to write them, and their keys. */
const programs = {
  ncmpcpp: {
    settings: { file: '.config/ncmpcpp/config', mark: 'mpd_host' },
    keys: { play: 'Enter', pause: 'p', louder: '+', next: '>', clear: ['c', 'y'] },
  },
  ncmpc: {
    settings: { file: '.config/ncmpc/config', mark: 'password = ' },
    keys: { play: 'Enter', pause: 'P', louder: '+', next: '>', clear: ['c'] },
  },
} as const

describe.skipIf(!inject('real').available)('in a terminal, in front of a real MPD', () => {
  let mpd: Mpd
  let gateway: Gateway
  let tunnel: Tunnel
  const tokens: Record<string, string> = {}
  const direct = async (...args: string[]) =>
    (await run('mpc', ['--host=127.0.0.1', `--port=${mpd.port}`, ...args])).stdout
  const state = () => direct('status', '%state%').then((text) => text.trim())
  const volume = () => direct('status', '%volume%').then((text) => Number.parseInt(text, 10))
  const queue = () => direct('-f', '%file%', 'playlist')

  beforeAll(async () => {
    mpd = await startMpd()
    gateway = await startGateway({
      players: { home: { kind: 'mpd', mpd: mpd.mpd } },
      users: people,
      change: (config) => {
        for (const role of Object.values(config.roles)) delete role.rates
      },
    })
    for (const who of Object.keys(people)) tokens[who] = gateway.token(who)
    tunnel = await startTunnel({ host: '127.0.0.1', port: gateway.mpd, ca: gateway.caFile })
    await until(async () => (await gateway.http('/readyz')).status === 200)
  })
  afterAll(async () => {
    await tunnel?.close()
    await gateway?.stop()
    await mpd?.stop()
  })

  describe.each(Object.entries(programs))('%s', (name, { settings, keys }) => {
    let home: string
    let tap: Tap
    let terminal: Terminal

    /** Opens it for somebody, set up as mpd-help says. */
    async function open(who: keyof typeof people): Promise<void> {
      const snippet = await snippetsFor(gateway, name, '--local', String(tap.port))
      const file = join(home, settings.file)
      mkdirSync(join(file, '..'), { recursive: true })
      writeFileSync(file, snippet('ini', settings.mark).replace('sd1_…', tokens[who] ?? ''))
      terminal = await openTerminal([name], { home })
    }

    beforeEach(async () => {
      await direct('clear')
      await direct('add', 'Anna Ring')
      await direct('volume', '50')
      home = mkdtempSync(join(tmpdir(), 'stagedoor-home-'))
      // What it says is seen on its way into the tunnel.
      tap = await startTap('127.0.0.1', tunnel.port)
    })
    afterEach(async () => {
      await terminal?.close()
      await tap?.close()
      rmSync(home, { recursive: true, force: true })
    })

    const said = (what: RegExp) => tap.bytes().toString().match(what)?.length ?? 0

    test('a member: the queue is there; play, pause, louder, next arrive', async () => {
      await open('mia')
      for (const { title } of tunes.slice(0, 4)) await terminal.shows(title)
      await terminal.press(keys.play)
      await until(async () => (await state()) === 'playing')
      await terminal.press(keys.pause)
      await until(async () => (await state()) === 'paused')
      await terminal.press(keys.pause)
      await until(async () => (await state()) === 'playing')
      await terminal.press(keys.louder)
      await until(async () => (await volume()) > 50)
      await terminal.press(keys.next)
      await until(async () => (await direct('current')).includes('Noon'))
      await terminal.shows(/Noon/)
    })

    test('what others change shows, again and again, on one connection', async () => {
      await open('mia')
      await terminal.shows(tunes[0]?.title ?? '')
      await direct('add', tunes[8]?.path ?? '')
      await terminal.shows(tunes[8]?.title ?? '')
      for (let level = 20; level < 50; level++) {
        await direct('volume', String(level))
        await terminal.shows(new RegExp(`Volume:? +${level}%`))
        if (level % 3 === 0) {
          await terminal.press(keys.louder)
          await until(async () => (await volume()) > level)
        }
      }
      expect(await terminal.isRunning()).toBe(true)
      // One sign-in is one connection.
      expect(said(/^password /gm)).toBe(1)
      expect(said(/^idle\b/gm)).toBeGreaterThan(30)
      expect(said(/^noidle$/gm)).toBeGreaterThan(0)
    })

    test('a guest: sees; for what is not theirs it asks for a password, and another token is one', async () => {
      await open('gus')
      await terminal.shows(tunes[0]?.title ?? '')
      const before = await queue()
      await terminal.press(...keys.clear)
      await terminal.shows('Password:') // both say so of MPD's permission error
      expect(await queue()).toBe(before)
      await terminal.press('-l', tokens.mia ?? '')
      await terminal.press('Enter')
      await terminal.shows(/^(?![\s\S]*Password:)/)
      expect(await queue()).toBe(before)
      await terminal.press(...keys.clear)
      await until(async () => (await queue()) === '')
      expect(await terminal.isRunning()).toBe(true)
    })
  })
})
