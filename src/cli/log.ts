import { pino } from 'pino'

export interface Log extends pino.Logger {
  /** `info(record, 'decision')` for records whose names are fixed, so that none of them is secret. */
  decision(record: object): void
}

/** What must never reach a log, wherever somebody puts it by mistake. */
const secret: ReadonlySet<string> = new Set([
  ...['password', 'token', 'ticket', 'authorization', 'cookie', 'secret', 'refresh_token', 'access_token'],
])

/**
 * The log on standard output: JSON, or a short line each where a person watches.
 *
 * A full disk or a closed pipe costs lines, never the gateway: pino's destination emits an error then, and without a
 * listener that would end the process.
 */
export function createLog(level: string): Log {
  const options: pino.LoggerOptions = {
    level,
    formatters: { log: redact },
    base: null,
  }
  if (process.stdout.isTTY) {
    const log = pino(options, { write: (line) => void process.stdout.write(`${forPeople(line)}\n`) })
    return Object.assign(log, { decision: (record: object) => log.info(record, 'decision') })
  }
  const destination = pino.destination({ dest: 1, sync: false, minLength: 4096 })
  let broken = false
  destination.on('error', () => {
    broken = true
  })
  destination.on('write', () => {
    broken = false
  })
  setInterval(() => destination.flush(), 500).unref()
  // First of all listeners: to flush what the disk does not take is to try forever, and pino itself would.
  process.prependOnceListener('exit', () => {
    try {
      if (broken) destination.destroy()
      else destination.flushSync()
    } catch {
      // Nobody reads any more.
    }
  })
  const log = pino(options, destination)
  return Object.assign(log, {
    // Each command is such a line, and pino takes five times as long for it.
    decision(record: object) {
      if (!log.isLevelEnabled('info')) return
      const about = JSON.stringify(record).slice(1, -1)
      destination.write(`{"level":30,"time":${Date.now()},${about},"msg":"decision"}\n`)
    },
  })
}

/** pino's own redaction takes 35 µs a line for names at any depth, and each decision is a line: more than all else of a call. */
function redact(about: Record<string, unknown>, depth = 0): Record<string, unknown> {
  let clean = about
  for (const [name, value] of Object.entries(about)) {
    const isNested = typeof value === 'object' && value !== null && !(value instanceof Error) && depth < 3
    const shown = secret.has(name.toLowerCase())
      ? '[redacted]'
      : isNested
        ? redact(value as typeof about, depth + 1)
        : value
    if (shown === value) continue
    if (clean === about) clean = { ...about }
    clean[name] = shown
  }
  return clean
}

/** `12:00:01 warn a refusal {"by":"ben"}`: cleaned of control characters by JSON itself. */
function forPeople(line: string): string {
  const { level, time, msg, ...about } = JSON.parse(line)
  const clock = new Date(time).toTimeString().slice(0, 8)
  const rest = Object.keys(about).length > 0 ? ` ${JSON.stringify(about)}` : ''
  return `${clock} ${pino.levels.labels[level] ?? level} ${JSON.stringify(msg ?? '').slice(1, -1)}${rest}`
}
