import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { Fault } from '../../src/call/fault.ts'
import { hashSecret } from '../../src/identity/tokens.ts'
import { openAccounts } from '../../src/store/accounts.ts'
import { fold } from '../../src/store/name.ts'
import { migrations } from '../../src/store/record.ts'
import { codeOf, createDir, createHouse, faultOf } from '../identity/house.ts'

const open = (dir: string, more: Partial<Parameters<typeof openAccounts>[0]> = {}) => {
  const accounts = openAccounts({ dir, now: Date.now, pollMs: 0, ...more })
  onTestFinished(() => accounts.close())
  return accounts
}

const writer = fileURLToPath(new URL('writer.ts', import.meta.url))

/** Runs another process until it said something. */
async function start(...args: string[]) {
  const child = spawn(process.execPath, [writer, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  const [said] = await once(child.stdout, 'data')
  return { child, said: String(said) }
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 20))
}

describe('the file', () => {
  it('P12, A19 · belongs to its owner alone, with everything beside it, whatever the umask', async () => {
    const dir = join(createDir(), 'deep', 'data')
    const command = ['-c', 'umask 0; exec "$0" "$@"', process.execPath, writer, dir, 'create', 'Eva']
    const child = spawn('sh', command, { stdio: ['ignore', 'pipe', 'inherit'] })
    onTestFinished(() => {
      child.kill('SIGKILL')
    })
    await once(child.stdout, 'data')
    expect(statSync(dir).mode & 0o777).toBe(0o700)
    expect(readdirSync(dir).sort()).toEqual(['accounts.sqlite', 'accounts.sqlite-shm', 'accounts.sqlite-wal'])
    for (const name of readdirSync(dir)) expect(statSync(join(dir, name)).mode & 0o777).toBe(0o600)
  })

  it('A19 · is refused when others could have read the keys in it', async () => {
    const dir = createDir()
    openAccounts({ dir, now: Date.now, pollMs: 0 }).close()
    for (const mode of [0o640, 0o604, 0o660]) {
      chmodSync(join(dir, 'accounts.sqlite'), mode)
      const fault = await faultOf(() => open(dir))
      expect(fault?.code).toBe('internal')
      expect(fault?.message).toMatch(/chmod 600/)
    }
    chmodSync(join(dir, 'accounts.sqlite'), 0o600)
    open(dir)
  })

  it('a directory that others may enter is closed to them', () => {
    const dir = join(createDir(), 'data')
    mkdirSync(dir, { mode: 0o755 })
    chmodSync(dir, 0o755)
    open(dir)
    expect(statSync(dir).mode & 0o777).toBe(0o700)
  })

  it('waits for the disk before it answers', () => {
    const dir = createDir()
    const exec = vi.spyOn(DatabaseSync.prototype, 'exec')
    open(dir)
    expect(exec.mock.calls.join('\n')).toMatch(/journal_mode = WAL; PRAGMA synchronous = FULL/)
    exec.mockRestore()
  })

  it('is refused when a newer version wrote it, and left as it is', async () => {
    const dir = createDir()
    openAccounts({ dir, now: Date.now, pollMs: 0 }).close()
    const db = new DatabaseSync(join(dir, 'accounts.sqlite'))
    db.exec('PRAGMA user_version = 99')
    const fault = await faultOf(() => open(dir))
    expect(fault?.message).toMatch(/newer Stagedoor \(schema 99/)
    expect(db.prepare('PRAGMA user_version').get()?.user_version).toBe(99)
    db.close()
  })

  it.each([
    ['no database at all', (file) => writeFileSync(file, 'x'.repeat(8192))],
    [
      'a page overwritten',
      (file) => {
        const handle = openSync(file, 'r+')
        for (let page = 1; page < 10; page++) writeSync(handle, Buffer.alloc(2048, 0xff), 0, 2048, page * 4096)
      },
    ],
    [
      'one page that is not read at the start',
      (file) => {
        const db = new DatabaseSync(file)
        const page = Number(db.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'spent'").get()?.rootpage)
        db.close()
        const handle = openSync(file, 'r+')
        writeSync(handle, Buffer.alloc(4096, 0xff), 0, 4096, (page - 1) * 4096)
      },
    ],
  ] satisfies [string, (file: string) => void][])('P9 · is refused when damaged: %s', async (_, damage) => {
    const dir = createDir()
    const accounts = openAccounts({ dir, now: Date.now, pollMs: 0 })
    accounts.create({ name: 'Eva', roles: ['owner'], password: 'x' })
    accounts.close()
    damage(join(dir, 'accounts.sqlite'))
    const fault = await faultOf(() => open(dir))
    expect(fault?.code).toBe('internal')
    expect(fault?.message).toMatch(/damaged|malformed/)
    expect(fault?.message).toContain('accounts.sqlite')
  })

  it('P9 · is refused when another process holds it', async () => {
    const dir = createDir()
    openAccounts({ dir, now: Date.now, pollMs: 0 }).close()
    const other = new DatabaseSync(join(dir, 'accounts.sqlite'))
    other.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE')
    const fault = await faultOf(() => open(dir, { busyMs: 10 }))
    expect(fault?.code).toBe('internal')
    expect(fault?.message).toMatch(/locked/)
    other.close()
  })
})

describe('P9 · a store that goes away while the gateway runs denies everything', () => {
  async function running() {
    const problems: (Fault | undefined)[] = []
    const house = createHouse()
    const accounts = openAccounts({
      dir: house.dir,
      now: () => house.clock.now,
      pollMs: 20,
      busyMs: 10,
      onProblem: (fault) => problems.push(fault),
    })
    onTestFinished(() => accounts.close())
    await house.add('Eva')
    house.accounts.close()
    await until(() => accounts.list().length === 1)
    const { createIdentity } = await import('../../src/identity/identity.ts')
    const now = () => house.clock.now
    const { identity, sessions } = createIdentity({ accounts, now, passwords: house.passwords })
    const tokens = await sessions.login('Eva', 'correct horse', '10.0.0.1')
    const denied = async () => {
      expect(accounts.ready).toBe(false)
      expect(identity.renew(tokens.user)).toBeUndefined()
      for (const credential of [
        { kind: 'bearer', token: tokens.accessToken },
        { kind: 'cookie', value: tokens.refreshToken },
        { kind: 'mpd', password: tokens.accessToken },
        { kind: 'bearer', token: `sd1_${'0'.repeat(16)}_${'A'.repeat(43)}` },
      ] as const) {
        expect(await codeOf(identity.identify(credential, '10.0.0.1'))).toBe('internal')
      }
      expect(await codeOf(sessions.login('Eva', 'correct horse', '10.0.0.1'))).toBe('internal')
      expect(await codeOf(sessions.refresh(tokens.refreshToken, '10.0.0.1'))).toBe('internal')
    }
    return { house, accounts, identity, tokens, problems, denied }
  }

  it('removed', async () => {
    const { house, accounts, problems, denied } = await running()
    let told = 0
    accounts.onChange(() => told++)
    rmSync(house.dir, { recursive: true })
    await until(() => !accounts.ready)
    await denied()
    expect(problems).toHaveLength(1)
    expect(told).toBe(1)
  })

  it('replaced by another file, such as an emptier one', async () => {
    const { house, accounts, denied } = await running()
    const file = join(house.dir, 'accounts.sqlite')
    copyFileSync(file, `${file}.copy`)
    renameSync(`${file}.copy`, file)
    await until(() => !accounts.ready)
    await denied()
  })

  it('unreadable for a while: denied meanwhile, and served again after', async () => {
    const { house, accounts, identity, tokens, problems, denied } = await running()
    const file = join(house.dir, 'accounts.sqlite')
    renameSync(file, `${file}.away`)
    await until(() => !accounts.ready)
    await denied()
    renameSync(`${file}.away`, file)
    await until(() => accounts.ready)
    expect(identity.renew(tokens.user)).toBeDefined()
    expect(problems.map((problem) => problem?.code)).toEqual(['internal', undefined])
  })

  it('its tables gone', async () => {
    const { house, accounts, denied } = await running()
    const other = new DatabaseSync(join(house.dir, 'accounts.sqlite'))
    other.exec('DROP TABLE token')
    other.close()
    await until(() => !accounts.ready)
    await denied()
  })

  it('what cannot be read again after a write is not believed any longer', async () => {
    const dir = createDir()
    const accounts = open(dir)
    const eva = accounts.create({ name: 'Eva', roles: ['owner'], password: 'x' })
    const other = new DatabaseSync(join(dir, 'accounts.sqlite'))
    other.exec('DROP TABLE token')
    other.close()
    expect(await codeOf(() => accounts.setRoles(eva.id, ['owner', 'guest']))).toBe('internal')
    expect(await codeOf(() => accounts.byId(eva.id))).toBe('internal')
  })

  it('a write that cannot be made is refused, and reading goes on', async () => {
    const { house, accounts, tokens, identity } = await running()
    const other = new DatabaseSync(join(house.dir, 'accounts.sqlite'))
    other.exec('BEGIN IMMEDIATE')
    expect(await codeOf(() => accounts.endSession(tokens.session))).toBe('internal')
    expect(identity.renew(tokens.user)).toBeDefined()
    other.exec('ROLLBACK')
    expect(accounts.endSession(tokens.session)).toBe(true)
    other.close()
  })
})

describe('several processes', () => {
  it('A9 · what another one changes is told and holds here', async () => {
    const house = createHouse({ pollMs: 50 })
    await house.add('Own')
    const eva = await house.add('Eva')
    const token = house.token(eva)
    const device = await house.identity.identify({ kind: 'mpd', password: token.text }, 'x')
    const { user } = await house.sessions.login('Eva', 'correct horse', 'x')
    if (device.kind !== 'user') throw new Error('anonymous')
    // Told may be more than once, for less than this: what holds when it was told is what counts.
    let isGone = false
    let roles: readonly string[] | undefined
    house.identity.onChange(() => {
      isGone = house.identity.renew(device) === undefined
      roles = house.identity.renew(user)?.roles
    })
    await start(house.dir, 'revoke', token.id)
    await until(() => isGone)
    await start(house.dir, 'role', eva.id)
    await until(() => roles?.[0] === 'guest')
  })

  it('the poll is frequent enough for one second and quiet when nothing happens', async () => {
    const set = vi.spyOn(globalThis, 'setInterval')
    const accounts = openAccounts({ dir: createDir(), now: Date.now })
    onTestFinished(() => accounts.close())
    const [, ms] = set.mock.calls.at(-1) ?? []
    expect(ms).toBeLessThanOrEqual(250)
    set.mockRestore()
    let told = 0
    accounts.onChange(() => told++)
    await new Promise((resolve) => setTimeout(resolve, 600))
    expect(told).toBe(0)
  })

  it('three write at once, and nothing is lost', async () => {
    const dir = createDir()
    const accounts = open(dir, { busyMs: 5000 })
    const others = [start(dir, 'storm', 'a'), start(dir, 'storm', 'b')]
    for (let i = 0; i < 50; i++) {
      accounts.create({ name: `c${i}`, roles: ['member'], password: 'x' })
      await new Promise(setImmediate)
    }
    await Promise.all(others)
    expect(open(dir).list()).toHaveLength(250)
  })

  it('A10 · two refresh the same fifty tokens: each is rotated exactly once', async () => {
    const dir = createDir()
    const accounts = open(dir)
    const eva = accounts.create({ name: 'Eva', roles: ['owner'], password: 'x' })
    for (let i = 0; i < 50; i++) {
      accounts.startSession({
        account: eva.id,
        password: 'x',
        refresh: hashSecret(`token ${i}`),
        from: 'x',
        source: 'x',
      })
    }
    const both = await Promise.all([start(dir, 'race'), start(dir, 'race')])
    const [one, two] = both.map(({ said }) => JSON.parse(said) as string[])
    for (let i = 0; i < 50; i++) expect([one?.[i], two?.[i]].filter((outcome) => outcome === 'rotated')).toHaveLength(1)
  })

  it('two that begin at once make one signing key', async () => {
    const dir = createDir()
    await Promise.all([start(dir, 'none'), start(dir, 'none'), start(dir, 'none')])
    expect(open(dir).keys()).toHaveLength(1)
  })
})

describe('pairing', () => {
  const minute = 60_000

  it('is open for a while, for one player and for one who asks', () => {
    const { accounts, clock } = createHouse()
    const until = clock.now + 2 * minute
    expect(accounts.pairing('bath')).toBeUndefined()
    expect(accounts.takePairing('bath')).toBe(false)
    accounts.openPairing('bath', until)
    expect(accounts.pairing('bath')).toBe(until)
    expect(accounts.pairing('den')).toBeUndefined()
    expect(accounts.takePairing('den')).toBe(false)
    expect(accounts.takePairing('__proto__')).toBe(false)
    expect(accounts.takePairing('bath')).toBe(true)
    expect(accounts.takePairing('bath')).toBe(false)
    expect(accounts.pairing('bath')).toBeUndefined()
  })

  it('ends by itself, at the time that was said', () => {
    const { accounts, clock } = createHouse()
    accounts.openPairing('bath', clock.now + minute)
    clock.now += minute - 1
    expect(accounts.pairing('bath')).toBeDefined()
    clock.now += 1
    expect(accounts.pairing('bath')).toBeUndefined()
    expect(accounts.takePairing('bath')).toBe(false)
  })

  it('a clock that is set back opens nothing', () => {
    const { accounts, clock } = createHouse()
    accounts.openPairing('bath', clock.now + minute)
    clock.now -= 86_400_000
    expect(accounts.pairing('bath')).toBeUndefined()
    expect(accounts.takePairing('bath')).toBe(false)
  })

  it('can be ended before, and opened anew', () => {
    const { accounts, clock } = createHouse()
    expect(accounts.closePairing('bath')).toBe(false)
    accounts.openPairing('bath', clock.now + minute)
    accounts.openPairing('den', clock.now + minute)
    expect(accounts.closePairing('bath')).toBe(true)
    expect(accounts.takePairing('bath')).toBe(false)
    expect(accounts.pairing('den')).toBeDefined()
    accounts.openPairing('bath', clock.now + minute)
    accounts.openPairing('bath', clock.now + 3 * minute)
    expect(accounts.pairing('bath')).toBe(clock.now + 3 * minute)
  })

  it.each([0, -1, 10 * minute + 1, Number.POSITIVE_INFINITY, Number.NaN])('%d ms are refused', async (length) => {
    const { accounts, clock } = createHouse()
    expect(await codeOf(() => accounts.openPairing('bath', clock.now + length))).toBe('bad-arguments')
    expect(accounts.pairing('bath')).toBeUndefined()
  })

  it('what another process opened is seen at once, without a poll', () => {
    const dir = createDir()
    const [gateway, shell] = [open(dir), open(dir)]
    shell.openPairing('bath', Date.now() + minute)
    expect(gateway.pairing('bath')).toBeDefined()
    expect(shell.takePairing('bath')).toBe(true)
    expect(gateway.takePairing('bath')).toBe(false)
  })

  it('of two processes that ask at the same time one is told yes, each time', async () => {
    const dir = createDir()
    const accounts = open(dir, { busyMs: 5000 })
    const both = await Promise.all([start(dir, 'pair'), start(dir, 'pair')])
    const said = both.map(({ child }) => once(child.stdout, 'data'))
    for (let i = 0; i < 50; i++) accounts.openPairing(`p${i}`, Date.now() + minute)
    accounts.openPairing('go', Date.now() + minute)
    const [one, two] = (await Promise.all(said)).map(
      ([text]) => JSON.parse(String(text).split('\n')[0] ?? '') as boolean[],
    )
    for (let i = 0; i < 50; i++) expect([one?.[i], two?.[i]].filter(Boolean)).toHaveLength(1)
  })
})

describe('overrides', () => {
  const hour = 3_600_000

  it('are there until something changes, as one list', () => {
    const { accounts, clock } = createHouse()
    expect(accounts.overrides()).toEqual([])
    accounts.override('kid', undefined, clock.now + hour)
    accounts.override('kid', 'bath', clock.now + 2 * hour)
    const made = accounts.overrides()
    expect(made).toEqual([
      { who: 'kid', from: clock.now, until: clock.now + hour },
      { who: 'kid', player: 'bath', from: clock.now, until: clock.now + 2 * hour },
    ])
    expect(accounts.overrides()).toBe(made)
  })

  it('take the place of earlier ones, and go when they are over', () => {
    const { accounts, clock } = createHouse()
    accounts.override('kid', 'bath', clock.now + 2 * hour)
    accounts.override('kid', 'bath', clock.now + hour)
    expect(accounts.overrides()).toEqual([{ who: 'kid', player: 'bath', from: clock.now, until: clock.now + hour }])
    clock.now += hour
    accounts.override('guest', undefined, clock.now + hour)
    expect(accounts.overrides().map(({ who }) => who)).toEqual(['guest'])
  })

  it('can be ended, one or all of somebody', () => {
    const { accounts, clock } = createHouse()
    for (const player of [undefined, 'bath', 'den']) accounts.override('kid', player, clock.now + hour)
    accounts.override('guest', 'den', clock.now + hour)
    expect(accounts.endOverrides('kid', 'den')).toBe(1)
    expect(accounts.endOverrides('kid', '')).toBe(1)
    expect(accounts.endOverrides('kid', 'hall')).toBe(0)
    expect(accounts.endOverrides('kid')).toBe(1)
    expect(accounts.endOverrides('__proto__')).toBe(0)
    expect(accounts.overrides()).toMatchObject([{ who: 'guest', player: 'den' }])
  })

  it.each([0, -1, 25 * hour + 1, Number.POSITIVE_INFINITY, Number.NaN])('%d ms are refused', async (length) => {
    const { accounts, clock } = createHouse()
    expect(await codeOf(() => accounts.override('kid', undefined, clock.now + length))).toBe('bad-arguments')
    expect(accounts.overrides()).toEqual([])
  })

  it('of another process are seen at the next poll', async () => {
    const dir = createDir()
    const gateway = open(dir, { pollMs: 5 })
    open(dir).override('kid', undefined, Date.now() + hour)
    await vi.waitUntil(() => gateway.overrides().length === 1)
  })
})

describe('P4 · killed right after the answer', () => {
  it('an account that was made is there', async () => {
    const dir = createDir()
    for (let i = 0; i < 5; i++) {
      const { child } = await start(dir, 'create', `Eva${i}`)
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    expect(
      open(dir)
        .list()
        .map(({ name }) => name),
    ).toEqual(['Eva0', 'Eva1', 'Eva2', 'Eva3', 'Eva4'])
  })

  it('a token that was revoked stays so', async () => {
    const house = createHouse()
    const token = house.token(await house.add('Eva'))
    house.accounts.close()
    const { child } = await start(house.dir, 'revoke', token.id)
    child.kill('SIGKILL')
    await once(child, 'exit')
    const again = createHouse({ dir: house.dir })
    expect(await codeOf(again.identity.identify({ kind: 'bearer', token: token.text }, 'x'))).toBe('bad-credentials')
  })
})

describe('accounts', () => {
  it('names that look alike are one, and an account can be found by any of them', async () => {
    const accounts = open(createDir())
    const eva = accounts.create({ name: 'Éva Straße', roles: ['owner'], password: 'x' })
    for (const name of ['éva straße', 'ÉVA STRASSE', 'Éva Straße'.normalize('NFD'), 'Ｅ́va Straße']) {
      expect(accounts.byName(name)?.id).toBe(eva.id)
      expect(await codeOf(() => accounts.create({ name, roles: [], password: 'x' }))).toBe('bad-arguments')
    }
    expect(fold('ΣΊΣΥΦΟΣ')).toBe(fold('σίσυφοσ'))
    expect(accounts.byName('__proto__')).toBeUndefined()
  })

  it.each([
    '',
    ' ',
    ' Eva',
    'Eva ',
    'a:b',
    'a\nb',
    'a\0b',
    'a\x1b[31m',
    'a\u2028b',
    'a\u202eb',
    '\ud800',
    '-rf',
    '.',
    'x'.repeat(65),
    'a/b',
    '<b>',
  ])('the name %j is refused', async (name) => {
    expect(await codeOf(() => open(createDir()).create({ name, roles: [], password: 'x' }))).toBe('bad-arguments')
  })

  it('one owner always remains', async () => {
    const accounts = open(createDir())
    const eva = accounts.create({ name: 'Eva', roles: ['owner', 'member'], password: 'x' })
    const gus = accounts.create({ name: 'Gus', roles: ['member'], password: 'x' })
    const ways = [
      () => accounts.remove(eva.id),
      () => accounts.setDisabled(eva.id, true),
      () => accounts.setRoles(eva.id, ['member']),
      () => accounts.setRoles(eva.id, []),
    ]
    for (const way of ways) expect((await faultOf(way))?.message).toMatch(/last account with the role owner/)
    expect(accounts.byId(eva.id)).toEqual(eva)
    accounts.setRoles(gus.id, ['owner'])
    accounts.setDisabled(gus.id, true)
    for (const way of ways) expect(await codeOf(way), 'a disabled owner is none').toBe('forbidden')
    accounts.setDisabled(gus.id, false)
    accounts.remove(eva.id)
    expect(accounts.list()).toHaveLength(1)
  })

  it('what does not exist cannot be changed', async () => {
    const accounts = open(createDir())
    expect(await codeOf(() => accounts.setRoles('x', []))).toBe('bad-arguments')
    expect(await codeOf(() => accounts.setPassword('x', ''))).toBe('bad-arguments')
    expect(await codeOf(() => accounts.remove('x'))).toBe('bad-arguments')
    expect(
      await codeOf(() =>
        accounts.createToken({ account: 'x', label: 'l', role: null, players: null, expires: null }, Buffer.alloc(32)),
      ),
    ).toBe('forbidden')
    expect(accounts.removeToken('x')).toBe(false)
    expect(accounts.endSession('x')).toBe(false)
  })

  it('keeps fifty sessions and a hundred tokens of one account, and no more', async () => {
    const house = createHouse()
    const eva = await house.add('Eva')
    const first = await house.sessions.login('Eva', 'correct horse', 'x')
    for (let i = 0; i < 50; i++) {
      house.clock.now += 1
      await house.sessions.login('Eva', 'correct horse', `10.0.0.${i}`)
    }
    expect(house.accounts.sessions()).toHaveLength(50)
    expect(house.identity.renew(first.user)).toBeUndefined()
    for (let i = 0; i < 100; i++) house.token(eva)
    expect(await codeOf(() => house.token(eva))).toBe('forbidden')
  })

  it('the use of a token is noted, but not each one', async () => {
    const house = createHouse({ pollMs: 10 })
    const { id, text } = house.token(await house.add('Eva'))
    const show = () => house.identity.identify({ kind: 'bearer', token: text }, 'x')
    let changes = 0
    house.identity.onChange(() => changes++)
    const began = house.clock.now
    await show()
    await until(() => house.accounts.token(id)?.used === began)
    house.clock.now += 59_999
    await show()
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(house.accounts.token(id)?.used).toBe(began)
    house.clock.now += 1
    await show()
    await until(() => house.accounts.token(id)?.used === house.clock.now)
    expect(changes).toBe(0)
  })
})

it('what another process has just made is known at once, without waiting for the next poll', () => {
  const dir = createDir()
  const gateway = open(dir)
  const shell = open(dir)
  const { id } = shell.create({ name: 'ada', roles: ['owner'], password: 'hash' })
  const secret = hashSecret('secret')
  const made = shell.createToken({ account: id, label: 'phone', role: null, players: null, expires: null }, secret)
  expect(gateway.secretOf(made.id)).toEqual(secret)
  shell.create({ name: 'ben', roles: ['kid'], password: 'hash' })
  expect(gateway.byName('Ben')?.name).toBe('ben')
  expect(gateway.byName('nobody')).toBeUndefined()
})

describe('a certificate', () => {
  const fingerprint = 'ab'.repeat(32)
  const token = (account: string) => ({
    account,
    label: 'radio',
    role: null,
    players: null,
    expires: Date.UTC(2027, 0),
  })

  function withTwo() {
    const dir = createDir()
    const accounts = open(dir)
    const eva = accounts.create({ name: 'Eva', roles: ['owner'], password: 'hash' }).id
    const gus = accounts.create({ name: 'Gus', roles: ['guest'], password: 'hash' }).id
    return { dir, accounts, eva, gus }
  }

  it('stands for one device: neither the same account nor another can have it again', async () => {
    const { accounts, eva, gus } = withTwo()
    const made = accounts.createCertificate(token(eva), fingerprint)
    expect(made).toMatchObject({ kind: 'certificate', account: eva, expires: Date.UTC(2027, 0) })
    for (const account of [eva, gus]) {
      const fault = await faultOf(() => accounts.createCertificate(token(account), fingerprint))
      expect([fault?.code, fault?.message]).toEqual(['bad-arguments', 'this certificate is already in use by a device'])
    }
    expect(accounts.tokenOf(fingerprint)).toEqual(made)
    expect(accounts.tokens()).toEqual([made])
    expect(accounts.secretOf(made.id)).toBeUndefined()
    accounts.removeToken(made.id)
    expect(accounts.tokenOf(fingerprint)).toBeUndefined()
  })

  it('made by another process is known at once, and survives a restart', () => {
    const { dir, accounts, eva } = withTwo()
    const made = open(dir).createCertificate(token(eva), fingerprint)
    expect(accounts.tokenOf(fingerprint)).toEqual(made)
    accounts.close()
    expect(open(dir).tokenOf(fingerprint)).toEqual(made)
  })

  it('is one of the hundred tokens an account may have', async () => {
    const { accounts, eva } = withTwo()
    for (let i = 0; i < 100; i++) accounts.createToken({ ...token(eva), expires: null }, Buffer.alloc(32, i))
    expect(await codeOf(() => accounts.createCertificate(token(eva), fingerprint))).toBe('forbidden')
  })

  it('the database itself takes a secret or a certificate, never both, none, or a certificate without an end', () => {
    const { dir, eva } = withTwo()
    const db = new DatabaseSync(join(dir, 'accounts.sqlite'))
    const insert = (secret: Buffer | null, certificate: Buffer | null, expires: number | null) =>
      db
        .prepare('INSERT INTO token (id, account, secret, certificate, label, created, expires) VALUES (?,?,?,?,?,?,?)')
        .run(String(secret), eva, secret, certificate, 'x', 0, expires)
    const [a, b] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)]
    expect(() => insert(a, b, 1)).toThrow(/CHECK/)
    expect(() => insert(null, null, 1)).toThrow(/CHECK/)
    expect(() => insert(null, b, null)).toThrow(/CHECK/)
    expect(() => insert(null, b, 1)).not.toThrow()
    expect(() => insert(a, null, null)).not.toThrow()
    db.close()
  })
})

it('device tokens of the first schema stay what they were', () => {
  const dir = createDir()
  const [first = ''] = migrations
  const db = new DatabaseSync(join(dir, 'accounts.sqlite'))
  db.exec(first)
  db.exec(`
    PRAGMA user_version = 1;
    INSERT INTO account (id, name, folded, roles, password, created) VALUES ('a', 'Eva', 'eva', '["owner"]', 'hash', 1);
    INSERT INTO token VALUES ('t1', 'a', x'0101', 'phone', 'guest', '["home"]', 2, 3, 4);
    INSERT INTO token VALUES ('t0', 'a', x'0202', 'radio', NULL, NULL, 5, NULL, NULL);`)
  db.close()
  chmodSync(join(dir, 'accounts.sqlite'), 0o600)
  const accounts = open(dir)
  expect(accounts.tokens()).toEqual([
    {
      id: 't1',
      kind: 'secret',
      account: 'a',
      label: 'phone',
      role: 'guest',
      players: ['home'],
      created: 2,
      expires: 3,
      used: 4,
    },
    {
      id: 't0',
      kind: 'secret',
      account: 'a',
      label: 'radio',
      role: null,
      players: null,
      created: 5,
      expires: null,
      used: null,
    },
  ])
  expect(accounts.secretOf('t0')).toEqual(Buffer.from([2, 2]))
  accounts.create({ name: 'Gus', roles: ['owner'], password: 'hash' })
  accounts.remove('a')
  expect(accounts.tokens(), 'and go with their account').toEqual([])
})
