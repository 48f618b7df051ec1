import type { Principal } from '../../call/call.ts'
import type { Operation } from '../../call/catalog.ts'
import type { Gate } from '../../gate/gate.ts'
import { commandsFor } from '../../protocol/mpd/commands.ts'
import type { MpdPlayer } from '../../upstream/player.ts'

/** What this door answers itself; `ping` goes on when there is a connection that it keeps alive. */
const local = ['ping', 'close', 'password', 'commands', 'notcommands', 'listpartitions', 'partition'] as const
export type Local = (typeof local)[number]

export function isLocal(name: string): name is Local {
  return local.some((known) => known === name)
}

/** Sets something for the rest of the connection: a new connection to the player must hear it again. */
export function isSetting({ name }: Operation): boolean {
  return /^((tagtypes|protocol|stringnormalization) (?!available)|(binarylimit|subscribe|unsubscribe)$)/.test(name)
}

/** What `commands` and `notcommands` list: what this person may use, and what only others may, of what is there. */
export function announce(gate: Gate, by: Principal, player: string, offers: MpdPlayer['offers']) {
  const { commands, notcommands } = commandsFor((row) => gate.mayCall(by, player, row))
  const isThere = (name: string) => isLocal(name) || !offers || offers.has(name)
  return { commands: commands.filter(isThere), notcommands: notcommands.filter(isThere) }
}

/** The players this person may use at all. */
export function usable(gate: Gate, by: Principal, players: Iterable<string>): readonly string[] {
  return [...players].filter((player) => gate.capabilitiesOf(by, player).length > 0)
}
