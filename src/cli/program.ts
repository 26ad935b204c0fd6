// The commands, their options and their exit codes: 0 done, 1 refused or failed, 2 wrong usage.

import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { operatorError } from '../errors.ts';
import { addApply } from './apply.ts';
import { addCheck } from './check.ts';
import { addFdb } from './fdb.ts';
import { addFunction } from './function.ts';
import { addGroup } from './group.ts';
import { errorText } from './output.ts';
import type { ProgramContext } from './program-context.ts';
import { addQemu } from './qemu.ts';
import { addRate } from './rate.ts';
import { addStats } from './stats.ts';
import { addUml } from './uml.ts';
import { addUp } from './up.ts';
import { addUplink } from './uplink.ts';
import { addVf } from './vf.ts';

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

export function createProgram(context: ProgramContext): Command {
  const program = new Command('heddle')
    .description('A software network interface for virtual machines.')
    .version(packageVersion())
    .showHelpAfterError('(see --help)')
    .configureOutput({
      outputError: (text, write) => write(text.replace(/^error: /, 'heddle: ')),
    })
    .exitOverride()
    .addHelpText('after', '\nExample:\n  $ heddle up                # two VFs, ready for two VMs');
  addUp(program, context);
  addVf(program);
  addGroup(program);
  addUplink(program);
  addFunction(program);
  addStats(program);
  addRate(program);
  addFdb(program);
  addApply(program);
  addQemu(program);
  addUml(program);
  addCheck(program);
  return program;
}

export async function run(words: readonly string[], context: ProgramContext): Promise<number> {
  // A reader that closes the pipe (`heddle stats | head -1`) is not an error. `up` has its own
  // writer and must not touch Node's streams, since touching them opens them.
  if (words[0] !== 'up') {
    process.stdout.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(0);
      const reason = error.code ?? error.message;
      const refused = operatorError('HEDDLE_OUTPUT_REFUSED', { reason }, { cause: error });
      process.stderr.write(`${errorText(refused)}\n`);
      process.exit(EXIT_FAILED);
    });
  }
  try {
    await createProgram(context).parseAsync(words, { from: 'user' });
    return 0;
  } catch (error) {
    // Commander has already printed its message.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
    process.stderr.write(`${errorText(error)}\n`);
    return EXIT_FAILED;
  }
}

/** The package.json above this file: two levels up in the sources, three in the build. */
function packageVersion(): string {
  for (const path of ['../../package.json', '../../../package.json']) {
    try {
      const text = readFileSync(new URL(path, import.meta.url), 'utf8');
      return (JSON.parse(text) as { version: string }).version;
    } catch {
      // Not at this level.
    }
  }
  return 'unknown';
}
