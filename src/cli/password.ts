import { Fault } from '../call/fault.ts'
import type { Io } from './command.ts'

/** A new password: from standard input, or asked for twice on the terminal without showing it. */
export async function readPassword(io: Io, fromStdin: boolean | undefined): Promise<string> {
  if (!fromStdin && process.stdin.isTTY) {
    const password = await ask('Password: ')
    if (password !== (await ask('Once more: '))) throw new Fault('bad-arguments', 'the two were not the same')
    return password
  }
  if (!fromStdin) io.err('reading the password from standard input, one line')
  const [line = ''] = (await io.stdin()).split(/\r?\n/, 1)
  return line
}

function ask(prompt: string): Promise<string> {
  const { stdin, stderr } = process
  stderr.write(prompt)
  stdin.setRawMode(true).setEncoding('utf8').resume()
  return new Promise((resolve, reject) => {
    let typed: string[] = []
    const end = (settle: () => void) => {
      stdin.off('data', take).setRawMode(false).pause()
      stderr.write('\n')
      settle()
    }
    const take = (text: string) => {
      for (const key of text) {
        if (key === '\r' || key === '\n') return end(() => resolve(typed.join('')))
        if (key === '\x03' || key === '\x04') return end(() => reject(new Fault('bad-arguments', 'given up')))
        if (key === '\x15') typed = []
        else if (key === '\x7f' || key === '\b') typed.pop()
        else if (key >= ' ') typed.push(key)
      }
    }
    stdin.on('data', take)
  })
}
