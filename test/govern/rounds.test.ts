import { expect, test, vi } from 'vitest'
import { startRounds } from '../../src/govern/rounds.ts'
import type { AtEnd } from '../../src/policy/condition.ts'
import { compile } from '../../src/policy/policy.ts'
import { roomCeiling } from '../../src/policy/room.ts'
import { createPuppet, createStage, person, rows } from './stage.ts'

test('one clock for all players, and those without a ceiling have hours all the same', async () => {
  const stage = createStage(() => compile({ kid: { grants: [{ allow: ['*'] }] } }), 0)
  const [home, den] = [createPuppet(), createPuppet()]
  let over: AtEnd | undefined
  const players = new Map([
    ['home', home],
    ['den', den],
  ])
  const ceilingOf = (player: string) => (player === 'den' ? roomCeiling(60, { zone: 'Etc/UTC' }) : undefined)
  const rounds = startRounds(players, { ...stage.deps, ceilingOf, closing: () => over }, 5)
  stage.hear = rounds.hear
  home.behind({ volume: 95 })
  den.behind({ volume: 95 })
  stage.call(person('ben', 'kid'), rows.play)
  await vi.waitFor(() => expect(den.told).toEqual(['setvol 60']))
  over = 'stop'
  await vi.waitFor(() => expect(home.told).toEqual(['pause true']))
  await rounds.close()
  den.behind({ volume: 95 })
  expect(den.told).toEqual(['setvol 60'])
})

test('a ceiling goes by the zone of the moment, where it has none of its own', () => {
  const within = { zone: 'Etc/UTC' }
  const max = { '00:00': 20, '12:00': 60 }
  const [following, fixed] = [roomCeiling({ max }, within), roomCeiling({ max, zone: 'Etc/UTC' }, within)]
  const morning = Date.UTC(2026, 2, 10, 9)
  expect([following.at(morning), fixed.at(morning)]).toEqual([20, 20])
  within.zone = 'Asia/Tokyo'
  expect([following.at(morning), fixed.at(morning)]).toEqual([60, 20])
  expect(following.changes(morning)).toBe(Date.UTC(2026, 2, 10, 15))
})
