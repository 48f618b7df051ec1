import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest'
import { launchBrowser, signIn, type Visit, visit } from './browser.ts'
import { extensionsFolder } from './extensions.ts'
import { type Gateway, startGateway } from './gateway.ts'
import { tunes } from './library.ts'
import { type Mopidy, startMopidy } from './mopidy.ts'
import { startTap, type Tap, until } from './tools.ts'

let mopidy: Mopidy
let tap: Tap
let gateway: Gateway
let browser: Browser
let origin: string
const visits: Visit[] = []

const queued = tunes.slice(0, 3)
const playing = async () =>
  ((await mopidy.rpc('core.playback.get_current_track')) as { uri?: string } | null)?.uri ?? undefined

/** A browser of somebody who has signed in on our page, on the way to `path`. */
async function open(name: string, path: string): Promise<Visit> {
  const found = await visit(browser, origin)
  visits.push(found)
  await found.page.goto(origin + path)
  expect(found.page.url()).toBe(`${origin}/?next=${encodeURIComponent(path)}`)
  await signIn(found.page, name)
  return found
}

/** What Iris heard over its sockets since the last clear. */
let heardBefore = 0
const irisHeard = () =>
  [
    ...mopidy
      .log()
      .slice(heardBefore)
      .matchAll(/Iris websocket message received: (\{.*)/g),
  ].map(([, text = '']) => (JSON.parse(text) as { method: string }).method)
function clear(): void {
  tap.clear()
  heardBefore = mopidy.log().length
}

/** What Iris answers over its socket to somebody at this page. */
function askIris(page: Page, method: string, params: unknown = {}): Promise<unknown> {
  const message = JSON.stringify({ jsonrpc: '2.0', id: 'test', method, params })
  return page.evaluate(`new Promise((resolve) => {
    const ws = new WebSocket('wss://' + location.host + '/iris/ws/')
    ws.onopen = () => ws.send(${JSON.stringify(message)})
    ws.onmessage = ({ data }) => {
      const answer = JSON.parse(data)
      if (answer.id === 'test') resolve(answer.error?.code ?? answer.result)
    }
    ws.onclose = () => resolve('closed')
  })`)
}

/** What a page would do that wants more than its own. */
const illIntent = `(async () => {
  const tried = async (attempt) => {
    try {
      return String(await attempt())
    } catch (error) {
      return 'failed: ' + error.name
    }
  }
  const frame = (src) => {
    const element = document.createElement('iframe')
    if (src !== undefined) element.src = src
    document.body.append(element)
    return element
  }
  const asked = async (path, method = 'GET') => (await fetch(path, { method })).status
  const framed = frame('/')
  await new Promise((resolve) => framed.addEventListener('load', resolve))
  const register = async (path) => (await navigator.serviceWorker.register(path)).scope
  return {
    cookie: document.cookie.includes('stagedoor'),
    me: await tried(() => asked('/auth/me')),
    refresh: await tried(() => asked('/auth/refresh', 'POST')),
    ticket: await tried(() => asked('/auth/ticket', 'POST')),
    players: await tried(() => asked('/players')),
    inside: await tried(() => frame().contentWindow.fetch('/auth/refresh', { method: 'POST' }).then(() => 'came')),
    framed: await tried(() => framed.contentDocument?.querySelector('#login') ?? 'nothing'),
    window: await tried(() => window.open('/', '_blank') ?? 'none'),
    worker: await tried(() => register('/iris/app.min.js')),
    theirs: await tried(() => register('/iris/service-worker.js')),
  }
})()`

describe.skipIf(!inject('real').web)('real web clients in Chromium, in front of a real Mopidy', () => {
  beforeAll(async () => {
    mopidy = await startMopidy({
      extensions: extensionsFolder() ?? '',
      extraConfig: '[loglevels]\nmopidy_iris = debug', // it writes down what comes over its socket
    })
    tap = await startTap('127.0.0.1', mopidy.httpPort)
    gateway = await startGateway({
      players: {
        home: {
          kind: 'mopidy',
          http: `http://127.0.0.1:${tap.port}`,
          web: ['iris', 'mobile', 'musicbox_webclient', 'party', 'local'],
        },
      },
      users: { mia: 'member', olga: 'owner', gus: 'guest' },
    })
    origin = `https://localhost:${gateway.https}`
    await mopidy.rpc('core.tracklist.add', { uris: queued.map(({ uri }) => uri) })
    await until(async () => (await gateway.http('/readyz')).status === 200)
    browser = await launchBrowser(gateway)
  }, 90_000)
  afterEach(async () => {
    for (const { context } of visits.splice(0)) await context.close()
    await mopidy.rpc('core.playback.stop')
  })
  afterAll(async () => {
    await browser?.close()
    await gateway?.stop()
    await tap?.close()
    await mopidy?.stop()
  })

  test('Iris · a member signs in, comes back, sees the queue and plays a song of it', async () => {
    clear()
    const { page, sockets, elsewhere } = await open('mia', '/iris/queue')
    await page.getByRole('button', { name: 'Save' }).click() // it asks once how somebody is called
    await page.getByRole('link', { name: 'Now playing' }).click()
    for (const { title } of queued) await page.getByText(title, { exact: true }).first().waitFor()
    expect(new Set(sockets)).toEqual(new Set(['/mopidy/ws/', '/iris/ws/']))

    await page
      .getByText(queued[1]?.title ?? '', { exact: true })
      .first()
      .dblclick()
    await until(async () => (await playing()) === queued[1]?.uri)
    await until(async () => (await mopidy.rpc('core.playback.get_state')) === 'playing')
    await page.locator('.playback-controls .control.play').click()
    await until(async () => (await mopidy.rpc('core.playback.get_state')) === 'paused')

    expect(elsewhere).toEqual([]) // nobody on the internet hears of it
    const sent = tap.bytes().toString('latin1')
    expect(sent).toContain('GET /iris/app.min.js HTTP/1.1')
    expect(irisHeard()).toContain('update_connection')
    expect(sent).not.toMatch(/cookie|authorization|stagedoor/i)
  })

  test('Iris · what runs the house fails for a member, by its buttons and past them', async () => {
    const { page } = await open('mia', '/iris/settings')
    await page.getByRole('button', { name: 'Save' }).click()
    await page.waitForURL((url) => !url.pathname.includes('modal'))
    clear()
    await page.goto(`${origin}/iris/settings`)
    await until(() => irisHeard().includes('get_queue_metadata')) // its socket is open
    clear()
    for (const name of ['Restart server', 'Start local scan']) {
      await page.getByText(name, { exact: true }).click()
    }
    await until(() => gateway.log().match(/"reason":"alarm"/g)?.length === 2)
    const methods = ['run_command', 'restart', 'upgrade', 'test', 'local_scan', 'set_commands', 'get_spotify_token']
    for (const method of methods) expect(await askIris(page, method, { id: 1 }), method).toBe(-32003)
    expect(await askIris(page, 'proxy_request')).toBe(-32601)
    expect(await askIris(page, 'get_pinned')).toEqual({ pinned: [] })
    const asks = ['POST restart', 'GET restart', 'GET run_command', 'GET proxy_request'].map((each) => each.split(' '))
    const statuses = await page.evaluate(`Promise.all(${JSON.stringify(asks)}.map(async ([method, name]) => {
      return (await fetch('/iris/http/' + name, { method })).status
    }))`)
    expect(statuses).toEqual([403, 403, 403, 404])
    expect(irisHeard()).toContain('get_pinned')
    for (const method of methods) {
      expect(irisHeard()).not.toContain(method)
      expect(tap.bytes().toString('latin1')).not.toContain(`/iris/http/${method}`)
    }
  })

  test('Iris · the owner may run what the catalog gives owners, and what nobody may is refused to them too', async () => {
    const { page } = await open('olga', '/iris/')
    await page.waitForURL(`${origin}/iris/**`)
    clear()
    expect(await askIris(page, 'get_commands')).toEqual({ commands: {} })
    expect(await askIris(page, 'test')).toEqual({ message: expect.any(String) })
    for (const method of ['run_command', 'set_commands', 'set_data', 'stop', 'get_spotify_token']) {
      expect(await askIris(page, method, { id: 1 }), method).toBe(-32003)
    }
    const others = irisHeard().filter((method) => !/^(update|get)_(?!commands)/.test(method))
    expect(new Set(others)).toEqual(new Set(['get_commands', 'test']))
  })

  test('MusicBox · shows the queue and its pictures, and plays', async () => {
    const { page, elsewhere } = await open('mia', '/musicbox_webclient/')
    await page.locator('#homepane').waitFor()
    await page.locator('#homepane').getByText('Queue').click()
    await page
      .getByText(queued[2]?.title ?? '', { exact: true })
      .first()
      .waitFor()
    await page.locator('#btplay').click()
    await until(async () => (await mopidy.rpc('core.playback.get_state')) === 'playing')
    const isDrawn = () =>
      page.evaluate(`[...document.images].some(({ src, naturalWidth }) => src.includes('/local/') && naturalWidth > 0)`)
    await until(async () => ((await isDrawn()) ? true : undefined))
    expect(elsewhere).toEqual([])
  })

  test('Mobile · shows the queue and plays', async () => {
    const { page, elsewhere, said } = await open('mia', '/mobile/index.html')
    await page.getByText('Tracklist').first().click()
    await page
      .getByText(queued[0]?.title ?? '', { exact: true })
      .first()
      .click()
    await until(async () => (await playing()) === queued[0]?.uri)
    expect(elsewhere).toEqual([])
    expect(said.filter((text) => /refused|not a function|violates/.test(text))).toEqual([])
  })

  test('Party · one person has one vote, whatever browser they use', async () => {
    await mopidy.rpc('core.playback.play')
    const vote = async (name: string) => {
      const { page } = await open(name, '/party/index.html')
      await page.waitForURL(`${origin}/party/index.html`)
      return page.evaluate<string>(`fetch('/party/vote').then((answer) => answer.text())`)
    }
    expect(await vote('mia')).toContain('2 more votes needed')
    expect(await vote('mia')).toContain('already voted')
    expect(await vote('olga')).toContain('1 more votes needed')
    const { page } = await open('gus', '/party/index.html')
    await page.waitForURL(`${origin}/party/index.html`)
    expect(await page.evaluate(`fetch('/party/vote').then(({ status }) => status)`)).toBe(403)
  })

  test('a page of a web client that means ill gets nothing of the person’s sign-in', async () => {
    const { page, context } = await open('olga', '/iris/')
    await page.waitForURL(`${origin}/iris/**`)
    const cookies = await context.cookies(origin)
    expect(cookies.map(({ name, httpOnly, sameSite }) => [name, httpOnly, sameSite])).toEqual([
      ['__Host-stagedoor', true, 'Strict'],
    ])
    const found = await page.evaluate(illIntent)
    expect(found).toEqual({
      cookie: false,
      me: 'failed: TypeError',
      refresh: 'failed: TypeError',
      ticket: 'failed: TypeError',
      players: 'failed: TypeError',
      inside: 'failed: TypeError',
      framed: expect.stringMatching(/nothing|failed/),
      window: 'none',
      worker: expect.stringMatching(/^failed/),
      theirs: expect.stringMatching(/^failed/),
    })
  })

  test('the sign-in page goes nowhere but here, and shows who is signed in their players’ web clients', async () => {
    const { page } = await visit(browser, origin).then((found) => {
      visits.push(found)
      return found
    })
    await page.goto(`${origin}/?next=${encodeURIComponent('//evil.example/')}`)
    await signIn(page, 'mia')
    await page.getByRole('link', { name: 'iris' }).waitFor()
    const links = await page.getByRole('link').evaluateAll((all) => all.map((link) => link.getAttribute('href')))
    expect(links).toEqual(['/iris/', '/mobile/', '/musicbox_webclient/', '/party/'])
    for (const next of [
      'https://evil.example/',
      '/\\evil.example/',
      '/\t/evil.example/',
      'javascript:alert(1)',
      '/ /x',
    ]) {
      await page.goto(`${origin}/?next=${encodeURIComponent(next)}`)
      await page.getByRole('link', { name: 'iris' }).waitFor()
      expect(new URL(page.url()).pathname).toBe('/')
    }
    await page.goto(`${origin}/?next=${encodeURIComponent('/party/index.html')}`)
    await page.waitForURL(`${origin}/party/index.html`)
  })
})
