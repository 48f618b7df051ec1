import { Fault } from '../../call/fault.ts'
import type { Permit } from '../../policy/decide.ts'
import { commandOf, encode } from '../../protocol/mpd/decode.ts'

/**
 * The settings in force on a connection to an MPD: `tagtypes`, `binarylimit`, `protocol`, `stringnormalization`. Two of
 * the same `text` are the same.
 */
export interface Tuning {
  /** What was set, without what later settings took back, in order. */
  readonly permits: readonly Permit[]
  /** The commands that set it, as they are sent; empty as a player greets. */
  readonly text: string
  /** What there is to take back, by its first word. */
  readonly aspects: readonly string[]
}

export const untuned: Tuning = { permits: [], text: '', aspects: [] }

/** How each aspect becomes what it was at the greeting. */
const resets: Readonly<Record<string, string>> = {
  tagtypes: 'tagtypes "all"\n',
  binarylimit: 'binarylimit "8192"\n',
  protocol: 'protocol "clear"\n',
  stringnormalization: 'stringnormalization "clear"\n',
}

const mostSettings = 64
/** They are sent again wherever their connection comes to a line that others tuned. */
const mostCharacters = 16 * 1024

/** The tuning after one more setting. @throws Fault `limited` */
export function tune(tuning: Tuning, permit: Permit): Tuning {
  const aspect = aspectOf(permit)
  const text = encode(permit.call)
  const before = tuning.permits.filter((one) =>
    isWhole(permit) ? aspectOf(one) !== aspect : encode(one.call) !== text,
  )
  return tuningOf(isReset(permit) ? before : [...before, permit])
}

/** The tuning of a line whose last setting failed: who knows what of it was done. It equals no other. */
export function unsure({ permits, aspects }: Tuning, failed: Permit): Tuning {
  return { permits, text: '?', aspects: [...new Set([...aspects, aspectOf(failed)])] }
}

/** The commands that turn one into the other. */
export function retuning(from: Tuning, to: Tuning): string {
  if (from.text === to.text) return ''
  return from.aspects.map((aspect) => resets[aspect] ?? '').join('') + to.text
}

function tuningOf(permits: readonly Permit[]): Tuning {
  const text = permits.map(({ call }) => encode(call)).join('')
  if (permits.length > mostSettings || text.length > mostCharacters) {
    throw new Fault('limited', 'too many settings for a connection')
  }
  return { permits, text, aspects: [...new Set(permits.map(aspectOf))] }
}

function aspectOf({ call }: Permit): string {
  return commandOf(call.operation)
}

/** Decides its aspect on its own, whatever was set before. */
function isWhole({ call: { operation } }: Permit): boolean {
  return / (all|clear)$/.test(operation.name) || operation.name === 'binarylimit'
}

function isReset(permit: Permit): boolean {
  return encode(permit.call).replaceAll('"', '') === resets[aspectOf(permit)]?.replaceAll('"', '')
}
