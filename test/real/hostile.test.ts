import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest'
import { connectMpd, connectRpc, type MpdClient, type RpcClient, unmask } from './clients.ts'
import { type Gateway, startGateway } from './gateway.ts'
import { type Mopidy, startMopidy } from './mopidy.ts'
import { startTap, type Tap, until } from './tools.ts'

let mopidy: Mopidy
let taps: { http: Tap; mpd: Tap }
let gateway: Gateway
let token = ''
let witness: { rpc: RpcClient; mpd: MpdClient }
/** What reached Mopidy, its own liveness questions aside. */
const bytes = () => unmask(taps.http.bytes()) + taps.mpd.bytes().toString()

const set = (members: string) => `{"jsonrpc":"2.0","id":1,"method":"core.mixer.set_volume",${members}}`
const deep = (depth: number) => set(`"params":{"volume":${'['.repeat(depth)}${']'.repeat(depth)}}`)

/** What is sent, and the code of the one error it gets. */
const messages: [name: string, message: string | Buffer, code: number][] = [
  ['duplicate keys', set('"params":[1],"params":[99]'), -32600],
  ['duplicate keys, one of them escaped', set('"params":[1],"p\\u0061rams":[99]'), -32600],
  ['a duplicate key inside params', set('"params":{"volume":1,"volume":99}'), -32600],
  ['__proto__ beside method', set('"params":[1],"__proto__":{"x":1}'), -32600],
  ['__proto__ in params', set('"params":{"__proto__":{"volume":1}}'), -32600],
  ['an unknown member', set('"params":[1],"extra":true'), -32600],
  ['an unknown parameter', set('"params":{"volume":1,"x":2}'), -32602],
  ['one parameter too many', set('"params":[1,2]'), -32602],
  ['a text for a number', set('"params":["1"]'), -32602],
  ['true for a number', set('"params":[true]'), -32602],
  ['a fraction for a whole number', set('"params":[1.5]'), -32602],
  ['params: null', set('"params":null'), -32600],
  ['nesting, 33-fold', deep(33), -32600],
  ['nesting, 10,000-fold', deep(10_000), -32600],
  ['a method that is none', '{"jsonrpc":"2.0","id":1,"method":"core.mixer.__class__"}', -32601],
  ['a method of everything’s prototype', '{"jsonrpc":"2.0","id":1,"method":"constructor"}', -32601],
  ['a method in other letters', '{"jsonrpc":"2.0","id":1,"method":"core.mixer.Set_volume","params":[1]}', -32601],
  ['an id that is an object', set('"params":[1]').replace('"id":1', '"id":{}'), -32600],
  ['an id of 65 bytes', set('"params":[1]').replace('"id":1', `"id":"${'x'.repeat(65)}"`), -32600],
  ['an id no double holds', set('"params":[1]').replace('"id":1', '"id":9007199254740993'), -32600],
  ['no JSON', '{"jsonrpc":', -32700],
]

describe.skipIf(!inject('real').available)('hostile input, in front of a real Mopidy', () => {
  beforeAll(async () => {
    mopidy = await startMopidy()
    taps = { http: await startTap('127.0.0.1', mopidy.httpPort), mpd: await startTap('127.0.0.1', mopidy.mpdPort) }
    gateway = await startGateway({
      players: {
        home: { kind: 'mopidy', http: `http://127.0.0.1:${taps.http.port}`, mpd: `127.0.0.1:${taps.mpd.port}` },
      },
      users: { ada: 'owner' },
    })
    token = gateway.token('ada')
    await until(async () => (await gateway.http('/readyz')).status === 200)
    witness = { rpc: await connectRpc(gateway, token), mpd: await connectMpd(gateway, token) }
    await witness.mpd.ask('status\n')
  })
  afterAll(async () => {
    witness?.rpc.close()
    witness?.mpd.close()
    await gateway?.stop()
    await taps?.http.close()
    await taps?.mpd.close()
    await mopidy?.stop()
  })
  beforeEach(() => {
    taps.http.clear()
    taps.mpd.clear()
  })

  /** Nothing went on, and everybody else does. */
  async function unharmed() {
    expect(bytes()).toBe('')
    expect(await witness.rpc.call('core.playback.get_state')).toMatchObject({ result: 'stopped' })
    expect(await witness.mpd.ask('status\n')).toMatch(/OK\n$/)
    expect((await gateway.http('/healthz')).status).toBe(200)
  }

  const post = (body: string | Buffer) =>
    gateway.http('/mopidy/rpc', {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body,
    })

  test.each(messages)('JSON-RPC · %s', async (_, message, code) => {
    expect(JSON.parse((await post(message)).body)).toMatchObject({ error: { code } })
    const rpc = await connectRpc(gateway, token)
    expect(await rpc.raw(String(message))).toMatchObject({ error: { code } })
    rpc.close()
    await unharmed()
  })

  test('a string of 1 MB: too large on HTTP, closed with 1009 on the WebSocket', async () => {
    const large = set(`"params":["${'x'.repeat(1024 * 1024)}"]`)
    const answer = await post(large)
    expect([answer.status, JSON.parse(answer.body).error.data.code]).toEqual([413, 'too-large'])
    const rpc = await connectRpc(gateway, token)
    rpc.socket.send(large)
    expect(await rpc.ended()).toBe(1009)
    await unharmed()
  })

  test('invalid UTF-8: unparsable on HTTP, closed with 1007 on the WebSocket', async () => {
    const broken = Buffer.concat([
      Buffer.from(set('"params":["').slice(0, -1)),
      Buffer.from([0xc3, 0x28, 0x22, 0x5d, 0x7d]),
    ])
    const answer = await post(broken)
    expect([answer.status, JSON.parse(answer.body).error.code]).toEqual([400, -32700])
    const rpc = await connectRpc(gateway, token)
    rpc.socket.send(broken, { binary: false })
    expect(await rpc.ended()).toBe(1007)
    await unharmed()
  })

  const lines: [name: string, line: string | Buffer, answer: RegExp, isClosed: boolean][] = [
    ['a quote within a word', 'add a"b\n', /^ACK \[5@0\]/, false],
    ['a quote that does not end', 'add "abc\n', /^ACK \[5@0\]/, false],
    ['no blank after a quote', 'add "a"b\n', /^ACK \[5@0\]/, false],
    ['a backslash at the end', 'add "abc\\\n', /^ACK \[5@0\]/, false],
    ['single quotes', "add 'a b'\n", /^ACK \[5@0\]/, false],
    ['NUL behind a command', 'ping\0clear\n', /^ACK \[5@0\]/, true],
    ['NUL in quotes', 'add "a\0b"\n', /^ACK \[5@0\]/, true],
    ['a lone CR', 'setvol 24\rclear\n', /^ACK \[5@0\]/, true],
    ['a no-break space', 'setvol\u00a022\n', /^ACK \[5@0\]/, true],
    ['a vertical tab', 'setvol\x0b22\n', /^ACK \[5@0\]/, true],
    ['invalid UTF-8', Buffer.from([0x61, 0x64, 0x64, 0x20, 0xff, 0xfe, 0x0a]), /^ACK \[5@0\]/, true],
    ['a line of 64 KiB', `add "${'x'.repeat(65536)}"\n`, /^ACK \[5@0\]/, true],
    ['an unknown command', 'frobnicate\n', /^ACK \[5@0\] \{\} unknown command "frobnicate"\n$/, false],
    ['a command of everything’s prototype', 'constructor\n', /^ACK \[5@0\]/, false],
    ['too few arguments', 'setvol\n', /^ACK \[2@0\] \{setvol\}/, false],
    ['too many arguments', 'clear all\n', /^ACK \[2@0\] \{clear\}/, false],
    ['a list in a list', 'command_list_begin\ncommand_list_begin\nclear\ncommand_list_end\n', /^ACK \[5@0\]/, false],
    [
      'a refused command in a list',
      'command_list_begin\nclear\nnewpartition x\ncommand_list_end\n',
      /^ACK \[4@1\]/,
      false,
    ],
    ['HTTP', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n', /^$/, true],
  ]

  test.each(lines)('MPD · %s', async (_, line, answer, isClosed) => {
    const client = await connectMpd(gateway, token)
    expect(await client.ask(line)).toMatch(answer)
    if (isClosed) await until(() => client.closed)
    else expect(await client.ask('ping\n')).toBe('OK\n')
    client.close()
    await unharmed()
  })
})
