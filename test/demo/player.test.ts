import { once } from 'node:events'
import { connect } from 'node:net'
import Mopidy from 'mopidy'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { type Demo, startDemo } from '../../src/demo/player.ts'
import { library } from '../../src/demo/stage.ts'

let demo: Demo
let time = 1_000_000

beforeEach(async () => {
  demo = await startDemo({ now: () => time })
})
afterEach(() => demo.close())

async function post(body: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${demo.http}/mopidy/rpc`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  })
}

type Answer = { result?: unknown; error?: { code: number; message: string; data?: unknown } }

async function rpc(method: string, params?: unknown): Promise<Answer> {
  return (await post(JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }))).json() as Promise<Answer>
}

/** Sends lines and answers with all that comes until `ends` is seen, or the connection closes, or it has been quiet. */
function mpd(text: string, ends: RegExp = /^(OK|ACK .*)\n$/m, quiet = 5_000): Promise<string> {
  return new Promise((resolve, reject) => {
    const [host, port] = demo.mpd.split(':')
    const socket = connect(Number(port), host)
    let heard = ''
    const done = () => {
      resolve(heard)
      socket.destroy()
    }
    socket.on('error', reject)
    socket.on('close', done)
    socket.setTimeout(quiet, done)
    socket.once('data', (greeting) => {
      heard = greeting.toString('latin1') === 'OK MPD 0.19.0\n' ? '' : greeting.toString('latin1')
      socket.write(text)
      socket.on('data', (chunk) => {
        heard += chunk.toString('latin1')
        if (ends.test(heard)) done()
      })
    })
  })
}

const [first, second] = library
const uri = first?.uri ?? ''

describe('what it is', () => {
  test('it says that it is a demo on every door', async () => {
    expect((await rpc('core.get_version')).result).toBe('3.4.1+demo')
    expect(await (await fetch(`${demo.http}/mopidy/`)).text()).toMatch(/demo player/)
    expect(await mpd('outputs\n')).toMatch(/demo player/)
    expect(await mpd('lsinfo\n')).toMatch(/^directory: Demo library\n/)
    expect(library).toHaveLength(20)
    for (const track of library)
      expect([track.name, track.album.name, track.artists[0]?.name].join()).toMatch(/^Demo .*,Demo .*,Demo /)
  })

  test('it listens on loopback', () => {
    expect(demo.http).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
    expect(demo.mpd).toMatch(/^127\.0\.0\.1:\d+$/)
  })

  test('closed, its ports are free again and open connections have ended', async () => {
    const [, port] = demo.mpd.split(':')
    const socket = connect(Number(port), '127.0.0.1')
    await once(socket, 'data')
    const ended = once(socket, 'close')
    await demo.close()
    await ended
    demo = await startDemo({ now: () => time, httpPort: Number(new URL(demo.http).port), mpdPort: Number(port) })
    expect(demo.mpd).toBe(`127.0.0.1:${port}`)
  })
})

describe('playing', () => {
  test('time moves the position, a pause holds it, a seek sets it', async () => {
    await rpc('core.tracklist.add', { uris: [uri] })
    await rpc('core.playback.play')
    time += 3_000
    expect((await rpc('core.playback.get_time_position')).result).toBe(3_000)
    await rpc('core.playback.pause')
    time += 9_000
    expect((await rpc('core.playback.get_time_position')).result).toBe(3_000)
    await rpc('core.playback.seek', [60_000])
    await rpc('core.playback.resume')
    time += 500
    expect((await rpc('core.playback.get_time_position')).result).toBe(60_500)
  })

  test('a track that is over makes room for the next, and after the last it stops', async () => {
    demo.state.add([uri, second?.uri ?? ''])
    demo.state.play()
    time += first?.length ?? 0
    expect((await rpc('core.playback.get_current_track')).result).toMatchObject({ uri: second?.uri })
    time += second?.length ?? 0
    expect((await rpc('core.playback.get_state')).result).toBe('stopped')
    expect((await rpc('core.history.get_length')).result).toBe(2)
  })

  test('consume takes away what was played; repeat goes round; single stops', async () => {
    demo.state.add([uri, second?.uri ?? ''])
    demo.state.play()
    demo.state.setOption('consume', true)
    demo.state.next()
    expect(demo.state.queue.map((entry) => entry.track)).toEqual([second])
    demo.state.setOption('consume', false)
    demo.state.setOption('repeat', true)
    demo.state.next()
    expect(demo.state.state).toBe('playing')
    demo.state.setOption('repeat', false)
    demo.state.setOption('single', true)
    time += second?.length ?? 0
    demo.state.settle()
    expect(demo.state.state).toBe('stopped')
  })

  test('removing the current track stops the music', async () => {
    demo.state.add([uri])
    demo.state.play()
    expect((await rpc('core.tracklist.remove', { criteria: { uri: [uri] } })).result).toHaveLength(1)
    expect(demo.state.state).toBe('stopped')
    expect((await rpc('core.playback.get_current_tlid')).result).toBe(null)
  })
})

describe('JSON-RPC', () => {
  test.each([
    ['an unknown method', 'core.playback.explode', undefined, -32601],
    ['something every object has', 'constructor', undefined, -32601],
    ['too many arguments', 'core.playback.get_state', [1], -32602],
    ['an unknown argument', 'core.mixer.set_volume', { volume: 1, x: 1 }, -32602],
    ['a missing argument', 'core.mixer.set_volume', [], -32602],
    ['params null', 'core.playback.get_state', null, -32600],
    ['a volume of 101', 'core.mixer.set_volume', [101], 0],
    ['a move out of the queue', 'core.tracklist.move', [0, 5, 0], 0],
  ])('%s is an error of its kind', async (_, method, params, code) => {
    expect((await rpc(method, params)).error?.code).toBe(code)
    expect(demo.state.volume).toBe(50)
  })

  test('a batch is answered without its notifications; a notification alone with nothing', async () => {
    const call = (id?: number) => ({
      jsonrpc: '2.0',
      method: 'core.playback.get_state',
      ...(id === undefined ? {} : { id }),
    })
    expect(await (await post(JSON.stringify([call(1), call(), call(2)]))).json()).toMatchObject([{ id: 1 }, { id: 2 }])
    expect(await (await post(JSON.stringify(call()))).text()).toBe('')
    expect(await (await post('[]')).json()).toMatchObject({ error: { code: -32600 } })
    expect(await (await post('{')).json()).toMatchObject({ error: { code: -32700 } })
  })

  test('another content type, another path, another origin: refused', async () => {
    expect((await post('{}', { 'content-type': 'text/plain' })).status).toBe(415)
    expect((await fetch(`${demo.http}/mopidy/rpc/`, { method: 'POST' })).status).toBe(404)
    const socket = new WebSocket(`${demo.http.replace('http', 'ws')}/mopidy/ws`, { origin: 'http://evil.example' })
    const [error] = await once(socket, 'error')
    expect(String(error)).toMatch(/401|403/)
  })

  test('mopidy.js connects, calls by its described methods, and hears events', async () => {
    const client = new Mopidy({ webSocketUrl: `${demo.http.replace('http', 'ws')}/mopidy/ws`, autoConnect: false })
    const online = new Promise((resolve) => client.on('state:online', () => resolve(true)))
    client.connect()
    await online
    const heard = new Promise((resolve) => client.on('event:volumeChanged', resolve))
    expect(await client.mixer?.setVolume({ volume: 33 })).toBe(true)
    expect(await heard).toEqual({ volume: 33 })
    expect(await client.library?.search({ query: { any: ['curtain'] } })).toMatchObject([{ tracks: [{ uri }] }])
    const list = await client.playlists?.create({ name: 'Demo mine' })
    expect(await client.playlists?.lookup({ uri: list?.uri ?? '' })).toMatchObject({ name: 'Demo mine' })
    client.close()
  })
})

describe('MPD', () => {
  test.each([
    ['ping\n', 'OK\n'],
    ['setvol 20\n', 'OK\n'],
    ['setvol x\n', 'ACK [2@0] {setvol} incorrect arguments\n'],
    ['setvol\n', 'ACK [2@0] {setvol} wrong number of arguments for "setvol"\n'],
    ['explode\n', 'ACK [5@0] {} unknown command "explode"\n'],
    ['sticker get song x y\n', 'ACK [0@0] {sticker} Not implemented\n'],
    ['add "file:///etc/passwd"\n', 'ACK [50@0] {add} directory or file not found\n'],
    ['find "(artist == \\"x\\")"\n', 'ACK [2@0] {find} incorrect arguments\n'],
    ['command_list_ok_begin\nping\nping\ncommand_list_end\n', 'list_OK\nlist_OK\nOK\n'],
    ['command_list_begin\nping\nexplode\nping\ncommand_list_end\n', 'ACK [5@1] {} unknown command "explode"\n'],
    ['noidle\nping\n', 'OK\n'],
    [
      'find title "Demo Box \\"Five\\""\n',
      /^file: local:track:demo\/echoes\/05-box-%22five%22\n.*Title: Demo Box "Five"\n.*OK\n$/s,
    ],
  ])('%j', async (line, answer) => {
    const heard = await mpd(line)
    if (typeof answer === 'string') expect(heard).toBe(answer)
    else expect(heard).toMatch(answer)
  })

  test('the queue is filled, played and told as Mopidy-MPD tells it', async () => {
    const list = `command_list_ok_begin\nadd "${uri}"\nplay\nstatus\ncurrentsong\ncommand_list_end\n`
    const heard = await mpd(list)
    expect(heard).toMatch(/volume: 50\n.*playlistlength: 1\n.*state: play\nsong: 0\nsongid: 1\n.*time: 0:150\n/s)
    expect(heard).toMatch(
      /file: local:track:demo\/lights\/01-curtain\n.*Title: Demo Curtain\n.*Pos: 0\nId: 1\nlist_OK\nOK\n$/s,
    )
  })

  test('idle tells what changed, and only what was asked for', async () => {
    const idle = mpd('idle mixer\n', /OK\n$/)
    await expect.poll(() => demo.received.mpd.join('')).toBe('idle mixer\n')
    demo.state.setOption('random', true)
    demo.state.setVolume(12)
    expect(await idle).toBe('changed: mixer\nOK\n')
    expect(await mpd('idle\nnoidle\n')).toBe('OK\n')
    expect(await mpd('idle\nping\n')).toBe('')
  })

  test('what does not begin with a small letter ends the connection', async () => {
    expect(await mpd('GET / HTTP/1.1\r\nHost: x\r\n\r\n')).toBe('')
  })

  test('a picture comes in pieces of at most 8192 bytes', async () => {
    const heard = await mpd(`albumart "${uri}" 0\n`, /\nOK\n$/)
    const [head = '', size, length] = /^size: (\d+)\nbinary: (\d+)\n/.exec(heard) ?? []
    expect([Number(size), Number(length)]).toEqual([12_288, 8_192])
    expect(heard.length).toBe(head.length + 8_192 + '\nOK\n'.length)
  })
})

describe('what arrives is kept, byte for byte', () => {
  test('per door', async () => {
    expect(demo.received).toEqual({ http: [], websocket: [], mpd: [] })
    await post('{"odd":  1}', { 'x-told': 'yes' })
    expect(demo.received.http.join('')).toMatch(
      /^POST \/mopidy\/rpc HTTP\/1\.1\r\n.*x-told: yes\r\n.*\r\n\r\n\{"odd": {2}1\}$/s,
    )
    await mpd('ping  "a"\n')
    expect(demo.received.mpd.join('')).toBe('ping  "a"\n')
    const socket = new WebSocket(`${demo.http.replace('http', 'ws')}/mopidy/ws`)
    await once(socket, 'open')
    socket.send(' {}')
    await once(socket, 'message')
    expect(demo.received.websocket).toEqual([' {}'])
    demo.received.http.length = 0
    await post('{"kept": "alive"}') // on the connection of before, which somebody else's upgrade leaves alone
    expect(demo.received.http.join('')).toMatch(/\{"kept": "alive"\}$/)
    socket.terminate()
  })
})

describe('faults, when a test asks for them', () => {
  const status = () => rpc('core.playback.get_state')

  test('hang: nothing comes, on any door', async () => {
    demo.faults.hang = true
    const fetched = fetch(`${demo.http}/mopidy/rpc`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"jsonrpc":"2.0","id":1,"method":"core.playback.get_state"}',
      signal: AbortSignal.timeout(100),
    })
    await expect(fetched).rejects.toThrow()
    const [host, port] = demo.mpd.split(':')
    const socket = connect(Number(port), host)
    await once(socket, 'connect')
    expect(
      await Promise.race([once(socket, 'data'), new Promise((resolve) => setTimeout(resolve, 100, 'silence'))]),
    ).toBe('silence')
    socket.destroy()
  })

  test('only: others are served as ever', async () => {
    Object.assign(demo.faults, { hang: true, only: /lookup/ })
    expect((await status()).result).toBe('stopped')
    expect(await mpd('ping\n')).toBe('OK\n')
  })

  test('html and nan are no JSON', async () => {
    demo.faults.html = true
    await expect(status()).rejects.toThrow(SyntaxError)
    demo.faults.html = false
    demo.faults.nan = true
    expect(await (await post('{"jsonrpc":"2.0","id":1,"method":"core.playback.get_state"}')).text()).toMatch(
      /"result":NaN\}$/,
    )
  })

  test('crash: the socket is gone', async () => {
    demo.faults.crash = true
    await expect(status()).rejects.toThrow()
    expect(await mpd('ping\n')).toBe('')
  })

  test('half an answer', async () => {
    demo.faults.half = true
    expect(await mpd('status\n', /never/, 100)).toMatch(/^volume: 50\n(?!.*OK)/s)
    const response = await post('{"jsonrpc":"2.0","id":1,"method":"core.playback.get_state"}')
    const chunk = await response.body?.getReader().read()
    expect(new TextDecoder().decode(chunk?.value as Uint8Array)).toMatch(/^\{"jsonrpc"[^}]*$/)
  })

  test('a lying length, an endless line, a title that ends the answer', async () => {
    demo.faults.binary = 100
    expect(await mpd(`albumart "${uri}" 0\n`, /\nOK\n$/)).toMatch(/^size: 12288\nbinary: 8292\n/)
    demo.faults.longLine = 100_000
    expect(await mpd('ping\n', /\nOK\n$/)).toHaveLength('Comment: \nOK\n'.length + 100_000)
    demo.faults.longLine = 0
    demo.faults.title = 'x\nOK\n'
    expect(await mpd('search title curtain\n', /Genre.*\nOK\n$/)).toMatch(/Title: x\nOK\n\nDate/)
  })

  test('tracebacks with paths', async () => {
    demo.faults.traceback = true
    expect(JSON.stringify((await rpc('core.mixer.set_volume', [500])).error?.data)).toMatch(/Traceback.*\/usr\/lib/)
  })

  test('a flood of events before each answer', async () => {
    demo.faults.flood = 50
    const socket = new WebSocket(`${demo.http.replace('http', 'ws')}/mopidy/ws`)
    await once(socket, 'open')
    const seen: string[] = []
    const answered = new Promise((resolve) =>
      socket.on('message', (data) => {
        seen.push(String(data))
        if (String(data).includes('"id"')) resolve(undefined)
      }),
    )
    socket.send('{"jsonrpc":"2.0","id":1,"method":"core.playback.get_state"}')
    await answered
    expect(seen).toHaveLength(51)
    socket.terminate()
  })
})
