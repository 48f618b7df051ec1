/** What a command sees of the world: everything it may touch comes in here, so tests need no process. */
export interface Io {
  /** One line to standard output. */
  out(text: string): void
  /** One line to standard error. */
  err(text: string): void
  /** All of standard input. */
  stdin(): Promise<string>
  /** The state's directory. */
  readonly data: string
  /** The configuration file. */
  readonly config: string
  /** Whether that is the one that came with the project. */
  readonly isShippedConfig: boolean
  readonly env: Readonly<Record<string, string | undefined>>
  /** Unix ms. */
  now(): number
}

/** A command: 0 done, 1 refused or failed, 2 wrong usage. */
export type Command = (args: readonly string[], io: Io) => Promise<number>
