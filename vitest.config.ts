import { defineConfig } from 'vitest/config'
import { Counts } from './test/reporter.ts'

// In CI everything shares two cores: a deadline missed once there is tried once more. By hand it shows at once.
const retry = process.env.CI ? 1 : 0

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
          globalSetup: ['test/real/setup.ts'],
          fileParallelism: false, // the players keep real time, and two cores keep it badly for many
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
})
