// A vitest reporter that counts for `scripts/test.mjs`, including the reasons why tests were
// skipped, which vitest's own JSON does not have.

import { writeFileSync } from 'node:fs';

// biome-ignore lint/style/noDefaultExport: vitest needs it.
export default class TallyReporter {
  onTestRunEnd(modules, unhandledErrors) {
    const tally = { passed: 0, failed: unhandledErrors.length, skipped: 0, reasons: {} };
    for (const module of modules) {
      // A file that cannot be loaded has no tests to count.
      if (module.state() === 'failed' && module.errors().length > 0) tally.failed++;
      for (const test of module.children.allTests()) count(test, tally);
      for (const suite of module.children.allSuites()) {
        if (suite.errors().length > 0) tally.failed++;
      }
    }
    writeFileSync(process.env.HEDDLE_TALLY, JSON.stringify(tally));
  }
}

function count(test, tally) {
  const result = test.result();
  if (result.state === 'passed') tally.passed++;
  else if (result.state === 'failed') tally.failed++;
  else {
    tally.skipped++;
    const reason = result.note ?? reasonAbove(test.parent);
    tally.reasons[reason] = (tally.reasons[reason] ?? 0) + 1;
  }
}

/** A test whose `beforeAll` failed is skipped too; the failure itself counts for its suite. */
function reasonAbove(parent) {
  for (let one = parent; one !== undefined; one = one.parent) {
    if (one.errors().length > 0) return 'the set-up of its suite failed';
  }
  return 'no reason given';
}
