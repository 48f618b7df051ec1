import type { Catalog } from '../call/catalog.ts'
import { messageOf } from '../call/fault.ts'
import type { PlayerConfig, WebConfig } from '../config/player.ts'
import { webClients } from '../protocol/web/clients.ts'
import { createExchange } from '../upstream/exchange.ts'

export interface Remark {
  /** Of the configuration, such as `players.home.web`. */
  readonly path: string
  readonly weight: 'warning' | 'note'
  readonly text: string
}

const limits = { running: 1, connectMs: 1_000, holdMs: 3_000, questionBytes: 0, answerBytes: 1024 * 1024 }
/** Names that are looked at: a Mopidy with more web clients is none. */
const most = 64

/** What each Mopidy that can be reached serves beside what the configuration has of it. Nothing of this is an error. */
export async function compareWeb(players: ReadonlyMap<string, PlayerConfig>): Promise<readonly Remark[]> {
  const remarks = await Promise.all(
    [...players].map(async ([name, player]): Promise<readonly Remark[]> => {
      if (player.kind !== 'mopidy') return []
      const path = `players.${name}.web`
      try {
        return compare(await askNames(player.http), player.web ?? []).map((text) => ({ path, weight: 'warning', text }))
      } catch (error) {
        const text = `not compared with the web clients that Mopidy serves: ${messageOf(error)}`
        return [{ path: `players.${name}`, weight: 'note', text }]
      }
    }),
  )
  return remarks.flat()
}

/** The names of what Mopidy serves, of the page on which it lists them. @throws Fault or Error */
async function askNames(http: string): Promise<readonly string[]> {
  const exchange = createExchange(new URL(http), limits)
  try {
    const { status, type, text } = await exchange.ask({ method: 'GET', path: '/mopidy/' })
    if (status !== 200 || type !== 'text/html') throw new Error('what answers there is no Mopidy')
    return namesOf(text)
  } finally {
    await exchange.close()
  }
}

/** `<a href="/NAME/">`, as Mopidy writes it; a name of other characters than these is nothing that could be opened. */
function namesOf(page: string): readonly string[] {
  const names = [...page.matchAll(/<a href="\/([A-Za-z0-9_][A-Za-z0-9_.-]{0,62})\/">/g)].map(([, name = '']) => name)
  return [...new Set(names)].filter((name) => name !== 'mopidy').slice(0, most)
}

function compare(served: readonly string[], web: WebConfig): readonly string[] {
  const configured = new Set(web.map((client) => (typeof client === 'string' ? client : client.path.slice(1, -1))))
  return [
    ...served.flatMap((name) => {
      const client = clientOf(name)
      if (configured.has(client ?? name)) return []
      return client !== undefined
        ? [`Mopidy serves /${name}/, which is shut: add ${client} to open it`]
        : [`Mopidy serves /${name}/, which nobody here knows and nobody gets to: { path: "/${name}/" } shows its files`]
    }),
    ...[...configured].flatMap((name) => (served.includes(name) ? [] : [`Mopidy does not serve /${name}/`])),
  ]
}

/** The name of the web client that this path belongs to: its own, or one where its commands are. */
function clientOf(name: string): string | undefined {
  if (webClients.has(name)) return name
  const isOf = (commands: Catalog) => Object.keys(commands).some((row) => row.includes(` /${name}/`))
  return [...webClients.values()].find(({ commands }) => isOf(commands))?.name
}
