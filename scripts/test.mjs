// `npm test`: prepares the machine, builds, and runs the linter, the type checker and all tests.
// Its last line is the total. `npm test -- <vitest arguments>` runs only those tests.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bootstrap, explainMissing } from './bootstrap.mjs';
import { build } from './build.mjs';
import { run, runInForeground, step } from './steps.mjs';

const sum = { passed: 0, failed: 0, skipped: 0, reasons: {} };
const vitestArguments = process.argv.slice(2);

const missing = await prepare();
if (missing !== undefined) {
  if (vitestArguments.length === 0) {
    await check('Checking style', 'node_modules/.bin/biome', ['check', '.']);
    await check('Checking types', 'node_modules/.bin/tsc', ['--noEmit', '-p', 'tsconfig.json']);
  }
  await runTests();
  report(missing);
}
const skippedPart = sum.skipped > 0 ? `, ${sum.skipped} skipped` : '';
console.log(`${sum.passed} passed, ${sum.failed} failed${skippedPart}`);
process.exitCode = sum.failed > 0 || sum.passed === 0 ? 1 : 0;

/** Returns the missing Debian packages, or undefined if nothing can be tested. */
async function prepare() {
  try {
    const packages = await bootstrap('test');
    await build();
    return packages;
  } catch (error) {
    console.error(error.message);
    sum.failed++;
    return undefined;
  }
}

/** A check counts as one test. */
async function check(title, program, args) {
  try {
    await step(title, () => run(program, args));
    sum.passed++;
  } catch (error) {
    console.error(error.message);
    sum.failed++;
  }
}

async function runTests() {
  const directory = mkdtempSync(join(tmpdir(), 'heddle-test-'));
  const tallyPath = join(directory, 'tally.json');
  const reporters = ['--reporter=default', '--reporter=./scripts/tally-reporter.mjs'];
  const exitCode = await runInForeground(
    process.execPath,
    ['node_modules/vitest/vitest.mjs', 'run', ...reporters, ...vitestArguments],
    { env: { ...process.env, HEDDLE_TALLY: tallyPath } },
  );
  addTally(tallyPath, exitCode);
  rmSync(directory, { recursive: true });
}

function addTally(path, exitCode) {
  const failedBefore = sum.failed;
  try {
    const tally = JSON.parse(readFileSync(path, 'utf8'));
    for (const key of ['passed', 'failed', 'skipped']) sum[key] += tally[key];
    sum.reasons = tally.reasons;
  } catch {
    console.error('The test runner ended without a tally.');
    sum.failed++;
  }
  // The error belongs to no test.
  if (exitCode !== 0 && sum.failed === failedBefore) sum.failed++;
}

function report(missing) {
  for (const [reason, count] of Object.entries(sum.reasons)) {
    console.log(`${count} skipped: ${reason}`);
  }
  if (missing.length > 0) console.log(explainMissing(missing));
}
