import { readdirSync, readFileSync, renameSync, statSync } from 'node:fs'
import { connect as connectTcp } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type ConnectionOptions, connect, createSecureContext } from 'node:tls'
import { expect } from 'vitest'
import { readConfig } from '../../src/config/load.ts'
import { startDemo } from '../../src/demo/player.ts'
import { until } from '../real/tools.ts'
import { ask, call, ended, knock, knockWs, openMpd, openWs, post } from './clients.ts'
import { openForge } from './forge.ts'
import { attack, heard, openHouse, password, root } from './harness.ts'
import { openProcess } from './process.ts'

attack('The platform', [
  {
    id: 'P1',
    attack: 'very many connections, of one address and of several',
    async run(house) {
      const flood = async (from: string, door: 'https' | 'mpd', count: number) =>
        Promise.all(Array.from({ length: count }, () => knock(house, door, from)))
      const one = house.address()
      const mine = (await Promise.all([flood(one, 'https', 100), flood(one, 'mpd', 100)])).flat()
      // 64 of each stay, and the others are gone at once.
      await until(() => mine.filter((socket) => socket.closed).length >= 72)
      const several = (await Promise.all([1, 2, 3].map(() => flood(house.address(), 'mpd', 60)))).flat()
      // 128 strangers are enough: the oldest make room for whoever comes to sign in.
      const mpd = await openMpd(house, house.kid)
      expect(await mpd.ask('status\n')).toMatch(/^volume:/)
      expect(await call(house, house.kid.token, 'core.playback.get_state')).toBe(0)
      expect(await knockWs(house, { token: house.kid.token })).toBe(101)
      mpd.close()
      const all = [...mine, ...several]
      for (const socket of all) socket.destroy()
      await Promise.all(all.map((socket) => ended(socket)))
    },
  },
  {
    id: 'P3',
    attack: 'the player dies in the middle of calls, and comes back',
    async run() {
      const first = await startDemo()
      const [http, mpd] = [new URL(first.http).port, first.mpd.split(':')[1]].map(Number)
      const house = await openHouse({
        people: 1,
        change: (config) => ({
          ...config,
          players: new Map([['home', { kind: 'mopidy', http: first.http, mpd: first.mpd }]]),
        }),
      })
      const { token } = house.owner
      const ws = await openWs(house, { token })
      const client = await openMpd(house, { token })
      expect(await client.ask('status\n')).toMatch(/^volume:/)
      first.faults.hang = true
      first.faults.only = /next|^next/
      const next = { jsonrpc: '2.0', id: 1, method: 'core.playback.next' }
      const waiting = [call(house, token, 'core.playback.next'), ws.rpc(next), client.ask('next\n')] as const
      await until(() => first.received.mpd.join().includes('next') && first.received.websocket.length >= 2)
      await first.close()
      expect(await waiting[0]).toBe(-32010)
      expect(await waiting[1]).toMatchObject({ error: { code: -32010 } })
      expect(await waiting[2]).toMatch(/^ACK \[52@0\] \{next\}/)
      expect((await ask(house, '/readyz')).status).toBe(503)
      expect((await ask(house, '/healthz')).status).toBe(200)
      expect(await call(house, token, 'core.playback.next')).toBe(-32010)

      const second = await startDemo({ httpPort: http ?? 0, mpdPort: mpd ?? 0 })
      await until(async () => (await ask(house, '/readyz')).status === 200)
      expect(await ws.rpc({ ...next, method: 'core.playback.get_state' })).toHaveProperty('result')
      await until(async () => (await client.ask('status\n')).startsWith('volume:'))
      // What was on its way is not done a second time: nobody knows whether it was done the first time.
      expect(heard({ ...house, demo: second }).filter((line) => line.includes('next'))).toEqual([])
      ws.close()
      client.close()
      await house.close()
      await second.close()
    },
  },
  {
    id: 'P5',
    attack: 'names, methods and addresses that would be lines of the log, or commands of a terminal',
    async run() {
      const house = await openProcess()
      try {
        const nasty = 'x\r\n{"level":30,"msg":"forged"}\u001b[2J\u2028\u0007"},{"'
        await ask(house, '/auth/login', { json: { username: nasty.slice(0, 60), password: 'x' } })
        await ask(house, `/${encodeURIComponent(nasty)}`, { headers: { 'user-agent': 'forged \u00ff' } })
        const method = (name: string, params: unknown = {}) =>
          JSON.stringify({ jsonrpc: '2.0', id: nasty.slice(0, 9), method: name, params })
        await post(house, house.token, method(nasty))
        await post(house, house.token, method('core.library.search', { query: { any: [nasty] } }))
        await post(house, house.token, method('core.playlists.create', { name: 'forged\u2028' }))
        await post(house, house.token, method('core.tracklist.add', { uris: [`local:${nasty}`] }))
        await post(house, house.token, method('core.tracklist.add', { uris: ['local:forged\u009b2J'] }))
        const mpd = await openMpd(house, { token: house.token })
        await mpd.ask('find title "forged\\"} {\\" %s"\n')
        mpd.close()
        await until(() => house.stdout().split('\n').length > 5)
      } finally {
        await house.close()
      }
      const records = house.stdout().split('\n').slice(0, -1)
      expect(records.length).toBeGreaterThan(3)
      for (const record of records) expect(JSON.parse(record).msg, record).not.toBe('forged')
      expect(house.stdout().replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}]/u)
    },
  },
  {
    id: 'P6',
    attack: 'secrets left behind: in the log, in answers, on disk',
    async run(house) {
      const forge = await openForge(house, house.owner)
      const typed = house.keep('my-password-in-the-wrong-field')
      await ask(house, '/auth/login', { json: { username: typed, password: typed } })
      await ask(house, '/auth/login', { body: `{"username":"${typed}","password":` })
      await ask(house, `/${typed}?password=${typed}`)
      await post(house, house.owner.token, `{"jsonrpc":"2.0","method":"${typed}","id":1}`)
      const mpd = await openMpd(house)
      expect(await mpd.ask(`password ${typed}\n`)).not.toContain(typed)
      expect(await mpd.ask(`password "${typed}\n`)).not.toContain(typed)
      mpd.close()
      const secrets = [forge.token, forge.refresh, house.owner.token, password, typed]
      const files = [house.data, house.certs].flatMap((dir) => readdirSync(dir).map((name) => join(dir, name)))
      expect(files.length).toBeGreaterThan(4)
      for (const file of files) {
        const bytes = readFileSync(file)
        for (const secret of secrets) expect(bytes.includes(secret), `${secret.slice(0, 6)}… in ${file}`).toBe(false)
      }
    },
  },
  {
    id: 'P7',
    attack: 'a call that leaves no record: a denied one, one of a batch, one of a list, a notification',
    reaches: [/^core\.mixer\.set_volume \{"volume":3\}$/, /^pause "0"$/, /^command_list_(begin|end)$/],
    async run(house) {
      const { token, id } = house.kid
      const set = (volume: number, more = '"id":1,') =>
        `{"jsonrpc":"2.0",${more}"method":"core.mixer.set_volume","params":{"volume":${volume}}}`
      await post(house, token, set(3))
      await post(house, token, set(90))
      await post(house, token, `[${set(3)},${set(91)},${set(92, '')}]`)
      const ws = await openWs(house, { token })
      await ws.say(set(93))
      ws.close()
      const mpd = await openMpd(house, { token })
      await mpd.ask('pause 0\n')
      await mpd.ask('clear\n')
      await mpd.ask('command_list_begin\npause 0\nclear\ncommand_list_end\n')
      mpd.close()
      const mine = house.log.filter((record) => record.account === id && record.msg === 'decision')
      const outcomes = mine.map(({ door, outcome }) => `${door} ${outcome}`)
      expect(outcomes.sort()).toEqual(
        [
          ...['http allowed', 'http denied', 'http allowed', 'http denied', 'http denied', 'websocket denied'],
          ...['mpd allowed', 'mpd denied', 'mpd dropped', 'mpd denied'],
        ].sort(),
      )
      // The same in the database, soon.
      const db = new DatabaseSync(join(house.data, 'audit.sqlite'), { readOnly: true })
      const count = () => Number(db.prepare('SELECT count(*) AS n FROM decision WHERE account = ?').get(id)?.n)
      await until(() => count() === mine.length)
      db.close()
    },
  },
  {
    id: 'P9',
    attack: 'the accounts go away while the gateway runs',
    async run() {
      const house = await openHouse({ people: 1 })
      try {
        const { token } = house.owner
        const forge = await openForge(house, house.owner)
        const ws = await openWs(house, { token })
        const mpd = await openMpd(house, { token })
        expect(await mpd.ask('status\n')).toMatch(/^volume:/)
        renameSync(join(house.data, 'accounts.sqlite'), join(house.data, 'gone.sqlite'))
        expect(await ws.end()).toBe(4401)
        await mpd.end()
        expect((await ask(house, '/readyz')).status).toBe(503)
        const stop = '{"jsonrpc":"2.0","id":1,"method":"core.playback.stop"}'
        for (const one of [token, forge.token])
          expect((await post(house, one, stop)).status).toBeGreaterThanOrEqual(401)
        expect((await ask(house, '/auth/login', { json: { username: house.owner.name, password } })).status).toBe(500)
        expect(
          (await ask(house, '/auth/refresh', { json: { refresh_token: forge.refresh } })).status,
        ).toBeGreaterThanOrEqual(401)
        const again = await openMpd(house)
        expect(await again.ask(`password ${token}\n`)).toMatch(/^ACK \[\d+@0\] \{password\}/)
        expect(await again.ask('stop\n')).toMatch(/^ACK \[4@0\]/)
        again.close()
        expect(heard(house).filter((line) => line.includes('stop'))).toEqual([])
        renameSync(join(house.data, 'gone.sqlite'), join(house.data, 'accounts.sqlite'))
      } finally {
        await house.close()
      }
    },
  },
  {
    id: 'P10',
    attack: 'a player that anybody can reach past the gateway',
    async run() {
      const shipped = readFileSync(join(root, 'config/stagedoor.yaml'), 'utf8')
      const problems = (http: string) =>
        readConfig(shipped.replace('http://127.0.0.1:6680', http), 'stagedoor.yaml', { env: {}, read: () => '' })
          .problems
      expect(problems('http://127.0.0.1:6680')).toEqual([])
      for (const http of [
        'http://0.0.0.0:6680',
        'http://192.168.1.5:6680',
        'http://[::]:6680',
        'http://music.lan:6680',
        'http://2130706433.example:1',
      ]) {
        expect(
          problems(http).map(({ path }) => path),
          http,
        ).toEqual(['players.home.http'])
      }
    },
  },
  {
    id: 'P13',
    attack: 'old TLS, weak suites, keys that others can read',
    async run(house) {
      const shake = (door: 'https' | 'mpd', options: ConnectionOptions) =>
        new Promise<string>((resolve) => {
          const socket = connect({ host: '127.0.0.1', port: house[door], ca: house.ca, ...options }, () => {
            resolve(`${socket.getProtocol()} ${socket.getCipher().name}`)
            socket.destroy()
          })
          socket.on('error', () => resolve('refused'))
        })
      for (const door of ['https', 'mpd'] as const) {
        expect(await shake(door, {})).toMatch(/^TLSv1\.3 TLS_/)
        expect(await shake(door, { maxVersion: 'TLSv1.2' })).toMatch(/^TLSv1\.2 ECDHE-ECDSA-.*(GCM|POLY1305)/)
        // The client would take anything: it is the gateway that does not.
        const weak = { ciphers: 'ALL:@SECLEVEL=0' }
        for (const version of ['TLSv1', 'TLSv1.1'] as const) {
          expect(await shake(door, { ...weak, minVersion: version, maxVersion: version }), version).toBe('refused')
        }
        for (const ciphers of [
          'AES128-SHA',
          'ECDHE-ECDSA-AES128-SHA',
          'ECDHE-ECDSA-AES256-SHA384',
          'AES256-GCM-SHA384',
          'NULL',
        ]) {
          const suite = `${ciphers}:@SECLEVEL=0`
          const offered = (() => {
            try {
              createSecureContext({ ciphers: suite })
              return true
            } catch {
              return false
            }
          })()
          if (offered) expect(await shake(door, { ciphers: suite, maxVersion: 'TLSv1.2' }), ciphers).toBe('refused')
        }
        // Plain HTTP where TLS should be: not a word.
        const plain = connectTcp({ host: '127.0.0.1', port: house[door] })
        plain.on('error', () => {})
        plain.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n')
        expect(await ended(plain)).not.toMatch(/HTTP|OK/)
      }
      for (const file of ['ca.key', 'server.key']) expect(statSync(join(house.certs, file)).mode & 0o077, file).toBe(0)
      for (const file of readdirSync(house.data)) expect(statSync(join(house.data, file)).mode & 0o077, file).toBe(0)
    },
  },
])
