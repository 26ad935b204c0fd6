import { parseArgs } from 'node:util';

export interface DemoOptions {
  /** How long TCP runs, both directions together. */
  readonly seconds: number;
  /** Where the JSON report goes. */
  readonly report: string | undefined;
  readonly isHelpWanted: boolean;
}

const secondsDefault = 10;

export const usage = `Usage: npm start -- [--seconds N] [--report FILE]

Two virtual machines talk through one software NIC: ping, then TCP both ways.

  --seconds N     total duration of the TCP streams, at least 2 (${secondsDefault})
  --report FILE   write the results to FILE as JSON
  --help          show this help

Example: npm start -- --seconds 20 --report report.json`;

/** Throws an error whose message says which argument is wrong. */
export function parseOptions(args: readonly string[]): DemoOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seconds: { type: 'string', default: String(secondsDefault) },
      report: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const seconds = Number(values.seconds);
  if (!Number.isInteger(seconds) || seconds < 2) {
    throw new Error(`--seconds must be a whole number, 2 or more: received ${values.seconds}`);
  }
  return { seconds, report: values.report, isHelpWanted: values.help };
}
