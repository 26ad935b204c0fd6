// How a VM attaches to a VF: the arguments for each VMM, ready to paste.

import { operatorError } from '../errors.ts';
import type { VfConfig } from '../functions/net/config.ts';
import { type Accelerator, chardevRole, isOlder } from './qemu-version.ts';

/** The parts of a VF that attaching depends on. */
export type Attachable = Pick<VfConfig, 'name' | 'socket' | 'mode' | 'mac' | 'queuePairs' | 'mtu'>;

export interface AttachOptions {
  /** Guest memory as the VMM writes it, for example 1G. */
  memory?: string;
  /**
   * The version of QEMU, for example 7.2, since options differ. Default: a new one (9.2 or later).
   */
  qemuVersion?: string | undefined;
  /** What runs the guest's code. If undefined, the option is omitted; QEMU's default is TCG. */
  accelerator?: Accelerator | undefined;
}

/** The parts of a VF that User-Mode Linux needs to know. */
type UmlAttachable = Attachable & Pick<VfConfig, 'allowUnsealedMemory'>;

/** 5.1.1 */
const VIRTIO_ID_NET = 1;
const MEMORY_DEFAULT = '1G';
const MTU_ETHERNET = 1500;

/** In QEMU's option lists a comma ends a value; a doubled comma stands for itself. */
const qemuValue = (text: string): string => text.replaceAll(',', ',,');

/** Arguments of qemu-system-*, one per array element. */
export function qemuArguments(vf: Attachable, options: AttachOptions = {}): string[] {
  const size = options.memory ?? MEMORY_DEFAULT;
  const end = chardevRole(vf.mode, options.qemuVersion);
  // The prefixes are needed because an id must start with a letter and a VF's name need not.
  const device = ['virtio-net-pci', `netdev=net-${vf.name}`, `mac=${vf.mac}`];
  if (vf.queuePairs > 1) device.push('mq=on');
  // Under TCG, QEMU 7.2 crashes as soon as a guest's driver uses MSI-X with vhost-user.
  if (options.accelerator === 'tcg' && isOlder(options.qemuVersion, 8, 0)) device.push('vectors=0');
  // Two vectors per pair, one for the control queue, one for changes of the configuration.
  else if (vf.queuePairs > 1) device.push(`vectors=${2 * vf.queuePairs + 2}`);
  if (vf.mtu !== MTU_ETHERNET) device.push(`host_mtu=${vf.mtu}`);
  // QEMU keeps the control queue, so the NIC would not learn what a guest turns off there.
  device.push('ctrl_guest_offloads=off');
  return [
    ...['-m', size],
    // The NIC maps the guest's memory, so it must be shared; memfd seals it against shrinking.
    ...['-object', `memory-backend-memfd,id=mem,size=${size},share=on`],
    ...['-machine', 'memory-backend=mem'],
    ...['-chardev', `socket,id=socket-${vf.name},path=${qemuValue(vf.socket)},${end}`],
    ...[
      '-netdev',
      `vhost-user,id=net-${vf.name},chardev=socket-${vf.name},queues=${vf.queuePairs}`,
    ],
    ...['-device', device.join(',')],
    ...acceleratorArguments(options.accelerator),
  ];
}

/**
 * With at most one CPU, TCG omits memory barriers and atomic operations, as if nobody else saw the
 * guest's memory. The NIC does see it, and a kick or an interrupt could be lost for good.
 */
function acceleratorArguments(accelerator: Accelerator | undefined): string[] {
  if (accelerator === undefined) return [];
  return accelerator === 'kvm' ? ['-accel', 'kvm'] : ['-accel', 'tcg', '-smp', '1,maxcpus=2'];
}

/** Flags of cloud-hypervisor. */
export function cloudHypervisorArguments(vf: Attachable, options: AttachOptions = {}): string[] {
  const net = [
    'vhost_user=true',
    `socket=${vf.socket}`,
    `mac=${vf.mac}`,
    `num_queues=${2 * vf.queuePairs}`,
    `vhost_mode=${vf.mode === 'server' ? 'client' : 'server'}`,
  ];
  if (vf.mtu !== MTU_ETHERNET) net.push(`mtu=${vf.mtu}`);
  const memory = `size=${options.memory ?? MEMORY_DEFAULT},shared=on`;
  return ['--memory', memory, '--net', net.join(',')];
}

/** Arguments of a User-Mode Linux kernel. It learns the VF's MAC and queues from the NIC. */
export function umlArguments(vf: UmlAttachable, options: AttachOptions = {}): string[] {
  const refuse = (reason: string, received: string, suggestion: string): never => {
    throw operatorError('HEDDLE_UML_ATTACH', { reason, received, suggestion });
  };
  if (!vf.allowUnsealedMemory) {
    const way = `If you trust the guest: "heddle vf set ${vf.name} --allow-unsealed-memory".`;
    refuse('its memory is an unsealed file, which the VF does not accept', vf.name, way);
  }
  if (vf.mode !== 'server') {
    refuse(
      'both would connect and neither would listen',
      `mode: ${vf.mode}`,
      'Use "mode: server" on the VF.',
    );
  }
  if (vf.socket.includes(':')) {
    refuse('it ends socket paths at a colon', vf.socket, 'Choose a path without one.');
  }
  return [
    `mem=${options.memory ?? MEMORY_DEFAULT}`,
    `virtio_uml.device=${vf.socket}:${VIRTIO_ID_NET}`,
    ...['root=/dev/root', 'rootfstype=hostfs', 'rootflags=/', 'rw', 'init=/bin/sh'],
  ];
}

const xmlValue = (text: string): string =>
  text.replace(/[&<>']/g, (character) => `&#${character.charCodeAt(0)};`);

/**
 * Three elements of a libvirt domain (8.2 or later): the middle one belongs under <devices>, the
 * others under <domain>.
 */
export function libvirtXml(vf: Attachable): string {
  const source = `type='unix' path='${xmlValue(vf.socket)}'`;
  // "ua-" marks a user's alias, in which libvirt allows letters, digits, _ and -.
  const alias = `ua-${vf.name.replaceAll(/[^\w-]/g, '-')}`;
  return [
    '<memoryBacking>',
    "  <source type='memfd'/>",
    "  <access mode='shared'/>",
    '</memoryBacking>',
    '',
    "<interface type='vhostuser'>",
    `  <alias name='${alias}'/>`,
    `  <mac address='${vf.mac}'/>`,
    ...(vf.mode === 'server'
      ? [
          `  <source ${source} mode='client'>`,
          "    <reconnect enabled='yes' timeout='1'/>",
          '  </source>',
        ]
      : [`  <source ${source} mode='server'/>`]),
    "  <model type='virtio'/>",
    ...(vf.queuePairs > 1 ? [`  <driver queues='${vf.queuePairs}'/>`] : []),
    '</interface>',
    '',
    "<qemu:override xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>",
    `  <qemu:device alias='${alias}'>`,
    '    <qemu:frontend>',
    ...qemuProperties(vf).map((property) => `      <qemu:property ${property}/>`),
    '    </qemu:frontend>',
    '  </qemu:device>',
    '</qemu:override>',
  ].join('\n');
}

/**
 * Properties that libvirt has no elements for. It would set its <mtu> on an interface of the host,
 * which a vhost-user device has only with Open vSwitch: the VM would not start.
 */
function qemuProperties({ mtu }: Attachable): string[] {
  const controls = "name='ctrl_guest_offloads' type='bool' value='false'";
  if (mtu === MTU_ETHERNET) return [controls];
  return [controls, `name='host_mtu' type='unsigned' value='${mtu}'`];
}

/** Arguments for a shell, quoted where needed, one option per line. */
export function shellText(words: readonly string[]): string {
  const quoted = words.map((word) =>
    /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`,
  );
  return quoted
    .reduce<string[]>((lines, word) => {
      if (word.startsWith('-') || lines.length === 0) lines.push(word);
      else lines[lines.length - 1] += ` ${word}`;
      return lines;
    }, [])
    .join(' \\\n');
}
