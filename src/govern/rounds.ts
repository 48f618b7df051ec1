import type { Wall } from '../policy/clock.ts'
import type { Hand } from '../upstream/hand.ts'
import type { PicturePlayer } from '../upstream/player.ts'
import { type CurfewDeps, createCurfew } from './curfew.ts'
import { createGovernor, type GovernorDeps } from './governor.ts'
import type { Ear } from './house.ts'

/** A player that can be watched and told. */
export interface Watched {
  readonly picture: PicturePlayer
  readonly hand: Hand
  /** How loud it may be there; undefined for as loud as it goes. */
  readonly ceiling: Wall<number> | undefined
}

export interface Rounds extends Ear {
  close(): Promise<void>
}

type Deps = Omit<CurfewDeps, 'players' | 'limits'> & Pick<GovernorDeps, 'onContest'>

/** Goes round once a second, and keeps what was set for each player. */
export function startRounds(players: ReadonlyMap<string, Watched>, deps: Deps, everyMs = 1_000): Rounds {
  const rooms = [...players].flatMap(([name, { ceiling, ...player }]) =>
    ceiling ? [[name, { ...player, ceiling }] as const] : [],
  )
  const governor = createGovernor({ ...deps, rooms: new Map(rooms) })
  const curfew = createCurfew({ ...deps, players })
  const timer = setInterval(() => {
    governor.look()
    curfew.look()
  }, everyMs)
  return {
    hear(call) {
      governor.hear(call)
      curfew.hear(call)
    },
    mattersOf: governor.mattersOf,
    async close() {
      clearInterval(timer)
      governor.close()
      await curfew.close()
    },
  }
}
