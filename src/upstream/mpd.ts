import type { Request } from '../call/call.ts'
import { Fault } from '../call/fault.ts'
import { encode } from '../protocol/mpd/decode.ts'
import { createConnection, type House } from './mpd/connection.ts'
import { createDoorway } from './mpd/doorway.ts'
import { createErrands } from './mpd/errand.ts'
import type { Job } from './mpd/job.ts'
import { plain } from './mpd/line.ts'
import { createPool } from './mpd/pool.ts'
import { createSeats } from './mpd/seat.ts'
import { createShares } from './mpd/share.ts'
import { untuned } from './mpd/tuning.ts'
import { createWatch } from './mpd/watch.ts'
import { checkQuestion, type MpdPlayer, type PlayerLog, UpstreamError } from './player.ts'

const defaults = {
  /**
   * Open at once in all. Mopidy has 20: these 16, one that we watch it by, and three for whoever else is on that machine.
   */
  connections: 16,
  /** Commands at the player at once, how many of those may be one person's, and how many may be costly. */
  running: 6,
  runningEach: 4,
  costly: 2,
  /** The other connections can be kept by one client; of these the last are for those who administer. */
  reserved: 2,
  seatsEach: 4,
  /** Commands waiting, all and one person's, and one person's when another costly one comes. */
  waiting: 1024,
  waitingEach: 64,
  costlyEach: 64,
  /** One attempt to connect and be greeted, and all of them together. */
  greetingMs: 2_000,
  openMs: 6_000,
  /** From `send` to the end of the answer, waiting included; the clock stands still while the client is slow to read. */
  answerMs: 10_000,
  costlyMs: 30_000,
  /** How often clocks are looked at. */
  sweepMs: 250,
  /** Both players close what is silent for 60 s, and what is sent in that moment is lost. */
  unusedMs: 30_000,
  graceMs: 250,
  answerBytes: 32 * 1024 * 1024,
  retryFirstMs: 100,
  retryMostMs: 1_000,
}
export type MpdLimits = Readonly<typeof defaults>

export interface MpdOptions {
  readonly host: string
  readonly port: number
  /** Milliseconds that only ever grow. */
  readonly now?: () => number
  readonly log?: PlayerLog
  readonly limits?: Partial<MpdLimits>
}

/** An MPD as the gateway itself has it: whoever listens to clients gets no more of it than an `MpdPlayer`. */
export interface WatchedMpd extends MpdPlayer {
  /**
   * The answers to questions of the gateway's own, of one moment and one after the other: these change nothing. They take
   * their turn like the rest.
   *
   * @param most bytes of all the answers
   * @throws Fault also when one of them was refused (its cause is the UpstreamError), or they are longer than that (a
   * RangeError)
   */
  ask(questions: readonly Request[], most?: number): Promise<string>
  /** Hears the name of each subsystem that changes; returns the way to stop hearing. */
  onChange(listener: (subsystem: string) => void): () => void
  /** Resolves when nothing is added to the queue any more that was asked for before, whether its client still waits or not. */
  calm(): Promise<void>
  /** Hears when it is no longer seen what happens at the player, which may be started anew; returns the way to stop. */
  onLoss(listener: () => void): () => void
}

const mostAnswered = 64 * 1024

function refusalIn(answer: string): UpstreamError | undefined {
  const [, code = '', message = ''] = /^ACK \[(\d{1,9})@\d+\] \{\w*\} (.*)$/m.exec(answer) ?? []
  return code === '' ? undefined : new UpstreamError({ code: Number(code), message, data: undefined })
}

/**
 * One player that speaks MPD, behind a few lines that all clients share.
 *
 * What a client sets for itself is set again wherever one of its commands goes, and what others set is taken back before:
 * no client notices another.
 */
export function createMpd({ host, port, log, limits: given, now = () => performance.now() }: MpdOptions): WatchedMpd {
  const limits = { ...defaults, ...given }
  const listeners = new Set<(subsystem: string) => void>()
  const doorway = createDoorway(host, port, limits, now)
  const losing = new Set<() => void>()
  const lost = () => {
    for (const listener of losing) listener()
  }
  const watch = createWatch(doorway.enter, tell, limits, now, { host, port }, log, lost)
  const pool = createPool(dial, { ...limits, pauseMs: limits.retryMostMs }, now)
  const takeSeat = createSeats({
    seats: limits.connections - limits.running,
    reserved: limits.reserved,
    each: limits.seatsEach,
  })
  const errands = createErrands(takeSeat, { lane: limits, graceMs: limits.graceMs }, now, () => shares.bump())
  const shares = createShares(errands.start)
  const sweeping = setInterval(() => {
    errands.sweep()
    pool.sweep()
  }, limits.sweepMs)
  const house: House = {
    pool,
    errands,
    shares,
    takeSeat,
    limits,
    now,
    isWatched: () => watch.up,
    listen(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }

  async function dial() {
    const line = await doorway.enter()
    watch.hurry()
    return line
  }

  function tell(subsystem: string): void {
    shares.bump()
    for (const listener of listeners) listener(subsystem)
  }

  async function ask(questions: readonly Request[], most = mostAnswered): Promise<string> {
    for (const question of questions) checkQuestion(question)
    const lines = questions.map(encode)
    const text = lines.length === 1 ? lines.join('') : `command_list_begin\n${lines.join('')}command_list_end\n`
    const costly = questions.some(({ operation }) => operation.bounds.costly)
    const ms = costly ? limits.costlyMs : limits.answerMs
    return new Promise((resolve, reject) => {
      const pieces: Uint8Array[] = []
      let length = 0
      const own = { person: { id: '', reserve: false }, costly, isRead: true, tuning: untuned, channels: '' }
      const way = { from: pool, isSeated: false, settle: undefined }
      const job: Job = { text, frame: { ...plain, tells: true }, until: now() + ms, ms, ...own, ...way }
      const unclear = (cause?: Error) =>
        reject(new Fault('player-unreachable', 'the player does not say what it was asked', { cause }))
      errands.start(job, {
        out(bytes) {
          length += bytes.length
          if (length <= most) pieces.push(bytes.slice())
        },
        done(count) {
          if (length > most) return unclear(new RangeError(`more than ${most} bytes`))
          const answer = Buffer.concat(pieces).toString()
          if (count === Number.POSITIVE_INFINITY) resolve(answer)
          else unclear(refusalIn(answer))
        },
        fail: reject,
      })
    })
  }

  return {
    ask,
    onChange: house.listen,
    calm: errands.calm,
    onLoss(listener) {
      losing.add(listener)
      return () => losing.delete(listener)
    },
    open: (person, settings = []) => createConnection(house, person, settings),
    get up() {
      return watch.up
    },
    get version() {
      return doorway.version
    },
    get offers() {
      return watch.offers
    },
    async close() {
      clearInterval(sweeping)
      doorway.close()
      watch.close()
      pool.close()
      errands.close()
    },
  }
}
