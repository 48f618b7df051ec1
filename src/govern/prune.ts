import { createCall } from '../call/call.ts'
import type { Gate } from '../gate/gate.ts'
import type { QueueEye } from '../upstream/queue.ts'

/**
 * What takes entries out of a queue again that there was no room for: judged and sent like anybody's call, and recorded as
 * one, however many there are.
 *
 * @param player its name, as policy knows it
 */
export function createPrune(
  player: string,
  eye: Pick<QueueEye, 'removal' | 'send'>,
  deps: { readonly gate: Pick<Gate, 'admitAll'>; newId(): string; now(): number },
): (ids: readonly number[]) => Promise<void> {
  const by = { kind: 'house', name: 'queue', from: 'house' } as const
  return async (ids) => {
    const origin = { id: deps.newId(), by, door: 'house', player, at: deps.now() } as const
    await eye.send(deps.gate.admitAll(eye.removal(ids).map((request) => createCall(origin, request))))
  }
}
