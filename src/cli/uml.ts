// `heddle uml`: how a User-Mode Linux guest attaches to a VF.

import type { Command } from 'commander';
import { shellText, umlArguments } from '../api/attach.ts';
import { type AttachOptions, findVf, memoryOption } from './attach-options.ts';
import { addControlOption, addJsonOption, example } from './options.ts';
import { print, printJson } from './output.ts';

const notes = `
The guest uses the file system of this machine and ends with its first program: for anything but a
shell, give another init= or a disk image. Its driver is in /usr/lib/uml/modules (Debian).
`;

export function addUml(program: Command): void {
  const command = program
    .command('uml <vf>')
    .summary('print how a User-Mode Linux guest attaches to a VF')
    .description('Print the command that starts a User-Mode Linux guest on a VF, ready to paste.')
    .addOption(memoryOption())
    .option('--config <file>', 'take the VF from a file; no NIC need run')
    .addHelpText('after', `${notes}${example('heddle uml vm1')}`);
  addControlOption(addJsonOption(command)).action(async (name: string, options: AttachOptions) => {
    const words = umlArguments(await findVf(name, options), options);
    if (options.json) printJson(words);
    else print(shellText(['linux', ...words]));
  });
}
