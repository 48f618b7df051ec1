import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { readConfig } from '../../src/config/load.ts'
import { changesOf, merge, takes } from '../../src/config/reload.ts'
import type { Config } from '../../src/config/schema.ts'

const full = `
listen:
  https: { host: "::", port: 8443, names: [music.home] }
  mpd: { host: "::", port: 6601, timeout: 60, connections: 512, connectionsEach: 64 }
  plainMpd: { host: "::", port: 6602, from: [192.168.1.0/24], roles: [guest], timeout: 60, connections: 512, connectionsEach: 64 }
  metrics: { host: 127.0.0.1, port: 9680 }
tls: { dir: certs }
zone: Europe/Berlin
players:
  home: { kind: mopidy, http: "http://127.0.0.1:6680", mpd: "127.0.0.1:6600" }
  attic: { kind: mpd, mpd: "127.0.0.1:6700" }
roles:
  owner: { grants: [{ allow: ["*"] }] }
  guest: { grants: [{ allow: [status.read] }], rates: { "*": 300/1m } }
notify: [{ webhook: "https://hooks.example/a" }]
audit: { days: 90, megabytes: 200 }
log: { level: info }
`

function read(text: string): Config {
  const { config, problems } = readConfig(text, 'c.yaml', { env: {}, read: () => '' })
  if (!config) throw new Error(JSON.stringify(problems))
  return config
}

const running = read(full)
const changed = (from: string | RegExp, to: string) => {
  const text = full.replace(from, to)
  if (text === full) throw new Error(`${from} is not there`)
  return read(text)
}
const said = (next: Config) => changesOf(running, next).map(({ path, takes }) => `${path}: ${takes}`)

/** The keys of a configuration, as far down as they are named by us and not by people. */
function keysOf(value: unknown, path = ''): string[] {
  const inside = Object.entries(Object(value))
  const isOurs = typeof value === 'object' && !(Array.isArray(value) || value instanceof Map || path === 'roles')
  return isOurs ? inside.flatMap(([key, each]) => keysOf(each, path === '' ? key : `${path}.${key}`)) : [path]
}

describe('each setting has a row that says when a change counts', () => {
  const rows = Object.keys(takes)

  test('in the code: every key that a full configuration has, and no other', () => {
    const own = keysOf(read(full.replace('tls: { dir: certs }', 'tls: { cert: a.pem, key: b.pem }')))
    // What opens and shuts has a row of its own beside those inside it.
    const doors = ['listen.mpd', 'listen.plainMpd', 'listen.metrics']
    expect(rows.toSorted()).toEqual([...own, ...doors, 'tls.dir'].toSorted())
  })

  test('and in docs/configuration.md, the same', () => {
    const document = readFileSync('docs/configuration.md', 'utf8')
    const written = [...document.matchAll(/^\| `([a-zA-Z.]+)` \|.*\| (live|new connections|restart) \|$/gm)]
    expect(written.map(([, path, when]) => `${path}: ${when}`).toSorted()).toEqual(
      Object.entries(takes)
        .map(([path, when]) => `${path}: ${when}`)
        .toSorted(),
    )
  })
})

describe('what differs', () => {
  test('is nothing between two that read the same', () => {
    expect(said(read(`# a word\n${full}`))).toEqual([])
    expect(merge(running, read(full))).toEqual(running)
  })

  test.each([
    ['a condition', 'allow: [status.read]', 'allow: [status.read, queue.read]', ['roles.guest: live']],
    ['a role that goes', /guest: \{ grants.*\n/, 'party: { grants: [{ allow: [status.read] }] }\n', null],
    ['the zone', 'Europe/Berlin', 'Europe/Rome', ['zone: live']],
    ['who is told', 'example/a', 'example/b', ['notify: live']],
    [
      'what is kept',
      'days: 90, megabytes: 200',
      'days: 9, megabytes: 20',
      ['audit.days: live', 'audit.megabytes: live'],
    ],
    ['the level of the log', 'level: info', 'level: warn', ['log.level: live']],
    ['a port', 'port: 8443', 'port: 443', ['listen.https.port: restart']],
    ['a door that shuts', /mpd: \{ host.*6601.*\n/, 'mpd: false\n', ['listen.mpd: restart']],
    [
      'a bound of a door',
      'timeout: 60, connections: 512',
      'timeout: 9, connections: 512',
      ['listen.mpd.timeout: new connections'],
    ],
    [
      'where the certificate is from',
      'dir: certs',
      'cert: a.pem, key: b.pem',
      ['tls.dir: restart', 'tls.cert: restart', 'tls.key: restart'],
    ],
    ['the address of a player', '127.0.0.1:6700', '127.0.0.1:6701', ['players.attic: restart']],
    ['a player more', 'roles:\n', '  den: { kind: mpd, mpd: "127.0.0.1:6800" }\nroles:\n', ['players.den: restart']],
  ])('%s', (_, from, to, expected) => {
    if (expected) return expect(said(changed(from, to))).toEqual(expected)
    const next = read(full.replace(from, to).replace('roles: [guest]', 'roles: [party]'))
    expect(said(next)).toEqual(['listen.plainMpd.roles: restart', 'roles.guest: live', 'roles.party: live'])
  })

  test('is the order of players, as the first is the default, and not that of roles', () => {
    expect(said({ ...running, players: new Map([...running.players].reverse()) })).toEqual(['players: restart'])
    const roles = Object.fromEntries(Object.entries(running.roles).reverse())
    expect(said({ ...running, roles })).toEqual([])
  })
})

describe('what is in force afterwards', () => {
  // Everything at once.
  const other = read(
    full
      .replaceAll(/port: (\d)/g, 'port: 1$1')
      .replaceAll('"::"', '127.0.0.2')
      .replaceAll(
        'timeout: 60, connections: 512, connectionsEach: 64',
        'timeout: 30, connections: 100, connectionsEach: 10',
      )
      .replace('metrics: { host: 127.0.0.1', 'metrics: { host: 127.0.0.3')
      .replace('music.home', 'music.lan')
      .replace('192.168.1.0', '192.168.2.0')
      .replace('roles: [guest]', 'roles: [owner]')
      .replace('dir: certs', 'dir: elsewhere')
      .replace('Berlin', 'Rome')
      .replace('6700', '6701')
      .replace('300/1m', '30/1m')
      .replace('example/a', 'example/b')
      .replace('days: 90, megabytes: 200', 'days: 9, megabytes: 20')
      .replace('level: info', 'level: warn'),
  )

  test('is new where no restart is needed, and as it was everywhere else', () => {
    const merged = merge(running, other)
    const left = changesOf(merged, other)
    expect(left.every(({ takes }) => takes === 'restart')).toBe(true)
    const done = changesOf(running, merged)
    expect(done.some(({ takes }) => takes === 'restart')).toBe(false)
    expect([...left, ...done].map(({ path }) => path).toSorted()).toEqual(
      changesOf(running, other)
        .map(({ path }) => path)
        .toSorted(),
    )
    expect(merged).toMatchObject({
      listen: { https: running.listen.https, mpd: { port: 6601, timeout: 30, connections: 100, connectionsEach: 10 } },
      roles: other.roles,
      zone: 'Europe/Rome',
      players: running.players,
    })
    expect(running).toEqual(read(full))
  })

  test('leaves a door as it is that is to open or to shut', () => {
    const shut = read(full.replace(/mpd: \{ host.*6601.*\n/, 'mpd: false\n'))
    expect(merge(running, shut).listen.mpd).toEqual(running.listen.mpd)
    expect(merge(shut, running).listen.mpd).toBe(false)
  })
})
