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

  --seconds N     how long TCP runs in total, at least 2 (${secondsDefault})
  --report FILE   write the results as JSON
  --help          show this

Example: npm start -- --seconds 20 --report report.json`;

/** Throws an error whose message says what is wrong with the arguments. */
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
    throw new Error(`Cannot run for --seconds ${values.seconds}: allowed is a whole number from 2`);
  }
  return { seconds, report: values.report, isHelpWanted: values.help };
}
