import { type Catalog, catalog, type Operation, op } from '../../call/catalog.ts'
import { isFile, type WebClient, webClients } from './clients.ts'
import { readPath, writePath } from './path.ts'

const rows = (clients: Iterable<WebClient>): Catalog =>
  catalog('web', Object.fromEntries([...clients].map(({ path, capability }) => [`GET ${path}`, op(capability)])))

/** What it is to open each of the web clients we know: its files follow from that. */
export const webFiles: Catalog = rows(webClients.values())

/** The row of one client, known or not. */
export function openingOf(client: WebClient): Operation | undefined {
  const name = `GET ${client.path}`
  return webClients.get(client.name) === client ? webFiles[name] : rows([client])[name]
}

/**
 * The path of a file of this client, written anew; undefined for what is none.
 *
 * @param path as it stands in the request line, below the player's prefix and without the query
 */
export function filePath(client: WebClient, path: string): string | undefined {
  if (!path.startsWith(client.path)) return undefined
  const segments = readPath(path)
  return segments && isFile(client, segments.slice(1)) ? writePath(segments) : undefined
}

/**
 * Where an answer to `path` sends a browser, when that is a file of the same client; undefined for any other place.
 *
 * @param origin of the player's web server, such as `http://127.0.0.1:6680`
 */
export function redirection(client: WebClient, origin: string, path: string, location: string): string | undefined {
  if (!/^[\x21-\x7e]{1,2048}$/.test(location) || location.includes('\\')) return undefined
  const target = URL.parse(location, origin + path)
  return target?.origin === origin && target.username === '' ? filePath(client, target.pathname) : undefined
}
