import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import { startDemo } from '../../src/demo/player.ts'
import { createPasswords } from '../../src/identity/password.ts'
import { createSecret, hashSecret, writeDeviceToken } from '../../src/identity/tokens.ts'
import { openAccounts } from '../../src/store/accounts.ts'
import { freePort, until } from '../real/tools.ts'
import { ask, type Target } from './clients.ts'
import { password, root } from './harness.ts'

/** The gateway as people run it, in a process of its own, with an owner called `ada`. */
export interface Process extends Target {
  readonly child: ChildProcess
  readonly data: string
  /** A device token of the owner. */
  readonly token: string
  /** What it wrote to its standard output, where that is a pipe. */
  stdout(): string
  close(): Promise<void>
}

export async function openProcess(options: { descriptors?: number; stdout?: 'pipe' | number } = {}): Promise<Process> {
  const { descriptors, stdout = 'pipe' } = options
  const dir = mkdtempSync(join(tmpdir(), 'stagedoor-process-'))
  const demo = await startDemo()
  const [https, mpd] = [await freePort(), await freePort()]
  const config = parse(readFileSync(join(root, 'config/stagedoor.yaml'), 'utf8'))
  config.listen = { https: { host: '127.0.0.1', port: https }, mpd: { host: '127.0.0.1', port: mpd } }
  config.tls = { dir: join(dir, 'certs') }
  config.players = { home: { kind: 'mopidy', http: demo.http, mpd: demo.mpd } }
  const file = join(dir, 'stagedoor.yaml')
  writeFileSync(file, stringify(config))
  const data = join(dir, 'data')
  mkdirSync(data, { mode: 0o700 })
  const accounts = openAccounts({ dir: data, now: Date.now, pollMs: 0 })
  const secret = createSecret()
  const account = accounts.create({
    name: 'ada',
    roles: ['owner'],
    password: await createPasswords().hash(password),
  })
  const limits = { account: account.id, label: 'test', role: null, players: null, expires: null }
  const token = writeDeviceToken(accounts.createToken(limits, hashSecret(secret)).id, secret)
  accounts.close()

  const words = [process.execPath, join(root, 'bin/stagedoor.js'), 'serve', '--config', file, '--data', data]
  const limit = descriptors === undefined ? '' : `ulimit -n ${descriptors} && `
  const env = { ...process.env, NODE_NO_WARNINGS: '1' }
  const child = spawn('sh', ['-c', `${limit}exec "$@"`, 'sh', ...words], { env, stdio: ['ignore', stdout, 'pipe'] })
  process.once('exit', () => child.kill('SIGKILL'))
  let [out, err] = ['', '']
  child.stdout?.on('data', (piece) => {
    out += piece
  })
  child.stderr?.on('data', (piece) => {
    err += piece
  })
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const target = {
    https,
    mpd,
    from: '127.0.0.9',
    get ca() {
      return readFileSync(join(dir, 'certs/ca.crt'), 'utf8')
    },
  }
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`the gateway did not start:\n${err}`)
    return (await ask(target, '/readyz').catch(() => undefined))?.status === 200
  })
  return {
    https,
    mpd,
    ca: target.ca,
    from: target.from,
    child,
    data,
    token,
    stdout: () => out,
    async close() {
      child.kill('SIGTERM')
      await gone
      await demo.close()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}
