import { Fault } from '../call/fault.ts'
import { isPermit, type Permit } from '../policy/decide.ts'
import { encode } from '../protocol/mpd/decode.ts'
import { subsystems } from '../protocol/mpd/events.ts'
import { createLine, gone, greet, type Line } from './line.ts'
import type { MpdConnection, MpdPerson, MpdPlayer } from './player.ts'
import { createTurns } from './turn.ts'

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
  const listeners = new Set<(subsystem: string) => void>()
  const tell = (subsystem: string) => {
    for (const listener of listeners) listener(subsystem)
  }
  let wasUp = false
  let watch: Line | undefined
  let retry: NodeJS.Timeout | undefined
  let failures = 0
  let version: string | undefined
  let offers: ReadonlySet<string> | undefined

  /** Mopidy listens with a backlog of one: of connects at the same time it loses some. */
  const takeDoorway = createTurns(1, 64, 8)
  const takeCostly = createTurns(limits.costly, limits.costlyWaiting, limits.costlyEach)

  /** @throws Fault */
  async function dial(person: string): Promise<Line> {
    const until = performance.now() + limits.openMs
    const leave = await takeDoorway(person, limits.openMs)
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
      if (wasUp) for (const name of subsystems.keys()) if (name !== 'message') tell(name)
      wasUp = true
      for (;;) {
        let text = ''
        const done = await line.ask('idle\n', {}, (bytes) => {
          text += Buffer.from(bytes).toString()
        })
        if (done < 1) throw new Fault('player-unreachable', 'the player does not idle')
        for (const [, name = ''] of text.matchAll(/^changed: (\w+)$/gm)) if (subsystems.has(name)) tell(name)
      }
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

  function connection(person: MpdPerson, settings: Permit[]): MpdConnection {
    let busy = false
    let isClosed = false
    let own: Line | undefined

    /** @throws Fault */
    async function reach(): Promise<Line> {
      if (own?.alive) return own
      const leave = takePlace(person)
      try {
        own = await dial(person.id)
      } catch (error) {
        leave()
        throw Fault.from(error)
      }
      own.onEnd(leave)
      if (isClosed) own.drop(gone())
      for (const permit of settings) {
        if (own.alive) await own.ask(encode(permit.call), { ms: limits.answerMs }, () => {})
      }
      return own
    }

    return {
      async send(permits, framing, out) {
        if (permits.length === 0 || !permits.every(isPermit)) throw new Fault('internal', 'only a permit can be sent')
        if (busy) throw new Fault('internal', 'one command at a time')
        const text = write(permits, framing)
        const isCostly = permits.some(({ call }) => call.operation.bounds.costly === true)
        busy = true
        try {
          const line = await reach()
          const leave = isCostly ? await takeCostly(person.id, limits.costlyMs, line.onEnd) : undefined
          const ms = isCostly || permits.length > 1 ? limits.costlyMs : limits.answerMs
          const items = framing === 'ok-list' ? { items: permits.length } : {}
          try {
            const done = await line.ask(text, { ...items, ms }, out)
            settings.push(...permits.slice(0, done).filter(({ call }) => call.operation.state === 'setting'))
            return done
          } finally {
            leave?.()
          }
        } finally {
          busy = false
        }
      },
      onChange(listener) {
        listeners.add(listener)
        return () => listeners.delete(listener)
      },
      settings,
      close() {
        isClosed = true
        own?.drop(gone())
      },
    }
  }

  void watchOver()

  return {
    open(person, settings = []) {
      return connection(person, [...settings])
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
