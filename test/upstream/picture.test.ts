import { afterEach, expect, test, vi } from 'vitest'
import { mopidy as rows } from '../../src/protocol/mopidy/catalog.ts'
import { createMopidy, type MopidyPlayer } from '../../src/upstream/mopidy.ts'
import { createMpd, type WatchedMpd } from '../../src/upstream/mpd.ts'
import { createOnevent } from '../../src/upstream/onevent.ts'
import { createPainter, lookAt, type Painter, type PictureLimits, type Sitter } from '../../src/upstream/picture.ts'
import type { Picture } from '../../src/upstream/player.ts'
import { openPlayer, type PlayerPlace } from '../../src/upstream/players.ts'
import { mopidySitter, mpdSitter } from '../../src/upstream/sitter.ts'
import { answer, type FakePlayer, startFakePlayer } from './fake.ts'
import { startFakeLibrespot } from './fakelibrespot.ts'
import { type FakeMpd, startFakeMpd } from './fakempd.ts'

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

const quick = { refreshMs: 10, retryMs: 20, lingerMs: 30 }
const now = () => 1_000_000

function paint(sitter: Sitter, limits: Partial<PictureLimits> = {}): Painter {
  const painter = createPainter(sitter, now, { ...quick, ...limits })
  ends.push(() => painter.close())
  return painter
}

async function mopidy(): Promise<{ fake: FakePlayer; player: MopidyPlayer; says: Record<string, unknown> }> {
  const fake = await startFakePlayer()
  ends.push(() => fake.close())
  const player = createMopidy({ url: fake.url, now: Date.now, random: () => 0, limits: { retryFirstMs: 10 } })
  ends.push(() => player.close())
  const says: Record<string, unknown> = {
    'core.playback.get_state': 'playing',
    'core.playback.get_current_track': {
      __model__: 'Track',
      uri: 'local:track:a.flac',
      name: 'Teardrop',
      artists: [
        { __model__: 'Artist', name: 'Massive Attack' },
        { __model__: 'Artist', name: 'Elizabeth Fraser' },
      ],
      album: { __model__: 'Album', name: 'Mezzanine' },
      length: 330_000,
    },
    'core.playback.get_stream_title': null,
    'core.playback.get_time_position': 1500,
    'core.mixer.get_volume': 40,
    'core.mixer.get_mute': false,
    'core.tracklist.get_random': true,
    'core.tracklist.get_repeat': false,
    'core.tracklist.get_single': false,
    'core.tracklist.get_consume': true,
    'core.library.get_images': {
      'local:track:a.flac': [
        { __model__: 'Image', uri: '/local/large.jpg', width: 1000, height: 1000 },
        { __model__: 'Image', uri: '/local/small.jpg', width: 64, height: 64 },
        { __model__: 'Image', uri: '/local/card.jpg', width: 300, height: 300 },
      ],
    },
  }
  fake.onQuestion = ({ method }) => says[method] ?? null
  return { fake, player, says }
}

async function mpd(): Promise<{ fake: FakeMpd; player: WatchedMpd }> {
  const fake = await startFakeMpd()
  ends.push(() => fake.close())
  const limits = { sweepMs: 20, retryFirstMs: 10, retryMostMs: 20 }
  const player = createMpd({ host: fake.host, port: fake.port, limits })
  ends.push(() => player.close())
  await fake.until(() => player.up)
  return { fake, player }
}

test('Mopidy in one picture', async () => {
  const { player } = await mopidy()
  expect(await lookAt(paint(mopidySitter(player, now)))).toEqual({
    state: 'playing',
    title: 'Teardrop',
    artist: 'Massive Attack, Elizabeth Fraser',
    album: 'Mezzanine',
    uri: 'local:track:a.flac',
    art: '/local/card.jpg',
    position: 1500,
    at: 1_000_000,
    duration: 330_000,
    volume: 40,
    muted: false,
    options: { random: true, repeat: false, single: false, consume: true },
  })
})

test('while nobody looks nothing is asked, and there is no picture', async () => {
  const { fake, player } = await mopidy()
  const painter = paint(mopidySitter(player, now))
  await vi.waitFor(() => expect(player.up).toBe(true))
  fake.broadcast('{"event":"playback_state_changed","new_state":"paused","old_state":"playing"}')
  expect(painter.picture).toBe(undefined)
  await player.ask({ operation: rows['core.mixer.get_mute'], args: {} })
  expect(fake.methods).toEqual(['core.mixer.get_mute'])
  await lookAt(painter)
  await vi.waitFor(() => expect(painter.picture).toBe(undefined))
  const { length } = fake.methods
  fake.broadcast('{"event":"playback_state_changed","new_state":"paused","old_state":"playing"}')
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(fake.methods).toHaveLength(length)
})

test('a hundred who look cost the player no more than one', async () => {
  const { fake, player } = await mopidy()
  const painter = paint(mopidySitter(player, now), { lingerMs: 5_000 })
  await Promise.all(Array.from({ length: 100 }, () => lookAt(painter)))
  expect(fake.methods.filter((method) => method === 'core.playback.get_state')).toHaveLength(1)
})

test('a change is seen, many at once are asked about once, and the image is asked for once', async () => {
  const { fake, player, says } = await mopidy()
  const painter = paint(mopidySitter(player, now), { refreshMs: 100 })
  let seen = 0
  ends.push(painter.onPicture(() => seen++))
  await vi.waitFor(() => expect(painter.picture).toBeDefined())
  const before = fake.methods.length
  says['core.playback.get_state'] = 'paused'
  for (let i = 0; i < 200; i++) fake.broadcast('{"event":"options_changed"}')
  await vi.waitFor(() => expect(painter.picture?.state).toBe('paused'))
  expect(seen).toBe(2)
  expect(fake.methods.length - before).toBeLessThanOrEqual(20)
  expect(fake.methods.filter((method) => method === 'core.library.get_images')).toHaveLength(1)
})

test('a knob that is turned costs no question at all', async () => {
  const { fake, player } = await mopidy()
  const painter = paint(mopidySitter(player, now))
  ends.push(painter.onPicture(() => {}))
  await vi.waitFor(() => expect(painter.picture).toBeDefined())
  const before = fake.methods.length
  for (let volume = 0; volume <= 100; volume++) fake.broadcast(`{"event":"volume_changed","volume":${volume}}`)
  fake.broadcast('{"event":"mute_changed","mute":true}')
  fake.broadcast('{"event":"seeked","time_position":90000}')
  await vi.waitFor(() => expect(painter.picture).toMatchObject({ volume: 100, muted: true, position: 90_000 }))
  expect(fake.methods).toHaveLength(before)
})

test('what Mopidy says that makes no sense is not known', async () => {
  const { player, says } = await mopidy()
  says['core.playback.get_state'] = { evil: true }
  says['core.playback.get_current_track'] = { name: `a\u202e\n${'x'.repeat(5_000)}`, uri: 7, artists: 'x', length: -1 }
  says['core.playback.get_time_position'] = '<script>'
  says['core.mixer.get_volume'] = 1e9
  says['core.mixer.get_mute'] = 'no'
  const picture = await lookAt(paint(mopidySitter(player, now)))
  expect(picture).toMatchObject({
    state: 'stopped',
    uri: null,
    art: null,
    artist: null,
    duration: null,
    position: null,
  })
  expect(picture).toMatchObject({ volume: 100, muted: null })
  expect(picture?.title?.length).toBeLessThanOrEqual(500)
  expect(picture?.title).not.toMatch(/[\u202e\n]/)
})

test('when Mopidy goes there is no picture, and one again when it is back', async () => {
  const { fake, player } = await mopidy()
  const painter = paint(mopidySitter(player, now))
  ends.push(painter.onPicture(() => {}))
  await vi.waitFor(() => expect(painter.picture).toBeDefined())
  const { port } = new URL(fake.url)
  await fake.close()
  await vi.waitFor(() => expect(painter.picture).toBe(undefined))
  const again = await startFakePlayer(Number(port))
  ends.push(() => again.close())
  again.onQuestion = ({ method }) => (method === 'core.playback.get_state' ? 'paused' : null)
  await vi.waitFor(() => expect(painter.picture?.state).toBe('paused'))
})

test('a picture does not wait for its image, and gets it when it comes', async () => {
  const { fake, player, says } = await mopidy()
  const usual = fake.onQuestion
  let late = () => {}
  fake.onQuestion = (question, socket) => {
    if (question.method !== 'core.library.get_images') return usual(question, socket)
    late = () => answer(socket, question.id, says[question.method])
    return undefined
  }
  const painter = paint(mopidySitter(player, now))
  ends.push(painter.onPicture(() => {}))
  expect(await lookAt(painter)).toMatchObject({ title: 'Teardrop', art: null })
  fake.broadcast('{"event":"options_changed"}')
  late()
  await vi.waitFor(() => expect(painter.picture?.art).toBe('/local/card.jpg'))
  expect(fake.methods.filter((method) => method === 'core.library.get_images')).toHaveLength(1)
})

test('MPD in one picture, asked in one question', async () => {
  const { fake, player } = await mpd()
  const status =
    'volume: 30\nrepeat: 1\nrandom: 0\nsingle: oneshot\nconsume: 0\nstate: pause\nelapsed: 12.345\nduration: 200.5\n'
  const song =
    'file: a/b/c.flac\nTitle: Angel\nArtist: Massive Attack\nArtist: Horace Andy\nAlbum: Mezzanine\nTime: 200\n'
  fake.answer = () => `${status}${song}OK\n`
  expect(await lookAt(paint(mpdSitter(player, now)))).toEqual({
    state: 'paused',
    title: 'Angel',
    artist: 'Massive Attack',
    album: 'Mezzanine',
    uri: 'a/b/c.flac',
    art: null,
    position: 12_345,
    at: 1_000_000,
    duration: 200_500,
    volume: 30,
    muted: null,
    options: { random: false, repeat: true, single: true, consume: false },
  })
  expect(fake.list).toEqual(['status', 'currentsong'])
})

test('MPD is asked again when its watch hears a change, and not for what is in no picture', async () => {
  const { fake, player } = await mpd()
  let state = 'stop'
  fake.answer = () => `state: ${state}\nOK\n`
  const painter = paint(mpdSitter(player, now))
  ends.push(painter.onPicture(() => {}))
  await vi.waitFor(() => expect(painter.picture?.state).toBe('stopped'))
  const asked = () => fake.lines.filter((line) => line === 'currentsong').length
  const before = asked()
  fake.change('sticker')
  fake.change('database')
  state = 'play'
  await new Promise((resolve) => setTimeout(resolve, 40))
  expect(asked()).toBe(before)
  fake.change('player')
  await vi.waitFor(() => expect(painter.picture?.state).toBe('playing'))
})

test.each([
  ['an error', 'ACK [50@0] {status} No such thing\n'],
  ['nonsense', '<html>\n'],
  ['far too much', `Title: ${'x'.repeat(80_000)}\nOK\n`],
])('MPD that answers %s has no picture', async (_, says) => {
  const { fake, player } = await mpd()
  fake.answer = () => says
  expect(await lookAt(paint(mpdSitter(player, now)), 100)).toBe(undefined)
})

test('a title nobody gave is the name of the file', async () => {
  const { fake, player } = await mpd()
  fake.answer = () => 'volume: -1\nstate: play\nfile: music/secret dir/song.mp3\nOK\n'
  expect(await lookAt(paint(mpdSitter(player, now)))).toMatchObject({ title: 'song.mp3', volume: null, position: null })
})

/** A player whose answers the test gives. */
function sitting() {
  const asked: ((picture: Partial<Picture> | Error) => void)[] = []
  let changed = () => {}
  let watched = 0
  const blank = { title: null, artist: null, album: null, uri: null, art: null, position: null, duration: null }
  const rest = { at: 0, volume: null, muted: null, options: null }
  const sitter: Sitter = {
    sit: () =>
      new Promise((resolve, reject) => {
        asked.push((answer) => {
          if (answer instanceof Error) reject(answer)
          else resolve({ state: 'stopped', ...blank, ...rest, ...answer })
        })
      }),
    watch(listener) {
      watched++
      changed = listener
      return () => watched--
    },
  }
  return { sitter, asked, change: () => changed(), watched: () => watched }
}

test('what changed while it was asked is asked again', async () => {
  const { sitter, asked, change } = sitting()
  const painter = paint(sitter)
  ends.push(painter.onPicture(() => {}))
  change()
  change()
  asked[0]?.({ state: 'playing' })
  await vi.waitFor(() => expect(asked).toHaveLength(2))
  asked[1]?.({ state: 'paused' })
  await vi.waitFor(() => expect(painter.picture?.state).toBe('paused'))
  expect(asked).toHaveLength(2)
})

test('one question at a time, however slow the answer', async () => {
  const { sitter, asked, change } = sitting()
  ends.push(paint(sitter).onPicture(() => {}))
  for (let i = 0; i < 5; i++) {
    change()
    await new Promise((resolve) => setTimeout(resolve, 15))
  }
  expect(asked).toHaveLength(1)
})

test('the same picture is told to nobody', async () => {
  const { sitter, asked, change } = sitting()
  const painter = paint(sitter)
  let seen = 0
  ends.push(painter.onPicture(() => seen++))
  asked[0]?.({ title: 'a' })
  await vi.waitFor(() => expect(seen).toBe(1))
  change()
  await vi.waitFor(() => expect(asked).toHaveLength(2))
  asked[1]?.({ title: 'a', at: 99 })
  change()
  await vi.waitFor(() => expect(asked).toHaveLength(3))
  asked[2]?.({ title: 'b' })
  await vi.waitFor(() => expect(seen).toBe(2))
})

test('after a failure it is asked again, while somebody looks and after close no more', async () => {
  const { sitter, asked, watched } = sitting()
  const painter = paint(sitter)
  ends.push(painter.onPicture(() => {}))
  asked[0]?.(new Error('no'))
  await vi.waitFor(() => expect(asked).toHaveLength(2))
  painter.close()
  expect(watched()).toBe(0)
  asked[1]?.({ title: 'late' })
  await new Promise((resolve) => setTimeout(resolve, 40))
  expect(painter.picture).toBe(undefined)
  expect(asked).toHaveLength(2)
})

test('who comes back soon finds the picture as it was kept', async () => {
  const { sitter, asked, watched } = sitting()
  const painter = paint(sitter, { lingerMs: 1_000 })
  const look = lookAt(painter)
  asked[0]?.({ title: 'a' })
  expect((await look)?.title).toBe('a')
  expect((await lookAt(painter, 1))?.title).toBe('a')
  expect(asked).toHaveLength(1)
  expect(watched()).toBe(1)
})

const log = { warn() {}, info() {} }

test('each kind of player is opened with all it has', async () => {
  const lib = await startFakeLibrespot('go-librespot')
  ends.push(() => lib.close())
  const kinds: [PlayerPlace, readonly string[]][] = [
    [{ kind: 'mopidy', http: 'http://127.0.0.1:1', mpd: '127.0.0.1:1' }, ['rpc', 'mpd', 'picture']],
    [{ kind: 'mopidy', http: 'http://127.0.0.1:1' }, ['rpc', 'picture']],
    [{ kind: 'mpd', mpd: '[::1]:1' }, ['mpd', 'picture']],
    [{ kind: 'go-librespot', url: lib.url }, ['rest', 'picture']],
    [{ kind: 'librespot-java', url: 'http://127.0.0.1:1' }, ['rest', 'picture']],
    [{ kind: 'librespot', zeroconf: 'http://127.0.0.1:1' }, ['zeroconf']],
    [{ kind: 'librespot', onevent: true }, ['onevent', 'picture']],
  ]
  const onevent = createOnevent({ path: '/nowhere/at/all', now })
  for (const [place, ways] of kinds) {
    const player = openPlayer('home', place, { log, now, onevent })
    const { rpc, mpd, rest, zeroconf, onevent: told, picture } = player
    const has = Object.entries({ rpc, mpd, rest, zeroconf, onevent: told, picture })
    expect(has.filter(([, way]) => way).map(([name]) => name)).toEqual(ways)
    if (place.kind === 'go-librespot') await vi.waitFor(() => expect(player.up).toBe(true))
    else expect(player.up).toBe(false)
    await player.close()
  }
})
