import type { Principal } from '../call/call.ts'
import type { Capability } from '../call/capability.ts'
import type { Operation } from '../call/catalog.ts'
import type { Gate } from '../gate/gate.ts'
import { commandsFor } from '../protocol/mpd/commands.ts'
import type { MpdPlayer } from '../upstream/player.ts'

/** What this door answers itself; `ping` goes on when there is a connection that it keeps alive. */
export type Local = 'ping' | 'close' | 'password' | 'commands' | 'notcommands' | 'listpartitions' | 'partition'

const local: ReadonlySet<string> = new Set<Local>([
  'ping',
  'close',
  'password',
  'commands',
  'notcommands',
  'listpartitions',
  'partition',
])

export function isLocal(name: string): name is Local {
  return local.has(name)
}

/** Sets something for the rest of the connection: a new connection to the player must hear it again. */
export function isSetting({ name }: Operation): boolean {
  return /^((tagtypes|protocol|stringnormalization) (?!available)|(binarylimit|subscribe|unsubscribe)$)/.test(name)
}

/** What it takes to hear of a change. What is not here is seen by nobody. */
export const subsystems: ReadonlyMap<string, Capability> = new Map([
  ['database', 'library.read'],
  ['update', 'library.read'],
  ['stored_playlist', 'playlists.read'],
  ['playlist', 'queue.read'],
  ['player', 'status.read'],
  ['mixer', 'status.read'],
  ['output', 'outputs.read'],
  ['options', 'status.read'],
  ['sticker', 'playlists.read'],
  ['subscription', 'messages.read'],
  ['message', 'messages.read'],
  ['partition', 'server.read'],
  ['neighbor', 'server.read'],
  ['mount', 'server.read'],
])

/** What `commands` and `notcommands` list: what this person may use, and what only others may, of what is there. */
export function announce(gate: Gate, by: Principal, player: string, offers: MpdPlayer['offers']) {
  const { commands, notcommands } = commandsFor(({ capability, given }) => {
    if (capability === 'anyone') return true
    if (capability === 'signed-in') return by.kind === 'user'
    return [capability, ...Object.values(given ?? {})].some((one) => one && gate.may(by, player, one))
  })
  const isThere = (name: string) => isLocal(name) || !offers || offers.has(name)
  return { commands: commands.filter(isThere), notcommands: notcommands.filter(isThere) }
}

/** The players this person may use at all. */
export function usable(gate: Gate, by: Principal, players: Iterable<string>): readonly string[] {
  return [...players].filter((player) => gate.capabilitiesOf(by, player).length > 0)
}
