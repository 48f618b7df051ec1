import { readFileSync } from 'node:fs'
import type { App } from './http.ts'

const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "form-action 'none'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ')

const headers = {
  'content-security-policy': policy,
  // A page of ours that a web client opens is out of its reach, and what is typed there too.
  'cross-origin-opener-policy': 'noopener-allow-popups',
}

/** The files of `web/`, by the path they are served at. */
const files = {
  '/': ['index.html', 'text/html'],
  '/setup': ['setup.html', 'text/html'],
  '/page.js': ['page.js', 'text/javascript'],
  '/page.css': ['page.css', 'text/css'],
} as const

/** Sign-in and first-run setup: fixed files, read once. Nothing a person typed is ever put into HTML here. */
export function pageRoutes(app: App): void {
  for (const [url, [name, type]] of Object.entries(files)) {
    const text = readFileSync(new URL(`../../web/${name}`, import.meta.url), 'utf8')
    app.get(url, async (_request, reply) => reply.headers(headers).type(`${type}; charset=utf-8`).send(text))
  }
}
