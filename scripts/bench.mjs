// `npm run bench`: installs what is missing, builds, and runs the benchmark.

import { bootstrap, explainMissing } from './bootstrap.mjs';
import { build, buildUnchecked } from './build.mjs';
import { runInForeground } from './steps.mjs';

/** As the benchmark itself says it: nothing could be measured. */
const exitNotMeasured = 2;

try {
  const missing = await bootstrap('bench');
  await build();
  await buildUnchecked();
  // It leaves out the peers that are missing, and says so in its report.
  if (missing.length > 0) console.error(`${explainMissing(missing)}\n`);
  const args = ['build/bench/main.js', ...process.argv.slice(2)];
  process.exitCode = await runInForeground(process.execPath, args);
} catch (error) {
  console.error(error.message);
  process.exitCode = exitNotMeasured;
}
