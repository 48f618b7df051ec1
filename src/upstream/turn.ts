import { Fault } from '../call/fault.ts'
import { createLane, type LaneEntry } from './lane.ts'

interface Turn extends LaneEntry {
  start(): void
}

/**
 * Waits for a turn, at most `ms` and no longer than what `onEnd` watches; resolves to the way to give it back.
 *
 * @throws Fault `player-timeout`, `limited`, or what `onEnd` tells
 */
export type TakeTurn = (
  person: string,
  ms: number,
  onEnd?: (listener: (fault: Fault) => void) => () => void,
) => Promise<() => void>

/** Turns among people at something that takes so many at a time. */
export function createTurns(running: number, waiting: number, waitingEach: number): TakeTurn {
  const limits = { running, costly: running, waiting, waitingEach, costlyEach: waitingEach }
  const lane = createLane<Turn>(limits, (turn) => turn.start())
  lane.open()

  return (person, ms, onEnd = () => () => {}) =>
    new Promise((resolve, reject) => {
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
