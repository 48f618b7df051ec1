import { resolve } from 'node:path'
import { messageOf } from '../call/fault.ts'
import type { Problem } from './explain.ts'
import type { Snapshot } from './load.ts'
import type { Change } from './reload.ts'
import type { Config } from './schema.ts'

/** Where a running gateway looks for its configuration. */
export interface Source {
  readonly file: string
  /** Never throws. */
  take(): Snapshot
}

export type Outcome = { readonly problems: readonly Problem[] } | { readonly changes: readonly Change[] }

/** What `stagedoor reload` is answered. */
export interface ReloadAnswer {
  /** The configuration that is read. */
  readonly file: string
  readonly problems: readonly Problem[]
  readonly changes: readonly Change[]
}

export function answerOf({ file }: Source, outcome: Outcome): ReloadAnswer {
  return { file: resolve(file), problems: [], changes: [], ...outcome }
}

export interface Watch {
  /** `invalid`: there is a newer configuration, with problems, and the one before it is in force. */
  readonly state: 'current' | 'invalid'
  /** Reads the file now, for somebody who asked for it, and applies it unless there are problems. Never rejects. */
  reload(): Promise<Outcome>
  /** Looks once whether something changed: what the clock does. */
  look(): void
  close(): void
}

const defaults = {
  /** Between two looks. Kubernetes swaps links and editors rename: what counts is what the path leads to, so it is read. */
  everyMs: 250,
  /** Looks that must find the same before it is believed to be all of it. */
  restLooks: 2,
  /** And before it is an alarm: editors take a file away for a moment, and people save in the middle of a thought. */
  alarmLooks: 8,
  /** When somebody asks for it, the same is to be found twice within this time, at so many attempts. */
  restMs: 100,
  attempts: 10,
}
export type WatchLimits = Readonly<typeof defaults>

/** Lines of the log about one configuration. */
const mostProblems = 50

/**
 * Watches over the file of a configuration, and hands on what is valid as a whole.
 *
 * @param deps.apply puts a configuration in force, all of it or nothing, and says what is different now
 */
export function createWatch(deps: {
  readonly source: Source
  apply(config: Config): readonly Change[]
  readonly log: { info(about: object, text: string): void; warn(about: object, text: string): void }
  /** Hears of each configuration that was judged. */
  onOutcome?(result: 'applied' | 'invalid'): void
  pause?(ms: number): Promise<void>
  readonly limits?: Partial<WatchLimits>
}): Watch {
  const { source, log, onOutcome = () => {}, pause = sleep } = deps
  const limits = { ...defaults, ...deps.limits }
  let state: Watch['state'] = 'current'
  let seen: string | undefined
  let looks = 0
  /** What was judged last. */
  let judged: string | undefined
  const timer = limits.everyMs > 0 ? setInterval(look, limits.everyMs).unref() : undefined

  function look(): void {
    const snapshot = source.take()
    looks = snapshot.digest === seen ? looks + 1 : 0
    seen = snapshot.digest
    if (seen === judged || (looks !== limits.restLooks && looks !== limits.alarmLooks)) return
    const outcome = judge(snapshot)
    if ('problems' in outcome && looks < limits.alarmLooks) return
    conclude(outcome, snapshot, false)
  }

  async function reload(): Promise<Outcome> {
    let snapshot = source.take()
    for (let attempt = 0; attempt < limits.attempts; attempt++) {
      await pause(limits.restMs)
      const before = snapshot.digest
      snapshot = source.take()
      if (snapshot.digest !== before) continue
      const outcome = judge(snapshot)
      conclude(outcome, snapshot, true)
      return outcome
    }
    return failure('it is being written', 'try again when that is done')
  }

  /** What is valid is in force when this returns. */
  function judge(snapshot: Snapshot): Outcome {
    const { config, problems } = snapshot.load()
    if (!config) return { problems }
    try {
      return { changes: deps.apply(config) }
    } catch (error) {
      return failure(
        `it could not be applied: ${messageOf(error)}`,
        'restart the gateway, or go back to the one before',
      )
    }
  }

  function failure(what: string, fix: string): Outcome {
    return { problems: [{ file: source.file, line: 1, column: 1, path: '', what, fix }] }
  }

  function conclude(outcome: Outcome, { digest }: Snapshot, isAsked: boolean): void {
    const [before, wasJudged] = [state, judged]
    state = 'problems' in outcome ? 'invalid' : 'current'
    judged = digest
    // What the gateway began with is no news.
    if (wasJudged === undefined && !isAsked && 'changes' in outcome && outcome.changes.length === 0) return
    if ('changes' in outcome) tellChanges(outcome.changes, before)
    else tellProblems(outcome.problems, digest === wasJudged)
    onOutcome('changes' in outcome ? 'applied' : 'invalid')
  }

  function tellChanges(changes: readonly Change[], before: Watch['state']): void {
    const of = (when: Change['takes']) => changes.filter(({ takes }) => takes === when).map(({ path }) => path)
    const [live, fresh, waiting] = [of('live'), of('new connections'), of('restart')]
    if (live.length + fresh.length > 0) log.info({ live, 'new connections': fresh }, 'the configuration was applied')
    else log.info({}, before === 'invalid' ? 'the configuration is valid again' : 'the configuration has nothing new')
    if (waiting.length > 0) log.warn({ settings: waiting }, 'these settings wait for a restart')
  }

  /** Each of them once, however often somebody asks. */
  function tellProblems(problems: readonly Problem[], isKnown: boolean): void {
    for (const { file, line, path, what, fix } of isKnown ? [] : problems.slice(0, mostProblems)) {
      log.warn({ file, line, path, what, fix }, 'the configuration has a problem')
    }
    const about = { file: source.file, problems: problems.length }
    log.warn(about, 'the configuration is invalid: the one before stays in force')
  }

  return {
    get state() {
      return state
    },
    reload,
    look,
    close: () => clearInterval(timer),
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref())
}
