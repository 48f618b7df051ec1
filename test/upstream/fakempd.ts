import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'

// The gateway shares few connections among all clients. Its watch (which asks `commands` first, then idles on everything)
// is not counted and not listed. All other lines are: the clients' commands, and what the gateway puts before them on the
// same connection, such as `tagtypes "all"`, or the `idle "message"` in which a connection with subscriptions rests.

/** A player under the test's thumb: it keeps every line it was sent and answers what it is told to. */
export interface FakeMpd {
  readonly host: string
  readonly port: number
  /** Every line, in the order they came, without those of the gateway's watch. */
  readonly lines: readonly string[]
  /** Connections that are open, without the gateway's watch. */
  readonly open: number
  /** Every connection that ever came, the watch's and the refused included. */
  readonly came: number
  /** How many were open at the same time, at most, with the watch. */
  readonly mostOpen: number
  /** Connections that ever asked something, without the gateway's watch. */
  readonly asked: number
  /** How many connections waited for a greeting at the same time, at most. */
  readonly mostGreeting: number
  greeting: string | undefined
  greetAfter: number
  /** As Mopidy: what comes beyond so many is hung up on without a greeting. */
  takes: number
  /** Whether it can idle; otherwise it refuses to. */
  idles: boolean
  /** The whole answer to a command outside of a list; undefined to stay silent. A list is asked for by its end. */
  answer: (line: string, socket: Socket) => string | Uint8Array | undefined
  /** What was set on this connection, and not taken back. */
  settingsOf(socket: Socket): string
  /** The commands of the list that has just ended. */
  readonly list: readonly string[]
  /** Ends every idle that waits for this subsystem, the watch's included. As `message` only where it is named, unless lying. */
  change(subsystem: string, isLie?: boolean): void
  /** Ends every idle of clients for nothing. */
  wake(): void
  until(condition: () => boolean): Promise<void>
  /** Breaks all connections; or those of clients alone. */
  kill(which?: 'all' | 'clients'): void
  close(): Promise<void>
  reopen(): Promise<void>
}

const offers = ['status', 'idle', 'add', 'setvol', 'tagtypes', 'clear', 'ping', 'close', 'commands', 'kill'] as const
const aspects: readonly string[] = ['tagtypes', 'binarylimit', 'protocol', 'stringnormalization']
const resets: readonly string[] = ['tagtypes all', 'binarylimit 8192', 'protocol clear', 'stringnormalization clear']

interface Wire {
  own: boolean
  /** What it idles on; empty for everything. */
  idle?: readonly string[]
  list?: { ok: boolean; commands: string[] }
  readonly settings: Map<string, string[]>
}

export async function startFakeMpd(): Promise<FakeMpd> {
  const lines: string[] = []
  const wires = new Map<Socket, Wire>()
  const waiters = new Set<() => void>()
  let asked = 0
  let greeting = 0
  const tell = () => {
    for (const waiter of waiters) waiter()
  }
  const server = createServer((socket) => {
    const wire: Wire = { own: false, settings: new Map() }
    let first = true
    let text = ''
    socket.on('error', () => {})
    player.came++
    if (wires.size >= player.takes) return void socket.end()
    wires.set(socket, wire)
    player.mostOpen = Math.max(player.mostOpen, wires.size)
    player.mostGreeting = Math.max(player.mostGreeting, ++greeting)
    setTimeout(() => {
      greeting--
      if (player.greeting !== undefined) socket.write(player.greeting)
    }, player.greetAfter)
    socket.on('close', () => {
      wires.delete(socket)
      tell()
    })
    socket.on('data', (chunk) => {
      text += chunk.toString()
      for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
        const line = text.slice(0, end)
        text = text.slice(end + 1)
        // Whether the line is in step, asked before what counts: no player knows such a command.
        if (/^sd_[0-9a-f]{16}$/.test(line) && !wire.idle && !wire.list) {
          socket.write(`ACK [5@0] {} unknown command "${line}"\n`)
          continue
        }
        if (first) wire.own = line === 'commands'
        if (first && !wire.own) asked++
        first = false
        if (!wire.own) lines.push(line)
        hear(line, socket, wire)
      }
      tell()
    })
  })

  function hear(line: string, socket: Socket, wire: Wire) {
    if (line === 'noidle') {
      if (wire.idle) socket.write('OK\n')
      delete wire.idle
    } else if (wire.idle) {
      socket.destroy() // As both players do.
    } else if (/^idle\b/.test(line) && !wire.list && !player.idles) {
      socket.write('ACK [5@0] {} unknown command "idle"\n')
    } else if (/^idle\b/.test(line) && !wire.list) {
      wire.idle = [...line.matchAll(/"(\w+)"/g)].map(([, name = '']) => name)
    } else if (wire.own) {
      if (line === 'commands') socket.write(`${offers.map((name) => `command: ${name}\n`).join('')}OK\n`)
      if (line === 'notcommands') socket.write('command: config\nOK\n')
    } else if (/^command_list_(ok_)?begin$/.test(line)) {
      wire.list = { ok: line.includes('_ok_'), commands: [] }
    } else if (line === 'command_list_end' && wire.list) {
      const { ok, commands } = wire.list
      delete wire.list
      player.list = commands
      for (const command of commands) keep(command, wire)
      const given = player.answer(line, socket)
      if (given !== undefined) {
        socket.write(given === 'OK\n' && ok ? `${'list_OK\n'.repeat(commands.length)}OK\n` : given)
      }
    } else if (wire.list) {
      wire.list.commands.push(line)
    } else {
      keep(line, wire)
      const given = player.answer(line, socket)
      if (given !== undefined) socket.write(given)
    }
  }

  /** Keeps a setting, as the real ones do: what it was at the greeting is no setting. */
  function keep(line: string, { settings }: Wire): void {
    const bare = line.replaceAll('"', '')
    const [aspect = '', how] = bare.split(' ')
    if (!aspects.includes(aspect) || how === undefined) return
    const isWhole = aspect === 'binarylimit' || how === 'all' || how === 'clear'
    const kept = isWhole ? [] : (settings.get(aspect) ?? []).filter((one) => one !== bare)
    if (!resets.includes(bare)) kept.push(bare)
    settings.set(aspect, kept)
  }

  const player = {
    host: '127.0.0.1',
    port: 0,
    lines,
    list: [] as readonly string[],
    get open() {
      return [...wires.values()].filter(({ own }) => !own).length
    },
    came: 0,
    mostOpen: 0,
    get asked() {
      return asked
    },
    mostGreeting: 0,
    greeting: 'OK MPD 0.19.0\n' as string | undefined,
    greetAfter: 0,
    takes: Number.POSITIVE_INFINITY,
    idles: true,
    answer: ((line) => (line === 'status' ? 'volume: 50\nstate: stop\nOK\n' : 'OK\n')) as FakeMpd['answer'],
    settingsOf(socket: Socket) {
      const settings = wires.get(socket)?.settings
      return aspects.flatMap((aspect) => settings?.get(aspect) ?? []).join(', ')
    },
    wake() {
      for (const [socket, wire] of wires) {
        if (wire.own || !wire.idle) continue
        delete wire.idle
        socket.write('OK\n')
      }
    },
    change(subsystem: string, isLie = false) {
      for (const [socket, wire] of wires) {
        const waits = wire.idle?.length === 0 ? isLie || subsystem !== 'message' : wire.idle?.includes(subsystem)
        if (!waits) continue
        delete wire.idle
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
    kill(which: 'all' | 'clients' = 'all') {
      for (const [socket, { own }] of wires) if (which === 'all' || !own) socket.resetAndDestroy()
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
