import type { Duplex } from 'node:stream'
import { type Call, createCall, type Origin, type User } from '../../call/call.ts'
import { Fault } from '../../call/fault.ts'
import { addsToQueue, changesQueue } from '../../call/queue.ts'
import { type Gate, Refusal } from '../../gate/gate.ts'
import type { Credential, Identity } from '../../identity/identity.ts'
import { ack } from '../../protocol/mpd/ack.ts'
import { mpd } from '../../protocol/mpd/catalog.ts'
import { commandOf, type MpdRequest } from '../../protocol/mpd/decode.ts'
import { createSession, type Step } from '../../protocol/mpd/session.ts'
import type { Framing } from '../../protocol/mpd/view.ts'
import type { MpdPlayer } from '../../upstream/player.ts'
import { type Inquiry, straight } from '../inquiry.ts'
import { createIdle } from './idle.ts'
import { readList } from './list.ts'
import { createAnswers, isLocal, list } from './local.ts'
import { createOutlet } from './outlet.ts'
import { createPresence } from './presence.ts'
import { relay } from './relay.ts'

export const mpdClientDefaults = {
  /** From connecting to signing in. */
  signInMs: 10_000,
  /** Without a whole command, unless idle. MPD has the same. */
  silenceMs: 60_000,
  /** How long a client may leave its answers unread. */
  unreadMs: 30_000,
  /** The same while others may wait until it is done. Shorter than a turn, or nobody could tell whose what it added is. */
  unreadTurnMs: 5_000,
  /** From our last word to the end of the connection. */
  partingMs: 1_000,
  wrongPasswords: 3,
  /** Bytes waiting while a command is on its way. */
  aheadBytes: 16 * 1024,
  /** Settings of the connection, such as `tagtypes`. */
  settings: 64,
}

export interface MpdClientDeps {
  readonly gate: Gate
  readonly identity: Pick<Identity, 'identify' | 'renew'>
  /** The first is the default. */
  readonly players: ReadonlyMap<string, MpdPlayer>
  readonly now: () => number
  readonly log: { warn(about: object, text: string): void }
  readonly inquiry?: Inquiry
  readonly limits: Readonly<typeof mpdClientDefaults>
}

/** How a client came to the door. */
export interface Arrival {
  /** Its address, without the port. */
  readonly from: string
  /** Begins the ids of its requests; no other connection has the same. */
  readonly id: string
  /** It came without TLS: only device tokens count, and none of them for more than these roles. */
  readonly ceiling?: readonly string[] | undefined
  /** SHA-256 of the certificate that it proved to hold the key of: 64 hex digits in lower case. */
  readonly fingerprint?: string | undefined
  /** Whether a stranger from there may say one thing more. */
  knock(): boolean
  onSignIn(user: User): void
}

export interface MpdClient {
  /** Ends the connection when its time is over or its person is no longer welcome. */
  check(): void
}

type Permit = ReturnType<Gate['admit']>

/** Commands of one connection between two looks at all the others. */
const inOneGo = 32

/** One client: what it sends is acted upon strictly in order, one step at a time. */
export function serveMpd(socket: Duplex, arrival: Arrival, deps: MpdClientDeps): MpdClient {
  const { gate, identity, players, now, limits, inquiry = straight } = deps
  const { from, ceiling } = arrival
  const openedAt = now()
  // Before sign-in a list would only take memory.
  const session = createSession({ mayList: () => presence.by.kind === 'user' })
  const outlet = createOutlet(socket, now)
  const idle = createIdle({ maySee: (subsystem) => presence.maySee(subsystem), tell: awake })
  const presence = createPresence({ gate, players, from, ceiling, onChange: idle.mark, onLeave: idle.forget })
  const answers = createAnswers({ gate, presence, players, write, part: () => part(), signIn: signInBy })
  let state: 'open' | 'parting' | 'gone' = 'open'
  let busy = false
  let isWaitedFor = false
  let wrong = 0
  let asked = 0
  let heardAt = openedAt
  let partingAt = 0

  function destroy(): void {
    if (state === 'gone') return
    state = 'gone'
    presence.close()
    socket.destroy()
    outlet.close()
  }

  /** Ends after what was written has gone out. What the client still sends is read and thrown away: a reset could outrun our last word. */
  function part(text = ''): void {
    if (state !== 'open') return
    state = 'parting'
    partingAt = now()
    presence.close()
    socket.end(text)
    socket.resume()
    outlet.close()
  }

  function write(bytes: Uint8Array | string): void | Promise<void> {
    if (state === 'open') return outlet.write(bytes)
  }

  function refuse(error: unknown, command: string, index = 0): void | Promise<void> {
    return write(ack(Fault.from(error), command, index))
  }

  function origin(player = presence.player): Origin {
    return { id: `${arrival.id}-${++asked}`, by: presence.by, door: 'mpd', player, at: now() }
  }

  async function pump(): Promise<void> {
    if (busy) return
    busy = true
    let done = 0
    socket.cork() // What can be answered at once goes out together.
    try {
      for (let step = session.next(); step && state === 'open'; step = session.next()) {
        const doing = perform(step)
        done += step.kind === 'list' ? step.requests.length : 1
        if (doing || done >= inOneGo) {
          socket.uncork()
          await doing
          // Who sends thousands at once takes turns with everybody else.
          if (done >= inOneGo) await new Promise((turn) => setImmediate(turn))
          if (done >= inOneGo) done = 0
          socket.cork()
        }
        heardAt = now()
      }
    } catch {
      destroy() // A defect of ours: better gone than out of step.
    }
    socket.uncork()
    busy = false
    if (state === 'open' && socket.isPaused()) socket.resume()
  }

  function perform(step: Step): void | Promise<void> {
    // Each command leaves a record: whoever has no account may not bury those of others.
    if (presence.by.kind === 'anonymous' && !arrival.knock()) return part()
    switch (step.kind) {
      case 'command':
        return obey(step.request)
      case 'list':
        return obeyAll(step.requests, step.ok)
      case 'idle':
        return rest(step.request)
      case 'noidle':
        idle.leave()
        session.wake()
        return write('OK\n')
      case 'fault':
        return object(step)
      case 'end':
        return part()
    }
  }

  /** A command that could not be read. A stranger hears no more than that it is not for strangers. */
  function object({ fault, command, index, close }: Extract<Step, { kind: 'fault' }>): void | Promise<void> {
    if (close) return part(ack(fault, command, index))
    const isOpen = mpd[command as keyof typeof mpd]?.capability === 'anyone'
    const isTold = presence.by.kind === 'user' || isOpen
    return refuse(isTold ? fault : new Fault('unauthenticated', 'sign in first'), command, index)
  }

  function obey(request: MpdRequest): void | Promise<void> {
    const { name } = request.operation
    const target = name === 'partition' ? String(request.args.name) : presence.player
    const from = () => origin(players.has(target) ? target : presence.player)
    return attempt([request], () => {
      const asked = [createCall(from(), request)]
      return toTheEnd(asked, (say) =>
        inquiry.pass(from, asked, ([call]) => {
          const permit = gate.admit(call as Call)
          return isLocal(name) ? answers[name](permit.call) : forward([permit], 'single', [request], say)
        }),
      )
    })
  }

  function obeyAll(requests: readonly MpdRequest[], ok: boolean): void | Promise<void> {
    if (requests.length === 0) return write('OK\n')
    const framing = ok ? 'ok-list' : 'list'
    return attempt(requests, () => {
      const asked = readList(origin, requests)
      return toTheEnd(asked, (say) =>
        inquiry.pass(origin, asked, (calls) => forward(gate.admitAll(calls), framing, requests, say)),
      )
    })
  }

  function toTheEnd(calls: readonly Call[], work: (say: typeof write) => void | Promise<void>): void | Promise<void> {
    if (!calls.some(takesTurn)) return work(write)
    return waitedFor(() => (calls.some(addsToQueue) ? add(work) : work(write)))
  }

  async function waitedFor(work: () => void | Promise<void>): Promise<void> {
    isWaitedFor = true
    try {
      await work()
    } finally {
      isWaitedFor = false
    }
  }

  /** What adds to the queue is done when it was seen what came of it: until then the end of the answer waits. */
  async function add(work: (say: typeof write) => void | Promise<void>): Promise<void> {
    let last: Uint8Array | string = ''
    await work((bytes) => {
      const before = last
      last = typeof bytes === 'string' ? bytes : bytes.slice()
      return before === '' ? undefined : write(before)
    })
    await write(last)
  }

  /** Does it, and says what was in the way. */
  function attempt(requests: readonly MpdRequest[], work: () => void | Promise<void>): void | Promise<void> {
    const object = (error: unknown) => {
      const { fault, index } = error instanceof Refusal ? error : { fault: error, index: 0 }
      const operation = requests[index]?.operation
      return refuse(fault, operation ? commandOf(operation) : '', index)
    }
    try {
      return work()?.catch(object)
    } catch (error) {
      return object(error)
    }
  }

  /** @throws Fault */
  async function signIn(credential: Credential): Promise<void> {
    const found = await identity.identify(credential, from)
    if (found.kind !== 'user') throw new Fault('bad-credentials', 'nobody')
    presence.signIn(found)
    if (state === 'open') arrival.onSignIn(found)
  }

  async function signInBy(password: string): Promise<void> {
    try {
      await signIn({ kind: 'mpd', password, ...(ceiling && { plain: true }) })
      await write('OK\n')
    } catch (error) {
      const fault = Fault.from(error)
      if (fault.code !== 'bad-credentials') return refuse(fault, 'password')
      wrong++
      const text = ack(new Fault('bad-credentials', 'incorrect password'), 'password')
      await (wrong < limits.wrongPasswords ? write(text) : part(text))
    }
  }

  /** @param requests as the client made them: what is sent may say it in other words */
  async function forward(
    permits: readonly Permit[],
    framing: Framing,
    requests: readonly MpdRequest[],
    say: typeof write,
  ): Promise<void> {
    const commands = requests.map(({ operation }) => commandOf(operation))
    try {
      const { settings } = limits
      const broken = await relay(permits, framing, { link: presence.reach(), gate, settings, commands, write: say })
      if (broken?.code === 'limited') tellUnread()
      // Half an answer is out: whatever we said now would be taken for the rest of it.
      if (broken) part()
    } catch (error) {
      await say(ack(Fault.from(error), commands[0] ?? ''))
    }
  }

  /** Begins to idle. What the client sends now can only be `noidle`, so the steps go on. */
  function rest(request: MpdRequest): void | Promise<void> {
    try {
      gate.admit(createCall(origin(), request))
    } catch (error) {
      session.wake()
      return refuse(error, 'idle')
    }
    idle.wait((request.args.subsystems ?? []) as readonly string[])
  }

  function awake(changed: readonly string[]): void {
    // Before the answer is out, for the client may speak at once.
    session.wake()
    heardAt = now()
    void write(list('changed', changed))
    void pump()
  }

  /** Who shows a certificate comes by it or not at all: the device believes that it is signed in. */
  async function begin(): Promise<void> {
    const { fingerprint } = arrival
    if (fingerprint !== undefined) {
      busy = true
      try {
        if (!arrival.knock()) return part()
        await signIn({ kind: 'certificate', fingerprint })
      } catch (error) {
        const fault = Fault.from(error)
        const isWrong = fault.code === 'bad-credentials'
        return part(ack(isWrong ? new Fault(fault.code, 'this certificate is not good, or no longer') : fault, ''))
      }
      busy = false
    }
    await write(`OK MPD ${players.get(presence.player)?.version ?? '0.19.0'}\n`)
    await pump()
  }

  socket.on('data', (chunk: Uint8Array) => {
    if (state !== 'open') return
    session.push(chunk)
    if (busy && session.pendingBytes > limits.aheadBytes) socket.pause()
    void pump()
  })
  socket.on('drain', outlet.drain)
  // As MPD does: who has nothing more to say is gone.
  socket.on('end', destroy)
  socket.on('error', destroy)
  socket.on('close', destroy)
  void begin()

  /** Who does not read holds memory here and a place at the player. */
  function tellUnread(): void {
    const { by, player } = presence
    const { id = null, name = null, session = null } = by.kind === 'user' ? by : {}
    deps.log.warn({ account: id, name, session, from, player }, 'a client did not read its answers and was sent away')
  }

  return {
    check() {
      const time = now()
      if (state === 'parting' && time - partingAt > limits.partingMs) return destroy()
      if (state !== 'open') return
      if (time - (outlet.fullSince ?? time) > (isWaitedFor ? limits.unreadTurnMs : limits.unreadMs)) {
        tellUnread()
        return destroy()
      }
      if (presence.by.kind === 'anonymous') {
        if (time - openedAt > limits.signInMs) part()
        return
      }
      if (!presence.renew((user) => identity.renew(user))) return part()
      if (busy) return
      presence.settle()
      if (!idle.waits && time - heardAt > limits.silenceMs) part()
    },
  }
}

/** Whether others may have to wait until it is done: where the volume stands, what is in the queue, what a playlist holds. */
function takesTurn(call: Call): boolean {
  const { capability, operation } = call
  return (
    changesQueue(call) || capability === 'volume.set' || capability === 'playlists.edit' || operation.needs === 'adds'
  )
}
