import { type Gateway, startGateway } from './gateway.ts'
import { type Finished, run, startTunnel, type Tunnel, until } from './tools.ts'

const people = { ada: 'owner', mia: 'member', gus: 'guest', kim: 'kid' } as const
export type Person = keyof typeof people

/** mpc against a port, with a token or without. */
export function mpcAt(port: number, token?: string) {
  const host = token === undefined ? '127.0.0.1' : `${token}@127.0.0.1`
  const env = { ...process.env, MPD_HOST: host, MPD_PORT: String(port), LC_ALL: 'C.UTF-8' }
  return (args: readonly string[], encoding: 'utf8' | 'latin1' = 'utf8') => run('mpc', args, { env, encoding })
}

/** What may differ between two runs on one player: the progress of a song and of an update, uptimes. */
export const steady = ({ status, stdout, stderr }: Finished): Finished => ({
  status,
  stdout: stdout
    .replace(/\d+:\d\d\/(\d+:\d\d) \(\d+%\)/g, '-:--/$1 (-%)')
    .replace(/^Updating DB .*\n/gm, '')
    .replace(/^(Play Time|Uptime|DB Updated): .*$/gm, '$1: -'),
  stderr,
})

/** The gateway in front of a player, an account for each role, and a tunnel for those who speak no TLS. */
export interface House {
  readonly gateway: Gateway
  readonly tunnel: Tunnel
  token(who: Person): string
  stop(): Promise<void>
}

export async function openHouse(player: Record<string, unknown>): Promise<House> {
  const gateway = await startGateway({
    players: { home: player },
    users: people,
    // The tests ask for more than a person does; rates have tests of their own.
    change: (config) => {
      for (const role of Object.values(config.roles)) delete role.rates
    },
  })
  const tokens = new Map(Object.keys(people).map((who) => [who, gateway.token(who)]))
  const tunnel = await startTunnel({ host: '127.0.0.1', port: gateway.mpd, ca: gateway.caFile })
  await until(async () => (await gateway.http('/readyz')).status === 200)
  return {
    gateway,
    tunnel,
    token: (who) => tokens.get(who) ?? '',
    async stop() {
      await tunnel.close()
      await gateway.stop()
    },
  }
}
