import { personOf } from '../call/call.ts'
import { Fault } from '../call/fault.ts'
import { isPermit, type Permit } from '../policy/decide.ts'
import { encodeRest } from '../protocol/rest/encode.ts'
import { clean } from '../protocol/rest/text.ts'
import { rebuildWebAnswer } from '../protocol/web/answers.ts'
import { type Answer, createExchange, parseAnswer } from './exchange.ts'
import { createLane, type LaneEntry } from './lane.ts'
import { UpstreamError } from './player.ts'

const defaults = {
  connectMs: 2_000,
  /** From `send` to the answer, waiting included; what is at the player then keeps its place until it gives up. */
  callMs: 15_000,
  holdMs: 20_000,
  questionBytes: 256 * 1024,
  answerBytes: 4 * 1024 * 1024,
  // Mopidy is at one thing at a time, and these are done by whoever serves everybody else.
  lane: { running: 4, runningEach: 2, costly: 2, waiting: 128, waitingEach: 32, costlyEach: 8 },
}
export type ExtensionLimits = Readonly<typeof defaults>

/** What Mopidy's extensions do when their own paths are asked for. */
export interface Extensions {
  /**
   * The answer, rebuilt from what its row says it may hold; undefined when there is none. A text is an answer in words.
   *
   * @param fields of the header, which tell the extension whose call it is
   * @throws UpstreamError when the extension refused; its code is the status of HTTP
   * @throws Fault `player-unreachable`, `player-timeout` or `limited`; what was sent is never sent again
   */
  send(permit: Permit, fields: Readonly<Record<string, string>>): Promise<unknown>
  close(): Promise<void>
}

interface Turn extends LaneEntry {
  start(): void
}

/** @param url the address of the player's web server, such as `http://127.0.0.1:6680` */
export function createExtensions({
  url,
  limits: given,
}: {
  url: string
  limits?: Partial<ExtensionLimits>
}): Extensions {
  const limits = { ...defaults, ...given }
  const exchange = createExchange(new URL(url), { ...limits, running: limits.lane.running })
  const lane = createLane<Turn>(limits.lane, (turn) => turn.start())
  let isClosed = false
  lane.open()

  return {
    async send(permit, fields) {
      if (!isPermit(permit)) throw new Fault('internal', 'only a permit can be sent')
      if (isClosed) throw new Fault('player-unreachable', 'the gateway is shutting down')
      const { call } = permit
      const question = encodeRest(call)
      return new Promise((resolve, reject) => {
        const turn: Turn = {
          person: personOf(call.by),
          costly: call.operation.bounds.costly === true,
          changes: !call.capability.endsWith('.read'),
          start() {
            // Given up on while it waited: nobody expects it to be done any more.
            if (isLate) return lane.leave(turn)
            exchange
              .ask(question, fields)
              .then((answer) => read(permit, answer))
              .then(resolve, reject)
              .finally(() => {
                clearTimeout(deadline)
                lane.leave(turn)
              })
          },
        }
        let isLate = false
        const deadline = setTimeout(() => {
          isLate = true
          lane.withdraw(turn)
          reject(new Fault('player-timeout', 'the player did not answer in time'))
        }, limits.callMs)
        if (lane.enter(turn)) return
        clearTimeout(deadline)
        reject(new Fault('limited', 'too many calls are waiting for the player', { retryAfter: 1 }))
      })
    },
    async close() {
      if (isClosed) return
      isClosed = true
      lane.reset()
      await exchange.close()
    },
  }
}

function read({ call: { operation } }: Permit, { status, type, text }: Answer): unknown {
  const speaks = type.startsWith('text/')
  if (status === 200) return rebuildWebAnswer(operation, text === '' ? undefined : speaks ? text : parseAnswer(text))
  if (status === 204) return undefined
  if (status < 400 || status > 499) throw new Fault('player-unreachable', 'the player failed at this')
  if (status === 401 || status === 403) throw new Fault('player-unreachable', 'the player does not let the gateway in')
  // Words are meant for people; a page of the web server's own, or a structure, is not.
  const words = speaks && !text.includes('<') ? clean(text, 200).trim() : ''
  throw new UpstreamError({ code: status, message: words || 'the player does not take this', data: undefined })
}
