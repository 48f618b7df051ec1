import { join } from 'node:path'
import { run } from '../../src/cli/mpdhelp.ts'
import type { Gateway } from './gateway.ts'

/** Finds a code block by its kind and by what stands in it. @throws when there is none */
export type Snippets = (kind: string, mark: string) => string

/** The code blocks that `stagedoor mpd-help` prints for a client, with the house's own host and ports in them. */
export async function snippetsFor(
  gateway: Pick<Gateway, 'dir'>,
  client: string,
  ...options: string[]
): Promise<Snippets> {
  const said: string[] = []
  const status = await run([client, '--host', '127.0.0.1', ...options], {
    out: (text) => said.push(text),
    err: (text) => said.push(text),
    stdin: async () => '',
    config: join(gateway.dir, 'config/stagedoor.yaml'),
    data: join(gateway.dir, 'data'),
    env: process.env,
    now: Date.now,
  })
  const text = said.join('\n')
  if (status !== 0) throw new Error(`mpd-help ${client}: ${text}`)
  const blocks = [...text.matchAll(/^```(\w+)\n([\s\S]*?)\n```$/gm)].map(([, kind, body = '']) => ({ kind, body }))
  return (kind, mark) => {
    const found = blocks.find((block) => block.kind === kind && block.body.includes(mark))
    if (!found) throw new Error(`no ${kind} snippet with ${JSON.stringify(mark)} for ${client}`)
    return `${found.body}\n`
  }
}
