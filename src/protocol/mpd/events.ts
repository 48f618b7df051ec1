import type { Capability } from '../../call/capability.ts'

/**
 * The subsystems of `idle`, and what it takes to hear of a change in one. What is not here is seen by nobody.
 *
 * In MPD's order (src/IdleFlags.cxx), which is that of the `changed:` lines.
 */
export const subsystems: ReadonlyMap<string, Capability> = new Map([
  ['database', 'library.read'],
  ['stored_playlist', 'playlists.read'],
  ['playlist', 'queue.read'],
  ['player', 'status.read'],
  ['mixer', 'status.read'],
  ['output', 'outputs.read'],
  ['options', 'status.read'],
  ['sticker', 'playlists.read'],
  ['update', 'library.read'],
  ['subscription', 'messages.read'],
  ['message', 'messages.read'],
  ['neighbor', 'server.read'],
  ['mount', 'server.read'],
  ['partition', 'server.read'],
])
