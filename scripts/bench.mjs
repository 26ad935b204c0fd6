// `npm run bench`: installs what is missing, builds, and runs the benchmark.

import { bootstrap, explainMissing } from './bootstrap.mjs';
import { build, buildUnchecked } from './build.mjs';
import { runInForeground } from './steps.mjs';

/** As in bench/main.ts: something could not be measured. */
const exitNotMeasured = 2;

try {
  const missing = await bootstrap('bench');
  await build();
  await buildUnchecked();
  // The benchmark omits the peers that are missing, and its report says so.
  if (missing.length > 0) console.error(`${explainMissing(missing)}\n`);
  const args = ['build/bench/main.js', ...process.argv.slice(2)];
  process.exitCode = await runInForeground(process.execPath, args);
} catch (error) {
  console.error(error.message);
  process.exitCode = exitNotMeasured;
}
