import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'

/** A player under the test's thumb: it keeps every line it was sent and answers what it is told to. */
export interface FakeMpd {
  readonly host: string
  readonly port: number
  /** Every line of the clients, in the order they came. What the gateway asks for itself is not among them. */
  readonly lines: readonly string[]
  /** Connections that are open, without the gateway's own. */
  readonly open: number
  /** Connections that ever asked something, without the gateway's own. */
  readonly asked: number
  /** How many connections waited for a greeting at the same time, at most. */
  readonly mostGreeting: number
  greeting: string | undefined
  greetAfter: number
  /** The whole answer to a command outside of a list; undefined to stay silent. */
  answer: (line: string, socket: Socket) => string | Uint8Array | undefined
  /** Ends every idle of a client with a change. */
  change(subsystem: string): void
  until(condition: () => boolean): Promise<void>
  kill(): void
  close(): Promise<void>
  reopen(): Promise<void>
}

const offers = ['status', 'idle', 'add', 'setvol', 'tagtypes', 'clear', 'ping', 'close', 'commands', 'kill'] as const

export async function startFakeMpd(): Promise<FakeMpd> {
  const lines: string[] = []
  const sockets = new Map<Socket, { own: boolean; idle: boolean; list?: { ok: boolean; count: number } }>()
  const waiters = new Set<() => void>()
  let asked = 0
  let greeting = 0
  const tell = () => {
    for (const waiter of waiters) waiter()
  }
  const server = createServer((socket) => {
    const about: { own: boolean; idle: boolean; list?: { ok: boolean; count: number } } = { own: false, idle: false }
    let first = true
    let text = ''
    sockets.set(socket, about)
    player.mostGreeting = Math.max(player.mostGreeting, ++greeting)
    setTimeout(() => {
      greeting--
      if (player.greeting !== undefined) socket.write(player.greeting)
    }, player.greetAfter)
    socket.on('error', () => {})
    socket.on('close', () => {
      sockets.delete(socket)
      tell()
    })
    socket.on('data', (chunk) => {
      text += chunk.toString()
      for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
        const line = text.slice(0, end)
        text = text.slice(end + 1)
        if (first) about.own = line === 'commands'
        if (first && !about.own) asked++
        first = false
        if (!about.own) lines.push(line)
        hear(line, socket, about)
      }
      tell()
    })
  })

  function hear(
    line: string,
    socket: Socket,
    about: { own: boolean; idle: boolean; list?: { ok: boolean; count: number } },
  ) {
    if (about.own && line === 'idle') {
      about.idle = true
    } else if (about.own) {
      if (line === 'commands') socket.write(`${offers.map((name) => `command: ${name}\n`).join('')}OK\n`)
      if (line === 'notcommands') socket.write('command: config\nOK\n')
    } else if (/^command_list_(ok_)?begin$/.test(line)) {
      about.list = { ok: line.includes('_ok_'), count: 0 }
    } else if (line === 'command_list_end' && about.list) {
      const { ok, count } = about.list
      delete about.list
      const given = player.answer(line, socket)
      if (given !== undefined) socket.write(given === 'OK\n' && ok ? `${'list_OK\n'.repeat(count)}OK\n` : given)
    } else if (about.list) {
      about.list.count++
    } else if (/^idle\b/.test(line)) {
      about.idle = true
    } else if (line === 'noidle') {
      if (about.idle) socket.write('OK\n')
      about.idle = false
    } else {
      const given = player.answer(line, socket)
      if (given !== undefined) socket.write(given)
    }
  }

  const player = {
    host: '127.0.0.1',
    port: 0,
    lines,
    get open() {
      return [...sockets.values()].filter(({ own }) => !own).length
    },
    get asked() {
      return asked
    },
    mostGreeting: 0,
    greeting: 'OK MPD 0.19.0\n' as string | undefined,
    greetAfter: 0,
    answer: ((line) => (line === 'status' ? 'volume: 50\nstate: stop\nOK\n' : 'OK\n')) as FakeMpd['answer'],
    change(subsystem: string) {
      for (const [socket, about] of sockets) {
        if (!about.idle) continue
        about.idle = false
        socket.write(`changed: ${subsystem}\nOK\n`)
      }
    },
    async until(condition: () => boolean) {
      while (!condition()) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, 20)
          waiters.add(() => {
            clearTimeout(timer)
            resolve()
          })
        })
        waiters.clear()
      }
    },
    kill() {
      for (const socket of sockets.keys()) socket.resetAndDestroy()
    },
    async close() {
      player.kill()
      if (server.listening) await new Promise((resolve) => server.close(resolve))
    },
    async reopen() {
      server.listen(player.port, player.host)
      await once(server, 'listening')
    },
  }
  await player.reopen()
  player.port = (server.address() as AddressInfo).port
  return player
}
