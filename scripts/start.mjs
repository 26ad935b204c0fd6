// `npm start`: from a fresh clone to two virtual machines that talk through a NIC.

import { bootstrap, explainMissing } from './bootstrap.mjs';
import { build } from './build.mjs';
import { runInForeground } from './steps.mjs';

try {
  const missing = await bootstrap('start');
  await build();
  if (missing.length > 0) console.log(`${explainMissing(missing)}\n`);
  const args = ['dist/src/demo/main.js', ...process.argv.slice(2)];
  process.exitCode = await runInForeground(process.execPath, args);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
