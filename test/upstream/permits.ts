import { createCall, type Request } from '../../src/call/call.ts'
import type { Catalog } from '../../src/call/catalog.ts'
import { decide, type Permit } from '../../src/policy/decide.ts'
import { compile } from '../../src/policy/policy.ts'
import { goLibrespot } from '../../src/protocol/librespot/go.ts'
import { librespotJava } from '../../src/protocol/librespot/java.ts'
import { zeroconf, zeroconfOpen } from '../../src/protocol/librespot/zeroconf.ts'
import { decodeRest } from '../../src/protocol/rest/decode.ts'
import { userNamed } from './fake.ts'

const owner = compile({ owner: { grants: [{ allow: ['*'] }] } })

/** The permit an owner would get for this request. */
export function permitOf(request: Request, person = 'ada'): Permit {
  const origin = { id: 'r1', by: userNamed(person), door: 'http', player: 'home', at: 0 } as const
  const decision = decide(owner, createCall(origin, request))
  if (!decision.allowed) throw new Error(`${request.operation.name}: ${decision.denial.reason}`)
  return decision.permit
}

const permits = (catalog: Catalog) => {
  const read = (line: string, body?: unknown): Request => {
    const [method = '', path = ''] = line.split(' ')
    return decodeRest(catalog, { method, path, body })
  }
  return { read, permit: (line: string, body?: unknown, person?: string) => permitOf(read(line, body), person) }
}

export const go = permits(goLibrespot)
export const java = permits(librespotJava)
export const pairing = { closed: permits(zeroconf), open: permits(zeroconfOpen) }
