import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { run as check } from '../../src/cli/check.ts'
import { createShell } from './house.ts'

/** As Mopidy 3.4 writes it. */
const page = (names: readonly string[]) =>
  `<!DOCTYPE html><ul>\n${names.map((name) => `          <li><a href="/${name}/">${name}</a></li>\n`).join('')}</ul>`

async function createMopidy(answer: (response: ServerResponse) => void) {
  const asked: string[] = []
  const server = createServer(({ method, url }: IncomingMessage, response) => {
    asked.push(`${method} ${url}`)
    answer(response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  return { asked, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

const serving = (names: readonly string[]) =>
  createMopidy((response) => response.setHeader('content-type', 'text/html; charset=UTF-8').end(page(names)))

async function compare(url: string, web = '') {
  const shell = createShell()
  writeFileSync(
    shell.file,
    `players:\n  home: { kind: mopidy, http: "${url}"${web} }\nroles: { owner: { grants: [{ allow: ["*"] }] } }\n`,
  )
  const { status, out, err } = await shell.run(check, '')
  expect(status, 'nothing of this is an error').toBe(0)
  expect(out).toContain('fine; players: home')
  return err.replaceAll(`${shell.file}:2: `, '').split('\n')
}

describe('the web clients that Mopidy serves', () => {
  it('are asked for once, and each that the configuration has nothing of is named', async () => {
    const { asked, url } = await serving(['iris', 'local', 'mopify', 'party'])
    expect(await compare(url, ', web: [iris, local]')).toEqual([
      'players.home.web: warning: Mopidy serves /mopify/, which nobody here knows and nobody gets to: { path: "/mopify/" } shows its files',
      'players.home.web: warning: Mopidy serves /party/, which is shut: add party to open it',
    ])
    expect(asked).toEqual(['GET /mopidy/'])
  })

  it('are fine when they are those of the configuration', async () => {
    const { url } = await serving(['iris', 'mopify'])
    expect(await compare(url, ', web: [iris, { path: "/mopify/" }]')).toEqual([''])
  })

  it('may have their commands elsewhere', async () => {
    const { url } = await serving(['musicbox_webclient', 'settings'])
    expect(await compare(url, ', web: [musicbox_webclient]')).toEqual([''])
    expect(await compare(url, ', web: [{ path: "/a/" }]')).toEqual([
      'players.home.web: warning: Mopidy serves /musicbox_webclient/, which is shut: add musicbox_webclient to open it',
      'players.home.web: warning: Mopidy serves /settings/, which is shut: add musicbox_webclient to open it',
      'players.home.web: warning: Mopidy does not serve /a/',
    ])
  })

  it('are missed when the configuration has more', async () => {
    const { url } = await serving([])
    expect(await compare(url, ', web: [iris]')).toEqual(['players.home.web: warning: Mopidy does not serve /iris/'])
  })

  it('have names that cannot say anything else', async () => {
    const odd = ['\u001b[2J', 'a"b', '../x', 'a/b', 'x'.repeat(500), '%1b', 'mopidy', '__proto__']
    const { url } = await serving(odd)
    expect(await compare(url)).toEqual([expect.stringContaining('/__proto__/, which nobody here knows')])
  })

  it('are looked at as far as there is sense in it', async () => {
    const { url } = await serving(Array.from({ length: 5_000 }, (_, i) => `a${i}`))
    expect(await compare(url)).toHaveLength(64)
  })
})

describe('a Mopidy that', () => {
  it.each<[string, (response: ServerResponse) => void]>([
    ['never answers', () => {}],
    ['hangs up', (response) => response.destroy()],
    ['is something else', (response) => response.setHeader('content-type', 'application/json').end('{}')],
    ['sends one elsewhere', (response) => response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end()],
    ['goes on and on', (response) => response.setHeader('content-type', 'text/html').end('x'.repeat(2_000_000))],
  ])('%s is worth a note', async (_, answer) => {
    const { url, asked } = await createMopidy(answer)
    expect(await compare(url)).toEqual([
      expect.stringMatching(/^players\.home: note: not compared with the web clients that Mopidy serves: /),
    ])
    expect(asked).toHaveLength(1)
  })
})

describe('a role that is only observed', () => {
  it('is a warning, and no error', async () => {
    const shell = createShell()
    writeFileSync(
      shell.file,
      'players: { den: { kind: mpd, mpd: "127.0.0.1:6600" } }\nroles:\n  kid: { mode: observe, grants: [{ allow: [status.read] }] }\n',
    )
    const { status, err } = await shell.run(check, '')
    expect(status).toBe(0)
    expect(err).toBe(
      `${shell.file}:3: warning: role kid is only observed: what it does not allow is recorded and goes all the same (mode: observe)`,
    )
  })
})
