// A run on disk: report.md for people, report.json for programs, and the plots.

import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { heddleName } from '../peers/heddle.ts';
import type { SuiteName } from '../sample.ts';
import { summarize, summarizeRatios } from '../summary.ts';
import { renderMarkdown } from './markdown.ts';
import { renderPlots } from './plots.ts';
import type { Run } from './run.ts';

export function writeReport(directory: string, run: Run): void {
  mkdirSync(directory, { recursive: true });
  // Plots of an earlier run with other suites would look like part of this one.
  for (const name of readdirSync(directory)) {
    if (name.endsWith('.svg')) rmSync(join(directory, name));
  }
  const plots = renderPlots(run.samples);
  const files = new Map<SuiteName, string[]>();
  for (const { suite, file, svg } of plots) {
    writeFileSync(join(directory, file), svg);
    files.set(suite, [...(files.get(suite) ?? []), file]);
  }
  const head =
    '# Heddle beside its peers\n\nMade by `npm run bench`; how, and how to read it, is in ' +
    '[docs/benchmarks.md](../../docs/benchmarks.md). Every sample is in ' +
    '[report.json](report.json).';
  writeFileSync(join(directory, 'report.md'), `${head}\n\n${renderMarkdown(run, files)}`);
  writeJson(join(directory, 'report.json'), run);
}

export function writeJson(file: string, run: Run): void {
  const { samples, options, ...rest } = run;
  // Not where it was written to: that is nobody's business.
  const { profile, suites, peers } = options;
  const ratios = summarizeRatios(samples, heddleName);
  const asked = { profile, suites, peers };
  const content = { options: asked, ...rest, summaries: summarize(samples), ratios, samples };
  writeFileSync(file, `${JSON.stringify(content, null, 1)}\n`);
}
