// The benchmark: which suites and peers to run, and what becomes of the results.

import { writeFileSync } from 'node:fs';
import { requireGenerator } from './generator.ts';
import { describeHost, requireCores } from './host.ts';
import { reserveHugePages } from './huge-pages.ts';
import { help, type Options, parseOptions } from './options.ts';
import { choosePeers } from './peers/all.ts';
import { heddleName } from './peers/heddle.ts';
import type { Peer } from './peers/peer.ts';
import { type Run, renderMarkdown } from './report.ts';
import { installExitHooks } from './resources.ts';
import {
  type ForwardSample,
  isDisturbed,
  runForward,
  summarizeForward,
  summarizeRatios,
} from './suites/forward.ts';
import { type IdleSample, runIdle } from './suites/idle.ts';
import { judge } from './thresholds.ts';

const exitNotMet = 1;
const exitNotMeasured = 2;

async function main(args: readonly string[]): Promise<number> {
  const options = parseOptions(args);
  if (options.isHelpWanted) {
    process.stdout.write(help);
    return 0;
  }
  const { usable, skipped } = choosePeers(options.peers);
  for (const { name, reason } of skipped) progress(`skipping ${name}: ${reason}`);
  requireGenerator();
  requireCores();
  const host = describeHost();
  installExitHooks();
  reserveHugePages();

  const samples = options.suites.includes('forward') ? await forward(usable, options) : [];
  const idle = options.suites.includes('idle') ? await measureIdle(usable, options) : [];
  const ratios = summarizeRatios(samples);
  const run: Run = {
    host,
    versions: Object.fromEntries(usable.map((peer) => [peer.name, peer.version()])),
    skipped,
    forward: summarizeForward(samples),
    ratios,
    idle,
    verdicts: judge(ratios, idle),
  };
  process.stdout.write(renderMarkdown(run));
  if (options.jsonFile !== null) {
    writeFileSync(options.jsonFile, `${JSON.stringify({ options, ...run, samples }, null, 2)}\n`);
  }
  const isMet = run.verdicts.every((verdict) => verdict.isMet === true);
  return options.mustMeet && !isMet ? exitNotMet : 0;
}

async function forward(peers: readonly Peer[], options: Options): Promise<ForwardSample[]> {
  return runForward(peers, {
    ...options,
    onSample(sample) {
      const { round, peer, frameBytes, mpps, framesLost } = sample;
      const loss = framesLost > 0 ? `, ${framesLost} frames lost` : '';
      const disturbance = isDisturbed(sample) ? ', disturbed: other work took CPU time' : '';
      const turn = `round ${round + 1}/${options.rounds}`;
      progress(`${turn} ${peer} ${frameBytes} B: ${mpps.toFixed(2)} Mpps${loss}${disturbance}`);
    },
  });
}

/** A switch that polls takes its whole core by design: others than Heddle only when named. */
async function measureIdle(peers: readonly Peer[], options: Options): Promise<IdleSample[]> {
  const samples: IdleSample[] = [];
  for (const peer of peers) {
    if (peer.name !== heddleName && !options.peers.includes(peer.name)) continue;
    const sample = await runIdle(peer);
    progress(`idle ${peer.name}: ${(sample.switchCores * 100).toFixed(2)} % of a core`);
    samples.push(sample);
  }
  return samples;
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
