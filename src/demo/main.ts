// `npm start`. Exit code 0: traffic passed both ways. 129, 130 or 143: stopped by a signal.

import { writeFileSync } from 'node:fs';
import type { Cleanups } from './cleanups.ts';
import { runDemo } from './demo.ts';
import { type DemoOptions, parseOptions, usage } from './options.ts';
import { hasTrafficBothWays, summaryLines } from './report.ts';

const signals = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

// Not `exitCode`: work that a signal interrupted may keep the process alive.
process.exit(await main(process.argv.slice(2)));

async function main(args: readonly string[]): Promise<number> {
  try {
    const options = parseOptions(args);
    if (!options.isHelpWanted) return await runUntilStopped(options);
    console.log(usage);
    return 0;
  } catch (error) {
    console.error((error as Error).message);
    return 1;
  }
}

async function runUntilStopped(options: DemoOptions): Promise<number> {
  const cleanups: Cleanups = [];
  const stopped = nextSignal();
  try {
    return await Promise.race([show(options, cleanups), stopped]);
  } finally {
    for (const cleanup of cleanups.reverse()) await cleanup();
  }
}

async function show(options: DemoOptions, cleanups: Cleanups): Promise<number> {
  const report = await runDemo(options, cleanups);
  console.log(`\n${summaryLines(report).join('\n')}`);
  if (options.report !== undefined) {
    writeFileSync(options.report, `${JSON.stringify(report, null, 2)}\n`);
  }
  if (hasTrafficBothWays(report)) return 0;
  console.error('In at least one direction, no traffic arrived.');
  return 1;
}

/** Resolves with the exit code for the signal. */
function nextSignal(): Promise<number> {
  return new Promise((resolve) => {
    for (const [name, exitCode] of Object.entries(signals)) {
      process.once(name, () => {
        console.log(`\n${name}: stopping …`);
        resolve(exitCode);
      });
    }
  });
}
