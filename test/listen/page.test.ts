import { readFileSync } from 'node:fs'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'

const source = readFileSync(new URL('../../web/page.js', import.meta.url), 'utf8')
const origin = 'https://localhost:8443'
const players = [
  { name: 'home', up: true, web: ['/iris/', '/party/'] },
  { name: 'attic', up: true, web: ['/players/attic/iris/'] },
  { name: 'den', up: true },
]

/** Opens the sign-in page for somebody who is signed in; where it sends them, undefined when it shows itself. */
async function open(next: string): Promise<string | undefined> {
  const element = () => ({ addEventListener() {}, append() {}, replaceChildren() {} })
  const elements = new Map(
    ['login', 'logout', 'me', 'message', 'name', 'players', 'roles'].map((id) => [id, element()]),
  )
  const answers = new Map<string, unknown>([
    ['/auth/me', { name: 'mia', roles: ['member'] }],
    ['/players', players],
  ])
  let onward: string | undefined
  const place = { search: `?next=${encodeURIComponent(next)}`, origin, replace: (to: string) => (onward = to) }
  runInNewContext(source, {
    document: { getElementById: (id: string) => elements.get(id) ?? null, createElement: element },
    location: place,
    fetch: async (path: string) => ({ ok: true, status: 200, json: async () => answers.get(path) }),
    URL,
    URLSearchParams,
  })
  await new Promise(setImmediate)
  return onward
}

test.each(['/iris/', '/party/index.html', '/players/home/iris/queue', '/players/attic/iris/a%20b.html'])(
  'people who have signed in go on to %s',
  async (path) => {
    expect(await open(path)).toBe(path)
  },
)

test.each([
  '',
  '/',
  '//evil.example/iris/',
  '/\\evil.example/iris/',
  '/\t/evil.example/iris/',
  'https://evil.example/iris/',
  'javascript:alert(1)',
  // What raises an alarm in the name of whoever follows a link.
  '/players/attic/token/playlist-read',
  '/players/den/web-api/v1/me',
  '/iris/../players/attic/token/x',
  '/iris/%2e%2e/players/attic/token/x',
  '/players/den/iris/',
  '/irisX/',
])('a link cannot send them on to %j', async (path) => {
  expect(await open(path)).toBeUndefined()
})
