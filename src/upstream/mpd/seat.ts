import { Fault } from '../../call/fault.ts'
import type { MpdPerson } from '../player.ts'

/** Takes a place that its person may keep for long; returns the way to give it back. @throws Fault `limited` */
export type TakeSeat = (person: MpdPerson) => () => void

export interface SeatLimits {
  readonly seats: number
  /** Of these, the last are for those who administer. */
  readonly reserved: number
  readonly each: number
}

export function createSeats({ seats, reserved, each }: SeatLimits): TakeSeat {
  const places = new Map<string, number>()
  let taken = 0

  return ({ id, reserve }) => {
    const mine = places.get(id) ?? 0
    if (mine >= each) throw new Fault('limited', `only ${each} connections at the player for each person alone`)
    if (taken >= seats - (reserve ? 0 : reserved)) {
      throw new Fault('limited', 'the player has no free connection', { retryAfter: 60 })
    }
    taken++
    places.set(id, mine + 1)
    let isLeft = false
    return () => {
      if (isLeft) return
      isLeft = true
      taken--
      const left = (places.get(id) ?? 1) - 1
      if (left > 0) places.set(id, left)
      else places.delete(id)
    }
  }
}
