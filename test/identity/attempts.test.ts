import { describe, expect, it } from 'vitest'
import { Fault } from '../../src/call/fault.ts'
import { createAttempts } from '../../src/identity/attempts.ts'
import { codeOf, createHouse, faultOf } from './house.ts'

const minute = 60_000

/** Tries a wrong password and says how it ended. */
function guess(house: ReturnType<typeof createHouse>, name: string, from: string, password = 'wrong horse') {
  return codeOf(house.sessions.login(name, password, from))
}

describe('A14 · guessing', () => {
  it('one account from 200 addresses: five guesses reach the hash in five minutes', async () => {
    const house = createHouse()
    await house.add('Eva')
    for (let i = 0; i < 200; i++) {
      await guess(house, i % 2 ? 'eva' : 'EVA', `10.0.1.${i}`)
      house.clock.now += 1000
    }
    expect(house.hashes.count).toBe(5)
    house.clock.now += 5 * minute
    expect(await guess(house, 'Eva', '10.0.2.1')).toBe('bad-credentials')
  })

  it('the same, all at once', async () => {
    const house = createHouse()
    await house.add('Eva')
    await Promise.all(Array.from({ length: 200 }, (_, i) => guess(house, 'Eva', `10.0.1.${i}`)))
    expect(house.hashes.count).toBe(5)
  })

  it('an account that does not exist: the same five, the same answers', async () => {
    const house = createHouse()
    await house.add('Eva')
    const answers = async (name: string, net: number) => {
      const before = house.hashes.count
      const faults = []
      for (let i = 0; i < 8; i++)
        faults.push(await faultOf(house.sessions.login(name, 'wrong horse', `10.0.${net}.${i}`)))
      return {
        hashes: house.hashes.count - before,
        faults: faults.map((fault) => [fault?.code, fault?.message, fault?.details]),
      }
    }
    expect(await answers('Nobody', 2)).toEqual(await answers('Eva', 1))
  })

  it('200 accounts from one address: the penalty doubles up to ten minutes', async () => {
    const house = createHouse()
    const waits: number[] = []
    for (let i = 0; i < 16; i++) {
      expect(await guess(house, `name${i}`, '10.0.0.9')).toBe('bad-credentials')
      const fault = await faultOf(house.sessions.login(`other${i}`, 'wrong horse', '10.0.0.9'))
      if (i < 4) expect(fault?.code).toBe(i < 2 ? 'bad-credentials' : fault?.code)
      const wait = fault?.details.retryAfter ?? 0
      waits.push(wait)
      house.clock.now += wait * 1000
    }
    expect(Math.max(...waits)).toBe(600)
    expect(waits.filter((wait) => wait > 0)).toEqual(waits.filter((wait) => wait > 0).toSorted((a, b) => a - b))
    expect(house.hashes.count).toBeLessThan(25)
  })

  it('a hundred guesses at once from one address: no more than the free ones and one reach the hash', async () => {
    const house = createHouse()
    await Promise.all(Array.from({ length: 100 }, (_, i) => guess(house, `name${i}`, '10.0.0.9')))
    expect(house.hashes.count).toBeLessThanOrEqual(5)
  })

  it('many accounts from many addresses: sixty in a minute reach the hash', async () => {
    const house = createHouse()
    for (let i = 0; i < 200; i++) await guess(house, `name${i}`, `10.1.${i}.1`)
    expect(house.hashes.count).toBe(60)
  })

  it('addresses of one IPv6 network are one source', async () => {
    const house = createHouse()
    for (let i = 0; i < 50; i++) await guess(house, `name${i}`, `2001:db8:1:2:${i.toString(16)}::1`)
    expect(house.hashes.count).toBeLessThanOrEqual(5)
  })

  it('waiting in the queue is no guess', async () => {
    const attempts = createAttempts(() => 0)
    for (let i = 0; i < 200; i++) attempts.begin(`name${i % 3}`, '10.0.0.1', false).forget()
    expect(await codeOf(() => attempts.begin('name1', '10.0.0.1', false))).toBe('none')
  })

  it('a sign-in that found no place in the queue is no guess either', async () => {
    const house = createHouse({
      derive: async () => {
        throw new Fault('limited', 'busy')
      },
    })
    for (let i = 0; i < 20; i++) {
      const fault = await faultOf(house.sessions.login('Eva', 'wrong horse', '10.0.0.1'))
      expect(fault?.message).toBe('busy')
    }
  })

  it('a right password between wrong ones does not wipe them out', async () => {
    const house = createHouse()
    await house.add('Eva')
    for (let i = 0; i < 20; i++) {
      await guess(house, 'Eva', `10.0.1.${i}`)
      await guess(house, 'Eva', `10.0.1.${i}`, 'correct horse')
      house.clock.now += 1000
    }
    // Each address that once got in has five guesses of its own, and spends one here at most.
    const wrong = house.events.filter(({ outcome }) => outcome === 'failed').length
    expect(wrong).toBeLessThanOrEqual(5)
  })
})

describe('A15 · nobody is locked out by the failures of others', () => {
  it('from where they signed in before, people still sign in', async () => {
    const house = createHouse()
    await house.add('Eva')
    const { user, accessToken } = await house.sessions.login('Eva', 'correct horse', '10.0.0.5')
    for (let i = 0; i < 100; i++) await guess(house, 'Eva', `10.0.1.${i}`)
    expect(await guess(house, 'Eva', '10.0.0.6', 'correct horse')).toBe('limited')
    expect(await guess(house, 'Eva', '10.0.0.5', 'correct horse')).toBe('none')
    expect(house.identity.renew(user)).toBeDefined()
    expect(await codeOf(house.identity.identify({ kind: 'bearer', token: accessToken }, '10.0.9.9'))).toBe('none')
  })

  it('also after a restart, and after signing out', async () => {
    const house = createHouse()
    await house.add('Eva')
    house.sessions.logout((await house.sessions.login('Eva', 'correct horse', '10.0.0.5')).user)
    const again = createHouse({ dir: house.dir })
    for (let i = 0; i < 100; i++) await guess(again, 'Eva', `10.0.1.${i}`)
    expect(await guess(again, 'Eva', '10.0.0.5', 'correct horse')).toBe('none')
  })

  it('also when the attacker sits behind the same address', async () => {
    const house = createHouse()
    await house.add('Eva')
    await house.sessions.login('Eva', 'correct horse', '10.0.0.5')
    for (let i = 0; i < 100; i++) await guess(house, `name${i}`, '10.0.0.5')
    expect(await guess(house, 'Eva', '10.0.0.5', 'correct horse')).toBe('none')
  })

  it('a known address has five guesses of its own, and no more', async () => {
    const house = createHouse()
    await house.add('Eva')
    await house.sessions.login('Eva', 'correct horse', '10.0.0.5')
    house.hashes.count = 0
    for (let i = 0; i < 50; i++) await guess(house, 'Eva', '10.0.0.5')
    expect(house.hashes.count).toBe(5)
  })
})

describe('A13 · unknown, disabled and wrong look the same', () => {
  it('one hash each, with the same parameters, and the same answer', async () => {
    const costs: unknown[] = []
    const house = createHouse({
      derive: async ({ message: _, nonce, ...cost }) => {
        costs.push({ ...cost, nonce: Buffer.from(nonce as Buffer).length })
        return Buffer.alloc(32, 1)
      },
    })
    const hash = await house.passwords.hash('correct horse')
    house.accounts.create({ name: 'Own', roles: ['owner'], password: hash })
    house.accounts.create({ name: 'Eva', roles: ['member'], password: hash.replace(/.$/, 'A') })
    const off = house.accounts.create({ name: 'Off', roles: ['member'], password: hash })
    house.accounts.setDisabled(off.id, true)
    costs.length = 0
    const faults = []
    for (const [i, name] of ['Eva', 'Nobody', 'Off', '', 'x'.repeat(100_000), '\0', '\ud800'].entries()) {
      faults.push(await faultOf(house.sessions.login(name, 'correct horse', `10.0.${i}.1`)))
    }
    expect(costs).toHaveLength(7)
    expect(new Set(costs.map((cost) => JSON.stringify(cost))).size).toBe(1)
    expect(new Set(faults.map((fault) => JSON.stringify([fault?.code, fault?.message, fault?.details]))).size).toBe(1)
    expect(faults[0]?.code).toBe('bad-credentials')
  })
})

describe('device tokens and MPD passwords', () => {
  it.each(['mpd', 'bearer', 'basic'] as const)('wrong ones over %s count for their source', async (kind) => {
    const house = createHouse()
    const wrong = `sd1_${'0'.repeat(16)}_${'A'.repeat(43)}`
    const shown = {
      mpd: { kind, password: wrong },
      bearer: { kind, token: wrong },
      basic: { kind, name: 'x', token: wrong },
    }[kind]
    const codes = []
    for (let i = 0; i < 8; i++) codes.push(await codeOf(house.identity.identify(shown as never, '10.0.0.9')))
    expect(codes.slice(0, 5)).toEqual(Array(5).fill('bad-credentials'))
    expect(codes.slice(5)).toEqual(Array(3).fill('limited'))
    expect(await guess(house, 'Eva', '10.0.0.9')).toBe('limited')
    expect(await guess(house, 'Eva', '10.0.0.8')).toBe('bad-credentials')
  })

  it('a right one is let in whatever others did from there', async () => {
    const house = createHouse()
    const { text } = house.token(await house.add('Eva'))
    for (let i = 0; i < 20; i++) await codeOf(house.identity.identify({ kind: 'mpd', password: 'x' }, '10.0.0.9'))
    expect(await codeOf(house.identity.identify({ kind: 'mpd', password: text }, '10.0.0.9'))).toBe('none')
  })

  it('an expired access token in a web page counts for nobody', async () => {
    const house = createHouse()
    await house.add('Eva')
    for (let i = 0; i < 20; i++) await codeOf(house.identity.identify({ kind: 'bearer', token: 'a.b.c' }, '10.0.0.9'))
    expect(await guess(house, 'Eva', '10.0.0.9', 'correct horse')).toBe('none')
  })
})
