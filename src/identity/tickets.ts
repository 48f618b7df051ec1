import type { User } from '../call/call.ts'
import { Fault } from '../call/fault.ts'
import { createOpaque, hashOpaque } from './tokens.ts'

/** Stands in for a credential where a client can set no header: once, within 30 seconds. */
export interface Tickets {
  create(user: User): string
  redeem(ticket: string): User | undefined
}

const lifetime = 30_000
const perUser = 16

/** Tickets live in memory only: after a restart there is no connection for them to open. */
export function createTickets(now: () => number): Tickets {
  const open = new Map<string, { readonly user: User; readonly ends: number }>()
  const isOver = (ends: number) => ends <= now()

  return {
    create(user) {
      for (const [key, { ends }] of open) if (isOver(ends)) open.delete(key)
      if ([...open.values()].filter((held) => held.user.id === user.id).length >= perUser) {
        throw new Fault('limited', 'too many open tickets', { retryAfter: lifetime / 1000 })
      }
      const ticket = createOpaque('st1')
      open.set(keyOf(ticket) ?? '', { user, ends: now() + lifetime })
      return ticket
    },
    redeem(ticket) {
      const key = keyOf(ticket)
      const held = key === undefined ? undefined : open.get(key)
      if (key === undefined || !held) return undefined
      open.delete(key)
      return isOver(held.ends) ? undefined : held.user
    },
  }
}

function keyOf(ticket: string): string | undefined {
  return hashOpaque('st1', ticket)?.toString('hex')
}
