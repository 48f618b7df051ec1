import { readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { createCall, type Request, type User } from '../../src/call/call.ts'
import { Fault } from '../../src/call/fault.ts'
import { run } from '../../src/cli/learn.ts'
import { readConfig } from '../../src/config/load.ts'
import { createGate } from '../../src/gate/gate.ts'
import { createLimiter } from '../../src/gate/limiter.ts'
import { decide } from '../../src/policy/decide.ts'
import { compile, type RolesConfig } from '../../src/policy/policy.ts'
import { decode as decodeRpc } from '../../src/protocol/jsonrpc/decode.ts'
import { goLibrespot } from '../../src/protocol/librespot/go.ts'
import { mopidy } from '../../src/protocol/mopidy/catalog.ts'
import { decode as decodeMpd } from '../../src/protocol/mpd/decode.ts'
import { tokenize } from '../../src/protocol/mpd/token.ts'
import { decodeRest } from '../../src/protocol/rest/decode.ts'
import { openAccounts } from '../../src/store/accounts.ts'
import { openAudit } from '../../src/store/audit.ts'
import { createShell } from './house.ts'

const players = `players:
  home: { kind: mopidy, http: "http://127.0.0.1:6680", mpd: "127.0.0.1:6600" }
  bath: { kind: mpd, mpd: "127.0.0.1:6600" }
  den: { kind: go-librespot, url: "http://127.0.0.1:3678" }
`
const mpd = (line: string): Request => decodeMpd(tokenize(new TextEncoder().encode(line)))
const rpc = (method: string, params: object = {}): Request =>
  decodeRpc(mopidy, { jsonrpc: '2.0', id: 1, method: `core.${method}`, params })
const rest = (method: string, path: string, body?: object): Request => decodeRest(goLibrespot, { method, path, body })
const hour = 3_600_000
const hosts = new Map([['radio.example', ['93.184.215.14']]])

/** A house in which some people do things, and what is learned from that. */
function setup(kid: RolesConfig[string] = { mode: 'observe', grants: [{ allow: ['status.read'] }] }) {
  const shell = createShell()
  const roles: RolesConfig = { owner: { grants: [{ allow: ['*'] }] }, kid }
  writeFileSync(shell.file, `${players}roles: ${JSON.stringify(roles)}\n`)
  const policy = compile(roles)
  const accounts = openAccounts({ dir: shell.data, now: () => shell.clock.now, pollMs: 0 })
  const audit = openAudit({ dir: shell.data, now: () => shell.clock.now, days: 90, megabytes: 10 })
  const gate = createGate({ policy: () => policy, limiter: createLimiter(), audit })
  const person = (name: string, ...names: string[]): User => {
    const { id } = accounts.create({ name, roles: names, password: 'x' })
    return { kind: 'user', id, name, roles: names, session: 's', until: 2e15, from: '::1' }
  }
  const [kim, lee, ada] = [person('kim', 'kid'), person('lee', 'kid', 'owner'), person('ada', 'owner')]

  const callOf = (by: User, request: Request, player = 'home', at = shell.clock.now) =>
    createCall({ id: 'r', by, door: 'mpd', player, at }, request, { hosts })
  const act = (...asked: Parameters<typeof callOf>) => {
    try {
      return gate.admit(callOf(...asked))
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      return undefined
    }
  }
  const learn = async (more = '--since 2d') => {
    audit.close()
    accounts.close()
    return shell.run(run, `--role kid ${more}`)
  }
  /** What the proposal, put into a configuration as it stands, says to a call. */
  const allows = (yaml: string, ...asked: Parameters<typeof callOf>) => {
    const { config, problems } = readConfig(`${players}${yaml}\n`, 'learned.yaml', { env: {}, read: () => '' })
    if (!config) throw new Error(`${JSON.stringify(problems)}\n${yaml}`)
    const [by, ...rest] = asked
    return decide(compile(config.roles), callOf({ ...by, roles: ['kid'] }, ...rest)).allowed
  }
  return { shell, accounts, audit, kim, lee, ada, act, learn, allows }
}

describe('learn', () => {
  const done: readonly [Request, string?][] = [
    [mpd('status')],
    [mpd('status'), 'bath'],
    [mpd('setvol 20')],
    [mpd('setvol 35')],
    [mpd('setvol 60'), 'bath'],
    [rpc('tracklist.add', { uris: ['local:track:a.flac', 'spotify:track:x'] })],
    [mpd('add "Artist/Album/01.flac"'), 'bath'],
    [rpc('library.search', { query: { any: ['x'] } })],
    [rpc('library.lookup', { uris: ['spotify:track:x'] })],
    [mpd('pause 1')],
    [mpd('pause 0')],
    [rest('POST', '/player/next', { uri: 'spotify:track:4uLU6hMCjMI75M1A2tKUQC' }), 'den'],
  ]
  const never: readonly [string, Request, string?][] = [
    ['louder at home', mpd('setvol 36')],
    ['louder in the bath', mpd('setvol 61'), 'bath'],
    ['a change nobody can see', mpd('volume +1')],
    ['to add at home what was added in the bath', mpd('add "Artist/Album/01.flac"')],
    ['to look up another kind', rpc('library.lookup', { uris: ['tunein:station:s1'] })],
    ['to add another kind', rpc('tracklist.add', { uris: ['tunein:station:s1'] })],
    ['another player', mpd('pause 1'), 'bath'],
    ['another capability', mpd('clear')],
    ['to administer', mpd('kill')],
  ]

  test('proposes what was done, which is valid as it stands and allows no more', async () => {
    const { kim, act, learn, allows } = setup()
    for (const [request, player] of done) act(kim, request, player)
    const { status, out, err } = await learn()
    expect(err).toBe('')
    expect(status).toBe(0)
    for (const [request, player] of done) {
      expect(allows(out, kim, request, player), `${request.operation.name} ${JSON.stringify(request.args)}`).toBe(true)
    }
    for (const [what, request, player] of never) expect(allows(out, kim, request, player), what).toBe(false)
  })

  test('says how often each was used, by whom and since when, and keeps the rates there are', async () => {
    const { kim, act, learn } = setup({
      mode: 'observe',
      grants: [{ allow: ['status.read'] }],
      rates: { '*': '300/1m' },
      quotas: { 'playback.skip': '6/1h' },
    })
    for (const level of [10, 20, 30, 90]) act(kim, mpd(`setvol ${level}`))
    act(kim, mpd('status'))
    const { out } = await learn()
    expect(out.split('\n')).toEqual([
      '# The smallest role that allows what "kim", "lee" did',
      '# since 2025-12-30T00:00:00.000Z: 5 calls. Read it before it goes anywhere:',
      '# whoever tried something out in that time has put it in here.',
      'roles:',
      '  kid:',
      '    grants:',
      '      - allow:',
      '          - status.read # once',
      '        on: ["home"]',
      '      - allow:',
      '          - volume.set # 4 times',
      '        on: ["home"]',
      '        when: { maxVolume: 90 }',
      '        # volume: the loudest of 4, nine in ten at most 90',
      '    rates: {"*":"300/1m"} # as it is now',
      '    quotas: {"playback.skip":"6/1h"} # as it is now',
    ])
  })

  test('learns from people of the role alone, and from what that role let through', async () => {
    const { kim, lee, ada, act, learn, allows } = setup({ grants: [{ allow: ['status.read'] }] })
    act(ada, mpd('clear'))
    act(lee, mpd('clear'))
    act(lee, mpd('status'))
    const { out } = await learn()
    expect(out).toContain('# - queue.clear at home, once: another role of theirs allowed it')
    expect(allows(out, kim, mpd('clear'))).toBe(false)
    expect(allows(out, kim, mpd('status'))).toBe(true)
  })

  test('leaves out what only failed, and says so', async () => {
    const { kim, act, learn, allows } = setup({
      grants: [{ allow: ['status.read'] }, { allow: ['volume.set'], when: { maxVolume: 40 } }],
    })
    act(kim, mpd('setvol 40'))
    act(kim, mpd('setvol 90'))
    act(kim, mpd('clear'))
    const { out } = await learn()
    expect(out).toMatch(/# - volume\.set at home, once: was refused/)
    expect(out).toMatch(/# - queue\.clear at home, once: was refused/)
    expect(allows(out, kim, mpd('setvol 41'))).toBe(false)
  })

  test('never proposes what outlives a song, though it was done', async () => {
    const { kim, act, learn, allows } = setup({ grants: [{ allow: ['*'] }] })
    act(kim, mpd('kill'))
    act(kim, mpd('status'))
    const { out } = await learn()
    expect(out).toContain('# - server.admin at home, once: outlives a song: grant it by hand, if it is meant')
    expect(out).not.toMatch(/^[^#]*server\.admin/m)
    expect(allows(out, kim, mpd('kill'))).toBe(false)
  })

  test('never proposes a host or a folder that somebody tried', async () => {
    const { kim, act, learn, allows } = setup()
    act(kim, mpd('add "http://192.168.1.1/admin"'), 'bath')
    act(kim, mpd('add "https://radio.example/live"'), 'bath')
    act(kim, mpd('add "local:a"'), 'bath')
    const { out } = await learn()
    expect(out).toContain('# - queue.add at bath, once: addresses of the kind https: name their hosts')
    expect(out).toContain('# - queue.add at bath, once: was refused')
    expect(out).not.toContain('192.168')
    expect(allows(out, kim, mpd('add "https://radio.example/live"'), 'bath')).toBe(false)
    expect(allows(out, kim, mpd('add "local:a"'), 'bath')).toBe(true)
  })

  test('looks at the time it was asked about', async () => {
    const { kim, act, learn, shell } = setup()
    act(kim, mpd('clear'))
    shell.clock.now += 10 * hour
    act(kim, mpd('status'))
    const { out } = await learn('--since 9h')
    expect(out).toContain('status.read')
    expect(out).not.toContain('queue.clear')
  })

  test('a kind of address that is a word of YAML stays text, whatever it is called', async () => {
    const words = ['null', 'true', 'no', 'on', 'y', '1e5'.replace('1', 'e'), 'a.b+c-d']
    const { kim, act, learn, allows } = setup()
    for (const word of words) act(kim, mpd(`add "${word}:x"`))
    const { out } = await learn()
    for (const word of words) expect(allows(out, kim, mpd(`add "${word}:x"`)), word).toBe(true)
    expect(allows(out, kim, mpd('add "nul:x"'))).toBe(false)
  })

  test('nothing that was sent is in what is printed but kinds of address', async () => {
    const { kim, act, learn } = setup()
    const sly = 'local:x%0a roles: { kid: { grants: [{ allow: [everything] }] } } # secret'
    act(kim, mpd(`add "${sly}"`))
    act(kim, rpc('playlists.create', { name: 'everything: secret' }))
    const { out } = await learn()
    expect(out).not.toMatch(/everything|secret/)
  })

  test('takes a record that is still being written, and leaves it as it is', async () => {
    const { shell, kim, act, audit, accounts } = setup()
    act(kim, mpd('status'))
    audit.close()
    const other = openAudit({ dir: shell.data, now: () => shell.clock.now, days: 90, megabytes: 10 })
    const before = readFileSync(`${shell.data}/audit.sqlite`)
    const { out } = await shell.run(run, '--role kid --since 2d')
    expect(out).toContain('status.read # once')
    expect(readFileSync(`${shell.data}/audit.sqlite`).equals(before)).toBe(true)
    other.close()
    accounts.close()
  })

  test('is data on demand', async () => {
    const { kim, act, learn } = setup()
    act(kim, mpd('setvol 20'))
    const { out } = await learn('--since 2d --json')
    expect(JSON.parse(out)).toMatchObject({
      role: 'kid',
      people: ['kim', 'lee'],
      calls: 1,
      grants: [{ allow: ['volume.set'], on: ['home'], when: { maxVolume: 20 }, times: [1] }],
      leftOut: [],
    })
  })

  test('has nothing to say where nothing was done', async () => {
    const { learn } = setup()
    const { status, out } = await learn()
    expect(status).toBe(1)
    expect(out).toContain('grants: [] # nothing was done')
  })

  test.each([
    ['', 2],
    ['--role kid', 2],
    ['--role kid --since tomorrow', 2],
    ['--role kidd --since 2d', 1],
  ])('%j is wrong usage', async (line, status) => {
    const { shell, audit, accounts } = setup()
    audit.close()
    accounts.close()
    expect((await shell.run(run, line)).status).toBe(status)
  })
})
