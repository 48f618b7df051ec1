import { Fault } from '../../call/fault.ts'
import { createLine, gone, greet, type Line } from './line.ts'

/** The way in to a player, which one connect passes at a time. */
export interface Doorway {
  /** @throws Fault */
  enter(): Promise<Line>
  /** What the player greeted with last. */
  readonly version: string | undefined
  close(): void
}

export interface DoorwayLimits {
  /** One attempt to connect and be greeted, and all of them together. */
  readonly greetingMs: number
  readonly openMs: number
  /** The longest answer. */
  readonly answerBytes: number
}

/** Mopidy listens with a backlog of one: of connects at the same time it loses some. */
export function createDoorway(host: string, port: number, limits: DoorwayLimits, now: () => number): Doorway {
  let before: Promise<unknown> = Promise.resolve()
  let version: string | undefined
  let isClosed = false

  async function greeted(): Promise<Line> {
    const until = now() + limits.openMs
    for (;;) {
      try {
        if (isClosed) throw gone()
        const greeting = await greet(host, port, Math.min(limits.greetingMs, Math.max(until - now(), 1)))
        if (isClosed) greeting.socket.destroy()
        version = greeting.version
        return createLine(greeting.socket, limits.answerBytes)
      } catch (error) {
        // A lost SYN or a greeting that never comes: Mopidy's accept queue overflowed, and the next attempt may do.
        const fault = Fault.from(error)
        if (fault.code !== 'player-timeout' || now() >= until || isClosed) throw fault
      }
    }
  }

  return {
    enter() {
      const line = before.then(greeted)
      before = line.catch(() => {})
      return line
    },
    get version() {
      return version
    },
    close() {
      isClosed = true
    },
  }
}
