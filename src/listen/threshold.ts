import type { FastifyRequest } from 'fastify'
import type { User } from '../call/call.ts'
import { Fault } from '../call/fault.ts'
import type { Gate } from '../gate/gate.ts'
import { identify, type SignInDeps } from './signin.ts'

/** The player in a path as it is written, whether there is one of that name or not; undefined for what is of no player. */
export function playerIn(path: string): string | undefined {
  return /^\/players\/([^/]*)/.exec(path)?.[1]
}

export interface ThresholdDeps extends SignInDeps {
  readonly gate: Pick<Gate, 'capabilitiesOf'>
  /** All of them, by name. */
  readonly players: ReadonlyMap<string, unknown>
  /** Whether anybody may hand this player over to themselves now. */
  isPairing?(player: string): boolean
}

/**
 * Who may know of a player that there is one: whoever may do anything there. For others it is as if there were none, and
 * who has not signed in learns nothing of any name.
 *
 * @param player the one that is asked for, be it there or not
 * @returns what to answer in place of any other refusal: where a stranger may knock, and hears nothing by it
 * @throws Fault `unauthenticated`, or `unknown-operation` as for a path where nothing is
 */
export async function cross(deps: ThresholdDeps, request: FastifyRequest, player: string): Promise<Fault | undefined> {
  const path = pathOf(request)
  const isNamed = playerIn(path) !== undefined
  const isKnock = request.method === 'POST' && request.routeOptions.config.knock === true
  if (isKnock && deps.isPairing?.(player)) return undefined
  const found = await identify(deps, request).catch((error: unknown) => {
    if (isNamed) throw error
  })
  const by = found?.kind === 'user' ? found : undefined
  // At the root there is no name to be learnt, and a route may have something for strangers.
  if (!isNamed && (!by || hasNothing(deps.gate, by, deps.players.keys()))) return undefined
  if (by && deps.gate.capabilitiesOf(by, player).length > 0) return undefined
  const fault = by ? nothing() : new Fault('unauthenticated', 'sign in first')
  if (isKnock) return fault
  if (by) report(request, by)
  throw fault
}

/** Whether somebody may do nothing at any of these: who asks at the root is told so, and learns of no room by it. */
export function hasNothing(gate: ThresholdDeps['gate'], by: User, players: Iterable<string>): boolean {
  return Iterator.from(players).every((player) => gate.capabilitiesOf(by, player).length === 0)
}

/** Whoever tries the doors of others is on record, and rings the same alarms, though they hear nothing of it. */
function report(request: FastifyRequest, by: User): void {
  request.user = by
  try {
    request.routeOptions.config.trespass?.(request)
  } catch {
    // It was refused, as it must be.
  }
}

export function nothing(): Fault {
  return new Fault('unknown-operation', 'nothing here')
}

export function pathOf({ raw }: FastifyRequest): string {
  return (raw.url ?? '').split('?', 1)[0] ?? ''
}

/** Somebody looks at a page with a browser, and can be shown where to sign in. */
export function isNavigation({ method, headers }: FastifyRequest): boolean {
  const {
    accept = '',
    authorization,
    'sec-fetch-mode': mode = 'navigate',
    'sec-fetch-dest': dest = 'document',
  } = headers
  const isPage = mode === 'navigate' && dest === 'document' && accept.includes('text/html')
  return method === 'GET' && authorization === undefined && isPage
}

export function isUnknown(error: unknown): boolean {
  return error instanceof Fault && (error.code === 'unauthenticated' || error.code === 'bad-credentials')
}
