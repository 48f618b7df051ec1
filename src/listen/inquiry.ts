import { type Call, createCall, type Origin, type Request } from '../call/call.ts'
import { Fault } from '../call/fault.ts'
import type { Known, Matter } from '../call/known.ts'
import type { Scale } from '../call/scale.ts'
import { type Gate, Refusal } from '../gate/gate.ts'
import { createTurns, type Turns } from './turns.ts'

/** Asks of a player, or of the network, what policy has to know before it can judge a call. */
export type LookUp = (call: Call) => Promise<Known>

export interface Inquiry {
  /**
   * Runs `go` with these calls, once all that policy has to know of them was looked up; at once where that is nothing.
   *
   * What was looked up stays as it is until `go` is done, as far as it can be changed through the gateway.
   *
   * @param origin who asks, asked anew after waiting: a revocation reaches what is under way
   * @throws Refusal naming the call for which nothing could be found out, and whatever `go` throws
   */
  pass<T>(origin: () => Origin, calls: readonly Call[], go: (calls: readonly Call[]) => T | Promise<T>): T | Promise<T>
}

export interface InquiryDeps {
  readonly gate: Pick<Gate, 'mattersOf' | 'volumeScale'>
  readonly lookUps: Readonly<Record<Matter, LookUp>>
  /** A change of volume as what it comes to, for a person to whom `volume` is shown as `scale` has it. */
  resolve(request: Request, volume: number, scale: Scale | undefined): Request
  readonly turns?: Turns
}

/** Asks nothing: what policy does not see, it refuses. */
export const straight: Inquiry = { pass: (_origin, calls, go) => go(calls) }

/** Calls that wait for the one before them, by what both are about. */
type Topic = 'playlists' | 'queue' | 'volume'
const topics: Readonly<Record<Matter, Topic | undefined>> = {
  volume: 'volume',
  adds: 'playlists',
  queue: 'queue',
  hosts: undefined,
}

export function createInquiry({ gate, lookUps, resolve, turns = createTurns() }: InquiryDeps): Inquiry {
  /** A call with all that was found out about it. Nothing is asked twice: what was not found then is not known. */
  async function look(origin: () => Origin, asked: Call, isChanged: (matter: Matter) => boolean): Promise<Call> {
    const sought = new Set<Matter>()
    let known: Known = {}
    for (;;) {
      const from = { ...origin(), id: asked.id }
      const scale = gate.volumeScale(from.by, from.player, from.at)
      const request = known.volume === undefined ? asked : resolve(asked, known.volume, scale)
      const call = createCall(from, request, known)
      const missing = gate.mattersOf(call).filter((matter) => !sought.has(matter) && !isChanged(matter))
      if (missing.length === 0) return call
      // Whose hosts to look up is known when all addresses are.
      const next = missing.includes('adds') ? missing.filter((matter) => matter !== 'hosts') : missing
      for (const matter of next) sought.add(matter)
      const found = await Promise.all(next.map((matter) => lookUps[matter](call)))
      known = Object.assign({}, known, ...found)
    }
  }

  async function lookAll(origin: () => Origin, calls: readonly Call[]): Promise<readonly Call[]> {
    const seen: Call[] = []
    // What a call of the same list changes is not known before it is done.
    let isEdited = false
    for (const call of calls) {
      try {
        seen.push(await look(origin, call, (matter) => matter === 'adds' && isEdited))
      } catch (error) {
        throw new Refusal(Fault.from(error), seen.length)
      }
      isEdited ||= call.capability === 'playlists.edit' || call.capability === 'library.refresh'
    }
    return seen
  }

  return {
    pass(origin, calls, go) {
      const matters = calls.flatMap((call) => gate.mattersOf(call))
      const about = matters.map((matter) => topics[matter])
      // Who changes what others look up waits until what they found was used.
      for (const { capability } of calls) {
        if (capability === 'playlists.edit') about.push('playlists')
        if (capability === 'volume.set') about.push('volume')
      }
      if (matters.length === 0 && about.length === 0) return go(calls)
      const [{ player } = { player: '' }] = calls
      const keys = [...new Set(about)].filter((topic) => topic !== undefined).map((topic) => `${topic} ${player}`)
      return turns.take(keys, async (turn) => {
        const seen = await lookAll(origin, calls)
        // Somebody else's turn has begun, who may change what was found.
        if (turn.isOver) throw new Fault('player-timeout', 'looking up what this would do took too long')
        return go(seen)
      })
    },
  }
}
