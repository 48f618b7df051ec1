import { type Call, createCall, type Origin } from '../../call/call.ts'
import { Fault } from '../../call/fault.ts'
import { isStream } from '../../call/uri.ts'
import { Refusal } from '../../gate/gate.ts'
import type { MpdRequest } from '../../protocol/mpd/decode.ts'

/** Searches of one list: its commands come one after the other, and nobody else's in between. */
const mostSearches = 50

/**
 * The calls of a command list, to be admitted whole or not at all.
 *
 * @param origin called for each command
 * @throws Refusal naming the first command that is no call, or one too many of its kind
 */
export function readList(origin: () => Origin, requests: readonly MpdRequest[]): readonly Call[] {
  const calls: Call[] = []
  let streams = 0
  let searches = 0
  for (const request of requests) {
    try {
      const call = createCall(origin(), request)
      const most = call.operation.bounds.streams
      // A list keeps the player from everybody for as long as all its calls together.
      streams += most === undefined ? 0 : (call.touches.uri ?? []).filter(isStream).length
      if (most !== undefined && streams > most) {
        throw new Fault('bad-arguments', `a list takes at most ${most} network address`)
      }
      const { bounds, needs } = call.operation
      // What is added unnamed is looked for first.
      if (bounds.costly && (call.capability.endsWith('.read') || needs === 'adds')) searches++
      if (searches > mostSearches) {
        throw new Fault('bad-arguments', `a list takes at most ${mostSearches} searches and look-ups`)
      }
      calls.push(call)
    } catch (error) {
      throw new Refusal(Fault.from(error), calls.length)
    }
  }
  return calls
}
