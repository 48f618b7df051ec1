import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { type Gateway, startGateway } from './gateway.ts'
import { tunes } from './library.ts'
import { type Mpd, startMpd } from './mpd.ts'
import { snippetsFor } from './snippet.ts'
import { run, startTunnel, type Tunnel, until } from './tools.ts'

const [dawn = '', noon = ''] = tunes.map(({ path }) => path)

describe.skipIf(!inject('real').available)('python-mpd2, in front of a real MPD', () => {
  let mpd: Mpd
  let gateway: Gateway
  let tunnel: Tunnel
  const tokens: Record<string, string> = {}

  beforeAll(async () => {
    mpd = await startMpd()
    gateway = await startGateway({
      players: { home: { kind: 'mpd', mpd: mpd.mpd } },
      users: { ada: 'owner', mia: 'member', gus: 'guest' },
    })
    for (const who of ['ada', 'mia', 'gus']) tokens[who] = gateway.token(who)
    tunnel = await startTunnel({ host: '127.0.0.1', port: gateway.mpd, ca: gateway.caFile })
    await until(async () => (await gateway.http('/readyz')).status === 200)
  })
  afterAll(async () => {
    await tunnel?.close()
    await gateway?.stop()
    await mpd?.stop()
  })

  /** Runs a program with `connect(who)` at hand; the lines it prints. `who` is None for MPD itself. */
  async function lines(program: string): Promise<string[]> {
    const start = `
import hashlib, threading, time, mpd
tokens = ${JSON.stringify(tokens)}
def connect(who):
    client = mpd.MPDClient()
    client.timeout = 20
    client.connect('127.0.0.1', ${tunnel.port} if who else ${mpd.port})
    if who: client.password(tokens[who])
    return client
dawn, noon = ${JSON.stringify(dawn)}, ${JSON.stringify(noon)}
`
    const { stdout, stderr } = await run('/usr/bin/python3', ['-c', `${start}${program}`])
    expect(stderr).toBe('')
    return stdout.trimEnd().split('\n')
  }

  test('an idle loop in a thread hears every change of another client, in order', async () => {
    expect(
      await lines(`
heard, ready = [], threading.Event()
listening = connect('gus')
def loop():
    while len(heard) < 20:
        ready.set()
        for name in listening.idle('mixer', 'playlist'):
            heard.append((name, int(listening.status()['volume'])))
thread = threading.Thread(target=loop)
thread.start()
ready.wait()
other = connect('mia')
for level in range(20, 40):
    before = len(heard)
    other.setvol(level)
    while len(heard) == before: time.sleep(0.005)
thread.join(10)
print([name for name, _ in heard] == ['mixer'] * 20, [volume for _, volume in heard] == list(range(20, 40)))
listening.disconnect()
`),
    ).toEqual(['True True'])
  })

  test('its asyncio client, which Home Assistant uses, goes in and out of idle by itself', async () => {
    expect(
      await lines(`
import asyncio
import mpd.asyncio
async def main():
    client, other = mpd.asyncio.MPDClient(), connect('mia')
    other.setvol(50)
    await client.connect('127.0.0.1', ${tunnel.port})
    await client.password(tokens['gus'])
    heard = asyncio.Queue()
    async def listen():
        try:
            async for subsystems in client.idle(['mixer']): await heard.put(list(subsystems))
        except mpd.ConnectionError: pass  # how it ends
    task = asyncio.create_task(listen())
    await asyncio.sleep(0)
    for level in range(1, 20):
        while not heard.empty(): heard.get_nowait()
        other.setvol(level)
        assert await asyncio.wait_for(heard.get(), 10) == ['mixer']
        assert int((await client.status())['volume']) == level
        try: await client.clear()
        except mpd.CommandError as e: last = e
    print('in step', (await client.status())['volume'], last)
    client.disconnect()
asyncio.run(main())
`),
    ).toEqual([expect.stringMatching(/^in step 19 \[4@0\] \{clear\} you don't have permission/)])
  })

  test('command lists, with and without ok, as on MPD itself', async () => {
    const answers = await lines(`
direct = connect(None)
direct.clear(); direct.add(dawn); direct.add(noon)
for who in (None, 'mia'):
    c = connect(who)
    direct.setvol(50)
    c.command_list_ok_begin()
    c.playlistinfo(); c.status(); c.find('title', 'Dawn'); c.currentsong()
    found = c.command_list_end()
    found[1].pop('partition', None)
    print(found)
    c.command_list_ok_begin()
    c.setvol(33); c.delete(99); c.setvol(34)
    try: print(c.command_list_end())
    except mpd.CommandError as e: print(e, c.status()['volume'])
`)
    expect(answers).toHaveLength(4)
    expect(answers.slice(2)).toEqual(answers.slice(0, 2))
    expect(answers[0]).toContain(`'file': '${dawn}'`)
    expect(answers[1]).toBe('[2@1] {delete} Bad song index 33')
  })

  test('a list with one denied command at its end: nothing of it happens', async () => {
    expect(
      await lines(`
direct, guest = connect(None), connect('gus')
direct.clear(); direct.add(dawn); direct.setvol(61)
guest.command_list_ok_begin()
for _ in range(99): guest.status()
guest.clear()
try: print(guest.command_list_end())
except mpd.CommandError as e: print(e.errno, e)
print(len(direct.playlistinfo()), guest.status()['volume'])
`),
    ).toEqual([
      expect.stringMatching(
        /^FailureResponseCode\.PERMISSION \[4@99\] \{clear\} you don't have permission for "clear"/,
      ),
      '1 61',
    ])
  })

  test('pictures are the same bytes, by albumart and readpicture', async () => {
    const answers = await lines(`
for who in (None, 'gus', 'mia'):
    c = connect(who)
    for ask in (c.readpicture, c.albumart):
        try:
            picture = ask(dawn)
            print(len(picture['binary']), hashlib.sha256(picture['binary']).hexdigest(), picture.get('type'))
        except mpd.CommandError as e: print(e)
    print(c.readpicture(${JSON.stringify(tunes[5]?.path)}))
`)
    expect(answers).toHaveLength(9)
    expect(answers[0]).toMatch(/^\d{5,} [0-9a-f]{64} image\/png$/)
    expect(answers.slice(3, 6)).toEqual(answers.slice(0, 3))
    expect(answers.slice(6)).toEqual(answers.slice(0, 3))
  })

  test('what is refused is a CommandError with the gateway’s words, and the connection goes on', async () => {
    const answers = await lines(`
guest = connect('gus')
for ask in (guest.clear, guest.next, lambda: guest.setvol(20), lambda: guest.add('http://127.0.0.1:1/x'), lambda: guest.add('file:///etc/passwd'),
            lambda: guest.sendmessage('x', 'y'), guest.config, lambda: guest.idle('nonsense')):
    try: print('done', ask())
    except mpd.CommandError as e: print(e)
print(guest.status()['state'])
`)
    const names = ['clear', 'next', 'setvol', 'add', 'add', 'sendmessage', 'config']
    expect(answers).toEqual([
      ...names.map((name) => expect.stringContaining(`[4@0] {${name}} you don't have permission for "${name}"`)),
      expect.stringMatching(/^\[2@0\] \{idle\} /),
      expect.stringMatching(/^(?:stop|pause|play)$/),
    ])
  })

  test('a line break in a text is a second line, and judged as one', async () => {
    const answers = await lines(`
direct, guest = connect(None), connect('gus')
direct.clear(); direct.add(dawn)
# The client writes what it is given: three lines.
for ask in (lambda: guest.find('title', 'x"\\nclear\\nping "y'), guest.ping, guest.ping, guest.ping):
    try: print('done', ask())
    except mpd.CommandError as e: print(e)
print(len(direct.playlistinfo()))
`)
    expect(answers[1]).toContain(`[4@0] {clear} you don't have permission for "clear"`)
    expect(answers.at(-1)).toBe('1')
  })

  test('disconnects and connects again, a hundred times', async () => {
    expect(
      await lines(`
client = mpd.MPDClient()
client.timeout = 20
for _ in range(100):
    client.connect('127.0.0.1', ${tunnel.port})
    client.password(tokens['gus'])
    assert 'volume' in client.status()
    client.close(); client.disconnect()
print('still here')
`),
    ).toEqual(['still here'])
  })

  test('with TLS of its own, as mpd-help says; a stranger’s certificate and another name are refused', async () => {
    const snippet = (await snippetsFor(gateway, 'python-mpd2', '--port', String(gateway.mpd)))('python', 'TlsClient')
    writeFileSync(join(gateway.dir, 'stagedoor-ca.pem'), gateway.ca)
    const program = snippet.replace('sd1_…', tokens.gus ?? '')
    const ask = (text: string) => run('/usr/bin/python3', ['-c', text], { cwd: gateway.dir })
    expect(await ask(program)).toMatchObject({ status: 0, stdout: expect.stringContaining("'volume'"), stderr: '' })

    const stranger = program.replace(/\(cafile=.*\)/, '()')
    expect((await ask(stranger)).stderr).toContain('CERTIFICATE_VERIFY_FAILED')
    const misnamed = program.replace('server_hostname=host', 'server_hostname="elsewhere.example"')
    expect((await ask(misnamed)).stderr).toContain('CERTIFICATE_VERIFY_FAILED')
  })
})
