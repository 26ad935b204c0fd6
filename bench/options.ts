// The command line of the benchmark.

import { parseArgs } from 'node:util';
import { type Profile, profiles } from './profiles.ts';
import type { SuiteName } from './sample.ts';

export const suiteNames = [
  'forward',
  'open-loop',
  'latency',
  'scale',
  'windows',
  'idle',
  'allocation',
  'offload',
  'uplinks',
  'sharing',
  'vm',
  'checks',
] as const satisfies readonly SuiteName[];

/** Profiles that have a name on the command line, and their suites. */
const named = {
  smoke: ['forward', 'idle'],
  sharing: ['sharing'],
} as const satisfies Readonly<Record<string, readonly SuiteName[]>>;

export interface Options {
  readonly profile: Profile;
  readonly suites: readonly SuiteName[];
  /** Names of peers; empty: all. */
  readonly peers: readonly string[];
  /** A built checkout of Heddle to compare with; null: none. */
  readonly before: string | null;
  readonly jsonFile: string | null;
  /** Directory of the report: Markdown, JSON and plots. */
  readonly reportDirectory: string | null;
  readonly mustMeet: boolean;
  readonly isHelpWanted: boolean;
}

export const help = `Usage: npm run bench -- [smoke | sharing] [options]

Measures Heddle and its peers on this machine, in turns, and prints Markdown.

  (nothing)         everything, into bench/report/: about 40 minutes on a quiet machine
  --quick           every suite, shortened: under 4 minutes
  smoke             64 B and 1500 B, and an idle NIC: under 3 minutes
  sharing           whether promises to VFs hold: about 15 minutes
  --suite NAME      only this suite (repeatable):
                    ${suiteNames.join(', ')}
  --peer NAME       only this peer (repeatable): heddle, ovs-dpdk, testpmd-vhost; and for virtual
                    machines also bridge-tap, qemu-stream, vde-switch
  --before DIR      also measure heddle-before: the build in another checkout of Heddle
  --size BYTES      forward: only this frame size (repeatable)
  --rounds N        rounds per peer
  --seconds S       length of a measurement window
  --report DIR      write report.md, report.json and plots there
  --json FILE       write all samples, the host, versions and the commit to FILE
  --check           exit with 1 if a promise is not met

Example: npm run bench -- --suite latency --peer heddle --peer ovs-dpdk --rounds 3 --json run.json
Exit status: 0 measured, 1 a promise is not met (--check), 2 something could not be measured, or
(with --check) not be judged.
`;

const words = {
  suite: { type: 'string', multiple: true },
  peer: { type: 'string', multiple: true },
  before: { type: 'string' },
  size: { type: 'string', multiple: true },
  rounds: { type: 'string' },
  seconds: { type: 'string' },
  json: { type: 'string' },
  report: { type: 'string' },
  quick: { type: 'boolean', default: false },
  check: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

/** `defaultReport`: where a full run writes its report by default. */
export function parseOptions(args: readonly string[], defaultReport: string): Options {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: words,
  });
  const word = parseWord(positionals, values.quick);
  const base = word === null ? profiles[values.quick ? 'quick' : 'full'] : profiles[word];
  const isWhole =
    base.name === 'full' &&
    ![values.suite, values.peer, values.before].some((word) => word !== undefined);
  return {
    profile: withChanges(base, values),
    suites: values.suite?.map(parseSuite) ?? (word === null ? suiteNames : named[word]),
    peers: values.peer ?? [],
    before: values.before ?? null,
    jsonFile: values.json ?? null,
    // A partial run must not replace the report of a full one.
    reportDirectory: values.report ?? (isWhole ? defaultReport : null),
    mustMeet: values.check,
    isHelpWanted: values.help,
  };
}

function parseWord(words: readonly string[], isQuick: boolean): keyof typeof named | null {
  const [word] = words;
  if (word === undefined) return null;
  if (word !== 'smoke' && word !== 'sharing') {
    throw new Error(`Unknown profile ${word}: allowed are smoke and sharing.`);
  }
  const other = isQuick ? '--quick' : words[1];
  if (other === undefined) return word;
  throw new Error(`Cannot run ${word} and ${other} at once: choose one.`);
}

interface Changes {
  readonly size?: string[] | undefined;
  readonly rounds?: string | undefined;
  readonly seconds?: string | undefined;
}

function withChanges(base: Profile, { size, rounds, seconds }: Changes): Profile {
  // The smallest frame that testpmd can build, and the largest that fits into one of its mbufs.
  const sizes = size?.map((text) => parseNumber('--size', text, 60, 1514, Number.isInteger));
  const { forward, openLoop, vm, scale, windows, offload, uplinks, sharing } = base;
  const sized =
    sizes === undefined
      ? forward
      : { ...forward, frameSizes: sizes, variantSizes: [], hasMix: false };
  const changed = {
    ...base,
    forward: rounds === undefined ? sized : { ...sized, rounds: Number(rounds) },
    windowSeconds: parseNumber('--seconds', seconds ?? base.windowSeconds, 0.5, 600),
  };
  if (rounds === undefined) return changed;
  const count = parseNumber('--rounds', rounds, 1, 1000, Number.isInteger);
  return {
    ...{
      ...changed,
      rounds: count,
      openLoop: { ...openLoop, rounds: count },
      vm: { ...vm, rounds: count },
    },
    ...{ scale: { ...scale, rounds: count }, windows: { ...windows, rounds: count } },
    sharing: { ...sharing, rounds: count, costRounds: count },
    ...{ offload: { ...offload, rounds: count }, uplinks: { ...uplinks, rounds: count } },
  };
}

function parseSuite(text: string): SuiteName {
  const found = suiteNames.find((name) => name === text);
  if (found !== undefined) return found;
  throw new Error(`Unknown suite ${text}: allowed are ${suiteNames.join(', ')}.`);
}

function parseNumber(
  name: string,
  text: string | number,
  min: number,
  max: number,
  isAllowed: (value: number) => boolean = Number.isFinite,
): number {
  const value = Number(text);
  if (isAllowed(value) && value >= min && value <= max) return value;
  throw new Error(`Cannot use ${name} ${text}: allowed are numbers from ${min} to ${max}.`);
}
