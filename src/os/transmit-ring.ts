// A second packet socket that sends from a ring of slots shared with the kernel (packet_mmap.rst,
// version TPACKET_V2). It is slower than messages, but accepts one kind of frame that they refuse:
//
//   packet_snd    refuses (EMSGSIZE) what is longer than the MTU and an Ethernet header, unless the
//                 type after the addresses is an 802.1Q tag, whose 4 bytes are not counted
//   tpacket_snd   with a virtio-net header, checks nothing: the device decides
//
// So a full-size frame with an 802.1ad tag can only be sent this way.

import {
  AF_PACKET,
  MAP_SHARED,
  PROT_READ,
  PROT_WRITE,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_RAW,
} from './constants.ts';
import { c } from './libc.ts';
import {
  bindTo,
  PACKET_VERSION,
  PACKET_VNET_HDR,
  SOL_PACKET,
  setOption,
  TPACKET_V2,
} from './packet-socket.ts';

const PACKET_TX_RING = 13;

const BLOCK_SIZE = 0x10000;
const BLOCK_COUNT = 4;
/** Longer than any Ethernet frame: the largest jumbo frame has 9216 bytes. */
export const TRANSMIT_SLOT_SIZE = 0x4000;
export const TRANSMIT_SLOT_COUNT = (BLOCK_SIZE * BLOCK_COUNT) / TRANSMIT_SLOT_SIZE;
/** struct tpacket2_hdr: status, length, …; then the virtio-net header and the frame. */
export const TRANSMIT_DATA_OFFSET = 32;
export const STATUS_SEND_REQUEST = 1;
export const STATUS_SENDING = 2;

export interface TransmitRing {
  fd: number;
  /** Absolute. */
  address: number;
}

/** Null if the kernel refuses: then such frames cannot be sent. */
export function openTransmitRing(interfaceIndex: number): TransmitRing | null {
  // Protocol 0: it receives nothing.
  const fd = c.socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd === -1) return null;
  const address = isReady(fd, interfaceIndex) ? map(fd) : -1;
  if (address !== -1) return { fd, address };
  c.close(fd);
  return null;
}

/** One that is open already; null if it cannot be mapped. */
export function mapTransmitRing(fd: number): TransmitRing | null {
  const address = map(fd);
  return address === -1 ? null : { fd, address };
}

export function unmapTransmitRing({ address }: TransmitRing): void {
  c.munmap(address, BLOCK_SIZE * BLOCK_COUNT);
}

export function closeTransmitRing(ring: TransmitRing): void {
  unmapTransmitRing(ring);
  c.close(ring.fd);
}

function isReady(fd: number, interfaceIndex: number): boolean {
  // struct tpacket_req
  const request = [BLOCK_SIZE, BLOCK_COUNT, TRANSMIT_SLOT_SIZE, TRANSMIT_SLOT_COUNT];
  return (
    setOption(fd, SOL_PACKET, PACKET_VERSION, TPACKET_V2) &&
    setOption(fd, SOL_PACKET, PACKET_VNET_HDR, 1) &&
    setOption(fd, SOL_PACKET, PACKET_TX_RING, ...request) &&
    bindTo(fd, interfaceIndex, 0)
  );
}

/** −1 if the kernel refuses. */
function map(fd: number): number {
  return c.mmap(0, BLOCK_SIZE * BLOCK_COUNT, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}
