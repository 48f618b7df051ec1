import type { ServerResponse } from 'node:http'
import { Fault } from '../call/fault.ts'
import { createTally } from './bucket.ts'

/** Characters of answers on their way to one account; one answer goes whatever its length. */
const mostUnread = 8 * 1024 * 1024

/**
 * Counts what is on its way to an account until it has been read: whoever asks for long answers and reads none of them
 * must not fill the memory of the house. Throws Fault `limited` when there is too much already.
 */
export type Unread = (account: string, length: number, response: ServerResponse) => void

export function createUnread(): Unread {
  const unread = createTally()
  return (account, length, response) => {
    if (unread.of(account) > 0 && unread.of(account) + length > mostUnread) {
      throw new Fault('limited', 'too many answers wait to be read', { retryAfter: 1 })
    }
    if (response.closed) return
    unread.add(account, length)
    response.once('close', () => unread.remove(account, length))
  }
}
