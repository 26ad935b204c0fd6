// `heddle check`: checks a configuration file.

import type { Command } from 'commander';
import { addJsonOption, example } from './options.ts';
import { print, printJson } from './output.ts';

export function addCheck(program: Command): void {
  const command = program
    .command('check <file>')
    .summary('check a configuration file')
    .description(
      'Check a configuration file. Every mistake is shown with its line and column, and so is ' +
        'every socket and trace whose directory does not exist.',
    )
    .addHelpText('after', example('heddle check nic.yaml', 'heddle check nic.yaml --json'));
  addJsonOption(command).action(async (file: string, options: { json?: true }) => {
    const { loadConfig } = await import('../config/load.ts');
    const { missingDirectories } = await import('../config/directories.ts');
    const config = loadConfig(file, missingDirectories);
    if (options.json) return printJson(config);
    const { name, processors, vfs } = config;
    const count = (number: number, noun: string): string =>
      `${number} ${noun}${number === 1 ? '' : 's'}`;
    print(`${file}: valid: ${name}, ${count(vfs.length, 'VF')}, ${count(processors, 'processor')}`);
  });
}
