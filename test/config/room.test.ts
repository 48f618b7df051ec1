import { describe, expect, test } from 'vitest'
import { explain } from '../../src/config/explain.ts'
import { readConfig } from '../../src/config/load.ts'
import type { PlayerConfig } from '../../src/config/player.ts'

const read = (player: string) =>
  readConfig(
    `players:\n  home: ${player}\nroles: { owner: { grants: [{ allow: ["*"] }] } }`,
    'c.yaml',
    { env: {}, read: () => '' }, //
  )
const mpd = (maxVolume: string) => read(`{ kind: mpd, mpd: "127.0.0.1:6600", maxVolume: ${maxVolume} }`)
const said = ({ problems }: ReturnType<typeof read>) => problems.map(explain).join('\n')

describe('the ceiling of a room', () => {
  test.each<[string, PlayerConfig['maxVolume']]>([
    ['60', 60],
    ['{ max: 60 }', { max: 60 }],
    ['{ max: { "07:00": 80, "20:00": 45 } }', { max: { '07:00': 80, '20:00': 45 } }],
    ['{ max: 60, zone: Europe/Berlin }', { max: 60, zone: 'Europe/Berlin' }],
  ])('may be %s', (text, maxVolume) => {
    const { config, problems } = mpd(text)
    expect(problems).toEqual([])
    expect(config?.players.get('home')?.maxVolume).toEqual(maxVolume)
  })

  test.each([
    ['{ kind: mopidy, http: "http://127.0.0.1:6680", maxVolume: 60 }'],
    ['{ kind: go-librespot, url: "http://127.0.0.1:3678", maxVolume: 60 }'],
    ['{ kind: librespot-java, url: "http://127.0.0.1:24879", maxVolume: 60 }'],
  ])('is for players whose volume can be set: %s', (text) => expect(read(text).problems).toEqual([]))

  test('is not for a librespot, and it is said why and what to do', () => {
    expect(said(read('{ kind: librespot, onevent: true, maxVolume: 60 }'))).toContain(
      'players.home.maxVolume: the volume of this kind of player cannot be set; ' +
        'leave it out and limit the mixer behind the player, or use go-librespot',
    )
  })

  test.each([
    ['101', 'players.home.maxVolume: not a whole number from 0 to 100'],
    ['loud', 'players.home.maxVolume: not '],
    ['{ max: { "7:00": 40 } }', 'players.home.maxVolume.max.7:00: not a time of day'],
    ['{ max: 60, over: clamp }', 'unknown key "over"'],
    ['{ max: 60, zone: Europe/Berln }', 'maxVolume.zone: there is no such time zone; did you mean "Europe/Berlin"?'],
    ['{ zone: Europe/Berlin }', '"max" is missing'],
  ])('%s: %s', (text, problem) => expect(said(mpd(text))).toContain(problem))
})
