// The command line of the benchmark.

import { parseArgs } from 'node:util';

export const suiteNames = ['forward', 'idle'] as const;
export type SuiteName = (typeof suiteNames)[number];

export interface Options {
  readonly suites: readonly SuiteName[];
  /** Names of peers; all when empty. */
  readonly peers: readonly string[];
  readonly frameSizes: readonly number[];
  readonly rounds: number;
  readonly windowSeconds: number;
  readonly jsonFile: string | null;
  readonly mustMeet: boolean;
  readonly isHelpWanted: boolean;
}

export const help = `Usage: npm run bench -- [smoke] [options]

Measures Heddle beside its peers on this machine, and prints Markdown.

  smoke             the short profile (the default): 64 B and 1500 B, and an idle NIC
  --suite NAME      only this suite: ${suiteNames.join(', ')} (repeatable)
  --peer NAME       only this peer: heddle, ovs-dpdk, testpmd-vhost (repeatable)
  --size BYTES      only this frame size (repeatable)
  --rounds N        how often each peer has its turn (5)
  --seconds S       length of a measured window (2)
  --json FILE       also write every sample, the host, versions and the commit
  --check           exit with 1 unless every threshold was measured and met

Example: npm run bench -- smoke --peer heddle --peer ovs-dpdk --rounds 3 --json run.json
Exit status: 0 measured, 1 thresholds not met (--check), 2 could not measure.
`;

export function parseOptions(args: readonly string[]): Options {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      suite: { type: 'string', multiple: true },
      peer: { type: 'string', multiple: true },
      size: { type: 'string', multiple: true },
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '2' },
      json: { type: 'string' },
      check: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const unknown = positionals.find((name) => name !== 'smoke');
  if (unknown !== undefined) throw new Error(`Unknown profile ${unknown}: allowed is smoke.`);
  return {
    suites: values.suite?.map(parseSuite) ?? suiteNames,
    peers: values.peer ?? [],
    frameSizes: (values.size ?? ['64', '1500']).map((text) => {
      // The smallest frame testpmd can build, and the largest that fits one of its mbufs.
      return parseNumber('--size', text, 60, 1514, Number.isInteger);
    }),
    rounds: parseNumber('--rounds', values.rounds, 1, 1000, Number.isInteger),
    windowSeconds: parseNumber('--seconds', values.seconds, 0.5, 600, Number.isFinite),
    jsonFile: values.json ?? null,
    mustMeet: values.check,
    isHelpWanted: values.help,
  };
}

function parseSuite(text: string): SuiteName {
  const found = suiteNames.find((name) => name === text);
  if (found !== undefined) return found;
  throw new Error(`Unknown suite ${text}: allowed are ${suiteNames.join(', ')}.`);
}

function parseNumber(
  name: string,
  text: string,
  min: number,
  max: number,
  isAllowed: (value: number) => boolean,
): number {
  const value = Number(text);
  if (isAllowed(value) && value >= min && value <= max) return value;
  throw new Error(`Cannot use ${name} ${text}: allowed are numbers from ${min} to ${max}.`);
}
