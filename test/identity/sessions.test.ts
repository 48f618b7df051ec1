import { describe, expect, it } from 'vitest'
import { codeOf, createHouse, type House } from './house.ts'

const day = 86_400_000
const login = (house: House, name = 'Eva') => house.sessions.login(name, 'correct horse', '10.0.0.1')
const bearer = (house: House, token: string) => codeOf(house.identity.identify({ kind: 'bearer', token }, '10.0.0.1'))
const cookie = (house: House, value: string) => codeOf(house.identity.identify({ kind: 'cookie', value }, '10.0.0.1'))

describe('A10 · refreshing', () => {
  it('gives a new pair for the old one', async () => {
    const house = createHouse()
    await house.add('Eva')
    const first = await login(house)
    const second = await house.sessions.refresh(first.refreshToken, '10.0.0.1')
    expect(second.session).toBe(first.session)
    expect(second.refreshToken).not.toBe(first.refreshToken)
    expect(second.accessToken).not.toBe(first.accessToken)
    expect(await cookie(house, first.refreshToken)).toBe('bad-credentials')
    expect(await cookie(house, second.refreshToken)).toBe('none')
  })

  it('using an old one ends the session, its tokens and whatever came of it', async () => {
    const house = createHouse()
    await house.add('Eva')
    const first = await login(house)
    const second = await house.sessions.refresh(first.refreshToken, 'x')
    const third = await house.sessions.refresh(second.refreshToken, 'x')
    const other = await login(house)
    expect(await codeOf(house.sessions.refresh(first.refreshToken, 'x'))).toBe('bad-credentials')
    expect(house.events.at(-1)).toMatchObject({ kind: 'refresh', outcome: 'reused', account: third.user.id })
    expect(await bearer(house, third.accessToken)).toBe('bad-credentials')
    expect(await codeOf(house.sessions.refresh(third.refreshToken, 'x'))).toBe('bad-credentials')
    expect(house.identity.renew(third.user)).toBeUndefined()
    expect(await bearer(house, other.accessToken), 'another sign-in is not concerned').toBe('none')
  })

  it('of twenty at once exactly one wins', async () => {
    const house = createHouse()
    await house.add('Eva')
    const { refreshToken } = await login(house)
    const codes = await Promise.all(Array.from({ length: 20 }, () => codeOf(house.sessions.refresh(refreshToken, 'x'))))
    expect(codes.filter((code) => code === 'none')).toHaveLength(1)
    expect(codes.filter((code) => code === 'bad-credentials')).toHaveLength(19)
  })

  it('a cookie with an old one is refused and ends nothing', async () => {
    const house = createHouse()
    await house.add('Eva')
    const first = await login(house)
    const second = await house.sessions.refresh(first.refreshToken, 'x')
    expect(await cookie(house, first.refreshToken)).toBe('bad-credentials')
    expect(await cookie(house, second.refreshToken)).toBe('none')
  })

  it('a forged one changes nothing on disk', async () => {
    const house = createHouse()
    await house.add('Eva')
    await login(house)
    let changes = 0
    house.identity.onChange(() => changes++)
    for (const forged of [`sr1_${'A'.repeat(43)}`, '', 'sr1_', 'x'.repeat(100_000)]) {
      expect(await codeOf(house.sessions.refresh(forged, 'x'))).toBe('bad-credentials')
    }
    expect(changes).toBe(0)
  })

  it('ends after 30 days of rest', async () => {
    const house = createHouse()
    await house.add('Eva')
    const { refreshToken } = await login(house)
    house.clock.now += 30 * day - 1
    const next = await house.sessions.refresh(refreshToken, 'x')
    house.clock.now += 30 * day
    expect(await cookie(house, next.refreshToken)).toBe('bad-credentials')
    expect(await codeOf(house.sessions.refresh(next.refreshToken, 'x'))).toBe('bad-credentials')
  })

  it('ends after 90 days in all, however busy', async () => {
    const house = createHouse()
    await house.add('Eva')
    let { refreshToken, user } = await login(house)
    for (let i = 0; i < 8; i++) {
      house.clock.now += 11 * day
      ;({ refreshToken, user } = await house.sessions.refresh(refreshToken, 'x'))
    }
    expect(user.until - house.clock.now).toBe(2 * day)
    house.clock.now += 2 * day
    expect(await codeOf(house.sessions.refresh(refreshToken, 'x'))).toBe('bad-credentials')
  })
})

describe('A9 · what is taken back is gone at once', () => {
  type Change = [what: string, (house: House, id: string, session: string) => void]
  const changes: Change[] = [
    ['signing out', (house, _, session) => house.accounts.endSession(session)],
    ['revoking all sessions', (house, id) => house.accounts.endSessionsOf(id)],
    ['a new password', (house, id) => house.accounts.setPassword(id, 'x')],
    ['disabling', (house, id) => house.accounts.setDisabled(id, true)],
    ['removing', (house, id) => house.accounts.remove(id)],
  ]
  it.each(changes)('%s', async (_, change) => {
    const house = createHouse()
    await house.add('Own')
    const eva = await house.add('Eva', ['member'])
    const { accessToken, refreshToken, user } = await login(house)
    const ticket = house.sessions.ticket(user)
    expect(await bearer(house, accessToken)).toBe('none')
    let told = 0
    house.identity.onChange(() => told++)
    change(house, eva.id, user.session)
    expect(told).toBe(1)
    expect(house.identity.renew(user)).toBeUndefined()
    expect(await bearer(house, accessToken)).toBe('bad-credentials')
    expect(await cookie(house, refreshToken)).toBe('bad-credentials')
    expect(await codeOf(house.identity.identify({ kind: 'mpd', password: accessToken }, 'x'))).toBe('bad-credentials')
    expect(await codeOf(house.identity.identify({ kind: 'ticket', ticket }, 'x'))).toBe('bad-credentials')
    expect(await codeOf(() => house.sessions.ticket(user))).toBe('bad-credentials')
    expect(await codeOf(house.sessions.refresh(refreshToken, 'x'))).toBe('bad-credentials')
  })

  it('other roles hold at once, for tokens and for open connections', async () => {
    const house = createHouse()
    await house.add('Own')
    const eva = await house.add('Eva')
    const { accessToken, user } = await login(house)
    house.accounts.setRoles(eva.id, ['guest'])
    expect(house.identity.renew(user)).toEqual({ ...user, roles: ['guest'] })
    expect(await house.identity.identify({ kind: 'bearer', token: accessToken }, 'x')).toMatchObject({
      roles: ['guest'],
    })
  })

  it('an account that was disabled while its password was hashed gets no session', async () => {
    const house = createHouse()
    await house.add('Own')
    const eva = await house.add('Eva', ['member'])
    const running = login(house)
    house.accounts.setDisabled(eva.id, true)
    expect(await codeOf(running)).toBe('bad-credentials')
    expect(house.accounts.sessions()).toEqual([])
  })
})

it('an access token of a principal ends before its session does, also when renewed', async () => {
  const house = createHouse()
  await house.add('Eva')
  const { accessToken } = await login(house)
  const user = await house.identity.identify({ kind: 'bearer', token: accessToken }, 'x')
  if (user.kind !== 'user') throw new Error('anonymous')
  expect(user.until).toBe(house.clock.now + 600_000)
  expect(house.identity.renew(user)?.until).toBe(user.until)
  house.clock.now += 600_000
  expect(house.identity.renew(user)).toBeUndefined()
})

it('signing out ends the session and nothing else', async () => {
  const house = createHouse()
  const eva = await house.add('Eva')
  const [one, two] = [await login(house), await login(house)]
  house.sessions.logout(one.user)
  expect(await bearer(house, one.accessToken)).toBe('bad-credentials')
  expect(await bearer(house, two.accessToken)).toBe('none')
  const device = await house.identity.identify({ kind: 'bearer', token: house.token(eva).text }, 'x')
  expect(await codeOf(() => house.sessions.logout(device as typeof one.user))).toBe('forbidden')
})

describe('a ticket', () => {
  it('opens one connection, once, within 30 s', async () => {
    const house = createHouse()
    await house.add('Eva')
    const { user } = await login(house)
    const use = (ticket: string) => codeOf(house.identity.identify({ kind: 'ticket', ticket }, '10.0.0.2'))
    const [one, two] = [house.sessions.ticket(user), house.sessions.ticket(user)]
    expect(await house.identity.identify({ kind: 'ticket', ticket: one }, '10.0.0.2')).toEqual({
      ...user,
      from: '10.0.0.2',
    })
    expect(await use(one)).toBe('bad-credentials')
    house.clock.now += 30_000
    expect(await use(two)).toBe('bad-credentials')
    expect(await use('')).toBe('bad-credentials')
  })

  it('does not outlive the access token it was got with', async () => {
    const house = createHouse()
    await house.add('Eva')
    const { accessToken } = await login(house)
    const user = await house.identity.identify({ kind: 'bearer', token: accessToken }, 'x')
    house.clock.now += 590_000
    const ticket = house.sessions.ticket(user as never)
    house.clock.now += 10_000
    expect(await codeOf(house.identity.identify({ kind: 'ticket', ticket }, 'x'))).toBe('bad-credentials')
  })

  it('is given out sixteen times at most, and again when those are over', async () => {
    const house = createHouse()
    await house.add('Eva')
    const { user } = await login(house)
    for (let i = 0; i < 16; i++) house.sessions.ticket(user)
    expect(await codeOf(() => house.sessions.ticket(user))).toBe('limited')
    house.clock.now += 30_000
    expect(await codeOf(() => house.sessions.ticket(user))).toBe('none')
  })
})

describe('A18 · the first run', () => {
  it('the link makes the owner, once', async () => {
    const house = createHouse()
    const token = house.sessions.createSetup()
    await house.sessions.setup(token, 'Eva', 'correct horse')
    expect(house.accounts.list()).toMatchObject([{ name: 'Eva', roles: ['owner'] }])
    expect(await codeOf(house.sessions.setup(token, 'Mal', 'correct horse'))).toBe('bad-credentials')
    expect(await codeOf(() => house.sessions.createSetup())).toBe('forbidden')
    expect((await login(house)).user.roles).toEqual(['owner'])
  })

  it('of ten at once one wins', async () => {
    const house = createHouse()
    const token = house.sessions.createSetup()
    const codes = await Promise.all(
      Array.from({ length: 10 }, (_, i) => codeOf(house.sessions.setup(token, `Eva${i}`, 'correct horse'))),
    )
    expect(codes.filter((code) => code === 'none')).toHaveLength(1)
    expect(house.accounts.list()).toHaveLength(1)
  })

  it('is over after 30 minutes, with the next link, and with the first account', async () => {
    const house = createHouse()
    const late = house.sessions.createSetup()
    house.clock.now += 30 * 60_000
    expect(await codeOf(house.sessions.setup(late, 'Mal', 'correct horse', '10.0.0.1'))).toBe('bad-credentials')
    const [older, newer] = [house.sessions.createSetup(), house.sessions.createSetup()]
    expect(await codeOf(house.sessions.setup(older, 'Mal', 'correct horse', '10.0.0.2'))).toBe('bad-credentials')
    await house.add('Eva')
    expect(await codeOf(house.sessions.setup(newer, 'Mal', 'correct horse', '10.0.0.3'))).toBe('bad-credentials')
  })

  it('a wrong link costs no hash and counts for its source; a weak password does not use the link up', async () => {
    const house = createHouse()
    const token = house.sessions.createSetup()
    const wrong = `ss1_${'A'.repeat(43)}`
    const codes = []
    for (let i = 0; i < 6; i++)
      codes.push(await codeOf(house.sessions.setup(wrong, 'Mal', 'correct horse', '10.0.0.9')))
    expect(codes.at(-1)).toBe('limited')
    expect(house.hashes.count).toBe(0)
    expect(await codeOf(house.sessions.setup(token, 'Eva', 'short'))).toBe('bad-arguments')
    expect(await codeOf(house.sessions.setup(token, 'a:b', 'correct horse'))).toBe('bad-arguments')
    expect(await codeOf(house.sessions.setup(token, 'Eva', 'correct horse'))).toBe('none')
  })

  it('without any account nobody gets in', async () => {
    const house = createHouse()
    for (const name of ['admin', 'owner', 'root', '']) {
      expect(await codeOf(house.sessions.login(name, '', `10.0.0.${name.length}`))).toBe('bad-credentials')
    }
  })
})

it('reports what happened, without a word of what was typed', async () => {
  const house = createHouse()
  const eva = await house.add('Eva')
  const tokens = await login(house)
  await codeOf(house.sessions.login('Eva', 'my-secret-typo', '10.0.0.2'))
  await codeOf(house.sessions.login('my-secret-typo', 'x', '10.0.0.2'))
  const next = await house.sessions.refresh(tokens.refreshToken, '10.0.0.1')
  await codeOf(house.sessions.refresh(tokens.refreshToken, '10.0.0.3'))
  await codeOf(house.identity.identify({ kind: 'bearer', token: next.accessToken }, '10.0.0.3'))
  expect(house.events.map(({ kind, outcome, account, from }) => [kind, outcome, account === eva.id, from])).toEqual([
    ['login', 'succeeded', true, '10.0.0.1'],
    ['login', 'failed', true, '10.0.0.2'],
    ['login', 'failed', false, '10.0.0.2'],
    ['refresh', 'succeeded', true, '10.0.0.1'],
    ['refresh', 'reused', true, '10.0.0.3'],
    ['credential', 'failed', false, '10.0.0.3'],
  ])
  const text = JSON.stringify(house.events)
  for (const secret of ['my-secret-typo', 'correct horse', tokens.refreshToken, next.accessToken])
    expect(text).not.toContain(secret)
})
