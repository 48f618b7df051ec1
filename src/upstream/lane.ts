export interface LaneLimits {
  /** How many may run at once, how many of those may be one person's, and how many may be costly. */
  readonly running: number
  readonly runningEach: number
  readonly costly: number
  /** How many may wait: all together, one person's, and one person's when another costly one comes. */
  readonly waiting: number
  readonly waitingEach: number
  readonly costlyEach: number
}

export interface LaneEntry {
  readonly person: string
  readonly costly: boolean
  /** Changes the player, so what the same person asks for later must not overtake it. */
  readonly changes: boolean
}

/** What runs of one person. */
interface Load {
  all: number
  costly: number
}

/** The bounded way to a player: some run, the others wait, and those who wait take turns by person. */
export interface Lane<T extends LaneEntry> {
  /** Starts the entry, or lets it wait; false when there is no room left to wait. */
  enter(entry: T): boolean
  /** Takes an entry out again if it still waits. */
  withdraw(entry: T): void
  /** One that ran has ended, so the next may start. */
  leave(entry: T): void
  /** Lets entries start; until then all of them wait. */
  open(): void
  /** Closes the lane, forgets what runs, and hands over what waited. */
  reset(): readonly T[]
}

/** A lane, closed at first. `start` is called with each entry when its turn has come. */
export function createLane<T extends LaneEntry>(limits: LaneLimits, start: (entry: T) => void): Lane<T> {
  // The map is the ring of turns: who was served goes to its end.
  const queues = new Map<string, Set<T>>()
  let isOpen = false
  let running = 0
  let runningCostly = 0
  const runningOf = new Map<string, Load>()
  let waiting = 0

  // The last costly place is somebody else's, where there is more than one.
  const costlyOfOne = Math.max(1, limits.costly - 1)

  const fits = ({ person, costly }: T) => {
    if (!isOpen || running >= limits.running || (costly && runningCostly >= limits.costly)) return false
    const theirs = runningOf.get(person)
    return !theirs || (theirs.all < limits.runningEach && !(costly && theirs.costly >= costlyOfOne))
  }

  const run = (entry: T) => {
    running++
    if (entry.costly) runningCostly++
    const theirs = runningOf.get(entry.person) ?? { all: 0, costly: 0 }
    theirs.all++
    if (entry.costly) theirs.costly++
    runningOf.set(entry.person, theirs)
    start(entry)
  }

  const withdraw = (entry: T) => {
    const queue = queues.get(entry.person)
    if (!queue?.delete(entry)) return
    waiting--
    if (queue.size === 0) queues.delete(entry.person)
  }

  const next = (): T | undefined => {
    for (const queue of queues.values()) {
      for (const entry of queue) {
        if (fits(entry)) return entry
        if (entry.changes) break
      }
    }
    return undefined
  }

  const advance = () => {
    for (let entry = next(); entry !== undefined; entry = next()) {
      const { person } = entry
      const queue = queues.get(person)
      if (queue) {
        queues.delete(person)
        queues.set(person, queue)
      }
      withdraw(entry)
      run(entry)
    }
  }

  return {
    enter(entry) {
      if (waiting === 0 && fits(entry)) {
        run(entry)
        return true
      }
      const queue = queues.get(entry.person) ?? new Set()
      const each = entry.costly ? limits.costlyEach : limits.waitingEach
      if (waiting >= limits.waiting || queue.size >= each) return false
      queues.set(entry.person, queue.add(entry))
      waiting++
      advance()
      return true
    },
    withdraw(entry) {
      withdraw(entry)
      advance()
    },
    leave({ person, costly }) {
      running--
      if (costly) runningCostly--
      const theirs = runningOf.get(person)
      if (theirs) {
        theirs.all--
        if (costly) theirs.costly--
        if (theirs.all === 0) runningOf.delete(person)
      }
      advance()
    },
    open() {
      isOpen = true
      advance()
    },
    reset() {
      const left = [...queues.values()].flatMap((queue) => [...queue])
      queues.clear()
      isOpen = false
      running = 0
      runningCostly = 0
      waiting = 0
      runningOf.clear()
      return left
    },
  }
}
