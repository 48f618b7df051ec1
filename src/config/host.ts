import { BlockList, isIP } from 'node:net'

/** The host as the network stack will read it: a decimal or padded address cannot pass for something else. */
export function hostOf(address: string): string | undefined {
  const url = URL.parse(address.startsWith('http://') ? address : `http://${address}`)
  if (!url || url.port === '0' || (url.port === '' && !address.startsWith('http://') && !address.endsWith(':80'))) {
    return undefined
  }
  return bare(url.hostname)
}

/** Without the brackets that an IPv6 address wears in a URL. */
export function bare(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, '')
}

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8)
loopback.addAddress('::1', 'ipv6')

const internal = new BlockList()
internal.addSubnet('10.0.0.0', 8)
internal.addSubnet('172.16.0.0', 12)
internal.addSubnet('192.168.0.0', 16)
internal.addSubnet('fc00::', 7, 'ipv6')

export function isLoopback(host: string): boolean {
  return host === 'localhost' || isIn(loopback, host)
}

/** A private address, or a name that only a container's own network resolves. */
export function isInternal(host: string): boolean {
  return isIP(host) === 0 ? /^[a-z0-9_-]+(\.internal)?$/.test(host) : isIn(internal, host)
}

function isIn(list: BlockList, host: string): boolean {
  const version = isIP(host)
  return version !== 0 && list.check(host, version === 4 ? 'ipv4' : 'ipv6')
}
