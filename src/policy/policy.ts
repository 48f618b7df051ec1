import Type, { type Static } from 'typebox'
import { type Capability, capabilities, capabilityNames } from '../call/capability.ts'
import { isAddition } from '../call/queue.ts'
import { machineZone } from './clock.ts'
import type { Setting } from './condition.ts'
import { type ConstraintName, constraints, When } from './constraint.ts'
import { createGuard } from './guard.ts'
import type { Condition, Grant, Policy, Rate, Role } from './role.ts'

const groups = [...new Set(capabilityNames.map((name) => `${name.split('.')[0]}.*`))]

const named = groups.map((group) => `Everything that begins with ${group.slice(0, -1)}`)
const CapabilityPattern = Type.Unsafe<string>({
  enum: ['*', ...groups, ...capabilityNames],
  enumDescriptions: ['Everything', ...named, ...Object.values(capabilities)],
})
const QuotaPattern = Type.Unsafe<string>({
  enum: [...groups, ...capabilityNames],
  enumDescriptions: [...named, ...Object.values(capabilities)],
})

const RateText = Type.String({
  pattern: '^[1-9][0-9]{0,5}/([1-9][0-9]{0,3})?[smhd]$',
  description: 'How many in how long, such as 300/1m or 20/15m; all of them may come at once',
})

const QuotaText = Type.String({
  pattern: '^[1-9][0-9]{0,3}/([1-9][0-9]{0,3})?[smhd]$',
  description: 'How many in how long, such as 6/1h or 20/15m; never more than that in any time so long',
})

export const GrantConfig = Type.Object(
  {
    allow: Type.Array(CapabilityPattern, {
      minItems: 1,
      description: 'Capabilities; `*` and `playback.*` are wildcards',
    }),
    on: Type.Optional(
      Type.Array(Type.String(), { minItems: 1, description: 'The players it is for; all when left out' }),
    ),
    when: Type.Optional(When),
  },
  { additionalProperties: false },
)

export const RoleConfig = Type.Object(
  {
    grants: Type.Array(GrantConfig, { description: 'Alternatives; the conditions of one grant bind together' }),
    rates: Type.Optional(
      Type.Unsafe<Readonly<Record<string, string>>>({
        type: 'object',
        description: 'Per person, all doors together; `*` counts every call',
        propertyNames: CapabilityPattern,
        additionalProperties: RateText,
      }),
    ),
    quotas: Type.Optional(
      Type.Unsafe<Readonly<Record<string, string>>>({
        type: 'object',
        description:
          'Never more than so many in any time so long: per person, all doors together, kept across restarts',
        propertyNames: QuotaPattern,
        additionalProperties: QuotaText,
      }),
    ),
    mode: Type.Optional(
      Type.Enum(['enforce', 'observe'], {
        description: 'observe: what the role would be refused is recorded, and goes all the same',
      }),
    ),
  },
  { additionalProperties: false },
)

export const RolesConfig = Type.Record(Type.String({ pattern: '^[a-z][a-z0-9-]*$' }), RoleConfig, {
  additionalProperties: false,
})
export type RolesConfig = Static<typeof RolesConfig>

/** @param within what the conditions are bound in; the zone of this machine when left out */
export function compile(roles: RolesConfig, within: Setting = { zone: machineZone() }): Policy {
  const compiled = new Map(Object.entries(roles).map(([role, config]) => [role, compileRole(role, config, within)]))
  const tracked = trackedBy([...compiled.values()])
  return { zone: within.zone, roles: compiled, ...(tracked && { tracked }) }
}

/** The players where it has to be known what comes of a call that adds to the queue; undefined for none. */
function trackedBy(roles: readonly Role[]): Policy['tracked'] {
  const grants = roles.flatMap((role) => role.grants)
  const tracking = grants.filter(({ conditions }) => conditions.some(({ tracks }) => tracks))
  const isCounted = roles.some(({ quotas }) => [...quotas.keys()].some(isAddition))
  if (isCounted || tracking.some(({ players }) => players === 'all')) return 'all'
  if (tracking.length === 0) return undefined
  return new Set(tracking.flatMap(({ players }) => [...players]))
}

function compileRole(role: string, config: Static<typeof RoleConfig>, within: Setting): Role {
  const path = `roles.${role}`
  return {
    grants: config.grants.map((grant, i) => compileGrant(role, `${path}.grants[${i}]`, grant, within)),
    rates: new Map(Object.entries(config.rates ?? {}).flatMap(([pattern, text]) => ratesOf(path, pattern, text))),
    quotas: new Map(Object.entries(config.quotas ?? {}).flatMap(([pattern, text]) => quotasOf(path, pattern, text))),
    isObserved: config.mode === 'observe',
  }
}

function ratesOf(path: string, pattern: string, text: string): [Capability | '*', Rate][] {
  const rate = parseRate(text, `${path}.rates.${pattern}`)
  return pattern === '*' ? [['*', rate]] : expand([pattern]).map((name) => [name, rate])
}

function quotasOf(path: string, pattern: string, text: string): [Capability, Rate][] {
  const quota = parseRate(text, `${path}.quotas.${pattern}`)
  return expand([pattern]).map((name) => [name, quota])
}

function compileGrant(
  role: string,
  rule: string,
  { allow, on, when }: Static<typeof GrantConfig>,
  within: Setting,
): Grant {
  const conditions = Object.entries(when ?? {}).map(([name, setting]) =>
    bind(name as ConstraintName, setting, role, `${rule}.when.${name}`, within),
  )
  const names = (uri: string) => conditions.some((condition) => condition.names?.(uri))
  return {
    role,
    rule,
    capabilities: new Set(expand(allow)),
    players: on ? new Set(on) : 'all',
    conditions,
    guard: createGuard(role, rule, names),
  }
}

function bind(name: ConstraintName, setting: unknown, role: string, rule: string, within: Setting): Condition {
  return { ...constraints[name].bind(setting as never, within), name, setting, role, rule }
}

/** Wildcards to names: `*`, `playback.*`. */
function expand(patterns: readonly string[]): Capability[] {
  return capabilityNames.filter((name) =>
    patterns.some((pattern) => pattern === '*' || pattern === name || pattern === `${name.split('.')[0]}.*`),
  )
}

const units = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

function parseRate(text: string, rule: string): Rate {
  const [count = '', span = ''] = text.split('/')
  const unit = units[span.slice(-1) as keyof typeof units]
  return { count: Number(count), ms: Number(span.slice(0, -1) || '1') * unit, rule }
}
