import { chmodSync, existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { type Control, openControl } from '../../src/listen/control.ts'
import { createDir } from '../identity/house.ts'

let path = ''
beforeEach(() => {
  path = join(createDir(), 'data', 'control.sock')
})

async function open(word: () => Promise<unknown> = async () => ({ done: true }), limits = {}): Promise<Control> {
  const control = await openControl({ path, words: new Map([['reload', word]]), limits })
  onTestFinished(() => control.close())
  return control
}

function say(words: string): Promise<string> {
  const socket = connect(path)
  socket.end(words)
  return text(socket).catch(() => '')
}

describe('a word', () => {
  test('is answered with a line of JSON, however it is cut', async () => {
    await open(async () => ({ problems: ['ä\n'] }))
    expect(await say('reload\n')).toBe('{"problems":["ä\\n"]}\n')
    const socket = connect(path)
    for (const letter of 'reload\n') await new Promise<void>((resolve) => socket.write(letter, () => resolve()))
    expect(JSON.parse(await text(socket))).toEqual({ problems: ['ä\n'] })
  })

  test.each([
    '',
    'reload',
    '\n',
    'restart\n',
    'reload /etc/passwd\n',
    'reload\nreload\n',
    'constructor\n',
    'RELOAD\n',
    `${'x'.repeat(1_000)}`,
  ])('that is none is not answered, and ends the connection: %j', async (words) => {
    let asked = 0
    await open(async () => ++asked)
    expect(await say(words)).toBe('')
    expect(asked).toBe(0)
  })

  test('whose work fails ends the connection, and the next is heard', async () => {
    let times = 0
    await open(async () => {
      if (times++ === 0) throw new Error('the disk')
      return 'well'
    })
    expect(await say('reload\n')).toBe('')
    expect(await say('reload\n')).toBe('"well"\n')
  })

  test('does not come from many at once', async () => {
    await open(undefined, { connections: 2, connectionMs: 60_000 })
    const idle: Socket[] = []
    for (const _ of [1, 2]) {
      const socket = connect(path)
      await new Promise((resolve) => socket.once('connect', resolve))
      idle.push(socket)
    }
    expect(await say('reload\n')).toBe('')
    for (const socket of idle) socket.destroy()
    for (let answer = ''; answer === ''; answer = await say('reload\n'));
  })
})

describe('the socket', () => {
  test('is for the account of the gateway alone, and so is its directory', async () => {
    mkdirSync(join(path, '..'))
    chmodSync(join(path, '..'), 0o755)
    await open()
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(statSync(join(path, '..')).mode & 0o777).toBe(0o700)
  })

  test('goes with the gateway, and one that was left behind is replaced', async () => {
    const control = await open()
    await control.close()
    expect(existsSync(path)).toBe(false)
    const left = createServer().listen(path)
    await new Promise((resolve) => left.once('listening', resolve))
    left.unref()
    await expect(open()).rejects.toThrow('another gateway is listening there')
    await new Promise((resolve) => left.close(resolve))
    await open()
    expect(await say('reload\n')).toBe('{"done":true}\n')
  })

  test('does not take the place of a file', async () => {
    mkdirSync(join(path, '..'))
    writeFileSync(path, 'precious')
    await expect(open()).rejects.toThrow('is no socket')
  })
})
