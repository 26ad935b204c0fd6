// `heddle up`: one NIC in the foreground, until a signal ends it.

import { type Command, Option } from 'commander';
import { absolutePath, example } from './options.ts';
import type { ProgramContext } from './program-context.ts';
import type { UpOptions } from './serve.ts';

const LOG_LEVELS = ['silent', 'error', 'warn', 'info', 'debug'];

export function addUp(program: Command, context: ProgramContext): void {
  program
    .command('up')
    .summary('run a NIC in the foreground')
    .description(
      'Run a NIC in the foreground, with two VFs or with those of a configuration. SIGTERM and ' +
        'SIGINT end it; SIGHUP reloads the configuration file.',
    )
    .option('--config <file>', 'YAML file with the NIC and its VFs')
    .addOption(
      new Option('--control <socket>', 'where other commands reach this NIC').argParser(
        absolutePath,
      ),
    )
    .option('--json', 'print one JSON object per event')
    .addOption(
      new Option('--log-level <level>', 'log to stderr').choices(LOG_LEVELS).default('warn'),
    )
    .addHelpText('after', example('heddle up', 'heddle up --config nic.yaml --json'))
    .action(async (options: UpOptions) => {
      const { up } = await import('./serve.ts');
      await up(options, context);
    });
}
