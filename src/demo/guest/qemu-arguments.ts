import { chardevRole, installedQemuVersion } from '../../api/qemu-version.ts';
import type { Kernel } from './kernel.ts';
import type { GuestOptions } from './options.ts';

/** File descriptors that QEMU inherits; both are sockets. */
export const consoleFd = 3;
export const commandFd = 4;

/** The back end gets invalidations through ATS, which `device-iotlb` enables. */
const iommuDevice = 'intel-iommu,intremap=off,device-iotlb=on,caching-mode=on';

/**
 * All that TCG can emulate, except the hint that `rep movsb` is the fastest copy: TCG moves one
 * byte at a time, and a guest that avoids it copies two to three times as fast.
 */
const processor = 'max,erms=off,fsrm=off';

/** QEMU's command line for a guest whose only NIC is a VF. */
export function qemuArguments(options: GuestOptions, kernel: Kernel, image: string): string[] {
  return [
    ...machineArguments(options),
    ...['-kernel', kernel.image, '-initrd', image, '-append', kernelCommandLine(options)],
    ...['-chardev', `socket,id=console,fd=${consoleFd}`, '-serial', 'chardev:console'],
    ...['-chardev', `socket,id=command,fd=${commandFd}`, '-serial', 'chardev:command'],
    ...nicArguments(options),
    ...(options.rngSocket === undefined ? [] : rngArguments(options.rngSocket)),
    ...(options.monitorSocket === undefined ? [] : monitorArguments(options.monitorSocket)),
  ];
}

/** Without MSI-X, for the same reason as the NIC. */
function rngArguments(socket: string): string[] {
  return [
    ...['-chardev', `socket,id=rng,path=${socket}`],
    ...['-device', 'vhost-user-rng-pci,chardev=rng,vectors=0'],
  ];
}

function monitorArguments(socket: string): string[] {
  return ['-qmp', `unix:${socket},server=on,wait=off`];
}

function machineArguments(options: GuestOptions): string[] {
  const memory = options.memory ?? 'memfd';
  const size = options.memoryMiB ?? 192;
  const isShared = memory !== 'private';
  const pages = memory === 'hugetlb' ? ',hugetlb=on,hugetlbsize=2M' : '';
  const backend = `memory-backend-memfd,id=ram,size=${size}M,share=on${pages}`;
  const machine = ['q35', ...(isShared ? ['memory-backend=ram'] : []), 'usb=off', 'vmport=off'];
  return [
    ...['-nodefaults', '-no-user-config', '-nographic', '-name', options.name],
    ...['-machine', machine.join(','), '-accel', 'tcg', '-cpu', processor],
    ...['-smp', processorsOf(options), '-m', `${size}M`],
    ...(isShared ? ['-object', backend] : []),
    ...(options.iommu === true ? ['-device', iommuDevice] : []),
  ];
}

/**
 * At least two CPUs at most: with a maximum of one, TCG leaves out memory barriers and atomic
 * operations, as if nothing else accessed the guest's memory. But a back end does, and a kick or an
 * interrupt can be lost: for good, since with event indices neither side checks again.
 */
function processorsOf({ processors, queuePairs }: GuestOptions): string {
  const count = processors ?? queuePairs ?? 1;
  return `${count},maxcpus=${Math.max(count, 2)}`;
}

function nicArguments(options: GuestOptions): string[] {
  const pairs = options.queuePairs ?? 1;
  const nicMode = options.socketMode === 'server' ? 'client' : 'server';
  const socket = chardevRole(nicMode, installedQemuVersion());
  const device = ['virtio-net-pci', 'netdev=net', `mac=${options.mac}`, 'romfile='];
  if (pairs > 1) device.push('mq=on');
  // Under TCG, QEMU 7.2 crashes when vhost-user uses MSI-X; newer versions only lose a little
  // speed.
  device.push('vectors=0', ...(options.deviceProperties ?? []));
  if (options.iommu === true) device.push('disable-legacy=on', 'iommu_platform=on', 'ats=on');
  if (options.netdev !== undefined) {
    return ['-netdev', `${options.netdev},id=net`, '-device', device.join(',')];
  }
  return [
    ...['-chardev', `socket,id=vf,path=${options.socket},${socket}`],
    ...['-netdev', `vhost-user,id=net,chardev=vf,queues=${pairs}`],
    ...['-device', device.join(',')],
  ];
}

function kernelCommandLine(options: GuestOptions): string {
  const words = [
    'console=ttyS0 quiet panic=0',
    // A guest that loses its CPU while it calibrates its TSC finds a tenth of the true frequency,
    // and its clock runs ten times too fast. The frequency of the HPET is known.
    'tsc=unstable clocksource=hpet',
    // The timer check fails on a busy host, and mitigations are useless in emulation.
    'no_timer_check mitigations=off random.trust_cpu=on',
    `guest_name=${options.name}`,
  ];
  if (options.iommu === true) words.push('intel_iommu=on');
  if (options.address !== undefined) words.push(`guest_address=${options.address}`);
  return words.join(' ');
}
