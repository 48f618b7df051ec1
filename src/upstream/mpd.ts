import { connect, type Socket } from 'node:net'
import type { Call } from '../call/call.ts'
import { Fault } from '../call/fault.ts'
import { isPermit, type Permit } from '../policy/decide.ts'
import { encode } from '../protocol/mpd/decode.ts'
import { createReply, type Reply } from '../protocol/mpd/reply.ts'
import { createLane, type Lane, type LaneEntry } from './lane.ts'
import type { MpdConnection, MpdPlayer } from './player.ts'

const defaults = {
  /**
   * Open at once in all; of these the last `reserved` are for those who administer. Mopidy has 20: these 16, one that we
   * watch it by, and three for whoever else is on that machine.
   */
  connections: 16,
  reserved: 2,
  connectionsEach: 4,
  /** One attempt to connect and be greeted, and all of them together, waiting included. */
  greetingMs: 2_000,
  openMs: 6_000,
  /** From `send` to the end of the answer, waiting included; the clock stands still while the client is slow to read. */
  answerMs: 10_000,
  costlyMs: 30_000,
  answerBytes: 32 * 1024 * 1024,
  /** Costly ones at the player at once; of those who wait, all and each person's. */
  costly: 2,
  costlyWaiting: 16,
  costlyEach: 4,
  retryFirstMs: 100,
  retryMostMs: 1_000,
}
export type MpdLimits = Readonly<typeof defaults>

export interface MpdOptions {
  readonly host: string
  readonly port: number
  readonly log?: { warn(about: object, text: string): void; info(about: object, text: string): void }
  readonly limits?: Partial<MpdLimits>
}

/**
 * One player that speaks MPD.
 *
 * A connection of our own rests in an idle: it tells at once when the player comes and goes, and what it can do.
 */
export function createMpd({ host, port, log, limits: given }: MpdOptions): MpdPlayer {
  const limits = { ...defaults, ...given }
  const lines = new Set<Line>()
  const places = new Map<string, number>()
  let taken = 0
  let closed = false
  let watch: Line | undefined
  let retry: NodeJS.Timeout | undefined
  let failures = 0
  let version: string | undefined
  let offers: ReadonlySet<string> | undefined

  /** Mopidy listens with a backlog of one: of connects at the same time it loses some. */
  const doorway = createTurns(1, 64, 8)
  const costly = createTurns(limits.costly, limits.costlyWaiting, limits.costlyEach)

  /** @throws Fault */
  async function dial(person: string): Promise<Line> {
    const until = performance.now() + limits.openMs
    const leave = await takeTurn(doorway, person, limits.openMs, () => () => {})
    try {
      return await greeted(until)
    } finally {
      leave()
    }
  }

  async function greeted(until: number): Promise<Line> {
    for (;;) {
      try {
        const greeting = await greet(host, port, Math.min(limits.greetingMs, Math.max(until - performance.now(), 1)))
        if (closed) greeting.socket.destroy()
        version = greeting.version
        const line = createLine(greeting.socket, limits.answerBytes, () => lines.delete(line))
        lines.add(line)
        return line
      } catch (error) {
        // A lost SYN or a greeting that never comes: Mopidy's accept queue overflowed, and the next attempt may do.
        const fault = Fault.from(error)
        if (fault.code !== 'player-timeout' || performance.now() >= until || closed) throw fault
      }
    }
  }

  /** Keeps `up`, the version and the list of commands true. */
  async function watchOver(): Promise<void> {
    retry = undefined
    let line: Line | undefined
    try {
      line = await dial('')
      offers = await learn(line, limits.answerMs)
      watch = line
      if (failures > 0) log?.info({ host, port }, 'player answers again')
      failures = 0
      // Nobody sees what this idle says; it is there to end when the player does.
      while ((await line.ask('idle "sticker"\n', {}, () => {})) > 0);
      await new Promise(line.onEnd)
    } catch (error) {
      line?.drop(Fault.from(error))
      if (failures === 0 && !closed)
        log?.warn({ host, port, error: Fault.from(error).message }, 'player does not answer')
    }
    watch = undefined
    if (closed) return
    retry = setTimeout(watchOver, Math.min(limits.retryFirstMs * 2 ** failures, limits.retryMostMs))
    failures++
  }

  function takePlace({ id, reserve }: Parameters<MpdPlayer['open']>[0]): () => void {
    const mine = places.get(id) ?? 0
    if (mine >= limits.connectionsEach) {
      throw new Fault('limited', `only ${limits.connectionsEach} connections to a player for each person`)
    }
    if (taken >= limits.connections - (reserve ? 0 : limits.reserved)) {
      throw new Fault('limited', 'the player has no free connection', { retryAfter: 60 })
    }
    taken++
    places.set(id, mine + 1)
    return () => {
      taken--
      const left = (places.get(id) ?? 1) - 1
      if (left > 0) places.set(id, left)
      else places.delete(id)
    }
  }

  function connection(line: Line, person: string): MpdConnection {
    let busy = false
    return {
      async send(permits, framing, out) {
        if (permits.length === 0 || !permits.every(isPermit)) throw new Fault('internal', 'only a permit can be sent')
        if (busy) throw new Fault('internal', 'one command at a time')
        if (!line.alive) throw gone()
        const text = write(permits, framing)
        const isCostly = permits.some(({ call }) => call.operation.bounds.costly === true)
        busy = true
        try {
          const leave = isCostly ? await takeTurn(costly, person, limits.costlyMs, line.onEnd) : undefined
          const ms = isCostly || permits.length > 1 ? limits.costlyMs : limits.answerMs
          const items = framing === 'ok-list' ? { items: permits.length } : {}
          try {
            return await line.ask(text, { ...items, ...(!isIdle(permits[0]?.call) && { ms }) }, out)
          } finally {
            leave?.()
          }
        } finally {
          busy = false
        }
      },
      noidle() {
        // Both players ignore a noidle that comes too late, so there is one answer either way.
        if (busy) line.write('noidle\n')
      },
      get alive() {
        return line.alive
      },
      close: () => line.drop(gone()),
    }
  }

  void watchOver()

  return {
    async open(person) {
      const leave = takePlace(person)
      try {
        const line = await dial(person.id)
        line.onEnd(leave)
        if (retry) {
          clearTimeout(retry)
          void watchOver()
        }
        return connection(line, person.id)
      } catch (error) {
        leave()
        throw Fault.from(error)
      }
    },
    get up() {
      return watch?.alive === true
    },
    get version() {
      return version
    },
    get offers() {
      return offers
    },
    async close() {
      closed = true
      clearTimeout(retry)
      for (const line of lines) line.drop(gone())
    },
  }
}

interface Turn extends LaneEntry {
  start(): void
}

function createTurns(running: number, waiting: number, waitingEach: number): Lane<Turn> {
  const lane = createLane<Turn>({ running, costly: running, waiting, waitingEach, costlyEach: waitingEach }, (turn) =>
    turn.start(),
  )
  lane.open()
  return lane
}

/**
 * Waits for a turn, at most `ms` and not longer than what `onEnd` watches lives; resolves to the way to give it back.
 *
 * @throws Fault
 */
function takeTurn(lane: Lane<Turn>, person: string, ms: number, onEnd: Line['onEnd']): Promise<() => void> {
  return new Promise((resolve, reject) => {
    const giveUp = (fault: Fault) => {
      settle()
      lane.withdraw(turn)
      reject(fault)
    }
    const late = setTimeout(() => giveUp(new Fault('player-timeout', 'the player is busy')), ms)
    const forget = onEnd(giveUp)
    const settle = () => {
      clearTimeout(late)
      forget()
    }
    const turn: Turn = {
      person,
      costly: false,
      changes: false,
      start() {
        settle()
        resolve(() => lane.leave(turn))
      },
    }
    if (lane.enter(turn)) return
    settle()
    reject(new Fault('limited', 'too many are waiting for the player', { retryAfter: 1 }))
  })
}

const gone = () => new Fault('player-unreachable', 'the connection to the player broke', { retryAfter: 1 })

function isIdle(call: Call | undefined): boolean {
  return call?.operation.name === 'idle'
}

function write(permits: readonly Permit[], framing: Parameters<MpdConnection['send']>[1]): string {
  if (permits.some(({ call }) => call.operation.protocol !== 'mpd')) throw new Fault('internal', 'not a command of MPD')
  const text = permits.map(({ call }) => encode(call)).join('')
  if (framing === 'single') return text
  return `command_list${framing === 'list' ? '' : '_ok'}_begin\n${text}command_list_end\n`
}

/** What the player knows, permitted to us or not; undefined when it does not say. */
async function learn(line: Line, ms: number): Promise<ReadonlySet<string> | undefined> {
  const names = new Set<string>()
  for (const question of ['commands\n', 'notcommands\n']) {
    let answer = ''
    await line.ask(question, { ms }, (bytes) => {
      answer += Buffer.from(bytes).toString()
    })
    for (const [, name = ''] of answer.matchAll(/^command: ([a-z_]{1,40})$/gm)) names.add(name)
  }
  return names.size > 0 ? names : undefined
}

/** Connects and waits for the greeting. @throws Fault */
function greet(host: string, port: number, ms: number): Promise<{ socket: Socket; version: string }> {
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
interface Line {
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

function createLine(socket: Socket, bytes: number, forget: () => void): Line {
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
