import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { describe } from '../../../src/protocol/mopidy/describe.ts'

const core: Record<string, { name: string; default?: unknown }[]> = JSON.parse(
  readFileSync(new URL('../../corpus/mopidy/core-describe-3.4.json', import.meta.url), 'utf8'),
)

test('somebody who may do anything is told of everything that is offered, in the shape of Mopidy', () => {
  const all = describe(() => true)
  const refused = ['core.library.get_distinct', 'core.playback.set_state']
  const deprecated = ['core.tracklist.next_track', 'core.tracklist.previous_track']
  const offered = Object.keys(core).filter((name) => ![...refused, ...deprecated].includes(name))
  expect(Object.keys(all).sort()).toEqual(offered.sort())
  for (const [name, { description, params }] of Object.entries(all)) {
    expect(description).not.toBe('')
    // Positional calls count on the order, so refused parameters stay in their places
    expect(params.map((param) => param.name)).toEqual(core[name]?.map((param) => param.name))
  }
  expect(all['core.library.search']?.params).toEqual(core['core.library.search'])
  expect(all['core.playback.play']?.params).toEqual(core['core.playback.play'])
})

test('what somebody may not do is not announced', () => {
  const some = describe(({ capability }) => capability === 'queue.add')
  expect(Object.keys(some)).toEqual(['core.tracklist.add'])
  expect(describe(() => false)).toEqual({})
})
