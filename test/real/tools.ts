import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

const children = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL')
})

/**
 * A child that does not outlive us: killed when this process ends, and by the kernel (through `setpriv`, where there is one)
 * when this process is killed.
 */
export function startChild(command: string, args: readonly string[], options: SpawnOptions = {}): ChildProcess {
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', command, ...args], options)
  children.add(child)
  child.on('exit', () => children.delete(child))
  child.on('error', () => children.delete(child))
  return child
}

/** Ends a child and waits until it is gone. */
export async function endChild(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise((resolve) => child.once('exit', resolve))
  child.kill(signal)
  const impatient = setTimeout(() => child.kill('SIGKILL'), 5_000)
  await gone
  clearTimeout(impatient)
}

export interface Finished {
  /** Null when it had to be killed. */
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program to its end; it is killed after the timeout (milliseconds). What is no text comes as latin1, a character a byte. */
export function run(
  command: string,
  args: readonly string[],
  options: {
    timeout?: number
    input?: string
    env?: NodeJS.ProcessEnv
    cwd?: string
    encoding?: 'utf8' | 'latin1'
  } = {},
): Promise<Finished> {
  const { timeout = 20_000, input = '', env = process.env, cwd, encoding = 'utf8' } = options
  return new Promise((resolve, reject) => {
    const child = startChild(command, args, { env, stdio: 'pipe', ...(cwd !== undefined && { cwd }) })
    let stdout = ''
    let stderr = ''
    const impatient = setTimeout(() => child.kill('SIGKILL'), timeout)
    child.stdout?.setEncoding(encoding).on('data', (text) => (stdout += text))
    child.stderr?.setEncoding('utf8').on('data', (text) => (stderr += text))
    child.on('error', reject)
    child.on('close', (status) => {
      clearTimeout(impatient)
      resolve({ status, stdout, stderr })
    })
    child.stdin?.on('error', () => {}) // it may not want to read
    child.stdin?.end(input)
  })
}

/** Runs a Python program with Debian's Python, where Mopidy and python3-mpd live. */
export const python = (program: string, options?: Parameters<typeof run>[2]) =>
  run('/usr/bin/python3', ['-c', program], options)

/** A loopback port that nobody listens on now. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
}

/** Asks again until there is an answer. @throws what was wrong at last, after the deadline (milliseconds) */
export async function until<T>(ask: () => Promise<T | undefined> | T | undefined, deadline = 15_000): Promise<T> {
  const end = Date.now() + deadline
  for (;;) {
    let problem: unknown = new Error('it did not come about in time')
    try {
      const found = await ask()
      if (found !== undefined && found !== false) return found
    } catch (error) {
      problem = error
    }
    if (Date.now() > end) throw problem
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** What a server says first on a TCP connection. */
export function greeting(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    socket.setTimeout(2_000, () => socket.destroy(new Error('no greeting')))
    socket.once('data', (chunk) => {
      resolve(chunk.toString())
      socket.destroy()
    })
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('closed without a greeting')))
  })
}

export interface Tap {
  readonly port: number
  /** Everything that went to the target since the last clear, of all connections in order of arrival. */
  bytes(): Buffer
  clear(): void
  close(): Promise<void>
}

/** Stands between the gateway and a player, passes everything on, and keeps what went to the player. */
export function startTap(targetHost: string, targetPort: number): Promise<Tap> {
  let seen: Buffer[] = []
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect(targetPort, targetHost)
    near.on('data', (chunk: Buffer) => seen.push(chunk))
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket)
      socket.on('error', () => other.destroy())
      socket.on('close', () => {
        sockets.delete(socket)
        other.destroy()
      })
      socket.pipe(other)
    }
  })
  return new Promise((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', () =>
      resolve({
        port: (server.address() as AddressInfo).port,
        bytes: () => Buffer.concat(seen),
        clear() {
          seen = []
        },
        close: () =>
          new Promise((done) => {
            server.close(() => done())
            for (const socket of sockets) socket.destroy()
          }),
      }),
    )
  })
}

export interface Tunnel {
  readonly port: number
  close(): Promise<void>
}

/** A plain loopback port in front of a TLS one, by socat, for clients that speak no TLS. `ca` is a PEM file. */
export async function startTunnel(to: { host: string; port: number; ca: string }): Promise<Tunnel> {
  const port = await freePort()
  const target = `OPENSSL:${to.host}:${to.port},cafile=${to.ca},verify=1`
  const child = startChild('socat', [`TCP-LISTEN:${port},bind=127.0.0.1,fork,reuseaddr`, target], { stdio: 'ignore' })
  await until(() => listening(port))
  return { port, close: () => endChild(child) }
}

function listening(port: number): Promise<true> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    }).on('error', reject)
  })
}
