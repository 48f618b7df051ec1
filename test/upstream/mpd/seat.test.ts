import { expect, test } from 'vitest'
import { createSeats } from '../../../src/upstream/mpd/seat.ts'
import { ada, bob, root } from '../house.ts'

test('each person has a few, and one given back makes room, once', () => {
  const take = createSeats({ seats: 10, reserved: 2, each: 2 })
  const leave = take(ada)
  take(ada)
  expect(() => take(ada)).toThrow('only 2')
  leave()
  leave()
  take(ada)
  expect(() => take(ada)).toThrow('only 2')
})

test('the last are for those who administer', () => {
  const take = createSeats({ seats: 3, reserved: 1, each: 4 })
  take(ada)
  take(bob)
  expect(() => take(ada)).toThrow('no free connection')
  const leave = take(root)
  expect(() => take(root)).toThrow('no free connection')
  leave()
  take(root)
})
