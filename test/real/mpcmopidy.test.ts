import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { tunes } from './library.ts'
import { type Mopidy, startMopidy } from './mopidy.ts'
import { type House, mpcAt, openHouse, steady } from './mpc.ts'
import { until } from './tools.ts'

describe.skipIf(!inject('real').available)('mpc, as far as Mopidy goes with it', () => {
  let mopidy: Mopidy
  let house: House
  const [one = '', two = '', three = ''] = tunes.map(({ uri }) => uri)

  beforeAll(async () => {
    mopidy = await startMopidy()
    house = await openHouse({ kind: 'mopidy', http: mopidy.http, mpd: mopidy.mpd })
  })
  afterAll(async () => {
    await house?.stop()
    await mopidy?.stop()
  })

  async function reset(state: 'stopped' | 'paused'): Promise<void> {
    await mopidy.rpc('core.playback.stop')
    await mopidy.rpc('core.tracklist.clear')
    for (const option of ['random', 'repeat', 'single', 'consume'])
      await mopidy.rpc(`core.tracklist.set_${option}`, [false])
    await mopidy.rpc('core.mixer.set_volume', [50])
    await mopidy.rpc('core.tracklist.add', { uris: [one, two, three] })
    if (state === 'paused') {
      await mopidy.rpc('core.playback.play')
      await until(async () => (await mopidy.rpc('core.playback.get_state')) === 'playing')
      await mopidy.rpc('core.playback.pause')
    }
  }

  const rows: readonly (readonly [args: readonly string[], state?: 'stopped' | 'paused'])[] = [
    [['status']],
    [['status'], 'paused'],
    [['version']],
    [['stats']],
    [['current'], 'paused'],
    [['queued'], 'paused'],
    [['playlist']],
    [['add', one]],
    [['add', 'local:track:nothing']],
    [['insert', three]],
    [['del', '1']],
    [['move', '1', '3']],
    [['crop'], 'paused'],
    [['clear']],
    [['random', 'on']],
    [['repeat', 'on']],
    [['single', 'on']],
    [['consume', 'on']],
    [['volume']],
    [['volume', '30']],
    [['volume', '+5']],
    [['crossfade']],
    [['replaygain']],
    [['outputs']],
    [['disable', '1']],
    [['enable', '1']],
    [['ls']],
    [['ls', 'Local media']],
    [['listall']],
    [['lsplaylists']],
    [['list', 'artist']],
    [['search', 'any', 'dawn']],
    [['find', 'title', 'Dawn']],
    [['findadd', 'title', 'Hum']],
    [['searchadd', 'artist', 'anna']],
    [['save', 'evening']],
    [['playlist', 'evening']],
    [['load', 'evening']],
    [['rm', 'evening']],
    [['rm', 'nothing']],
    [['channels']],
    [['mount']],
    [['sticker', one, 'list']],
    [['albumart', one]],
    [['readpicture', one]],
  ]

  const cases = rows.map(([args, state = 'stopped']) => [args, state] as const)
  test.each(cases)('mpc %j (%s): as on Mopidy itself', async (args, state) => {
    const seen: unknown[] = []
    for (const mpc of [mpcAt(mopidy.mpdPort), mpcAt(house.tunnel.port, house.token('ada'))]) {
      await reset(state)
      // Each run begins with the stored playlist or without it.
      if (args[0] === 'save' || args[1] === 'evening') await mpcAt(mopidy.mpdPort)(['rm', 'evening'])
      if (args[0] !== 'save' && args[1] === 'evening') await mpcAt(mopidy.mpdPort)(['save', 'evening'])
      const finished = steady(await mpc(args, 'latin1'))
      const queue = await mopidy.rpc('core.tracklist.get_tracks')
      const volume = await mopidy.rpc('core.mixer.get_volume')
      seen.push({ ...finished, queue, volume })
    }
    expect(seen[1]).toEqual(seen[0])
  })
})
