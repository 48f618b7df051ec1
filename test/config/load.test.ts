// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references as people write them
import { describe, expect, test } from 'vitest'
import { explain } from '../../src/config/explain.ts'
import { loadConfig, readConfig } from '../../src/config/load.ts'
import { webClients as known } from '../../src/protocol/web/clients.ts'

const good = `
players:
  home: { kind: mopidy, http: "http://127.0.0.1:6680", mpd: "127.0.0.1:6600" }
roles:
  owner:
    grants:
      - allow: ["*"]
`
const none = {
  env: {},
  read: () => {
    throw Object.assign(new Error('no such file'), { code: 'ENOENT' })
  },
}
const read = (text: string, env: Record<string, string> = {}) => readConfig(text, 'c.yaml', { ...none, env })
const said = (text: string, env = {}) => read(text, env).problems.map(explain)

describe('a sound configuration', () => {
  test('is filled in', () => {
    const { config, problems } = read(good)
    expect(problems).toEqual([])
    expect(config).toMatchObject({
      listen: { https: { host: '::', port: 8443, names: [] }, mpd: { host: '::', port: 6601 } },
      tls: { dir: 'certs' },
      audit: { days: 90, megabytes: 200 },
      log: { level: 'info' },
    })
    expect([...(config?.players.keys() ?? [])]).toEqual(['home'])
  })

  test('is the shipped one, with its four roles and no environment', () => {
    const { config, problems, where } = loadConfig('config/stagedoor.yaml', {})
    expect(problems).toEqual([])
    expect(Object.keys(config?.roles ?? {})).toEqual(['owner', 'member', 'guest', 'kid'])
    expect(where('roles.kid.grants[2].when.maxVolume')).toMatch(/^config\/stagedoor\.yaml:\d+$/)
    expect(where('roles.nobody')).toBeUndefined()
  })

  test('may shut the MPD door, bring its own certificate and name its hosts', () => {
    const { config } = read(`${good}listen: { mpd: false, https: { names: [music.example, "fd00::1"] } }
tls: { cert: a.pem, key: b.pem }`)
    expect(config?.listen.mpd).toBe(false)
    expect(config?.listen.https.names).toEqual(['music.example', 'fd00::1'])
    expect(config?.tls).toEqual({ cert: 'a.pem', key: 'b.pem' })
  })

  test('keeps its players in order: the first is the default', () => {
    const { config } = read(
      good.replace(
        'roles:',
        '  a10: { kind: mpd, mpd: "[::1]:6600" }\n  a2: { kind: mpd, mpd: "localhost:6600" }\nroles:',
      ),
    )
    expect([...(config?.players.keys() ?? [])]).toEqual(['home', 'a10', 'a2'])
  })
})

describe('problems', () => {
  test('come all at once, each with its line, its column and a way out', () => {
    expect(
      said(`listen:
  https: { port: x, hots: "::" }
players:
  home: { kind: mopidi, http: "http://127.0.0.1:6680" }
  bath: { kind: mpd, mpd: "8.8.8.8:6600" }
  Kitchen: { kind: mpd, mpd: "127.0.0.1:6600" }
roles:
  kid:
    grants:
      - allow: [queue.ad]
        when: { maxVolum: 40 }
      - allow: [volume.set]
        when: { maxVolume: 140 }
    rates: { "*": 3, queue.add: 20 per hour }
  guest:
    grants:
      - allow: [queue.add]
        on: [bat]
  guest: {}
  empty: { grants: [] }
tls: { cert: x }
logg: {}
`),
    ).toMatchInlineSnapshot(`
      [
        "c.yaml:2:18: listen.https.port: not a whole number from 0 to 65535; The TCP port",
        "c.yaml:2:21: listen.https.hots: unknown key "hots"; did you mean "host"?",
        "c.yaml:4:17: players.home.kind: not mopidy, mpd, go-librespot, librespot-java or librespot; say which it is: \`kind: mopidy\`",
        "c.yaml:5:27: players.bath.mpd: not a loopback address; let the player listen on 127.0.0.1, or set \`private: true\` if nobody but the gateway can reach it",
        "c.yaml:6:3: players.Kitchen: not a name: "Kitchen"; use small letters, digits and dashes, a letter first",
        "c.yaml:10:17: roles.kid.grants[0].allow[0]: unknown: "queue.ad"; did you mean "queue.add"?",
        "c.yaml:11:17: roles.kid.grants[0].when.maxVolum: unknown key "maxVolum"; did you mean "maxVolume"?",
        "c.yaml:13:28: roles.kid.grants[1].when.maxVolume: not a whole number from 0 to 100; Loudest level the role may set",
        "c.yaml:14:19: roles.kid.rates.*: not acceptable text; How many in how long, such as 300/1m or 20/15m; all of them may come at once",
        "c.yaml:14:33: roles.kid.rates.queue.add: not acceptable text; How many in how long, such as 300/1m or 20/15m; all of them may come at once",
        "c.yaml:18:14: roles.guest.grants[0].on[0]: there is no such player; did you mean "bath"?",
        "c.yaml:19:3: a key for the second time; keep one of them",
        "c.yaml:20:20: roles.empty.grants: the role grants nothing; add a grant, or remove the role",
        "c.yaml:21:1: tls: "key" is missing; add it: The private key (PEM)",
        "c.yaml:22:1: logg: unknown key "logg"; did you mean "log"?",
      ]
    `)
  })

  test.each([
    ['', 'not a group of keys'],
    ['[]', 'not a group of keys'],
    ['players: {}\nroles: {}', 'nothing in it'],
    [good.replace(/roles:[\s\S]*/, ''), '"roles" is missing'],
    [good.replace(/roles:[\s\S]*/, 'roles: {}'), 'no role'],
    [`${good}a: [`, 'not YAML'],
    [`${good}--- \n{}`, 'not YAML'],
    [`${good}audit:\n`, 'audit: not a group of keys'],
    [`${good}listen: { plainMdp: { port: 6600 } }`, 'did you mean "plainMpd"?'],
    [`${good}listen: { mpd: { timeout: 0 } }`, 'a whole number from 5 to 86400; Seconds that a client'],
    [`${good}listen: { https: { port: 6601 } }`, 'the same port as HTTPS'],
    [`${good}listen: { https: { port: 65536 } }`, 'from 0 to 65535'],
    [`${good}tls: { dir: a, cert: b }`, 'unknown key'],
    [`${good}__proto__: { a: 1 }`, 'unknown key "__proto__"'],
    [`${good}constructor: { a: 1 }`, 'unknown key "constructor"'],
    [`${good}log: { level: loud }`, 'unknown: "loud"'],
    [good.replace('"*"', '"*", playback'), 'unknown: "playback"'],
    [good.replace('["*"]', '[]'), 'an empty list'],
    [good.replace('["*"]', '["*"]\n        on: ["*"]'), 'leave `on` out'],
    [good.replace('["*"]', '["*"]\n        when: { uriSchemes: [FILE] }'), 'when.uriSchemes[0]'],
    [good.replace('["*"]', '&a ["*"]').concat('x: *a'), 'an alias'],
    [good.replace('owner:', 'Owner:'), 'not a name: "Owner"'],
  ])('%j', (text, problem) => {
    const { config, problems } = read(text)
    expect(config).toBeUndefined()
    expect(problems.map(explain).join('\n')).toContain(problem)
  })

  test('a file that is not there is one', () => {
    expect(loadConfig('nowhere/at/all.yaml', {}).problems.map(explain)).toEqual([
      'nowhere/at/all.yaml:1:1: the configuration cannot be read (ENOENT); name another with --config FILE',
    ])
  })

  test('YAML that unfolds to more than it is, is refused before it does', () => {
    const bomb = Array.from({ length: 30 }, (_, i) => `a${i}: &a${i} [${i ? `*a${i - 1}, *a${i - 1}` : 1}]`).join('\n')
    expect(read(`${bomb}\n${good}`).config).toBeUndefined()
  })
})

describe('time', () => {
  const when = (text: string) => said(good.replace('["*"]', `["*"]\n        when: ${text}`)).join('\n')

  test('goes by the zone that is named, by that of this machine otherwise', () => {
    expect(read(`${good}zone: Europe/Berlin`).config?.zone).toBe('Europe/Berlin')
    expect(read(`${good}zone: "\${TZ}"`, { TZ: 'Asia/Tokyo' }).config?.zone).toBe('Asia/Tokyo')
    expect(read(good).config?.zone).toBe(Temporal.Now.timeZoneId())
  })

  test.each([
    '{ hours: "07:00-20:00" }',
    '{ hours: ["mon-fri 07:00-20:00", "sat,sun 08:00-21:30", "sat, sun 20:00-24:00"] }',
    '{ hours: { zone: Europe/Berlin, allow: ["fri-mon 22:00-06:00"], atEnd: fade 30s } }',
    '{ hours: { allow: "00:00-24:00", atEnd: stop } }',
    '{ maxVolume: { max: { "00:00": 30, "07:00": 60, 20:00: 40 }, zone: UTC } }',
    // They may overlap: each opens.
    '{ hours: ["mon-fri 07:00-20:00", "mon 06:00-21:00"] }',
  ])('%s is fine', (text) => expect(when(text)).toBe(''))

  test.each([
    ['{ hours: "7:00-20:00" }', 'when.hours: not a window of time; Days and times, such as "mon-fri 07:00-20:00"'],
    ['{ hours: ["mon-fri 07:00-20:00", "weekends"] }', 'when.hours[1]: not a window of time'],
    ['{ hours: ["Mon 07:00-20:00"] }', 'not a window of time'],
    ['{ hours: ["mon 07:00-24:30"] }', 'not a window of time'],
    ['{ hours: ["mon 24:00-07:00"] }', 'not a window of time'],
    ['{ hours: ["mon-fri"] }', 'not a window of time'],
    ['{ hours: ["mon,,fri 07:00-20:00"] }', 'not a window of time'],
    ['{ hours: [] }', 'when.hours: an empty list'],
    ['{ hours: 7 }', 'when.hours: not a window of time, a list or a group of keys'],
    ['{ hours: { atEnd: stop } }', '"allow" is missing'],
    ['{ hours: { allow: ["07:00-20:00"], atEnd: fade } }', 'atEnd: not finish, stop or a fade'],
    ['{ hours: { allow: ["07:00-20:00"], atEnd: fade 0s } }', 'not finish, stop or a fade'],
    ['{ hours: { allow: ["07:00-20:00"], atend: stop } }', 'unknown key "atend"; did you mean "atEnd"?'],
    ['{ hours: "07:00-07:00" }', 'when.hours: never open; let it end later; the whole day is 00:00-24:00'],
    ['{ hours: ["07:00-08:00", "sat 07:00-07:00"] }', 'when.hours[1]: never open'],
    ['{ hours: { allow: ["07:00-08:00", "00:00-00:00"] } }', 'when.hours.allow[1]: never open'],
    ['{ hours: { allow: "07:00-07:00" } }', 'when.hours.allow: never open'],
    [
      '{ hours: { zone: Europe/Berln, allow: "07:00-08:00" } }',
      'hours.zone: there is no such time zone; did you mean "Europe/Berlin"?',
    ],
    [
      '{ hours: { zone: Mars/Olympus, allow: "07:00-08:00" } }',
      'write it as the IANA database does, such as Europe/Berlin',
    ],
    ['{ hours: { zone: "+01:00", allow: "07:00-08:00" } }', 'hours.zone: not a time zone; The time zone, such as'],
    ['{ maxVolume: { max: 40, zone: Europe/Berln } }', 'maxVolume.zone: there is no such time zone'],
    [
      '{ maxVolume: { max: { "7:00": 40 } } }',
      'maxVolume.max.7:00: not a time of day; write it from "00:00" to "23:59"',
    ],
    ['{ maxVolume: { max: { "24:00": 40 } } }', 'not a time of day'],
    ['{ maxVolume: { max: { evening: 40 } } }', 'not a time of day'],
    ['{ maxVolume: { max: { "07:00": 400 } } }', 'max.07:00: not a whole number from 0 to 100'],
    ['{ maxVolume: { max: {} } }', 'nothing in it'],
  ])('%s: %s', (text, problem) => expect(when(text)).toContain(problem))

  test.each([
    ['Europe/Berln', 'zone: there is no such time zone; did you mean "Europe/Berlin"?'],
    ['""', 'zone: not a time zone'],
    ['[Europe/Berlin]', 'zone: not a time zone'],
    ['"Europe/Berlin "', 'zone: not a time zone'],
    ['constructor', 'there is no such time zone'],
  ])('zone: %s: %s', (text, problem) => expect(said(`${good}zone: ${text}`).join('\n')).toContain(problem))
})

describe("a player's address", () => {
  const player = (text: string) => said(good.replace(/home: .*/, `home: ${text}`)).join('\n')

  test.each([
    '{ kind: mopidy, http: "http://localhost:6680" }',
    '{ kind: mopidy, http: "http://[::1]:6680/", mpd: "127.9.9.9:6600" }',
    '{ kind: mopidy, http: "http://mopidy:6680", private: true }',
    '{ kind: mpd, mpd: "192.168.1.5:6600", private: true }',
    '{ kind: mpd, mpd: "[fd00::5]:6600", private: true }',
    '{ kind: mpd, mpd: "host.docker.internal:6600", private: true }'.replace('host.docker', 'host'),
  ])('%s is fine', (text) => expect(player(text)).toBe(''))

  test.each([
    ['{ kind: mpd, mpd: "192.168.1.5:6600" }', 'not a loopback address'],
    ['{ kind: mpd, mpd: "0.0.0.0:6600" }', 'not a loopback address'],
    ['{ kind: mpd, mpd: "127.0.0.1.example:6600" }', 'not a loopback address'],
    ['{ kind: mpd, mpd: "localhost.example:6600" }', 'not a loopback address'],
    ['{ kind: mpd, mpd: "8.8.8.8:6600", private: true }', 'not a private address'],
    ['{ kind: mpd, mpd: "player.example.com:6600", private: true }', 'not a private address'],
    ['{ kind: mpd, mpd: "[::ffff:8.8.8.8]:6600", private: true }', 'not a private address'],
    ['{ kind: mpd, mpd: "/run/mpd.sock" }', 'acceptable'],
    ['{ kind: mpd, mpd: "127.0.0.1" }', 'acceptable'],
    ['{ kind: mpd, mpd: "127.0.0.1:0" }', 'no address'],
    ['{ kind: mpd, mpd: "127.0.0.1:99999" }', 'no address'],
    ['{ kind: mpd, http: "http://127.0.0.1:6680" }', 'unknown key "http"'],
    ['{ kind: mopidy, http: "https://127.0.0.1:6680" }', 'acceptable'],
    ['{ kind: mopidy, http: "http://127.0.0.1@evil.example:6680" }', 'acceptable'],
    ['{ kind: mopidy, http: "http://127.0.0.1:6680/x" }', 'acceptable'],
    ['{ kind: mopidy, http: "http://134744072:6680" }', 'not a loopback address'],
    ['{ kind: mopidy, mpd: "127.0.0.1:6600" }', '"http" is missing'],
  ])('%s: %s', (text, problem) => expect(player(text)).toContain(problem))
})

describe('the librespot family', () => {
  const player = (text: string) => said(good.replace(/home: .*/, `home: ${text}`)).join('\n')

  test.each([
    '{ kind: go-librespot, url: "http://127.0.0.1:3678" }',
    '{ kind: librespot-java, url: "http://[::1]:24879/" }',
    '{ kind: librespot, zeroconf: "http://localhost:5355" }',
    '{ kind: librespot, onevent: true }',
    '{ kind: librespot, zeroconf: "http://spotifyd:5355", onevent: true, private: true }',
  ])('%s is fine', (text) => expect(player(text)).toBe(''))

  test.each([
    ['{ kind: go-librespot }', '"url" is missing'],
    ['{ kind: go-librespot, url: "http://192.168.1.5:3678" }', 'home.url: not a loopback address'],
    ['{ kind: go-librespot, url: "http://0.0.0.0:3678" }', 'home.url: not a loopback address'],
    ['{ kind: go-librespot, url: "http://8.8.8.8:3678", private: true }', 'home.url: not a private address'],
    ['{ kind: go-librespot, url: "https://127.0.0.1:3678" }', 'acceptable'],
    ['{ kind: go-librespot, url: "http://127.0.0.1:3678/player" }', 'acceptable'],
    ['{ kind: go-librespot, url: "http://127.0.0.1:0" }', 'no address'],
    ['{ kind: go-librespot, http: "http://127.0.0.1:3678" }', 'unknown key "http"'],
    ['{ kind: go-librespot, url: "http://127.0.0.1:3678", web: [iris] }', 'unknown key "web"'],
    ['{ kind: librespot-java, url: "http://2130706434.example:24879" }', 'not a loopback address'],
    ['{ kind: librespot }', 'home: no way to reach it; add `zeroconf:` with its address, `onevent: true`, or both'],
    ['{ kind: librespot, onevent: false }', 'home.onevent: not true'],
    ['{ kind: librespot, zeroconf: "http://192.168.1.5:80", onevent: true }', 'zeroconf: not a loopback address'],
    ['{ kind: librespto, onevent: true }', 'not mopidy, mpd, go-librespot, librespot-java or librespot'],
  ])('%s: %s', (text, problem) => expect(player(text)).toContain(problem))
})

describe('web clients', () => {
  const web = (text: string) => {
    const home = `home: { kind: mopidy, http: "http://127.0.0.1:6680", web: ${text} }`
    return said(good.replace(/home: .*/, home)).join('\n')
  }

  test.each([
    '[iris]',
    '[iris, mobile, musicbox_webclient, party, muse, pibox, local]',
    '[{ path: "/mopify/" }, { path: "/radio-1.2/", capability: library.read }, iris]',
  ])('%s is fine', (text) => expect(web(text)).toBe(''))

  test.each([
    ['[]', 'web: an empty list'],
    ['iris', 'web: not a list'],
    ['[irsi]', 'web[0]: unknown: "irsi"; did you mean "iris"?'],
    ['[Iris]', 'did you mean "iris"?'],
    ['[constructor]', 'unknown: "constructor"'],
    ['["*"]', 'unknown: "*"'],
    ['[7]', 'web[0]: not one of the known words or a group of keys'],
    ['[{ pth: "/a/" }]', 'web[0].pth: unknown key "pth"; did you mean "path"?'],
    ['[{ path: "/a/", capability: status.red }]', 'did you mean "status.read"?'],
    ['[{ path: "/a/", capability: "*" }]', 'unknown: "*"'],
    ['[{ path: "/a" }]', 'acceptable'],
    ['[{ path: "/" }]', 'acceptable'],
    ['[{ path: "/a/b/" }]', 'acceptable'],
    ['[{ path: "/../" }]', 'acceptable'],
    ['[{ path: "/%2e%2e/" }]', 'acceptable'],
    ['[{ path: "/.well-known/" }]', 'acceptable'],
    ['[{ path: "//evil.example/" }]', 'acceptable'],
    ['[{ path: "/a?/" }]', 'acceptable'],
    ['[iris, iris]', 'web[1]: there for the second time'],
    ['[{ path: "/a/" }, { path: "/A/" }]', 'web[1]: there for the second time'],
    // As mere files Iris' commands would go by unread.
    ['[{ path: "/iris/" }]', 'web[0].path: of a web client that is known by name; write iris'],
    ['[{ path: "/IRIS/" }]', 'write iris'],
    ['[iris, { path: "/iris/" }]', 'write iris'],
    ['[{ path: "/Settings/" }]', 'write musicbox_webclient'],
    [`[${Array.from({ length: 33 }, (_, i) => `{ path: "/p${i}/" }`)}]`, 'web: more than 32'],
  ])('%s: %s', (text, problem) => expect(web(text)).toContain(problem))

  test.each([
    ...['auth', 'players', 'mopidy', 'trust', 'setup', 'healthz', 'readyz', 'page.js', 'page.css'],
    ...['Auth', 'state', 'art', 'events', 'metrics'],
  ])('none may stand in the place of our own /%s', (name) => {
    expect(web(`[{ path: "/${name}/" }]`)).toContain('the gateway’s own path')
  })
})

test('no path where a known web client has commands can be opened as mere files', () => {
  const roots = [...known.values()].flatMap(({ path, commands, sockets }) =>
    [path, ...Object.keys(commands).map((row) => row.split(' ')[1] ?? ''), ...sockets].map(
      (each) => each.split('/')[1],
    ),
  )
  expect(roots).toContain('settings')
  for (const root of new Set(roots)) {
    const home = `home: { kind: mopidy, http: "http://127.0.0.1:6680", web: [{ path: "/${root}/" }] }`
    expect(said(good.replace(/home: .*/, home)).join()).toContain('of a web client that is known by name')
  }
})

describe('who is told of alarms', () => {
  const notify = (text: string) => said(`${good}notify: ${text}`).join('\n')

  test('is nobody, unless somebody is named', () => {
    expect(read(good).config?.notify).toEqual([])
    expect(read(`${good}notify: [{ ntfy: "https://ntfy.sh/a" }]`).config?.notify).toEqual([
      { ntfy: 'https://ntfy.sh/a' },
    ])
  })

  test.each([
    '[]',
    '[{ webhook: "https://hooks.example/a?token=b" }, { ntfy: "https://ntfy.sh/our_house-1" }]',
    '[{ webhook: "http://127.0.0.1:8123/api/webhook/x" }, { ntfy: "http://ntfy:80/house" }]',
    '[{ webhook: "http://192.168.1.2:8123/x" }, { webhook: "http://[fd00::2]/x" }]',
  ])('%s is fine', (text) => expect(notify(text)).toBe(''))

  test.each([
    ['[{ webhook: "http://hooks.example/a" }]', 'notify[0].webhook: not encrypted; write https://'],
    ['[{ webhook: "http://8.8.8.8/a" }]', 'not encrypted'],
    ['[{ webhook: "http://134744072/a" }]', 'not encrypted'],
    ['[{ webhook: "http://127.0.0.1.example/a" }]', 'not encrypted'],
    ['[{ webhook: "ftp://127.0.0.1/a" }]', 'acceptable'],
    ['[{ webhook: "file:///etc/passwd" }]', 'acceptable'],
    ['[{ webhook: "https://user:word@hooks.example/a" }]', 'acceptable'],
    ['[{ webhook: "https://hooks.example/a#b" }]', 'acceptable'],
    ['[{ webhook: "https://:8/" }]', 'no address'],
    ['[{ webhook: "https://hooks.example:0/" }]', 'no address'],
    ['[{ ntfy: "https://ntfy.sh" }]', 'notify[0].ntfy: no topic; end it with /TOPIC'],
    ['[{ ntfy: "https://ntfy.sh/a/b" }]', 'no topic'],
    ['[{ ntfy: "https://ntfy.sh/a%0Ab" }]', 'no topic'],
    ['[{ ntfy: "https://ntfy.sh/a" }, { ntfy: "https://ntfy.sh/a" }]', 'notify[1].ntfy: there for the second time'],
    ['[{ ntfy: "https://ntfy.sh/a", webhook: "https://x.example/" }]', 'unknown key "ntfy"'],
    ['{ ntfy: "https://ntfy.sh/a" }', 'notify: not a list'],
    ['[https://ntfy.sh/a]', 'notify[0]: not'],
    [`[${Array.from({ length: 9 }, (_, i) => `{ ntfy: "https://ntfy.sh/t${i}" }`)}]`, 'notify: more than 8'],
  ])('%s: %s', (text, problem) => expect(notify(text)).toContain(problem))

  test('an address from a file is a secret', () => {
    const said = read(`${good}notify: [{ webhook: "\${HOOK}" }]`, { HOOK: 'http://hooks.example/hunter2' }).problems
    expect(said).toHaveLength(1)
    expect(JSON.stringify(said)).not.toMatch(/hunter2|hooks/)
  })
})

describe('the MPD door without TLS', () => {
  const door = (text: string) => said(`${good}listen: { plainMpd: ${text} }`).join('\n')

  test('is shut unless it is asked for', () => {
    expect(read(good).config?.listen.plainMpd).toBe(false)
    expect(read(`${good}listen: { plainMpd: false }`).config?.listen.plainMpd).toBe(false)
  })

  test('is filled in, as is the one with TLS', () => {
    const { config } = read(
      `${good}listen: { mpd: { timeout: 90 }, plainMpd: { port: 6602, from: [10.0.0.0/8], roles: [owner], connections: 9 } }`,
    )
    expect(config?.listen).toMatchObject({
      mpd: { host: '::', port: 6601, timeout: 90, connections: 512, connectionsEach: 64 },
      plainMpd: {
        host: '::',
        port: 6602,
        from: ['10.0.0.0/8'],
        roles: ['owner'],
        timeout: 60,
        connections: 9,
        connectionsEach: 64,
      },
    })
  })

  test.each([
    '10.0.0.0/8',
    '10.1.0.0/16',
    '192.168.1.0/24',
    '192.168.1.17/32',
    '172.16.0.0/12',
    '127.0.0.1/32',
    '169.254.0.0/16',
    'fd00::/8',
    'FE80::/10',
    'fd00:1:2:3:4:5:6:7/128',
    '::1/128',
  ])('%s may come in', (range) => expect(door(`{ port: 6602, from: ["${range}"], roles: [owner] }`)).toBe(''))

  test.each([
    ['0.0.0.0/0', 'the whole internet; name your own network only'],
    ['::/0', 'the whole internet'],
    ['10.0.0.0/0', 'the whole internet'],
    ['128.0.0.0/1', 'not only private addresses; name your own network only'],
    ['10.0.0.0/7', 'not only private'],
    ['192.168.0.0/15', 'not only private'],
    ['8.8.8.0/24', 'not only private'],
    ['100.64.0.0/10', 'not only private'],
    ['0.0.0.0/8', 'not only private'],
    ['2001:db8::/32', 'not only private'],
    ['fc00::/6', 'not only private'],
    ['::ffff:10.0.0.0/104', 'not only private'],
    ['::ffff:0:0/96', 'not only private'],
    ['::/8', 'not only private'],
    ['192.168.1.5/24', 'an address in the midst of its range; write its first address; for this one alone /32'],
    ['fd00::1/64', 'for this one alone /128'],
    ['192.168.1.5', 'not a range of addresses; for one address write 192.168.1.5/32'],
    ['fd00::1', 'write fd00::1/128'],
    ['192.168.1.0/33', 'not a range of addresses; write address and length'],
    ['fd00::/129', 'not a range'],
    ['192.168.1.0/024', 'not a range'],
    ['192.168.1/24', 'not a range'],
    ['0300.0250.1.0/24', 'not a range'],
    ['fe80::%eth0/10', 'not a range'],
    ['localhost', 'not a range'],
    ['', 'not a range'],
  ])('%s: %s', (range, problem) => {
    expect(door(`{ port: 6602, from: [fd00::/8, "${range}"], roles: [owner] }`)).toMatch(
      new RegExp(`^c.yaml:8:\\d+: listen.plainMpd.from\\[1\\]: .*${problem.replace(/[.:$+]/g, '\\$&')}`),
    )
  })

  test.each([
    ['{ port: 6602, roles: [owner] }', '"from" is missing; add it: Who may come in'],
    ['{ port: 6602, from: [fd00::/8] }', '"roles" is missing; add it: The ceiling'],
    ['{ from: [fd00::/8], roles: [owner] }', '"port" is missing'],
    ['{ port: 6602, from: [], roles: [owner] }', 'plainMpd.from: an empty list; Who may come in'],
    ['{ port: 6602, from: [fd00::/8], roles: [] }', 'plainMpd.roles: an empty list; The ceiling'],
    ['{ port: 6602, from: fd00::/8, roles: [owner] }', 'plainMpd.from: not a list'],
    ['{ port: 6602, from: [fd00::/8], roles: [ower] }', 'roles[0]: there is no such role; did you mean "owner"?'],
    ['{ port: 6602, from: [fd00::/8], roles: [constructor] }', 'there is no such role'],
    ['{ port: 6601, from: [fd00::/8], roles: [owner] }', 'plainMpd.port: the same port as MPD over TLS'],
    ['{ port: 8443, from: [fd00::/8], roles: [owner] }', 'plainMpd.port: the same port as HTTPS'],
    ['{ port: 6602, from: [fd00::/8], roles: [owner], tls: true }', 'unknown key "tls"'],
    ['true', 'plainMpd: not'],
  ])('%s: %s', (text, problem) => expect(door(text)).toContain(problem))

  test('may take the port of the one with TLS where that is shut, and port 0 is nobody’s', () => {
    const plain = (port: number) => `plainMpd: { port: ${port}, from: [fd00::/8], roles: [owner] }`
    expect(said(`${good}listen: { mpd: false, ${plain(6601)} }`)).toEqual([])
    expect(said(`${good}listen: { https: { port: 0 }, mpd: { port: 0 }, ${plain(0)} }`)).toEqual([])
  })
})

describe('values from elsewhere', () => {
  test('come as what they look like when they are the whole value', () => {
    const text = `${good}listen: { https: { port: "\${PORT}", names: "\${NAMES:-}" }, mpd: "\${MPD}" }`
    const { config } = read(text, { PORT: '9443', NAMES: 'a.example, b.example', MPD: 'false' })
    expect(config?.listen).toEqual({
      https: { host: '::', port: 9443, names: ['a.example', 'b.example'] },
      mpd: false,
      plainMpd: false,
      metrics: false,
    })
  })

  test('are problems when they are missing, with the line', () => {
    expect(said(`${good}tls: { dir: "\${GONE}" }`)).toEqual([
      'c.yaml:8:13: tls.dir: the environment variable GONE is not set; set it, or write ${GONE:-otherwise}',
    ])
  })

  test('are never said, nor hinted at', () => {
    const env = { SECRET: 'hunter2', NEAR: 'inf0' }
    const text = `${good}log: { level: "\${NEAR}" }\nlisten: { https: { port: "\${SECRET}", host: "x" } }`
    const { config, problems } = read(text, env)
    expect(config).toBeUndefined()
    expect(problems).toHaveLength(2)
    expect(JSON.stringify(problems)).not.toMatch(/hunter2|inf0|info/)
  })
})
