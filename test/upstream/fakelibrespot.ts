import { once } from 'node:events'
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { type WebSocket, WebSocketServer } from 'ws'

// The contract of go-librespot's, librespot-java's and zeroconf's HTTP, as their sources have it and as they were seen to
// run: careless JSON, bodies that override the path, one request at a time, and the calls that end the process.

export type Kind = 'go-librespot' | 'librespot-java' | 'zeroconf'

/** What goes wrong with every answer while it is set. */
export type Trouble =
  | 'hang'
  | 'crash'
  | 'huge'
  | 'huge-chunked'
  | 'endless'
  | 'reset'
  | 'malformed'
  | 'html'
  | 'array'
  | 'gzip'
  | 'redirect'
  | 'switch'
  | 'twice'
  | 'not-http'
  | 'binary'

export interface Received {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

interface Track {
  uri: string
  name: string
  artist_names: string[]
  album_name: string
  album_cover_url: string | null
  position: number
  duration: number
  [more: string]: unknown
}

export interface FakeLibrespot {
  readonly url: string
  readonly port: number
  /** Every byte of HTTP it was sent, the handshakes of WebSockets included. */
  readonly bytes: string
  /** The requests that were whole, in the order they came. */
  readonly requests: readonly Received[]
  /** `METHOD /path` of each of them. */
  readonly asked: readonly string[]
  readonly handshakes: readonly IncomingMessage['headers'][]
  /** Connections of HTTP, ever. */
  readonly connections: number
  /** How many requests were at it at the same time, at most. */
  readonly mostAtOnce: number
  readonly crashed: boolean
  /** Readers of the events, now. */
  readonly readers: number
  trouble: Trouble | undefined
  /** Where the trouble is; everywhere when left out. */
  troubled: (request: Received) => boolean
  /** Milliseconds that each request takes. */
  latencyMs: number
  /** Answers with this status instead, and these headers. */
  status: number | undefined
  headers: Record<string, string>
  /** What it says instead of what it would. */
  says: string | undefined
  /** Whether somebody is signed in at Spotify. */
  session: boolean
  readonly state: {
    volume: number
    steps: number
    paused: boolean
    stopped: boolean
    repeat_context: boolean
    repeat_track: boolean
    shuffle_context: boolean
    device_name: string
    track: Track | null
    readonly queue: string[]
    readonly loaded: string[]
    readonly paired: string[]
  }
  /** Sends to every reader, as it is. */
  tell(event: object | string | Buffer): void
  /** Ends the readers' connections. */
  hangUp(): void
  until(condition: () => boolean): Promise<void>
  /** Everything ends, as when the process does. */
  kill(): void
  reopen(): Promise<void>
  close(): Promise<void>
}

export const song = (name = 'Teardrop', id = '67Hna13dNDkZvBpTXRIaOJ'): Track => ({
  uri: `spotify:track:${id}`,
  name,
  artist_names: ['Massive Attack'],
  album_name: 'Mezzanine',
  album_cover_url: 'https://i.scdn.co/image/ab67616d0000b273',
  position: 1000,
  duration: 330_000,
  release_date: 'year:1998 month:4 day:20',
  track_number: 3,
  disc_number: 1,
  format: 'OGG_VORBIS_320',
  codec: 'vorbis',
  bitrate: 320,
  sample_rate: 44_100,
  bit_depth: 16,
})

export async function startFakeLibrespot(kind: Kind): Promise<FakeLibrespot> {
  const requests: Received[] = []
  const handshakes: IncomingMessage['headers'][] = []
  const sockets = new Set<Socket>()
  let bytes = ''
  let connections = 0
  let atOnce = 0
  let before: Promise<unknown> = Promise.resolve()
  const waiters = new Set<() => void>()
  const notify = () => {
    for (const waiter of waiters) waiter()
    waiters.clear()
  }
  const http = createHttpServer()
  const events = new WebSocketServer({ noServer: true })
  const outer = createServer((socket) => {
    connections++
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => {
      sockets.delete(socket)
      notify()
    })
    // Before the listener: with it, the parser takes no shortcut past it.
    http.emit('connection', socket)
    let isEvents = false
    socket.on('data', (chunk) => {
      if (!isEvents) bytes += chunk.toString('latin1')
      if (/^GET \/events\b/.test(chunk.toString('latin1'))) isEvents = true
      notify()
    })
  })

  http.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    if (kind === 'zeroconf' || request.url !== '/events') return void socket.destroy()
    handshakes.push(request.headers)
    events.handleUpgrade(request, socket, head, (reader: WebSocket) => {
      reader.on('error', () => {})
      notify()
    })
  })

  http.on('request', async (message: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = []
    for await (const chunk of message) chunks.push(chunk)
    const request: Received = {
      method: message.method ?? '',
      path: message.url ?? '',
      headers: message.headers,
      body: Buffer.concat(chunks).toString(),
    }
    requests.push(request)
    notify()
    atOnce++
    fake.mostAtOnce = Math.max(fake.mostAtOnce, atOnce)
    const turn = before.then(() => work(request, response, message.socket))
    // go-librespot has one loop for all of them.
    if (kind === 'go-librespot') before = turn.catch(() => {})
    await turn.catch(() => response.destroy())
    atOnce--
    notify()
  })

  async function work(request: Received, response: ServerResponse, socket: Socket): Promise<void> {
    if (fake.latencyMs > 0) await new Promise((resolve) => setTimeout(resolve, fake.latencyMs))
    // A reader of the events that stalls keeps everybody waiting.
    while ([...events.clients].some(({ bufferedAmount }) => bufferedAmount > 64 * 1024)) {
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    if (fake.trouble !== undefined && fake.troubled(request)) return trouble(fake.trouble, response, socket)
    const { status, body } = fake.status === undefined ? answer(request) : { status: fake.status, body: undefined }
    if (fake.crashed) return
    const text = fake.says ?? (body === undefined ? '' : `${JSON.stringify(body)}\n`)
    // librespot-java says no type.
    const type = kind === 'librespot-java' || text === '' ? {} : { 'content-type': 'application/json' }
    response.writeHead(status, { ...type, ...fake.headers })
    response.end(status === 204 ? undefined : text)
  }

  function answer(request: Received): { status: number; body?: unknown } {
    if (kind === 'zeroconf') return zeroconf(request)
    if (!fake.session) return { status: 204 }
    return kind === 'go-librespot' ? go(request) : java(request)
  }

  function crash(): { status: number } {
    fake.crashed = true
    fake.kill()
    return { status: 500 }
  }

  /** As Go's decoder: keys in any case, the last one counts, unknown ones are nothing, no type is looked at. */
  function careless(text: string): Record<string, unknown> {
    return Object.fromEntries(
      Object.entries(text === '' ? {} : JSON.parse(text)).map(([key, value]) => [key.toLowerCase(), value]),
    )
  }

  function go({ method, path, body: text }: Received): { status: number; body?: unknown } {
    const { state } = fake
    const done = { status: 200, body: null }
    let body: Record<string, unknown>
    try {
      body = careless(text)
    } catch {
      return { status: 400 }
    }
    const uri = typeof body.uri === 'string' ? body.uri : undefined
    if (uri !== undefined && !isId(uri)) return crash()
    switch (`${method} ${path}`) {
      case 'GET /':
        return { status: 200, body: { playback_ready: true } }
      case 'GET /status':
        return {
          status: 200,
          body: {
            username: 'alice-of-spotify',
            device_id: 'd3adb33fd3adb33fd3adb33fd3adb33fd3adb33f',
            device_type: 'computer',
            device_name: state.device_name,
            play_origin: 'go-librespot',
            stopped: state.stopped,
            paused: state.paused,
            buffering: false,
            volume: state.volume,
            volume_steps: state.steps,
            repeat_context: state.repeat_context,
            repeat_track: state.repeat_track,
            shuffle_context: state.shuffle_context,
            track: state.track,
            secret: 'kept',
          },
        }
      case 'GET /player/volume':
        return { status: 200, body: { value: state.volume, max: state.steps } }
      case 'POST /player/resume':
        state.paused = false
        return done
      case 'POST /player/pause':
        state.paused = true
        return done
      case 'POST /player/playpause':
        state.paused = !state.paused
        return done
      case 'POST /player/seek':
        if (state.track) state.track.position = Number(body.position ?? 0)
        return done
      case 'POST /player/next':
        if (text !== '' && body.uri === '') return crash()
        if (!state.track) return crash()
        state.track = song('Angel')
        return done
      case 'POST /player/prev':
        if (!state.track) return crash()
        return done
      case 'POST /player/volume': {
        const volume = Number(body.volume ?? 0) + (body.relative === true ? state.volume : 0)
        state.volume = volume > state.steps ? volume % (state.steps + 1) : volume
        fake.tell({ type: 'volume', data: { value: state.volume, max: state.steps } })
        return done
      }
      case 'POST /player/repeat_context':
        state.repeat_context = body.repeat_context === true
        return done
      case 'POST /player/repeat_track':
        state.repeat_track = body.repeat_track === true
        return done
      case 'POST /player/shuffle_context':
        state.shuffle_context = body.shuffle_context === true
        return done
      case 'POST /player/add_to_queue':
        state.queue.push(uri ?? '')
        return done
      case 'POST /player/play':
        state.loaded.push(uri ?? '')
        state.track = song('Angel')
        return done
      case 'POST /player/stop':
        state.track = null
        state.stopped = true
        return done
      case 'POST /set_device_name':
        state.device_name = String(body.name ?? '')
        return done
      case 'POST /token':
        return { status: 200, body: { token: 'BQ-the-owner’s-own' } }
      default:
        return { status: path.startsWith('/player/') ? 405 : 404 }
    }
  }

  function java({ method, path, body }: Received): { status: number; body?: unknown } {
    const { state } = fake
    const url = new URL(path, 'http://player')
    const [, area = '', command = ''] = url.pathname.split('/')
    // The path is a parameter like others, and what is in the query or the body counts more.
    const given = new Map([['cmd', command], ...url.searchParams, ...new URLSearchParams(body)])
    const flag = (name: string) => given.get(name) === 'true'
    const wrong = (name: string, reason?: string) => ({ status: 400, body: { name, ...(reason && { reason }) } })
    const proto = (track: Track | null) =>
      track && {
        gid: 'c0ffee',
        name: track.name,
        album: { gid: 'a1', name: track.album_name, artist: [{ gid: 'b2', name: 'Massive Attack' }] },
        artist: track.artist_names.map((name) => ({ gid: 'b2', name })),
        duration: track.duration,
      }
    if (method === 'GET' && path === '/instance') {
      return {
        status: 200,
        body: { device_id: 'd3adb33f', device_name: state.device_name, session: { username: 'alice' } },
      }
    }
    if (method !== 'POST') return { status: 405 }
    if (area === 'search') return { status: 200, body: { results: {}, query: decodeURIComponent(command) } }
    if (area === 'metadata') return { status: 200, body: proto(song()) }
    if (area === 'token') return { status: 200, body: { token: 'BQ-the-owner’s-own' } }
    if (area === 'instance') return crash()
    if (area !== 'player') return { status: 404 }
    switch (given.get('cmd')) {
      case 'current':
        if (!state.track) return { status: 200, body: { trackTime: 0 } }
        if (!state.paused) state.track.position += 500
        return {
          status: 200,
          body: {
            current: state.track.uri,
            trackTime: state.track.position,
            track: proto(state.track),
            username: 'alice',
          },
        }
      case 'load':
        state.loaded.push(given.get('uri') ?? '')
        return { status: 200 }
      case 'pause':
      case 'resume':
      case 'play-pause':
        state.paused = given.get('cmd') === 'play-pause' ? !state.paused : given.get('cmd') === 'pause'
        return { status: 200 }
      case 'next':
      case 'prev':
        return { status: 200 }
      case 'seek':
        if (!/^\d+$/.test(given.get('pos') ?? '')) return wrong('pos', 'Not an integer')
        if (state.track) state.track.position = Number(given.get('pos'))
        return { status: 200 }
      case 'set-volume': {
        const volume = Number(given.get('volume') ?? state.volume + Number(given.get('step')))
        if (!(volume >= 0 && volume <= 65_536)) return wrong('volume', 'Must be >= 0 and <= 65536')
        state.volume = volume
        fake.tell({ event: 'volumeChanged', value: volume / 65_536 })
        return { status: 200 }
      }
      case 'volume-up':
      case 'volume-down':
        return { status: 200 }
      case 'shuffle':
        state.shuffle_context = flag('val')
        return { status: 200 }
      case 'repeat':
        state.repeat_context = given.get('val') !== 'none'
        return { status: 200 }
      case 'tracks':
        return { status: 200, body: { current: null, next: [], prev: [] } }
      case 'addToQueue':
        state.queue.push(given.get('uri') ?? '')
        return { status: 200 }
      case 'removeFromQueue':
        state.queue.splice(state.queue.indexOf(given.get('uri') ?? ''), 1)
        return { status: 200 }
      default:
        return wrong('cmd')
    }
  }

  function zeroconf({ method, path, body }: Received): { status: number; body?: unknown } {
    const action = method === 'GET' ? new URL(path, 'http://x').searchParams.get('action') : undefined
    if (action === 'getInfo') {
      return {
        status: 200,
        body: {
          status: 101,
          statusString: 'OK',
          spotifyError: 0,
          version: '2.9.0',
          deviceID: 'd3adb33f',
          deviceType: 'SPEAKER',
          remoteName: 'Kitchen',
          publicKey: 'bGlicmVzcG90',
          brandDisplayName: 'librespot',
          modelDisplayName: 'librespot',
          libraryVersion: '0.7.1',
          resolverVersion: '1',
          groupStatus: 'NONE',
          tokenType: 'default',
          clientID: '65b708073fc0480ea92a077233ca87bd',
          productID: 0,
          scope: 'streaming',
          availability: '',
          supported_drm_media_formats: [],
          supported_capabilities: 1,
          accountReq: 'PREMIUM',
          activeUser: 'alice-of-spotify',
        },
      }
    }
    const form = new URLSearchParams(body)
    if (method !== 'POST' || form.get('action') !== 'addUser') return { status: 404 }
    fake.state.paired.push(form.get('userName') ?? '')
    return { status: 200, body: { status: 101, spotifyError: 0, statusString: 'OK' } }
  }

  async function trouble(kind: Trouble, response: ServerResponse, socket: Socket): Promise<void> {
    const json = { 'content-type': 'application/json' }
    switch (kind) {
      case 'hang':
        return new Promise((resolve) => socket.once('close', resolve))
      case 'crash':
        response.writeHead(200, { ...json, 'content-length': 1000 }).write('{"username":"alice-of-spotify"')
        await new Promise((resolve) => setTimeout(resolve, 10))
        fake.crashed = true
        return fake.kill()
      case 'reset':
        return void socket.resetAndDestroy()
      case 'huge':
      case 'huge-chunked': {
        const size = 100 * 1024 * 1024
        response.writeHead(200, { ...json, ...(kind === 'huge' && { 'content-length': size }) })
        const piece = Buffer.alloc(1024 * 1024, ' ')
        for (let sent = 0; sent < size && !socket.destroyed; sent += piece.length) {
          if (!response.write(piece)) await Promise.race([once(response, 'drain'), once(socket, 'close')])
        }
        return void response.end()
      }
      case 'endless':
        response.writeHead(200, json)
        while (!socket.destroyed) {
          response.write(' ')
          await new Promise((resolve) => setTimeout(resolve, 5))
        }
        return
      case 'malformed':
        return void response.writeHead(200, json).end('{"username":"alice-of-spotify",')
      case 'array':
        return void response.writeHead(200, json).end('[{"username":"alice-of-spotify"}]')
      case 'html':
        return void response.writeHead(200, { 'content-type': 'text/html' }).end('<b>alice-of-spotify</b>')
      case 'gzip':
        return void response.writeHead(200, { ...json, 'content-encoding': 'gzip' }).end('null')
      case 'redirect':
        return void response.writeHead(307, { location: `${fake.url}/token` }).end()
      case 'switch':
        return void socket.end('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n')
      case 'twice': {
        const one = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 4\r\n\r\nnull'
        return void socket.write(one + one.replace('null', '"no"').replace('200 OK', '201 Created'))
      }
      case 'not-http':
        return void socket.end('OK MPD 0.19.0\n')
      case 'binary':
        return void response.writeHead(200, json).end(Buffer.from([0x22, 0xff, 0xfe, 0x22]))
    }
  }

  const fake = {
    url: '',
    port: 0,
    get bytes() {
      return bytes
    },
    requests,
    get asked() {
      return requests.map(({ method, path }) => `${method} ${path}`)
    },
    handshakes,
    get connections() {
      return connections
    },
    mostAtOnce: 0,
    crashed: false,
    get readers() {
      return events.clients.size
    },
    trouble: undefined as Trouble | undefined,
    troubled: (() => true) as FakeLibrespot['troubled'],
    latencyMs: 0,
    status: undefined as number | undefined,
    headers: {},
    says: undefined as string | undefined,
    session: true,
    state: {
      volume: 32_768,
      steps: 65_535,
      paused: false,
      stopped: false,
      repeat_context: false,
      repeat_track: false,
      shuffle_context: false,
      device_name: 'Kitchen',
      track: song() as Track | null,
      queue: [] as string[],
      loaded: [] as string[],
      paired: [] as string[],
    },
    tell(event: object | string | Buffer) {
      const data = typeof event === 'string' || Buffer.isBuffer(event) ? event : JSON.stringify(event)
      for (const reader of events.clients) reader.send(data)
    },
    hangUp() {
      for (const reader of events.clients) reader.terminate()
    },
    async until(condition: () => boolean) {
      while (!condition()) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, 10)
          waiters.add(() => {
            clearTimeout(timer)
            resolve()
          })
        })
      }
    },
    kill() {
      outer.close()
      for (const socket of sockets) socket.resetAndDestroy()
    },
    async reopen() {
      fake.crashed = false
      outer.listen(fake.port, '127.0.0.1')
      await once(outer, 'listening')
    },
    async close() {
      const closed = outer.listening ? once(outer, 'close') : undefined
      fake.kill()
      await closed
    },
  }
  await fake.reopen()
  fake.port = (outer.address() as AddressInfo).port
  fake.url = `http://127.0.0.1:${fake.port}`
  return fake
}

const digits = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'

/** Beyond 128 bits the program panics. */
function isId(uri: string): boolean {
  const [, , id = ''] = uri.split(':')
  if (!/^[0-9A-Za-z]{22}$/.test(id)) return true
  const number = [...id].reduce((sum, digit) => sum * 62n + BigInt(digits.indexOf(digit)), 0n)
  return number < 2n ** 128n
}
