import { type Call, createCall, type Door, type Origin, type Principal } from '../call/call.ts'
import { Fault } from '../call/fault.ts'
import type { Gate } from '../gate/gate.ts'
import { decode, type Id, idOf } from '../protocol/jsonrpc/decode.ts'
import { rpcError } from '../protocol/jsonrpc/error.ts'
import { messageLimits, parseMessage } from '../protocol/jsonrpc/message.ts'
import { mopidy } from '../protocol/mopidy/catalog.ts'
import { describe } from '../protocol/mopidy/describe.ts'
import { withoutEntries } from '../protocol/mopidy/entry.ts'
import { showVolume } from '../protocol/mopidy/volume.ts'
import { type RpcPlayer, UpstreamError } from '../upstream/player.ts'
import { createBuckets } from './bucket.ts'
import { type Inquiry, straight } from './inquiry.ts'

/** Who sent a message. `by` is asked before each call of it, so that a revocation reaches the middle of a batch. */
export interface Caller {
  /** Names the message in answers, log and audit. */
  readonly id: string
  readonly door: Door
  by(): Principal
}

/**
 * The JSON text that answers one message, a batch or a single request; undefined when it held notifications only.
 *
 * @throws Fault for what is no message at all: `unparsable`, `malformed`, `too-large`
 */
export type Answer = (message: Uint8Array | string, caller: Caller) => Promise<string | undefined>

export interface RpcDeps {
  readonly gate: Gate
  /** The player's name, as policy knows it. */
  readonly player: string
  readonly rpc: RpcPlayer
  readonly inquiry?: Inquiry
  now(): number
  /** Hears of what we did not foresee. */
  onInternal?(fault: Fault, requestId: string): void
}

const maxBatch = 50
/** Characters of a batch's answers after which no more of it is asked: they are all in memory until the last is there. */
const fullBatch = 4 * 1024 * 1024

/** Pieces of 256 bytes that one person may send, over both doors: reading them is work, whatever they hold. */
const pieces = { count: 8_192, ms: 8_000 }

/** JSON-RPC 2.0 as both doors serve it. Knows no socket. */
export function createAnswer(deps: RpcDeps): Answer {
  const takePieces = createBuckets(pieces)
  return async (bytes, caller) => {
    const size = Math.floor(bytes.length / 256)
    if (size > 0 && bytes.length <= messageLimits.bytes) {
      const by = caller.by()
      const mayGo = takePieces(by.kind === 'user' ? by.id : by.from, deps.now(), size)
      if (!mayGo) throw new Fault('limited', 'too many long messages', { retryAfter: 1 })
    }
    const message = parseMessage(bytes)
    if (!Array.isArray(message)) return answerOne(deps, message, caller)
    if (message.length === 0) return JSON.stringify(rpcError(new Fault('malformed', 'an empty batch'), null, caller.id))
    if (message.length > maxBatch) throw new Fault('too-large', `a batch holds at most ${maxBatch} requests`)
    const answers: string[] = []
    let length = 0
    for (const item of message) {
      const answer = length < fullBatch ? await answerOne(deps, item, caller) : leftOut(deps, item, caller)
      if (answer === undefined) continue
      answers.push(answer)
      length += answer.length
    }
    return answers.length === 0 ? undefined : `[${answers.join()}]`
  }
}

/** One request. It is admitted just before it is sent: a batch is like so many calls. */
async function answerOne(deps: RpcDeps, message: unknown, caller: Caller): Promise<string | undefined> {
  const id = idOf(message)
  try {
    const result = await perform(deps, message, caller)
    return id === undefined ? undefined : JSON.stringify({ jsonrpc: '2.0', id, result: result ?? null })
  } catch (error) {
    return stringify(errorAnswer(deps, error, id, caller.id))
  }
}

function leftOut(deps: RpcDeps, message: unknown, { id }: Caller): string | undefined {
  return stringify(errorAnswer(deps, new Fault('too-large', 'the answers before it fill the batch'), idOf(message), id))
}

async function perform(deps: RpcDeps, message: unknown, caller: Caller): Promise<unknown> {
  const { gate, player, rpc, now, inquiry = straight } = deps
  const request = decode(mopidy, message)
  const origin = (): Origin => ({ id: caller.id, by: caller.by(), door: caller.door, player, at: now() })
  const go = async ([call]: readonly Call[]) => {
    const permit = gate.admit(call as Call)
    const { by } = permit.call
    if (request.operation.name === 'core.describe') return describe((row) => gate.mayCall(by, player, row))
    const result = await rpc.send(permit)
    return request.operation.shows === 'volume' ? showVolume(result, gate.volumeScale(by, player, now())) : result
  }
  return inquiry.pass(origin, [createCall(origin(), request)], go, withoutEntries)
}

/** JSON-RPC 2.0 §4.1, §5: a notification hears nothing, except that it was no request at all. */
function errorAnswer(deps: RpcDeps, error: unknown, id: Id | undefined, requestId: string): unknown {
  if (error instanceof UpstreamError) {
    const { code, message, data } = error
    return id === undefined ? undefined : { jsonrpc: '2.0', id, error: { code, message, ...(data && { data }) } }
  }
  const fault = Fault.from(error)
  if (fault.code === 'internal') deps.onInternal?.(fault, requestId)
  return id === undefined && fault.code !== 'malformed' ? undefined : rpcError(fault, id ?? null, requestId)
}

function stringify(answer: unknown): string | undefined {
  return answer === undefined ? undefined : JSON.stringify(answer)
}
