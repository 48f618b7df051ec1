import type { Gateway } from './gateway.ts'

/** The code blocks that `stagedoor mpd-help` prints for a client, with the house's own host and ports in them. */
export function snippetsFor(
  gateway: Pick<Gateway, 'cli' | 'mpd'>,
  client: string,
  ...options: string[]
): (kind: string, mark: string) => string {
  const { status, stdout, stderr } = gateway.cli(['mpd-help', client, '--host', '127.0.0.1', ...options])
  if (status !== 0) throw new Error(`mpd-help ${client}: ${stderr}`)
  const blocks = [...stdout.matchAll(/^```(\w+)\n([\s\S]*?)\n```$/gm)].map(([, kind, text = '']) => ({ kind, text }))
  return (kind, mark) => {
    const found = blocks.find((block) => block.kind === kind && block.text.includes(mark))
    if (!found) throw new Error(`no ${kind} snippet with ${JSON.stringify(mark)} for ${client}`)
    return `${found.text}\n`
  }
}
