import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'

/** Bytes of a file that may be read: a house of a hundred roles fits in many times over. */
const maxBytes = 128 * 1024

/**
 * A small text file.
 *
 * @throws Error whose `code` says why not: a file that is none, or not UTF-8, has no text rather than some other text
 */
export function readText(file: string): string {
  // What is no file (a pipe, a device) must neither be waited for nor read without end.
  const descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    if (!fstatSync(descriptor).isFile()) throw problem('not a file')
    const bytes = Buffer.alloc(maxBytes + 1)
    let length = 0
    for (let read = -1; read !== 0 && length < bytes.length; length += read) {
      read = readSync(descriptor, bytes, length, bytes.length - length, null)
    }
    if (length > maxBytes) throw problem(`more than ${maxBytes / 1024} KiB`)
    return decode(bytes.subarray(0, length))
  } finally {
    closeSync(descriptor)
  }
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw problem('not UTF-8')
  }
}

function problem(code: string): Error {
  return Object.assign(new Error(code), { code })
}
