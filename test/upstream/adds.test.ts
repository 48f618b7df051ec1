import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createCall } from '../../src/call/call.ts'
import { mopidy } from '../../src/protocol/mopidy/catalog.ts'
import { decode } from '../../src/protocol/mpd/decode.ts'
import { pibox } from '../../src/protocol/web/pibox.ts'
import { addsOf, addsOfPage } from '../../src/upstream/adds.ts'
import { createMpd, type WatchedMpd } from '../../src/upstream/mpd.ts'
import { userNamed } from './fake.ts'
import { type FakeMpd, startFakeMpd } from './fakempd.ts'

let fake: FakeMpd
let player: WatchedMpd
beforeEach(async () => {
  fake = await startFakeMpd()
  player = createMpd({ host: fake.host, port: fake.port })
})
afterEach(async () => {
  await player.close()
  await fake.close()
})

const look = (...words: string[]) => {
  const origin = { id: 'r', by: userNamed('ada'), door: 'mpd', player: 'home', at: 0 } as const
  return addsOf(player, createCall(origin, decode(words)))
}
/** What clients' lines asked, without what the gateway sets before. */
const asked = () => fake.lines.filter((line) => /^(?:listplaylist|find|search|load)/.test(line))

describe('what a command adds unnamed', () => {
  test.each([
    [['load', 'x y', '2:4', '+0'], 'listplaylist "x y"'],
    [['listplaylistinfo', 'x'], 'listplaylist "x"'],
    [['playlistlength', 'x'], 'listplaylist "x"'],
    [['searchplaylist', 'x', '(artist == "a")'], 'listplaylist "x"'],
    [
      ['findadd', 'artist', 'A "B"', 'sort', 'title', 'window', '0:9', 'position', '3'],
      'find "artist" "A \\"B\\"" "sort" "title" "window" "0:9"',
    ],
    [['searchadd', '(title contains "x")'], 'search "(title contains \\"x\\")"'],
    [['findaddpl', 'x', 'album', 'y'], 'find "album" "y"'],
    [['searchaddpl', 'x', 'album', 'y'], 'search "album" "y"'],
  ])('%j is asked for by %s', async (words, line) => {
    fake.answer = () => 'file: a/b.flac\nTitle: file: none\nfile: http://h/\nOK\n'
    expect(await look(...words)).toEqual({ adds: ['a/b.flac', 'http://h/'] })
    expect(asked()).toEqual([line])
  })

  test('is nothing where the playlist is not there: the player itself says so', async () => {
    fake.answer = () => 'ACK [50@0] {listplaylist} No such playlist\n'
    expect(await look('load', 'x')).toEqual({ adds: [] })
  })

  test('is not known where the player refuses to say it', async () => {
    fake.answer = () => 'ACK [5@0] {listplaylist} unknown command\n'
    await expect(look('load', 'x')).rejects.toMatchObject({ code: 'player-unreachable' })
    fake.answer = () => 'ACK [2@0] {find} Unknown filter type\n'
    await expect(look('findadd', 'x', 'y')).rejects.toMatchObject({
      code: 'bad-arguments',
      message: 'Unknown filter type',
    })
    fake.answer = () => 'file: a\nACK [52@0] {listplaylist} half of it\n'
    await expect(look('load', 'x')).rejects.toMatchObject({ code: 'player-unreachable' })
  })

  test('is not known where it is too much to look through', async () => {
    fake.answer = () => `${'file: a\n'.repeat(10_001)}OK\n`
    expect(await look('load', 'x')).toEqual({})
    fake.answer = () => `${`Title: ${'x'.repeat(1000)}\n`.repeat(9000)}OK\n`
    expect(await look('searchadd', 'any', '')).toEqual({})
    fake.answer = () => `${'file: a\n'.repeat(10_000)}OK\n`
    expect((await look('load', 'x')).adds).toHaveLength(10_000)
  })

  test('is asked for no other command', async () => {
    expect(await look('add', 'x')).toEqual({})
    expect(asked()).toEqual([])
  })
})

describe('what a page adds by the playlists it names', () => {
  const origin = { id: 'r', by: userNamed('ada'), door: 'http', player: 'home', at: 0 } as const
  const session = (...uris: string[]) => {
    const playlists = uris.map((uri) => ({ uri, name: 'a' }))
    return createCall(origin, { operation: pibox['POST /pibox/api/session'], args: { skipThreshold: 1, playlists } })
  }
  const answering = (...answers: unknown[]) => {
    const asked: unknown[] = []
    return {
      asked,
      ask: async (question: unknown) => {
        asked.push(question)
        return answers.shift()
      },
    }
  }

  test('is read of each; one that is not there adds nothing', async () => {
    const player = answering([{ __model__: 'Ref', uri: 'local:track:a' }, { uri: 'http://h/' }], null)
    expect(await addsOfPage(player, session('m3u:a.m3u8', 'm3u:b.m3u8'))).toEqual({
      adds: ['local:track:a', 'http://h/'],
    })
    const ask = (uri: string) => ({ operation: mopidy['core.playlists.get_items'], args: { uri } })
    expect(player.asked).toEqual([ask('m3u:a.m3u8'), ask('m3u:b.m3u8')])
  })

  test('is not known where the player says what is none, or too much', async () => {
    expect(await addsOfPage(answering('x'), session('m3u:a.m3u8'))).toEqual({})
    const many = Array.from({ length: 10_001 }, () => ({ uri: 'local:track:a' }))
    expect(await addsOfPage(answering(many), session('m3u:a.m3u8'))).toEqual({})
    expect(await addsOfPage(answering([{ uri: 7 }, null]), session('m3u:a.m3u8'))).toEqual({ adds: ['', ''] })
  })

  test('is nothing that is asked for any other call', async () => {
    const player = answering()
    const call = createCall(origin, { operation: mopidy['core.tracklist.add'], args: { uris: ['local:track:a'] } })
    expect([await addsOfPage(player, call), player.asked]).toEqual([{}, []])
  })
})
