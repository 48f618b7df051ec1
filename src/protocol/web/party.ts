import Type from 'typebox'
import { catalog, op, sending } from '../../call/catalog.ts'
import { param } from '../../call/param.ts'
import { Uri } from '../mopidy/model.ts'
import { answering, text } from '../rest/answer.ts'

const keys = [
  'hide_pause',
  'hide_skip',
  'max_queue_length',
  'max_results',
  'max_song_duration',
  'max_tracks',
  'source_blacklist',
  'source_prio',
  'style',
  'votes_to_skip',
] as const

/** Mopidy-Party. It counts voters and who added last by address: whoever sends these says whose they are. */
export const party = catalog('web', {
  /** A GET, and yet it casts a vote; the last one skips. */
  'GET /party/vote': op('playback.skip'),
  'POST /party/add': sending('text', op('queue.add', { uri: param(Uri, 'uri') }, { costly: true, streams: 1 })),
  'GET /party/config': op('status.read', { key: param(Type.Enum([...keys])) }),
})

/** It answers in words. */
export const partyAnswers = answering(party, {
  'GET /party/vote': text,
  'POST /party/add': text,
  'GET /party/config': text,
})
