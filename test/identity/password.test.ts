import { expect, it } from 'vitest'
import { createPasswords, type Derive } from '../../src/identity/password.ts'
import { codeOf, faultOf } from './house.ts'

/** A hash that waits to be told. */
function createHeld() {
  const waiting: (() => void)[] = []
  const seen = { running: 0, most: 0, all: 0 }
  const derive: Derive = async () => {
    seen.running++
    seen.all++
    seen.most = Math.max(seen.most, seen.running)
    await new Promise<void>((resolve) => waiting.push(resolve))
    seen.running--
    return Buffer.alloc(32)
  }
  return { derive, waiting, seen }
}

it('keeps argon2id with 19 MiB, two passes, one lane, and a salt of its own each time', async () => {
  const { hash, verify } = createPasswords()
  const [one, two] = [await hash('correct horse'), await hash('correct horse')]
  expect(one).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
  expect(one).not.toBe(two)
  expect(await verify('correct horse', one)).toBe(true)
  expect(await verify('correct horsf', one)).toBe(false)
  expect(await verify('correct horse', undefined)).toBe(false)
})

it('A17 · takes composed and decomposed letters for the same, and NUL for a letter like any other', async () => {
  const { hash, verify } = createPasswords()
  const stored = await hash('Ünïcödé\0tail')
  expect(await verify('Ünïcödé\0tail'.normalize('NFD'), stored)).toBe(true)
  expect(await verify('Ünïcödé', stored)).toBe(false)
  expect(await verify('Ünïcödé\0other', stored)).toBe(false)
})

it('A17 · hashes nothing that is longer than 1,024 bytes, and still does the work of a hash', async () => {
  const messages: number[] = []
  const derive: Derive = async ({ message }) => {
    messages.push(Buffer.byteLength(message as string))
    return Buffer.alloc(32)
  }
  const { hash, verify } = createPasswords(derive)
  const stored = await hash('x'.repeat(1024))
  for (const long of ['x'.repeat(1025), 'ü'.repeat(513), 'x'.repeat(1_000_000)]) {
    expect(await verify(long, stored)).toBe(false)
    expect(await codeOf(hash(long))).toBe('bad-arguments')
  }
  expect(messages).toEqual([1024, 0, 0, 0])
})

it('a new password has at least eight characters, counted as people do, and no other rule', async () => {
  const { hash } = createPasswords(async () => Buffer.alloc(32))
  expect(await codeOf(hash('1234567'))).toBe('bad-arguments')
  expect(await codeOf(hash('🎵🎵🎵🎵🎵🎵🎵'))).toBe('bad-arguments')
  expect(await codeOf(hash('        '))).toBe('none')
  expect(await codeOf(hash('half a \ud800 letter'))).toBe('bad-arguments')
})

it.each([
  '',
  'x',
  '$argon2i$v=19$m=19456,t=2,p=1$AAAA$AAAA',
  '$2b$12$abcdefgh',
  '$argon2id$v=19$m=19456,t=2,p=1$AAAA$AAAA',
])('what we did not write opens nothing, at the same cost: %s', async (stored) => {
  let count = 0
  const { verify } = createPasswords(async () => {
    count++
    return Buffer.alloc(32)
  })
  expect(await verify('', stored)).toBe(false)
  expect(count).toBe(1)
})

it('A16 · two at once, 32 wait, and the next is told to come back', async () => {
  const { derive, waiting, seen } = createHeld()
  const { verify } = createPasswords(derive)
  const all = Array.from({ length: 34 }, () => verify('x', undefined))
  const fault = await faultOf(verify('x', undefined))
  expect(fault?.code).toBe('limited')
  expect(fault?.details.retryAfter).toBeGreaterThan(0)
  expect(waiting).toHaveLength(2)
  const done = Promise.all(all)
  while (seen.all < 34 || waiting.length > 0) {
    waiting.shift()?.()
    await new Promise(setImmediate)
  }
  await done
  expect(seen).toEqual({ running: 0, most: 2, all: 34 })
})

it('a hash that fails gives its place back', async () => {
  let fail = true
  const { verify } = createPasswords(async () => {
    if (fail) throw new Error('no memory')
    return Buffer.alloc(32)
  })
  for (let i = 0; i < 5; i++) await expect(verify('x', undefined)).rejects.toThrow('no memory')
  fail = false
  expect(await verify('x', undefined)).toBe(false)
})
