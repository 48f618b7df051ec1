import type { Reporter, SerializedError, TestModule } from 'vitest/node'

/** Closes the run with one plain line: `12 passed, 0 failed, 3 skipped`. */
export class Counts implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly SerializedError[]): void {
    const states = modules.flatMap((module) => [...module.children.allTests()].map((test) => test.result().state))
    const count = (state: string) => states.filter((found) => found === state).length
    // What broke outside a test (a file that does not load, a rejection nobody caught) is a failure as well.
    const broken = modules.filter((module) => module.errors().length > 0).length + errors.length
    const skipped = states.length - count('passed') - count('failed')
    process.stdout.write(`\n${count('passed')} passed, ${count('failed') + broken} failed, ${skipped} skipped\n`)
  }
}
