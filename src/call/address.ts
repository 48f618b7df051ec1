/** The address of a peer, an IPv4 one written as such; empty when it is gone already. */
export function addressOf({ remoteAddress = '' }: { readonly remoteAddress?: string | undefined }): string {
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(remoteAddress)?.[1] ?? remoteAddress
}

/**
 * What counts as one source wherever connections, requests and wrong passwords are counted: the address, or the /64 of
 * a public IPv6 one, which is what a provider gives to one customer. Within a home (link-local, unique local) each
 * device counts for itself.
 */
export function sourceOf(address: string): string {
  const [plain = ''] = address.toLowerCase().split('%')
  if (!plain.includes(':') || plain === '::1' || /^(fe[89ab]|f[cd])/.test(plain)) return plain
  const [head = '', tail] = plain.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail ? tail.split(':') : []
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length)
  const groups = [...left, ...Array<string>(zeros).fill('0'), ...right]
  return `${groups.slice(0, 4).join(':')}::/64`
}
