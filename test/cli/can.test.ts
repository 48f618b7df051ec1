import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { run as can } from '../../src/cli/can.ts'
import { run as check } from '../../src/cli/check.ts'
import type { Command } from '../../src/cli/command.ts'
import { run as matrix } from '../../src/cli/matrix.ts'
import { run as schema } from '../../src/cli/schema.ts'
import { ConfigFile } from '../../src/config/schema.ts'
import { openAccounts } from '../../src/store/accounts.ts'

const dir = mkdtempSync(join(tmpdir(), 'stagedoor-'))
afterAll(() => rmSync(dir, { recursive: true }))
const shipped = 'config/stagedoor.yaml'

async function call(command: Command, args: readonly string[], { config = shipped, data = join(dir, 'none') } = {}) {
  const out: string[] = []
  const err: string[] = []
  const status = await command(args, {
    out: (line) => out.push(line),
    err: (line) => err.push(line),
    stdin: async () => '',
    config,
    data,
    env: {},
    now: () => 0,
  })
  return { status, out: out.join('\n'), err: err.join('\n') }
}

describe('can', () => {
  test.each<[0 | 1, string, string, string, string?]>([
    [0, 'kid', 'mpd', 'setvol 40'],
    [1, 'kid', 'mpd', 'setvol 41'],
    [1, 'kid', 'mpd', 'volume +1'],
    [0, 'kid', 'mpd', 'play'],
    [1, 'kid', 'mpd', 'play 3'],
    [0, 'kid', 'rpc', 'core.mixer.set_volume', '[40]'],
    [1, 'kid', 'rpc', 'core.mixer.set_volume', '[41]'],
    [1, 'kid', 'rpc', 'core.mixer.set_volume', '{"volume":41}'],
    [1, 'kid', 'rpc', 'core.mixer.set_mute [false]'],
    [1, 'guest', 'rpc', 'core.tracklist.add', '{"uris":["file:///x"]}'],
    [1, 'guest', 'rpc', 'core.library.lookup', '{"uris":["http://127.0.0.1:6680/"]}'],
    [0, 'guest', 'rpc', 'core.tracklist.add', '{"uris":["spotify:track:x"]}'],
    [1, 'member', 'mpd', 'add "http://127.0.0.1:6680/"'],
    [1, 'member', 'mpd', 'add FILE:///etc/passwd'],
    [1, 'member', 'mpd', 'albumart "http://127.0.0.1/#/y" 0'],
    [0, 'member', 'mpd', 'add "Artist/Album/01.flac"'],
    [1, 'member', 'mpd', 'kill'],
    [0, 'owner', 'mpd', 'kill'],
    [1, 'owner', 'rpc', 'core.playback.set_state', '["playing"]'],
    [1, 'owner', 'mpd', 'nonsense'],
    [1, 'owner', 'rpc', 'core.mixer.set_volume', '{"volume":1,"volume":2}'],
  ])('%i: %s %s %s %s', async (status, ...words) => {
    const result = await call(
      can,
      words.filter((word) => word !== undefined),
    )
    expect(`${result.status} ${result.out}`).toMatch(status ? /^1 (?:denied: |depends on )/ : /^0 allowed: /)
    expect(result.err).toBe('')
  })

  const family = join(dir, 'family.yaml')
  const more = [
    'home: { kind: mopidy, http: "http://127.0.0.1:6680", mpd: "127.0.0.1:6600", web: [iris, party] }',
    'study: { kind: go-librespot, url: "http://127.0.0.1:3678" }',
    'attic: { kind: librespot-java, url: "http://127.0.0.1:24879" }',
    'bath: { kind: librespot, zeroconf: "http://127.0.0.1:5355" }',
  ]
  writeFileSync(
    family,
    readFileSync(shipped, 'utf8').replace(/^ {2}home: .*$/m, more.map((row) => `  ${row}`).join('\n')),
  )
  test.each<[0 | 1, string, string, string?]>([
    [0, 'kid', 'POST /player/volume {"volume":40}'],
    [1, 'kid', 'POST /player/volume {"volume":41}'],
    [1, 'kid', 'POST /player/volume {"volume":1,"relative":true}'],
    [1, 'kid', 'POST /player/volume {"volume":65538}'],
    [0, 'owner', 'POST /player/volume {"volume":100}'],
    [1, 'owner', 'POST /player/volume {"volume":1,"VOLUME":100}'],
    [1, 'owner', 'POST /player/volume {"volume":1,"volume":100}'],
    [0, 'member', 'POST /player/next'],
    [0, 'member', 'POST /player/next', '{"uri":"spotify:track:4uLU6hMCjMI75M1A2tKUQC"}'],
    [1, 'kid', 'POST /player/next', '{"uri":"spotify:track:4uLU6hMCjMI75M1A2tKUQC"}'],
    [1, 'owner', 'POST /token'],
    [1, 'owner', 'GET /web-api/v1/me'],
    [0, 'kid', 'POST /player/pause'],
    [0, 'kid', 'POST /player/set-volume volume=26214'],
    [1, 'kid', 'POST /player/set-volume volume=26215'],
    [1, 'kid', 'POST /player/volume-up'],
    [0, 'owner', 'POST /player/set-volume step=3'],
    [0, 'guest', 'GET /?action=getInfo', '--player=bath'],
    [1, 'owner', 'POST / action=addUser&userName=a&blob=x&clientKey=y', '--player=bath'],
    [0, 'guest', 'GET /players/home/state'],
    [0, 'guest', 'GET /iris/'],
    [1, 'member', 'POST /iris/http/restart'],
    [1, 'owner', 'POST /iris/http/run_command {"id":1}'],
    [0, 'guest', 'POST /party/add local:track:a.flac'],
    [1, 'guest', 'POST /party/add file:///etc/passwd'],
    [1, 'owner', 'GET /nonsense'],
  ])('%i: %s rest %s %s', async (status, who, ...words) => {
    const given = words.filter((word) => word !== undefined)
    const result = await call(can, [who, 'rest', ...given], { config: family })
    expect(`${result.status} ${result.out}`).toMatch(status ? /^1 (?:denied: |depends on )/ : /^0 allowed: /)
    expect(result.err).toBe('')
  })

  test('names every capability that a call takes', async () => {
    const words = ['member', 'rest', 'POST /player/next {"uri":"spotify:track:4uLU6hMCjMI75M1A2tKUQC"}']
    expect((await call(can, words, { config: family })).out).toMatch(/^allowed: playback\.skip and queue\.add at study/)
  })

  test('names the rule and its line', async () => {
    expect((await call(can, ['kid', 'mpd', 'setvol 90'])).out).toMatch(
      /^denied: not allowed: maxVolume 40\n {2}by roles\.kid\.grants\[2\]\.when\.maxVolume \(config\/stagedoor\.yaml:\d+\)$/,
    )
    expect(JSON.parse((await call(can, ['kid', 'mpd', 'setvol 9', '--json'])).out)).toMatchObject({
      allowed: true,
      rule: 'roles.kid.grants[2]',
      where: expect.stringMatching(/^config\/stagedoor\.yaml:\d+$/),
    })
  })

  const night = join(dir, 'night.yaml')
  writeFileSync(
    night,
    `players: { study: { kind: go-librespot, url: "http://127.0.0.1:3678" } }
roles:
  kid:
    grants:
      - allow: [volume.set]
        when: { maxVolume: { max: { "07:00": 60, "20:00": 40 }, zone: Europe/Berlin } }
  soft: { grants: [{ allow: [volume.set], when: { maxVolume: { max: 40, over: clamp } } }] }
  slow: { grants: [{ allow: [volume.set], when: { maxVolume: { max: { "07:00": 60, "20:00": 40 }, over: scale, zone: UTC } } }] }
  seen: { mode: observe, grants: [{ allow: [status.read] }] }
`,
  )
  const set = (level: number) => ['rest', `POST /player/volume {"volume":${level}}`]
  const at = (who: string, [door = '', command = '']: readonly string[], ...more: string[]) =>
    call(can, [who, door, command, ...more], { config: night })

  test('says when the answer changes, and to what', async () => {
    const { out } = await at('kid', set(50), '--at', '2030-01-31T21:00+01:00')
    expect(out).toMatch(
      /^denied: not allowed: maxVolume 40 until .*07:00\n {2}by roles\.kid\.grants\[0\]\.when\.maxVolume \(.*night\.yaml:6\)\n {2}from .*: allowed, volume 50 \(.*\)$/,
    )
    expect(JSON.parse((await at('kid', set(50), '--at', '2030-01-31T21:00+01:00', '--json')).out)).toMatchObject({
      allowed: false,
      changes: { at: '2030-02-01T06:00:00.000Z', allowed: true, volume: 50 },
    })
    expect(JSON.parse((await at('kid', set(50), '--at', '2030-01-31T12:00Z', '--json')).out)).toMatchObject({
      allowed: true,
      changes: { at: '2030-01-31T19:00:00.000Z', allowed: false },
    })
    expect(JSON.parse((await at('kid', set(30), '--json')).out)).toMatchObject({ allowed: true, changes: null })
  })

  test('says what is set in place of what was asked for', async () => {
    expect((await at('soft', set(90))).out).toMatch(/^allowed: volume\.set at study, volume 40\n/)
    expect(JSON.parse((await at('slow', set(50), '--at', '2030-01-31T12:00Z', '--json')).out)).toMatchObject({
      volume: 30,
      changes: { at: '2030-01-31T20:00:00.000Z', allowed: true, volume: 20 },
    })
  })

  test('says of a role that it is only observed', async () => {
    expect((await at('seen', set(50))).out).toMatch(/^allowed: volume\.set at study \(its role is only observed\)/)
  })

  test('says what an answer depends on, and takes it', async () => {
    const louder = ['rest', 'POST /player/volume {"volume":5,"relative":true}']
    const unknown = await at('kid', louder)
    expect(unknown.status).toBe(1)
    expect(unknown.out).toMatch(/^depends on where the volume stands then \(say it with --volume N\)/)
    expect(JSON.parse((await at('kid', louder, '--json')).out)).toMatchObject({ allowed: false, depends: ['volume'] })
    expect((await at('soft', louder, '--volume', '35')).out).toMatch(/^allowed: /)
    expect((await at('kid', louder, '--volume', '58', '--at', '12:00')).out).toMatch(
      /^denied: not allowed: maxVolume 60/,
    )
    expect((await at('kid', louder, '--volume', '101')).status).toBe(2)
    expect(
      (
        await at(
          'kid',
          ['rest', 'POST /player/volume {"volume":-5,"relative":true}'],
          '--volume',
          '44',
          '--at',
          '21:00',
        )
      ).out,
    ).toMatch(/^allowed: /)
  })

  test('asks for a player that exists', async () => {
    expect((await call(can, ['kid', 'mpd', 'status', '--player', 'hom'])).err).toContain('did you mean "home"?')
    expect((await call(can, ['kid', 'mpd', 'status', '--player', 'home'])).status).toBe(0)
  })

  test.each([
    [['kid', 'mpd']],
    [['kid', 'ftp', 'status']],
    [['nobody-at-all', 'mpd', 'status']],
    [['kid', 'mpd', 'status', '--at', 'yesterday']],
    [['kid', 'mpd', 'status', '--loud']],
  ])('%j is wrong usage', async (args) => {
    const { status, err } = await call(can, args)
    expect(status).toBe(2)
    expect(err).toContain('stagedoor can WHO')
  })

  test('knows accounts, which come before roles of the same name', async () => {
    const data = join(dir, 'data')
    const accounts = openAccounts({ dir: data, now: () => 0, pollMs: 0 })
    accounts.create({ name: 'ann', roles: ['kid'], password: 'x' })
    accounts.create({ name: 'owner', roles: ['guest'], password: 'x' })
    const gone = accounts.create({ name: 'gone', roles: ['kid'], password: 'x' })
    accounts.setDisabled(gone.id, true)
    accounts.close()
    expect((await call(can, ['ann', 'mpd', 'setvol 40'], { data })).status).toBe(0)
    expect((await call(can, ['ann', 'mpd', 'setvol 41'], { data })).status).toBe(1)
    expect((await call(can, ['owner', 'mpd', 'kill'], { data })).status).toBe(1)
    expect((await call(can, ['member', 'mpd', 'next'], { data })).status).toBe(0)
    expect(await call(can, ['gone', 'mpd', 'status'], { data })).toMatchObject({
      status: 1,
      err: expect.stringContaining('disabled'),
    })
  })
})

describe('check', () => {
  const broken = join(dir, 'broken.yaml')
  writeFileSync(broken, 'players: {}\nrolls: {}\n')

  test('is content with the shipped configuration', async () => {
    expect(await call(check, [])).toMatchObject({
      status: 0,
      out: `${shipped}: fine; players: home; roles: owner, member, guest, kid`,
    })
    expect((await call(check, ['--json'])).out).toBe('[]')
  })

  test('lists every problem', async () => {
    const { status, out } = await call(check, [], { config: broken })
    expect(status).toBe(1)
    expect(out.split('\n').map((line) => line.replace(dir, ''))).toEqual([
      '/broken.yaml:1:1: "roles" is missing; add it: it takes a group of keys',
      '/broken.yaml:1:10: players: nothing in it; The players by name; the first is the default',
      '/broken.yaml:2:1: rolls: unknown key "rolls"; did you mean "roles"?',
    ])
    expect(JSON.parse((await call(check, ['--json'], { config: broken })).out)).toHaveLength(3)
  })

  test('the other commands refuse to go on with a broken one', async () => {
    expect((await call(can, ['kid', 'mpd', 'status'], { config: broken })).status).toBe(1)
    expect((await call(matrix, [], { config: broken })).status).toBe(1)
  })

  test('takes no words', async () => expect((await call(check, ['x'])).status).toBe(2))
})

test('schema prints the schema', async () => {
  expect(JSON.parse((await call(schema, [])).out)).toEqual(JSON.parse(JSON.stringify(ConfigFile)))
})

test('matrix has a row for each capability and a column for each role', async () => {
  const { out, status } = await call(matrix, [])
  expect(status).toBe(0)
  const [head, ...lines] = out.split('\n')
  expect(head?.trim().split(/\s+/)).toEqual(['CAPABILITY', 'OWNER', 'MEMBER', 'GUEST', 'KID'])
  expect(lines.find((line) => line.startsWith('volume.set'))).toMatch(
    /^volume\.set +allowed +allowed +denied +constrained: maxVolume 40$/,
  )
  const rows = JSON.parse((await call(matrix, ['--json'])).out)
  expect(rows).toContainEqual({
    capability: 'server.admin',
    owner: { verdict: 'allowed', by: '' },
    member: { verdict: 'denied', by: '' },
    guest: { verdict: 'denied', by: '' },
    kid: { verdict: 'denied', by: '' },
  })
})
