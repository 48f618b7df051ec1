import { isIPv6 } from 'node:net'

/** The address of a peer, an IPv4 one written as such; empty when it is gone already. */
export function addressOf(socket: { readonly remoteAddress?: string | undefined }): string {
  const address = socket.remoteAddress ?? ''
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address
}

/**
 * What counts as one peer where connections and requests are counted: the address, or the /64 of a public IPv6 one, which
 * is what a provider gives to one customer. Within a home (link-local, unique local) each device counts for itself.
 */
export function peerOf(address: string): string {
  if (!isIPv6(address) || /^(fe[89ab]|f[cd])/i.test(address)) return address
  const [head = '', tail] = address.split('::')
  const groups = head === '' ? [] : head.split(':')
  const missing = tail === undefined ? 0 : 8 - groups.length - (tail === '' ? 0 : tail.split(':').length)
  return [...groups, ...Array<string>(missing).fill('0'), ...(tail ?? '').split(':')].slice(0, 4).join(':')
}
