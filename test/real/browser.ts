import { createHash, type X509Certificate } from 'node:crypto'
import { connect } from 'node:tls'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { type Gateway, passwordOf } from './gateway.ts'

/** Debian's Chromium, which trusts the key of this gateway and nobody else's. */
export async function launchBrowser(gateway: Gateway): Promise<Browser> {
  return chromium.launch({
    executablePath: '/usr/bin/chromium',
    headless: true,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      `--ignore-certificate-errors-spki-list=${await keyOf(gateway)}`,
    ],
  })
}

/** The digest of a server's public key, as Chromium names keys. */
function keyOf({ https, ca }: Gateway): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: https, servername: 'localhost', ca }, () => {
      const certificate = socket.getPeerX509Certificate()
      socket.destroy()
      if (!certificate) return reject(new Error('no certificate'))
      resolve(digestOf(certificate))
    })
    socket.once('error', reject)
  })
}

function digestOf({ publicKey }: X509Certificate): string {
  return createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64')
}

/** A browser of one person, and what their pages complained about. */
export interface Visit {
  readonly context: BrowserContext
  readonly page: Page
  /** What was said on the console, and what went wrong. */
  readonly said: string[]
  /** The names of WebSockets that were opened, by path. */
  readonly sockets: string[]
  /** What was asked of other machines, blocked or not. */
  readonly elsewhere: string[]
}

export async function visit(browser: Browser, origin: string): Promise<Visit> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } })
  const page = await context.newPage()
  const said: string[] = []
  const sockets: string[] = []
  const elsewhere: string[] = []
  page.on('console', (message) => said.push(message.text()))
  page.on('pageerror', (error) => said.push(error.message))
  page.on('websocket', (socket) => sockets.push(new URL(socket.url()).pathname))
  page.on('response', (response) => {
    if (new URL(response.url()).origin !== origin && !response.url().startsWith('data:')) elsewhere.push(response.url())
  })
  return { context, page, said, sockets, elsewhere }
}

/** Types name and password where the page asks for them. */
export async function signIn(page: Page, name: string): Promise<void> {
  await page.getByLabel('Name').fill(name)
  await page.getByLabel('Password').fill(passwordOf(name))
  await page.getByRole('button', { name: 'Sign in' }).click()
}
