import { createServer, type Socket } from 'node:net'
import {
  type Door,
  keep,
  library,
  openDoor,
  type Player,
  playlistUri,
  Refused,
  type Stage,
  sleep,
  type TlTrack,
  type Track,
} from './stage.ts'

interface Connection {
  /** The tags this client wants to see; all when undefined. */
  tags?: Set<string>
}

type Row = {
  /** How many arguments it takes, and what it has to tell: text, bytes, or anything else for nothing. */
  min: number
  max: number
  run(player: Player, args: readonly string[], connection: Connection): unknown
}

class Ack extends Error {
  readonly code: number

  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}

function fail(code: number, message: string): never {
  throw new Ack(code, message)
}

const tags = new Map<string, (track: Track) => string>([
  ['Artist', (track) => track.artists.map((artist) => artist.name).join('; ')],
  ['Album', (track) => track.album.name],
  ['Title', (track) => track.name],
  ['Date', (track) => track.date],
  ['Track', (track) => String(track.track_no)],
  ['AlbumArtist', (track) => track.artists.map((artist) => artist.name).join('; ')],
  ['Genre', (track) => track.genre],
])

const tagNamed = (name: string) => [...tags.keys()].find((tag) => tag.toLowerCase() === name.toLowerCase())

const lines = (fields: Readonly<Record<string, unknown>>) =>
  Object.entries(fields)
    .map(([key, value]) => `${key}: ${value}\n`)
    .join('')

const each = (key: string, values: Iterable<unknown>) => [...values].map((value) => lines({ [key]: value })).join('')

function song(track: Track, { tags: wanted }: Connection, place = {}): string {
  const shown = [...tags].filter(([tag]) => !wanted || wanted.has(tag)).map(([tag, of]) => [tag, of(track)])
  const time = Math.floor(track.length / 1000)
  return lines({ file: track.uri, Time: time, ...Object.fromEntries(shown), ...place })
}

const songs = (found: readonly Track[], connection: Connection) =>
  found.map((track) => song(track, connection)).join('')
const entries = (player: Player, shown: readonly TlTrack[], connection: Connection) =>
  shown.map((entry) => song(entry.track, connection, { Pos: player.queue.indexOf(entry), Id: entry.tlid })).join('')

function integer(text = ''): number {
  return /^[+-]?\d+$/.test(text) ? Number(text) : fail(2, 'incorrect arguments')
}

const isOn = (text: string | undefined) =>
  text === '0' || text === '1' ? text === '1' : fail(2, 'incorrect arguments')

/** `N`, `N:` or `N:M`. */
function range(text: string | undefined, length: number): [number, number] {
  const [start, end] = (text ?? '0:').split(':')
  return [integer(start), end === undefined ? integer(start) + 1 : end === '' ? length : integer(end)]
}

function part(player: Player, text: string | undefined): readonly TlTrack[] {
  const [start, end] = range(text, player.queue.length)
  if (start < 0 || start > end || start > player.queue.length) fail(2, 'Bad song index')
  return player.queue.slice(start, end)
}

const at = (player: Player, text: string | undefined) =>
  part(player, String(integer(text)))[0] ?? fail(2, 'Bad song index')
const withId = (player: Player, text: string | undefined) =>
  player.queue.find((entry) => entry.tlid === integer(text)) ?? fail(50, 'No such song')

const row = (min: number, run: Row['run'], max = min): Row => ({ min, max, run })

const playlist = (player: Player, name = '') => player.playlists.get(playlistUri(name)) ?? fail(50, 'No such playlist')
const tracksOf = (player: Player, name?: string) =>
  playlist(player, name).tracks.flatMap((track) => player.lookup(track.uri))

/** `TAG VALUE` pairs, as Mopidy-MPD takes them; it does not know filter expressions. */
function matching(pairs: readonly string[], exact: boolean): readonly Track[] {
  if (pairs.length % 2 !== 0) fail(2, 'incorrect arguments')
  return library.filter((track) =>
    pairs.every((name, i) => {
      if (i % 2 === 1) return true
      const [tag, value = ''] = [tagNamed(name), pairs[i + 1]?.toLowerCase()]
      const values =
        name.toLowerCase() === 'any' ? [...tags.values()].map((of) => of(track)) : tag ? [tags.get(tag)?.(track)] : []
      if (values.length === 0) fail(2, 'incorrect arguments')
      return values.some((have = '') => (exact ? have.toLowerCase() === value : have.toLowerCase().includes(value)))
    }),
  )
}

const root = 'Demo library'
const names = [...new Set(library.map((track) => track.album.name))]

/** The tracks behind a URI or a path as `lsinfo` lists them. */
function tracksAt(player: Player, uri = ''): readonly Track[] {
  const found = uri.startsWith(root)
    ? library.filter((t) => `${root}/${t.album.name}/`.startsWith(`${uri}/`))
    : player.lookup(uri)
  return found.length > 0 ? found : fail(50, 'directory or file not found')
}

const listPlaylists = (player: Player) =>
  [...player.playlists.values()]
    .map((list) => lines({ playlist: list.name, 'Last-Modified': new Date(list.last_modified).toISOString() }))
    .join('')

function list(player: Player, uri: string, connection: Connection): string {
  const path = uri.replace(/^\/+|\/+$/g, '')
  if (path === '') return lines({ directory: root }) + listPlaylists(player)
  return path === root
    ? each(
        'directory',
        names.map((name) => `${root}/${name}`),
      )
    : songs(tracksAt(player, path), connection)
}

function status(player: Player): string {
  const { current, options, queue, state } = player
  const next = player.following()
  const seconds = player.position() / 1000
  const common = { volume: player.volume }
  for (const name of ['repeat', 'random', 'single', 'consume'] as const)
    Object.assign(common, { [name]: Number(options[name]) })
  return lines({
    ...common,
    playlist: player.version,
    playlistlength: queue.length,
    xfade: 0,
    state: { playing: 'play', paused: 'pause', stopped: 'stop' }[state],
    ...(current && { song: queue.indexOf(current), songid: current.tlid }),
    ...(next && { nextsong: queue.indexOf(next), nextsongid: next.tlid }),
    ...(current &&
      state !== 'stopped' && {
        time: `${Math.floor(seconds)}:${Math.floor(current.track.length / 1000)}`,
        elapsed: seconds.toFixed(3),
        bitrate: 0,
      }),
  })
}

/** Hardly a picture, but larger than one piece, with everything inside that could be mistaken for the end of an answer. */
const cover = Buffer.alloc(12_288, 'BM\nOK\nACK [5@0] {} demo\n\0')

const picture: Row = row(2, (player, [uri, offset]) => {
  tracksAt(player, uri)
  const piece = cover.subarray(integer(offset), integer(offset) + 8192)
  return Buffer.concat([Buffer.from(`size: ${cover.length}\nbinary: ${piece.length}\n`), piece, Buffer.from('\n')])
})

function tagtypes(_: Player, [verb, ...given]: readonly string[], connection: Connection): string {
  const known = given.flatMap((name) => tagNamed(name) ?? [])
  const seen = connection.tags ?? new Set(tags.keys())
  if (verb === undefined) return each('tagtype', seen)
  if (verb === 'all') delete connection.tags
  else if (verb === 'clear') connection.tags = new Set()
  else if (verb === 'enable') connection.tags = new Set([...seen, ...known])
  else if (verb === 'disable') connection.tags = new Set([...seen].filter((tag) => !known.includes(tag)))
  else fail(2, 'Unknown sub command')
  return ''
}

const uris = (tracks: readonly Pick<Track, 'uri'>[]) => tracks.map((track) => track.uri)
const flag = (name: 'consume' | 'random' | 'repeat' | 'single') =>
  row(1, (p, [value]) => p.setOption(name, isOn(value)))
const save = (p: Player, name: string, tracks: readonly { uri: string }[]) =>
  p.savePlaylist(playlistUri(name), name, tracks)
const position = (p: Player, entry: TlTrack, [, seconds]: readonly string[]) => {
  if (p.current !== entry || p.state === 'stopped') p.play(entry.tlid)
  p.seek(Number(seconds) * 1000)
}

// Mopidy-MPD knows these by name alone, and says so with a code of its own making.
const unbuilt = 'channels crossfade listmounts prio prioid readmessages replay_gain_mode sendmessage sticker subscribe'

// biome-ignore format: a table is read row by row
const commands: ReadonlyMap<string, Row> = new Map<string, Row>([
  ['add', row(1, (p, [uri]) => p.add(uris(tracksAt(p, uri))))],
  ['addid', row(1, (p, [uri, to]) => lines({ Id: p.add(uris(tracksAt(p, uri)), to === undefined ? to : integer(to))[0]?.tlid }), 2)],
  ['albumart', picture],
  ['readpicture', picture],
  ['clear', row(0, (p) => p.remove(p.queue))],
  ['commands', row(0, () => each('command', [...commands.keys()].sort()))],
  ['consume', flag('consume')],
  ['count', row(2, (_, args) => {
    const found = matching(args, true)
    return lines({ songs: found.length, playtime: Math.floor(found.reduce((sum, track) => sum + track.length, 0) / 1000) })
  }, 20)],
  ['currentsong', row(0, (p, _, c) => (p.current ? entries(p, [p.current], c) : ''))],
  ['decoders', row(0, () => '')],
  ['delete', row(1, (p, [range]) => p.remove(part(p, range)))],
  ['deleteid', row(1, (p, [id]) => p.remove([withId(p, id)]))],
  ['disableoutput', row(1, (p) => p.setMute(false))],
  ['enableoutput', row(1, (p) => p.setMute(true))], // Mopidy's one output is "Mute"
  ['toggleoutput', row(1, (p) => p.setMute(!p.mute))],
  ['find', row(1, (_, args, c) => songs(matching(args, true), c), 20)],
  ['findadd', row(2, (p, args) => p.add(uris(matching(args, true))), 20)],
  ['list', row(1, (_, [name = '', ...args]) => {
    const tag = tagNamed(name) ?? fail(2, 'incorrect arguments')
    return each(tag, new Set(matching(args, true).map((track) => tags.get(tag)?.(track))))
  }, 20)],
  ['listplaylist', row(1, (p, [name]) => each('file', uris(playlist(p, name).tracks)))],
  ['listplaylistinfo', row(1, (p, [name], c) => songs(tracksOf(p, name), c))],
  ['listplaylists', row(0, listPlaylists)],
  ['load', row(1, (p, [name]) => p.add(uris(tracksOf(p, name))), 3)],
  ['lsinfo', row(0, (p, [uri = ''], c) => list(p, uri, c), 1)],
  ['listall', row(0, (p, [uri = ''], c) => list(p, uri, c), 1)],
  ['move', row(2, (p, [from, to]) => p.move(...range(from, p.queue.length), integer(to)))],
  ['moveid', row(2, (p, [id, to]) => {
    const from = p.queue.indexOf(withId(p, id))
    p.move(from, from + 1, integer(to))
  })],
  ['next', row(0, (p) => p.next())],
  ['notcommands', row(0, () => '')],
  ['outputs', row(0, (p) => lines({ outputid: 0, outputname: 'Mute (demo player)', outputenabled: Number(p.mute) }))],
  ['pause', row(0, (p, [on]) => ((on === undefined ? p.state === 'playing' : isOn(on)) ? p.pause() : p.resume()), 1)],
  ['ping', row(0, () => '')],
  ['play', row(0, (p, [pos]) => p.play(pos === undefined || pos === '-1' ? undefined : at(p, pos).tlid), 1)],
  ['playid', row(0, (p, [id]) => p.play(id === undefined || id === '-1' ? undefined : withId(p, id).tlid), 1)],
  ['playlist', row(0, (p) => p.queue.map((entry, i) => `${i}:file: ${entry.track.uri}\n`).join(''))],
  ['playlistadd', row(2, (p, [name = '', uri]) => {
    save(p, name, [...(p.playlists.get(playlistUri(name))?.tracks ?? []), ...tracksAt(p, uri)])
  })],
  ['playlistclear', row(1, (p, [name = '']) => save(p, name, []))],
  ['playlistdelete', row(2, (p, [name = '', pos]) => save(p, name, playlist(p, name).tracks.toSpliced(integer(pos), 1)))],
  ['playlistid', row(0, (p, [id], c) => entries(p, id === undefined ? p.queue : [withId(p, id)], c), 1)],
  ['playlistinfo', row(0, (p, [range], c) => entries(p, part(p, range === '-1' ? undefined : range), c), 1)],
  ['plchanges', row(1, (p, _, c) => entries(p, p.queue, c), 2)],
  ['previous', row(0, (p) => p.previous())],
  ['random', flag('random')],
  ['rename', row(2, (p, [from = '', to = '']) => {
    save(p, to, playlist(p, from).tracks)
    p.deletePlaylist(playlistUri(from))
  })],
  ['repeat', flag('repeat')],
  ['replay_gain_status', row(0, () => lines({ replay_gain_mode: 'off' }))],
  ['rescan', row(0, () => lines({ updating_db: 0 }), 1)],
  ['rm', row(1, (p, [name = '']) => p.deletePlaylist(playlist(p, name).uri))],
  ['save', row(1, (p, [name = '']) => save(p, name, p.queue.map((entry) => entry.track)))],
  ['search', row(1, (_, args, c) => songs(matching(args, false), c), 20)],
  ['searchadd', row(2, (p, args) => p.add(uris(matching(args, false))), 20)],
  ['seek', row(2, (p, args) => position(p, at(p, args[0]), args))],
  ['seekcur', row(1, (p, [time = '']) => p.seek((/^[+-]/.test(time) ? p.position() : 0) + Number(time) * 1000))],
  ['seekid', row(2, (p, args) => position(p, withId(p, args[0]), args))],
  ['setvol', row(1, (p, [level]) => p.setVolume(Math.min(100, Math.max(0, integer(level)))))],
  ['shuffle', row(0, (p, [text]) => p.shuffle(...range(text, p.queue.length)), 1)],
  ['single', flag('single')],
  ['stats', row(0, () => lines({ artists: 3, albums: names.length, songs: library.length, uptime: 0 }))],
  ['status', row(0, status)],
  ['stop', row(0, (p) => p.stop())],
  ['swap', row(2, (p, [a, b]) => p.swap(at(p, a), at(p, b)))],
  ['tagtypes', row(0, tagtypes, 20)],
  ['update', row(0, () => lines({ updating_db: 0 }), 1)],
  ['urlhandlers', row(0, () => each('handler', ['local:', 'm3u:']))],
  ['volume', row(1, (p, [change]) => p.setVolume(Math.min(100, Math.max(0, p.volume + integer(change)))))],
  ...unbuilt.split(' ').map((name): [string, Row] => [name, row(0, () => fail(0, 'Not implemented'), 20)]),
])

const subsystems = new Map([
  ['playback_state_changed', 'player'],
  ['seeked', 'player'],
  ['tracklist_changed', 'playlist'],
  ['options_changed', 'options'],
  ['volume_changed', 'mixer'],
  ['mute_changed', 'output'],
  ['playlist_changed', 'stored_playlist'],
  ['playlist_deleted', 'stored_playlist'],
])

/** A line's words: bare, or quoted with `\` before what is meant as it stands. */
function words(line: string): string[] {
  const found = [...line.matchAll(/\s*(?:"((?:[^"\\]|\\.)*)"(?=\s|$)|([^\s"']+)(?=\s|$)|(\S.*))/g)]
  return found.map(([, quoted, bare, wrong]) => {
    if (wrong !== undefined) throw new Ack(2, 'Invalid unquoted character')
    return quoted?.replace(/\\(.)/g, '$1') ?? bare ?? ''
  })
}

/** Mopidy-MPD's door: protocol 0.19, `TAG VALUE` searches, and pictures besides, which Mopidy-MPD lacks. */
export function createMpdDoor(stage: Stage, port: number): Promise<Door> {
  const { player, faults, received } = stage
  const sockets = new Set<Socket>()

  function run(line: string, index: number, connection: Connection): Buffer {
    const name = /^[a-z_]*/.exec(line)?.[0] ?? ''
    try {
      const [, ...args] = words(line)
      const row = commands.get(name) ?? fail(5, `unknown command "${name}"`)
      if (args.length < row.min || args.length > row.max) fail(2, `wrong number of arguments for "${name}"`)
      player.settle()
      const told = row.run(player, args, connection)
      return Buffer.isBuffer(told) ? told : Buffer.from(typeof told === 'string' ? told : '')
    } catch (error) {
      if (!(error instanceof Ack || error instanceof Refused)) throw error
      const code = error instanceof Ack ? error.code : 2
      const trace = faults.traceback ? ' File "/usr/lib/python3/dist-packages/demo/core.py", line 1' : ''
      throw new Ack(code, `ACK [${code}@${index}] {${code === 5 ? '' : name}} ${error.message}${trace}\n`)
    }
  }

  function spoil(answer: Buffer): Buffer {
    let text = answer.toString('latin1')
    const title = faults.title
    if (title !== undefined)
      text = text.replace(/^Title: .*$/gm, () => `Title: ${Buffer.from(title).toString('latin1')}`)
    if (faults.binary) text = text.replace(/^binary: (\d+)$/m, (_, n) => `binary: ${Number(n) + (faults.binary ?? 0)}`)
    if (faults.longLine) text = `Comment: ${'x'.repeat(faults.longLine)}\n${text}`
    return Buffer.from(faults.half ? text.slice(0, text.length / 2) : text, 'latin1')
  }

  function serve(socket: Socket) {
    const connection: Connection = {}
    const changed = new Set<string>()
    let pending = ''
    let list: { lines: string[]; ok: boolean } | undefined
    let idling: readonly string[] | undefined
    let turn = Promise.resolve()

    function tell() {
      const due = [...changed].filter((name) => idling && (idling.length === 0 || idling.includes(name)))
      if (due.length === 0) return
      for (const name of due) changed.delete(name)
      idling = undefined
      socket.write(`${each('changed', due)}OK\n`)
    }

    async function answer(line: string, give: () => Buffer) {
      if (faults.only && !faults.only.test(line)) return void socket.write(give())
      for (let i = 0; i < (faults.flood ?? 0); i++) player.setVolume(player.volume)
      if (faults.crash) return void socket.destroy()
      if (faults.hang) return
      if (faults.slow) await sleep(faults.slow)
      socket.write(spoil(give()))
    }

    function performed(all: readonly string[], ok: boolean): Buffer {
      const out: Buffer[] = []
      try {
        for (const [index, line] of all.entries())
          out.push(run(line, index, connection), Buffer.from(ok ? 'list_OK\n' : ''))
        out.push(Buffer.from('OK\n'))
      } catch (error) {
        if (!(error instanceof Ack)) throw error
        out.push(Buffer.from(error.message))
      }
      return Buffer.concat(out)
    }

    async function take(line: string) {
      if (idling) {
        if (line !== 'noidle') return void socket.destroy()
        idling = undefined
        return void socket.write('OK\n')
      }
      if (!/^[a-z]/.test(line)) return void socket.destroy() // MPD's word to HTTP requests: none
      if (list && line !== 'command_list_end') return void list.lines.push(line)
      if (line === 'noidle') return
      if (line === 'close') return void socket.end('OK\n')
      if (line === 'command_list_begin' || line === 'command_list_ok_begin') {
        list = { lines: [], ok: line === 'command_list_ok_begin' }
      } else if (list) {
        const { lines: all, ok } = list
        list = undefined
        await answer(all.join('\n'), () => performed(all, ok))
      } else if (/^idle\b/.test(line)) {
        idling = words(line).slice(1)
        tell()
      } else await answer(line, () => performed([line], false))
    }

    const unlisten = stage.listen(({ event }) => {
      const subsystem = subsystems.get(event)
      if (!subsystem) return
      changed.add(subsystem)
      tell()
    })
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      unlisten()
      sockets.delete(socket)
    })
    socket.on('data', (chunk) => {
      keep(received.mpd, chunk.toString())
      const whole = (pending + chunk.toString('latin1')).split('\n')
      pending = whole.pop() ?? ''
      if (pending.length > 1024 * 1024) return void socket.destroy()
      for (const line of whole) {
        const text = Buffer.from(line, 'latin1').toString().trimEnd()
        turn = turn.then(() => take(text)).catch(() => void socket.destroy())
      }
    })
    if (!faults.hang || faults.only) socket.write(`${faults.greeting ?? 'OK MPD 0.19.0'}\n`)
  }

  return openDoor(createServer(serve), port, () => {
    for (const socket of sockets) socket.destroy()
  })
}
