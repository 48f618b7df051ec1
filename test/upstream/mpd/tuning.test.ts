import { describe, expect, test } from 'vitest'
import { Fault } from '../../../src/call/fault.ts'
import { retuning, type Tuning, tune, unsure, untuned } from '../../../src/upstream/mpd/tuning.ts'
import { permit } from '../house.ts'

function tuned(...lines: string[]): Tuning {
  return lines.map(permit).reduce(tune, untuned)
}

const textOf = (...lines: string[]) =>
  tuned(...lines)
    .text.split('\n')
    .slice(0, -1)

describe('what is kept of settings', () => {
  test('none is the empty text, so most comparisons are cheap', () => {
    expect(untuned.text).toBe('')
    expect(tuned('tagtypes all', 'binarylimit 8192', 'protocol clear', 'stringnormalization clear')).toEqual(untuned)
  })

  test('in order, and what starts an aspect anew takes back what was set of it before', () => {
    expect(textOf('tagtypes clear', 'binarylimit 64', 'tagtypes enable Artist', 'tagtypes clear')).toEqual([
      'binarylimit "64"',
      'tagtypes clear',
    ])
    expect(textOf('tagtypes disable Genre', 'tagtypes all')).toEqual([])
    expect(textOf('binarylimit 64', 'binarylimit 4096')).toEqual(['binarylimit "4096"'])
  })

  test('the latest of equals decides', () => {
    expect(textOf('tagtypes disable Genre', 'tagtypes enable Genre', 'tagtypes disable Genre')).toEqual([
      'tagtypes enable "Genre"',
      'tagtypes disable "Genre"',
    ])
  })

  test('no more than 64, and no more than 16 KiB', () => {
    const some = Array.from(
      { length: 64 },
      (_, i) => `tagtypes disable T${String.fromCharCode(65 + (i % 26), 65 + i / 26)}`,
    )
    expect(tuned(...some).permits).toHaveLength(64)
    expect(() => tuned(...some, 'tagtypes disable More')).toThrow(Fault)
    const long = Array.from(
      { length: 30 },
      (_, i) =>
        `tagtypes disable ${Array(30 + i)
          .fill('ArtistSortOfThisKind')
          .join(' ')}`,
    )
    expect(() => tuned(...long)).toThrow('too many settings')
  })
})

describe('from one to another', () => {
  test('nothing when they are the same', () => {
    expect(retuning(tuned('tagtypes clear'), tuned('tagtypes disable Genre', 'tagtypes clear'))).toBe('')
  })

  test('what was touched is taken back, then what is wanted is set', () => {
    expect(retuning(tuned('tagtypes clear', 'binarylimit 64'), tuned('protocol enable hide_playlists_in_root'))).toBe(
      'tagtypes "all"\nbinarylimit "8192"\nprotocol enable "hide_playlists_in_root"\n',
    )
    expect(retuning(untuned, tuned('tagtypes clear'))).toBe('tagtypes clear\n')
  })

  test('a setting that failed is taken back too, and nothing equals what it left', () => {
    const left = unsure(tuned('binarylimit 64'), permit('tagtypes enable Nonsense'))
    expect(retuning(left, untuned)).toBe('binarylimit "8192"\ntagtypes "all"\n')
    expect(retuning(left, tuned('binarylimit 64'))).toContain('binarylimit "8192"\ntagtypes "all"\nbinarylimit "64"\n')
  })
})
