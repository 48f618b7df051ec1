import { type Call, createCall, type Principal, type Request } from '../call/call.ts'
import type { Matter } from '../call/known.ts'
import type { Gate } from '../gate/gate.ts'
import type { Hand } from '../upstream/hand.ts'

/** Where it is said what the gateway did by itself, or could not do. */
export interface GovernLog {
  warn(about: object, text: string): void
  info(about: object, text: string): void
}

/** What the gateway does at one player by itself: judged, recorded and sent like anybody's call. */
export interface Steward {
  /** @throws Fault or UpstreamError when it was not done, or nobody knows */
  volume(percent: number): Promise<void>
  pause(): Promise<void>
}

export interface StewardDeps {
  readonly gate: Pick<Gate, 'admit'>
  newId(): string
  /** Unix ms. */
  now(): number
}

export function createSteward(
  name: Extract<Principal, { kind: 'house' }>['name'],
  player: string,
  hand: Hand,
  { gate, newId, now }: StewardDeps,
): Steward {
  const by = { kind: 'house', name, from: 'house' } as const

  async function put(request: Request): Promise<void> {
    const call = createCall({ id: newId(), by, door: 'house', player, at: now() }, request)
    await hand.send(gate.admit(call))
  }

  return {
    // Within the promise, as it may not be known how.
    volume: async (percent) => put(hand.volume(percent)),
    pause: async () => put(hand.pause()),
  }
}

/** Who goes by what others do. */
export interface Ear {
  /** Hears of each call that was allowed, in order and before it is sent. Must neither throw nor block. */
  hear(call: Call): void
  /** What it wants to be known of a call, besides what policy does. */
  mattersOf(call: Call): readonly Matter[]
}

/** The same gate, with somebody who listens. */
export function overhear(gate: Gate, ear: Ear): Gate {
  return {
    ...gate,
    admit(call) {
      const permit = gate.admit(call)
      ear.hear(permit.call)
      return permit
    },
    admitAll(calls) {
      const permits = gate.admitAll(calls)
      for (const { call } of permits) ear.hear(call)
      return permits
    },
    mattersOf(call) {
      const [asked, wanted] = [gate.mattersOf(call), ear.mattersOf(call)]
      return wanted.length === 0 ? asked : [...new Set([...asked, ...wanted])]
    },
  }
}

/** Whether less than so long has passed. A moment of the future is of a clock that was set back since: it is over. */
export function isWithin(then: number, at: number, ms: number): boolean {
  return then <= at && at - then < ms
}
