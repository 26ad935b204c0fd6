// `heddle uplink …`: the uplinks of the running NIC.

import { type Command, Option } from 'commander';
import { valueText } from '../config/rates.ts';
import { vlanText } from '../state/vlan.ts';
import type { UplinkChanges, UplinkConfigInput } from '../uplinks/config.ts';
import type { UplinkInfo } from '../uplinks/types.ts';
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
import { additionOf, addVlanOptions, changesOf, type VlanOptions } from './vlan-options.ts';

interface UplinkOptions extends ControlOptions, VlanOptions, Omit<UplinkChanges, 'vlan'> {
  json?: true;
}

export function addUplink(program: Command): void {
  const uplink = addCommandGroup(
    program,
    'uplink',
    'list, show, add, change and remove uplinks',
    'The uplinks of the running NIC to other networks.',
  );
  addList(uplink);
  addShow(uplink);
  addAdd(uplink);
  addSet(uplink);
  addRemove(uplink);
}

function addList(uplink: Command): void {
  const text = 'List the uplinks and their state.';
  const command = addSubcommand(uplink, 'list', text, ['heddle uplink list']);
  addJsonOption(command).action(async (options: UplinkOptions) => {
    const uplinks = await clientOf(options).uplinks();
    if (options.json) return printJson(uplinks);
    const rows = uplinks.map((one) => [
      one.name,
      one.type,
      one.state,
      vlanText(one.vlan),
      place(one),
      one.reason ?? '',
    ]);
    print(table(['name', 'type', 'state', 'vlan', 'where', 'reason'], rows));
  });
}

/** What distinguishes two uplinks of one type. */
function place(uplink: UplinkInfo): string {
  if ('interface' in uplink) return uplink.interface;
  if ('socket' in uplink) return uplink.socket;
  return 'program' in uplink ? uplink.program : '';
}

function addShow(uplink: Command): void {
  const text = 'Show one uplink: its configuration and what it can do.';
  const command = addSubcommand(uplink, 'show <name>', text, ['heddle uplink show wan']);
  addJsonOption(command).action(async (name: string, options: UplinkOptions) => {
    printUplink(await clientOf(options).uplink(name), options);
  });
}

function addAdd(uplink: Command): void {
  const command = addSubcommand(uplink, 'add <name> <type>', 'Add an uplink to the running NIC.', [
    'heddle uplink add wan passt',
    'heddle uplink add host tap --interface heddle0',
    'heddle uplink add lan packet --interface eth0',
    'heddle uplink add fast xdp --interface eth1 --queues 2 --attach native',
  ]);
  addUplinkOptions(command).action(async (name: string, type: string, options: UplinkOptions) => {
    const { UPLINK_TYPES } = await import('../config/uplink-schema.ts');
    if (!UPLINK_TYPES.includes(type)) {
      command.error(
        `error: ${type} is not a type of uplink; the types are ${UPLINK_TYPES.join(', ')}`,
      );
    }
    const config = { ...additionOf(options), name, type } as UplinkConfigInput;
    printUplink(await clientOf(options).addUplink(config), options);
  });
}

function addSet(uplink: Command): void {
  const text =
    'Change an uplink. Its link goes down for a moment, unless only VLANs, GRO, the number of ' +
    'addresses, the capacity or the overhead change.';
  const command = addSubcommand(uplink, 'set <name>', text, [
    'heddle uplink set host --mtu 9000',
    'heddle uplink set lan --trunk 10,20 --native 10',
    'heddle uplink set lan --capacity 10Gbit --overhead 24',
  ]);
  addUplinkOptions(command).action(async (name: string, options: UplinkOptions) => {
    const client = clientOf(options);
    const changes = await changesOf(options, () => client.uplink(name), command);
    printUplink(await client.setUplink(name, changes), options);
  });
}

function addRemove(uplink: Command): void {
  const text = 'Remove an uplink; the VMs can still reach each other.';
  addSubcommand(uplink, 'remove <name>', text, ['heddle uplink remove wan']).action(
    async (name: string, options: UplinkOptions) => clientOf(options).removeUplink(name),
  );
}

function addUplinkOptions(command: Command): Command {
  const socket = new Option(
    '--socket <path>',
    "path of our end (stream, dgram) or of the switch's directory (vde)",
  );
  const peer = new Option('--peer <path>', "path of the peer's end (dgram)");
  const mode = new Option(
    '--mode <mode>',
    'who listens (stream): the NIC (server) or the peer (client)',
  );
  const attach = new Option('--attach <place>', 'where the program attaches (xdp)');
  const zeroCopy = new Option('--zero-copy <wish>', 'whether the driver moves frames itself (xdp)');
  addJsonOption(command)
    .option('--interface <name>', 'network interface (tap, packet, xdp)')
    .option('--mtu <bytes>', 'largest IP packet', wholeNumber)
    .option('--queues <count>', 'parallel queues (tap, packet, xdp)', wholeNumber)
    .addOption(socket.argParser(absolutePath))
    .addOption(peer.argParser(absolutePath))
    .addOption(mode.choices(['server', 'client']))
    .addOption(attach.choices(['auto', 'native', 'generic']))
    .addOption(zeroCopy.choices(['auto', 'required', 'never']))
    .option('--program <path>', 'the program (passt)')
    .option('--arguments <words...>', 'more arguments for the program (passt)')
    .option('--addresses-max <count>', 'most addresses learned behind it', wholeNumber)
    .option('--capacity <rate>', 'what the network takes, such as 10Gbit; auto, none')
    .option('--overhead <bytes>', 'of each frame on the wire, beside its own', wholeNumber);
  addGroOptions(command);
  return addVlanOptions(command);
}

function printUplink(uplink: UplinkInfo, options: UplinkOptions): void {
  if (options.json) {
    printJson(uplink);
    return;
  }
  const { capabilities, vlan, ...rest } = uplink;
  const entries = Object.entries(rest).map(([key, value]): [string, string] => {
    return [key, valueText(key, value)];
  });
  const able = Object.entries(capabilities ?? {}).map(
    ([key, value]) => `${key}=${valueText(key, value)}`,
  );
  entries.push(['vlan', vlanText(vlan)]);
  entries.push(['capabilities', able.join(' ') || 'none while it is down']);
  print(list(entries));
}
