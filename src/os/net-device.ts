// The network interfaces of this machine, as the ioctls of netdevice(7) and sysfs show them.

import { existsSync, readFileSync } from 'node:fs';
import { AF_INET, SOCK_CLOEXEC, SOCK_DGRAM } from './constants.ts';
import { c, errno } from './libc.ts';
import { scratch } from './scratch.ts';
import { checked } from './system-error.ts';

/** IFNAMSIZ is 16, including the terminating zero. */
const INTERFACE_NAME_LENGTH_MAX = 15;

const SIOCGIFFLAGS = 0x8913;
const SIOCSIFFLAGS = 0x8914;
const SIOCGIFMTU = 0x8921;
const SIOCSIFMTU = 0x8922;
const SIOCGIFINDEX = 0x8933;
const SIOCETHTOOL = 0x8946;
/**
 * struct ethtool_channels: the maxima, then the current counts, among them receive and combined.
 */
const ETHTOOL_GCHANNELS = 0x3c;
const CHANNELS_SIZE = 36;
const CHANNELS_RECEIVE = 20;
const CHANNELS_COMBINED = 32;
const IFF_UP = 1;
const IFF_RUNNING = 0x40;

// struct ifreq: name[16], then a union of 24 bytes.
const NAME_SIZE = 16;
const REQUEST_SIZE = 40;

/** Writes a struct ifreq with this name at the start of the scratch page. */
export function writeInterfaceRequest(name: string): void {
  const bytes = new TextEncoder().encode(name);
  if (bytes.length > INTERFACE_NAME_LENGTH_MAX) throw new Error(`assertion: interface ${name}`);
  scratch.bytes.fill(0, 0, REQUEST_SIZE);
  scratch.bytes.set(bytes, 0);
}

export interface NetDevice {
  index: number;
  mtu: number;
  /** Administratively up, with carrier. */
  isUp: boolean;
  /** Bit/s; 0: it is no hardware, or does not tell. */
  speed: number;
}

/** The current state of an interface; null if there is none of this name. */
export function findNetDevice(name: string): NetDevice | null {
  return withSocket((socket) => {
    const ask = (request: number, read: () => number): number | null => {
      writeInterfaceRequest(name);
      return c.ioctl(socket, request, scratch.address) === -1 ? null : read();
    };
    const word = () => scratch.view.getInt32(NAME_SIZE, true);
    const index = ask(SIOCGIFINDEX, word);
    const mtu = ask(SIOCGIFMTU, word);
    const flags = ask(SIOCGIFFLAGS, () => scratch.view.getUint16(NAME_SIZE, true));
    if (index === null || mtu === null || flags === null) return null;
    const wanted = IFF_UP | IFF_RUNNING;
    return { index, mtu, isUp: (flags & wanted) === wanted, speed: hardwareSpeed(name) };
  });
}

/** Interfaces without a device behind them (veth, TAP) claim a speed, too, and have none. */
export function hardwareSpeed(name: string, directory = '/sys/class/net'): number {
  try {
    if (!existsSync(`${directory}/${name}/device`)) return 0;
    const megabits = Number(readFileSync(`${directory}/${name}/speed`, 'latin1'));
    return megabits > 0 ? megabits * 1e6 : 0;
  } catch {
    return 0; // reading the speed of an interface that is down fails (EINVAL)
  }
}

/** Receive queues of an interface in use; null if its driver does not tell. */
export function countReceiveQueues(name: string): number | null {
  return withSocket((socket) => {
    writeInterfaceRequest(name);
    scratch.view.setBigUint64(NAME_SIZE, BigInt(scratch.address + REQUEST_SIZE), true);
    scratch.bytes.fill(0, REQUEST_SIZE, REQUEST_SIZE + CHANNELS_SIZE);
    scratch.view.setUint32(REQUEST_SIZE, ETHTOOL_GCHANNELS, true);
    if (c.ioctl(socket, SIOCETHTOOL, scratch.address) === -1) return null;
    const count = (at: number) => scratch.view.getUint32(REQUEST_SIZE + at, true);
    return count(CHANNELS_RECEIVE) + count(CHANNELS_COMBINED);
  });
}

/** Sets the MTU and brings the interface up. Returns 0, or errno if this user may not. */
export function bringUp(name: string, mtu: number): number {
  return withSocket((socket) => {
    writeInterfaceRequest(name);
    scratch.view.setInt32(NAME_SIZE, mtu, true);
    if (c.ioctl(socket, SIOCSIFMTU, scratch.address) === -1) return errno();
    writeInterfaceRequest(name);
    if (c.ioctl(socket, SIOCGIFFLAGS, scratch.address) === -1) return errno();
    const flags = scratch.view.getUint16(NAME_SIZE, true);
    if ((flags & IFF_UP) !== 0) return 0;
    scratch.view.setUint16(NAME_SIZE, flags | IFF_UP, true);
    return c.ioctl(socket, SIOCSIFFLAGS, scratch.address) === -1 ? errno() : 0;
  });
}

function withSocket<Result>(work: (socket: number) => Result): Result {
  const socket = checked('socket', c.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  try {
    return work(socket);
  } finally {
    c.close(socket);
  }
}
