import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { run as onevent } from '../../src/cli/onevent.ts'
import { createOnevent } from '../../src/upstream/onevent.ts'
import { createDir } from '../identity/house.ts'

/** The command as librespot runs it, with nothing in its environment but what is said. */
async function call(env: Record<string, string>, args: readonly string[] = [], data = createDir()) {
  const said = { out: [] as string[], err: [] as string[] }
  const status = await onevent(args, {
    out: (text) => said.out.push(text),
    err: (text) => said.err.push(text),
    stdin: async () => '',
    config: '/nowhere.yaml',
    data,
    env,
    now: Date.now,
  })
  return { status, out: said.out.join('\n'), err: said.err.join('\n') }
}

/** A socket that writes down what it hears. */
async function createEar(data = createDir()) {
  const heard: string[] = []
  const server = createServer((socket: Socket) => {
    let text = ''
    socket.on('data', (chunk: Buffer) => {
      text += chunk
    })
    socket.on('end', () => heard.push(text))
    socket.on('error', () => {})
  })
  server.listen(join(data, 'onevent.sock'))
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return { data, heard }
}

/** The gateway's end of it. */
async function createGateway(players: readonly string[]) {
  const data = createDir()
  const warnings: object[] = []
  const path = join(data, 'onevent.sock')
  const server = createOnevent({ path, now: Date.now, log: { warn: (about) => warnings.push(about) } })
  await server.listen()
  onTestFinished(() => server.close())
  return { data, warnings, players: new Map(players.map((name) => [name, server.open(name)])) }
}

describe('what the gateway is told', () => {
  it('is what librespot said, in one line of JSON, and nothing else of the environment', async () => {
    const { data, heard } = await createEar()
    const env = { PLAYER_EVENT: 'track_changed', NAME: 'One', ARTISTS: 'A\nB', HOME: '/root', SPOTIFY_TOKEN: 'hunter2' }
    expect(await call(env, ['--player', 'den'], data)).toEqual({ status: 0, out: '', err: '' })
    expect(heard).toEqual([
      '{"player":"den","event":{"PLAYER_EVENT":"track_changed","ARTISTS":"A\\nB","NAME":"One"}}\n',
    ])
  })

  it('goes to the socket that is named, by the option or the environment', async () => {
    const [one, two] = [await createEar(), await createEar()]
    const path = (ear: typeof one) => join(ear.data, 'onevent.sock')
    await call({ PLAYER_EVENT: 'playing', STAGEDOOR_ONEVENT_SOCKET: path(one) })
    await call({ PLAYER_EVENT: 'paused', STAGEDOOR_ONEVENT_SOCKET: path(one) }, ['--socket', path(two)])
    await vi.waitUntil(() => one.heard.length + two.heard.length === 2)
    expect(one.heard).toEqual(['{"event":{"PLAYER_EVENT":"playing"}}\n'])
    expect(two.heard).toEqual(['{"event":{"PLAYER_EVENT":"paused"}}\n'])
  })

  const variables = ['ALBUM', 'ARTISTS', 'COVERS', 'NAME', 'SHOW_NAME', 'URI', 'VOLUME', 'SHUFFLE', 'DURATION_MS']
  it.each([
    ['a megabyte', 'x'.repeat(1_000_000)],
    ['line breaks', '\n'.repeat(1_000_000)],
    ['three bytes a character', '\uffee'.repeat(100_000)],
    ['four bytes a character', '😀'.repeat(100_000)],
    ['quotes and backslashes', '"\\'.repeat(100_000)],
    ['escape sequences', '\u001b[2J\u001b]0;x\u0007\u009b1m'.repeat(10_000)],
    ['a message of its own', '"},"player":"den"}\n{"player":"den","event":{"PLAYER_EVENT":"stopped"}}\n'],
    ['half a pair of surrogates', '\ud800'.repeat(10_000)],
  ])('is one bounded line that the gateway can read, whatever the song is called: %s', async (_, text) => {
    const { data, heard } = await createEar()
    const env = Object.fromEntries(variables.map((name) => [name, text]))
    expect(await call({ ...env, PLAYER_EVENT: 'track_changed' }, ['--player', 'd'.repeat(64)], data)).toMatchObject({
      status: 0,
    })
    expect(heard).toHaveLength(1)
    const [line = ''] = heard
    expect(Buffer.byteLength(line)).toBeLessThan(16 * 1024)
    expect(line.indexOf('\n')).toBe(line.length - 1)
    expect(line).not.toMatch(/[\p{Cc}--\n]/v)
    expect(line).not.toContain('\\u001b')
    expect(JSON.parse(line).event.PLAYER_EVENT).toBe('track_changed')
  })

  it('a gateway understands the worst of it', async () => {
    const { data, warnings, players } = await createGateway(['den'])
    const text = `${'"\\\n😀\uffee\u001b'.repeat(10_000)}`
    const env = { PLAYER_EVENT: 'track_changed', NAME: text, ALBUM: text, ARTISTS: text, URI: text, COVERS: text }
    await call({ ...env, DURATION_MS: '1000' }, ['--player', 'den'], data)
    await vi.waitUntil(() => players.get('den')?.picture?.duration === 1000)
    expect(players.get('den')?.picture?.uri).toBeNull()
    expect(warnings).toEqual([])
  })
})

describe('the player', () => {
  it('may be left out where there is one', async () => {
    const { data, players } = await createGateway(['den'])
    await call({ PLAYER_EVENT: 'playing', POSITION_MS: '5' }, [], data)
    await vi.waitUntil(() => players.get('den')?.picture?.state === 'playing')
  })

  it('is nobody where there are two', async () => {
    const { data, warnings, players } = await createGateway(['den', 'bath'])
    await call({ PLAYER_EVENT: 'playing' }, [], data)
    await vi.waitUntil(() => warnings.length === 1)
    await call({ PLAYER_EVENT: 'playing' }, ['--player', 'bath'], data)
    await vi.waitUntil(() => players.get('bath')?.picture?.state === 'playing')
    expect(players.get('den')?.picture).toBeUndefined()
  })
})

describe('librespot plays on', () => {
  it('when no gateway is there', async () => {
    const { status, err, out } = await call({ PLAYER_EVENT: 'playing', NAME: 'hunter2' })
    expect([status, out]).toEqual([0, ''])
    expect(err).toMatch(/^stagedoor: the gateway was not told: .*ENOENT/)
    expect(err).not.toContain('hunter2')
  })

  it('when the path cannot be one', async () => {
    const { status, err } = await call({ PLAYER_EVENT: 'playing' }, ['--socket', `/${'x'.repeat(500)}`])
    expect(status).toBe(0)
    expect(err).toMatch(/^stagedoor: the gateway was not told/)
  })

  it('when the gateway takes nothing', async () => {
    const data = createDir()
    const sockets: Socket[] = []
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => sockets.push(socket))
    server.listen(join(data, 'onevent.sock'))
    await once(server, 'listening')
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy()
      server.close()
    })
    const { status, err } = await call({ PLAYER_EVENT: 'playing' }, [], data)
    expect(status).toBe(0)
    expect(err).toContain('it does not listen')
  })
})

it.each([
  [{}, [], 'PLAYER_EVENT is not set'],
  [{ PLAYER_EVENT: '' }, [], 'PLAYER_EVENT is not set'],
  [{ PLAYER_EVENT: 'playing' }, ['den'], 'one word too many'],
  [{ PLAYER_EVENT: 'playing' }, ['--playr', 'den'], 'playr'],
  [{ PLAYER_EVENT: 'playing' }, ['--player', 'a","b":"'], 'no name of a player'],
])('wrong usage: %j %j', async (env: Record<string, string>, args, problem) => {
  const { status, err } = await call(env, args)
  expect(status).toBe(2)
  expect(err).toContain(problem)
})

/** Says on standard error which packages a program reads. */
const watch = `data:text/javascript,${encodeURIComponent(`
  import { registerHooks } from 'node:module'
  registerHooks({ resolve(name, context, next) {
    if (!/^(node:|file:|data:|[./])/.test(name)) process.stderr.write('reads ' + name)
    return next(name, context)
  } })`)}`

it('as a program: it needs no configuration, and is quick because it reads no package', async () => {
  const { data, heard } = await createEar()
  const main = fileURLToPath(new URL('../../bin/stagedoor.js', import.meta.url))
  const run = promisify(execFile)
  const env = { PLAYER_EVENT: 'playing', POSITION_MS: '7', STAGEDOOR_CONFIG: '/nowhere.yaml', STAGEDOOR_DATA: data }
  const said = await run(process.execPath, ['--import', watch, main, 'onevent', '--player', 'den'], { env })
  expect(said).toEqual({ stdout: '', stderr: '' })
  expect(heard).toEqual(['{"player":"den","event":{"PLAYER_EVENT":"playing","POSITION_MS":"7"}}\n'])
  const other = await run(process.execPath, ['--import', watch, main, 'schema'], { env })
  expect(other.stderr, 'what says so sees packages').toContain('reads typebox')
})
