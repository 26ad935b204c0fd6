// `heddle qemu`: how a VM attaches to a VF, for QEMU, libvirt and Cloud Hypervisor.

import { type Command, InvalidArgumentError, Option } from 'commander';
import { cloudHypervisorArguments, libvirtXml, qemuArguments, shellText } from '../api/attach.ts';
import {
  type Accelerator,
  availableAccelerator,
  installedQemuVersion,
} from '../api/qemu-version.ts';
import { loadConfig } from '../config/load.ts';
import { operatorError } from '../errors.ts';
import type { VfConfig } from '../nic/types.ts';
import {
  addControlOption,
  addJsonOption,
  type ControlOptions,
  clientOf,
  example,
} from './options.ts';
import { print, printJson } from './output.ts';

interface QemuOptions extends ControlOptions {
  config?: string;
  libvirt?: true;
  cloudHypervisor?: true;
  memory: string;
  qemuVersion?: string;
  accel?: Accelerator;
  json?: true;
}

const notes = `
The NIC refuses memory that is not sealed against shrinking: "heddle vf show" then says so, and
allowUnsealedMemory is the way out if you trust the VMM.
`;

export function addQemu(program: Command): void {
  const command = program
    .command('qemu <vf>')
    .summary('print how a VM attaches to a VF')
    .description('Print the arguments with which a VM attaches to a VF, ready to paste.')
    .addOption(
      new Option('--libvirt', 'XML of a libvirt domain (libvirt 8.2 or later)').conflicts(
        'cloudHypervisor',
      ),
    )
    .option('--cloud-hypervisor', 'flags of Cloud Hypervisor')
    .addOption(
      new Option('--memory <size>', 'memory of the VM: 512M, 4G; a plain number is MiB')
        .argParser(memorySize)
        .default('1G'),
    )
    .option('--qemu-version <version>', 'for which QEMU (default: the one in the PATH)')
    .addOption(
      new Option('--accel <name>', 'for which accelerator (default: kvm where it works)').choices([
        'kvm',
        'tcg',
      ]),
    )
    .option('--config <file>', 'take the VF from a file: no NIC needs to run')
    .addHelpText('after', `${notes}${example('heddle qemu vm1', 'heddle qemu vm1 --libvirt')}`);
  addControlOption(addJsonOption(command)).action(async (name: string, options: QemuOptions) => {
    const vf = await findVf(name, options);
    if (options.libvirt) {
      const xml = libvirtXml(vf);
      return options.json ? printJson(xml) : print(xml);
    }
    const build = options.cloudHypervisor ? cloudHypervisorArguments : qemuArguments;
    const { memory, qemuVersion = installedQemuVersion() } = options;
    const accelerator = options.accel ?? availableAccelerator();
    const words = build(vf, { memory, qemuVersion, accelerator });
    if (options.json) printJson(words);
    else print(shellText(words));
  });
}

/** With its unit: QEMU reads a plain number as MiB after -m, and as bytes in a memory back end. */
function memorySize(text: string): string {
  const [, number, unit] = /^([1-9]\d{0,8})([KMGT]?)$/i.exec(text) ?? [];
  if (number === undefined) throw new InvalidArgumentError('Give a size such as 512M or 4G.');
  return `${number}${unit?.toUpperCase() || 'M'}`;
}

async function findVf(name: string, options: QemuOptions): Promise<VfConfig> {
  if (options.config === undefined) return clientOf(options).vf(name);
  const vf = loadConfig(options.config).vfs.find((candidate) => candidate.name === name);
  if (vf === undefined) throw operatorError('HEDDLE_VF_NOT_FOUND', { vf: name });
  return vf;
}
