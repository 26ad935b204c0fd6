// Two TAP devices of the kernel, bridged, in a separate network namespace: frames written to one
// with a virtio-net header come out of the other with offloads completed by the kernel.
//
//   test ─ virtio-net header + frame ─► t0 ═ bridge ═ t1 ─ completed frames ─► test

import { execFileSync } from 'node:child_process';
import { accessSync, closeSync, constants, openSync } from 'node:fs';
import koffi from 'koffi';

const O_NONBLOCK = 0x800;
const CLONE_NEWNET = 0x40000000;
const TUNSETIFF = 0x400454ca;
const TUNSETVNETHDRSZ = 0x400454d8;
const IFF_TAP = 2;
const IFF_NO_PI = 0x1000;
const IFF_VNET_HDR = 0x4000;
const IFREQ_SIZE = 40;
const IFREQ_FLAGS = 16;
const FRAME_BYTES_MAX = 65600;
/** More than the segments of one super-frame. */
const QUEUE_LENGTH = 8192;

// The product does not need these calls, so src/os does not have them.
const libc = koffi.load('libc.so.6');
const unshare = libc.func('int unshare(int flags)') as (flags: number) => number;
const setns = libc.func('int setns(int fd, int type)') as (fd: number, type: number) => number;
const ioctl = libc.func('int ioctl(int fd, ulong request, uint8_t *data)') as (
  fd: number,
  request: number,
  data: Uint8Array,
) => number;
const read = libc.func('intptr_t read(int fd, uint8_t *buffer, size_t n)') as (
  fd: number,
  buffer: Uint8Array,
  length: number,
) => number;
const write = libc.func('intptr_t write(int fd, uint8_t *buffer, size_t n)') as (
  fd: number,
  buffer: Uint8Array,
  length: number,
) => number;

const settingUp = `
set -e
for what in all default; do echo 1 >/proc/sys/net/ipv6/conf/$what/disable_ipv6; done
ip link add br0 type bridge
for tap in t0 t1; do
  ip link set $tap txqueuelen ${QUEUE_LENGTH} mtu 65500 master br0
  ip link set $tap up
done
ethtool -K t1 tso off gso off gro off tx off >/dev/null
ethtool -K t0 gro off >/dev/null
ip link set br0 up`;

/** Why this machine cannot have TAPs, or an empty string. */
export function missingForTaps(): string {
  if (process.getuid?.() !== 0) return 'comparing with the kernel needs root';
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
  } catch {
    return 'comparing with the kernel needs /dev/net/tun';
  }
  try {
    const pair = new TapPair(12);
    pair.close();
    return '';
  } catch (error) {
    return `comparing with the kernel needs TAP devices and a bridge: ${(error as Error).message}`;
  }
}

function checked(what: string, result: number): number {
  if (result >= 0) return result;
  throw new Error(`${what} failed: errno ${koffi.errno()}`);
}

/** Runs `act` with this thread in a new network namespace, then returns to the old one. */
function inNewNamespace<T>(act: () => T): T {
  const home = openSync('/proc/thread-self/ns/net', 'r');
  try {
    checked('unshare', unshare(CLONE_NEWNET));
    return act();
  } finally {
    checked('setns', setns(home, CLONE_NEWNET));
    closeSync(home);
  }
}

function openTap(name: string, flags: number): number {
  const fd = openSync('/dev/net/tun', constants.O_RDWR | O_NONBLOCK);
  const request = new Uint8Array(IFREQ_SIZE);
  request.set(Buffer.from(name), 0);
  new DataView(request.buffer).setUint16(IFREQ_FLAGS, IFF_TAP | IFF_NO_PI | flags, true);
  checked('TUNSETIFF', ioctl(fd, TUNSETIFF, request));
  return fd;
}

/** `close` removes the devices, and with them the namespace. */
export class TapPair {
  readonly #in: number;
  readonly #out: number;
  readonly #buffer = new Uint8Array(FRAME_BYTES_MAX);

  /** `headerSize`: bytes of the virtio-net header before each frame that is sent. */
  constructor(headerSize: number) {
    [this.#in, this.#out] = inNewNamespace(() => {
      const fds = [openTap('t0', IFF_VNET_HDR), openTap('t1', 0)] as const;
      const size = new Uint8Array(4);
      new DataView(size.buffer).setInt32(0, headerSize, true);
      checked('TUNSETVNETHDRSZ', ioctl(fds[0], TUNSETVNETHDRSZ, size));
      execFileSync('sh', ['-c', settingUp], { stdio: ['ignore', 'pipe', 'pipe'] });
      return fds;
    });
  }

  /** False if the kernel refuses the frame. */
  send(header: Uint8Array, frame: Uint8Array): boolean {
    const whole = Uint8Array.from(Buffer.concat([header, frame]));
    return write(this.#in, whole, whole.length) === whole.length;
  }

  /** The frames that have come out, once no more arrive. */
  async received(): Promise<Uint8Array[]> {
    const frames: Uint8Array[] = [];
    for (let quiet = 0; quiet < 3; ) {
      const length = read(this.#out, this.#buffer, this.#buffer.length);
      if (length > 0) {
        frames.push(this.#buffer.slice(0, length));
        quiet = 0;
        continue;
      }
      quiet += 1;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    return frames;
  }

  close(): void {
    closeSync(this.#in);
    closeSync(this.#out);
  }
}
