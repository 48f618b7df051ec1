import type { FastifyReply, FastifyRequest } from 'fastify'
import { createCall, type Origin, type Request } from '../call/call.ts'
import type { Gate } from '../gate/gate.ts'
import { pairingLimits, zeroconf, zeroconfOpen } from '../protocol/librespot/zeroconf.ts'
import { decodeRest } from '../protocol/rest/decode.ts'
import type { RestPlayer } from '../upstream/player.ts'
import { checkOrigin } from './hosts.ts'
import type { App } from './http.ts'
import { HttpFault } from './problem.ts'
import { answer, bodyOf, checkBody, outcome, rowOf } from './rest.ts'
import { currently, identify, type SignInDeps, signIn } from './signin.ts'
import { createUnread } from './unread.ts'

/** The windows in which somebody unknown may hand a player over to themselves. */
export interface Pairing {
  isOpen(player: string): boolean
  /** Closes the window; false when there was none. */
  take(player: string): boolean
}

export interface ZeroconfDeps extends SignInDeps {
  readonly gate: Pick<Gate, 'admit'>
  /** The players that are paired by zeroconf, by name. */
  readonly players: ReadonlyMap<string, Pick<RestPlayer, 'send'>>
  readonly pairing: Pairing
  now(): number
}

/** Serves `/players/NAME/` as the door by which Spotify's apps find a player and are let in while its owner says so. */
export function zeroconfRoutes(app: App, deps: ZeroconfDeps): void {
  const { gate, hosts, pairing, now } = deps
  const unread = createUnread()
  for (const [name, player] of deps.players) {
    const prefix = `/players/${name}`
    const target = ({ raw }: FastifyRequest) => (raw.url ?? '').slice(prefix.length)

    async function judge(request: FastifyRequest, reply: FastifyReply): Promise<void> {
      const operation = rowOf(zeroconfOpen, request, target(request), reply)
      checkBody(request.raw, operation)
      if (request.method === 'GET') {
        request.user = await signIn(deps, request)
        return
      }
      // Whoever comes need not be known, so that a page could make any browser come.
      checkOrigin(hosts, request.raw, false)
      const by = await identify(deps, request)
      if (by.kind === 'user') request.user = by
      // An app sends a form and nothing else.
      if (request.headers['content-type']?.startsWith('application/json')) {
        throw new HttpFault(415, 'malformed', 'the body must be application/x-www-form-urlencoded')
      }
    }

    /** What is asked, by the catalog that holds at this moment. A window is closed by the first who asks well. */
    function read(request: FastifyRequest): Request {
      const { method } = request
      const given = { method, path: target(request), body: bodyOf(request, pairingLimits) }
      const asked = decodeRest(zeroconfOpen, given)
      const isOpen = method === 'GET' ? pairing.isOpen(name) : pairing.take(name)
      return isOpen ? asked : decodeRest(zeroconf, given)
    }

    app.route({
      method: app.supportedMethods,
      url: `${prefix}/`,
      exposeHeadRoute: false,
      config: { raw: true, player: name, knock: true },
      bodyLimit: pairingLimits.bytes,
      preParsing: judge,
      async handler(request, reply) {
        const asked = read(request)
        const origin: Origin = { id: request.id, by: currently(deps, request), door: 'http', player: name, at: now() }
        return answer(reply, request, await outcome(player.send(gate.admit(createCall(origin, asked)))), unread)
      },
    })
  }
}
