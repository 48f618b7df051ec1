import type { Capability } from '../../call/capability.ts'

/** The subsystems of `idle`, and what it takes to hear of a change in one. What is not here is seen by nobody. */
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
