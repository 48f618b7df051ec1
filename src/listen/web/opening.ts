import type { Call, User } from '../../call/call.ts'
import type { Gate } from '../../gate/gate.ts'

type Permit = ReturnType<Gate['admit']>

/** Web clients that people have open. */
export interface Openings {
  /**
   * The permit for a file of a client. Opening one is a call like any other, counted and recorded; what it takes dozens of
   * files to show is opened once a minute, and judged for each file.
   *
   * @throws Fault
   */
  open(call: Call, by: User): Permit
}

const openMs = 60_000
const most = 10_000

export function createOpenings({ gate }: { readonly gate: Pick<Gate, 'admit' | 'foresee'> }): Openings {
  const opened = new Map<string, { readonly permit: Permit; readonly until: number }>()

  return {
    open(call, by) {
      const key = JSON.stringify([by.session, call.player, call.operation.name])
      const found = opened.get(key)
      const isOpen = found !== undefined && call.at < found.until && call.at >= found.until - openMs
      if (isOpen && gate.foresee(call)) return found.permit
      const permit = gate.admit(call)
      if (opened.size >= most) for (const [other, { until }] of opened) if (until <= call.at) opened.delete(other)
      if (opened.size < most || opened.has(key)) opened.set(key, { permit, until: call.at + openMs })
      return permit
    },
  }
}
