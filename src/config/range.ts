import { isIP } from 'node:net'

/** A range of addresses (CIDR, RFC 4632 §3.1 and RFC 4291 §2.3). */
export interface Range {
  readonly version: 4 | 6
  /** The address as a number. */
  readonly address: bigint
  /** How many leading bits all of it has in common. */
  readonly length: number
  /** Whether the address is the first of the range, as it should be. */
  readonly isFirst: boolean
}

/** Undefined for what is no range, and for addresses of a zone such as `fe80::%eth0/10`. */
export function readRange(text: string): Range | undefined {
  const [, address = '', digits = ''] = /^([0-9A-Fa-f:.]+)\/(0|[1-9][0-9]{0,2})$/.exec(text) ?? []
  const version = isIP(address)
  const length = Number(digits)
  if ((version !== 4 && version !== 6) || length > bitsOf(version)) return undefined
  const number = numberOf(address, version)
  return { version, address: number, length, isFirst: BigInt.asUintN(bitsOf(version) - length, number) === 0n }
}

/** Whether every address of the one is in the other. */
export function isWithin(range: Range, other: Range): boolean {
  if (range.version !== other.version || range.length < other.length) return false
  const rest = BigInt(bitsOf(other.version) - other.length)
  return range.address >> rest === other.address >> rest
}

function bitsOf(version: 4 | 6): number {
  return version === 4 ? 32 : 128
}

function numberOf(address: string, version: 4 | 6): bigint {
  if (version === 4) return address.split('.').reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n)
  // The URL parser writes an IPv4 tail as two groups, and the longest row of zeros as `::`.
  const [head = '', tail] = new URL(`http://[${address}]/`).hostname.slice(1, -1).split('::')
  const groups = (part = '') => (part === '' ? [] : part.split(':'))
  const zeros = tail === undefined ? 0 : 8 - groups(head).length - groups(tail).length
  const all = [...groups(head), ...Array<string>(zeros).fill('0'), ...groups(tail)]
  return all.reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n)
}
