// A run as Markdown, for people.

import { suiteNames } from '../options.ts';
import { heddleName } from '../peers/heddle.ts';
import type { Sample, SuiteName } from '../sample.ts';
import { interquartileRange, type Spread } from '../statistics.ts';
import { type RatioSummary, type Summary, summarize, summarizeRatios } from '../summary.ts';
import type { Judgement, Verdict } from '../thresholds.ts';
import { number } from './number.ts';
import type { Run } from './run.ts';
import { isComparable, renderSharing } from './sharing-table.ts';
import { table } from './table.ts';
import { suiteTexts, suiteTitles } from './titles.ts';
import { renderLines } from './virtual-wire.ts';

/** `plots`: the plot files of each suite, relative to the report. */
export function renderMarkdown(
  run: Run,
  plots: ReadonlyMap<SuiteName, readonly string[]> = new Map(),
): string {
  const sections = [
    renderHost(run),
    renderFailures(run),
    renderVerdicts(run),
    ...suiteNames
      .filter((suite) => run.samples.some((sample) => sample.suite === suite))
      .map((suite) => renderSuite(run.samples, suite, plots.get(suite) ?? [])),
    renderOmissions(run),
  ];
  return `${sections.filter((section) => section !== '').join('\n\n')}\n`;
}

function renderHost({ host, versions, options, seconds }: Run): string {
  const { profile } = options;
  return [
    `Commit ${host.commit}, ${host.date}, took ${Math.round(seconds / 60)} min`,
    `Host: ${host.processor}, ${host.cores} cores, ${host.memoryGiB} GiB, Linux ${host.kernel}, ` +
      `load ${host.loadBefore.toFixed(2)} before the run`,
    `Profile ${profile.name}: ${profile.rounds} rounds, peers in turns, windows of ` +
      `${profile.windowSeconds} s after at least 0.3 s of warm-up; the switch on core 0, the ` +
      'load on core 1 (except in the suite of virtual machines)',
    'A round is disturbed when a side that polls had less than 95 % of its core',
    ...Object.entries(versions).map(([name, version]) => `${name}: ${version}`),
  ]
    .map((line) => `- ${line}`)
    .join('\n');
}

function renderFailures({ failures }: Run): string {
  if (failures.length === 0) return '';
  const lines = failures.map(({ what, reason }) => `- **${what}**: ${firstLine(reason)}`);
  return `## COULD NOT BE MEASURED\n\n${lines.join('\n')}`;
}

function renderOmissions({ omissions }: Run): string {
  if (omissions.length === 0) return '';
  const lines = omissions.map(({ what, reason }) => `- ${what}: ${reason}`);
  return `## Left out\n\n${lines.join('\n')}`;
}

function renderSuite(all: readonly Sample[], suite: SuiteName, plots: readonly string[]): string {
  const samples = all.filter((sample) => sample.suite === suite);
  return [
    `## ${suiteTitles[suite]}`,
    suiteTexts[suite],
    ...plots.map((file) => `![${suiteTitles[suite]}](${file})`),
    suite === 'sharing' ? renderSharing(samples) : renderSummaries(summarize(samples)),
    suite === 'open-loop' ? renderLines(samples) : '',
    renderRatios(suite === 'sharing' ? samples.filter(isComparable) : samples),
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

function renderSummaries(summaries: readonly Summary[]): string {
  const rows = summaries.map((summary) => [
    summary.workload,
    summary.metric,
    summary.peer,
    `${number(summary.value.median)} ${summary.unit}`.trimEnd(),
    renderSpread(summary.value),
    `${renderCores(summary.switchCores)} / ${renderCores(summary.generatorCores)}`,
    `${summary.disturbedCount} of ${summary.value.count}`,
  ]);
  const columns = ['work', 'figure', 'peer', 'median', 'min … max (IQR)'];
  return table([...columns, 'CPU s per s: switch / load', 'disturbed'], rows);
}

function renderRatios(samples: readonly Sample[]): string {
  const rows = summarizeRatios(samples, heddleName).map((summary) => [
    summary.workload,
    summary.metric,
    `${summary.peer} / ${summary.against}`,
    number(summary.ratio.median),
    renderSpread(summary.ratio),
    renderInterval(summary.interval),
    `${summary.disturbedCount} of ${summary.ratio.count}`,
  ]);
  if (rows.length === 0) return '';
  const spreads = ['median', 'min … max (IQR)', '95 % of the median'];
  const columns = ['work', 'figure', 'ratio', ...spreads, 'disturbed'];
  return `Ratios, paired by round:\n\n${table(columns, rows)}`;
}

/** All promises are listed, including those that this run does not measure. */
const quiet: readonly Judgement[] = ['met', 'an aim only'];

function renderVerdicts({ verdicts }: Pick<Run, 'verdicts'>): string {
  const word = ({ judgement }: Verdict) =>
    quiet.includes(judgement) ? judgement : `**${judgement}**`;
  const aim = ({ aim: bound, isAimMet }: Verdict) => {
    if (bound === null) return '–';
    return `${bound}${isAimMet === null ? '' : isAimMet ? ': reached' : ': not reached'}`;
  };
  const rows = verdicts.map((verdict) => [
    ...[verdict.promise, verdict.measured, word(verdict), aim(verdict)],
  ]);
  return `## Promises\n\n${table(['promise', 'measured', '', 'aim'], rows)}`;
}

function renderSpread(values: Spread): string {
  const range = `${number(values.min)} … ${number(values.max)}`;
  return `${range} (${number(interquartileRange(values))})`;
}

function renderInterval(interval: RatioSummary['interval']): string {
  return interval === null ? '–' : `${interval.low.toFixed(3)} … ${interval.high.toFixed(3)}`;
}

function renderCores(cores: Spread | null): string {
  return cores === null ? '–' : cores.median.toFixed(2);
}

function firstLine(text: string): string {
  return text.split('\n')[0] ?? '';
}
