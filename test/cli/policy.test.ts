import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { compare, run } from '../../src/cli/policy.ts'
import { readConfig } from '../../src/config/load.ts'
import { createShell } from './house.ts'

const players = `players:
  home: { kind: mopidy, http: "http://127.0.0.1:6680", mpd: "127.0.0.1:6600" }
  den: { kind: go-librespot, url: "http://127.0.0.1:3678" }
`
const base = 'kid: { grants: [{ allow: [status.read] }, { allow: [volume.set], when: { maxVolume: 40 } }] }'

function configOf(roles: string, head = players) {
  const { config, problems } = readConfig(`${head}roles:\n  ${roles}\n`, 'x.yaml', { env: {}, read: () => '' })
  if (!config) throw new Error(JSON.stringify(problems))
  return config
}

function differences(before: string, after: string, head?: string) {
  return compare(configOf(before), configOf(after, head)).map(
    ({ role, what, players, before, after }) =>
      `${role} · ${what}${players.length > 0 ? ` at ${players}` : ''}: ${before} → ${after}`,
  )
}

const role = (grants: string, more = '') => `kid: { grants: [${grants}]${more} }`
const volume = (setting: string) => role(`{ allow: [volume.set], when: { maxVolume: ${setting} } }`)
const add = (when: string, more = '') => role(`{ allow: [queue.add], when: { ${when} } }`, more)

describe('what is only written otherwise is no difference', () => {
  test.each([
    [base, base],
    [role('{ allow: [status.read, queue.read] }'), role('{ allow: [queue.read] }, { allow: [status.read] }')],
    [role('{ allow: ["messages.*"] }'), role('{ allow: [messages.send, messages.read] }')],
    [role('{ allow: [status.read] }'), role('{ allow: [status.read], on: [den, home] }')],
    [
      role('{ allow: [status.read] }'),
      role('{ allow: [status.read], on: [den] }, { allow: [status.read], on: [home] }'),
    ],
    [volume('40'), volume('{ max: 40 }')],
    [volume('40'), volume('{ max: 40, over: refuse }')],
    [volume('40'), volume('{ max: 40, zone: Asia/Tokyo }')],
    [volume('40'), volume('{ max: { "07:00": 40, "20:00": 40 } }')],
    [
      volume('{ max: { "07:00": 60, "20:00": 40 } }'),
      volume('{ max: { "20:00": 40, "00:00": 40, "07:00": 60, "12:00": 60 } }'),
    ],
    [
      volume('{ max: 40, over: clamp }'),
      role('{ allow: [volume.set], when: { maxVolume: { over: clamp, max: 40 } } }'),
    ],
    [add('uriSchemes: [local, spotify]'), add('uriSchemes: [spotify, local]')],
    // Nothing of it is left beside a grant without a condition.
    [role('{ allow: [volume.set] }'), role('{ allow: [volume.set] }, { allow: [volume.set], when: { maxVolume: 4 } }')],
    // The volume of what has none to do with it.
    [role('{ allow: [playlists.edit] }'), role('{ allow: [playlists.edit], when: { maxVolume: 4 } }')],
    [role('{ allow: [status.read] }'), role('{ allow: [status.read] }', ', mode: enforce')],
    [
      role('{ allow: [status.read] }', ', rates: { "*": 60/60s }'),
      role('{ allow: [status.read] }', ', rates: { "*": 60/1m }'),
    ],
  ])('%s = %s', (a, b) => {
    expect(differences(a, b)).toEqual([])
    expect(differences(b, a)).toEqual([])
  })
})

describe('each difference shows', () => {
  test.each<[string, string, readonly string[]]>([
    [volume('40'), volume('41'), ['kid · volume.set: maxVolume 40 → maxVolume 41']],
    [volume('40'), volume('{ max: 40, over: scale }'), ['kid · volume.set: maxVolume 40 → maxVolume 40 over scale']],
    [
      volume('{ max: { "07:00": 60, "20:00": 40 }, zone: Europe/Berlin }'),
      volume('{ max: { "07:00": 60, "20:00": 40 }, zone: Asia/Tokyo }'),
      [
        'kid · volume.set: maxVolume 60 from 07:00 / 40 from 20:00 zone Europe/Berlin → maxVolume 60 from 07:00 / 40 from 20:00 zone Asia/Tokyo',
      ],
    ],
    [
      role('{ allow: [messages.send] }'),
      role('{ allow: [messages.send], on: [home] }'),
      ['kid · messages.send at den: allowed → denied'],
    ],
    [
      role('{ allow: [messages.read] }'),
      role('{ allow: [messages.read] }, { allow: [messages.send] }'),
      ['kid · messages.send: denied → allowed'],
    ],
    [
      role('{ allow: [messages.send] }'),
      role('{ allow: [messages.send] }', ', mode: observe'),
      ['kid · mode: enforce → observe'],
    ],
    [
      role('{ allow: [messages.send] }', ', quotas: { playback.skip: 6/1h }'),
      role('{ allow: [messages.send] }', ', quotas: { playback.skip: 7/1h }, rates: { "*": 9/1s }'),
      ['kid · quotas playback.skip: 6/1h → 7/1h', 'kid · rates *: none → 9/1s'],
    ],
    [
      `${role('{ allow: [messages.send] }')}\n  guest: { grants: [{ allow: [messages.send] }] }`,
      role('{ allow: [messages.send] }'),
      ['guest · messages.send: allowed → denied'],
    ],
  ])('%s → %s', (a, b, expected) => {
    expect(differences(a, b).toSorted()).toEqual(expected.toSorted())
  })

  test('also in the seventh kind of address', () => {
    const list = (last: string) => add(`uriSchemes: [a, b, c, d, e, f, ${last}]`)
    const [only, ...others] = differences(list('g'), list('h'))
    expect(only).toMatch(/^kid · queue\.add: .*a b c d e f g → uriSchemes a b c d e f h$/)
    expect(others).toEqual([])
  })

  test('also a player that is gone', () => {
    const [, home = ''] = players.split('\n')
    expect(
      differences(role('{ allow: [messages.send] }'), role('{ allow: [messages.send] }'), `players:\n${home}\n`),
    ).toEqual(['kid · messages.send at den: allowed → denied'])
  })

  test('also the ceiling of a room', () => {
    const kid = role('{ allow: [messages.send] }')
    const louder = players.replace('"127.0.0.1:6600" }', '"127.0.0.1:6600", maxVolume: 70 }')
    expect(differences(kid, kid, louder)).toEqual(['everybody · the room at home: none → maxVolume 70'])
  })

  test('with the commands it concerns', () => {
    const found = compare(configOf(volume('40')), configOf(volume('30')))
    expect(found.flatMap(({ operations }) => operations)).toEqual(
      expect.arrayContaining(['Mopidy core.mixer.set_volume', 'MPD setvol', 'go-librespot POST /player/volume']),
    )
  })
})

function setup() {
  const shell = createShell()
  const file = (name: string, text: string) => {
    const path = join(dirname(shell.file), name)
    writeFileSync(path, text)
    return path
  }
  const a = file('a.yaml', `${players}roles:\n  ${volume('40')}\n`)
  const b = file('b.yaml', `${players}roles:\n  ${volume('30')}\n`)
  return { shell, file, a, b }
}

describe('policy diff', () => {
  test('answers as diff does', async () => {
    const { shell, a, b } = setup()
    expect(await shell.run(run, `diff ${a} ${a}`)).toEqual({ status: 0, out: '', err: '' })
    const { status, out } = await shell.run(run, `diff ${a} ${b}`)
    expect(status).toBe(1)
    expect(out).toMatch(
      /^kid · volume\.set: maxVolume 40 → maxVolume 30\n {4}Mopidy core\.mixer\.set_mute, Mopidy core\.mixer\.set_volume, /,
    )
    expect(JSON.parse((await shell.run(run, `diff ${a} ${b} --json`)).out)[0]).toMatchObject({
      role: 'kid',
      what: 'volume.set',
      players: [],
    })
  })

  test('knows no configuration that is none', async () => {
    const { shell, file, a, b } = setup()
    const broken = file('broken.yaml', 'players: {}\n')
    const { status, err } = await shell.run(run, `diff ${a} ${broken}`)
    expect(status).toBe(2)
    expect(err).toContain('"roles" is missing')
    expect((await shell.run(run, `diff ${a} ${a}x`)).status).toBe(2)
    expect((await shell.run(run, `diff ${a}`)).status).toBe(2)
    expect((await shell.run(run, `patch ${a} ${b}`)).status).toBe(2)
  })
})
