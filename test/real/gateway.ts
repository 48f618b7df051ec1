import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse, stringify } from 'yaml'
import type { ConfigFile } from '../../src/config/schema.ts'
import { freePort, until } from './tools.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const launcher = join(root, 'bin/stagedoor.js')

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: string
}

/** The gateway as people run it: its own process, its own directory, the shipped roles. */
export interface Gateway {
  readonly https: number
  readonly mpd: number
  readonly ca: string
  readonly caFile: string
  readonly dir: string
  readonly pid: number
  log(): string
  cli(args: readonly string[], input?: string): { status: number; stdout: string; stderr: string }
  /** An account with the password `correct horse NAME`. */
  addUser(name: string, role: string): void
  /** A device token for an account. */
  token(name: string, ...options: string[]): string
  http(
    path: string,
    options?: { method?: string; headers?: Record<string, string>; body?: string | Buffer },
  ): Promise<Answer>
  /** One JSON-RPC message over HTTP with a bearer token; the parsed answer. */
  rpc(token: string, message: unknown, path?: string): Promise<unknown>
  start(): Promise<void>
  kill9(): Promise<void>
  stop(): Promise<void>
}

export const passwordOf = (name: string) => `correct horse ${name}`

/** Starts the gateway in front of the given players. `change` may edit the shipped configuration. */
export async function startGateway(options: {
  players: Record<string, unknown>
  users?: Record<string, string>
  change?: (config: ConfigFile) => void
  /** What to start instead of `stagedoor serve`. */
  script?: string
}): Promise<Gateway> {
  const dir = mkdtempSync(join(tmpdir(), 'stagedoor-test-'))
  const [https, mpd] = [await freePort(), await freePort()]
  const config = parse(readFileSync(join(root, 'config/stagedoor.yaml'), 'utf8'))
  config.listen = { https: { host: '127.0.0.1', port: https }, mpd: { host: '127.0.0.1', port: mpd } }
  config.tls = { dir: join(dir, 'certs') }
  config.players = options.players
  options.change?.(config)
  mkdirSync(join(dir, 'config'))
  const file = join(dir, 'config/stagedoor.yaml')
  writeFileSync(file, stringify(config))
  const common = ['--config', file, '--data', join(dir, 'data')]
  const caFile = join(dir, 'certs/ca.crt')
  const environment = { ...process.env, NODE_NO_WARNINGS: '1' }

  let child: ChildProcess | undefined
  let log = ''
  const ended = () =>
    new Promise<void>((resolve) =>
      (child?.exitCode ?? child?.signalCode ?? null) === null ? child?.once('exit', () => resolve()) : resolve(),
    )
  process.once('exit', () => child?.kill('SIGKILL'))

  const gateway: Gateway = {
    https,
    mpd,
    dir,
    caFile,
    get ca() {
      return readFileSync(caFile, 'utf8')
    },
    get pid() {
      return child?.pid ?? 0
    },
    log: () => log,
    cli(args, input) {
      const { status, stdout, stderr } = spawnSync(process.execPath, [launcher, ...args, ...common], {
        encoding: 'utf8',
        env: environment,
        ...(input !== undefined && { input }),
      })
      return { status: status ?? -1, stdout, stderr }
    },
    addUser(name, role) {
      const made = gateway.cli(['user', 'add', name, '--role', role, '--password-stdin'], `${passwordOf(name)}\n`)
      if (made.status !== 0) throw new Error(`user add ${name}: ${made.stderr}${made.stdout}`)
    },
    token(name, ...more) {
      const made = gateway.cli(['token', 'create', name, '--label', 'test', ...more])
      const token = /sd1_[\w-]+/.exec(made.stdout)?.[0]
      if (made.status !== 0 || !token) throw new Error(`token create ${name}: ${made.stderr}${made.stdout}`)
      return token
    },
    http: (path, { method = 'GET', headers = {}, body } = {}) =>
      new Promise((resolve, reject) => {
        const asked = request(
          { host: '127.0.0.1', port: https, path, method, ca: gateway.ca, agent: false, headers },
          (answer) => {
            let text = ''
            answer.setEncoding('utf8')
            answer.on('data', (piece) => {
              text += piece
            })
            answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: text }))
          },
        )
        asked.on('error', reject)
        asked.end(body)
      }),
    async rpc(token, message, path = '/mopidy/rpc') {
      const { body } = await gateway.http(path, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: typeof message === 'string' ? message : JSON.stringify(message),
      })
      return body === '' ? undefined : JSON.parse(body)
    },
    async start() {
      const serve = options.script ? [options.script] : [launcher, 'serve']
      child = spawn(process.execPath, [...serve, ...common], { env: environment })
      child.stdout?.on('data', (piece) => {
        log += piece
      })
      child.stderr?.on('data', (piece) => {
        log += piece
      })
      await until(async () => {
        if (child?.exitCode !== null) throw new Error(`the gateway did not start:\n${log}`)
        return (await gateway.http('/healthz').catch(() => undefined))?.status === 200
      })
    },
    async kill9() {
      child?.kill('SIGKILL')
      await ended()
    },
    async stop() {
      child?.kill('SIGTERM')
      await ended()
      rmSync(dir, { recursive: true, force: true })
    },
  }
  for (const [name, role] of Object.entries(options.users ?? {})) gateway.addUser(name, role)
  await gateway.start()
  return gateway
}
