import type { Principal } from '../call/call.ts'
import type { Capability } from '../call/capability.ts'
import type { Operation } from '../call/catalog.ts'
import type { Gate } from '../gate/gate.ts'
import { mpd } from '../protocol/mpd/catalog.ts'
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

/** Commands that set something for the rest of the connection. A new connection to the player must hear them again. */
const settings: ReadonlySet<string> = new Set([
  'tagtypes',
  'binarylimit',
  'protocol',
  'stringnormalization',
  'subscribe',
  'unsubscribe',
])

export function isSetting(operation: Operation): boolean {
  return settings.has(wordOf(operation))
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

/** The first word of a row such as `sticker get`: what an ACK names. */
export function wordOf({ name }: Operation): string {
  return name.split(' ', 1)[0] ?? name
}

/** Rows by their first word. */
const words: ReadonlyMap<string, readonly Operation[]> = Map.groupBy(Object.values<Operation>(mpd), wordOf)

/** What `commands` and `notcommands` list: what this person may use, and what only others may, of what is there. */
export function announce(
  gate: Gate,
  by: Principal,
  player: string,
  offers: MpdPlayer['offers'],
): { readonly commands: readonly string[]; readonly notcommands: readonly string[] } {
  const may = ({ capability, given, refused }: Operation) => {
    if (refused !== undefined) return false
    if (capability === 'anyone') return true
    if (capability === 'signed-in') return by.kind === 'user'
    return [capability, ...Object.values(given ?? {})].some((one) => one && gate.may(by, player, one))
  }
  const known = [...words.keys()].filter((word) => isLocal(word) || !offers || offers.has(word)).sort()
  return {
    commands: known.filter((word) => words.get(word)?.some(may)),
    notcommands: known.filter((word) => !words.get(word)?.some(may)),
  }
}

/** The players this person may use at all. */
export function usable(gate: Gate, by: Principal, players: Iterable<string>): readonly string[] {
  return [...players].filter((player) => gate.capabilitiesOf(by, player).length > 0)
}
