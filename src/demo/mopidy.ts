import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type WebSocket, WebSocketServer } from 'ws'
import {
  type Door,
  keep,
  library,
  openDoor,
  type Player,
  type Playlist,
  playlistUri,
  Refused,
  type Stage,
  sleep,
  type Track,
} from './stage.ts'

type Arguments = Readonly<Record<string, unknown>>
type Method = { params: readonly { name: string; default?: unknown }[]; run(player: Player, args: Arguments): unknown }

class RpcError extends Error {
  readonly code: number
  readonly data: unknown

  constructor(code: number, message: string, data?: unknown) {
    super(message)
    this.code = code
    this.data = data
  }
}

const version = '3.4.1+demo'

const page = `<!DOCTYPE html><meta charset="utf-8"><title>Demo player</title>
<h1>This is Stagedoor's demo player</h1><p>It imitates Mopidy and makes no sound.</p>\n`

/** `name` must be given, `name?` has a default of null. */
function method(params: string, run: Method['run']): Method {
  const names = params.split(' ').filter(Boolean)
  return {
    params: names.map((name) => (name.endsWith('?') ? { name: name.slice(0, -1), default: null } : { name })),
    run,
  }
}

const ref = (type: string, uri: string, name: string) => ({ __model__: 'Ref', type, uri, name })
const trackRef = (track: { uri: string; name?: string }) => ref('track', track.uri, track.name ?? track.uri)
const tlid = (entry: { tlid: number } | undefined) => entry?.tlid ?? null

function refuse(what: string, value: unknown): never {
  throw new Refused('ValidationError', `Expected ${what}, not ${JSON.stringify(value)}`)
}
const isObject = (value: unknown): value is Arguments =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const object = (value: unknown) => (isObject(value) ? value : refuse('an object', value))
const boolean = (value: unknown) => (typeof value === 'boolean' ? value : refuse('a boolean', value))
const string = (value: unknown) => (typeof value === 'string' ? value : refuse('a string', value))
const integer = (value: unknown) =>
  typeof value === 'number' && Number.isInteger(value) ? value : refuse('an integer', value)
const percent = (value: unknown) =>
  integer(value) >= 0 && integer(value) <= 100 ? integer(value) : refuse('0 to 100', value)
const uris = (value: unknown) => (Array.isArray(value) ? value.map(string) : refuse('a list of URIs', value))

const fields = new Map<string, (track: Track) => string>([
  ['uri', (track) => track.uri],
  ['track_name', (track) => track.name],
  ['album', (track) => track.album.name],
  ['artist', (track) => track.artists.map((artist) => artist.name).join('; ')],
  ['albumartist', (track) => track.artists.map((artist) => artist.name).join('; ')],
  ['genre', (track) => track.genre],
  ['date', (track) => track.date],
  ['track_no', (track) => String(track.track_no)],
  ['any', (track) => [track.name, track.album.name, ...track.artists.map((artist) => artist.name)].join('\n')],
])

function search(query: unknown, exact: boolean): readonly Track[] {
  const wanted = Object.entries(object(query))
  return library.filter((track) =>
    wanted.every(([field, values]) => {
      const have = fields.get(field)?.(track).toLowerCase()
      if (have === undefined) refuse('a query field', field)
      return uris(values).some((value) => (exact ? have === value.toLowerCase() : have.includes(value.toLowerCase())))
    }),
  )
}

function browse(uri: unknown) {
  if (uri === null) return [ref('directory', 'local:directory', 'Demo library')]
  if (uri === 'local:directory')
    return [...new Set(library.map((t) => t.album))].map((a) => ref('album', a.uri, a.name))
  return library.filter((track) => track.album.uri === uri).map(trackRef)
}

/** The queue entries that meet every criterion: `{ tlid: [1], uri: ['…'], name: ['…'] }`. */
function matching(player: Player, criteria: unknown) {
  const wanted = Object.entries(object(criteria))
  return player.queue.filter((entry) =>
    wanted.every(([key, values]) => {
      const have =
        key === 'tlid' ? entry.tlid : key === 'uri' ? entry.track.uri : key === 'name' ? entry.track.name : undefined
      return Array.isArray(values) && values.includes(have)
    }),
  )
}

const option = (name: 'consume' | 'random' | 'repeat' | 'single'): [string, Method][] => [
  [`core.tracklist.get_${name}`, method('', (p) => p.options[name])],
  [`core.tracklist.set_${name}`, method('value', (p, { value }) => p.setOption(name, boolean(value)))],
]

// biome-ignore format: a table is read row by row
const methods = new Map<string, Method>([
  ['core.get_version', method('', () => version)],
  ['core.get_uri_schemes', method('', () => ['local', 'm3u'])],
  ['core.history.get_history', method('', (p) => p.history)],
  ['core.history.get_length', method('', (p) => p.history.length)],
  ['core.library.browse', method('uri', (_, { uri }) => browse(uri))],
  ['core.library.get_distinct', method('field query?', (_, { field, query }) => {
    const value = fields.get(string(field))
    if (!value) refuse('a field', field)
    return [...new Set(search(query ?? {}, true).map(value))]
  })],
  ['core.library.get_images', method('uris', (_, a) => Object.fromEntries(uris(a.uris).map((uri) => [uri, []])))],
  ['core.library.lookup', method('uris', (p, a) => Object.fromEntries(uris(a.uris).map((uri) => [uri, p.lookup(uri)])))],
  ['core.library.refresh', method('uri?', () => null)],
  ['core.library.search', method('query uris? exact?', (_, { query, exact }) => [
    { __model__: 'SearchResult', uri: 'local:search', tracks: search(query, exact === true) },
  ])],
  ['core.mixer.get_mute', method('', (p) => p.mute)],
  ['core.mixer.get_volume', method('', (p) => p.volume)],
  ['core.mixer.set_mute', method('mute', (p, { mute }) => p.setMute(boolean(mute)))],
  ['core.mixer.set_volume', method('volume', (p, a) => p.setVolume(percent(a.volume)))],
  ['core.playback.get_current_tl_track', method('', (p) => p.current)],
  ['core.playback.get_current_tlid', method('', (p) => tlid(p.current))],
  ['core.playback.get_current_track', method('', (p) => p.current?.track)],
  ['core.playback.get_state', method('', (p) => p.state)],
  ['core.playback.get_stream_title', method('', () => null)],
  ['core.playback.get_time_position', method('', (p) => Math.floor(p.position()))],
  ['core.playback.next', method('', (p) => p.next())],
  ['core.playback.pause', method('', (p) => p.pause())],
  ['core.playback.play', method('tl_track? tlid?', (p, a) => {
    if (isObject(a.tl_track)) return p.play(integer(a.tl_track.tlid))
    return a.tlid === null ? p.play() : p.play(integer(a.tlid))
  })],
  ['core.playback.previous', method('', (p) => p.previous())],
  ['core.playback.resume', method('', (p) => p.resume())],
  ['core.playback.seek', method('time_position', (p, a) => p.seek(integer(a.time_position)))],
  ['core.playback.stop', method('', (p) => p.stop())],
  ['core.playlists.as_list', method('', (p) => [...p.playlists.values()].map((list) => ref('playlist', list.uri, list.name)))],
  ['core.playlists.create', method('name uri_scheme?', (p, { name }) => p.savePlaylist(playlistUri(string(name)), string(name), []))],
  ['core.playlists.delete', method('uri', (p, { uri }) => p.deletePlaylist(string(uri)))],
  ['core.playlists.get_items', method('uri', (p, { uri }) => p.playlists.get(string(uri))?.tracks.map(trackRef))],
  ['core.playlists.get_uri_schemes', method('', () => ['m3u'])],
  ['core.playlists.lookup', method('uri', (p, { uri }) => p.playlists.get(string(uri)))],
  ['core.playlists.refresh', method('uri_scheme?', () => null)],
  ['core.playlists.save', method('playlist', (p, a) => {
    const { uri, name, tracks } = object(a.playlist)
    if (!p.playlists.has(string(uri))) return null
    return p.savePlaylist(string(uri), string(name), Array.isArray(tracks) ? (tracks as Playlist['tracks']) : [])
  })],
  ['core.tracklist.add', method('tracks? at_position? uris?', (p, a) => {
    const wanted = Array.isArray(a.tracks) ? a.tracks.map((track) => string(track?.uri)) : uris(a.uris)
    return p.add(wanted, a.at_position === null ? undefined : integer(a.at_position))
  })],
  ['core.tracklist.clear', method('', (p) => p.remove(p.queue))],
  ['core.tracklist.filter', method('criteria', (p, { criteria }) => matching(p, criteria))],
  ['core.tracklist.get_eot_tlid', method('', (p) => tlid(p.following()))],
  ['core.tracklist.get_length', method('', (p) => p.queue.length)],
  ['core.tracklist.get_next_tlid', method('', (p) => tlid(p.following()))],
  ['core.tracklist.get_previous_tlid', method('', (p) => tlid(p.preceding()))],
  ['core.tracklist.get_tl_tracks', method('', (p) => p.queue)],
  ['core.tracklist.get_tracks', method('', (p) => p.queue.map((entry) => entry.track))],
  ['core.tracklist.get_version', method('', (p) => p.version)],
  ['core.tracklist.index', method('tl_track? tlid?', (p, a) => {
    const wanted = isObject(a.tl_track) ? a.tl_track.tlid : (a.tlid ?? tlid(p.current))
    const at = p.queue.findIndex((entry) => entry.tlid === wanted)
    return at < 0 ? null : at
  })],
  ['core.tracklist.move', method('start end to_position', (p, a) => p.move(integer(a.start), integer(a.end), integer(a.to_position)))],
  ['core.tracklist.remove', method('criteria', (p, { criteria }) => {
    const gone = matching(p, criteria)
    p.remove(gone)
    return gone
  })],
  ['core.tracklist.shuffle', method('start? end?', (p, a) => p.shuffle(...[a.start ?? 0, a.end ?? p.queue.length].map(integer)))],
  ['core.tracklist.slice', method('start end', (p, { start, end }) => p.queue.slice(integer(start), integer(end)))],
  ...(['consume', 'random', 'repeat', 'single'] as const).flatMap(option),
])

const description = Object.fromEntries(
  [...methods].map(([name, { params }]) => [name, { description: `${name} of the demo player`, params }]),
)
methods.set(
  'core.describe',
  method('', () => description),
)

/** As Python binds them: by position or by name, and nothing left over. */
function bind(name: string, { params }: Method, given: unknown): Arguments {
  const args: Record<string, unknown> = Object.create(null)
  const wrong = (what: string) =>
    new RpcError(-32602, 'Invalid params', { type: 'TypeError', message: `${name}() ${what}` })
  if (Array.isArray(given)) {
    if (given.length > params.length) throw wrong(`takes ${params.length} arguments but ${given.length} were given`)
    for (const [index, value] of given.entries()) args[params[index]?.name ?? ''] = value
  } else if (isObject(given)) {
    for (const [key, value] of Object.entries(given)) {
      if (!params.some((param) => param.name === key)) throw wrong(`got an unexpected keyword argument '${key}'`)
      args[key] = value
    }
  } else if (given !== undefined) {
    throw new RpcError(-32600, 'Invalid Request', "'params', if given, must be an array or an object")
  }
  for (const param of params) {
    if (param.name in args) continue
    if (!('default' in param)) throw wrong(`missing 1 required positional argument: '${param.name}'`)
    args[param.name] = param.default
  }
  return args
}

/** Mopidy's HTTP and WebSocket doors, with the manners of Mopidy 3.4. */
export function createMopidyDoor(stage: Stage, port: number): Promise<Door> {
  const { player, faults, received } = stage

  function answerOne(message: unknown): unknown {
    let id: unknown = null
    try {
      if (!isObject(message)) throw new RpcError(-32600, 'Invalid Request', 'Request must be an object')
      if (message.jsonrpc !== '2.0' || typeof message.method !== 'string') throw new RpcError(-32600, 'Invalid Request')
      id = message.id
      const row = methods.get(message.method)
      if (!row) throw new RpcError(-32601, 'Method not found', `No method "${message.method}" in the demo player`)
      player.settle()
      const result = row.run(player, bind(message.method, row, message.params)) ?? null
      return id === undefined ? undefined : { jsonrpc: '2.0', id, result: faults.nan ? Number.NaN : result }
    } catch (error) {
      if (id === undefined) return undefined
      const { code, message, data } =
        error instanceof RpcError
          ? error
          : {
              code: 0,
              message: 'Application error',
              data: { type: (error as Refused).type ?? 'Exception', message: (error as Error).message },
            }
      const traceback =
        'Traceback (most recent call last):\n  File "/usr/lib/python3/dist-packages/demo/core.py", line 1'
      return {
        jsonrpc: '2.0',
        id,
        error: { code, message, data: faults.traceback ? { ...Object(data), traceback } : data },
      }
    }
  }

  /** The text of the answer; undefined when there is none to give. */
  function answer(text: string): string | undefined {
    let message: unknown
    try {
      message = JSON.parse(text)
    } catch {
      return JSON.stringify({ jsonrpc: '2.0', id: null, error: { code: -32700, message: 'Parse error' } })
    }
    const found =
      Array.isArray(message) && message.length > 0 ? message.map(answerOne).filter(Boolean) : answerOne(message)
    if (found === undefined || (Array.isArray(found) && found.length === 0)) return undefined
    const body = JSON.stringify(found, (key, value) => {
      if (typeof value === 'number' && Number.isNaN(value)) return '\u0000NaN'
      return key === 'name' && faults.title !== undefined ? faults.title : value
    })
    return body.replaceAll('"\\u0000NaN"', 'NaN')
  }

  const meets = (text: string) => !faults.only || faults.only.test(/"method"\s*:\s*"([^"]*)"/.exec(text)?.[1] ?? '')

  /** Answers as the faults would have it. @returns whether there is more to come on this connection */
  async function perform(text: string, write: (answer: string | undefined) => void, destroy: () => void) {
    if (!meets(text)) return write(answer(text))
    for (let i = 0; i < (faults.flood ?? 0); i++) player.setVolume(player.volume)
    if (faults.crash) return destroy()
    if (faults.hang) return
    if (faults.slow) await sleep(faults.slow)
    const full = faults.html ? '<html><title>500: OK</title><body>500: OK</body></html>' : answer(text)
    write(faults.half ? full?.slice(0, full.length / 2) : full)
  }

  const isOwn = ({ headers }: IncomingMessage) =>
    !headers.origin || !URL.canParse(headers.origin) || new URL(headers.origin).host === headers.host

  async function serve(request: IncomingMessage, response: ServerResponse) {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const text = Buffer.concat(chunks).toString()
    response.setHeader('Server', 'Stagedoor-Demo').setHeader('X-Mopidy-Version', version)
    if (request.url !== '/mopidy/rpc') {
      const found = request.url === '/' || request.url === '/mopidy/'
      response.writeHead(found ? 200 : 404, { 'content-type': 'text/html; charset=utf-8' }).end(found ? page : '')
    } else if (request.method !== 'POST') response.writeHead(405).end()
    else if (!isOwn(request)) response.writeHead(403).end()
    else if (!request.headers['content-type']?.startsWith('application/json')) response.writeHead(415).end()
    else {
      response.setHeader('Content-Type', 'application/json; utf-8') // as Mopidy spells it
      await perform(
        text,
        (body = '') => {
          if (!faults.half) return void response.end(body)
          response.setHeader('Content-Length', body.length * 2 + 1)
          response.write(body)
        },
        () => request.socket.destroy(),
      )
    }
  }

  const server = createServer((request, response) => {
    serve(request, response).catch(() => request.socket.destroy())
  })
  const sockets = new WebSocketServer({
    server,
    maxPayload: 10 * 1024 * 1024,
    perMessageDeflate: false,
    verifyClient: ({ req }: { req: IncomingMessage }) => /^\/mopidy\/ws\/?$/.test(req.url ?? '') && isOwn(req),
  })
  const record = (chunk: Buffer) => keep(received.http, chunk.toString())
  server.on('connection', (socket) => socket.on('data', record))
  server.on('upgrade', (_, socket) => socket.off('data', record))
  sockets.on('connection', (socket: WebSocket) => {
    let turn = Promise.resolve()
    socket.on('error', () => socket.terminate())
    socket.on('message', (data) => {
      const text = data.toString()
      keep(received.websocket, text)
      const write = (body: string | undefined) => {
        if (body !== undefined) socket.send(body)
      }
      turn = turn.then(() => perform(text, write, () => socket.terminate())).catch(() => socket.terminate())
    })
    const unlisten = stage.listen((event) => socket.send(JSON.stringify(event)))
    socket.on('close', unlisten)
  })
  return openDoor(server, port, () => {
    for (const socket of sockets.clients) socket.terminate()
    server.closeAllConnections()
  })
}
