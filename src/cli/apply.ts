// `heddle apply`: makes the running NIC match a file.

import type { Command } from 'commander';
import {
  addControlOption,
  addJsonOption,
  type ControlOptions,
  clientOf,
  example,
} from './options.ts';
import { print, printJson } from './output.ts';

interface ApplyOptions extends ControlOptions {
  dryRun?: true;
  json?: true;
}

export function addApply(program: Command): void {
  const command = program
    .command('apply <file>')
    .summary('make the running NIC match a file')
    .description(
      'Make the running NIC match a file. VFs that do not differ keep their connection and ' +
        'traffic. Prints "+" added, "-" removed, "~" changed in place, "!" replaced, and, before ' +
        'it acts, what a VMM cannot be given until it is restarted ("pending").',
    )
    .option('--dry-run', 'only print what would change')
    .addHelpText('after', example('heddle apply nic.yaml --dry-run', 'heddle apply nic.yaml'));
  addControlOption(addJsonOption(command)).action(async (file: string, options: ApplyOptions) => {
    const { loadConfig } = await import('../config/load.ts');
    const { actionText } = await import('../config/diff.ts');
    // Read here, so that a mistake is reported with its line.
    const config = loadConfig(file);
    const client = clientOf(options);
    // Printed before it is done: an action may require restarting a VMM.
    const planned = await client.apply(config, { dryRun: true });
    const text = planned.length === 0 ? 'nothing to change' : planned.map(actionText).join('\n');
    if (!options.json) print(text);
    const actions = options.dryRun ? planned : await client.apply(config);
    if (options.json) printJson(actions);
  });
}
