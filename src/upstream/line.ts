import { connect, type Socket } from 'node:net'
import { Fault } from '../call/fault.ts'
import { createReply, type Reply } from '../protocol/mpd/reply.ts'

export const gone = () => new Fault('player-unreachable', 'the connection to the player broke', { retryAfter: 1 })

/** Connects and waits for the greeting. @throws Fault */
export function greet(host: string, port: number, ms: number): Promise<{ socket: Socket; version: string }> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true })
    let heard = ''
    const settle = () => {
      clearTimeout(timer)
      socket.removeAllListeners()
      socket.on('error', () => {})
    }
    const fail = (fault: Fault) => {
      settle()
      socket.destroy()
      reject(fault)
    }
    const timer = setTimeout(() => fail(new Fault('player-timeout', 'the player did not greet in time')), ms)
    socket.on('error', (cause) => fail(new Fault('player-unreachable', 'the player cannot be reached', { cause })))
    // Mopidy does this when all its connections are taken.
    socket.on('close', () => fail(new Fault('player-unreachable', 'the player takes no more connections')))
    socket.on('data', (chunk: Buffer) => {
      heard += chunk.toString('latin1')
      const version = /^OK MPD (\d{1,4}\.\d{1,4}\.\d{1,4})\n$/.exec(heard)?.[1]
      if (version !== undefined) {
        settle()
        socket.pause()
        resolve({ socket, version })
      } else if (heard.includes('\n') || heard.length > 100) {
        fail(new Fault('player-unreachable', 'what answers there is no MPD'))
      }
    })
  })
}

/** A greeted connection that asks one thing at a time. What is said unasked, or is no legal answer, ends it. */
export interface Line {
  /**
   * Resolves when the whole answer was handed on, to the number of commands that were carried out. Without `ms` it
   * waits forever.
   *
   * @throws Fault
   */
  ask(
    text: string,
    frame: { readonly items?: number; readonly ms?: number },
    out: (bytes: Uint8Array) => void | Promise<void>,
  ): Promise<number>
  write(text: string): void
  readonly alive: boolean
  drop(fault: Fault): void
  /** Calls back once when it has ended; returns the way to forget about it. */
  onEnd(listener: (fault: Fault) => void): () => void
}

interface Question {
  readonly reply: Reply
  /** Starts the clock, or starts it anew. */
  wind(): void
  out(bytes: Uint8Array): void | Promise<void>
  resolve(done: number): void
  reject(fault: Fault): void
  timer?: NodeJS.Timeout | undefined
  last: Uint8Array
}

export function createLine(socket: Socket, bytes: number, forget: () => void): Line {
  const listeners = new Set<(fault: Fault) => void>()
  let alive = !socket.destroyed
  let question: Question | undefined

  function drop(fault: Fault): void {
    if (!alive) return
    alive = false
    socket.destroy()
    clearTimeout(question?.timer)
    question?.reject(fault)
    question = undefined
    forget()
    for (const listener of listeners) listener(fault)
  }

  async function hear(chunk: Uint8Array): Promise<void> {
    const asked = question
    // An answer nobody waits for would be taken for the next one's.
    if (asked === undefined) return drop(gone())
    const { out, done } = asked.reply.push(chunk)
    for (const piece of out) {
      const held = asked.out(piece)
      asked.last = piece
      if (held === undefined) continue
      clearTimeout(asked.timer)
      socket.pause()
      await held
      if (!alive) return
      asked.wind()
      socket.resume()
    }
    if (!done) return
    clearTimeout(asked.timer)
    question = undefined
    asked.resolve(doneOf(asked.last))
  }

  socket.on('data', (chunk: Buffer) => {
    hear(chunk).catch((error) => drop(Fault.from(error)))
  })
  socket.on('error', () => drop(gone()))
  socket.on('end', () => drop(gone()))
  socket.on('close', () => drop(gone()))
  socket.resume()

  return {
    ask: (text, { items, ms }, out) =>
      new Promise((resolve, reject) => {
        if (!alive) return reject(gone())
        const reply = createReply({ bytes, ...(items !== undefined && { items }) })
        const asked: Question = {
          reply,
          out,
          resolve,
          reject,
          last: new Uint8Array(),
          wind() {
            if (ms === undefined) return
            clearTimeout(asked.timer)
            asked.timer = setTimeout(() => drop(new Fault('player-timeout', 'the player did not answer in time')), ms)
          },
        }
        question = asked
        asked.wind()
        socket.write(text)
      }),
    write(text) {
      if (alive) socket.write(text)
    },
    get alive() {
      return alive
    },
    drop,
    onEnd(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}

/** How many commands came before the one that failed; all of them when none did. */
function doneOf(last: Uint8Array): number {
  const line = Buffer.from(last.subarray(-4096)).toString('latin1')
  const failed = /(?:^|\n)ACK \[\d{1,4}@(\d{1,4})\] [^\n]*\n$/.exec(line)?.[1]
  return failed === undefined ? Number.POSITIVE_INFINITY : Number(failed)
}
