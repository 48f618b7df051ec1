import type { Capability } from '../../call/capability.ts'

/** What it takes to hear of an event. One that is not here is heard by nobody. */
export const eventCapability: ReadonlyMap<string, Capability> = new Map<string, Capability>([
  ['mute_changed', 'status.read'],
  ['options_changed', 'status.read'],
  ['playback_state_changed', 'status.read'],
  ['playlist_changed', 'playlists.read'],
  ['playlist_deleted', 'playlists.read'],
  ['playlists_loaded', 'playlists.read'],
  ['seeked', 'status.read'],
  ['stream_title_changed', 'status.read'],
  ['track_playback_ended', 'status.read'],
  ['track_playback_paused', 'status.read'],
  ['track_playback_resumed', 'status.read'],
  ['track_playback_started', 'status.read'],
  ['tracklist_changed', 'queue.read'],
  ['volume_changed', 'status.read'],
])
