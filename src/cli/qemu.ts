// `heddle qemu`: how a VM attaches to a VF, with QEMU, libvirt or Cloud Hypervisor.

import { type Command, Option } from 'commander';
import { cloudHypervisorArguments, libvirtXml, qemuArguments, shellText } from '../api/attach.ts';
import {
  type Accelerator,
  availableAccelerator,
  installedQemuVersion,
} from '../api/qemu-version.ts';
import { type AttachOptions, findVf, memoryOption } from './attach-options.ts';
import { addControlOption, addJsonOption, example } from './options.ts';
import { print, printJson } from './output.ts';

interface QemuOptions extends AttachOptions {
  libvirt?: true;
  cloudHypervisor?: true;
  qemuVersion?: string;
  accel?: Accelerator;
}

const notes = `
The NIC refuses memory that is not sealed against shrinking; "heddle vf show" then says so. Set
allowUnsealedMemory if you trust the VMM.
`;

export function addQemu(program: Command): void {
  const command = program
    .command('qemu <vf>')
    .summary('print how a VM attaches to a VF')
    .description('Print the arguments that attach a VM to a VF, ready to paste.')
    .addOption(
      new Option('--libvirt', 'XML of a libvirt domain (libvirt 8.2 or later)').conflicts(
        'cloudHypervisor',
      ),
    )
    .option('--cloud-hypervisor', 'flags of Cloud Hypervisor')
    .addOption(memoryOption())
    .option('--qemu-version <version>', 'version of QEMU (default: the one in PATH)')
    .addOption(
      new Option('--accel <name>', 'accelerator (default: kvm if it works)').choices([
        'kvm',
        'tcg',
      ]),
    )
    .option('--config <file>', 'take the VF from a file; no NIC need run')
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
