import { afterEach, beforeEach } from 'vitest'
import { createCall } from '../../src/call/call.ts'
import { Fault } from '../../src/call/fault.ts'
import { decide, type Permit } from '../../src/policy/decide.ts'
import { compile } from '../../src/policy/policy.ts'
import { decode } from '../../src/protocol/mpd/decode.ts'
import { tokenize } from '../../src/protocol/mpd/token.ts'
import { createMpd, type MpdLimits } from '../../src/upstream/mpd.ts'
import type { MpdConnection, MpdPlayer } from '../../src/upstream/player.ts'
import { userNamed } from './fake.ts'
import { type FakeMpd, startFakeMpd } from './fakempd.ts'

const owner = compile({ owner: { grants: [{ allow: ['*'] }] } })

export const ada = { id: 'ada', reserve: false }
export const bob = { id: 'bob', reserve: false }
export const root = { id: 'root', reserve: true }

export function permit(line: string): Permit {
  const origin = { id: 'r1', by: userNamed('ada'), door: 'mpd', player: 'home', at: 0 } as const
  const decision = decide(owner, createCall(origin, decode(tokenize(new TextEncoder().encode(line)))))
  if (!decision.allowed) throw new Error(`${line}: ${decision.denial.reason}`)
  return decision.permit
}

/** One command, or several as a list; resolves to the whole answer. */
export function ask(link: MpdConnection, ...commands: string[]): Promise<string> {
  let text = ''
  const sent = link.send(commands.map(permit), commands.length > 1 ? 'list' : 'single', (bytes) => {
    text += Buffer.from(bytes).toString()
  })
  const answer = sent.then(() => text)
  // A test that fails leaves the rest unasked for.
  answer.catch(() => {})
  return answer
}

export async function faultOf(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof Fault)) throw new Error(`no Fault: ${String(error)}`)
  return `${error.code}: ${error.message}`
}

export interface House {
  fake: FakeMpd
  player: MpdPlayer
  /** Starts the gateway's side; short of patience, unless told otherwise. */
  start(limits?: Partial<MpdLimits>): MpdPlayer
  /** The same, and waits until the watch stands. */
  up(limits?: Partial<MpdLimits>): Promise<MpdPlayer>
  /** Lets time pass for the gateway's side, and waits until its clocks were looked at. */
  pass(ms: number): Promise<void>
}

/** A fake player and a gateway's side of it for each test of the file. */
export function furnish(): House {
  let passed = 0
  const house = {
    start(limits: Partial<MpdLimits> = {}) {
      const patience = { greetingMs: 300, openMs: 900, sweepMs: 20, retryFirstMs: 10, retryMostMs: 20 }
      const { host, port } = house.fake
      const now = () => performance.now() + passed
      house.player = createMpd({ host, port, now, limits: { ...patience, ...limits } })
      return house.player
    },
    async up(limits: Partial<MpdLimits> = {}) {
      const player = house.start(limits)
      await house.fake.until(() => player.up)
      return player
    },
    async pass(ms: number) {
      passed += ms
      await new Promise((resolve) => setTimeout(resolve, 60))
    },
  } as House
  beforeEach(async () => {
    house.fake = await startFakeMpd()
  })
  afterEach(async () => {
    await house.player?.close()
    await house.fake.close()
  })
  return house
}
