// Options that several commands share, and how their arguments become values.

import { resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { ControlClient } from '../api/client.ts';
import { defaultControlSocket } from '../config/runtime-directory.ts';

export interface ControlOptions {
  control?: string;
}

export function addControlOption(command: Command): Command {
  const text = 'control socket of the NIC (default: HEDDLE_CONTROL, or the run-time directory)';
  return command.addOption(new Option('--control <socket>', text).argParser(absolutePath));
}

export function addJsonOption(command: Command): Command {
  return command.option('--json', 'print JSON, for programs');
}

export function clientOf(options: ControlOptions): ControlClient {
  return new ControlClient(options.control ?? defaultControlSocket());
}

/** A command that only groups subcommands. */
export function addCommandGroup(
  program: Command,
  name: string,
  summary: string,
  description: string,
): Command {
  const group = program.command(name).summary(summary).description(description);
  return group.addHelpText('after', example(`heddle ${name} list`));
}

/** A subcommand that talks to the running NIC. */
export function addSubcommand(
  group: Command,
  usage: string,
  description: string,
  examples: string[],
): Command {
  const command = group.command(usage).description(description);
  addControlOption(command);
  return command.addHelpText('after', example(...examples));
}

/** Absolute, because the NIC may run in another directory than the command. */
export function absolutePath(text: string): string {
  return resolve(text);
}

export function addGroOptions(command: Command): Command {
  return command
    .option('--gro', 'join TCP frames of a burst if the receiver accepts super-frames')
    .option('--no-gro', 'leave frames as they arrive');
}

/** Checks only the shape: the validator knows the range and has the better message. */
export function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('Give a whole number.');
  return Number(text);
}

export function example(...lines: string[]): string {
  return [
    '',
    lines.length > 1 ? 'Examples:' : 'Example:',
    ...lines.map((line) => `  $ ${line}`),
  ].join('\n');
}
