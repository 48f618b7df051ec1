import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Door } from '../call/call.ts'
import type { Fault } from '../call/fault.ts'
import type { Outcome } from '../gate/audit.ts'
import { createHosts, type Hosts } from './hosts.ts'
import { statusOf } from './problem.ts'

/** What the gateway counts of itself, for Prometheus. Of persons, addresses and what they ask for it holds nothing. */
export interface Metrics {
  decided(decision: { readonly outcome: Outcome; readonly door: Door }): void
  reloaded(result: 'applied' | 'invalid', at: number): void
  /** As text: https://prometheus.io/docs/instrumenting/exposition_formats/ */
  write(): string
}

/** @param deps.at when the configuration in force was read first, Unix ms */
export function createMetrics(deps: {
  readonly players: ReadonlyMap<string, { readonly up: boolean }>
  readonly version: string
  readonly at: number
}): Metrics {
  const decisions = new Map<string, { readonly labels: Labels; count: number }>()
  const reloads = { applied: 0, invalid: 0 }
  let last: keyof typeof reloads = 'applied'
  let success = deps.at

  return {
    decided({ outcome, door }) {
      const labels = { outcome, door }
      const key = JSON.stringify(labels)
      const known = decisions.get(key)
      if (known) known.count++
      else decisions.set(key, { labels, count: 1 })
    },
    reloaded(result, at) {
      reloads[result]++
      last = result
      if (result === 'applied') success = at
    },
    write: () =>
      [
        ...family('stagedoor_build_info', 'gauge', 'Which Stagedoor this is.', [
          [{ version: deps.version, node: process.versions.node }, 1],
        ]),
        ...family('stagedoor_config_last_reload_successful', 'gauge', 'Whether the newest configuration is in force.', [
          [{}, last === 'applied' ? 1 : 0],
        ]),
        ...family(
          'stagedoor_config_last_reload_success_timestamp_seconds',
          'gauge',
          'When a configuration was last put in force.',
          [[{}, success / 1000]],
        ),
        ...family(
          'stagedoor_config_reloads_total',
          'counter',
          'Configurations that were judged since the start.',
          Object.entries(reloads).map(([result, count]) => [{ result }, count]),
        ),
        ...family(
          'stagedoor_decisions_total',
          'counter',
          'Calls that were judged, by outcome and door.',
          [...decisions.values()].map(({ labels, count }) => [labels, count]),
        ),
        ...family(
          'stagedoor_player_up',
          'gauge',
          'Whether the player can be reached.',
          [...deps.players].map(([player, { up }]) => [{ player }, up ? 1 : 0]),
        ),
        '',
      ].join('\n'),
  }
}

type Labels = Readonly<Record<string, string>>

function family(name: string, type: string, help: string, samples: readonly (readonly [Labels, number])[]): string[] {
  return [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} ${type}`,
    ...samples.map(([labels, value]) => `${name}${writeLabels(labels)} ${value}`),
  ]
}

function writeLabels(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${value.replace(/[\\"\n]/g, quote)}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

function quote(character: string): string {
  return character === '\n' ? '\\n' : `\\${character}`
}

export interface MetricsDoor {
  readonly port: number
  close(): Promise<void>
}

/** A door of its own with nothing but `GET /metrics`, in the clear and for whoever gets there: on loopback unless told otherwise. */
export async function openMetrics(deps: {
  readonly host: string
  readonly port: number
  readonly metrics: Pick<Metrics, 'write'>
  /** Host names we are reached by, beside addresses and localhost. */
  readonly names: readonly string[]
  readonly log: { warn(about: object, text: string): void }
}): Promise<MetricsDoor> {
  const hosts = createHosts(deps.names)
  const server = createServer(
    {
      headersTimeout: 5_000,
      requestTimeout: 5_000,
      connectionsCheckingInterval: 1_000,
      keepAliveTimeout: 30_000,
      maxHeaderSize: 8 * 1024,
      insecureHTTPParser: false,
    },
    (request, response) => {
      const status = judge(request, hosts)
      const text = status === 200 ? deps.metrics.write() : `${status}\n`
      response
        .writeHead(status, {
          'content-type': 'text/plain; version=0.0.4; charset=utf-8',
          'content-length': Buffer.byteLength(text),
          'cache-control': 'no-store',
          'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
          'cross-origin-resource-policy': 'same-origin',
          'x-content-type-options': 'nosniff',
          ...(status === 405 && { allow: 'GET' }),
          ...(status !== 200 && { connection: 'close' }),
        })
        .end(text)
    },
  )
  server.maxConnections = 32
  server.listen({ host: deps.host, port: deps.port })
  await once(server, 'listening')
  server.on('error', () => {})
  const { address, port } = server.address() as AddressInfo
  if (!/^(?:127\.|::1$)/.test(address)) {
    deps.log.warn({ host: address, port }, 'metrics can be read on the network, without TLS and by anybody')
  }
  return {
    port,
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

function judge(request: IncomingMessage, hosts: Hosts): number {
  try {
    hosts.check(request) // what a page makes a browser ask for under a name of its own is not for us
  } catch (error) {
    return statusOf(error as Fault)
  }
  if (request.url !== '/metrics') return 404
  if (request.method !== 'GET') return 405
  return 'content-length' in request.headers || 'transfer-encoding' in request.headers ? 400 : 200
}
