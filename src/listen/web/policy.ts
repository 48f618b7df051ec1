import type { WebClient } from '../../protocol/web/clients.ts'

/**
 * What a page of a web client may do in a browser.
 *
 * It has our origin, and with it the person's cookie. So `'self'` is written out as its own paths: a page that asks for
 * `/auth/refresh` gets nothing, and neither does one that opens another of our pages to ask there, since it can open none.
 *
 * @param host as the browser named us, already found to be ours
 * @param prefixes of its player: empty for the root, `/players/NAME`
 */
export function pagePolicy(
  { policy, path, commands, art }: WebClient,
  host: string,
  prefixes: readonly string[],
): string {
  if (art) return policy
  // Host sources know no IPv6 addresses (CSP3 §2.3.1): there it stays as it is.
  if (host.startsWith('[')) return `${policy}; ${sandbox}`
  const files = prefixes.map((prefix) => `https://${host}${prefix}${path}`)
  const roots = new Set(Object.keys(commands).map((name) => /^\S+ (\/[^/*]*\/)/.exec(name)?.[1] ?? path))
  const spoken = prefixes.flatMap((prefix) =>
    [...new Set([path, '/mopidy/', '/local/', ...roots])].map((p) => prefix + p),
  )
  const connections = spoken.flatMap((each) => [`https://${host}${each}`, `wss://${host}${each}`])
  const directives = policy.split('; ').map((directive) => {
    const own = directive.startsWith('connect-src ') ? connections : files
    return directive.replace("'self'", own.join(' '))
  })
  return [...directives, sandbox].join('; ')
}

/** No windows of other pages, and no leaving the frame it is in. */
const sandbox = 'sandbox allow-scripts allow-same-origin allow-forms allow-modals allow-downloads'
