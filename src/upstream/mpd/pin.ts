import { Fault } from '../../call/fault.ts'
import { gone, type Line } from './line.ts'
import type { Source, Taker } from './pool.ts'

/** The line of one connection alone, for what its subscriptions bring: it rests in an idle while nothing is asked. */
export interface Pin extends Source {
  /** Whether the line stands; false before the first and after one broke. */
  readonly alive: boolean
  end(): void
}

export interface PinOptions {
  /** Where lines come from. None goes back there: it may hold messages for this client. */
  readonly pool: Source
  /** Whether there is anything to rest for when the line is given back; otherwise the pin ends. */
  isWanted(): boolean
  /** A message came, or may have come unseen. */
  tell(): void
  /** The line broke while it rested. */
  onBreak(): void
  onEnd(): void
}

const mostAnswer = 4096

export function createPin({ pool, isWanted, tell, onBreak, onEnd }: PinOptions): Pin {
  let line: Line | undefined
  let isResting = false
  let isEnded = false
  /** The idle was told to end. */
  let isWoken = false
  /** Messages that came between two lines were seen by nobody. */
  let isRenewed = false
  /** Who has to wait until the idle has ended. */
  let waiter: Taker | undefined
  let taking: { readonly taker: Taker; readonly inner: Taker } | undefined

  function rest(at: Line): void {
    let text = ''
    isResting = true
    isWoken = false
    at.ask('idle "message"\n', {
      out(bytes) {
        text += Buffer.from(bytes).toString()
        if (text.length > mostAnswer)
          throw new Fault('player-unreachable', 'the player sent more than it was asked for')
      },
      done() {
        isResting = false
        const next = waiter
        waiter = undefined
        const isMessage = text.startsWith('changed: ')
        // Else it would be asked again and again.
        if (!isMessage && !isWoken) {
          at.drop(gone())
          return broken()
        }
        if (next) next.got(at)
        else rest(at)
        if (isMessage) tell()
      },
      fail() {
        isResting = false
        const next = waiter
        waiter = undefined
        // Nothing of its own was sent yet.
        if (next) take(next, false)
        else broken()
      },
    })
  }

  function broken(): void {
    if (!isEnded) onBreak()
  }

  function take(taker: Taker, fresh: boolean) {
    if (isEnded) return taker.failed(gone())
    if (line?.alive && isResting) {
      // One that comes too late is ignored by both players, so there is one answer either way.
      waiter = taker
      if (!isWoken) line.write('noidle\n')
      isWoken = true
      return
    }
    if (line?.alive) return taker.got(line)
    const inner: Taker = {
      tuning: taker.tuning,
      got(fetched) {
        taking = undefined
        isRenewed = isWanted()
        line = fetched
        taker.got(fetched)
      },
      failed(fault) {
        taking = undefined
        taker.failed(fault)
      },
    }
    taking = { taker, inner }
    pool.take(inner, fresh)
  }

  function end(): void {
    if (isEnded) return
    isEnded = true
    onEnd()
    line?.drop(gone())
  }

  return {
    take,
    withdraw(taker) {
      if (waiter === taker) waiter = undefined
      if (taking?.taker === taker) pool.withdraw(taking.inner)
    },
    give(given) {
      if (!isWanted()) return end()
      if (given !== line || !given.alive) return broken()
      rest(given)
      if (!isRenewed) return
      isRenewed = false
      tell()
    },
    get alive() {
      return line?.alive === true
    },
    end,
  }
}
