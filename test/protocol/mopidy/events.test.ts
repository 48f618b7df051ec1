import { expect, test } from 'vitest'
import { isCapability } from '../../../src/call/capability.ts'
import { eventCapability } from '../../../src/protocol/mopidy/events.ts'

// mopidy.core.CoreListener of Mopidy 3.4
const listener = [
  'mute_changed',
  'options_changed',
  'playback_state_changed',
  'playlist_changed',
  'playlist_deleted',
  'playlists_loaded',
  'seeked',
  'stream_title_changed',
  'track_playback_ended',
  'track_playback_paused',
  'track_playback_resumed',
  'track_playback_started',
  'tracklist_changed',
  'volume_changed',
]

test('each event of Mopidy takes a capability to hear, and no other event is known', () => {
  expect([...eventCapability.keys()].sort()).toEqual(listener)
  for (const capability of eventCapability.values()) expect(isCapability(capability)).toBe(true)
  expect(eventCapability.get('constructor')).toBeUndefined()
})

test('who may not see the queue or the playlists does not hear of them', () => {
  expect(eventCapability.get('tracklist_changed')).toBe('queue.read')
  expect(eventCapability.get('playlist_changed')).toBe('playlists.read')
})
