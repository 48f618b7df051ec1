import type { Request } from '../call/call.ts'
import type { Operation } from '../call/catalog.ts'
import type { Queue } from '../call/known.ts'
import { findEntries } from '../call/queue.ts'
import { mopidy } from './mopidy/catalog.ts'
import { mpd } from './mpd/catalog.ts'

type Args = Readonly<Record<string, unknown>>

/** Rows that have another way to say it by the ids of entries; undefined for arguments that have not. */
const ways = new Map<Operation, (args: Args, ids: readonly number[]) => Request | undefined>([
  [mpd.delete, (_, [id, more]) => (more === undefined ? { operation: mpd.deleteid, args: { id } } : undefined)],
  [mpd.move, ({ to }, [id, more]) => (more === undefined ? { operation: mpd.moveid, args: { id, to } } : undefined)],
  [mpd.swap, (_, [one, other]) => ({ operation: mpd.swapid, args: { one, other } })],
  [mpd.prio, ({ priority }, ids) => ({ operation: mpd.prioid, args: { priority, ids } })],
  [
    mopidy['core.tracklist.remove'],
    ({ criteria }, tlid) => ({
      operation: mopidy['core.tracklist.remove'],
      args: { criteria: { ...Object(criteria), tlid } },
    }),
  ],
])

/**
 * The same request by the ids of the entries that it means, where there is such a way: before it arrives the player may
 * move on by itself, and then an entry stands elsewhere.
 */
export function byIds(request: Request, queue: Queue): Request {
  const { operation, args } = request
  const way = ways.get(operation)
  const found = way && findEntries(queue, operation.entries?.(args) ?? [])
  if (!way || !found || found.length === 0) return request
  return way(args, [...new Set(found.map(({ id }) => id))]) ?? request
}
