import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { run as token } from '../../src/cli/token.ts'
import { run as user } from '../../src/cli/user.ts'
import { fingerprintOf } from '../../src/listen/certificate.ts'
import { codeOf, createDir, createHouse } from '../identity/house.ts'
import { createShell } from './house.ts'

const day = 86_400_000

async function withEva() {
  const shell = createShell()
  await shell.run(user, 'add Eva --role owner --password-stdin', 'correct horse')
  return shell
}

it('prints the secret once, alone on standard output, and it works', async () => {
  const { run, data } = await withEva()
  const { status, out } = await run(
    token,
    'create eva --label "kitchen radio" --role guest --player home --player attic --expires 90d',
  )
  expect(status).toBe(0)
  expect(out).toMatch(/^sd1_[0-9a-f]{16}_[A-Za-z0-9_-]{43}$/)
  const house = createHouse({ dir: data })
  expect(await house.identity.identify({ kind: 'mpd', password: out }, 'x')).toMatchObject({
    name: 'Eva',
    roles: ['owner'],
    ceilings: [['guest']],
    players: ['home', 'attic'],
    until: Date.UTC(2026, 0, 1) + 90 * day,
  })
  const listed = (await run(token, 'list --json')).out
  expect(listed).not.toContain(out.slice(-43))
  expect(JSON.parse(listed)).toMatchObject([
    { user: 'Eva', kind: 'secret', label: 'kitchen radio', role: 'guest', players: ['home', 'attic'], used: null },
  ])
})

it('without options it is good for everything its account may, until revoked', async () => {
  const { run, data } = await withEva()
  const { out } = await run(token, 'create Eva --label phone')
  const house = createHouse({ dir: data })
  const show = () => house.identity.identify({ kind: 'bearer', token: out }, 'x')
  const principal = await show()
  expect(principal).not.toHaveProperty('ceilings')
  expect(principal).not.toHaveProperty('players')
  const [{ id }] = JSON.parse((await run(token, 'list --json')).out)
  expect((await run(token, `revoke ${id}`)).status).toBe(0)
  expect(await codeOf(createHouse({ dir: data }).identity.identify({ kind: 'bearer', token: out }, 'x'))).toBe(
    'bad-credentials',
  )
  expect((await run(token, `revoke ${id}`)).status).toBe(1)
  expect((await run(token, 'list')).err).toBe('none')
})

describe('--certificate', () => {
  const known = (cert: string) => fingerprintOf(new X509Certificate(cert))
  const pemsOf = (text: string) => text.match(/-----BEGIN ([A-Z ]+)-----[\s\S]*?-----END \1-----/g) ?? []
  /** Everything below a directory, as one. */
  const contents = (dir: string) =>
    Buffer.concat(
      readdirSync(dir, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => readFileSync(join(entry.parentPath, entry.name))),
    )

  it('prints a certificate and its key, once, and the gateway knows whose it is', async () => {
    const { run, data } = await withEva()
    const { status, out, err } = await run(
      token,
      'create eva --label "kitchen radio" --role guest --player home --expires 90d --certificate',
    )
    expect(status).toBe(0)
    const [cert = '', key = '', ...more] = pemsOf(out)
    expect(more).toEqual([])
    expect(`${cert}\n${key}`).toBe(out)
    const made = new X509Certificate(cert)
    expect(made.subject).toBe('CN=kitchen radio')
    expect(made.checkPrivateKey(createPrivateKey(key))).toBe(true)
    const until = Date.UTC(2026, 0, 1) + 90 * day
    expect(made.validToDate.getTime()).toBe(until)
    const house = createHouse({ dir: data })
    expect(await house.identity.identify({ kind: 'certificate', fingerprint: known(cert) }, 'x')).toMatchObject({
      name: 'Eva',
      roles: ['owner'],
      ceilings: [['guest']],
      players: ['home'],
      until,
    })
    const [listed] = JSON.parse((await run(token, 'list --json')).out)
    expect(listed).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{16}$/),
      user: 'Eva',
      kind: 'certificate',
      label: 'kitchen radio',
      role: 'guest',
      players: ['home'],
      created: Date.UTC(2026, 0, 1),
      expires: until,
      used: null,
    })
    expect(err).toContain(listed.id)
    expect(err).toContain('the key is shown once')
    expect(err).toContain('2026-04-01')
  })

  it('ends after ten years when nothing else is said', async () => {
    const { run, clock, data } = await withEva()
    const [cert = ''] = pemsOf((await run(token, 'create Eva --label x --certificate')).out)
    const end = new X509Certificate(cert).validToDate.getTime()
    expect(end).toBe(clock.now + 3652 * day)
    const house = createHouse({ dir: data })
    const show = () => codeOf(house.identity.identify({ kind: 'certificate', fingerprint: known(cert) }, 'x'))
    house.clock.now = end - 1
    expect(await show()).toBe('none')
    house.clock.now = end
    expect(await show()).toBe('bad-credentials')
  })

  it('ends within the second that the certificate does, never after it', async () => {
    const { run, clock } = await withEva()
    clock.now += 999
    const [cert = ''] = pemsOf((await run(token, 'create Eva --label x --certificate --expires 1m')).out)
    const [{ expires }] = JSON.parse((await run(token, 'list --json')).out)
    expect(expires).toBe(new X509Certificate(cert).validToDate.getTime())
    expect(clock.now + 60_000 - expires).toBe(999)
  })

  it('is revoked as any other token, and gone for good', async () => {
    const { run, data } = await withEva()
    const [cert = ''] = pemsOf((await run(token, 'create Eva --label x --certificate')).out)
    const [{ id }] = JSON.parse((await run(token, 'list --json')).out)
    expect((await run(token, `revoke ${id}`)).out).toBe(`${id} is revoked`)
    const { identity } = createHouse({ dir: data })
    expect(await codeOf(identity.identify({ kind: 'certificate', fingerprint: known(cert) }, 'x'))).toBe(
      'bad-credentials',
    )
  })

  it.each([
    ['a directory', (dir: string) => dir, 'kitchen-radio-2'],
    ['a prefix', (dir: string) => join(dir, 'eva'), 'eva'],
  ])('--out with %s writes two files for their owner alone, and prints nothing', async (_, where, name) => {
    const { run, data } = await withEva()
    const dir = createDir()
    const { status, out, err } = await run(
      token,
      `create Eva --label "../kitchen radio/.2" --certificate --out ${where(dir)}`,
    )
    expect([status, out]).toEqual([0, ''])
    expect(readdirSync(dir).sort()).toEqual([`${name}.crt`, `${name}.key`])
    for (const file of readdirSync(dir)) expect(statSync(join(dir, file)).mode & 0o777, file).toBe(0o600)
    const [cert, key] = ['crt', 'key'].map((kind) => readFileSync(join(dir, `${name}.${kind}`), 'utf8'))
    expect(new X509Certificate(cert ?? '').checkPrivateKey(createPrivateKey(key ?? ''))).toBe(true)
    expect(err).toContain(`cert = ${join(dir, name)}.crt, key = ${join(dir, name)}.key`)
    const secret = createPrivateKey(key ?? '').export({ format: 'jwk' }).d ?? ''
    for (const text of [String(key), secret, Buffer.from(secret, 'base64url').toString('hex')]) {
      expect(contents(data).includes(text)).toBe(false)
      expect(err).not.toContain(text)
    }
    expect(contents(data).includes(Buffer.from(secret, 'base64url')), 'the key is kept nowhere').toBe(false)
    expect(contents(data).includes(Buffer.from(known(cert ?? ''), 'hex')), 'its fingerprint is').toBe(true)
  })

  it.each(['x.crt', 'x.key'])('never writes over %s, and then there is no token and nothing new', async (there) => {
    const { run } = await withEva()
    const dir = createDir()
    writeFileSync(join(dir, there), 'mine')
    const { status, err } = await run(token, `create Eva --label x --certificate --out ${dir}`)
    expect(status).toBe(1)
    expect(err).toContain('nothing is written: EEXIST')
    expect(readdirSync(dir)).toEqual([there])
    expect(readFileSync(join(dir, there), 'utf8')).toBe('mine')
    expect(JSON.parse((await run(token, 'list --json')).out)).toEqual([])
  })

  it('a link to somewhere is not followed', async () => {
    const { run } = await withEva()
    const dir = createDir()
    symlinkSync(join(dir, 'elsewhere'), join(dir, 'x.key'))
    expect((await run(token, `create Eva --label x --certificate --out ${dir}`)).status).toBe(1)
    expect(readdirSync(dir)).toEqual(['x.key'])
  })

  it('leaves no files behind for a token that there is not', async () => {
    const { run } = await withEva()
    const dir = createDir()
    await run(user, 'add Gus --role guest --password-stdin', 'correct horse')
    await run(user, 'disable Gus')
    const { status, err } = await run(token, `create Gus --label x --certificate --out ${dir}`)
    expect([status, err]).toEqual([1, 'stagedoor: the account is disabled or gone'])
    expect((await run(token, `create Nobody --label x --certificate --out ${dir}`)).status).toBe(1)
    expect((await run(token, `create Eva --label x --certificate --out ${join(dir, 'no', 'where')}`)).status).toBe(1)
    expect(readdirSync(dir)).toEqual([])
    expect(JSON.parse((await run(token, 'list --json')).out)).toEqual([])
  })
})

it.each([
  ['create Gus --label x --certificate', 1, 'no account "Gus"'],
  ['create Eva --label x --certificate --role gest', 1, 'did you mean "guest"?'],
  ['create Eva --certificate', 2, '--label'],
  ['create Eva --label x --out /tmp', 2, '--out is for --certificate'],
  ['create Eva --label x --certificate=yes', 2, 'stagedoor token create'],
  ['create Gus --label x', 1, 'no account "Gus"'],
  ['create Eva --label x --role gest', 1, 'did you mean "guest"?'],
  ['create Eva --label x --player cellar', 1, 'no player "cellar"'],
  ['create Eva', 2, '--label'],
  ['create Eva --label x --expires soon', 2, 'not a duration: "soon"'],
  ['create Eva --label x --expires 0d', 2, 'not a duration'],
  ['create Eva --label x --expires -1d', 2, 'stagedoor token create'],
  ['create Eva --label \x1b[31m', 2, '--label'],
  ['revoke', 2, 'something is missing'],
  ['revoke nothing', 1, 'no device token "nothing"'],
  ['', 2, 'what to do?'],
])('%j ends with %i: %s', async (line, expected, reason) => {
  const { run } = await withEva()
  const { status, out, err } = await run(token, line)
  expect(err).toContain(reason)
  expect([status, out]).toEqual([expected, ''])
  expect(JSON.parse((await run(token, 'list --json')).out)).toEqual([])
})

it('a disabled account gets none', async () => {
  const { run } = await withEva()
  await run(user, 'add Gus --role guest --password-stdin', 'correct horse')
  await run(user, 'disable Gus')
  const { status, err } = await run(token, 'create Gus --label x')
  expect([status, err]).toEqual([1, 'stagedoor: the account is disabled or gone'])
})
