import type { MpdPerson } from '../player.ts'
import type { Asker, Frame, Line } from './line.ts'
import type { Source } from './pool.ts'
import type { Tuning } from './tuning.ts'

/** One command or one list on its way to the player and back. */
export interface Job {
  readonly person: MpdPerson
  /** What is sent; empty to have the line made ready and no more. */
  readonly text: string
  readonly frame: Frame
  readonly costly: boolean
  /** Changes nothing, so it may be asked again. */
  readonly isRead: boolean
  /** Something may be in the queue after it that was not before. */
  readonly adds?: boolean
  /** When it must be over, and how long it has anew after its asker was slow to read. */
  readonly until: number
  readonly ms: number
  /** What has to be in force on the line. */
  readonly tuning: Tuning
  readonly channels: string
  readonly from: Source
  /** A line of its asker's own, which has its seat already. */
  readonly isSeated: boolean
  /** Notes what the line is like after the answer, before it is given back. */
  readonly settle: ((line: Line, count: number) => void) | undefined
}

/** Hears besides the answer when its turn has come, and when the question really leaves. */
export interface Client extends Asker {
  turned?(): void
  sent?(): void
}
