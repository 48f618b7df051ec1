import { describe, expect, test } from 'vitest'
import { createCall, type Principal, type User } from '../../src/call/call.ts'
import { catalog, needing, op } from '../../src/call/catalog.ts'
import type { Known } from '../../src/call/known.ts'
import { decide } from '../../src/policy/decide.ts'
import { mattersOf } from '../../src/policy/matter.ts'
import { compile, type RolesConfig } from '../../src/policy/policy.ts'
import { isNarrowed, sees } from '../../src/policy/sight.ts'
import { uri } from '../../src/protocol/mpd/param.ts'

const rows = catalog('mpd', {
  status: op('status.read'),
  lsinfo: op('library.read', { uri }),
  add: op('queue.add', { uri }),
  more: op('queue.add'),
  load: needing('adds', op('queue.add')),
  info: needing('adds', op('playlists.read')),
  playlistadd: op('playlists.edit', { uri }),
})

type Uris = { allow?: string[]; deny?: string[] }
const granting = (uris?: Uris) => ({ allow: ['*'], ...(uris && { when: { uris } }) })
const roles: RolesConfig = {
  owner: { grants: [granting()] },
  kid: {
    grants: [granting({ allow: ['local:', 'path:kids/', 'https://*.radio.example/'], deny: ['local:track:Adults/'] })],
  },
  careful: { grants: [granting({ deny: ['spotify:show:'] })] },
  nas: { grants: [granting(), granting({ allow: ['http://nas.local/', 'http://192.168.1.5:8000/', 'local:'] })] },
  files: { grants: [granting({ allow: ['file:///srv/music/'] })] },
  schemes: { grants: [{ allow: ['*'], when: { uriSchemes: ['http', 'path'] } }] },
  learner: { mode: 'observe', grants: [{ allow: ['status.read'] }] },
  trier: { mode: 'observe', grants: [granting({ allow: ['http://nas.local/'] })] },
}
const policy = compile(roles)

const user = (...names: string[]): User => ({
  ...{ kind: 'user', id: 'u', name: 'kim', session: 's', until: 1000, from: '::1' },
  roles: names,
})
const call = (by: Principal, row: keyof typeof rows, shown?: string, known?: Known) => {
  const args = shown === undefined ? {} : { uri: shown }
  return createCall({ id: 'r', by, door: 'mpd', player: 'home', at: 0 }, { operation: rows[row], args }, known)
}
/** `yes`, or the reason and what is said. */
function says(...asked: Parameters<typeof call>): string {
  const decision = decide(policy, call(...asked))
  if (decision.allowed) return 'yes'
  const { denial } = decision
  return 'says' in denial ? `${denial.reason}: ${denial.says()} (${denial.condition.rule})` : denial.reason
}
const hosts = (entries: Readonly<Record<string, readonly string[]>>): Known => ({
  hosts: new Map(Object.entries(entries)),
})

describe('uris', () => {
  test.each([
    ['kid', 'local:track:a.flac'],
    ['kid', 'kids/a.flac'],
    ['careful', 'spotify:track:x'],
    ['careful', 'Artist/a.flac'],
    ['files', 'file:///srv/music/a.flac'],
  ])('a %s · %s: allowed, read or added', (role, address) => {
    for (const row of ['lsinfo', 'add', 'playlistadd'] as const) expect(says(user(role), row, address)).toBe('yes')
  })

  test.each([
    ['kid', 'local:track:adults/a.flac'],
    ['kid', 'Kids/a.flac'],
    ['kid', 'spotify:track:x'],
    ['kid', 'http://a.radio.example/'],
    ['kid', 'local: track:a'],
    ['careful', 'spotify:show:x'],
    ['careful', 'spotify:%73how:x'],
    ['careful', 'spotify:show:x '],
    ['careful', 'file:///srv/music/a.flac'],
    ['careful', 'podcast+FILE:///srv/feed.xml'],
    ['files', 'file:///srv/other/a.flac'],
    ['files', 'local:track:a'],
  ])('a %s · %s: refused, read or added', (role, address) => {
    for (const row of ['lsinfo', 'add', 'playlistadd'] as const) {
      expect(says(user(role), row, address)).toMatch(/^constraint: uris .*when\.uris\)$/)
    }
  })

  test('say what is allowed, and what is not', () => {
    expect(says(user('careful'), 'add', 'spotify:show:x')).toBe(
      'constraint: uris but not spotify:show: (roles.careful.grants[0].when.uris)',
    )
    expect(says(user('kid'), 'add', 'x')).toContain(
      'uris local:, path:kids/, https://*.radio.example/ but not local:track:Adults/',
    )
  })

  test('refuse what shows no address where one is added', () => {
    expect(says(user('kid'), 'more')).toMatch(/^unprovable: uris /)
    expect(says(user('careful'), 'more')).toMatch(/^unprovable: uris /)
    expect(says(user('kid'), 'status')).toBe('yes')
  })

  test('narrow what is shown', () => {
    const look = call(user('kid'), 'lsinfo', 'kids/a')
    expect(isNarrowed(policy, look)).toBe(true)
    expect(sees(policy, look, 'kids/b')).toBe(true)
    expect(sees(policy, look, 'local:track:Adults/a')).toBe(false)
  })

  test.each(['local', 'file:///', 'http://*', 'path:/x'])('with a slip (%s) make no policy', (slip) => {
    expect(() => compile({ kid: { grants: [granting({ allow: [slip] })] } })).toThrow(/^uris: /)
  })
})

const nobodys = [
  ...[
    'http://127.0.0.1:6680/',
    'http://localhost/',
    'http://x.localhost./',
    'HTTP://169.254.169.254/',
    'http://[::1]/',
  ],
  ...['http://2130706433/', 'http://0x7f.1/', 'http://0177.0.0.1/', 'http://127.1/', 'http://0/', 'http://10.0.0.1./'],
  ...[
    'http://[::ffff:169.254.169.254]/',
    'http://[64:ff9b::10.0.0.1]/',
    'http://[2002:7f00:1::]/',
    'http://[fe80::1%25lo]/',
  ],
  ...[
    'http://100.64.0.1/',
    'http://224.0.0.1/',
    'http://255.255.255.255/',
    'http://[fd00::1]/',
    'http://good.example@10.0.0.1/',
  ],
  ...[
    'rtsp://10.0.0.1/',
    'mms://10.0.0.1/',
    'nfs://10.0.0.1/x',
    'smb://10.0.0.1/x',
    'udp://239.1.1.1:5004',
    'rtmpe://10.0.0.1',
  ],
  ...[
    'podcast+https://10.0.0.1/',
    'hls+http://10.0.0.1/',
    'yt:http://10.0.0.1/',
    'yt:http%3A%2F%2F10.0.0.1%2F',
    'foo://10.0.0.1/',
  ],
  ...[
    'http:/127.0.0.1/',
    'http:127.0.0.1',
    'http://good.example\\@127.0.0.1/',
    'http://a@b@127.0.0.1/',
    'http://good.example?@10.0.0.1/',
  ],
  ...['http://%31%30.0.0.1/', 'http://１０.0.0.1/', 'http://10.0.0.1%2f.good.example/', 'unix:///run/docker.sock'],
]

describe('addresses of this network', () => {
  test.each(nobodys)('%s: refused to everybody, read or added', (address) => {
    for (const role of ['owner', 'schemes', 'nas', 'careful', 'learner', 'trier']) {
      for (const row of ['lsinfo', 'add', 'playlistadd'] as const) {
        expect([role, says(user(role), row, address)]).toEqual([role, expect.stringMatching(/^constraint: uri/)])
      }
    }
  })

  test('are told from public ones by what their names stand for, all of it', () => {
    const ask = (ips: readonly string[]) =>
      says(user('owner'), 'add', 'http://Radio.Example./', hosts({ 'radio.example': ips }))
    expect(ask(['93.184.216.34', '2606:4700::1111'])).toBe('yes')
    expect(ask(['93.184.216.34', '10.0.0.1'])).toBe(
      'constraint: uris: radio.example is not public (roles.owner.grants[0])',
    )
    expect(ask(['fe80::1%eth0'])).toMatch(/^constraint/)
    expect(ask([])).toMatch(/^unprovable: uris: radio\.example does not resolve/)
    expect(says(user('owner'), 'add', 'http://radio.example/')).toMatch(/^unprovable/)
    expect(says(user('owner'), 'add', 'http://radio.example/', hosts({ 'other.example': ['8.8.8.8'] }))).toMatch(
      /^unprovable/,
    )
  })

  test('go where a grant names the very host, whatever it stands for, and nowhere else', () => {
    expect(says(user('nas'), 'add', 'http://nas.local/x')).toBe('yes')
    expect(says(user('nas'), 'add', 'HTTP://192.168.1.5:8000/x')).toBe('yes')
    for (const address of [
      'http://192.168.1.5/x',
      'http://192.168.1.6:8000/',
      'https://nas.local/',
      'http://a.nas.local/',
    ]) {
      expect([address, says(user('nas'), 'add', address)]).not.toEqual([address, 'yes'])
    }
    expect(says(user('owner'), 'add', 'http://nas.local/x')).not.toBe('yes')
  })

  test('go nowhere by a ceiling that does not name them', () => {
    expect(says({ ...user('nas'), ceilings: [['owner']] }, 'add', 'http://nas.local/x')).not.toBe('yes')
    expect(says({ ...user('nas'), ceilings: [['nas']] }, 'add', 'http://nas.local/x')).toBe('yes')
  })

  test('are refused to who is only observed, granted or not, unless they are named', () => {
    expect(says(user('learner'), 'add', 'local:track:a')).toBe('yes')
    expect(says(user('learner'), 'load', undefined, { adds: ['http://10.0.0.1/'] })).toMatch(/^constraint/)
    expect(says(user('learner'), 'load')).toMatch(/^unprovable/)
    expect(mattersOf(policy, call(user('learner'), 'load'))).toEqual(['adds'])
    expect(says(user('trier'), 'add', 'http://nas.local/')).toBe('yes')
    expect(says(user('trier'), 'add', 'local:track:a')).toBe('yes')
  })

  test('narrow nothing that is shown', () => {
    const look = call(user('owner'), 'lsinfo', 'a')
    expect(isNarrowed(policy, look)).toBe(false)
    expect(sees(policy, look, 'http://10.0.0.1/')).toBe(true)
  })
})

describe('what is added unnamed', () => {
  test('is refused until it is known, to everybody', () => {
    for (const role of ['owner', 'kid', 'schemes']) {
      for (const row of ['load', 'info'] as const)
        expect([role, says(user(role), row)]).toEqual([role, expect.stringMatching(/^unprovable/)])
    }
  })

  test('is judged as if it had been named', () => {
    expect(says(user('owner'), 'load', undefined, { adds: [] })).toBe('yes')
    expect(says(user('kid'), 'load', undefined, { adds: ['local:track:a', 'kids/b'] })).toBe('yes')
    expect(says(user('kid'), 'load', undefined, { adds: ['local:track:a', 'spotify:track:b'] })).toMatch(
      /^constraint: uris local:/,
    )
    expect(says(user('kid'), 'info', undefined, { adds: ['spotify:track:b'] })).toMatch(/^constraint/)
  })

  test('is refused whole for one address of this network, and the reason does not tell where it leads', () => {
    const adds = ['local:track:a', 'b', 'c', 'd', 'http://169.254.169.254/']
    expect(says(user('owner'), 'load', undefined, { adds })).toBe(
      'constraint: uris: what it leads to is not public (roles.owner.grants[0])',
    )
    const named = { adds: ['http://secret.local/'], ...hosts({ 'secret.local': ['10.0.0.1'] }) }
    expect(says(user('owner'), 'load', undefined, named)).not.toContain('secret')
  })

  test.each([
    'local:track:../x',
    'local:track:%2e%2e/x',
    '/etc/passwd',
    'a\u0000b',
    'a\rb',
    '\ufefffile:///x',
    'x'.repeat(5000),
  ])('is refused for %j, which nobody could have named', (address) =>
    expect(says(user('owner'), 'load', undefined, { adds: [address] })).toMatch(/^constraint: uris: /),
  )
})

describe('what has to be looked up', () => {
  const matters = (...asked: Parameters<typeof call>) => mattersOf(policy, call(...asked))

  test('is nothing for what shows no name', () => {
    for (const address of ['local:track:a', 'http://8.8.8.8/', 'a/b'])
      expect(matters(user('owner'), 'add', address)).toEqual([])
  })

  test('is the host of a name, once all names are known', () => {
    expect(matters(user('owner'), 'add', 'http://radio.example/')).toEqual(['hosts'])
    expect(matters(user('owner'), 'add', 'http://radio.example/', hosts({ 'radio.example': ['8.8.8.8'] }))).toEqual([])
    expect(matters(user('owner'), 'load')).toEqual(['adds'])
    expect(matters(user('owner'), 'load', undefined, { adds: ['http://radio.example/'] })).toEqual(['hosts'])
  })

  test('is nothing where the answer is no without it', () => {
    expect(matters(user('kid'), 'add', 'http://evil.example/')).toEqual([])
    expect(matters(user('kid'), 'load', undefined, { adds: ['http://evil.example/'] })).toEqual([])
    expect(matters(user('nas'), 'add', 'http://nas.local/')).toEqual([])
  })
})

test('ten thousand addresses are judged', () => {
  const adds = Array.from({ length: 10_000 }, (_, i) => `local:track:Artist%20${i}/a.flac`)
  expect(says(user('kid'), 'load', undefined, { adds })).toBe('yes')
  expect(says(user('kid'), 'load', undefined, { adds: [...adds, 'http://10.0.0.1/'] })).toMatch(/^constraint/)
})
