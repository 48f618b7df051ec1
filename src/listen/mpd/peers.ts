import { BlockList, isIP } from 'node:net'
import { Fault } from '../../call/fault.ts'

/**
 * Whether an address lies in one of the ranges. An IPv4 address within IPv6 (`::ffff:192.0.2.1`) counts as IPv4.
 *
 * @param ranges CIDR, such as `192.168.1.0/24`
 * @throws Fault naming a range that is none
 */
export function createPeers(ranges: readonly string[]): (address: string) => boolean {
  const list = new BlockList()
  for (const range of ranges) {
    const [, address = '', bits = ''] = /^([^/%]+)\/(0|[1-9]\d{0,2})$/.exec(range) ?? []
    const family = familyOf(address)
    if (!family || Number(bits) > (family === 'ipv4' ? 32 : 128)) {
      throw new Fault('bad-arguments', `not a range of addresses: ${JSON.stringify(range)}`)
    }
    list.addSubnet(address, Number(bits), family)
  }
  return (address) => {
    const [plain = ''] = address.split('%') // the zone of a link-local one
    const family = familyOf(plain)
    return family !== undefined && list.check(plain, family)
  }
}

function familyOf(address: string): 'ipv4' | 'ipv6' | undefined {
  const version = isIP(address)
  return version === 0 ? undefined : version === 4 ? 'ipv4' : 'ipv6'
}
