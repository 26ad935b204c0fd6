// `heddle fdb`: which address is behind which port.

import type { Command } from 'commander';
import {
  addControlOption,
  addJsonOption,
  type ControlOptions,
  clientOf,
  example,
} from './options.ts';
import { print, printJson, table } from './output.ts';

export function addFdb(program: Command): void {
  const command = program
    .command('fdb')
    .summary('show the MAC addresses of the switch')
    .description(
      'Show the forwarding database: each MAC address, its VLAN, and the VF or uplink behind it.',
    )
    .addHelpText('after', example('heddle fdb'));
  addControlOption(addJsonOption(command)).action(
    async (options: ControlOptions & { json?: true }) => {
      const entries = await clientOf(options).fdb();
      if (options.json) return printJson(entries);
      const rows = entries.map(({ mac, vlan, vf, ageSeconds, isStatic }) => [
        ...[mac, vlan ?? '-', vf, isStatic ? 'static' : 'learned'],
        isStatic ? '-' : `${Math.round(ageSeconds)} s`,
      ]);
      print(table(['mac', 'vlan', 'port', 'origin', 'age'], rows));
    },
  );
}
