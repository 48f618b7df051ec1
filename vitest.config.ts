import { defineConfig } from 'vitest/config'
import { Counts } from './test/reporter.ts'

// In CI everything shares two cores: a deadline missed once there is tried once more. By hand it shows at once.
const retry = process.env.CI ? 1 : 0
// A real librespot takes Rust and a quarter of an hour to build: it is tested where somebody has, and said to be missing by hand.
const unbuilt = process.env.CI && !process.env.STAGEDOOR_TEST_LIBRESPOT ? ['test/real/librespot.test.ts'] : []

export default defineConfig({
  test: {
    reporters: ['default', new Counts()],
    projects: [
      {
        test: {
          name: 'unit',
          retry,
          include: ['test/**/*.test.ts'],
          exclude: ['test/real/**', 'test/bench/**'],
        },
      },
      {
        test: {
          name: 'real',
          retry,
          include: ['test/real/**/*.test.ts'],
          exclude: unbuilt,
          globalSetup: ['test/real/setup.ts'],
          fileParallelism: false, // the players keep real time, and two cores keep it badly for many
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
})
