import { describe, expect, test } from 'vitest'
import type { MpdConnection } from '../../../src/upstream/player.ts'
import { ada, ask, bob, faultOf, furnish, permit, root } from '../house.ts'

const house = furnish()
const size = 64 * 1024

/** Answers `playlistinfo` without end, as fast as it is read; anything else at once. */
function pour(): void {
  house.fake.answer = (line, socket) => {
    if (!line.startsWith('playlistinfo')) return 'OK\n'
    let sent = 0
    const more = () => {
      while (sent++ < 300) if (!socket.write(`file: ${'x'.repeat(size)}\n`)) return
      socket.removeListener('drain', more)
      socket.write('OK\n')
    }
    socket.on('drain', more)
    more()
    return undefined
  }
}

interface Slow {
  readonly done: Promise<number>
  readonly isHeld: boolean
  readonly got: number
  /** Reads on, to the end. */
  read(): void
}

function slow(link: MpdConnection, question: string): Slow {
  let [release, isReading] = [() => {}, false]
  const reader = {
    isHeld: false,
    got: 0,
    done: link.send([permit(question)], 'single', (bytes) => {
      reader.got += bytes.length
      if (isReading) return
      reader.isHeld = true
      return new Promise<void>((resolve) => {
        release = resolve
      })
    }),
    read() {
      isReading = true
      release()
    },
  }
  return reader
}

describe('C6: a client that does not read', () => {
  test('is not read for, and its clock stands still', async () => {
    const player = await house.up()
    pour()
    const reader = slow(player.open(ada), 'playlistinfo')
    await house.fake.until(() => reader.isHeld)
    await house.pass(60_000)
    expect(reader.got).toBeLessThan(8 * size)
    reader.read()
    await reader.done
    expect(reader.got).toBeGreaterThan(300 * size)
  })

  test('keeps its turn from nobody', async () => {
    const player = await house.up({ running: 1, connections: 4 })
    pour()
    const reader = slow(player.open(ada), 'playlistinfo')
    await house.fake.until(() => reader.isHeld)
    expect(await ask(player.open(bob), 'setvol 1')).toBe('OK\n')
    expect(await ask(player.open(ada), 'setvol 1')).toBe('OK\n')
    reader.read()
    await reader.done
    expect(await ask(player.open(ada), 'setvol 1')).toBe('OK\n')
    expect(house.fake.open).toBe(2)
  })

  test('has a few such lines and no more: what is beyond is broken off', async () => {
    const player = await house.up({ seatsEach: 2, graceMs: 20 })
    pour()
    const readers = [1, 2, 3].map((n) => slow(player.open(ada), `playlistinfo ${n}`))
    expect(await faultOf((readers[2] as Slow).done)).toMatch(/^limited/)
    expect(await ask(player.open(ada), 'setvol 1')).toBe('OK\n')
    for (const reader of readers) reader.read()
    await Promise.all(readers.slice(0, 2).map(({ done }) => done))
  })

  test('who reads within the grace needs no such place', async () => {
    const player = await house.up({ seatsEach: 0, graceMs: 5_000 })
    pour()
    const reader = slow(player.open(ada), 'playlistinfo')
    await house.fake.until(() => reader.isHeld)
    reader.read()
    await reader.done
    expect(reader.got).toBeGreaterThan(300 * size)
  })

  test('all of them together leave the others their lines, and the last places to those who administer', async () => {
    const player = await house.up({ connections: 5, running: 2, reserved: 1, graceMs: 20 })
    pour()
    const readers = ['a', 'b', 'c'].map((id, n) => slow(player.open({ id, reserve: false }), `playlistinfo ${n}`))
    expect(await faultOf((readers[2] as Slow).done)).toMatch(/^limited/)
    const admin = slow(player.open(root), 'playlistinfo 9')
    await house.fake.until(() => admin.isHeld)
    expect(await ask(player.open(bob), 'setvol 1')).toBe('OK\n')
    expect(house.fake.mostOpen).toBeLessThanOrEqual(6)
    for (const reader of [...readers, admin]) reader.read()
    await Promise.all([readers[0]?.done, readers[1]?.done, admin.done])
  })

  test('and closes gives everything back', async () => {
    const player = await house.up({ seatsEach: 1, graceMs: 20 })
    pour()
    for (let i = 0; i < 3; i++) {
      const link = player.open(ada)
      const reader = slow(link, 'playlistinfo')
      await house.fake.until(() => reader.isHeld)
      await house.fake.until(() => house.fake.open === 1)
      link.close()
      expect(await faultOf(reader.done)).toMatch(/^player-unreachable/)
      await house.fake.until(() => house.fake.open === 0)
    }
  })

  test('the end of an answer holds no line', async () => {
    const player = await house.up({ connections: 1, running: 1 })
    house.fake.answer = () => 'OK\n'
    const reader = slow(player.open(ada), 'setvol 1')
    await house.fake.until(() => reader.isHeld)
    expect(await ask(player.open(bob), 'setvol 2')).toBe('OK\n')
    reader.read()
    await reader.done
  })
})
