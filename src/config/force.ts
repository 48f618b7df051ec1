import type { Wall } from '../policy/clock.ts'
import { compile } from '../policy/policy.ts'
import type { Policy } from '../policy/role.ts'
import { roomCeiling } from '../policy/room.ts'
import { type Change, changesOf, merge } from './reload.ts'
import type { Config } from './schema.ts'

/** The configuration in force. */
export interface Force {
  readonly config: Config
  /** Made of it as a whole: whoever asks has the one of before or the one of after. */
  readonly policy: Policy
  /** How loud it may be where that player is, by the zone of the moment; undefined for as loud as it goes. */
  ceilingOf(player: string): Wall<number> | undefined
  /**
   * Puts another in force, as far as that needs no restart. All of it or nothing.
   *
   * @throws whatever is wrong with it
   */
  apply(next: Config): readonly Change[]
}

export function createForce(first: Config, onChange: (config: Config) => void = () => {}): Force {
  let force = { config: first, policy: compile(first.roles, first) }
  const within = {
    get zone() {
      return force.config.zone
    },
  }
  return {
    get config() {
      return force.config
    },
    get policy() {
      return force.policy
    },
    ceilingOf(player) {
      const maxVolume = force.config.players.get(player)?.maxVolume
      return maxVolume === undefined ? undefined : roomCeiling(maxVolume, within)
    },
    apply(next) {
      const changes = changesOf(force.config, next)
      if (changes.every(({ takes }) => takes === 'restart')) return changes
      const config = merge(force.config, next)
      force = { config, policy: compile(config.roles, config) }
      onChange(config)
      return changes
    },
  }
}
