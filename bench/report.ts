import type { Row, Task } from './contest.ts'

/** A table for people that is Markdown as well: the first column to the left, figures to the right. */
export function printTable(head: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)))
  const pad = (text: string, i: number) => (i === 0 ? text.padEnd(widths[i] ?? 0) : text.padStart(widths[i] ?? 0))
  const line = (cells: readonly string[]) => `| ${cells.map(pad).join(' | ')} |`
  const rule = widths.map((width, i) => (i === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`))
  console.log([line(head), `| ${rule.join(' | ')} |`, ...rows.map(line)].join('\n'))
}

export function printTask({ title, payload }: Pick<Task, 'title' | 'payload'>, rows: readonly Row[]): void {
  console.log(`\n${title}\n`)
  const head = ['', payload ? 'MB/s' : 'per s', 'p50 ms', 'p99 ms', 'CPU µs', 'player’s CPU µs']
  printTable(
    head,
    rows.map(({ name, perSecond, p50, p99, cpu, playerCpu }) => [
      name,
      payload ? ((perSecond * payload) / 1e6).toFixed(1) : perSecond.toFixed(0),
      p50.toFixed(2),
      p99.toFixed(2),
      cpu?.toFixed(1) ?? '–',
      playerCpu.toFixed(1),
    ]),
  )
}

/** Whose CPU one's own is compared with, and at most how many times that it should be. */
export interface Aim {
  readonly than: string
  readonly most?: number
}

/** Says of one contender's CPU how it compares. Who was left out is not compared with. */
export function printAims(rows: readonly Row[], name: string, aims: readonly Aim[]): void {
  const cpuOf = (wanted: string) => rows.find((row) => row.name === wanted)?.cpu
  const own = cpuOf(name)
  const texts = aims.flatMap(({ than, most }) => {
    const other = cpuOf(than)
    if (own === undefined || other === undefined) return []
    const ratio = own / other
    const aim = most === undefined ? '' : ` (aim: at most ${most.toFixed(1)}, ${ratio <= most ? 'met' : 'MISSED'})`
    return [`${ratio.toFixed(2)} × ${than}${aim}`]
  })
  if (texts.length > 0) console.log(`\nCPU of ${name}: ${texts.join(', ')}`)
}
