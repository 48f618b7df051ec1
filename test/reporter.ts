import type { Reporter, SerializedError, TestModule, TestRunEndReason } from 'vitest/node'

/** Closes the run with one plain line, after everything else: `12 passed, 0 failed, 3 skipped`. */
export class Counts implements Reporter {
  #line = ''

  onInit(): void {
    process.once('exit', () => process.stdout.write(this.#line))
  }

  onTestRunEnd(
    modules: readonly TestModule[],
    errors: readonly SerializedError[],
    reason: TestRunEndReason | undefined,
  ): void {
    const states = modules.flatMap((module) => [...module.children.allTests()].map((test) => test.result().state))
    const count = (state: string) => states.filter((found) => found === state).length
    // What broke outside a test (a file that does not load, a rejection nobody caught) is a failure as well, and so is
    // a run that came to no test at all.
    const broken = modules.filter((module) => module.errors().length > 0).length + errors.length
    const failed = count('failed') + broken || Number(reason !== 'passed' || states.length === 0)
    const skipped = states.length - count('passed') - count('failed')
    this.#line = `\n${count('passed')} passed, ${failed} failed, ${skipped} skipped\n`
  }
}
