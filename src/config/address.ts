import type { Static } from 'typebox'
import { isEveryFile, isSlip, readPattern } from '../call/pattern.ts'
import type { RoleConfig } from '../policy/policy.ts'
import type { Finding } from './validate.ts'

/** Patterns that are none, and those that would let in the whole disk of the player's machine. */
export function* addresses(path: string, { grants }: Static<typeof RoleConfig>): Generator<Finding> {
  for (const [i, { when = {} }] of grants.entries()) {
    for (const list of ['allow', 'deny'] as const) {
      for (const [j, text] of (when.uris?.[list] ?? []).entries()) {
        const wrong = wrongPattern(list, text)
        if (wrong) yield { path: `${path}[${i}].when.uris.${list}[${j}]`, at: 'value', ...wrong }
      }
    }
  }
}

function wrongPattern(list: 'allow' | 'deny', text: string): Omit<Finding, 'path' | 'at'> | undefined {
  if (list === 'allow' && isEveryFile(text)) {
    return { what: 'every file of the player’s machine', fix: 'name a folder, such as file:///srv/music/' }
  }
  const read = readPattern(text)
  return isSlip(read) ? read : undefined
}
