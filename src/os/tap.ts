// TAP devices: a network card of the kernel whose other end is a file descriptor (tuntap.rst).
import { readFileSync } from 'node:fs';
import { O_CLOEXEC, O_NONBLOCK, O_RDWR } from './constants.ts';
import { c, errno } from './libc.ts';
import { writeInterfaceRequest } from './net-device.ts';
import { scratch } from './scratch.ts';

const TUNSETIFF = 0x400454ca;
const TUNSETOFFLOAD = 0x400454d0;
const TUNSETVNETHDRSZ = 0x400454d8;

const IFF_TAP = 2;
const IFF_MULTI_QUEUE = 0x100;
const IFF_NO_PI = 0x1000;
const IFF_VNET_HDR = 0x4000;
const FLAGS_OFFSET = 16;

const TUN_F_CSUM = 1;
const TUN_F_TSO4 = 2;
const TUN_F_TSO6 = 4;
const TUN_F_TSO_ECN = 8;
const TUN_F_USO4 = 0x20;
const TUN_F_USO6 = 0x40;

export interface TapQueue {
  fd: number;
  /** Checksums and TCP segmentation may be incomplete in both directions. */
  hasSegmentation: boolean;
  /** UDP segmentation too (Linux 6.2). */
  hasUdpSegmentation: boolean;
}

/**
 * Opens a queue of a TAP, and creates the device if it does not exist. Frames carry a virtio-net
 * header of `headerSize` bytes. Returns errno if the kernel refuses.
 */
export function openTapQueue(
  name: string,
  headerSize: number,
  isMultiQueue: boolean,
): TapQueue | number {
  const fd = c.open('/dev/net/tun', O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd === -1) return errno();
  const fail = (): number => {
    const error = errno();
    c.close(fd);
    return error;
  };
  writeInterfaceRequest(name);
  const flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (isMultiQueue ? IFF_MULTI_QUEUE : 0);
  scratch.view.setUint16(FLAGS_OFFSET, flags, true);
  if (c.ioctl(fd, TUNSETIFF, scratch.address) === -1) return fail();
  scratch.view.setInt32(0, headerSize, true);
  if (c.ioctl(fd, TUNSETVNETHDRSZ, scratch.address) === -1) return fail();
  const tcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
  // What we accept incomplete from the kernel, and it from us. Both kinds of USO or none.
  const hasUdpSegmentation = c.ioctl(fd, TUNSETOFFLOAD, tcp | TUN_F_USO4 | TUN_F_USO6) === 0;
  const hasSegmentation = hasUdpSegmentation || c.ioctl(fd, TUNSETOFFLOAD, tcp) === 0;
  return { fd, hasSegmentation, hasUdpSegmentation };
}

/** Whether an existing TAP is multi-queue, which its queues must match. Null: no TAP. */
export function isMultiQueueTap(name: string): boolean | null {
  try {
    const flags = Number(readFileSync(`/sys/class/net/${name}/tun_flags`, 'utf8'));
    return (flags & IFF_MULTI_QUEUE) !== 0;
  } catch {
    return null;
  }
}
