// A run in Markdown, for people.

import type { Host } from './host.ts';
import { interquartileRange, type Spread } from './statistics.ts';
import type { ForwardSummary, RatioSummary } from './suites/forward.ts';
import type { IdleSample } from './suites/idle.ts';
import type { Verdict } from './thresholds.ts';

export interface Run {
  readonly host: Host;
  readonly versions: Readonly<Record<string, string>>;
  readonly skipped: readonly { readonly name: string; readonly reason: string }[];
  readonly forward: readonly ForwardSummary[];
  readonly ratios: readonly RatioSummary[];
  readonly idle: readonly IdleSample[];
  readonly verdicts: readonly Verdict[];
}

export function renderMarkdown(run: Run): string {
  const sections = [
    renderHost(run),
    run.forward.length > 0 ? renderForward(run.forward) : '',
    run.ratios.length > 0 ? renderRatios(run.ratios) : '',
    run.idle.length > 0 ? renderIdle(run.idle) : '',
    renderVerdicts(run.verdicts),
  ];
  return `${sections.filter((section) => section !== '').join('\n\n')}\n`;
}

function renderHost({ host, versions, skipped }: Run): string {
  return [
    `Commit ${host.commit}, ${host.date}`,
    `Host: ${host.processor}, ${host.cores} cores, ${host.memoryGiB} GiB, Linux ${host.kernel}, ` +
      `load ${host.loadBefore.toFixed(2)} before the run`,
    ...Object.entries(versions).map(([name, version]) => `${name}: ${version}`),
    ...skipped.map(({ name, reason }) => `${name}: skipped, ${reason}`),
  ]
    .map((line) => `- ${line}`)
    .join('\n');
}

function renderForward(summaries: readonly ForwardSummary[]): string {
  const rows = summaries.map(({ frameBytes, peer, mpps, ...rest }) => [
    `${frameBytes} B`,
    peer,
    mpps.median.toFixed(2),
    renderSpread(mpps),
    `${rest.switchCores.median.toFixed(2)} / ${rest.generatorCores.median.toFixed(2)}`,
    `${rest.disturbedCount} of ${mpps.count}`,
    `${rest.framesLost} of ${rest.framesInFlight * mpps.count}`,
  ]);
  const columns = [
    ...['frame', 'switch', 'Mpps', 'min … max (IQR)', 'cores: switch / generator'],
    ...['windows disturbed', 'lost of in flight'],
  ];
  return `## Forward, Mpps in both directions, median\n\n${table(columns, rows)}`;
}

function renderRatios(ratios: readonly RatioSummary[]): string {
  const rows = ratios.map(({ frameBytes, peer, against, ratio, disturbedCount }) => [
    `${frameBytes} B`,
    `${peer} / ${against}`,
    ratio.median.toFixed(2),
    renderSpread(ratio),
    `${disturbedCount} of ${ratio.count}`,
  ]);
  const columns = ['frame', 'ratio', 'median', 'min … max (IQR)', 'rounds disturbed'];
  return `## Ratios, paired by round\n\n${table(columns, rows)}`;
}

function renderIdle(samples: readonly IdleSample[]): string {
  const rows = samples.map(({ peer, portCount, windowSeconds, switchCores }) => [
    peer,
    String(portCount),
    `${(switchCores * 100).toFixed(2)} %`,
    `${windowSeconds.toFixed(1)} s`,
  ]);
  return `## Idle\n\n${table(['switch', 'ports', 'of a core', 'measured for'], rows)}`;
}

function renderVerdicts(verdicts: readonly Verdict[]): string {
  const word = (isMet: boolean | null) =>
    isMet === null ? 'not measured' : isMet ? 'met' : '**not met**';
  const rows = verdicts.map(({ promise, measured, isMet }) => [promise, measured, word(isMet)]);
  return `## Thresholds\n\n${table(['promise', 'measured', ''], rows)}`;
}

function renderSpread(values: Spread): string {
  const range = `${values.min.toFixed(2)} … ${values.max.toFixed(2)}`;
  return `${range} (${interquartileRange(values).toFixed(2)})`;
}

function table(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(columns), line(columns.map(() => '---')), ...rows.map(line)].join('\n');
}
