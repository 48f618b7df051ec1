import { type Call, createCall, type Origin, personOf, type Request } from '../call/call.ts'
import { Fault } from '../call/fault.ts'
import type { Known, Matter } from '../call/known.ts'
import { addsToQueue, afterwards } from '../call/queue.ts'
import type { Scale } from '../call/scale.ts'
import { type Gate, Refusal } from '../gate/gate.ts'
import { byIds } from '../protocol/queue.ts'
import type { Ledger, Taken } from '../upstream/ledger.ts'
import { UpstreamError } from '../upstream/player.ts'
import { createTurns, type Turn, type Turns } from './turns.ts'

/** Asks of a player, or of the network, what policy has to know before it can judge a call. */
export type LookUp = (call: Call) => Promise<Known>

export interface Inquiry {
  /**
   * Runs `go` with these calls, once all that policy has to know of them was looked up; at once where that is nothing.
   *
   * What was looked up stays as it is until `go` is done, as far as it can be changed through the gateway.
   *
   * @param origin who asks, asked anew after waiting: a revocation reaches what is under way
   * @param without the result without the entries of the queue that were taken out again, as there was no room for them
   * @throws Fault, of several calls a Refusal naming the one for which nothing could be found out, and whatever `go` throws
   */
  pass<T>(
    origin: () => Origin,
    calls: readonly Call[],
    go: (calls: readonly Call[]) => T | Promise<T>,
    without?: (result: T, taken: Taken) => T,
  ): T | Promise<T>
}

export interface InquiryDeps {
  readonly gate: Pick<Gate, 'foresee' | 'mattersOf' | 'volumeScale'>
  readonly lookUps: Readonly<Record<Matter, LookUp>>
  /** A change of volume as what it comes to, for a person to whom `volume` is shown as `scale` has it. */
  resolve(request: Request, volume: number, scale: Scale | undefined): Request
  /** Where it is known who added what to the queue. */
  readonly keeper?: Keeper
  readonly turns?: Turns
}

export interface Keeper {
  /** Whether a call, whoever makes it, waits until nobody else changes that queue. */
  isTracked(call: Call): boolean
  /** Undefined for a player whose queue cannot be seen. */
  ledgerOf(player: string): Ledger | undefined
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

/** How long a volume that is set waits for others that are being resolved: a list may keep its turn by not being read. */
const brieflyMs = 1_000

/** Addresses that are looked up for one list: all of them are kept until it goes. */
const mostAdds = 20_000

/** Calls of one list between two looks at all the others. */
const inOneGo = 64

export function createInquiry({ gate, lookUps, resolve, keeper, turns = createTurns() }: InquiryDeps): Inquiry {
  /**
   * A call with all that was found out about it. Nothing is asked twice: what was not found then is not known.
   *
   * @param given what is known before, from the calls that go with it
   * @param prior those of them that come before it
   */
  async function look(
    origin: () => Origin,
    asked: Call,
    given: Known,
    hidden: ReadonlySet<Matter>,
    prior: readonly Call[],
  ): Promise<Call> {
    const sought = new Set<Matter>(hidden)
    let known: Known = {}
    for (;;) {
      const from = { ...origin(), id: asked.id }
      const scale = gate.volumeScale(from.by, from.player, from.at)
      const request = known.volume === undefined ? asked : resolve(asked, known.volume, scale)
      const call = createCall(from, known.queue ? byIds(request, known.queue) : request, known)
      const missing = gate.mattersOf(call).filter((matter) => !sought.has(matter))
      if (missing.length === 0) return call
      // Whose hosts to look up is known when all addresses are.
      const next = missing.includes('adds') ? missing.filter((matter) => matter !== 'hosts') : missing
      for (const matter of next) sought.add(matter)
      const found = await Promise.all(next.map((matter) => (given[matter] === undefined ? ask(matter, call) : given)))
      known = Object.assign({}, known, ...found)
      const { queue } = known
      if (queue && given.queue === undefined && next.includes('queue'))
        known = { ...known, queue: prior.reduce(afterwards, queue) }
    }
  }

  async function ask(matter: Matter, call: Call): Promise<Known> {
    try {
      return await lookUps[matter](call)
    } catch (error) {
      // What the player does not tell is not known.
      if (error instanceof UpstreamError) return {}
      throw error
    }
  }

  async function lookAll(origin: () => Origin, calls: readonly Call[], turn: Turn): Promise<readonly Call[]> {
    const seen: Call[] = []
    // What a call of the same list changes is not known before it is done, other than where it leaves the volume.
    const hidden = new Set<Matter>()
    let given: Known = {}
    let adds = 0
    for (const asked of calls) {
      // Somebody else's turn has begun, who may change what was found.
      if (turn.isOver) throw tooLong()
      try {
        const call = await look(origin, asked, given, hidden, seen)
        adds += call.known.adds?.length ?? 0
        if (adds > mostAdds) throw new Fault('too-large', 'what this list would add is too much to look through')
        const queue = call.known.queue ?? given.queue
        if (queue) given = { ...given, queue: afterwards(queue, call) }
        seen.push(call)
        // A long list and a long queue are work: others have their turn in between.
        if (seen.length % inOneGo === 0) await new Promise((resolve) => setImmediate(resolve))
        const left = call.capability === 'volume.set' ? gate.foresee(call)?.touches.volume?.at(-1) : undefined
        if (left !== undefined) given = { ...given, volume: left }
      } catch (error) {
        const fault = Fault.from(error)
        throw calls.length === 1 ? fault : new Refusal(fault, seen.length)
      }
      if (asked.capability === 'playlists.edit' || asked.capability === 'library.refresh') hidden.add('adds')
    }
    return seen
  }

  return {
    pass(origin, calls, go, without) {
      const matters = calls.flatMap((call) => gate.mattersOf(call))
      const about = matters.map((matter) => topics[matter])
      // Who changes what others look up waits until what they found was used.
      for (const { capability } of calls) {
        if (capability === 'playlists.edit') about.push('playlists')
        if (capability === 'volume.set') about.push('volume')
      }
      const isTracked = keeper !== undefined && calls.some((call) => keeper.isTracked(call))
      if (isTracked) about.push('queue')
      if (matters.length === 0 && about.length === 0) return go(calls)
      const [{ player, by } = origin()] = calls
      const keys = [...new Set(about)].filter((topic) => topic !== undefined).map((topic) => `${topic} ${player}`)
      // Who needs to know nothing waits so that nobody's change is lost, and not for whoever is at it for long.
      const patience = matters.length === 0 && keys.every((key) => key === `volume ${player}`) ? brieflyMs : undefined
      const work = async (turn: Turn) => {
        const seen = await lookAll(origin, calls, turn)
        if (turn.isOver) throw tooLong()
        const ledger = isTracked && seen.some(addsToQueue) ? keeper.ledgerOf(player) : undefined
        // Looking may have taken a while, in which hours and sign-ins end: all go as of now.
        const send = () => go(seen.map((call) => createCall({ ...origin(), id: call.id }, call, call.known)))
        if (!ledger) return send()
        const { result, taken } = await ledger.hear(seen, send)
        return without && taken.size > 0 ? without(result, taken) : result
      }
      // One at a time of each person: whoever sends a hundred that take long waits for themselves.
      const own = keys.map((key) => JSON.stringify([personOf(by), key]))
      return turns.take(own, () => turns.take(keys, work, patience), patience)
    },
  }
}

function tooLong(): Fault {
  return new Fault('player-timeout', 'looking up what this would do took too long')
}
