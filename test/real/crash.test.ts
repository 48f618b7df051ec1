import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { connectMpd, connectRpc } from './clients.ts'
import { type Gateway, passwordOf, startGateway } from './gateway.ts'
import { type Mopidy, startMopidy } from './mopidy.ts'
import { until } from './tools.ts'

let mopidy: Mopidy
let gateway: Gateway
let token = ''

describe.skipIf(!inject('real').available)('what survives a kill -9, with a real Mopidy', () => {
  beforeAll(async () => {
    mopidy = await startMopidy()
    gateway = await startGateway({
      players: { home: { kind: 'mopidy', http: mopidy.http, mpd: mopidy.mpd } },
      users: { ada: 'owner' },
    })
    token = gateway.token('ada')
    await until(async () => (await gateway.http('/readyz')).status === 200)
  })
  afterAll(async () => {
    await gateway?.stop()
    await mopidy?.stop()
  })

  describe('kill -9 of Mopidy in the middle of calls', () => {
    test('every client gets a fault, nothing hangs, and service resumes by itself', async () => {
      const ws = await connectRpc(gateway, token)
      const mpd = await connectMpd(gateway, token)
      expect(await mpd.ask('status\n')).toMatch(/OK\n$/)

      const calls = Array.from({ length: 40 }, (_, i) =>
        i < 10 ? ws.call('core.library.search', { query: { any: ['a'] } }) : ws.call('core.tracklist.get_tl_tracks'),
      )
      const overHttp = Array.from({ length: 5 }, () =>
        gateway.rpc(token, { jsonrpc: '2.0', id: 1, method: 'core.library.search', params: { query: { any: ['a'] } } }),
      )
      const overMpd = mpd.ask('search any a\n')
      await mopidy.kill9()

      const answers = [...(await Promise.all(calls)), ...(await Promise.all(overHttp))] as {
        error?: { code: number }
      }[]
      expect(answers).toHaveLength(45)
      for (const { error } of answers) expect([undefined, -32010, -32011]).toContain(error?.code)
      expect(answers.some(({ error }) => error)).toBe(true)
      expect(await overMpd).toMatch(/OK\n$|^ACK \[52@0\]/m)

      expect(await ws.call('core.playback.get_state')).toMatchObject({ error: { code: -32010 } })
      expect(await mpd.ask('status\n')).toMatch(/^ACK \[52@0\] \{status\}/)
      await until(async () => (await gateway.http('/readyz')).status === 503)
      expect((await gateway.http('/healthz')).status).toBe(200)

      await mopidy.restart()
      await until(async () => (await gateway.http('/readyz')).status === 200)
      expect(await ws.call('core.playback.get_state')).toMatchObject({ result: 'stopped' })
      await until(async () => (await mpd.ask('status\n')).endsWith('OK\n'))
      ws.close()
      mpd.close()
    })
  })

  describe('kill -9 of the gateway', () => {
    test('right after an answered user add: the account is there', async () => {
      gateway.addUser('ben', 'member')
      await gateway.kill9()
      await gateway.start()
      const login = await gateway.http('/auth/login', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ username: 'ben', password: passwordOf('ben') }),
      })
      expect(login.status).toBe(200)
    })

    test('right after an answered revocation: the token stays dead', async () => {
      const doomed = gateway.token('ada')
      const ws = await connectRpc(gateway, doomed)
      const [, id] = doomed.split('_')
      expect(gateway.cli(['token', 'revoke', id ?? '']).status).toBe(0)
      await ws.ended()
      await gateway.kill9()
      await gateway.start()
      expect(await gateway.rpc(doomed, { jsonrpc: '2.0', id: 1, method: 'core.playback.get_state' })).toMatchObject({
        error: { code: -32002 },
      })
      const mpd = await connectMpd(gateway)
      expect(await mpd.ask(`password ${doomed}\n`)).toMatch(/^ACK \[3@0\] \{password\}/)
      mpd.close()
    })

    test('right after an answered login and logout: the session is as it was answered', async () => {
      const body = JSON.stringify({ username: 'ada', password: passwordOf('ada') })
      const json = { 'content-type': 'application/json' }
      const login = await gateway.http('/auth/login', { method: 'POST', headers: json, body })
      const { access_token: access, refresh_token: refresh } = JSON.parse(login.body)
      await gateway.kill9()
      await gateway.start()
      const me = await gateway.http('/auth/me', { headers: { authorization: `Bearer ${access}` } })
      expect(JSON.parse(me.body)).toMatchObject({ name: 'ada', roles: ['owner'], players: ['home'] })
      const out = await gateway.http('/auth/logout', { method: 'POST', headers: { authorization: `Bearer ${access}` } })
      expect(out.status).toBe(204)
      await gateway.kill9()
      await gateway.start()
      const again = await gateway.http('/auth/refresh', {
        method: 'POST',
        headers: json,
        body: JSON.stringify({ refresh_token: refresh }),
      })
      expect(again.status).toBe(401)
    })
  })

  describe('a change by the command line reaches open connections within a second', () => {
    test.each([
      ['a revoked token', (id: string) => ['token', 'revoke', id]],
      ['a disabled account', () => ['user', 'disable', 'cy']],
    ])('%s closes WebSocket and MPD', async (_, command) => {
      if (gateway.cli(['user', 'list', '--json']).stdout.includes('"cy"')) gateway.cli(['user', 'remove', 'cy'])
      gateway.addUser('cy', 'member')
      const its = gateway.token('cy')
      const ws = await connectRpc(gateway, its)
      const mpd = await connectMpd(gateway, its)
      expect(gateway.cli(command(its.split('_')[1] ?? '')).status).toBe(0)
      expect(await ws.ended()).toBe(4401)
      await until(() => mpd.closed, 2000)
    })

    test('a new role counts at the next call', async () => {
      if (gateway.cli(['user', 'list', '--json']).stdout.includes('"cy"')) gateway.cli(['user', 'remove', 'cy'])
      gateway.addUser('cy', 'member')
      const ws = await connectRpc(gateway, gateway.token('cy'))
      expect(await ws.call('core.mixer.set_volume', [50])).toMatchObject({ result: true })
      expect(gateway.cli(['user', 'role', 'cy', 'kid']).status).toBe(0)
      await until(async () => 'error' in (await ws.call('core.mixer.set_volume', [50])), 2000)
      expect(await ws.call('core.mixer.set_volume', [40])).toMatchObject({ result: true })
      ws.close()
    })
  })
})
