import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'

/** One connection of the gateway, with what an MPD keeps of each. */
export interface Wire {
  readonly socket: Socket
  /** Lines it was sent. */
  readonly lines: string[]
  /** The tags it shows; all when undefined. */
  tags: Set<string> | undefined
  limit: number
  readonly channels: Set<string>
  messages: string[]
  idle: readonly string[] | undefined
  readonly due: Set<string>
}

/** What was asked: one command, or the commands of a list. */
export interface Question {
  readonly lines: readonly string[]
  readonly framing: 'single' | 'list' | 'ok-list'
  readonly wire: Wire
  /** The honest answer; what it changes happens now. */
  honest(): Buffer
}

/** A player on strings: an honest MPD with all its connection's state, until it is told to play a trick. */
export interface Puppet {
  readonly address: string
  /** Every line it was sent, of all connections. */
  readonly heard: string[]
  readonly wires: ReadonlySet<Wire>
  /** Answers in the player's place; false where it leaves that to the player. */
  trick: ((question: Question) => boolean) | undefined
  /** What it says when somebody comes; undefined for nothing. */
  greeting: string | undefined
  volume: number
  /** A file of the queue, beside what `playlistfind` finds. */
  queue: readonly string[]
  change(...subsystems: readonly string[]): void
  /** Honest again, with no connection left. */
  reset(): void
  close(): Promise<void>
}

const names = 'add addid albumart binarylimit channels clear close commands currentsong delete find idle list'
const more =
  'lsinfo notcommands outputs pause ping play playlistfind playlistinfo protocol readmessages search sendmessage'
const most = 'setvol status stop stringnormalization subscribe tagtypes unsubscribe volume listplaylists kill config'
const offers = `${names} ${more} ${most}`.split(' ')

/** The one song that `playlistfind` finds, which says who asked for it. */
export function song(mark: string, tags?: ReadonlySet<string>): string {
  const shown = (name: string, value: string) => (!tags || tags.has(name) ? `${name}: ${value}\n` : '')
  return `file: local:track:${mark}\n${shown('Title', mark)}${shown('Artist', `by ${mark}`)}${shown('Genre', `of ${mark}`)}`
}

/** What `playlistfind title MARK` must bring, and nothing else. */
export const found = (mark: string) => `${song(mark)}OK\n`

/** A picture of 20,000 bytes that says whose it is. */
export const picture = (uri: string) => Buffer.alloc(20_000, `<${uri}>`)

class Ack extends Error {}

export async function startPuppet(): Promise<Puppet> {
  const wires = new Set<Wire>()
  const heard: string[] = []

  const server = createServer((socket) => {
    const wire: Wire = {
      socket,
      lines: [],
      tags: undefined,
      limit: 8192,
      channels: new Set(),
      messages: [],
      idle: undefined,
      due: new Set(),
    }
    let [text, list] = ['', undefined as { lines: string[]; ok: boolean } | undefined]
    wires.add(wire)
    socket.on('error', () => {})
    socket.on('close', () => wires.delete(wire))
    if (puppet.greeting !== undefined) socket.write(puppet.greeting)
    socket.on('data', (chunk: Buffer) => {
      const whole = (text + chunk.toString()).split('\n')
      text = whole.pop() ?? ''
      for (const line of whole) {
        heard.push(line)
        wire.lines.push(line)
        if (wire.idle) {
          if (line !== 'noidle') return void socket.destroy()
          wire.idle = undefined
          socket.write('OK\n')
        } else if (/^command_list_(ok_)?begin$/.test(line)) {
          list = { lines: [], ok: line.includes('_ok_') }
        } else if (line === 'command_list_end' && list) {
          answer(wire, list.lines, list.ok ? 'ok-list' : 'list')
          list = undefined
        } else if (list) {
          list.lines.push(line)
        } else if (line !== 'noidle') {
          answer(wire, [line], 'single')
        }
      }
    })
  })

  function answer(wire: Wire, lines: readonly string[], framing: Question['framing']): void {
    const honest = () => perform(wire, lines, framing)
    if (puppet.trick?.({ lines, framing, wire, honest })) return
    if (lines[0]?.startsWith('idle')) {
      wire.idle = words(lines[0]).slice(1)
      tell(wire)
    } else wire.socket.write(honest())
  }

  function perform(wire: Wire, lines: readonly string[], framing: Question['framing']): Buffer {
    const out: Buffer[] = []
    for (const [index, line] of lines.entries()) {
      const all = words(line)
      try {
        out.push(Buffer.from(run(wire, all)), Buffer.from(framing === 'ok-list' ? 'list_OK\n' : ''))
      } catch (error) {
        if (!(error instanceof Ack)) throw error
        out.push(Buffer.from(error.message.replace('@0]', `@${index}]`)))
        return Buffer.concat(out)
      }
    }
    return Buffer.concat([...out, Buffer.from('OK\n')])
  }

  function run(wire: Wire, [name = '', ...args]: readonly string[]): string | Buffer {
    const [first = '', second = ''] = args
    switch (name) {
      case 'commands':
        return offers.map((offer) => `command: ${offer}\n`).join('')
      case 'status':
        return `volume: ${puppet.volume}\nrepeat: 0\nstate: stop\n`
      case 'setvol':
        puppet.volume = Number(first)
        puppet.change('mixer')
        return ''
      case 'play':
        if (first === '99') throw new Ack('ACK [2@0] {play} Bad song index\n')
        return ''
      case 'playlistfind':
      case 'find':
        return song(args.at(-1) ?? '', wire.tags)
      case 'playlistinfo':
        return puppet.queue.map((uri) => `file: ${uri}\nTitle: ${uri}\n`).join('')
      case 'albumart': {
        const all = picture(first)
        const piece = all.subarray(Number(second), Number(second) + wire.limit)
        return Buffer.concat([Buffer.from(`size: ${all.length}\nbinary: ${piece.length}\n`), piece, Buffer.from('\n')])
      }
      case 'binarylimit':
        wire.limit = Number(first)
        return ''
      case 'tagtypes':
        return tagtypes(wire, args)
      case 'subscribe':
        wire.channels.add(first)
        puppet.change('subscription')
        return ''
      case 'unsubscribe':
        wire.channels.delete(first)
        return ''
      case 'channels':
        return [...new Set([...wires].flatMap((one) => [...one.channels]))].map((one) => `channel: ${one}\n`).join('')
      case 'sendmessage':
        for (const one of wires) {
          if (!one.channels.has(first)) continue
          one.messages.push(`channel: ${first}\nmessage: ${second}\n`)
          one.due.add('message')
          tell(one)
        }
        return ''
      case 'readmessages':
        return wire.messages.splice(0).join('')
      default:
        if (!offers.includes(name)) throw new Ack(`ACK [5@0] {} unknown command "${name}"\n`)
        return ''
    }
  }

  function tell(wire: Wire): void {
    const wanted = wire.idle
    const due = [...wire.due].filter((name) => wanted && (wanted.length === 0 || wanted.includes(name)))
    if (due.length === 0) return
    wire.due.clear()
    wire.idle = undefined
    wire.socket.write(`${due.map((name) => `changed: ${name}\n`).join('')}OK\n`)
  }

  const puppet: Puppet = {
    address: '',
    heard,
    wires,
    trick: undefined,
    greeting: 'OK MPD 0.24.0\n',
    volume: 50,
    queue: [],
    change(...subsystems) {
      for (const wire of wires) {
        for (const name of subsystems) wire.due.add(name)
        tell(wire)
      }
    },
    reset() {
      puppet.trick = undefined
      puppet.greeting = 'OK MPD 0.24.0\n'
      puppet.queue = []
      for (const { socket } of wires) socket.destroy()
    },
    async close() {
      puppet.reset()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return Object.assign(puppet, { address: `127.0.0.1:${(server.address() as AddressInfo).port}` })
}

function tagtypes(wire: Wire, [verb, ...given]: readonly string[]): string {
  const all = ['Artist', 'Title', 'Genre']
  const named = all.filter((tag) => given.some((one) => one.toLowerCase() === tag.toLowerCase()))
  const shown = wire.tags ?? new Set(all)
  if (verb === undefined) return [...shown].map((tag) => `tagtype: ${tag}\n`).join('')
  if (verb === 'all') wire.tags = undefined
  if (verb === 'clear') wire.tags = new Set()
  if (verb === 'enable') wire.tags = new Set([...shown, ...named])
  if (verb === 'disable') wire.tags = new Set([...shown].filter((tag) => !named.includes(tag)))
  return ''
}

/** The gateway quotes every argument, so this is all there is to it. */
function words(line: string): string[] {
  return [...line.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)].map(
    ([, quoted, bare]) => quoted?.replace(/\\(.)/g, '$1') ?? bare ?? '',
  )
}
