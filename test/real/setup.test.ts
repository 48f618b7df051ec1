import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer } from 'node:tls'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { createTls } from '../../src/listen/tls.ts'
import { tunes } from './library.ts'
import { type Mopidy, startMopidy } from './mopidy.ts'
import { type Mpd, startMpd } from './mpd.ts'
import { freePort, greeting, python, run, startTap, startTunnel, until } from './tools.ts'

describe.skipIf(!inject('real').available)('the real players of the tests', () => {
  let mopidy: Mopidy
  beforeAll(async () => {
    mopidy = await startMopidy()
  })
  afterAll(() => mopidy.stop())

  const mpc = (port: number, ...args: string[]) => run('mpc', ['--host=127.0.0.1', `--port=${port}`, ...args])

  test('Mopidy answers JSON-RPC and MPD', async () => {
    expect(await mopidy.rpc('core.get_version')).toMatch(/^3\./)
    expect(await greeting(mopidy.mpdPort)).toBe('OK MPD 0.19.0\n')
  })

  test('Mopidy says what it refuses', async () => {
    await expect(mopidy.rpc('core.mixer.set_volume', [500])).rejects.toThrow(/core\.mixer\.set_volume/)
  })

  test('the library holds every generated tune with its tags, under the URI we expect', async () => {
    const found = (await mopidy.rpc('core.library.lookup', { uris: tunes.map((tune) => tune.uri) })) as Record<
      string,
      { name: string; album: { name: string }; artists: { name: string }[]; length: number }[]
    >
    const seen = tunes.map(({ uri }) => found[uri]?.map((t) => [t.name, t.album.name, t.artists[0]?.name, t.length]))
    expect(seen).toEqual(tunes.map((tune) => [[tune.title, tune.album, tune.artist, tune.seconds * 1000]]))
  })

  test('one album has a picture', async () => {
    const [tune] = tunes
    const images = (await mopidy.rpc('core.library.get_images', { uris: [tune?.uri] })) as Record<
      string,
      { uri: string }[]
    >
    expect(images[tune?.uri ?? '']?.[0]?.uri).toMatch(/^\/local\//)
  })

  test('a track plays and the position advances', async () => {
    await mopidy.rpc('core.tracklist.add', { uris: [tunes[0]?.uri] })
    await mopidy.rpc('core.playback.play')
    const position = async () => Number(await mopidy.rpc('core.playback.get_time_position'))
    const first = await until(async () => (await position()) || undefined)
    expect(await until(async () => ((await position()) > first ? true : undefined))).toBe(true)
    expect(await mopidy.rpc('core.playback.get_state')).toBe('playing')
    await mopidy.rpc('core.playback.stop')
  })

  test('mpc and python3-mpd speak to it', async () => {
    expect((await mpc(mopidy.mpdPort, 'volume', '37')).status).toBe(0)
    expect(await mopidy.rpc('core.mixer.get_volume')).toBe(37)
    const program = `import mpd; c = mpd.MPDClient(); c.connect("127.0.0.1", ${mopidy.mpdPort}); print(c.status()["volume"])`
    expect(await python(program)).toEqual({ status: 0, stdout: '37\n', stderr: '' })
  })

  test('the tap passes everything on and keeps the bytes that went to the player', async () => {
    const tap = await startTap('127.0.0.1', mopidy.mpdPort)
    expect((await mpc(tap.port, 'volume', '41')).stdout).toMatch(/volume: 41%/)
    expect(tap.bytes().toString()).toMatch(/^setvol "41"\ncommand_list_ok_begin\n/)
    expect(await mopidy.rpc('core.mixer.get_volume')).toBe(41)
    tap.clear()
    expect(tap.bytes().length).toBe(0)
    await tap.close()
  })

  test('the tunnel speaks TLS for a client that cannot, to whom the right authority vouches for', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'stagedoor-tls-'))
    const certificates = async (name: string) => {
      const dir = join(folder, name)
      mkdirSync(dir)
      const tls = await createTls({
        source: { dir },
        names: () => ['127.0.0.1', 'localhost'],
        now: Date.now,
        onProblem() {},
      })
      const ca = join(folder, `${name}.pem`)
      writeFileSync(ca, tls.caPem() ?? '')
      return { tls, ca }
    }
    const [own, other] = [await certificates('own'), await certificates('other')]
    const server = createServer(own.tls.mpdOptions(), (near) => {
      const far = connect(mopidy.mpdPort, '127.0.0.1')
      near
        .on('error', () => far.destroy())
        .pipe(far)
        .pipe(near)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo

    const trusted = await startTunnel({ host: '127.0.0.1', port, ca: own.ca })
    expect((await mpc(trusted.port, 'volume', '43')).stdout).toMatch(/volume: 43%/)
    const distrusted = await startTunnel({ host: '127.0.0.1', port, ca: other.ca })
    expect((await mpc(distrusted.port, 'volume', '44')).status).not.toBe(0)
    expect(await mopidy.rpc('core.mixer.get_volume')).toBe(43)

    await Promise.all([trusted.close(), distrusted.close()])
    for (const { tls } of [own, other]) tls.close()
    server.close()
    rmSync(folder, { recursive: true })
  })

  test('killed, it is gone, and it comes back on the same ports', async () => {
    const { pid } = mopidy
    await mopidy.kill9()
    await expect(mopidy.rpc('core.playback.get_state')).rejects.toThrow()
    await expect(greeting(mopidy.mpdPort)).rejects.toThrow()
    await mopidy.restart()
    expect(mopidy.pid).not.toBe(pid)
    expect(await mopidy.rpc('core.playback.get_state')).toBe('stopped')
    expect(await greeting(mopidy.mpdPort)).toBe('OK MPD 0.19.0\n')
  })

  test('a player does not outlive a test process that is killed', async () => {
    const program = `import { startMopidy } from '${import.meta.dirname}/mopidy.ts'
      const { pid, folder } = await startMopidy(); console.log(JSON.stringify({ pid, folder })); process.kill(process.pid, 'SIGKILL')`
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', program], { timeout: 40_000 })
    const { pid, folder } = JSON.parse(stdout) as { pid: number; folder: string }
    rmSync(folder, { recursive: true })
    expect(pid).toBeGreaterThan(1)
    await until(() => {
      try {
        process.kill(pid, 0)
        return undefined
      } catch {
        return true
      }
    })
  })

  test('a program that does not end is killed, and one that fails says so', async () => {
    expect((await run('sleep', ['60'], { timeout: 100 })).status).toBe(null)
    expect(await run('sh', ['-c', 'cat; echo no >&2; exit 3'], { input: 'in' })).toEqual({
      status: 3,
      stdout: 'in',
      stderr: 'no\n',
    })
  })

  test('a port called free can be listened on and nobody answers there', async () => {
    const port = await freePort()
    const problem = await new Promise((resolve) => connect(port, '127.0.0.1').on('error', resolve))
    expect(problem).toMatchObject({ code: 'ECONNREFUSED' })
  })
})

describe.skipIf(!inject('real').available)('the real MPD', () => {
  let mpd: Mpd
  beforeAll(async () => {
    mpd = await startMpd()
  })
  afterAll(() => mpd.stop())

  test('greets, and lists the same library', async () => {
    expect(await greeting(mpd.port)).toMatch(/^OK MPD 0\.2\d/)
    const { stdout } = await run('mpc', ['--host=127.0.0.1', `--port=${mpd.port}`, 'listall'])
    expect(stdout.trim().split('\n').sort()).toEqual(tunes.map((tune) => tune.path).sort())
  })

  test('plays, dies by kill -9, and comes back', async () => {
    const mpc = (...args: string[]) => run('mpc', ['--host=127.0.0.1', `--port=${mpd.port}`, ...args])
    await mpc('add', tunes[0]?.path ?? '')
    await mpc('play')
    await until(async () => ((await mpc('status')).stdout.includes('[playing]') ? true : undefined))
    await mpd.kill9()
    await expect(greeting(mpd.port)).rejects.toThrow()
    await mpd.restart()
    expect(await greeting(mpd.port)).toMatch(/^OK MPD/)
  })
})
