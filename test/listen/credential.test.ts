import { describe, expect, test } from 'vitest'
import { cookieName, credentialOf, isAmbient } from '../../src/listen/credential.ts'

const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`

describe('what a request shows', () => {
  test('nothing', () => expect(credentialOf({})).toEqual({ kind: 'none' }))
  test('a bearer token, the scheme in any case', () => {
    for (const scheme of ['Bearer', 'bearer', 'BEARER']) {
      expect(credentialOf({ authorization: `${scheme} a.b-c_d~e+f/g==` })).toEqual({
        kind: 'bearer',
        token: 'a.b-c_d~e+f/g==',
      })
    }
  })
  test('a name and a token', () => {
    expect(credentialOf({ authorization: basic('Zoë:sd1_x_y:z') })).toEqual({
      kind: 'basic',
      name: 'Zoë',
      token: 'sd1_x_y:z',
    })
  })
  test('the session cookie among others', () => {
    expect(credentialOf({ cookie: `a=1; ${cookieName}=abc;b=2; x${cookieName}=evil` })).toEqual({
      kind: 'cookie',
      value: 'abc',
    })
  })
  test('other cookies are nothing', () =>
    expect(credentialOf({ cookie: 'stagedoor=x; a=__Host-stagedoor=y' })).toEqual({ kind: 'none' }))
  test('Authorization before a cookie', () => {
    expect(credentialOf({ authorization: 'Bearer t', cookie: `${cookieName}=c` })).toMatchObject({ kind: 'bearer' })
  })
})

describe('A20: an Authorization header we do not understand is wrong, not absent', () => {
  const odd = [
    '',
    'Bearer',
    'Bearer ',
    'Bearer\tx',
    'Bearer  x',
    ' Bearer x',
    'Bearer x y',
    'Bearer x,Bearer y',
    'Digest x',
    'x',
    'Bearer x;',
  ]
  for (const authorization of [
    ...odd,
    'Basic',
    'Basic !!',
    basic('nocolon'),
    basic(':t'),
    basic('n:'),
    basic('n:a\nb'),
    basic('n:\0'),
  ]) {
    test(JSON.stringify(authorization), () => {
      expect(() => credentialOf({ authorization, cookie: `${cookieName}=good` })).toThrow(
        expect.objectContaining({ code: 'bad-credentials' }),
      )
    })
  }
})

test('A20: a session cookie that stands twice is refused', () => {
  expect(() => credentialOf({ cookie: `${cookieName}=a; ${cookieName}=b` })).toThrow(
    expect.objectContaining({ code: 'malformed' }),
  )
})

test('a browser adds the cookie and Basic on its own, and a bearer token never', () => {
  expect(isAmbient({ kind: 'cookie', value: 'x' })).toBe(true)
  expect(isAmbient({ kind: 'basic', name: 'x', token: 'x' })).toBe(true)
  expect(isAmbient({ kind: 'bearer', token: 'x' })).toBe(false)
  expect(isAmbient({ kind: 'none' })).toBe(false)
})
