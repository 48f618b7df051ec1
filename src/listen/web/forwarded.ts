import { createHmac, hkdfSync } from 'node:crypto'
import type { User } from '../../call/call.ts'
import type { WebClient } from '../../protocol/web/clients.ts'
import { piboxVoter } from '../../protocol/web/pibox.ts'

/** What the player is told of who asks: enough to tell people apart, and not who they are. */
export interface Forwarded {
  /** @param host as the client named us, already found to be ours */
  fields(client: WebClient, by: User, host: string): Readonly<Record<string, string>>
}

/**
 * @param secret of this installation, the same after a restart: extensions count votes by what is made of it
 */
export function createForwarded(secret: string | Uint8Array): Forwarded {
  const key = new Uint8Array(hkdfSync('sha256', secret, '', 'stagedoor forwarded', 32))
  const digest = (purpose: string, account: string) =>
    createHmac('sha256', key).update(`${purpose}\n${account}`).digest()

  return {
    fields: ({ name }, { id }, host) => ({
      'x-forwarded-for': address(digest('address', id)),
      'x-forwarded-proto': 'https',
      'x-forwarded-host': host,
      ...(name === 'pibox' && { [piboxVoter]: digest('voter', id).toString('hex', 0, 16) }),
    }),
  }
}

/** RFC 4193 §3: an address of nobody's network. */
function address(bytes: Uint8Array): string {
  const groups =
    Buffer.from([0xfd, ...bytes.subarray(0, 15)])
      .toString('hex')
      .match(/.{4}/g) ?? []
  return groups.join(':')
}
