import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createCall } from '../../../src/call/call.ts'
import type { Catalog, Operation } from '../../../src/call/catalog.ts'
import { rebuildAnswer } from '../../../src/protocol/librespot/answers.ts'
import { goAnswers, goLibrespot } from '../../../src/protocol/librespot/go.ts'
import { isId } from '../../../src/protocol/librespot/id.ts'
import { javaAnswers, librespotJava } from '../../../src/protocol/librespot/java.ts'
import { resolveVolume } from '../../../src/protocol/librespot/volume.ts'
import { encodeRest } from '../../../src/protocol/rest/encode.ts'
import { again, codeOf, receive, sent } from '../rest/wire.ts'
import { knownRows } from './rows.ts'

const song = 'spotify:track:4uLU6hMCjMI75M1A2tKUQC'
const album = 'spotify:album:1DFixLWuPkv3KT3TnV35m3'
const origin = { id: 'r', by: { kind: 'anonymous', from: '::1' }, door: 'http', player: 'home', at: 0 } as const
const form = 'application/x-www-form-urlencoded'

const players = [
  ['go-librespot', goLibrespot, 'librespot/go.txt'],
  ['librespot-java', librespotJava, 'librespot/java.txt'],
] as const satisfies readonly (readonly [string, Catalog, string])[]

describe.each(players)('%s', (_, rows: Catalog, path) => {
  const known = knownRows(path)

  test('has a row for each call that is known, and none is made up', () => {
    expect(Object.keys(rows)).toEqual(known.map(({ name }) => name))
  })

  test.each(known)('$name takes $takes and $params', ({ name, takes, params }) => {
    const row = rows[name]
    if (takes === 'refused') expect(row?.refused).toEqual(expect.any(String))
    else expect([row?.capability, row?.refused]).toEqual([takes, undefined])
    const names = Object.entries(row?.params ?? {}).map(([param, { count }]) => (count === 'one' ? param : `${param}?`))
    expect(names).toEqual(params)
  })

  test('what nobody may call raises an alarm', () => {
    for (const row of Object.values(rows)) if (row.refused !== undefined) expect(row.alarm, row.name).toBe(true)
  })
})

test('what reads has an answer, what commands has none', () => {
  const reads = (rows: Catalog) =>
    Object.values(rows).filter(({ capability, name }) => capability.endsWith('.read') && name !== 'GET /events')
  for (const row of reads(goLibrespot)) expect(goAnswers.has(row), row.name).toBe(true)
  for (const row of reads(librespotJava)) expect(javaAnswers.has(row), row.name).toBe(true)
  expect(rebuildAnswer(goLibrespot['POST /player/pause'], { secret: 1 })).toBeUndefined()
})

/** A call of each row that may be sent. */
const samples: readonly (readonly [Catalog, string, string, string])[] = [
  [goLibrespot, 'GET /', '', 'GET /'],
  [goLibrespot, 'GET /status', '', 'GET /status'],
  [goLibrespot, 'GET /player/volume', '', 'GET /player/volume'],
  [goLibrespot, 'GET /events', '', 'GET /events'],
  [goLibrespot, 'POST /player/resume', '', 'POST /player/resume'],
  [goLibrespot, 'POST /player/pause', '{}', 'POST /player/pause'],
  [goLibrespot, 'POST /player/playpause', '', 'POST /player/playpause'],
  [goLibrespot, 'POST /player/seek', '{"position":5000}', '{"position":5000}'],
  [goLibrespot, 'POST /player/seek', '{"relative":true,"position":-5000}', '{"position":-5000,"relative":true}'],
  [goLibrespot, 'POST /player/repeat_context', '{"repeat_context":true}', '{"repeat_context":true}'],
  [goLibrespot, 'POST /player/repeat_track', '{"repeat_track":false}', '{"repeat_track":false}'],
  [goLibrespot, 'POST /player/shuffle_context', '{"shuffle_context":true}', '{"shuffle_context":true}'],
  [goLibrespot, 'POST /player/next', '', 'POST /player/next · application/json · {}'],
  [goLibrespot, 'POST /player/next', `{"uri":"${song}"}`, `{"uri":"${song}"}`],
  [goLibrespot, 'POST /player/prev', '', 'POST /player/prev'],
  [goLibrespot, 'POST /player/add_to_queue', `{"uri":"${song}"}`, `{"uri":"${song}"}`],
  [
    goLibrespot,
    'POST /player/play',
    `{"position":1,"paused":true,"skip_to_uri":"${song}","uri":"${album}"}`,
    `{"uri":"${album}","skip_to_uri":"${song}","paused":true,"position":1}`,
  ],
  [goLibrespot, 'POST /player/stop', '', 'POST /player/stop'],
  [goLibrespot, 'POST /set_device_name', '{"name":"Küche"}', '{"name":"Küche"}'],
  [librespotJava, 'POST /player/load', `{"uri":"${album}","play":true}`, `uri=${encodeURIComponent(album)}&play=true`],
  [librespotJava, 'POST /player/load', `shuffle=true&uri=${album}`, `uri=${encodeURIComponent(album)}&shuffle=true`],
  ...['play-pause', 'pause', 'resume', 'next', 'prev', 'volume-up', 'volume-down', 'current'].map(
    (name) => [librespotJava, `POST /player/${name}`, '', `POST /player/${name} · ${form} · `] as const,
  ),
  [librespotJava, 'POST /player/seek', 'pos=0', ' · pos=0'],
  [librespotJava, 'POST /player/set-volume', 'volume=65536', ' · volume=65536'],
  [librespotJava, 'POST /player/set-volume', 'step=-3', ' · step=-3'],
  [librespotJava, 'POST /player/shuffle', 'val=false', ' · val=false'],
  [librespotJava, 'POST /player/repeat', 'val=context', ' · val=context'],
  [librespotJava, 'POST /player/tracks', 'withQueue=true', ' · withQueue=true'],
  [librespotJava, 'POST /player/tracks', '', ' · '],
  [librespotJava, 'POST /player/addToQueue', `uri=${song}`, `uri=${encodeURIComponent(song)}`],
  [librespotJava, 'POST /player/removeFromQueue', `uri=${song}`, `uri=${encodeURIComponent(song)}`],
  [librespotJava, `POST /metadata/album/${album}`, '', `POST /metadata/album/${album} · ${form} · `],
  [librespotJava, 'POST /search/a%20b%26c', '', `POST /search/a%20b%26c · ${form} · `],
  [librespotJava, 'GET /instance', '', 'GET /instance'],
  [librespotJava, 'GET /events', '', 'GET /events'],
  [librespotJava, 'POST /instance/close', '', `POST /instance/close · ${form} · `],
  [librespotJava, 'POST /profile/some.one/followers', '', `POST /profile/some.one/followers · ${form} · `],
  [librespotJava, 'POST /profile/some.one/following', '', `POST /profile/some.one/following · ${form} · `],
  [librespotJava, 'POST /discovery/list', '', `POST /discovery/list · ${form} · `],
]

const typeOf = (body: string) => (body.startsWith('{') || body === '' ? 'application/json' : form)

describe('what is sent', () => {
  test.each(samples)('%#: %s', (rows, line, body, wire) => {
    const request = receive(rows, line, body, typeOf(body))
    expect(sent(request)).toContain(wire)
    const back = again(rows, request)
    expect(back.operation).toBe(request.operation)
    expect(back.args).toEqual(request.args)
  })

  test('every row that may be sent was', () => {
    const tried = new Set(samples.map(([rows, line, body]) => receive(rows, line, body, typeOf(body)).operation))
    const all: readonly Operation[] = [...Object.values(goLibrespot), ...Object.values(librespotJava)]
    const left = all.filter((row) => row.refused === undefined && row.needs !== 'steps' && !tried.has(row))
    expect(left.map(({ name }) => name)).toEqual([])
  })
})

describe('what is refused', () => {
  const go: [code: string, line: string, body?: string, type?: string][] = [
    ['bad-arguments', 'POST /player/seek', '{"position":-1}'],
    ['bad-arguments', 'POST /player/seek', '{"position":-1,"relative":false}'],
    ['bad-arguments', 'POST /player/seek', '{"position":86400001}'],
    ['bad-arguments', 'POST /player/seek', '{"position":1.5}'],
    ['bad-arguments', 'POST /player/seek', '{"position":"1"}'],
    ['malformed', 'POST /player/seek', '{"position":1e999}'],
    ['bad-arguments', 'POST /player/seek', '{}'],
    ['bad-arguments', 'POST /player/seek', ''],
    ['bad-arguments', 'POST /player/repeat_track', '{"repeat_context":true}'],
    ['bad-arguments', 'POST /player/repeat_track', '{"repeat_track":true,"Repeat_Track":false}'],
    ['malformed', 'POST /player/repeat_track', '{"repeat_track":true,"repeat_track":false}'],
    ['bad-arguments', 'POST /player/repeat_track', '{"repeat_track":null}'],
    ['bad-arguments', 'POST /player/next', '{"uri":""}'],
    ['bad-arguments', 'POST /player/next', '{"uri":null}'],
    ['bad-arguments', 'POST /player/next', `{"Uri":"${song}"}`],
    ['bad-arguments', 'POST /player/next', `{"uri":"${album}"}`],
    ['bad-arguments', 'POST /player/prev', `{"uri":"${song}"}`],
    ['bad-arguments', 'POST /player/add_to_queue', '{"uri":"spotify:track:../../../etc/passwd...."}'],
    ['bad-arguments', 'POST /player/add_to_queue', `{"uri":"${song}\\n"}`],
    ['bad-arguments', 'POST /player/add_to_queue', `{"uri":" ${song}"}`],
    ['bad-arguments', 'POST /player/add_to_queue', `{"uri":"${song.toUpperCase()}"}`],
    ['bad-arguments', 'POST /player/add_to_queue', '{"uri":"spotify:track:7N42dgm5tFLK9N8MT7fHC8"}'],
    ['fine', 'POST /player/add_to_queue', '{"uri":"spotify:track:7N42dgm5tFLK9N8MT7fHC7"}'],
    ['bad-arguments', 'POST /player/play', '{"uri":"spotify:user:4uLU6hMCjMI75M1A2tKUQC"}'],
    ['bad-arguments', 'POST /player/play', '{"uri":"file:///etc/passwd"}'],
    ['bad-arguments', 'POST /player/play', `{"uri":"${album}","skip_to_uri":"${album}"}`],
    ['bad-arguments', 'POST /player/play', `{"uri":"${album}","skip_to_uri":""}`],
    ['bad-arguments', 'POST /player/play', `{"uri":"${album}","position":-1}`],
    ['bad-arguments', 'POST /player/volume', '{"volume":65538}'],
    ['bad-arguments', 'POST /player/volume', '{"volume":-1}'],
    ['bad-arguments', 'POST /player/volume', '{"volume":0.5}'],
    ['bad-arguments', 'POST /player/volume', '{}'],
    ['bad-arguments', 'POST /player/volume', '{"volume":5,"relative":1}'],
    ['bad-arguments', 'POST /set_device_name', '{"name":""}'],
    ['bad-arguments', 'POST /set_device_name', '{"name":"a\\nb"}'],
    ['bad-arguments', 'POST /set_device_name', `{"name":"${'é'.repeat(32)}"}`],
    ['fine', 'POST /set_device_name', `{"name":"${'é'.repeat(31)}"}`],
    ['unknown-operation', 'POST /status'],
    ['unknown-operation', 'GET /player/pause'],
    ['unknown-operation', 'POST /player/pause/'],
    ['unknown-operation', 'POST /player//pause'],
    ['unknown-operation', 'POST /player/x/../pause'],
    ['unknown-operation', 'POST /player/%70ause'],
    ['unknown-operation', 'POST /Player/Pause'],
    ['bad-arguments', 'POST /player/pause?x=1'],
    ['malformed', 'POST /player/volume', 'volume=5', form],
  ]
  test.each(go)('go-librespot: %s: %s %s', (code, line, body, type) => {
    expect(codeOf(() => receive(goLibrespot, line, body, type))).toBe(code)
  })

  const java: [code: string, line: string, body?: string][] = [
    ['bad-arguments', 'POST /player/pause', 'cmd=load'],
    ['bad-arguments', 'POST /player/pause', `cmd=load&uri=${album}`],
    ['bad-arguments', 'POST /player/pause?cmd=load', ''],
    ['bad-arguments', `POST /metadata/track/${song}`, 'uri=x'],
    ['bad-arguments', `POST /metadata/track/${song}`, 'type=album'],
    ['bad-arguments', `POST /metadata/constructor/${song}`, ''],
    ['unknown-operation', 'POST /metadata/track/x%2fy', ''],
    ['bad-arguments', 'POST /metadata/track/spotify:track:7N42dgm5tFLK9N8MT7fHC8', ''],
    ['unknown-operation', 'POST /search/', ''],
    ['unknown-operation', 'POST /search/..', ''],
    ['unknown-operation', 'POST /search/a%252fb', ''],
    ['bad-arguments', 'POST /player/seek', 'pos=-1'],
    ['bad-arguments', 'POST /player/seek', 'pos=1e3'],
    ['bad-arguments', 'POST /player/seek', 'pos='],
    ['malformed', 'POST /player/seek', 'pos=1&pos=2'],
    ['bad-arguments', 'POST /player/set-volume', ''],
    ['bad-arguments', 'POST /player/set-volume', 'volume=1&step=1'],
    ['bad-arguments', 'POST /player/set-volume', 'volume=65537'],
    ['bad-arguments', 'POST /player/set-volume', 'volume=-1'],
    ['bad-arguments', 'POST /player/set-volume', 'step=0'],
    ['bad-arguments', 'POST /player/shuffle', 'val=1'],
    ['bad-arguments', 'POST /player/repeat', 'val=true'],
    ['unknown-operation', 'POST /instance', ''],
    ['unknown-operation', 'POST /instance/other', ''],
    ['unknown-operation', 'GET /player/pause', ''],
  ]
  test.each(java)('librespot-java: %s: %s %s', (code, line, body) => {
    expect(codeOf(() => receive(librespotJava, line, body, form))).toBe(code)
  })

  test.each([
    [goLibrespot, 'POST /token'],
    [goLibrespot, 'GET /web-api/v1/me?x=1'],
    [goLibrespot, 'DELETE /web-api/v1/me'],
    [goLibrespot, 'POST /player/output'],
    [librespotJava, 'POST /token/playlist-read'],
    [librespotJava, 'GET /web-api/v1/me'],
    [librespotJava, 'POST /instance/terminate'],
  ] as const)('%#: %s raises an alarm whatever came with it', (rows, line) => {
    for (const body of ['', '{"device":"x"}', '[1]']) {
      const call = createCall(origin, receive(rows, line, body))
      expect(call.refused).toEqual(expect.any(String))
      expect(call.operation.alarm).toBe(true)
    }
  })
})

describe('what a call takes and touches', () => {
  const call = (rows: Catalog, line: string, body = '') => createCall(origin, receive(rows, line, body, typeOf(body)))
  test('to skip to a song is to skip and to add, and is told from what is loaded', () => {
    const plain = call(goLibrespot, 'POST /player/next')
    expect([plain.capability, plain.also, plain.operation.needs]).toEqual(['playback.skip', [], 'track'])
    const there = call(goLibrespot, 'POST /player/next', `{"uri":"${song}"}`)
    expect([there.capability, there.also, there.touches.uri]).toEqual(['playback.skip', ['queue.add'], [song]])
    expect(goLibrespot['POST /player/prev'].needs).toBe('track')
  })
  test('both addresses of play are seen', () => {
    expect(call(goLibrespot, 'POST /player/play', `{"uri":"${album}","skip_to_uri":"${song}"}`).touches.uri).toEqual([
      album,
      song,
    ])
  })
  test('to load shuffled is to set an option as well', () => {
    expect(call(librespotJava, 'POST /player/load', `uri=${album}`).also).toEqual([])
    expect(call(librespotJava, 'POST /player/load', `uri=${album}&shuffle=false`).also).toEqual(['options.set'])
  })
  test('an address in a path is one', () => {
    expect(call(librespotJava, `POST /metadata/album/${album}`).touches.uri).toEqual([album])
  })
  test.each([
    ['volume=0', [0]],
    ['volume=1', [1]],
    ['volume=26214', [40]],
    ['volume=26215', [41]],
    ['volume=65536', [100]],
    ['step=1', []],
  ])("librespot-java's %s is %j percent", (body, percent) => {
    expect(call(librespotJava, 'POST /player/set-volume', body).touches.volume).toEqual(percent)
  })
})

describe("go-librespot's volume", () => {
  const live = { volume: 30, steps: 64 }
  const ask = (body: string) => receive(goLibrespot, 'POST /player/volume', body)
  const resolved = (body: string, at = live) => {
    const request = resolveVolume(ask(body), at)
    return [encodeRest(request).body, createCall(origin, request).touches.volume]
  }

  test.each([
    ['{"volume":0}', '{"volume":0}', [0]],
    ['{"volume":1}', '{"volume":1}', [2]],
    ['{"volume":32}', '{"volume":32}', [50]],
    ['{"volume":64}', '{"volume":64}', [100]],
    ['{"volume":5,"relative":true}', '{"volume":35}', [55]],
    ['{"volume":-5,"relative":true}', '{"volume":25}', [40]],
    ['{"volume":-500,"relative":true}', '{"volume":0}', [0]],
    ['{"volume":65535,"relative":true}', '{"volume":64}', [100]],
    ['{"volume":5,"relative":false}', '{"volume":5}', [8]],
  ])('%s is sent as %s and is %j percent', (body, wire, percent) => expect(resolved(body)).toEqual([wire, percent]))

  test('beyond its steps there is none', () => {
    expect(codeOf(() => resolved('{"volume":65}'))).toBe('bad-arguments')
    expect(codeOf(() => resolved('{"volume":65535}'))).toBe('bad-arguments')
  })

  test('nothing is sent while it is not known where it stands', () => {
    expect(codeOf(() => resolveVolume(ask('{"volume":5}'), undefined))).toBe('player-unreachable')
    for (const at of [
      { volume: 0, steps: 0 },
      { volume: 5, steps: 4 },
      { volume: -1, steps: 4 },
      { volume: 0.5, steps: 4 },
      { volume: Number.NaN, steps: 4 },
    ]) {
      expect(codeOf(() => resolveVolume(ask('{"volume":1,"relative":true}'), at))).toBe('player-unreachable')
    }
  })

  test('unresolved it shows no percent, and is never written', () => {
    expect(createCall(origin, ask('{"volume":5}')).touches.volume).toEqual([])
    expect(codeOf(() => encodeRest(ask('{"volume":5}')))).toBe('player-unreachable')
  })

  test('any other request stays what it is', () => {
    const pause = receive(goLibrespot, 'POST /player/pause')
    expect(resolveVolume(pause, undefined)).toBe(pause)
  })

  test('resolved it is always a step there is, and no percent says less than it is', () => {
    const steps = fc.integer({ min: 1, max: 65_535 })
    const given = fc.record({ volume: fc.integer({ min: -65_535, max: 65_535 }), relative: fc.boolean() })
    fc.assert(
      fc.property(steps, fc.nat(), given, (steps, at, { volume, relative }) => {
        const request = { operation: goLibrespot['POST /player/volume'], args: { volume, relative } }
        let result: ReturnType<typeof resolveVolume>
        try {
          result = resolveVolume(request, { volume: at % (steps + 1), steps })
        } catch {
          expect(!relative && (volume < 0 || volume > steps)).toBe(true)
          return
        }
        const to = Number(result.args.volume)
        expect(Number.isInteger(to) && to >= 0 && to <= steps).toBe(true)
        const [percent = -1] = createCall(origin, result).touches.volume ?? []
        expect(percent * steps).toBeGreaterThanOrEqual(to * 100)
        expect(percent).toBeLessThanOrEqual(100)
      }),
    )
  })
})

describe('ids are numbers below 2^128', () => {
  const digits = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'
  const write = (number: bigint) => {
    let [text, rest] = ['', number]
    for (let i = 0; i < 22; i++) {
      text = `${digits[Number(rest % 62n)]}${text}`
      rest /= 62n
    }
    return text
  }
  const end = 2n ** 128n
  test('around the end', () => {
    expect(write(end - 1n)).toBe('7N42dgm5tFLK9N8MT7fHC7')
    for (let i = 1n; i < 200n; i++) {
      expect(isId(write(end - i))).toBe(true)
      expect(isId(write(end - 1n + i))).toBe(false)
    }
  })
  test('anywhere', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 62n ** 22n - 1n }), (number) => isId(write(number)) === number < end),
    )
  })
  test.each([
    '',
    '4uLU6hMCjMI75M1A2tKUQ',
    '4uLU6hMCjMI75M1A2tKUQCC',
    '4uLU6hMCjMI75M1A2tKUQ-',
    '4uLU6hMCjMI75M1A2tKUQ\n',
  ])('%j is none', (text) => expect(isId(text)).toBe(false))
})

describe('answers', () => {
  const status = {
    username: 'whose',
    device_id: 'which',
    device_type: 'computer',
    device_name: 'Study',
    play_origin: 'go-librespot',
    stopped: false,
    paused: true,
    buffering: false,
    volume: 30,
    volume_steps: 100,
    repeat_context: false,
    repeat_track: false,
    shuffle_context: false,
    track: {
      uri: song,
      name: 'A\nB',
      artist_names: ['C'],
      album_name: 'D',
      album_cover_url: null,
      position: 1,
      duration: 2,
    },
    token: 'secret',
  }
  test("go-librespot's status says neither whose it is nor which", () => {
    const answer = JSON.stringify(rebuildAnswer(goLibrespot['GET /status'], status))
    for (const secret of ['whose', 'which', 'secret', 'username', 'device_id']) expect(answer).not.toContain(secret)
    expect(JSON.parse(answer)).toMatchObject({ device_name: 'Study', volume: 30, track: { name: 'A B' } })
  })
  test('nothing loaded, no session', () => {
    expect(rebuildAnswer(goLibrespot['GET /status'], { ...status, track: null })).toMatchObject({ track: null })
    expect(rebuildAnswer(goLibrespot['GET /status'], undefined)).toBeUndefined()
  })
  test.each([
    [{ ...status, volume: '30' }],
    [{ ...status, track: { uri: 1 } }],
    [{ ...status, track: undefined }],
    [[]],
    ['x'],
    [{}],
  ])('%#: one of another shape is none', (value) => {
    // What is undefined is not there: JSON has no such thing.
    const wire: unknown = JSON.parse(JSON.stringify(value))
    expect(codeOf(() => rebuildAnswer(goLibrespot['GET /status'], wire))).toBe('player-unreachable')
  })
  test("librespot-java's instance says its name and kind", () => {
    const instance = {
      device_id: 'which',
      device_name: 'Attic',
      device_type: 'COMPUTER',
      country_code: 'DE',
      preferred_locale: 'de',
    }
    expect(rebuildAnswer(librespotJava['GET /instance'], instance)).toEqual({
      device_name: 'Attic',
      device_type: 'COMPUTER',
    })
  })
  test('what is playing, without the files it is made of', () => {
    const track = { name: 'A', gid: 'ab', file: [{ fileId: 'secret' }], artist: [{ gid: 'x', name: 'B' }] }
    expect(rebuildAnswer(librespotJava['POST /player/current'], { current: song, trackTime: 5, track })).toEqual({
      current: song,
      trackTime: 5,
      track: { name: 'A', gid: 'ab', artist: [{ gid: 'x', name: 'B' }] },
    })
  })
})
