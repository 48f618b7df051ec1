import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { createForwarded } from '../../../src/listen/web/forwarded.ts'
import { irisRoom } from '../../../src/listen/web/iris.ts'
import { attachWebsocket } from '../../../src/listen/websocket.ts'
import { iris as catalog } from '../../../src/protocol/web/iris.ts'
import { createIris, type IrisLimits } from '../../../src/upstream/iris.ts'
import { authority } from '../house.ts'
import { known, openUpstream, openWebHouse } from './house.ts'

interface Message {
  readonly id: number
  readonly method: string
  readonly params: Record<string, unknown>
}

/** An Iris that remembers what it was told by whom. */
async function openIris(reply: (message: Message, ws: WebSocket) => unknown = () => ({ result: { message: 'done' } })) {
  const heard: Message[] = []
  const requests: IncomingMessage[] = []
  const clients: WebSocket[] = []
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, path: '/iris/ws/' })
  server.on('connection', (ws, request) => {
    clients.push(ws)
    requests.push(request)
    ws.on('message', (data) => {
      const message = JSON.parse(data.toString())
      heard.push(message)
      const answer = reply(message, ws)
      if (answer) ws.send(JSON.stringify({ jsonrpc: '2.0', method: message.method, id: message.id, ...answer }))
    })
  })
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    heard,
    requests,
    clients,
    /** To each of them. */
    broadcast(method: string, params: unknown) {
      for (const client of clients) client.send(JSON.stringify({ jsonrpc: '2.0', method, params }))
    },
    async close() {
      for (const client of clients) client.terminate()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

const closers: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

async function open(reply?: Parameters<typeof openIris>[0], limits: Partial<IrisLimits> = {}) {
  const behind = await openIris(reply)
  const files = await openUpstream()
  const player = createIris({ url: behind.url, limits })
  closers.push(behind.close, files.close, player.close)
  const house = await openWebHouse({
    upstream: files,
    also(app, { gate, identity, hosts }) {
      const now = () => 1e12
      const [client] = known('iris')
      if (!client) throw new Error('no Iris')
      const forwarded = createForwarded('a secret of this house')
      const door = attachWebsocket(app.server, {
        gate,
        identity: { ...identity, onChange: () => () => {} },
        players: new Map(),
        rooms: [irisRoom('home', client, player, { gate, forwarded, now })],
        defaultPlayer: 'home',
        hosts,
        now,
        newId: randomUUID,
      })
      app.addHook('preClose', () => door.close())
    },
  })
  closers.push(house.close)
  return { behind, house }
}

type House = Awaited<ReturnType<typeof open>>['house']

/** A browser with Iris open. */
async function connect(house: House, who: string, { path = '/iris/ws/', ...headers }: Record<string, string> = {}) {
  const ws = new WebSocket(`wss://localhost:${house.port}${path}`, {
    ca: authority,
    headers: { Cookie: `__Host-stagedoor=r-${who}`, Origin: `https://localhost:${house.port}`, ...headers },
  })
  const inbox: Record<string, unknown>[] = []
  const closed = once(ws, 'close').then(([code]) => code as number)
  ws.on('message', (data) => inbox.push(JSON.parse(data.toString())))
  ws.on('error', () => {})
  await once(ws, 'open')
  return {
    ws,
    inbox,
    closed,
    say: (message: unknown) => ws.send(typeof message === 'string' ? message : JSON.stringify(message)),
    async ask(method: string, params?: unknown, id: string | number = randomUUID()) {
      ws.send(JSON.stringify({ jsonrpc: '2.0', id, method, ...(params !== undefined && { params }) }))
      return expect
        .poll(() => inbox.find((each) => each.id === id), { timeout: 5_000 })
        .toBeDefined()
        .then(
          () =>
            inbox.find((each) => each.id === id) as {
              result?: unknown
              error?: { code: number; message: string; id: unknown }
            },
        )
    },
  }
}

describe('the handshake', () => {
  const refused = (house: House, path: string, headers: Record<string, string>) =>
    new Promise<number | undefined>((resolve) => {
      const ws = new WebSocket(`wss://localhost:${house.port}${path}`, { ca: authority, headers })
      ws.on('unexpected-response', (_request, { statusCode }) => resolve(statusCode))
      ws.on('open', () => resolve(101))
      ws.on('error', () => {})
    })

  test('is for signed-in pages of ours alone, and Iris hears nothing of the others', async () => {
    const { behind, house } = await open()
    const cookie = { Cookie: '__Host-stagedoor=r-ada' }
    expect(await refused(house, '/iris/ws/', {})).toBe(401)
    expect(await refused(house, '/iris/ws/', cookie)).toBe(403)
    expect(await refused(house, '/iris/ws/', { ...cookie, Origin: 'https://evil.example' })).toBe(403)
    expect(await refused(house, '/iris/ws/', { ...cookie, Origin: 'null' })).toBe(403)
    expect(await refused(house, '/iris/http/ws', { Authorization: 'Bearer ada' })).toBe(404)
    expect(await refused(house, '/iris/ws/x', { Authorization: 'Bearer ada' })).toBe(404)
    expect(await refused(house, '/players/attic/iris/ws', { Authorization: 'Bearer ada' })).toBe(404)
    expect(behind.requests).toEqual([])
  })

  test('is recorded, and Iris gets one connection for each, without anything of the client', async () => {
    const { behind, house } = await open()
    await connect(house, 'ada')
    await connect(house, 'kim', { path: '/players/home/iris/ws' })
    await expect.poll(() => behind.requests.length).toBe(2)
    expect(house.audit.map(({ operation, name }) => [operation, name])).toEqual([
      ['GET /iris/', 'ada'],
      ['GET /iris/', 'kim'],
    ])
    for (const { headers } of behind.requests) {
      expect([headers.cookie, headers.origin, headers.authorization]).toEqual([undefined, undefined, undefined])
      expect(headers['x-forwarded-for']).toMatch(/^fd/)
      expect(headers['sec-websocket-extensions']).toBeUndefined()
    }
  })

  test('is refused when too many have Iris open', async () => {
    const { house } = await open(undefined, { connections: 1 })
    await connect(house, 'ada')
    expect(await refused(house, '/iris/ws', { Authorization: 'Bearer ada' })).toBe(429)
  })
})

describe('a message', () => {
  test('is written anew with an id of ours, and its answer finds its way back', async () => {
    const { behind, house } = await open(({ params }) => ({
      result: { connection: { connection_id: 'A1', username: params.username } },
    }))
    const ada = await connect(house, 'ada')
    const asked = { username: 'Ada', client_id: 5 }
    expect(await ada.ask('update_connection', asked, 179527167214989)).toEqual({
      jsonrpc: '2.0',
      id: 179527167214989,
      method: 'update_connection',
      result: { connection: { connection_id: 'A1', username: 'Ada' } },
    })
    expect(behind.heard).toEqual([{ jsonrpc: '2.0', id: 1, method: 'update_connection', params: asked }])
  })

  test.each(
    Object.values(catalog).map(
      ({ name, refused, alarm, capability }) => [name, capability, refused, alarm === true] as const,
    ),
  )('%s (%s) · the kid, by what the row says', async (name, capability, refused, alarm) => {
    const { behind, house } = await open()
    const kim = await connect(house, 'kim')
    const { error } = await kim.ask(name, {})
    const mayCall = refused === undefined && ['status.read', 'queue.add', 'playback.control'].includes(capability)
    if (mayCall) return
    // Without the arguments a row wants it cannot be called by anybody.
    expect([-32003, -32602]).toContain(error?.code)
    if (refused !== undefined || alarm) expect(error?.code).toBe(-32003)
    expect(behind.heard).toEqual([])
    expect(house.audit.some(({ outcome, reason }) => outcome === 'denied' && reason === 'alarm')).toBe(alarm)
  })

  test.each(
    Object.values(catalog)
      .filter(({ refused }) => refused !== undefined)
      .map(({ name }) => name),
  )('%s · the owner: refused all the same', async (name) => {
    const { behind, house } = await open()
    const ada = await connect(house, 'ada')
    expect((await ada.ask(name, { id: 1, name: 'x' })).error?.code).toBe(-32003)
    expect(behind.heard).toEqual([])
  })

  test.each([
    '__init__',
    '__class__',
    'commands',
    'data',
    'actor_ref',
    'Restart',
    'restart ',
    'restart\u0000',
    'constructor',
    '__proto__',
    'toString',
  ])('of a method %j that is in no catalog: nothing sent, whoever asks', async (method) => {
    const { behind, house } = await open()
    for (const who of ['ada', 'kim']) {
      const client = await connect(house, who)
      expect((await client.ask(method, {})).error?.code).toBe(-32601)
    }
    expect(behind.heard).toEqual([])
  })

  test.each([
    ['{"jsonrpc":"2.0","id":"1","method":"get_config","method":"restart"}', -32600],
    ['{"jsonrpc":"2.0","id":"1","id":"2","method":"get_config"}', -32600],
    ['{"jsonrpc":"2.0","id":"1","method":"get_config","params":{"__proto__":{}}}', -32600],
    [
      '{"jsonrpc":"2.0","id":"1","method":"update_connection","params":{"username":"x","client_id":"y","connection_id":"B2"}}',
      -32602,
    ],
    ['{"jsonrpc":"2.0","id":"1","method":"get_config","params":[]}', -32600],
    ['{"jsonrpc":"2.0","id":"1","method":"get_config","recipient":"B2"}', -32600],
    ['{"id":"1","method":"get_config"}', -32600],
    ['[{"jsonrpc":"2.0","id":"1","method":"get_config"}]', -32600],
    ['{"jsonrpc":"2.0"', -32700],
    ['null', -32600],
    ['{"jsonrpc":"2.0","id":1e400,"method":"get_config"}', -32600],
    ['{"jsonrpc":"2.0","id":"1","method":"broadcast","params":{"method":"reload"}}', -32602],
    ['{"jsonrpc":"2.0","id":"1","method":"change_radio","params":{"reset":true,"seed_tracks":["x&y"]}}', -32602],
  ])('%s: refused with %i', async (message, code) => {
    const { behind, house } = await open()
    const ada = await connect(house, 'ada')
    ada.say(message)
    await expect.poll(() => ada.inbox.length).toBe(1)
    expect(ada.inbox[0]?.error).toMatchObject({ code })
    expect(behind.heard).toEqual([])
  })

  test.each(
    Object.values(catalog)
      .filter(({ alarm }) => alarm)
      .map(({ name }) => name),
  )('%s · the kid, with whatever: the alarm rings', async (name) => {
    const { behind, house } = await open()
    const kim = await connect(house, 'kim')
    expect((await kim.ask(name, { id: 1, junk: [] })).error?.code).toBe(-32003)
    expect(house.audit.map(({ operation, reason }) => [operation, reason])).toEqual([
      ['GET /iris/', null],
      [name, 'alarm'],
    ])
    expect(behind.heard).toEqual([])
  })

  test('that wants no answer gets none, is judged and recorded all the same', async () => {
    const { behind, house } = await open()
    const kim = await connect(house, 'kim')
    kim.say({ jsonrpc: '2.0', method: 'restart', params: {} })
    await expect
      .poll(() => house.audit.map(({ operation, reason }) => [operation, reason]))
      .toEqual([
        ['GET /iris/', null],
        ['restart', 'alarm'],
      ])
    expect(kim.inbox).toEqual([])
    expect(behind.heard).toEqual([])
  })

  test('that Iris is long at holds no other back, and ends', async () => {
    const { house } = await open(({ method }) => (method === 'get_version' ? undefined : { result: { pinned: [] } }), {
      callMs: 500,
    })
    const ada = await connect(house, 'ada')
    const slow = ada.ask('get_version')
    expect((await ada.ask('get_pinned')).result).toEqual({ pinned: [] })
    expect((await slow).error?.code).toBe(-32011)
  })

  test('too many at once are too many', async () => {
    const { house } = await open(() => undefined, { waiting: 2, callMs: 500 })
    const ada = await connect(house, 'ada')
    const all = await Promise.all([1, 2, 3].map((id) => ada.ask('get_pinned', {}, id)))
    expect(all.map(({ error }) => error?.code)).toEqual([-32011, -32011, -32029])
  })
})

describe('what Iris says', () => {
  test('is cut to what may be told', async () => {
    const { house } = await open(() => ({
      result: { config: { country: 'NZ', is_root: true, spotify_username: 'me', shared_config: { token: 'secret' } } },
    }))
    const kim = await connect(house, 'kim')
    expect((await kim.ask('get_config')).result).toEqual({ config: { country: 'NZ', shared_config: {} } })
    expect(JSON.stringify(kim.inbox)).not.toContain('secret')
  })

  test('of another shape is a fault, and an error of its own names no files', async () => {
    const { house } = await open(({ method, id }, ws) => {
      if (method === 'get_pinned') return { result: { pinned: 'x' } }
      ws.send(JSON.stringify({ jsonrpc: '2.0', error: { code: 1, message: 'no such file: /home/pi/iris/x.pkl', id } }))
      return undefined
    })
    const ada = await connect(house, 'ada')
    expect((await ada.ask('get_pinned')).error?.code).toBe(-32010)
    const { error } = await ada.ask('get_radio')
    expect(error?.message).not.toContain('/home/pi')
    expect(error?.message).toContain('no such file')
  })

  test('to nobody’s question, or in no words, reaches nobody', async () => {
    const { behind, house } = await open(() => ({ result: { pinned: [] } }))
    const ada = await connect(house, 'ada')
    await expect.poll(() => behind.clients.length).toBe(1)
    behind.clients[0]?.send('{"jsonrpc":"2.0","id":7,"result":{"pinned":[]}}')
    behind.clients[0]?.send('nonsense')
    behind.clients[0]?.send(
      Buffer.from('{"jsonrpc":"2.0","method":"notification","params":{"notification":{"content":"x"}}}'),
      { binary: true },
    )
    await ada.ask('get_pinned')
    expect(ada.inbox.length).toBe(1)
  })

  test('to everybody is heard by who may, without what is nobody’s', async () => {
    const { behind, house } = await open(() => ({ result: { pinned: [] } }))
    const [ada, kim] = [await connect(house, 'ada'), await connect(house, 'kim')]
    await expect.poll(() => behind.clients.length).toBe(2)
    behind.broadcast('reload', {})
    behind.broadcast('commands_changed', { commands: { 1: { url: 'http://10.0.0.1/?password=secret' } } })
    behind.broadcast('shared_config_changed', { shared_config: { token: 'secret' } })
    behind.broadcast('spotify_token_changed', { spotify_token: 'secret' })
    behind.broadcast('restart_updated', { output: '/home/pi' })
    behind.broadcast('connection_added', { connection: { connection_id: 'A', ip: '10.0.0.7', username: 'Kim' } })
    for (const client of [ada, kim]) await client.ask('get_pinned')
    const heard = (client: typeof ada) => client.inbox.filter(({ id }) => id === undefined)
    const added = {
      jsonrpc: '2.0',
      method: 'connection_added',
      params: { connection: { connection_id: 'A', username: 'Kim' } },
    }
    expect(heard(kim)).toEqual([added])
    expect(heard(ada)).toEqual([{ jsonrpc: '2.0', method: 'restart_updated', params: {} }, added])
  })

  test('without end is not listened to', async () => {
    const { behind, house } = await open(undefined, { messages: 100 })
    const ada = await connect(house, 'ada')
    await expect.poll(() => behind.clients.length).toBe(1)
    for (let i = 0; i < 300; i++) behind.broadcast('pinned_changed', { pinned: [] })
    expect(await ada.closed).toBe(1012)
  })
})

describe('the end', () => {
  test('of Iris is the client’s, with what it still waits for', async () => {
    const { behind, house } = await open(({ method }, ws) => (method === 'get_radio' ? ws.terminate() : undefined))
    const ada = await connect(house, 'ada')
    ada.say({ jsonrpc: '2.0', id: 1, method: 'get_pinned', params: {} })
    ada.say({ jsonrpc: '2.0', id: 2, method: 'get_radio', params: {} })
    expect(await ada.closed).toBe(1012)
    expect(behind.heard.length).toBe(2)
  })

  test('of the client is Iris’', async () => {
    const { behind, house } = await open()
    const ada = await connect(house, 'ada')
    await expect.poll(() => behind.clients.length).toBe(1)
    ada.ws.close()
    await expect.poll(() => behind.clients[0]?.readyState).toBe(WebSocket.CLOSED)
  })

  test('comes at once where nobody is behind', async () => {
    const { behind, house } = await open()
    await behind.close()
    const ada = await connect(house, 'ada')
    expect(await ada.closed).toBe(1012)
  })
})
