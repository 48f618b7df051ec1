import { closeSync, openSync } from 'node:fs'
import { expect } from 'vitest'
import { until } from '../real/tools.ts'
import { ask, call, dial, ended, exchange, knock, knockWs, lines, openMpd, openWs, post, statuses } from './clients.ts'
import { openForge, show } from './forge.ts'
import { attack, heard, openHouse } from './harness.ts'
import { openProcess } from './process.ts'

attack('Traps of the stack we stand on', [
  {
    id: 'a',
    attack: 'deadlines for headers that a framework sets where Node does not look',
    async run(house) {
      const sockets = await Promise.all(Array.from({ length: 20 }, () => dial(house, 'https')))
      for (const socket of sockets) socket.write('GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ')
      const drip = setInterval(() => {
        for (const socket of sockets) socket.write('y')
      }, 250)
      const all = Promise.all(sockets.map((socket) => ended(socket)))
      // Without its own deadline Node would end them as well, half a minute later.
      await until(() => sockets.every((socket) => socket.closed), 20_000)
      const texts = await all
      clearInterval(drip)
      expect(texts.map((text) => statuses(text)[0])).toEqual(sockets.map(() => 408))
    },
  },
  {
    id: 'b',
    attack: 'handshakes that never come, which Node reports and leaves open',
    async run(house) {
      const sockets = await Promise.all(
        (['mpd', 'https'] as const).flatMap((door) => Array.from({ length: 20 }, () => knock(house, door))),
      )
      await Promise.all(sockets.map((socket) => ended(socket)))
    },
  },
  {
    id: 'c',
    attack: 'a token without issuer or end, or from the future, which a check of values lets pass',
    async run(house) {
      const { make } = await openForge(house, house.kid)
      const future = Math.floor(house.now() / 1000) + 120
      for (const name of ['iss', 'aud', 'sub', 'exp', 'iat', 'nbf', 'jti', 'sid']) {
        expect(await show(house, make({ without: name })), name).toBe(401)
      }
      expect(await show(house, make({ claims: { iat: future, exp: future + 600 } }))).toBe(401)
      expect(await show(house, make())).toBe(200)
    },
  },
  {
    id: 'd',
    attack: 'roles that an object lookup takes for others',
    async run(house) {
      const { make } = await openForge(house, house.kid)
      for (const roles of [[['owner']], { owner: 1 }, 'owner', [{ toString: 'owner' }]]) {
        expect(await show(house, make({ claims: { roles } })), JSON.stringify(roles)).toBe(401)
      }
      // Nor does an account of such a role come to anything, least of all to an error of ours.
      for (const role of ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'Owner', 'owner ']) {
        const person = house.person('odd', [role])
        const elsewhere = () => ({ ...house, from: house.address() })
        const me = await until(async () => {
          const answer = await ask(elsewhere(), '/auth/me', { token: person.token })
          return answer.status === 401 ? undefined : answer
        })
        expect([me.status, me.json.capabilities], role).toEqual([200, []])
        expect(await call(house, person.token, 'core.playback.stop'), role).toBe(-32003)
        expect(await knockWs(house, { token: person.token }), role).toBe(403)
      }
    },
  },
  {
    id: 'e',
    attack: 'a header that decides something, twice',
    async run(house) {
      const { kid, owner } = house
      const head = ['GET /auth/me HTTP/1.1', 'Host: 127.0.0.1', `Authorization: Bearer ${kid.token}`]
      expect(statuses(await exchange(house, lines([...head, 'Connection: close'])))).toEqual([200])
      for (const twice of [
        'Host: 127.0.0.1',
        'HOST: evil.example',
        `authorization: Bearer ${owner.token}`,
        'authorization: x',
      ]) {
        expect(statuses(await exchange(house, lines([...head, twice]))), twice.slice(0, 20)).toEqual([400])
      }
    },
  },
  {
    id: 'f',
    attack: 'upgrades that ws itself lets pass',
    async run(house) {
      const { token } = house.kid
      for (const [status, given] of [
        [403, { headers: { origin: 'https://evil.example' } }],
        [403, { headers: { origin: 'null' } }],
        [426, { headers: { 'sec-websocket-version': '8' } }],
        [400, { first: 'GET /mopidy/ws HTTP/1.0' }],
        [400, { headers: { 'content-length': '5' } }],
        [400, { headers: { 'transfer-encoding': 'chunked' } }],
        [101, {}],
      ] as const) {
        expect(await knockWs(house, { token, ...given }), JSON.stringify(given)).toBe(status)
      }
    },
  },
  {
    id: 'g',
    attack: 'a client that never reads what it is told',
    async run(house) {
      const ws = await openWs(house, { token: house.owner.token })
      const other = await openWs(house, { token: house.owner.token })
      ws.socket.pause()
      const name = 'x'.repeat(100_000)
      for (let i = 0; i < 300; i++) {
        house.demo.state.savePlaylist(`m3u:${i}.m3u8`, name, [])
        while (other.texts.length <= i) await new Promise((resolve) => setImmediate(resolve))
      }
      // 30 MB were for it. What it gets now is what was held, and the end of the connection.
      const end = ws.end()
      ws.socket.resume()
      await end
      const got = ws.texts.reduce((sum, text) => sum + text.length, 0)
      expect(got).toBeLessThan(20_000_000)
      other.close()
      for (const uri of [...house.demo.state.playlists.keys()])
        if (/^m3u:\d/.test(uri)) house.demo.state.playlists.delete(uri)
    },
  },
  {
    id: 'h',
    attack: 'a log on a disk that is full, or that nobody reads any more',
    async run() {
      for (const broken of ['full', 'closed'] as const) {
        const full = openSync('/dev/full', 'w')
        const house = await openProcess({ stdout: broken === 'full' ? full : 'pipe' })
        try {
          if (broken === 'closed') house.child.stdout?.destroy()
          for (let i = 0; i < 60; i++) expect(await call(house, house.token, 'core.playback.get_state')).toBe(0)
          // The log is written twice a second: give it the time to fail.
          await new Promise((resolve) => setTimeout(resolve, 1_200))
          for (let i = 0; i < 60; i++) expect(await call(house, house.token, 'core.playback.get_state')).toBe(0)
          expect(house.child.exitCode, broken).toBe(null)
        } finally {
          await house.close()
          closeSync(full)
        }
      }
    },
  },
  {
    id: 'i',
    attack: 'many addresses guess at one account',
    async run(house) {
      const guess = () =>
        ask(house, '/auth/login', {
          json: { username: house.member.name, password: 'wrong password' },
          from: house.address(),
        })
      const answers = await Promise.all(Array.from({ length: 30 }, guess))
      // 401 is the hash's word, 429 is that nobody looked.
      expect(answers.filter(({ status }) => status === 401).length).toBeLessThanOrEqual(5)
      expect(answers.filter(({ status }) => status === 429).length).toBeGreaterThanOrEqual(25)
    },
  },
  {
    id: 'j',
    attack: 'a proxy that hands on what it was sent: headers, paths, bodies',
    async run() {
      // A house of its own, so that the gateway's own handshake with the player is looked at too.
      const house = await openHouse({ people: 1 })
      const headers = {
        cookie: 'canary=1',
        'x-canary': 'canary',
        x_auth_user: 'canary',
        'x-forwarded-for': 'canary',
        forwarded: 'for=canary',
        'user-agent': 'canary',
        'accept-language': 'canary',
        te: 'trailers',
      }
      const odd = ' { "params" : {} ,\n "method":"core.mixer.get\\u005fvolume", "id":"canary-id","jsonrpc":"2.0"}'
      expect((await post(house, house.owner.token, odd, { headers })).json).toMatchObject({ id: 'canary-id' })
      const ws = await openWs(house, { token: house.owner.token, headers, path: '/players/home/mopidy/ws' })
      expect(await ws.say(odd)).toMatchObject({ id: 'canary-id' })
      ws.close()
      for (const path of ['/%252e%252e/mopidy/rpc', '/mopidy/rpc%00', '/iris//evil', '/mopidy/rpc?canary=1']) {
        await ask(house, path, { token: house.owner.token, body: odd, headers })
      }
      const sent = Object.values(house.demo.received).flat().join('\n')
      expect(sent).not.toMatch(/canary|authorization|cookie|bearer|forwarded|x_auth|u005f/i)
      const calls = house.demo.received.websocket.filter((text) => text.includes('get_volume'))
      expect(calls).toHaveLength(3)
      const names = house.demo.received.http.join('').match(/^[\w-]+(?=:)/gm)
      const handshake = ['Sec-WebSocket-Version', 'Sec-WebSocket-Key', 'Connection', 'Upgrade', 'Host']
      expect(names).toEqual(handshake)
      for (const text of calls)
        expect(text).toMatch(/^\{"jsonrpc":"2\.0","id":\d+,"method":"core\.mixer\.get_volume","params":\{\}\}$/)
      await house.close()
    },
  },
  {
    id: 'k',
    attack: '400 connections of one address where the process may have 256 descriptors',
    async run() {
      const house = await openProcess({ descriptors: 256 })
      try {
        const evil = { ...house, from: '127.0.0.1' }
        const legit = { ...house, from: '127.0.0.2' }
        const sockets = await Promise.all(
          Array.from({ length: 400 }, (_, i) => knock(evil, i % 2 ? 'mpd' : 'https').catch(() => undefined)),
        )
        const served = async () => {
          expect(await call(legit, house.token, 'core.playback.get_state')).toBe(0)
          const ws = await openWs(legit, { token: house.token })
          expect(await ws.rpc({ jsonrpc: '2.0', id: 1, method: 'core.playback.get_state' })).toHaveProperty('result')
          const mpd = await openMpd(legit, { token: house.token })
          expect(await mpd.ask('status\n')).toMatch(/^volume:/)
          ws.close()
          mpd.close()
        }
        for (let i = 0; i < 20; i++) await served()
        for (const socket of sockets) socket?.destroy()
        await served()
        expect(house.child.exitCode).toBe(null)
      } finally {
        await house.close()
      }
    },
  },
  {
    id: 'l',
    attack: 'JSON that two parsers read in two ways',
    reaches: [/^core\.mixer\.set_volume \{"volume":5\}$/],
    async run(house) {
      const { token } = house.owner
      const set = (params: string, id = '1') =>
        `{"jsonrpc":"2.0","id":${id},"method":"core.mixer.set_volume","params":${params}}`
      for (const text of [
        set('{"volume":5,"volume":6}'),
        set('{"volume":5,"\\u0076olume":6}'),
        set('{"volume":5}', '9007199254740993'),
        set('{"volume":5}', '1e400'),
        set('{"volume":5}', '-0'),
        set(`{"volume":5,"x":${'['.repeat(200)}${']'.repeat(200)}}`),
        set('{"volume":5}').replace('"2.0"', '"2.0\\ud800"'),
        set('{"volume":5,"__proto__":{}}'),
        set('{"volume":05}'),
        set('{"volume":5.}'),
        set('{"volume":+5}'),
        set('{"volume":0x5}'),
        set('{"volume":5,}'),
        set('{"volume":NaN}'),
        set('{"volume":Infinity}'),
        set("{'volume':5}"),
        set('{"volume":5}//'),
        set('{"volume":5/**/}'),
        set('{"volume":"5"}'),
        set('{"volume":true}'),
        set('{"volume":5.5}'),
        `\ufeff${set('{"volume":5}')}`,
        `${set('{"volume":5}')}${set('{"volume":5}')}`,
        `${set('{"volume":5}')}\0`,
      ]) {
        expect((await post(house, token, text)).json.error?.code, text.slice(-60)).toBeLessThan(0)
      }
      expect(heard(house).filter((line) => line.includes('set_volume'))).toEqual([])
      for (const text of [set('{"volume":5.0}'), set('{"volume":5e0}'), set('[5]'), set('{"volume":5}', '"\\u0031"')]) {
        expect((await post(house, token, text)).json.result, text).toBe(true)
      }
    },
  },
  {
    id: 'm',
    attack: 'lines that MPD and Mopidy-MPD read in two ways',
    reaches: [/^setvol "7"$/, /^command_list_(begin|end)$/],
    async run(house) {
      const ends = async (bytes: string | Buffer) => {
        const mpd = await openMpd(house, house.owner)
        mpd.send(bytes)
        return mpd.end()
      }
      for (const line of [
        'ping\0clear',
        'status\x01foo',
        'ping\u00a0',
        'ping\u0085',
        'ping\u2028',
        'ping\rclear',
        'ping\x1c',
        'ping\x0b',
        'find title "a\x01b"',
        'find title "a\0clear"',
      ]) {
        expect(await ends(`${line}\nclear\n`), JSON.stringify(line)).toMatch(/^ACK [^\n]*\n$/)
      }
      for (const line of ['PING', ' ping', '"ping"', '', 'GET / HTTP/1.1'])
        expect(await ends(`${line}\nclear\n`), line).toMatch(/^(ACK [^\n]*\n)?$/)
      expect(await ends(`ping ${'x'.repeat(9_000)}\nclear\n`)).toMatch(/^ACK [^\n]*\n$/)
      expect(await ends(Buffer.from('find title "\xff"\nclear\n', 'latin1'))).toMatch(/^ACK [^\n]*\n$/)
      const mpd = await openMpd(house, house.owner)
      for (const line of ['setvol 7', 'setvol "7"', 'setvol\t7 ', 'setvol 07\r'])
        expect(await mpd.ask(`${line}\n`)).toBe('OK\n')
      expect(await mpd.ask('command_list_begin \nsetvol 7\ncommand_list_end \n')).toBe('OK\n')
      expect(await mpd.ask('command_list_begin\ncommand_list_begin\ncommand_list_end\n')).toMatch(/^ACK /)
      mpd.close()
      expect(heard(house).filter((line) => line.startsWith('setvol')).length).toBe(5)
    },
  },
])
