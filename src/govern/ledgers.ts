import { type Call, createCall } from '../call/call.ts'
import type { Gate } from '../gate/gate.ts'
import { createLedger, type Ledger } from '../upstream/ledger.ts'
import type { PlayerLog } from '../upstream/player.ts'
import type { QueueEye } from '../upstream/queue.ts'
import type { StewardDeps } from './house.ts'

/** Who added what, at each player that tells what is in its queue. */
export interface Ledgers {
  /** Undefined for a player whose queue cannot be seen. */
  of(player: string): Ledger | undefined
  close(): void
}

export interface LedgersDeps extends Omit<StewardDeps, 'gate'> {
  readonly gate: Pick<Gate, 'admitAll' | 'charge'>
  /** How many entries more the person who makes this call may have there, where the queue is as the call has it. */
  room(call: Call): number
  readonly log: PlayerLog
}

/** @param queues by the player's name, as policy knows it */
export function createLedgers(queues: ReadonlyMap<string, QueueEye>, deps: LedgersDeps): Ledgers {
  const { gate, room, log, now } = deps
  const ledgers = new Map(
    [...queues].map(([name, eye]) => {
      const remove = (ids: readonly number[]) => prune(name, eye, ids, deps)
      return [name, createLedger({ eye, room, counted: gate.charge, remove, log, now })]
    }),
  )
  return {
    of: (player) => ledgers.get(player),
    close() {
      for (const ledger of ledgers.values()) ledger.close()
    },
  }
}

/**
 * Takes entries out of a queue again that there was no room for: judged and sent like anybody's call, and recorded as one,
 * however many there are.
 */
async function prune(
  player: string,
  eye: QueueEye,
  ids: readonly number[],
  { gate, newId, now }: LedgersDeps,
): Promise<void> {
  const by = { kind: 'house', name: 'queue', from: 'house' } as const
  const origin = { id: newId(), by, door: 'house', player, at: now() } as const
  await eye.send(gate.admitAll(eye.removal(ids).map((request) => createCall(origin, request))))
}
