// `heddle group …`: groups of VFs that share what they are promised.

import type { Command } from 'commander';
import { rateText, valueText } from '../config/rates.ts';
import type { GroupChangesInput } from '../config/types.ts';
import type { GroupInfo } from '../nic/types.ts';
import {
  addCommandGroup,
  addJsonOption,
  addSubcommand,
  type ControlOptions,
  clientOf,
} from './options.ts';
import { list, print, printJson, table } from './output.ts';
import { addSendingOptions } from './sharing-options.ts';

interface GroupOptions extends ControlOptions, GroupChangesInput {
  json?: true;
}

export function addGroup(program: Command): void {
  const group = addCommandGroup(
    program,
    'group',
    'list, add, change and remove groups of VFs',
    'Groups of VFs of the running NIC. VFs of a group share its guarantee, its limit and its weight.',
  );
  addList(group);
  addAdd(group);
  addSet(group);
  addRemove(group);
}

function addList(group: Command): void {
  const text = 'List the groups, what they are promised and what is in them.';
  const command = addSubcommand(group, 'list', text, ['heddle group list']);
  addJsonOption(command).action(async (options: GroupOptions) => {
    const groups = await clientOf(options).groups();
    if (options.json) return printJson(groups);
    const rows = groups.map((one) => [
      ...[one.name, one.parent, rateText(one.txShare), rateText(one.txMax)],
      ...[one.txWeight, one.txPriority, one.members.join(' ') || 'nothing'],
    ]);
    print(table(['name', 'parent', 'share', 'max', 'weight', 'priority', 'members'], rows));
  });
}

function addAdd(group: Command): void {
  const command = addSubcommand(group, 'add <name>', 'Add a group to the running NIC.', [
    'heddle group add gold --tx-share 5Gbit --tx-max 20Gbit --tx-weight 4',
    'heddle group add web --parent gold',
  ]);
  addGroupOptions(command).action(async (name: string, options: GroupOptions) => {
    printGroup(await clientOf(options).addGroup({ name, ...saidIn(options) }), options);
  });
}

function addSet(group: Command): void {
  const text = 'Change a group while its VFs send.';
  const command = addSubcommand(group, 'set <name>', text, [
    'heddle group set gold --tx-max 10Gbit',
    'heddle group set web --parent none',
  ]);
  addGroupOptions(command).action(async (name: string, options: GroupOptions) => {
    const changes = saidIn(options);
    if (Object.keys(changes).length === 0) {
      return command.error('error: group set needs something to set');
    }
    printGroup(await clientOf(options).setGroup(name, changes), options);
  });
}

function addRemove(group: Command): void {
  const text = 'Remove a group that nothing is in any more.';
  addSubcommand(group, 'remove <name>', text, ['heddle group remove gold']).action(
    async (name: string, options: GroupOptions) => clientOf(options).removeGroup(name),
  );
}

function addGroupOptions(command: Command): Command {
  addJsonOption(command).option('--parent <name>', 'the group above, or none');
  return addSendingOptions(command);
}

/** Only the options given: a change must not reset the rest. */
function saidIn({ json: _, control: __, ...changes }: GroupOptions): GroupChangesInput {
  return changes;
}

function printGroup(group: GroupInfo, options: GroupOptions): void {
  if (options.json) {
    printJson(group);
    return;
  }
  const { members, ...rest } = group;
  const entries = Object.entries(rest).map(([key, value]): [string, string] => {
    return [key, valueText(key, value)];
  });
  print(list([...entries, ['members', members.join(' ') || 'nothing']]));
}
