import type { Wall } from '../policy/clock.ts'
import type { Hand } from '../upstream/hand.ts'
import type { PicturePlayer } from '../upstream/player.ts'
import { type CurfewDeps, createCurfew } from './curfew.ts'
import { createGovernor, type GovernorDeps } from './governor.ts'
import type { Ear } from './house.ts'

/** A player as far as it tells what it does and can be told what to do: one without the other is let be. */
export interface Watched {
  readonly picture: PicturePlayer | undefined
  readonly hand: Hand | undefined
}

export interface Rounds extends Ear {
  close(): Promise<void>
}

interface Deps extends Omit<CurfewDeps, 'players' | 'limits'>, Pick<GovernorDeps, 'onContest'> {
  /** How loud it may be there; undefined for as loud as it goes. */
  ceilingOf(player: string): Wall<number> | undefined
}

/** Goes round once a second, and keeps what was set for each player. */
export function startRounds(watched: ReadonlyMap<string, Watched>, deps: Deps, everyMs = 1_000): Rounds {
  const players = [...watched].flatMap(([name, { picture, hand }]) =>
    picture && hand ? [[name, { picture, hand }] as const] : [],
  )
  const rooms = players.flatMap(([name, player]) => {
    const ceiling = deps.ceilingOf(name)
    return ceiling ? [[name, { ...player, ceiling }] as const] : []
  })
  const governor = createGovernor({ ...deps, rooms: new Map(rooms) })
  const curfew = createCurfew({ ...deps, players: new Map(players) })
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
