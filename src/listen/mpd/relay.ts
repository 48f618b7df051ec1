import { Fault } from '../../call/fault.ts'
import type { Gate } from '../../gate/gate.ts'
import { createView, type Framing } from '../../protocol/mpd/view.ts'
import type { MpdConnection } from '../../upstream/player.ts'

/**
 * Sends one command or one list, and hands on what its caller may see of the answer.
 *
 * @returns what broke the answer off after some of it was handed on; undefined when it is whole
 * @throws Fault when nothing was handed on
 */
export async function relay(
  permits: Parameters<MpdConnection['send']>[0],
  framing: Framing,
  to: {
    readonly link: MpdConnection
    readonly gate: Gate
    /** How many settings a connection may have. */
    readonly settings: number
    /** The words that the client typed, by which errors name what was wrong. */
    readonly commands: readonly string[]
    write(bytes: Uint8Array): void | Promise<void>
  },
): Promise<Fault | undefined> {
  const { link, gate } = to
  const calls = permits.map(({ call }) => call)
  const own = calls.filter(({ operation: { state } }) => state === 'setting' || state === 'channel').length
  if (own > 0 && link.settings.length + own > to.settings) {
    throw new Fault('limited', 'too many settings for a connection')
  }
  const view = createView(calls, framing, gate, to.commands)
  let begun = false
  try {
    await link.send(permits, view?.framing ?? framing, (bytes) => {
      const shown = view ? view.push(bytes) : bytes
      if (shown.length === 0) return
      begun = true
      return to.write(shown)
    })
    return undefined
  } catch (error) {
    const fault = Fault.from(error)
    if (!begun) throw fault
    return fault
  }
}
