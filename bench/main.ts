// The benchmark: selects suites and peers, runs them, and writes the results.

import { fileURLToPath } from 'node:url';
import { requireGenerator } from './generator.ts';
import { describeHost, requireCores } from './host.ts';
import { reserveHugePages } from './huge-pages.ts';
import { help, type Options, parseOptions } from './options.ts';
import { renderMarkdown } from './output/markdown.ts';
import type { Run } from './output/run.ts';
import { writeJson, writeReport } from './output/write.ts';
import { type ChosenPeers, choosePeers } from './peers/all.ts';
import { installExitHooks } from './resources.ts';
import type { Omission, Sample, SuiteName } from './sample.ts';
import { runAllocation } from './suites/allocation.ts';
import { runChecks } from './suites/checks.ts';
import { runForward } from './suites/forward.ts';
import { runIdle } from './suites/idle.ts';
import { runLatency } from './suites/latency.ts';
import { runOffload } from './suites/offload.ts';
import { runOpenLoop } from './suites/open-loop.ts';
import { runScale } from './suites/scale.ts';
import { runSharing } from './suites/sharing.ts';
import type { SuiteContext } from './suites/suite.ts';
import { runUplinks } from './suites/uplinks.ts';
import { runWindows } from './suites/windows.ts';
import { judge } from './thresholds.ts';
import { runVm } from './vm/suite.ts';

const exitNotMet = 1;
const exitNotMeasured = 2;

/** In the checkout, not in build/, from where this file runs. */
const defaultReport = fileURLToPath(new URL('../../bench/report', import.meta.url));

const suites: Readonly<Record<SuiteName, (context: SuiteContext) => Promise<void>>> = {
  forward: runForward,
  'open-loop': runOpenLoop,
  latency: runLatency,
  scale: runScale,
  windows: runWindows,
  idle: runIdle,
  allocation: runAllocation,
  offload: runOffload,
  uplinks: runUplinks,
  sharing: runSharing,
  vm: runVm,
  checks: runChecks,
};

async function main(args: readonly string[]): Promise<number> {
  const options = parseOptions(args, defaultReport);
  if (options.isHelpWanted) {
    process.stdout.write(help);
    return 0;
  }
  const run = await measure(options);
  process.stdout.write(renderMarkdown(run));
  if (options.jsonFile !== null) writeJson(options.jsonFile, run);
  if (options.reportDirectory !== null) {
    writeReport(options.reportDirectory, run);
    progress(`the report is in ${options.reportDirectory}`);
  }
  return exitCodeOf(run);
}

async function measure(options: Options): Promise<Run> {
  const chosen = choosePeers(options.peers, options.before);
  requireGenerator();
  requireCores();
  const started = performance.now();
  const host = describeHost();
  installExitHooks();
  reserveHugePages();

  const samples: Sample[] = [];
  const failures: Omission[] = [];
  const omissions = skippedPeers(chosen);
  for (const omission of omissions) sayOmission(omission);
  const context: SuiteContext = {
    ...{ peers: chosen.usable, wanted: options.peers, profile: options.profile },
    record(sample) {
      samples.push(sample);
      progress(describe(sample));
    },
    omit(what, reason) {
      omissions.push({ what, reason });
      sayOmission({ what, reason });
    },
    async attempt(what, work) {
      const { secondsMax, name } = options.profile;
      if (secondsMax !== null && performance.now() - started > secondsMax * 1000) {
        context.omit(what, `the profile ${name} had no time left`);
        return;
      }
      try {
        await work();
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        progress(`FAILED: ${what}: ${reason}`);
        // The rest is a log with local paths, which does not belong in a report.
        failures.push({ what, reason: reason.split('\n')[0] ?? '' });
      }
    },
  };
  for (const name of options.suites) {
    const before = samples.length;
    await suites[name](context);
    if (samples.length > before || failures.length > 0) continue;
    if (!omissions.some(({ what }) => what.startsWith(name))) {
      failures.push({ what: name, reason: 'the suite found nothing to measure' });
    }
  }
  if (samples.length === 0) failures.push({ what: 'this run', reason: 'nothing was measured' });
  const versions = chosen.usable.map((peer) => [peer.name, peer.version()] as const);
  return {
    ...{ options, host, omissions, failures, samples },
    seconds: (performance.now() - started) / 1000,
    versions: Object.fromEntries(versions),
    verdicts: judge(samples, options.profile.name),
  };
}

/** A failed measurement is worse than a measured value that is too low. */
function exitCodeOf({ options, failures, verdicts }: Run): number {
  if (failures.length > 0) return exitNotMeasured;
  if (!options.mustMeet) return 0;
  const asked = verdicts.filter(
    ({ suite, judgement }) => options.suites.includes(suite) && judgement !== 'an aim only',
  );
  for (const { judgement, promise, measured } of asked) {
    if (judgement !== 'met') progress(`${judgement}: ${promise}: ${measured}`);
  }
  if (asked.some(({ judgement }) => judgement === 'not met')) return exitNotMet;
  return asked.every(({ judgement }) => judgement === 'met') ? 0 : exitNotMeasured;
}

function skippedPeers({ skipped }: ChosenPeers): Omission[] {
  return skipped.map(({ name, reason }) => ({ what: name, reason }));
}

function describe({ suite, workload, peer, metric, round, value, unit, ...rest }: Sample): string {
  const figure = `${metric} ${value.toPrecision(4)} ${unit}`.trimEnd();
  const disturbance = rest.isDisturbed ? ', disturbed: other work took CPU time' : '';
  return `${suite} ${workload}, round ${round + 1}, ${peer}: ${figure}${disturbance}`;
}

function sayOmission({ what, reason }: Omission): void {
  progress(`left out: ${what}: ${reason}`);
}

function progress(line: string): void {
  process.stderr.write(`bench: ${line}\n`);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = exitNotMeasured;
}
