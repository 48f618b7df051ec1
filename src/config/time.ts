import type { Static } from 'typebox'
import { isZone } from '../policy/clock.ts'
import { isEmptyWindow, windowTextsOf } from '../policy/hours.ts'
import type { RoleConfig } from '../policy/policy.ts'
import { suggest } from './explain.ts'
import type { Finding } from './validate.ts'

/** Zones nobody knows, and windows that are never open. */
export function* times(path: string, { grants }: Static<typeof RoleConfig>): Generator<Finding> {
  for (const [i, { when = {} }] of grants.entries()) {
    const inside = `${path}[${i}].when`
    for (const name of ['hours', 'maxVolume'] as const) {
      const setting = when[name]
      if (typeof setting === 'object' && 'zone' in setting) yield* zone(`${inside}.${name}.zone`, setting.zone)
    }
    if (when.hours !== undefined) yield* windows(`${inside}.hours`, when.hours)
  }
}

export function* zone(path: string, name: unknown): Generator<Finding> {
  if (typeof name !== 'string' || isZone(name)) return
  const near = suggest(name, Intl.supportedValuesOf('timeZone'))
  // All of them would be four hundred.
  const fix = near.startsWith('did you mean') ? near : 'write it as the IANA database does, such as Europe/Berlin'
  yield { path, at: 'value', what: 'there is no such time zone', fix }
}

function* windows(path: string, setting: Parameters<typeof windowTextsOf>[0]): Generator<Finding> {
  const isLong = typeof setting === 'object' && 'allow' in setting
  const [inside, listed] = isLong ? [`${path}.allow`, setting.allow] : [path, setting]
  for (const [i, text] of windowTextsOf(setting).entries()) {
    if (!isEmptyWindow(text)) continue
    const fix = 'let it end later; the whole day is 00:00-24:00'
    yield { path: Array.isArray(listed) ? `${inside}[${i}]` : inside, at: 'value', what: 'never open', fix }
  }
}
