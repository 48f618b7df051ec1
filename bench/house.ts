import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ConfigFile } from '../src/config/schema.ts'
import { type Gateway, startGateway } from '../test/real/gateway.ts'
import { until } from '../test/real/tools.ts'

/** A gateway before one player, with an owner. */
export interface House {
  readonly gateway: Gateway
  readonly token: string
  /** Files (PEM): all contenders show the same one. */
  readonly certificate: { readonly cert: string; readonly key: string }
}

/** As shipped, save for limits that stop exactly what a benchmark does. `BENCH_LOG` is another level of the log than `info`. */
export async function startHouse(player: ConfigFile['players'][string]): Promise<House> {
  const gateway = await startGateway({
    players: { home: player },
    users: { ada: 'owner' },
    script: fileURLToPath(new URL('gateway.ts', import.meta.url)),
    change(config) {
      const { mpd, ...doors } = config.listen ?? {}
      config.listen = { ...doors, mpd: { ...(mpd || {}), connections: 5_000, connectionsEach: 5_000 } }
      config.log = { level: (process.env.BENCH_LOG ?? 'info') as 'info' }
    },
  })
  const token = gateway.token('ada')
  await until(async () => (await gateway.http('/readyz')).status === 200)
  const [cert, key] = [join(gateway.dir, 'certs/server.crt'), join(gateway.dir, 'certs/server.key')]
  return { gateway, token, certificate: { cert, key } }
}
