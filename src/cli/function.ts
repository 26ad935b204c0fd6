// `heddle function …`: functions of the running NIC that are not VFs.

import type { Command } from 'commander';
import {
  addCommandGroup,
  addJsonOption,
  addSubcommand,
  type ControlOptions,
  clientOf,
} from './options.ts';
import { print, printJson, table } from './output.ts';

export function addFunction(program: Command): void {
  const group = addCommandGroup(
    program,
    'function',
    'list functions that are not VFs',
    'Functions of the running NIC that are not VFs: entropy devices.',
  );
  const text = 'List the functions and their state.';
  const command = addSubcommand(group, 'list', text, ['heddle function list']);
  addJsonOption(command).action(async (options: ControlOptions & { json?: true }) => {
    const functions = await clientOf(options).functions();
    if (options.json) return printJson(functions);
    const rows = functions.map((one) => [
      ...[one.name, one.kind, one.state, one.socket],
      one.lastFault ?? '',
    ]);
    print(table(['name', 'kind', 'state', 'socket', 'last fault'], rows));
  });
}
