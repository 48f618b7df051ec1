import { expect } from 'vitest'
import { library } from '../../src/demo/stage.ts'
import { until } from '../real/tools.ts'
import { call, dial, ended, exchange, frame, knock, knockWs, openWs, statuses, upgrade } from './clients.ts'
import { attack, type House } from './harness.ts'

const state = '{"jsonrpc":"2.0","id":1,"method":"core.playback.get_state"}'
const clear = '{"jsonrpc":"2.0","id":2,"method":"core.tracklist.clear"}'

/** Opens a WebSocket, writes bytes and tells how it ended. */
async function ends(house: House, ...bytes: readonly Buffer[]): Promise<number> {
  const ws = await openWs(house, { token: house.kid.token })
  const end = ws.end()
  for (const piece of bytes) ws.write(piece)
  return end
}

attack('WebSocket', [
  {
    id: 'W1',
    attack: 'a page of another origin opens one in a browser that is signed in',
    async run(house) {
      const own = `https://127.0.0.1`
      for (const origin of [
        'https://evil.example',
        'null',
        'file://',
        'http://127.0.0.1',
        `${own}.evil.example`,
        `${own}:1`,
        '',
      ]) {
        const headers = { origin, cookie: '__Host-stagedoor=x' }
        expect(await knockWs(house, { token: house.kid.token, headers: { origin } }), origin).toBe(403)
        expect(await knockWs(house, { headers }), origin).toBe(403)
      }
      // A cookie without an origin may be anybody's page in an old browser.
      expect(await knockWs(house, { headers: { cookie: '__Host-stagedoor=x' } })).toBe(403)
      expect(await knockWs(house, { token: house.kid.token, headers: { origin: own } })).toBe(101)
    },
  },
  {
    id: 'W2',
    attack: 'no token, a wrong one, one that has ended, one in the address',
    async run(house) {
      const ended = house.tokenOf(house.kid, { expires: house.now() - 1_000 })
      expect(await knockWs(house, {})).toBe(401)
      for (const token of ['wrong', ended, `sd1_${'0'.repeat(16)}_${'A'.repeat(43)}`])
        expect(await knockWs(house, { token })).toBe(401)
      for (const query of [
        `token=${house.kid.token}`,
        `ticket=${house.kid.token}`,
        `ticket=st1_${'A'.repeat(43)}`,
        'ticket=',
        'x',
      ]) {
        expect(await knockWs(house, { path: `/mopidy/ws?${query}` }), query.slice(0, 12)).toBe(401)
      }
      const headers = { 'sec-websocket-protocol': `bearer, ${house.kid.token}` }
      expect(await knockWs(house, { headers })).toBe(401)
    },
  },
  {
    id: 'W3',
    attack: 'questions in the packet of the upgrade, before anybody was asked who it is',
    async run(house) {
      const frames = Array.from({ length: 60 }, (_, i) =>
        frame((i % 3 === 0 ? clear : state).replace(/"id":\d/, `"id":${i}`)),
      )
      const ws = await openWs(house, { token: house.kid.token, with: Buffer.concat(frames) })
      for (let i = 0; i < 60; i++) {
        expect(await ws.next()).toMatchObject(
          i % 3 === 0 ? { id: i, error: { code: -32003 } } : { id: i, result: 'stopped' },
        )
      }
      ws.close()
      const refused = await exchange(house, [upgrade({}), ...frames])
      expect(statuses(refused)).toEqual([401])
    },
  },
  {
    id: 'W4',
    attack: 'a connection goes on when its token has ended',
    disturbs: true,
    async run(house) {
      const token = house.tokenOf(house.kid, { expires: house.now() + 60_000 })
      await until(async () => (await knockWs({ ...house, from: house.address() }, { token })) === 101)
      const ws = await openWs(house, { token })
      expect(await ws.say(state)).toHaveProperty('result')
      house.jump(61_000)
      expect(await ws.end()).toBe(4401)
    },
  },
  {
    id: 'W5',
    attack: 'a forbidden method in pieces, with pings in between',
    async run(house) {
      const ws = await openWs(house, { token: house.kid.token })
      const pieces = clear.match(/.{1,7}/g) ?? []
      const frames = pieces.flatMap((piece, i) => [
        frame(piece, { opcode: i === 0 ? 1 : 0, fin: i === pieces.length - 1 }),
        ...(i < pieces.length - 1 ? [frame('x', { opcode: 9 })] : []),
      ])
      for (const one of frames) ws.write(one)
      expect(await ws.next()).toMatchObject({ id: 2, error: { code: -32003 } })
      ws.close()
    },
  },
  {
    id: 'W6',
    attack: 'fragments without end, a message that is never finished, a length that cannot be',
    disturbs: true,
    async run(house) {
      const empty = Array.from({ length: 20_000 }, (_, i) => frame('', { opcode: i === 0 ? 1 : 0, fin: false }))
      const full = await openWs(house, { token: house.kid.token })
      full.write(Buffer.concat(empty))
      // Left alone it would end as well, when half a minute has made it an unfinished message.
      await until(() => full.socket.closed, 10_000)
      expect([1009, 1006]).toContain(await ends(house, frame('', { length: 2n ** 40n })))
      expect([1009, 1002, 1006]).toContain(await ends(house, frame('', { length: 2n ** 63n })))
      expect(await ends(house, frame('x'.repeat(256 * 1024 + 1)))).toBe(1009)
      const ws = await openWs(house, { token: house.kid.token })
      ws.write(frame('{"jsonrpc"', { fin: false }))
      await ws.socket.write(frame('', { opcode: 9 }))
      const end = ws.end()
      const clock = setInterval(() => house.jump(10_000), 200)
      expect([1008, 1006]).toContain(await end)
      clearInterval(clock)
    },
  },
  {
    id: 'W7',
    attack: 'compression, which makes a bomb of a few bytes',
    async run(house) {
      const headers = { 'sec-websocket-extensions': 'permessage-deflate; client_max_window_bits' }
      const ws = await openWs(house, { token: house.kid.token, headers })
      expect(ws.head).not.toMatch(/sec-websocket-extensions/i)
      const end = ws.end()
      ws.write(frame('x', { rsv: 4 }))
      expect(await end).toBe(1002)
    },
  },
  {
    id: 'W8',
    attack: 'floods of pings, pongs and questions',
    async run(house) {
      for (const opcode of [9, 10, 1]) {
        const flood = Array.from({ length: 5_000 }, () => frame(opcode === 1 ? '{}' : '', { opcode }))
        expect([1013, 1006], `opcode ${opcode}`).toContain(await ends(house, Buffer.concat(flood)))
      }
    },
  },
  {
    id: 'W9',
    attack: 'a client that asks and does not read',
    reaches: [/^core\.tracklist\.get_tl_tracks \{\}$/],
    async run(house) {
      const { state } = house.demo
      for (let i = 0; i < 10; i++) state.add(library.map(({ uri }) => uri))
      const ws = await openWs(house, { token: house.owner.token })
      const question = frame('{"jsonrpc":"2.0","id":1,"method":"core.tracklist.get_tl_tracks"}')
      ws.socket.pause()
      for (let i = 0; i < 400; i++) ws.write(question)
      const asked = () => house.demo.received.websocket.filter((text) => text.includes('get_tl_tracks')).length
      let before = -1
      await until(() => {
        const still = before === asked() && before > 0
        before = asked()
        return still
      })
      // What would not be taken is not even asked for.
      expect(asked()).toBeLessThan(400)
      // And it is not sent away for it: when it reads, it gets all.
      ws.socket.resume()
      await until(() => ws.texts.length >= 400)
      ws.close()
      state.remove(state.queue)
    },
  },
  {
    id: 'W10',
    attack: 'frames that are none of a client’s: binary, unmasked, reserved bits, other encodings, wrong codes',
    async run(house) {
      expect(await ends(house, frame(clear, { opcode: 2 }))).toBe(1003)
      expect(await ends(house, frame(clear, { mask: false }))).toBe(1002)
      for (const rsv of [1, 2, 4, 7]) expect(await ends(house, frame(clear, { rsv }))).toBe(1002)
      for (const opcode of [3, 7, 11, 15]) expect(await ends(house, frame(clear, { opcode }))).toBe(1002)
      expect(await ends(house, frame(Buffer.from([0xc3, 0x28])))).toBe(1007)
      const ws = await openWs(house, { token: house.kid.token })
      expect(await ws.say(Buffer.from(clear, 'utf16le'))).toMatchObject({ error: { code: -32700 } })
      ws.close()
      expect(await ends(house, frame('x', { opcode: 0 }))).toBe(1002)
      expect(await ends(house, frame('x', { opcode: 9, fin: false }))).toBe(1002)
      expect(await ends(house, frame('x'.repeat(126), { opcode: 9 }))).toBe(1002)
      for (const code of [0, 999, 1005, 1006, 1015]) {
        expect(await ends(house, frame(Buffer.from([code >> 8, code & 255]), { opcode: 8 })), `${code}`).toBe(1002)
      }
    },
  },
  {
    id: 'W11',
    attack: 'a handshake that is none: other versions, other methods, a body, a list of protocols',
    async run(house) {
      const { token } = house.kid
      const wrong = [
        { headers: { 'sec-websocket-version': '8' } },
        { headers: { 'sec-websocket-version': '13, 8' } },
        { headers: { 'sec-websocket-key': 'short' } },
        { headers: { upgrade: 'h2c, websocket' } },
        { headers: { 'content-length': '2' } },
        { headers: { 'transfer-encoding': 'chunked' } },
        { first: 'GET /mopidy/ws HTTP/1.0' },
        { first: 'POST /mopidy/ws HTTP/1.1' },
        { first: 'GET /mopidy/%77s HTTP/1.1' },
        { first: 'GET //mopidy/ws HTTP/1.1' },
        { first: 'GET /players/constructor/mopidy/ws HTTP/1.1' },
        { first: 'GET /mopidy/ws/x HTTP/1.1' },
        { first: 'GET https://127.0.0.1/mopidy/ws HTTP/1.1' },
      ]
      for (const given of wrong) {
        expect([400, 404, 405, 426], JSON.stringify(given)).toContain(await knockWs(house, { token, ...given }))
      }
      const twice = upgrade({ token })
        .replace('Connection', 'connection')
        .replace('\r\n\r\n', '\r\nupgrade: websocket\r\n\r\n')
      expect(await knockWs(house, { raw: twice })).toBe(400)
    },
  },
  {
    id: 'W12',
    attack: 'one account, and one address, open as many as they can',
    async run(house) {
      const mine = await Promise.all(Array.from({ length: 16 }, () => openWs(house, house.kid)))
      expect(await knockWs(house, { token: house.kid.token })).toBe(429)
      expect(await knockWs(house, { token: house.guest.token })).toBe(101)
      for (const ws of mine) ws.close()
      const other = { ...house, from: house.address() }
      const sockets = await Promise.all(Array.from({ length: 80 }, () => knock(other, 'https')))
      await until(() => sockets.filter((socket) => socket.closed).length >= 16)
      await expect(dial(other, 'https')).rejects.toThrow()
      expect(await call(house, house.guest.token, 'core.playback.get_state')).toBe(0)
      const gone = Promise.all(sockets.map((socket) => ended(socket)))
      for (const socket of sockets) socket.destroy()
      await gone
    },
  },
])
