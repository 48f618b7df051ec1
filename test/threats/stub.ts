import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect } from 'vitest'
import { type FakeLibrespot, type Kind, song, startFakeLibrespot } from '../upstream/fakelibrespot.ts'
import type { Neighbour } from './harness.ts'

/** What the gateway asks by itself. */
const own: Readonly<Record<Kind, RegExp>> = {
  'go-librespot': /^GET \/status$/,
  'librespot-java': /^POST \/player\/current$/,
  zeroconf: /^GET \/\?action=getInfo$/,
}
/** The words of a request of ours; whose they are and where they come from is in none of them. */
const words: ReadonlySet<string> = new Set([
  'host',
  'connection',
  'accept',
  'accept-encoding',
  'content-type',
  'content-length',
])

/** A player of the librespot family that rows are judged by. */
export interface Stub extends Neighbour {
  readonly fake: FakeLibrespot
}

export async function startStub(kind: Kind): Promise<Stub> {
  const fake = await startFakeLibrespot(kind)
  let requests = 0
  let bytes = 0
  const recent = () => fake.requests.slice(requests)
  return {
    fake,
    heard: () => [
      ...recent().flatMap(({ method, path, headers, body }) => {
        const text = `${method} ${path}${body === '' ? '' : ` ${body}`}`
        const strange = Object.keys(headers).filter((name) => !words.has(name))
        return [...(own[kind].test(text) ? [] : [text]), ...strange.map((name) => `the header ${name}`)]
      }),
    ],
    sent: () => fake.bytes.slice(bytes),
    forget() {
      requests = fake.requests.length
      bytes = fake.bytes.length
      fake.trouble = undefined
      fake.troubled = () => true
      fake.latencyMs = 0
      fake.status = undefined
      fake.says = undefined
      fake.session = true
      fake.state.track = song()
      fake.state.volume = 32_768
    },
    check() {
      expect(fake.crashed, `the ${kind} ended`).toBe(false)
      // A player of this kind is asked by one line of ours, whoever asks.
      if (kind === 'go-librespot') expect(fake.mostAtOnce, 'requests at once').toBeLessThanOrEqual(1)
    },
  }
}

/** A web server that alarms are posted to. */
export interface Webhook {
  readonly url: string
  readonly posts: readonly Readonly<Record<string, unknown>>[]
  close(): Promise<void>
}

export async function startWebhook(): Promise<Webhook> {
  const posts: Record<string, unknown>[] = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    posts.push(JSON.parse(body))
    response.end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/alarm`,
    posts,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
