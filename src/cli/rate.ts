// `heddle rate`: what each VF, group and uplink is promised, and what it gets now.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { ratesBetween, ratesText } from './node-rates.ts';
import {
  addControlOption,
  addJsonOption,
  type ControlOptions,
  clientOf,
  example,
} from './options.ts';
import { print, printJson } from './output.ts';

const INTERVAL_MILLISECONDS = 1000;

export function addRate(program: Command): void {
  const command = program
    .command('rate')
    .summary('show what is promised, and what each gets now')
    .description(
      'Show what the NIC, its groups, VFs and uplinks are promised, and what each sent within one ' +
        'second: bit/s and packets/s as on a wire, its part of a processor\'s time ("time"), and ' +
        'the part of the second for which its limit held it back ("held").',
    )
    .addHelpText('after', example('heddle rate'));
  addControlOption(addJsonOption(command)).action(
    async (options: ControlOptions & { json?: true }) => {
      const client = clientOf(options);
      const before = await client.stats();
      await sleep(INTERVAL_MILLISECONDS);
      const [now, { config }] = [await client.stats(), await client.nic()];
      const rates = ratesBetween(before, now, config);
      if (options.json) return printJson(rates);
      print(ratesText(rates));
    },
  );
}
