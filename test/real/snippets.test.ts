import type { ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest'
import { parse } from 'yaml'
import { createAuthority, createKey } from '../../src/listen/certificate.ts'
import { type Gateway, startGateway } from './gateway.ts'
import { tunes } from './library.ts'
import { type Mpd, startMpd } from './mpd.ts'
import { snippetsFor } from './snippet.ts'
import { endChild, freePort, greeting, run, startChild, until } from './tools.ts'

const people = { ada: 'owner', gus: 'guest' } as const

describe.skipIf(!inject('real').available)('what mpd-help prints works as it is printed', () => {
  let mpd: Mpd
  let gateway: Gateway
  let home: string
  let folder: string
  let plain: number
  const tokens: Record<string, string> = {}
  const children: ChildProcess[] = []
  const queue = async () =>
    (await run('mpc', ['--host=127.0.0.1', `--port=${mpd.port}`, '-f', '%file%', 'playlist'])).stdout

  beforeAll(async () => {
    mpd = await startMpd()
    home = mkdtempSync(join(tmpdir(), 'stagedoor-home-'))
    folder = join(home, '.config/stagedoor')
    plain = await freePort()
    gateway = await startGateway({
      players: { home: { kind: 'mpd', mpd: mpd.mpd } },
      users: people,
      change: (config) => {
        // The snippet itself is held against the configuration below.
        config.listen = {
          ...config.listen,
          plainMpd: { port: plain, host: '127.0.0.1', from: ['127.0.0.0/8'], roles: ['guest'] },
        }
      },
    })
    for (const who of Object.keys(people)) tokens[who] = gateway.token(who)
    await until(async () => (await gateway.http('/readyz')).status === 200)
    await run('mpc', ['--host=127.0.0.1', `--port=${mpd.port}`, 'add', tunes[0]?.path ?? ''])
    await shell((await snippetsFor(gateway, 'mpc'))('sh', 'curl'))
  })
  afterEach(async () => {
    for (const child of children.splice(0)) await endChild(child)
  })
  afterAll(async () => {
    await gateway?.stop()
    await mpd?.stop()
    if (home) rmSync(home, { recursive: true, force: true })
  })

  /** A person's shell, at home. */
  async function shell(text: string) {
    const { MPD_HOST: _host, MPD_PORT: _port, ...inherited } = process.env
    return run('/bin/sh', ['-c', text], { env: { ...inherited, HOME: home, LC_ALL: 'C.UTF-8' } })
  }

  /** The snippets of a client with a tunnel on a free port. */
  async function tunnelled(client = 'mpc') {
    const local = await freePort()
    return {
      local,
      snippet: await snippetsFor(gateway, client, '--port', String(gateway.mpd), '--local', String(local)),
    }
  }

  /** Starts a tunnel; it may take a while until it listens. */
  async function begin(local: number, command: string, args: readonly string[]): Promise<void> {
    children.push(startChild(command, args, { cwd: folder, stdio: 'ignore' }))
    await until(async () => {
      const answer = await greeting(local).catch((error: Error) => error.message)
      return !answer.includes('ECONNREFUSED')
    })
  }

  /** `cd FOLDER && PROGRAM …` as a program and its arguments, as it stands in the snippet. */
  function commandOf(line: string): [string, string[]] {
    const [, command = ''] = /^cd ~\/\.config\/stagedoor && (.*)\n$/.exec(line) ?? []
    const [program = '', ...args] = command.split(' ')
    return [program, args]
  }

  async function stunnel(local: number, config: string): Promise<void> {
    writeFileSync(join(folder, 'stunnel.conf'), config)
    await begin(local, ...commandOf((await snippetsFor(gateway, 'mpc'))('sh', 'stunnel stunnel.conf')))
  }

  test('the authority is fetched, and its fingerprint is the one that is shown to compare', async () => {
    const { stdout } = await shell((await snippetsFor(gateway, 'mpc'))('sh', 'curl'))
    expect(readFileSync(join(folder, 'stagedoor-ca.pem'), 'utf8').trim()).toBe(gateway.ca.trim())
    const fingerprint = /Fingerprint=(\S+)/.exec(stdout)?.[1] ?? 'none'
    expect(gateway.cli(['mpd-help', 'mpc']).stdout).toContain(`only if the fingerprint is \`${fingerprint}\``)
    expect(gateway.log()).toContain(fingerprint)
  })

  test('the token is made by the command that is shown, and works through stunnel with mpc’s own lines', async () => {
    const { local, snippet } = await tunnelled()
    const create = snippet('sh', 'token create').replace('NAME', 'gus')
    const [, args = ''] = /^npx stagedoor (.*) --label "(?:.*)"\n$/.exec(create) ?? []
    expect(args).toBe('token create gus')
    await stunnel(local, snippet('ini', '[stagedoor]'))
    const lines = snippet('sh', 'MPD_HOST').replace('sd1_…', gateway.token('gus'))
    expect(await shell(lines)).toEqual({ status: 0, stdout: expect.stringContaining('volume:'), stderr: '' })
    expect((await shell(lines.replace('mpc status', 'mpc clear'))).stderr).toContain('permission')
    expect(await queue()).not.toBe('')
  })

  test('and through socat', async () => {
    const { local, snippet } = await tunnelled()
    await begin(local, ...commandOf(snippet('sh', 'socat')))
    const lines = snippet('sh', 'MPD_HOST').replace('sd1_…', tokens.gus ?? '')
    expect(await shell(lines)).toEqual({ status: 0, stdout: expect.stringContaining('volume:'), stderr: '' })
  })

  describe('a gateway that is not the house’s own gets no token', () => {
    const status = (local: number) => shell(`MPD_HOST=${tokens.ada}@127.0.0.1 MPD_PORT=${local} mpc status`)

    test.each([
      ['stunnel', 'another authority', /CAfile = .*/, 'CAfile = other.pem'],
      ['stunnel', 'another name', /checkIP = .*/, 'checkHost = elsewhere.example'],
      ['stunnel', 'another address', /checkIP = .*/, 'checkIP = 192.0.2.1'],
      ['socat', 'another authority', /cafile=[^,]*/, 'cafile=other.pem'],
      ['socat', 'another name', /verify=1/, 'verify=1,commonname=elsewhere.example'],
    ])('%s: %s', async (program, _what, from, to) => {
      writeFileSync(join(folder, 'other.pem'), await createAuthority(createKey(), Date.now()))
      const { local, snippet } = await tunnelled()
      const before = gateway.log().length
      if (program === 'stunnel') await stunnel(local, snippet('ini', '[stagedoor]').replace(from, to))
      else await begin(local, ...commandOf(snippet('sh', 'socat').replace(from, to)))
      expect((await status(local)).status).toBe(1)
      expect(gateway.log().slice(before)).not.toContain('ada')
    })
  })

  describe('without a password', () => {
    /** A certificate as it is shown, moved to the device. */
    async function certify(who: keyof typeof people): Promise<string> {
      const create = (await snippetsFor(gateway, 'mpc', '--user', who))('sh', '--certificate')
      expect(create).toBe(`npx stagedoor token create ${who} --label "tunnel" --certificate --out stagedoor-client\n`)
      for (const part of ['crt', 'key']) rmSync(join(folder, `stagedoor-client.${part}`), { force: true })
      const words = ['token', 'create', who, '--label', 'tunnel', '--certificate']
      const made = gateway.cli([...words, '--out', join(folder, 'stagedoor-client')])
      expect(made.status, made.stderr).toBe(0)
      return /^(\w+): /.exec(made.stderr)?.[1] ?? ''
    }
    const mpc = (local: number, ...args: string[]) =>
      shell(`MPD_HOST=127.0.0.1 MPD_PORT=${local} mpc ${args.join(' ')}`)

    test('stunnel signs in by its certificate, until that is revoked', async () => {
      const id = await certify('gus')
      const { local, snippet } = await tunnelled()
      await stunnel(local, `${snippet('ini', '[stagedoor]')}${snippet('ini', 'cert = ')}`)
      expect(await mpc(local, 'status')).toMatchObject({ status: 0, stderr: '' })
      expect((await mpc(local, 'clear')).stderr).toContain('permission for "clear"')
      expect(gateway.cli(['token', 'revoke', id]).status).toBe(0)
      await until(async () => (await mpc(local, 'status')).status === 1)
    })

    test('socat does, too; and without one there is no way in', async () => {
      await certify('ada')
      const { local, snippet } = await tunnelled()
      const [program, args] = commandOf(snippet('sh', ',cert='))
      await begin(local, program, args)
      expect(await mpc(local, 'volume', '33')).toMatchObject({ status: 0, stderr: '' })
      const bare = await tunnelled()
      await begin(bare.local, ...commandOf(bare.snippet('sh', 'socat')))
      expect(await mpc(bare.local, 'status')).toMatchObject({
        status: 1,
        stderr: expect.stringContaining('permission'),
      })
    })

    test('python-mpd2 signs in by it', async () => {
      await certify('gus')
      const snippet = (await snippetsFor(gateway, 'python-mpd2', '--port', String(gateway.mpd)))('python', 'TlsClient')
      const program = snippet.replace('# context.load', 'context.load').replace(/^client\.password.*\n/m, '')
      expect(await run('/usr/bin/python3', ['-c', program], { cwd: folder })).toMatchObject({
        status: 0,
        stdout: expect.stringContaining("'volume'"),
      })
    })
  })

  test('the unit is one that systemd takes, and starts what was tried here', async () => {
    const unit = (await snippetsFor(gateway, 'mpc'))('ini', '[Service]')
    expect(unit).toContain('\nWorkingDirectory=%h/.config/stagedoor\nExecStart=/usr/bin/stunnel stunnel.conf\n')
    const file = join(home, '.config/systemd/user/stagedoor-tunnel.service')
    mkdirSync(join(file, '..'), { recursive: true })
    writeFileSync(file, unit)
    const env = { ...process.env, HOME: home, XDG_RUNTIME_DIR: home }
    const found = await run('systemd-analyze', ['--user', 'verify', file], { env }).catch(() => undefined)
    if (found) expect([found.status, found.stderr.includes('stagedoor-tunnel')]).toEqual([0, false])
  })

  describe('the plaintext door', () => {
    test('the snippet is a configuration, as it stands', async () => {
      const file = join(gateway.dir, 'config/stagedoor.yaml')
      const text = readFileSync(file, 'utf8')
      const { listen, ...rest } = parse(text)
      const snippet = parse((await snippetsFor(gateway, 'malp'))('yaml', 'plainMpd'))
      writeFileSync(file, JSON.stringify({ ...rest, listen: { ...listen, ...snippet.listen } }))
      const { status, stdout, stderr } = gateway.cli(['check'])
      writeFileSync(file, text)
      expect([status, stderr], stdout).toEqual([0, ''])
    })

    test('a phone’s token works there, and the owner’s is worth no more than the ceiling', async () => {
      const create = (await snippetsFor(gateway, 'malp', '--user', 'ada'))('sh', 'token create')
      expect(create).toBe('npx stagedoor token create ada --label "phone" --role guest --expires 90d\n')
      const phone = gateway.token('ada', '--role', 'guest', '--expires', '90d')
      for (const token of [phone, tokens.ada]) {
        const mpc = (command: string) => shell(`MPD_HOST=${token}@127.0.0.1 MPD_PORT=${plain} mpc ${command}`)
        expect(await mpc('status')).toMatchObject({ status: 0, stderr: '' })
        expect((await mpc('clear')).stderr).toContain('permission for "clear"')
      }
      expect(await queue()).not.toBe('')
    })
  })
})
