import type { Duplex } from 'node:stream'
import { type Call, createCall, type Origin, type Principal, type User } from '../../call/call.ts'
import { Fault } from '../../call/fault.ts'
import { isStream } from '../../call/uri.ts'
import { type Gate, Refusal } from '../../gate/gate.ts'
import type { Identity } from '../../identity/identity.ts'
import { ack } from '../../protocol/mpd/ack.ts'
import { mpd } from '../../protocol/mpd/catalog.ts'
import { commandOf, encode, type MpdRequest } from '../../protocol/mpd/decode.ts'
import { subsystems } from '../../protocol/mpd/events.ts'
import { createSession, type Step } from '../../protocol/mpd/session.ts'
import type { MpdConnection, MpdPlayer } from '../../upstream/player.ts'
import { announce, isLocal, isSetting, type Local, usable } from './local.ts'

export const mpdClientDefaults = {
  /** From connecting to signing in. */
  signInMs: 10_000,
  /** Without a whole command, unless idle. MPD has the same. */
  silenceMs: 60_000,
  /** How long a client may leave its answers unread. */
  unreadMs: 30_000,
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
  readonly newId: () => string
  readonly limits: Readonly<typeof mpdClientDefaults>
  /** Whether a stranger from there may say one thing more. */
  readonly knock: () => boolean
  readonly onSignIn: () => void
}

export interface MpdClient {
  /** Ends the connection when its time is over or its person is no longer welcome. */
  check(): void
}

type Permit = ReturnType<Gate['admit']>

/** Commands of one connection between two looks at all the others. */
const inOneGo = 32

interface Idle {
  readonly permit: Permit
  readonly wanted: readonly string[]
  /** Kept when the client said `noidle`. */
  readonly left: Promise<void>
  leave(): void
  isLeft: boolean
  link?: MpdConnection
  done?: Promise<void>
}

/**
 * One client: what it sends is acted upon strictly in order, one step at a time.
 *
 * Its private connection to the player is opened by the first command that needs it and opened anew when it broke.
 */
export function serveMpd(socket: Duplex, from: string, deps: MpdClientDeps): MpdClient {
  const { gate, identity, players, now, limits } = deps
  // Before sign-in a list would only take memory.
  const session = createSession({ mayList: () => by.kind === 'user' })
  const openedAt = now()
  const settings = new Map<string, Permit>()
  let by: Principal = { kind: 'anonymous', from }
  let player = [...players.keys()][0] ?? ''
  let link: MpdConnection | undefined
  /** The connection to the player was replaced: what changed in between was seen by nobody. */
  let missed = false
  let idle: Idle | undefined
  let state: 'open' | 'parting' | 'gone' = 'open'
  let busy = false
  let wrong = 0
  let heardAt = openedAt
  let partingAt = 0
  let unreadSince: number | undefined
  let drained: Promise<void> | undefined
  let release = () => {}

  function destroy(): void {
    if (state === 'gone') return
    state = 'gone'
    link?.close()
    socket.destroy()
    release()
  }

  /** Ends after what was written has gone out. What the client still sends is read and thrown away: a reset could outrun our last word. */
  function part(text = ''): void {
    if (state !== 'open') return
    state = 'parting'
    partingAt = now()
    link?.close()
    socket.end(text)
    socket.resume()
    release()
  }

  function write(bytes: Uint8Array | string): void | Promise<void> {
    if (state !== 'open' || bytes.length === 0 || socket.write(bytes)) return
    unreadSince ??= now()
    drained ??= new Promise((resolve) => {
      release = () => {
        drained = undefined
        unreadSince = undefined
        resolve()
      }
    })
    return drained
  }

  function refuse(fault: Fault, command: string, index = 0): void | Promise<void> {
    return write(ack(fault, command, index))
  }

  function origin(at = player): Origin {
    return { id: deps.newId(), by, door: 'mpd', player: at, at: now() }
  }

  async function pump(): Promise<void> {
    if (busy) return
    busy = true
    let done = 0
    try {
      while (state === 'open') {
        const step = session.next()
        if (step === undefined) break
        await perform(step)
        heardAt = now()
        done += step.kind === 'list' ? step.requests.length : 1
        // Who sends thousands at once takes turns with everybody else.
        if (done < inOneGo) continue
        done = 0
        await new Promise((turn) => setImmediate(turn))
      }
    } catch {
      destroy() // A defect of ours: better gone than out of step.
    }
    busy = false
    if (state === 'open') socket.resume()
  }

  async function perform(step: Step): Promise<void> {
    // Each command leaves a record: whoever has no account may not bury those of others.
    if (by.kind === 'anonymous' && !deps.knock()) return part()
    switch (step.kind) {
      case 'command':
        return obey(step.request)
      case 'list':
        return obeyAll(step.requests, step.ok)
      case 'idle':
        return rest(step.request)
      case 'noidle':
        idle?.leave()
        return idle?.done
      case 'fault':
        return object(step)
      case 'end':
        return part()
    }
  }

  /** A command that could not be read. A stranger hears no more than that it is not for strangers. */
  async function object({ fault, command, index, close }: Extract<Step, { kind: 'fault' }>): Promise<void> {
    if (close) return part(ack(fault, command, index))
    const isOpen = mpd[command as keyof typeof mpd]?.capability === 'anyone'
    await refuse(by.kind === 'user' || isOpen ? fault : new Fault('unauthenticated', 'sign in first'), command, index)
  }

  async function obey(request: MpdRequest): Promise<void> {
    const { name } = request.operation
    const target = name === 'partition' ? String(request.args.name) : player
    try {
      const permit = gate.admit(createCall(origin(players.has(target) ? target : player), request))
      await (isLocal(name) ? answers[name](permit) : forward([permit], 'single'))
    } catch (error) {
      await refuse(Fault.from(error), commandOf(request.operation))
    }
  }

  async function obeyAll(requests: readonly MpdRequest[], ok: boolean): Promise<void> {
    const calls: Call[] = []
    try {
      let streams = 0
      for (const request of requests) {
        const call = createCall(origin(), request)
        const most = call.operation.bounds.streams
        streams += most === undefined ? 0 : (call.touches.uri ?? []).filter(isStream).length
        // A list keeps the player from everybody for as long as all its calls together.
        if (most !== undefined && streams > most) {
          throw new Fault('bad-arguments', `a list takes at most ${most} network address`)
        }
        calls.push(call)
      }
      const permits = gate.admitAll(calls)
      await (permits.length > 0 ? forward(permits, ok ? 'ok-list' : 'list') : write('OK\n'))
    } catch (error) {
      const fault = error instanceof Refusal ? error.fault : Fault.from(error)
      // The first that is no call; or the player is at fault, and then for all of them.
      const index = error instanceof Refusal ? error.index : calls.length % requests.length
      const operation = requests[index]?.operation
      await refuse(fault, operation ? commandOf(operation) : '', index)
    }
  }

  const answers: { readonly [L in Local]: (permit: Permit) => void | Promise<void> } = {
    ping: (permit) => (link?.alive ? forward([permit], 'single') : write('OK\n')),
    close: () => part(),
    password: (permit) => signIn(String(permit.call.args.password)),
    commands: () => write(list('command', announce(gate, by, player, players.get(player)?.offers).commands)),
    notcommands: () => write(list('command', announce(gate, by, player, players.get(player)?.offers).notcommands)),
    listpartitions: () => write(list('partition', usable(gate, by, players.keys()))),
    partition({ call }) {
      // One that this person may not use is as good as none.
      const name = usable(gate, by, players.keys()).find((one) => one === call.args.name)
      if (name === undefined) throw new Fault('bad-arguments', 'no such partition')
      if (name !== player) link?.close()
      player = name
      return write('OK\n')
    },
  }

  async function signIn(password: string): Promise<void> {
    try {
      const found = await identity.identify({ kind: 'mpd', password }, from)
      if (found.kind !== 'user') throw new Fault('bad-credentials', 'nobody')
      welcome(found)
      await write('OK\n')
    } catch (error) {
      const fault = Fault.from(error)
      if (fault.code !== 'bad-credentials') throw fault
      wrong++
      const text = ack(new Fault('bad-credentials', 'incorrect password'), 'password')
      await (wrong < limits.wrongPasswords ? write(text) : part(text))
    }
  }

  function welcome(user: User): void {
    // A connection to the player is never shared, not even in turn.
    if (by.kind === 'user' && by.id !== user.id) link?.close()
    by = user
    const mine = usable(gate, by, players.keys())
    if (!mine.includes(player)) {
      link?.close()
      player = mine[0] ?? player
    }
    deps.onSignIn()
  }

  async function forward(permits: readonly Permit[], framing: 'single' | 'list' | 'ok-list'): Promise<void> {
    const own = permits.filter(({ call }) => isSetting(call.operation))
    if (settings.size + own.length > limits.settings) throw new Fault('limited', 'too many settings for a connection')
    const target = await reach()
    let begun = false
    try {
      const done = await target.send(permits, framing, (bytes) => {
        begun = true
        return write(bytes)
      })
      for (const permit of permits.slice(0, done)) remember(permit)
    } catch (error) {
      if (!begun) throw error
      part() // Half an answer is out: whatever we said now would be taken for the rest of it.
    }
  }

  function remember(permit: Permit): void {
    if (!isSetting(permit.call.operation)) return
    const text = encode(permit.call)
    // The latest of equals decides, as each only sets what it names.
    settings.delete(text)
    settings.set(text, permit)
  }

  /** The connection to the player, new if need be. @throws Fault */
  async function reach(): Promise<MpdConnection> {
    if (link?.alive) return link
    const upstream = players.get(player)
    if (by.kind !== 'user' || !upstream) throw new Fault('internal', 'nobody to connect for')
    const fresh = await upstream.open({ id: by.id, reserve: gate.may(by, player, 'server.admin') })
    missed ||= link !== undefined
    link = fresh
    if (state !== 'open') fresh.close()
    for (const permit of settings.values()) {
      if (gate.may(by, player, permit.call.capability)) await fresh.send([permit], 'single', () => {})
    }
    return fresh
  }

  /** Begins to idle. What the client sends now can only be `noidle`, so the steps go on. */
  async function rest({ operation, args }: MpdRequest): Promise<void> {
    const named = args.subsystems as readonly string[] | undefined
    const wanted = named && named.length > 0 ? named : [...subsystems.keys()]
    try {
      const permit = gate.admit(createCall(origin(), { operation, args: { subsystems: visible(wanted) } }))
      const { promise: left, resolve: leave } = Promise.withResolvers<void>()
      const resting: Idle = {
        permit,
        wanted,
        left,
        isLeft: false,
        leave() {
          resting.isLeft = true
          resting.link?.noidle()
          leave()
        },
      }
      idle = resting
      resting.done = sleep(resting)
    } catch (error) {
      session.wake()
      await refuse(Fault.from(error), 'idle')
    }
  }

  function visible(names: readonly string[]): readonly string[] {
    return names.filter((name) => {
      const capability = subsystems.get(name)
      return capability !== undefined && gate.may(by, player, capability)
    })
  }

  async function sleep(resting: Idle): Promise<void> {
    let answer: string
    try {
      answer = `${(await changes(resting)).map((name) => `changed: ${name}\n`).join('')}OK\n`
    } catch (error) {
      answer = ack(Fault.from(error), 'idle')
    }
    idle = undefined
    // Awake before the answer is out, for the client may speak at once.
    session.wake()
    await write(answer)
    heardAt = now()
    void pump()
  }

  /** What changed, of what this person may know. @throws Fault */
  async function changes(resting: Idle): Promise<readonly string[]> {
    if (visible(resting.wanted).length === 0) {
      await resting.left
      return []
    }
    const target = await reach()
    resting.link = target
    while (!resting.isLeft && !missed) {
      let text = ''
      await target.send([resting.permit], 'single', (bytes) => {
        text += Buffer.from(bytes).toString()
      })
      if (text.startsWith('ACK')) throw new Fault('player-unreachable', 'the player does not idle')
      const changed = [...text.matchAll(/^changed: (\w+)$/gm)].map(([, name = '']) => name)
      const seen = visible(changed)
      // Roles change while people idle: what is only for others wakes nobody.
      if (seen.length > 0 || changed.length === 0) return seen
    }
    const all = missed ? visible(resting.wanted) : []
    missed = false
    return all
  }

  socket.on('data', (chunk: Uint8Array) => {
    if (state !== 'open') return
    session.push(chunk)
    if (busy && session.pendingBytes > limits.aheadBytes) socket.pause()
    void pump()
  })
  socket.on('drain', () => release())
  // As MPD does: who has nothing more to say is gone.
  socket.on('end', destroy)
  socket.on('error', destroy)
  socket.on('close', destroy)
  void write(`OK MPD ${players.get(player)?.version ?? '0.19.0'}\n`)

  return {
    check() {
      const time = now()
      if (state === 'parting' && time - partingAt > limits.partingMs) return destroy()
      if (unreadSince !== undefined && time - unreadSince > limits.unreadMs) return destroy()
      if (state !== 'open') return
      if (by.kind === 'anonymous') {
        if (time - openedAt > limits.signInMs) part()
        return
      }
      const renewed = identity.renew(by)
      if (!renewed) return part()
      by = renewed
      if (!busy && !idle && time - heardAt > limits.silenceMs) part()
    },
  }
}

function list(key: string, names: readonly string[]): string {
  return `${names.map((name) => `${key}: ${name}\n`).join('')}OK\n`
}
