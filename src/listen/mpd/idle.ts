import { subsystems } from '../../protocol/mpd/events.ts'

/** What changed and one client was not yet told, and whether it waits to be told: as MPD has it in `client/Idle`. */
export interface Idle {
  readonly waits: boolean
  /** Something changed, whether the client waits or not. */
  mark(subsystem: string): void
  /** Waits for one of these; for anything when none is named. */
  wait(named: readonly string[]): void
  /** Waits no longer, and nothing is forgotten. */
  leave(): void
  /** What changed until now is not to be told. */
  forget(): void
}

/**
 * @param deps.maySee asked when there is something to tell, for roles change while people idle
 * @param deps.tell hears what changed, in MPD's order, as the wait is over
 */
export function createIdle(deps: { maySee(subsystem: string): boolean; tell(changed: readonly string[]): void }): Idle {
  const changed = new Set<string>()
  let wanted: ReadonlySet<string> | undefined
  let isDue = false

  function look(): void {
    isDue = false
    if (!wanted || changed.size === 0) return
    const named = wanted
    const seen = [...subsystems.keys()].filter((name) => changed.has(name) && named.has(name) && deps.maySee(name))
    if (seen.length === 0) return
    wanted = undefined
    changed.clear()
    deps.tell(seen)
  }

  return {
    get waits() {
      return wanted !== undefined
    },
    mark(subsystem) {
      changed.add(subsystem)
      if (!wanted || isDue) return
      // What changes together is told together.
      isDue = true
      queueMicrotask(look)
    },
    wait(named) {
      wanted = named.length > 0 ? new Set(named) : everything
      look()
    },
    leave() {
      wanted = undefined
    },
    forget: () => changed.clear(),
  }
}

const everything: ReadonlySet<string> = new Set(subsystems.keys())
