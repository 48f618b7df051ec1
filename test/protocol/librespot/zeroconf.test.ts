import { describe, expect, test } from 'vitest'
import { createCall } from '../../../src/call/call.ts'
import { rebuildAnswer } from '../../../src/protocol/librespot/answers.ts'
import { pairingLimits, zeroconf, zeroconfOpen } from '../../../src/protocol/librespot/zeroconf.ts'
import { parseBody } from '../../../src/protocol/rest/body.ts'
import { again, codeOf, receive, sent } from '../rest/wire.ts'

const form = 'application/x-www-form-urlencoded'
const origin = { id: 'r', by: { kind: 'anonymous', from: '::1' }, door: 'http', player: 'bath', at: 0 } as const
const base64 = (bytes: number) => Buffer.alloc(bytes, 7).toString('base64')
const fields = { action: 'addUser', userName: 'some one', blob: base64(300), clientKey: base64(96) }
const write = (more: Record<string, string | undefined> = {}) =>
  new URLSearchParams(
    Object.entries({ ...fields, ...more }).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  ).toString()
const pair = (more?: Record<string, string | undefined>) => receive(zeroconfOpen, 'POST /', write(more), form)

describe('a request to pair', () => {
  test('is nobody’s while no window is open', () => {
    const call = createCall(origin, receive(zeroconf, 'POST /', write(), form))
    expect([call.capability, call.refused]).toEqual(['player.takeover', expect.stringContaining('stagedoor pair')])
  })

  test('is anybody’s while one is, and is written anew', () => {
    const request = pair({ deviceName: 'Phone' })
    expect(createCall(origin, request)).toMatchObject({ capability: 'anyone', refused: undefined })
    expect(sent(request)).toBe(
      `POST / · ${form} · ${Object.entries({ ...fields, deviceName: 'Phone' })
        .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
        .join('&')}`,
    )
    expect(again(zeroconfOpen, request)).toEqual(request)
  })

  test.each<[string, string, Record<string, string | undefined>]>([
    ['fine', 'as apps send it', { loginId: 'a1', deviceId: 'ab-1', tokenType: 'default', version: '2.7.1' }],
    ['fine', 'a blob of 37 bytes', { blob: base64(37) }],
    ['bad-arguments', 'a blob of 36 bytes', { blob: base64(36) }],
    ['bad-arguments', 'an empty blob', { blob: '' }],
    ['bad-arguments', 'no blob', { blob: undefined }],
    ['bad-arguments', 'a blob that is no base64', { blob: `${base64(300)}!` }],
    ['bad-arguments', 'a blob without its padding', { blob: base64(40).replaceAll('=', '') }],
    ['bad-arguments', 'a blob of the other alphabet', { blob: `__${base64(39).slice(2)}` }],
    ['bad-arguments', 'a key of 97 bytes', { clientKey: base64(97) }],
    ['bad-arguments', 'an empty key', { clientKey: '' }],
    ['bad-arguments', 'no key', { clientKey: undefined }],
    ['bad-arguments', 'no name', { userName: undefined }],
    ['bad-arguments', 'an empty name', { userName: '' }],
    ['bad-arguments', 'a name of two lines', { userName: 'a\r\nb' }],
    ['bad-arguments', 'another action', { action: 'resetUsers' }],
    ['bad-arguments', 'no action', { action: undefined }],
    ['bad-arguments', 'a field nobody knows', { cmd: 'x' }],
  ])('%s: %s', (code, _, more) => expect(codeOf(() => pair(more))).toBe(code))

  test('a field that stands twice is refused', () => {
    expect(codeOf(() => receive(zeroconfOpen, 'POST /', `${write()}&userName=b`, form))).toBe('malformed')
  })
  test('an action in the query is none', () => {
    expect(codeOf(() => receive(zeroconfOpen, 'POST /?action=addUser', write({ action: undefined }), form))).toBe(
      'bad-arguments',
    )
  })
  test('is short', () => {
    const bytes = new TextEncoder().encode(write({ blob: base64(3060) }))
    expect(codeOf(() => parseBody('form', bytes, pairingLimits))).toBe('too-large')
  })
})

describe('what a player tells of itself', () => {
  const info = {
    status: 101,
    statusString: 'OK',
    spotifyError: 0,
    version: '2.7.1',
    deviceID: 'which',
    remoteName: 'Bath',
    activeUser: 'whose',
    publicKey: 'key',
    deviceType: 'SPEAKER',
    aliases: [{ name: 'x' }],
  }
  test('is asked for by one action', () => {
    expect(sent(receive(zeroconf, 'GET /?action=getInfo'))).toBe('GET /?action=getInfo')
    expect(sent(receive(zeroconf, 'GET /?version=2.7.1&action=getInfo'))).toBe('GET /?action=getInfo&version=2.7.1')
    for (const query of [
      '',
      '?',
      '?action=addUser',
      '?action=resetUsers',
      '?action=getInfo&action=getInfo',
      '?action=getInfo&x=1',
    ]) {
      expect(
        codeOf(() => receive(zeroconf, `GET /${query}`)),
        query,
      ).not.toBe('fine')
    }
  })
  test('is not whose it is, which it is, nor the key to pair past this door', () => {
    expect(rebuildAnswer(zeroconf['GET /'], info)).toEqual({
      status: 101,
      statusString: 'OK',
      spotifyError: 0,
      version: '2.7.1',
      remoteName: 'Bath',
      deviceType: 'SPEAKER',
    })
  })
  test('holds what an app needs to pair while the owner holds the door open, and still not whose it is', () => {
    const answer = rebuildAnswer(zeroconfOpen['GET /'], info)
    expect(answer).toMatchObject({ deviceID: 'which', publicKey: 'key' })
    expect(JSON.stringify(answer)).not.toContain('whose')
  })
})
