import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  unlinkSync,
} from 'node:fs'
import { connect, type Server } from 'node:net'
import { dirname, join } from 'node:path'
import { Fault, messageOf } from '../call/fault.ts'

/** A server on a socket in the file system, for the account of this process and nobody else on the machine. */
export interface PlacedSocket {
  /** Ends the server, and takes the socket away unless another has taken its place. */
  close(): Promise<void>
}

/** @throws Fault saying what is in the way */
export async function placeSocket(server: Server, path: string): Promise<PlacedSocket> {
  try {
    const inode = await bind(server, path)
    return {
      async close() {
        if (!server.listening) return
        if (lookAt(path)?.ino === inode) unlinkSync(path)
        await new Promise((resolve) => server.close(resolve))
      },
    }
  } catch (error) {
    throw error instanceof Fault ? error : new Fault('internal', `${path}: ${messageOf(error)}`, { cause: error })
  }
}

/**
 * Binds where nobody else may look, and moves the socket to its place when its mode is right: it is at no moment open to
 * others, whatever the umask, and takes the place of a stale one in one step.
 *
 * @returns its inode
 * @throws Fault when something is in the way
 */
async function bind(server: Server, path: string): Promise<number | undefined> {
  const dir = dirname(path)
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  if ((statSync(dir).mode & 0o077) !== 0) chmodSync(dir, 0o700)
  const there = lookAt(path)
  if (there && !there.isSocket())
    throw new Fault('internal', `${path}: is there already, and is no socket: move it away`)
  if (there && (await answers(path))) throw new Fault('internal', `${path}: another gateway is listening there`)
  const nest = mkdtempSync(join(dir, '.socket-'))
  const egg = join(nest, 's')
  try {
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(egg, resolve))
    chmodSync(egg, 0o600)
    renameSync(egg, path)
    return lookAt(path)?.ino
  } finally {
    rmSync(nest, { recursive: true, force: true })
  }
}

/** What is there, and no link followed; undefined when nothing is. */
function lookAt(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false })
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    const settle = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('connect', () => settle(true)).once('error', () => settle(false))
  })
}
