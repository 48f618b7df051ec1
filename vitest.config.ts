import { defineConfig } from 'vitest/config'
import { Counts } from './test/reporter.ts'

export default defineConfig({
  test: {
    reporters: ['default', new Counts()],
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/real/**', 'test/bench/**'],
        },
      },
      {
        test: {
          name: 'real',
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
