// `heddle vf …`: the virtual functions of the running NIC.

import { type Command, Option } from 'commander';
import { valueText } from '../config/rates.ts';
import type { VfChangesInput } from '../functions/net/config.ts';
import type { VfInfo } from '../functions/net/types.ts';
import { vlanText } from '../state/vlan.ts';
import {
  absolutePath,
  addCommandGroup,
  addGroOptions,
  addJsonOption,
  addSubcommand,
  type ControlOptions,
  clientOf,
  wholeNumber,
} from './options.ts';
import { list, print, printJson, table } from './output.ts';
import { addReceivingOptions, addSendingOptions } from './sharing-options.ts';
import { additionOf, addVlanOptions, changesOf, type VlanOptions } from './vlan-options.ts';

interface VfOptions extends ControlOptions, VlanOptions, Omit<VfChangesInput, 'vlan'> {
  json?: true;
}

export function addVf(program: Command): void {
  const vf = addCommandGroup(
    program,
    'vf',
    'list, show, add, change and remove VFs',
    'The virtual functions of the running NIC.',
  );
  addList(vf);
  addShow(vf);
  addAdd(vf);
  addSet(vf);
  addRemove(vf);
}

function addList(vf: Command): void {
  const command = addSubcommand(vf, 'list', 'List the VFs and their state.', ['heddle vf list']);
  addJsonOption(command).action(async (options: VfOptions) => {
    const vfs = await clientOf(options).vfs();
    if (options.json) return printJson(vfs);
    const rows = vfs.map((vf) => [
      // "down" next to a link that is "up" would not say what is down.
      ...[vf.name, vf.state === 'down' ? 'none' : vf.state, vf.link, vf.mac, vlanText(vf.vlan)],
      ...[vf.queuePairs, vf.mode, vf.socket],
    ]);
    print(table(['name', 'vmm', 'link', 'mac', 'vlan', 'pairs', 'mode', 'socket'], rows));
  });
}

function addShow(vf: Command): void {
  const text = 'Show one VF: its configuration, its features and its rings.';
  const command = addSubcommand(vf, 'show <name>', text, ['heddle vf show vm1']);
  addJsonOption(command).action(async (name: string, options: VfOptions) => {
    printVf(await clientOf(options).vf(name), options);
  });
}

function addAdd(vf: Command): void {
  const command = addSubcommand(vf, 'add <name>', 'Add a VF to the running NIC.', [
    'heddle vf add vm3 --socket /run/user/1000/heddle/vm3.sock',
    'heddle vf add vm5 --socket /tmp/vm5.sock --tx-share 1Gbit --tx-max 5Gbit --group gold',
    'heddle vf add vm4 --socket /tmp/vm4.sock --mode client --queue-pairs 2',
  ]);
  addVfOptions(command).action(async (name: string, options: VfOptions) => {
    const { socket, ...rest } = additionOf(options);
    if (socket === undefined) return command.error('error: vf add needs --socket <path>');
    printVf(await clientOf(options).addVf({ name, socket, ...rest }), options);
  });
}

function addSet(vf: Command): void {
  const text =
    'Change a VF. Its socket, mode, queue pairs, MTU and features reconnect, or wait until the ' +
    'VMM is restarted ("pending"); everything else changes in place.';
  const command = addSubcommand(vf, 'set <name>', text, [
    'heddle vf set vm1 --mac 02:00:00:00:00:0a',
    'heddle vf set vm1 --queue-pairs 4',
    'heddle vf set vm1 --access 10 --priority 3',
    'heddle vf set vm1 --link-state auto',
    'heddle vf set vm1 --tx-share 1Gbit --tx-max 5Gbit --tx-burst 2MB --rx-max 5Gbit',
    'heddle vf set vm1 --tx-max none --group none',
  ]);
  addVfOptions(command)
    .option('--no-allow-unsealed-memory', 'refuse memory that its owner could truncate')
    .action(async (name: string, options: VfOptions) => {
      const client = clientOf(options);
      const changes = await changesOf(options, () => client.vf(name), command);
      printVf(await client.setVf(name, changes), options);
    });
}

function addRemove(vf: Command): void {
  const text = 'Remove a VF and its socket; its guest loses its link.';
  addSubcommand(vf, 'remove <name>', text, ['heddle vf remove vm3']).action(
    async (name: string, options: VfOptions) => clientOf(options).removeVf(name),
  );
}

function addVfOptions(command: Command): Command {
  const socket = new Option('--socket <path>', 'path of the vhost-user socket');
  const linkState = new Option(
    '--link-state <state>',
    'when the link is up: while an uplink is (auto), always, never',
  );
  const mode = new Option(
    '--mode <mode>',
    'who listens on the socket: the NIC (server) or the VMM (client)',
  );
  addJsonOption(command)
    .addOption(socket.argParser(absolutePath))
    .addOption(mode.choices(['server', 'client']))
    .option('--mac <address>', 'unicast MAC address')
    .option('--queue-pairs <count>', 'pairs of a receive and a transmit queue', wholeNumber)
    .option('--mtu <bytes>', 'largest IP packet', wholeNumber)
    .addOption(linkState.choices(['auto', 'enable', 'disable']))
    .option('--allow-unsealed-memory', 'accept memory that its owner could truncate');
  addGroOptions(command);
  addVlanOptions(command);
  command.option('--group <name>', 'the group that it is in, or none');
  return addReceivingOptions(addSendingOptions(command));
}

function printVf(vf: VfInfo, options: VfOptions): void {
  if (options.json) {
    printJson(vf);
    return;
  }
  const { features, rings, lastFault, vlan, ...rest } = vf;
  const entries = Object.entries(rest).map(([key, value]): [string, string] => {
    return [key, valueText(key, value)];
  });
  entries.push(['vlan', vlanText(vlan)]);
  entries.push(['features', features.join(' ') || 'none']);
  if (lastFault !== undefined) entries.push(['lastFault', lastFault]);
  print(list(entries));
  if (rings.length === 0) return;
  const rows = rings.map(({ queue, direction, state, size, fault }) => [
    ...[queue, direction, state, size],
    ...(fault === undefined ? [] : [fault]),
  ]);
  const header = ['queue', 'direction', 'state', 'size'];
  if (rings.some(({ fault }) => fault !== undefined)) header.push('fault');
  print(`\n${table(header, rows)}`);
}
