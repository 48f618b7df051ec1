import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { Gateway } from './gateway.ts'
import { until } from './tools.ts'

/** A client of MPD's protocol that keeps every byte of an answer, those of pictures included. */
export interface Wire {
  readonly greeting: string
  /** Sends the text as it is and answers with the next whole answer. @throws after `patience` milliseconds without one */
  ask(text: string, patience?: number): Promise<string>
  send(text: string): void
  /** The next whole answer without sending anything; at the end of the connection what is left and a word that it ended. */
  hear(): Promise<string>
  /** Everything until the end of the connection. */
  rest(): Promise<string>
  readonly closed: boolean
  close(): void
}

export const ended = '<the connection ends>'
const patient = 10_000

/** The length of the answer at the start, to its OK or ACK; undefined while more must come. */
function wholeAnswer(bytes: Buffer): number | undefined {
  for (let at = 0; ; ) {
    const end = bytes.indexOf(0x0a, at)
    if (end < 0) return undefined
    const line = bytes.toString('latin1', at, end)
    at = end + 1
    if (line === 'OK' || line.startsWith('OK MPD ') || line.startsWith('ACK [')) return at
    const size = /^binary: (\d+)$/.exec(line)?.[1]
    if (size !== undefined) at += Number(size) + 1
    if (at > bytes.length) return undefined
  }
}

/** Bytes as text from which they can be told exactly: UTF-8, or else one character a byte. */
function exactly(bytes: Buffer): string {
  const text = bytes.toString()
  return Buffer.from(text).equals(bytes) ? text : `<bytes>${bytes.toString('latin1')}`
}

async function openWire(socket: Socket): Promise<Wire> {
  let bytes: Buffer = Buffer.alloc(0)
  let closed = false
  let wake = () => {}
  socket.on('data', (piece: Buffer) => {
    bytes = Buffer.concat([bytes, piece])
    wake()
  })
  socket.on('error', () => {})
  socket.on('close', () => {
    closed = true
    wake()
  })

  /** Waits until `enough` says how much to take. @throws when it takes too long */
  async function take(enough: () => number | undefined, patience = patient): Promise<string> {
    for (;;) {
      const length = enough() ?? (closed ? bytes.length : undefined)
      if (length !== undefined) {
        const whole = enough() !== undefined
        const text = exactly(bytes.subarray(0, length))
        bytes = bytes.subarray(length)
        return whole ? text : text + ended
      }
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      wake = resolve
      const impatient = setTimeout(() => reject(new Error(`no whole answer: ${exactly(bytes)}`)), patience)
      await promise.finally(() => clearTimeout(impatient))
    }
  }

  const hear = (patience?: number) => take(() => wholeAnswer(bytes), patience)
  return {
    greeting: await hear(),
    ask(text, patience) {
      socket.write(text)
      return hear(patience)
    },
    send: (text) => void socket.write(text),
    hear: () => hear(),
    rest: () => take(() => undefined),
    get closed() {
      return closed
    },
    close: () => socket.destroy(),
  }
}

/** To a player itself. */
export const openDirect = (port: number) => openWire(connect(port, '127.0.0.1'))

/** Through the gateway, signed in. */
export async function openThrough({ mpd, ca }: Pick<Gateway, 'mpd' | 'ca'>, token: string): Promise<Wire> {
  const wire = await openWire(connectTls({ host: '127.0.0.1', port: mpd, ca }))
  const answer = await wire.ask(`password ${token}\n`)
  if (answer !== 'OK\n') throw new Error(`password: ${answer}`)
  return wire
}

/** Something that is done at a player, in order. Who is not named is `one`; each client connects when it is first heard of. */
export type Step =
  /** A command or a list, and its answer. */
  | string
  | { readonly by: string; readonly ask: string }
  /** Several commands in one go, and their answers. */
  | { readonly by?: string; readonly pipelined: readonly string[] }
  | { readonly by: string; readonly send: string }
  | { readonly by: string; readonly hear: true }
  /** After which everything is read to the end of the connection; the next step of this client connects anew. */
  | { readonly by?: string; readonly last: string }
  /** Until the player's `status` says so: nothing of it is kept. */
  | { readonly until: RegExp }

/** What was heard. */
export interface Heard {
  readonly by: string
  readonly sent: string
  readonly answer: string
}

/** Plays the steps. `open` connects a client, `status` asks the player past the gateway. */
export async function play(
  steps: readonly Step[],
  { open, status }: { open: () => Promise<Wire>; status: () => Promise<string> },
): Promise<readonly Heard[]> {
  const heard: Heard[] = []
  const wires = new Map<string, Wire>()
  const pending = new Map<string, string>()
  async function wireOf(by: string): Promise<Wire> {
    const known = wires.get(by)
    if (known && !known.closed) return known
    const wire = await open()
    wires.set(by, wire)
    heard.push({ by, sent: '', answer: wire.greeting })
    return wire
  }

  for (const step of steps) {
    if (typeof step === 'object' && 'until' in step) {
      await until(async () => step.until.test(await status())).catch(async () => {
        throw new Error(`after ${heard.at(-1)?.sent}: not ${step.until}: ${await status()}`)
      })
      continue
    }
    const by = (typeof step === 'object' ? step.by : undefined) ?? 'one'
    const wire = await wireOf(by)
    const keep = (sent: string, answer: string) => heard.push({ by, sent, answer })
    try {
      if (typeof step === 'string') keep(step, await wire.ask(`${step}\n`))
      else if ('ask' in step) keep(step.ask, await wire.ask(`${step.ask}\n`))
      else if ('last' in step) {
        wire.send(`${step.last}\n`)
        keep(step.last, await wire.rest())
      } else if ('pipelined' in step) {
        wire.send(step.pipelined.map((line) => `${line}\n`).join(''))
        for (const line of step.pipelined) keep(line, await wire.hear())
      } else if ('send' in step) {
        pending.set(by, step.send)
        wire.send(`${step.send}\n`)
      } else keep(pending.get(by) ?? '', await wire.hear())
    } catch (error) {
      throw new Error(
        `at ${JSON.stringify(step)} after ${heard.at(-1)?.sent}: ${error instanceof Error ? error.message : error}`,
      )
    }
  }
  for (const wire of wires.values()) wire.close()
  return heard
}
