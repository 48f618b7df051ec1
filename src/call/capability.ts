/**
 * What a caller may be allowed to do, in the house's own words.
 *
 * Roles grant these and nothing else. The text is the documentation and the editor's hover help.
 */
export const capabilities = {
  'status.read': 'See what is playing, the volume, the options and the progress, and hear about changes',
  'library.read': 'Browse, search, look up, see artwork',
  'queue.read': 'See the queue',
  'queue.add': 'Append to or insert into the queue',
  'queue.edit': 'Move, remove, shuffle and prioritise what is in the queue',
  'queue.clear': 'Empty the queue',
  'queue.replace': 'Play something else instead of the queue (load a context)',
  'playback.control': 'Play, pause, stop, seek',
  'playback.skip': 'Next, previous, jump to a queue entry',
  'volume.set': 'Change the volume, mute and unmute',
  'options.set': 'Change random, repeat, single, consume, crossfade and replay gain',
  'playlists.read': 'See stored playlists',
  'playlists.edit': 'Create, save, rename and delete playlists; change stickers',
  'history.read': 'See what was played',
  'outputs.read': 'See audio outputs',
  'outputs.set': 'Switch and configure audio outputs',
  'messages.read': 'Listen to MPD channels',
  'messages.send': 'Write to MPD channels',
  'library.refresh': 'Update and rescan the library',
  'server.read': 'See statistics, decoders and URL handlers',
  'server.admin': 'Configuration, mounts, kill, partitions, device name: whatever outlives a song',
  'player.takeover': 'Pairing: hand the player to another account',
} as const

export type Capability = keyof typeof capabilities

export const capabilityNames = Object.keys(capabilities) as readonly Capability[]

export function isCapability(name: string): name is Capability {
  return Object.hasOwn(capabilities, name)
}

/**
 * What needs no grant: `anyone` may ask before signing in, `signed-in` is every account's.
 * Rows that carry one still pass the gate, so they are counted and recorded like the rest.
 */
export type Standing = 'anyone' | 'signed-in'
