import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { createCall, type User } from '../../src/call/call.ts'
import { alarming, catalog, op, refuse } from '../../src/call/catalog.ts'
import { createGate } from '../../src/gate/gate.ts'
import { createLimiter } from '../../src/gate/limiter.ts'
import { createNotify, type NotifyLimits, type Target } from '../../src/notify/notify.ts'
import { compile } from '../../src/policy/policy.ts'
import { uri } from '../../src/protocol/mpd/param.ts'

const rows = catalog('go-librespot', {
  'POST /token': alarming(refuse('server.admin', 'hands out a sign-in')),
  'POST /player/output': alarming(refuse('server.admin', 'reaches the audio driver', { uri })),
  'POST /player/stop': alarming(op('server.admin')),
  'POST /player/next': op('playback.skip'),
})
const hour = 3_600_000
const start = Date.UTC(2026, 0, 1)

const user = (id: string, name = id): User => {
  return { kind: 'user', id, name, roles: ['kid'], session: 's', until: Number.POSITIVE_INFINITY, from: '192.0.2.1' }
}

function callOf(row: keyof typeof rows, by = user('u1', 'ben'), args: Record<string, unknown> = {}) {
  return createCall({ id: 'r', by, door: 'http', player: 'den', at: start }, { operation: rows[row], args })
}

interface Heard {
  readonly method: string | undefined
  readonly url: string | undefined
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

async function listening(server: Server): Promise<string> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => sockets.add(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A web server that writes down what it is told. */
async function createEar(answer: (response: ServerResponse) => void = (response) => response.end()) {
  const heard: Heard[] = []
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const { method, url, headers } = request
    heard.push({ method, url, headers, body: String(Buffer.concat(chunks)) })
    answer(response)
  })
  return { heard, url: await listening(server) }
}

function createHouse(targets: readonly Target[], limits: Partial<NotifyLimits> = {}) {
  const clock = { now: start }
  const warnings: string[] = []
  const log = { warn: (about: object, text: string) => warnings.push(`${text} ${JSON.stringify(about)}`) }
  const notify = createNotify({ targets: () => targets, now: () => clock.now, log, limits })
  onTestFinished(() => notify.close())
  return { notify, clock, warnings }
}

describe('what is told', () => {
  it('is who, what, where and when, and nothing that was sent along', async () => {
    const ear = await createEar()
    const { notify } = createHouse([{ webhook: `${ear.url}/hook?key=1` }, { ntfy: `${ear.url}/topic` }])
    notify.tell(callOf('POST /player/output', user('u1', 'ben'), { uri: 'spotify:track:secret' }))
    await vi.waitUntil(() => ear.heard.length === 2)
    const [hook, ntfy] = ear.heard.toSorted((a, b) => String(a.url).localeCompare(String(b.url)))
    expect([hook?.method, hook?.url, hook?.headers['content-type']]).toEqual([
      'POST',
      '/hook?key=1',
      'application/json',
    ])
    expect(JSON.parse(hook?.body ?? '')).toEqual({
      kind: 'alarm',
      who: 'ben',
      door: 'http',
      player: 'den',
      operation: 'POST /player/output',
      at: '2026-01-01T00:00:00.000Z',
    })
    expect([ntfy?.method, ntfy?.url]).toEqual(['POST', '/topic'])
    expect(ntfy?.headers).toMatchObject({ title: 'Stagedoor: alarm', tags: 'rotating_light' })
    expect(ntfy?.body).toBe('ben tried POST /player/output at den (http), which is refused. 2026-01-01T00:00:00.000Z')
    expect(JSON.stringify(ear.heard)).not.toMatch(/secret|192\.0\.2/)
  })

  it('a name that came with line breaks and escapes stays one line', async () => {
    const ear = await createEar()
    const { notify } = createHouse([{ ntfy: `${ear.url}/topic` }])
    notify.tell(callOf('POST /token', user('u1', `ben\r\nX: y\u001b[2J\u202e${'n'.repeat(10_000)}`)))
    await vi.waitUntil(() => ear.heard.length === 1)
    expect(ear.heard[0]?.body).toMatch(/^benX: y\[2Jn{1,100} tried POST \/token [ -~]*$/)
    expect(ear.heard[0]?.headers).not.toHaveProperty('x')
  })
})

it('a volume that cannot be kept is told of the player alone, once an hour', async () => {
  const ear = await createEar()
  const { notify, clock } = createHouse([{ webhook: `${ear.url}/hook` }, { ntfy: `${ear.url}/topic` }])
  for (let i = 0; i < 10; i++) notify.tellContest('den')
  await vi.waitUntil(() => ear.heard.length === 2)
  const [hook, ntfy] = ear.heard.toSorted((a, b) => String(a.url).localeCompare(String(b.url)))
  expect(JSON.parse(hook?.body ?? '')).toEqual({ kind: 'contest', player: 'den', at: '2026-01-01T00:00:00.000Z' })
  expect(ntfy?.headers).toMatchObject({ title: 'Stagedoor: volume', tags: 'loud_sound' })
  expect(ntfy?.body).toBe('The volume at den is turned up again and again above its ceiling. 2026-01-01T00:00:00.000Z')
  clock.now += hour
  notify.tellContest('den')
  await vi.waitUntil(() => ear.heard.length === 4)
})

describe('once per person and hour', () => {
  it('over all operations and however often it is tried', async () => {
    const ear = await createEar()
    const { notify, clock } = createHouse([{ webhook: ear.url }])
    for (let i = 0; i < 1_000; i++) notify.tell(callOf(i % 2 ? 'POST /token' : 'POST /player/stop'))
    notify.tell(callOf('POST /token', user('u2', 'ada')))
    clock.now += hour - 1
    notify.tell(callOf('POST /token'))
    clock.now += 1
    notify.tell(callOf('POST /player/stop'))
    notify.tell(callOf('POST /token', user('u3', 'end')))
    await vi.waitUntil(() => ear.heard.some(({ body }) => body.includes('"end"')))
    await vi.waitUntil(() => ear.heard.length >= 4)
    expect(ear.heard.map(({ body }) => JSON.parse(body).who).toSorted()).toEqual(['ada', 'ben', 'ben', 'end'])
  })

  it('a clock that is set back silences nobody', async () => {
    const ear = await createEar()
    const { notify, clock } = createHouse([{ webhook: ear.url }])
    notify.tell(callOf('POST /token'))
    clock.now -= 24 * hour
    notify.tell(callOf('POST /token'))
    await vi.waitUntil(() => ear.heard.length === 2)
  })

  it('and of sixty persons at most: who has many accounts makes us flood nobody', async () => {
    const ear = await createEar()
    const { notify, clock, warnings } = createHouse([{ webhook: ear.url }])
    for (let i = 0; i < 10_000; i++) notify.tell(callOf('POST /token', user(`u${i}`)))
    await vi.waitUntil(() => ear.heard.length === 60)
    expect(warnings[0]).toContain('told to nobody')
    clock.now += hour
    notify.tell(callOf('POST /token', user('u9999')))
    await vi.waitUntil(() => ear.heard.length === 61)
    expect(JSON.parse(ear.heard[60]?.body ?? '').who).toBe('u9999')
  })
})

describe('a server that is told', () => {
  it('and never answers is given up', async () => {
    const hole = createTcpServer((socket) => void socket.on('error', () => {}).resume())
    const { notify, warnings } = createHouse([{ webhook: await listening(hole) }], { deadlineMs: 50 })
    for (let i = 0; i < 12; i++) notify.tell(callOf('POST /token', user(`u${i}`)))
    await vi.waitUntil(() => warnings.length === 12)
  })

  it('and takes its time hears four at once, and the rest in their turn', async () => {
    const open: Socket[] = []
    const slow = createTcpServer((socket) => void open.push(socket.on('error', () => {}).resume()))
    const { notify } = createHouse([{ webhook: await listening(slow) }], { deadlineMs: 60_000 })
    for (let i = 0; i < 12; i++) notify.tell(callOf('POST /token', user(`u${i}`)))
    for (let answered = 0; answered < 8; answered++) {
      await vi.waitUntil(() => open.length >= answered + 4)
      expect(open).toHaveLength(answered + 4)
      open[answered]?.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n')
    }
    await vi.waitUntil(() => open.length === 12)
  })

  it('does not keep others from being told', async () => {
    const ear = await createEar()
    const hole = createTcpServer((socket) => void socket.on('error', () => {}).resume())
    const { notify } = createHouse([{ webhook: await listening(hole) }, { webhook: ear.url }], { deadlineMs: 50 })
    for (let i = 0; i < 5; i++) notify.tell(callOf('POST /token', user(`u${i}`)))
    await vi.waitUntil(() => ear.heard.length === 5)
  })

  it('and answers without end is not listened to', async () => {
    let written = 0
    const ear = await createEar((response) => {
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536))) written += 65_536
      }
      response.on('drain', more)
      more()
    })
    const { notify, warnings } = createHouse([{ webhook: ear.url }])
    notify.tell(callOf('POST /token'))
    notify.tell(callOf('POST /token', user('u2')))
    await vi.waitUntil(() => ear.heard.length === 2)
    expect(warnings).toEqual([])
    expect(written).toBeLessThan(64 * 1024 * 1024)
  })

  it.each([301, 302, 307, 308])('and answers %i sends us nowhere else', async (status) => {
    const other = await createEar()
    const ear = await createEar((response) => response.writeHead(status, { location: other.url }).end())
    const { notify, warnings } = createHouse([{ webhook: `${ear.url}/hook-hunter2` }])
    notify.tell(callOf('POST /token'))
    await vi.waitUntil(() => warnings.length === 1)
    expect(warnings[0]).toContain(`answered with ${status}`)
    expect(warnings[0], 'the address is as good as a password').not.toContain('hunter2')
    expect(other.heard).toEqual([])
  })

  it('and is not there costs a line in the log, with no address in it', async () => {
    const closed = createTcpServer()
    const url = await listening(closed)
    closed.close()
    await once(closed, 'close')
    const { notify, warnings } = createHouse([
      { webhook: `${url}/hunter2` },
      { ntfy: 'http://nowhere.invalid/hunter3' },
    ])
    expect(() => notify.tell(callOf('POST /token'))).not.toThrow()
    await vi.waitUntil(() => warnings.length === 2)
    expect(warnings.join()).not.toMatch(/hunter/)
  })
})

it('nobody is told after the end, and what is on its way is given up', async () => {
  const hole = createTcpServer((socket) => void socket.on('error', () => {}).resume())
  const arrived = once(hole, 'connection')
  const { notify } = createHouse([{ webhook: await listening(hole) }])
  notify.tell(callOf('POST /token'))
  await arrived
  await notify.close()
  notify.tell(callOf('POST /token', user('u2')))
  await notify.close()
})

it('behind the gate: a refused call of an alarming row is told, an allowed one and an ordinary refusal are not', async () => {
  const ear = await createEar()
  const { notify } = createHouse([{ webhook: ear.url }])
  const policy = compile({
    kid: { grants: [{ allow: ['status.read'] }] },
    owner: { grants: [{ allow: ['*'] }] },
  })
  const gate = createGate({
    policy: () => policy,
    limiter: createLimiter(),
    audit: { write: () => {} },
    alarm: notify.tell,
  })
  const owner = { ...user('u0', 'ada'), roles: ['owner'] }
  expect(() => gate.admit(callOf('POST /player/next'))).toThrow('not allowed')
  gate.admit(callOf('POST /player/stop', owner))
  expect(() => gate.admit(callOf('POST /player/stop'))).toThrow('not allowed')
  expect(() => gate.admit(callOf('POST /token', owner))).toThrow('not offered here')
  await vi.waitUntil(() => ear.heard.length === 2)
  expect(ear.heard.map(({ body }) => JSON.parse(body)).map(({ who, operation }) => `${who} ${operation}`)).toEqual([
    'ben POST /player/stop',
    'ada POST /token',
  ])
})
