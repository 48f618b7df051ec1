/** Where a borrowed value comes from; both may be missing. */
export interface Sources {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Contents of a file. @throws what reading it threw */
  read(path: string): string
}

export type Borrowed =
  | { readonly text: string; readonly borrowed: boolean }
  | { readonly what: string; readonly fix: string }

const reference = /\$?\$\{([^}]*)\}/g

/**
 * Puts `${NAME}`, `${NAME:-otherwise}` and `${file:PATH}` in place of themselves; `$${` is a plain `${`.
 *
 * A value comes from the environment or from a file, never from both.
 */
export function borrow(text: string, sources: Sources): Borrowed {
  const from = new Set<'env' | 'file'>()
  let wrong: { what: string; fix: string } | undefined
  const replaced = text.replace(reference, (whole, inside: string) => {
    if (whole.startsWith('$$')) return whole.slice(1)
    from.add(inside.startsWith('file:') ? 'file' : 'env')
    const found = inside.startsWith('file:') ? fromFile(inside.slice(5), sources) : fromEnv(inside, sources)
    if (typeof found === 'string') return found
    wrong ??= found
    return ''
  })
  if (from.size > 1) {
    return { what: 'the value comes from the environment and from a file at once', fix: 'decide for one of them' }
  }
  return wrong ?? { text: replaced, borrowed: from.size > 0 }
}

function fromEnv(inside: string, { env }: Sources) {
  const [, name, otherwise] = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s.exec(inside) ?? []
  if (name === undefined) {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is what people should write
    return { what: 'not a reference', fix: 'write ${NAME}, ${NAME:-otherwise} or ${file:PATH}; $${ for a plain ${' }
  }
  const value = Object.hasOwn(env, name) ? env[name] : undefined
  return (
    (value || otherwise) ??
    value ?? { what: `the environment variable ${name} is not set`, fix: `set it, or write \${${name}:-otherwise}` }
  )
}

function fromFile(path: string, { read }: Sources) {
  try {
    // Files written by hand end with a line break that is no part of the secret.
    return read(path).replace(/\r?\n$/, '')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'
    return { what: `the file ${path} cannot be read (${code})`, fix: 'create it, or mend the path' }
  }
}
