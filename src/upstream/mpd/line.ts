import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { Fault } from '../../call/fault.ts'
import { createReply, type Reply, type ReplyLimits } from '../../protocol/mpd/reply.ts'
import { type Tuning, untuned } from './tuning.ts'

export const gone = () => new Fault('player-unreachable', 'the connection to the player broke', { retryAfter: 1 })

/** Connects and waits for the greeting. @throws Fault */
export function greet(host: string, port: number, ms: number): Promise<{ socket: Socket; version: string }> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: 15_000 })
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

/** Who asks something and hears the answer: pieces of it, then either `done` or `fail`, once. */
export interface Asker {
  /** A promise holds back what comes after until it is kept. */
  out(bytes: Uint8Array): void | Promise<void>
  /** The line stands still because of such a promise; goes on after it. */
  held?(): void
  resumed?(): void
  /**
   * The answer is whole.
   *
   * @param count the commands before the one that the player refused; infinity when it refused none
   * @param held what the last `out` returned: the line does not wait for it
   */
  done(count: number, held?: Promise<void>): void
  fail(fault: Fault): void
}

/** What the answer to one command or list may be. */
export type Frame = Omit<ReplyLimits, 'bytes'> & {
  readonly pieces: number
  /** Holds text that media, files or people brought: it may look like the end of an answer. */
  readonly tells?: boolean
}

export const plain: Frame = { pieces: 0 }

/** A greeted connection that asks one thing at a time. What is said unasked, or is no legal answer, ends it. */
export interface Line {
  /** @param frame what the answer may be; one without binary pieces when left out */
  ask(text: string, asker: Asker, frame?: Frame): void
  /** Makes sure that nothing of the last answer is still to come: a line that is not in step ends, and never calls back. */
  check(done: () => void): void
  write(text: string): void
  readonly alive: boolean
  /** Whether what was answered last may not have been all of it. */
  readonly doubtful: boolean
  /** Whether any of the answer to the latest question has come. */
  readonly heard: boolean
  /** What is in force on it, for whoever asks next. */
  tuning: Tuning
  /** The subscriptions made on it, as they were sent. */
  channels: string
  /** When it was last given back. */
  usedAt: number
  drop(fault: Fault): void
  /** Calls back once when it has ended. */
  onEnd(listener: () => void): void
}

/** @param bytes the longest answer */
export function createLine(socket: Socket, bytes: number): Line {
  const listeners: (() => void)[] = []
  let alive = !socket.destroyed
  let heard = false
  let asked: Asker | undefined
  let reply: Reply | undefined
  let doubtful = false
  let fence: Fence | undefined

  function drop(fault: Fault): void {
    if (!alive) return
    alive = false
    socket.destroy()
    const asker = asked
    asked = undefined
    for (const listener of listeners) listener()
    asker?.fail(fault)
  }

  function hear(chunk: Buffer) {
    try {
      if (fence) return pass(fence, chunk)
      // An answer nobody waits for would be taken for the next one's.
      if (!asked || !reply) throw gone()
      heard = true
      const { out, done } = reply.push(chunk)
      // What went wrong with a song is told with its name, even among numbers. These are whole lines, as chunks need not be.
      doubtful ||= out.some((piece) => Buffer.from(piece.buffer, piece.byteOffset, piece.length).includes('error: '))
      hand(asked, out, 0, done)
    } catch (error) {
      drop(Fault.from(error))
    }
  }

  function hand(asker: Asker, pieces: readonly Uint8Array[], from: number, done: boolean) {
    const last = pieces.length - 1
    for (let i = from; i <= last; i++) {
      const piece = pieces[i]
      const held = piece && asker.out(piece)
      // It may have ended meanwhile, by the asker's own doing.
      if (asked !== asker) return
      if (done && i === last) {
        asked = undefined
        return asker.done(countOf(piece), held || undefined)
      }
      if (held) return void hold(held, asker, pieces, i + 1, done)
    }
  }

  function pass(through: Fence, chunk: Uint8Array): void {
    if (!through.push(chunk)) return
    fence = undefined
    doubtful = false
    through.done()
  }

  async function hold(held: Promise<void>, asker: Asker, ...rest: [readonly Uint8Array[], number, boolean]) {
    try {
      socket.pause()
      asker.held?.()
      await held
      if (asked !== asker) return
      asker.resumed?.()
      socket.resume()
      hand(asker, ...rest)
    } catch (error) {
      drop(Fault.from(error))
    }
  }

  const end = () => drop(gone())
  socket.on('data', hear)
  socket.on('error', end)
  socket.on('end', end)
  socket.on('close', end)
  socket.resume()

  return {
    ask(text, asker, frame = plain) {
      if (!alive) return asker.fail(gone())
      if (asked || fence) throw new Fault('internal', 'one question at a time')
      heard = false
      reply = createReply({ bytes, ...frame })
      asked = asker
      doubtful = frame.tells === true
      socket.write(text)
    },
    check(done) {
      if (!alive) return
      if (asked || fence) throw new Fault('internal', 'one question at a time')
      fence = createFence(done)
      socket.write(fence.question)
    },
    write(text) {
      if (alive) socket.write(text)
    },
    get alive() {
      return alive
    },
    get doubtful() {
      return doubtful
    },
    get heard() {
      return heard
    },
    tuning: untuned,
    channels: '',
    usedAt: 0,
    drop,
    onEnd: (listener) => void listeners.push(listener),
  }
}

/**
 * Text of media may look like the end of an answer, and its real rest then comes when somebody else has the line. So
 * a command that no player knows is asked, whose name nobody can guess: once the player says that it does not know just
 * this one, it has said all it had to say.
 */
interface Fence {
  readonly question: string
  /** Whether it was answered. @throws Fault when something else came */
  push(chunk: Uint8Array): boolean
  done(): void
}

function createFence(done: () => void): Fence {
  const name = `sd_${randomBytes(8).toString('hex')}`
  let text = ''

  return {
    question: `${name}\n`,
    done,
    push(chunk) {
      text += Buffer.from(chunk).toString('latin1')
      const end = text.indexOf('\n')
      const isIt = text.startsWith('ACK [5@0] ') && text.includes(name)
      if (text.length > 200 || (end >= 0 && !(isIt && end === text.length - 1))) throw gone()
      return end >= 0
    },
  }
}

/** How many commands came before the one that failed; all of them when none did. An error is a piece of its own. */
function countOf(last: Uint8Array | undefined): number {
  if (last?.[0] !== 0x41 || last[1] !== 0x43 || last[2] !== 0x4b) return Number.POSITIVE_INFINITY
  const failed = /^ACK \[\d{1,4}@(\d{1,4})\] /.exec(Buffer.from(last.subarray(0, 40)).toString('latin1'))?.[1]
  return failed === undefined ? Number.POSITIVE_INFINITY : Number(failed)
}

/** The whole of a short answer, for questions of the gateway's own. @throws Fault */
export function askAll(line: Line, text: string, most: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = ''
    line.ask(text, {
      out(bytes) {
        answer += Buffer.from(bytes).toString()
        if (answer.length > most) throw new Fault('player-unreachable', 'the player sent more than it was asked for')
      },
      done: () => resolve(answer),
      fail: reject,
    })
  })
}
