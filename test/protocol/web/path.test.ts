import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readPath, writePath } from '../../../src/protocol/web/path.ts'

test.each([
  ['/', ['']],
  ['/iris/', ['iris', '']],
  ['/iris/assets/app-icon.svg', ['iris', 'assets', 'app-icon.svg']],
  ['/local/0a-640x640.png', ['local', '0a-640x640.png']],
  ['/a%20b/%C3%BC.png', ['a b', 'ü.png']],
  ['/muse/_app/start.DOxepgug.js', ['muse', '_app', 'start.DOxepgug.js']],
])('%s is %j', (path, segments) => {
  expect(readPath(path)).toEqual(segments)
  expect(readPath(writePath(segments))).toEqual(segments)
})

test.each([
  '',
  'iris',
  '//iris/',
  '/iris//x',
  '/iris/./x',
  '/iris/../x',
  '/iris/..',
  '/iris/%2e%2e/x',
  '/iris/.%2E/x',
  '/iris/..%2fx',
  '/iris%2Fx',
  '/iris/a%5cb',
  '/iris/a\\b',
  '/iris/%252e%252e/x',
  '/iris/a%25b',
  '/iris/a%00.png',
  '/iris/a%0d%0ab',
  '/iris/a b',
  '/iris/%',
  '/iris/%zz',
  '/iris/%c0%af',
  '/iris/%ff',
  '/iris/%ed%a0%80',
  '/iris/x;y=1',
  '/iris/..;/x',
  '/iris/.git/config',
  '/iris/a.',
  '/iris/a%20',
  '/iris/%20',
  '/iris/x?y',
  '/iris/x#y',
  '/iris/a:b%7f',
  '/iris/%e2%80%ae.png',
  `/${'a/'.repeat(20)}`,
  `/${'a'.repeat(256)}`,
  `/${'a/b'.repeat(900)}`,
])('%j is none', (path) => expect(readPath(path)).toBeUndefined())

test('whatever is read, is written so that it reads the same, and names nothing above', () => {
  const piece = fc.constantFrom('/', '.', '..', '%2e', '%2f', '%5c', '%25', 'a', 'B.js', '%C3%BC', ';', '%00', ' ', '~')
  const path = fc.array(piece, { maxLength: 12 }).map((parts) => `/${parts.join('')}`)
  fc.assert(
    fc.property(fc.oneof(path, fc.webPath()), (given) => {
      const segments = readPath(given)
      if (!segments) return
      expect(segments.every((segment) => !/^\.|[/\\%]|\p{Cc}/u.test(segment))).toBe(true)
      expect(readPath(writePath(segments))).toEqual(segments)
    }),
    { numRuns: 500 },
  )
})
