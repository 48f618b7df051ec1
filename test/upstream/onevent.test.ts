import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { LibrespotEvent } from '../../src/protocol/librespot/events.ts'
import { createOnevent, type OneventLimits, type OneventServer } from '../../src/upstream/onevent.ts'

let dir: string
let path: string
const servers: OneventServer[] = []
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'onevent-'))
  path = join(dir, 'onevent.sock')
})
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close()
  rmSync(dir, { recursive: true })
})

function create(limits: Partial<OneventLimits> = {}): OneventServer {
  const server = createOnevent({ path, now: () => 5_000, limits })
  servers.push(server)
  return server
}

async function setUp(limits: Partial<OneventLimits> = {}) {
  const server = create(limits)
  const player = server.open('kitchen')
  const heard: LibrespotEvent[] = []
  player.onEvent((event) => heard.push(event))
  await server.listen()
  return { server, player, heard }
}

/** Writes, says no more, and resolves when the other side has ended as well. */
function say(...pieces: (string | Buffer)[]): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(path)
    let said = ''
    socket.on('data', (chunk: Buffer) => {
      said += chunk.toString()
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve(said))
    for (const piece of pieces) socket.write(piece)
    socket.end()
  })
}

const line = (event: Record<string, unknown>, player: unknown = 'kitchen') => `${JSON.stringify({ player, event })}\n`
const playing = line({ PLAYER_EVENT: 'playing', POSITION_MS: '1500' })

test('what librespot says becomes a picture and events', async () => {
  const { player, heard } = await setUp()
  expect(player.up).toBe(true)
  expect(player.picture).toBe(undefined)
  const track = {
    PLAYER_EVENT: 'track_changed',
    URI: 'spotify:track:67Hna13dNDkZvBpTXRIaOJ',
    NAME: 'Teardrop',
    ARTISTS: 'Massive Attack\nElizabeth Fraser',
    ALBUM: 'Mezzanine',
    DURATION_MS: '330000',
    COVERS: 'https://i.scdn.co/image/ab67616d\nhttps://i.scdn.co/image/2',
  }
  await say(line(track), playing, line({ PLAYER_EVENT: 'volume_changed', VOLUME: '32768' }))
  await say(line({ PLAYER_EVENT: 'shuffle_changed', SHUFFLE: 'true' }))
  await say(line({ PLAYER_EVENT: 'repeat_changed', REPEAT: 'false', REPEAT_TRACK: 'true' }))
  expect(player.picture).toEqual({
    state: 'playing',
    title: 'Teardrop',
    artist: 'Massive Attack, Elizabeth Fraser',
    album: 'Mezzanine',
    uri: 'spotify:track:67Hna13dNDkZvBpTXRIaOJ',
    art: 'https://i.scdn.co/image/ab67616d',
    position: 1500,
    at: 5_000,
    duration: 330_000,
    volume: 51,
    muted: null,
    options: { random: true, repeat: true, single: true, consume: false },
  })
  expect(heard.map(({ type }) => type)).toEqual([
    'track_changed',
    'playing',
    'volume_changed',
    'shuffle_changed',
    'repeat_changed',
  ])
  await say(line({ PLAYER_EVENT: 'stopped' }))
  expect(player.picture).toMatchObject({ state: 'stopped', position: null })
})

test('texts that anybody could have written are short and on one line', async () => {
  const { player } = await setUp()
  await say(
    line({
      PLAYER_EVENT: 'track_changed',
      NAME: `a\u202e\u001b[2J\n${'x'.repeat(2_000)}`,
      ARTISTS: `${'y\n'.repeat(50)}`,
      URI: 'javascript:alert(1)',
      COVERS: 'http://127.0.0.1:6680/token',
      DURATION_MS: '-1',
    }),
  )
  expect(player.picture?.title).toMatch(/^a \[2J x+$/)
  expect(player.picture?.title?.length).toBeLessThanOrEqual(500)
  expect(player.picture?.artist?.length).toBeLessThan(100)
  expect(player.picture).toMatchObject({ uri: null, art: null, duration: null })
})

test.each([
  ['another player', line({ PLAYER_EVENT: 'playing' }, 'bath')],
  ['a player of another type', line({ PLAYER_EVENT: 'playing' }, 7)],
  ['a prototype', line({ PLAYER_EVENT: 'playing' }, '__proto__')],
  ['no JSON', 'PLAYER_EVENT=playing\n'],
  ['a list', '[]\n'],
  ['null', 'null\n'],
  ['a key twice', '{"player":"kitchen","player":"kitchen","event":{"PLAYER_EVENT":"playing"}}\n'],
  ['one key too many', '{"player":"kitchen","event":{"PLAYER_EVENT":"playing"},"volume":100}\n'],
  ['a variable librespot does not have', line({ PLAYER_EVENT: 'playing', USER_NAME: 'alice' })],
  ['a number for a text', line({ PLAYER_EVENT: 'playing', POSITION_MS: 5 })],
  ['a nested event', line({ PLAYER_EVENT: { PLAYER_EVENT: 'playing' } })],
  ['no event', line({})],
  ['a volume that is none', line({ PLAYER_EVENT: 'volume_changed', VOLUME: '65536' })],
  ['an event with a strange name', line({ PLAYER_EVENT: 'playing; rm -rf' })],
  ['no UTF-8', Buffer.from([0xff, 0x0a])],
  ['a line of 16 KiB and one byte', `${JSON.stringify({ player: 'kitchen' }).padEnd(16 * 1024 + 1)}\n`],
  ['a line without an end', 'x'.repeat(20_000)],
])('%s: the connection ends, nothing is said, and nothing else happens', async (_, garbage) => {
  const { player, heard } = await setUp()
  expect(await say(garbage, playing)).toBe('')
  expect(heard).toEqual([])
  expect(player.picture).toBe(undefined)
  await say(playing)
  expect(heard).toHaveLength(1)
})

test.each(['preloading', 'session_connected', 'sink', 'constructor'])(
  '%s says nothing of the status',
  async (event) => {
    const { heard } = await setUp()
    await say(line({ PLAYER_EVENT: event }), playing)
    expect(heard).toEqual([{ type: 'playing', data: { position: 1500 } }])
  },
)

test('a line may come in pieces, and a connection tells a bounded number of them', async () => {
  const { heard } = await setUp({ lines: 3 })
  await say(playing.slice(0, 10), playing.slice(10))
  expect(heard).toHaveLength(1)
  await say(playing.repeat(10))
  expect(heard).toHaveLength(4)
})

test('who connects and says nothing keeps nobody else out for long', async () => {
  const { heard } = await setUp({ connections: 2, connectionMs: 50 })
  const idle = [connect(path), connect(path)]
  for (const socket of idle) socket.on('error', () => {})
  await vi.waitFor(async () => {
    await say(playing)
    expect(heard.length).toBeGreaterThan(0)
  })
})

test.each([0o000, 0o022, 0o077])('whatever the umask (%o), the socket is its owner’s alone', async (mask) => {
  const before = process.umask(mask)
  try {
    await setUp()
  } finally {
    process.umask(before)
  }
  expect(lstatSync(path).mode & 0o777).toBe(0o600)
  expect(statSync(dir).mode & 0o777).toBe(0o700)
  expect(readdirSync(dir)).toEqual(['onevent.sock'])
})

test('a directory that others may look into is closed to them', async () => {
  chmodSync(dir, 0o755)
  await setUp()
  expect(statSync(dir).mode & 0o777).toBe(0o700)
})

test('a stale socket is taken the place of', async () => {
  const stale = createServer()
  await new Promise<void>((resolve) => stale.listen(path, resolve))
  const other = join(dir, 'kept')
  // What is left when a process dies: the name, and nobody behind it.
  renameSync(path, other)
  await new Promise((resolve) => stale.close(resolve))
  renameSync(other, path)
  const { heard } = await setUp()
  await say(playing)
  expect(heard).toHaveLength(1)
})

test('the socket of a gateway that runs is left alone', async () => {
  const { heard } = await setUp()
  await expect(create().listen()).rejects.toThrow('another gateway is listening there')
  await say(playing)
  expect(heard).toHaveLength(1)
})

test.each([
  ['a file', () => writeFileSync(path, 'precious')],
  ['a directory', () => mkdirSync(path)],
  ['a link to somewhere', () => symlinkSync('/etc/passwd', path)],
])('%s in its place is left alone, and said', async (_, put) => {
  put()
  await expect(create().listen()).rejects.toThrow('is no socket')
  expect(existsSync('/etc/passwd')).toBe(true)
  expect(lstatSync(path).isSocket()).toBe(false)
})

test('after close the socket is gone, and nobody hears anything', async () => {
  const { server, player } = await setUp()
  const open = connect(path)
  open.on('error', () => {})
  const gone = new Promise((resolve) => open.once('close', resolve))
  await new Promise((resolve) => open.once('connect', resolve))
  await server.close()
  await gone
  expect(readdirSync(dir)).toEqual([])
  expect(player.up).toBe(false)
})

test('the socket of the gateway that came after is not taken away by the one that ends', async () => {
  const { server } = await setUp()
  rmSync(path)
  const next = create()
  next.open('kitchen')
  await next.listen()
  await server.close()
  expect(readdirSync(dir)).toEqual(['onevent.sock'])
})

test('one player has one name, and may be opened again after it was closed', () => {
  const server = create()
  const player = server.open('kitchen')
  expect(() => server.open('kitchen')).toThrow('two players')
  player.close()
  server.open('kitchen')
})

test('with one player its name may be left out, with two it may not', async () => {
  const { server, heard } = await setUp()
  const unnamed = `${JSON.stringify({ event: { PLAYER_EVENT: 'playing', POSITION_MS: '1' } })}\n`
  await say(unnamed)
  expect(heard).toHaveLength(1)
  server.open('bath')
  await say(unnamed)
  expect(heard).toHaveLength(1)
})
