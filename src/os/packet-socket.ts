// Packet sockets: Ethernet frames of one interface, as they are on the wire (packet(7)).
import { release } from 'node:os';
import { AF_PACKET, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_RAW, SOL_SOCKET } from './constants.ts';
import { c, errno } from './libc.ts';
import { scratch } from './scratch.ts';
import { checked } from './system-error.ts';

export const SOL_PACKET = 263;
export const PACKET_AUXDATA = 8;
const PACKET_ADD_MEMBERSHIP = 1;
const PACKET_RX_RING = 5;
const PACKET_STATISTICS = 6;
export const PACKET_VERSION = 10;
export const PACKET_VNET_HDR = 15;
const PACKET_FANOUT = 18;
const PACKET_IGNORE_OUTGOING = 23;
const PACKET_MR_PROMISC = 1;
const PACKET_FANOUT_HASH = 0;
const PACKET_FANOUT_FLAG_UNIQUEID = 0x2000;
export const TPACKET_V2 = 1;
const SO_ERROR = 4;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;
const SIOCOUTQ = 0x5411;
const ETH_P_ALL_BIG_ENDIAN = 0x0300;
/** About a hundred super-frames: what arrives while a guest occupies the processor. */
const RECEIVE_BUFFER_BYTES = 8 << 20;

/** Several super-frames per call; the system's default limit has room for three. */
const SEND_BUFFER_BYTES = 1 << 20;

/** struct virtio_net_hdr without num_buffers: PACKET_VNET_HDR puts it before each frame. */
export const PACKET_HEADER_SIZE = 10;

/** The PACKET_FANOUT value for a new group: 0 as the group, and the kernel picks a free number. */
export const NEW_FANOUT_GROUP = (PACKET_FANOUT_FLAG_UNIQUEID | PACKET_FANOUT_HASH) << 16;

/**
 * Opens a socket on an interface: it receives everything that arrives there, but not what it sends
 * itself. Frames carry a virtio-net header of 10 bytes. Sockets of one `fanoutGroup` share the
 * flows: the first passes NEW_FANOUT_GROUP, the others the result of `fanoutGroupOf` for it.
 * Returns −errno if the kernel refuses.
 */
export function openPacketSocket(interfaceIndex: number, fanoutGroup: number | null): number {
  // Protocol 0: it receives nothing before it is bound to the interface.
  const type = SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC;
  const fd = c.socket(AF_PACKET, type, 0);
  if (fd === -1) return -errno();
  const isReady =
    setOption(fd, SOL_PACKET, PACKET_AUXDATA, 1) &&
    setOption(fd, SOL_PACKET, PACKET_VNET_HDR, 1) &&
    setOption(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1) &&
    addPromiscuity(fd, interfaceIndex) &&
    bindTo(fd, interfaceIndex, ETH_P_ALL_BIG_ENDIAN) &&
    (fanoutGroup === null || setOption(fd, SOL_PACKET, PACKET_FANOUT, fanoutGroup));
  if (!isReady) {
    const error = errno();
    c.close(fd);
    return -error;
  }
  setBuffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, RECEIVE_BUFFER_BYTES);
  setBuffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, SEND_BUFFER_BYTES);
  return fd;
}

/**
 * The group of a socket, as its next member has to name it. Groups are numbered with 16 bits per
 * network namespace, which unrelated processes may share, so only the kernel can assign numbers.
 */
export function fanoutGroupOf(fd: number): number {
  scratch.view.setUint32(4, 4, true);
  const { address } = scratch;
  checked('getsockopt', c.getsockopt(fd, SOL_PACKET, PACKET_FANOUT, address, address + 4));
  return scratch.view.getInt32(0, true);
}

/** Only root may exceed the system's limit; other users get the limit. */
function setBuffer(fd: number, forced: number, usual: number, bytes: number): void {
  if (!setOption(fd, SOL_SOCKET, forced, bytes)) setOption(fd, SOL_SOCKET, usual, bytes);
}

/**
 * Frames that the kernel dropped for lack of room in the socket's ring or buffer since the last
 * call (struct tpacket_stats).
 */
export function takeDropCount(fd: number): number {
  scratch.view.setUint32(8, 8, true);
  const { address } = scratch;
  const result = c.getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, address, address + 8);
  return result === -1 ? 0 : scratch.view.getUint32(4, true);
}

/** Size of a socket's send buffer, including the kernel's overhead per frame. */
export function sendBufferBytes(fd: number): number {
  scratch.view.setUint32(4, 4, true);
  c.getsockopt(fd, SOL_SOCKET, SO_SNDBUF, scratch.address, scratch.address + 4);
  return scratch.view.getUint32(0, true);
}

/** Bytes in a socket's send buffer. */
export function unsentBytes(fd: number): number {
  return c.ioctl(fd, SIOCOUTQ, scratch.address) === -1 ? 0 : scratch.view.getUint32(0, true);
}

/** Consecutive blocks, each divided into as many slots as fit; a slot holds one frame. */
export interface PacketRing {
  blockSize: number;
  blockCount: number;
  slotSize: number;
}

/**
 * Gives a socket a ring to receive into: from then on its file can be mapped, as a whole, and
 * frames longer than a slot are cut. Returns 0, or −errno and leaves the socket unchanged.
 */
export function addReceiveRing(fd: number, ring: PacketRing): number {
  const isTold = setOption(fd, SOL_PACKET, PACKET_VERSION, TPACKET_V2);
  // struct tpacket_req
  const { blockSize, blockCount, slotSize } = ring;
  const slotCount = Math.floor(blockSize / slotSize) * blockCount;
  const request = [blockSize, blockCount, slotSize, slotCount];
  return isTold && setOption(fd, SOL_PACKET, PACKET_RX_RING, ...request) ? 0 : -errno();
}

/**
 * Clears a socket's pending error, such as ENETDOWN, for which a frame sent after the interface is
 * up again would be refused.
 */
export function forgetError(fd: number): void {
  scratch.view.setUint32(4, 4, true);
  c.getsockopt(fd, SOL_SOCKET, SO_ERROR, scratch.address, scratch.address + 4);
}

/**
 * Sets an interface to promiscuous for as long as the returned descriptor is open; it receives
 * nothing. Returns −errno if the kernel refuses.
 */
export function holdPromiscuity(interfaceIndex: number): number {
  const fd = c.socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  if (fd === -1) return -errno();
  if (addPromiscuity(fd, interfaceIndex)) return fd;
  const error = errno();
  c.close(fd);
  return -error;
}

/** virtio-net headers have UDP segmentation since Linux 6.2; packet sockets cannot be asked. */
export function hasUdpSegmentation(): boolean {
  const [major = 0, minor = 0] = release().split('.').map(Number);
  return major > 6 || (major === 6 && minor >= 2);
}

/** `words`: the value, or a structure of 32-bit fields. */
export function setOption(fd: number, level: number, name: number, ...words: number[]): boolean {
  for (const [at, word] of words.entries()) scratch.view.setInt32(at * 4, word, true);
  return c.setsockopt(fd, level, name, scratch.address, words.length * 4) === 0;
}

/** struct packet_mreq: it ends with the socket, however the process ends. */
function addPromiscuity(fd: number, interfaceIndex: number): boolean {
  scratch.bytes.fill(0, 0, 16);
  scratch.view.setInt32(0, interfaceIndex, true);
  scratch.view.setUint16(4, PACKET_MR_PROMISC, true);
  return c.setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, scratch.address, 16) === 0;
}

/** struct sockaddr_ll. `protocol`: what it receives, in network byte order; 0: nothing. */
export function bindTo(fd: number, interfaceIndex: number, protocol: number): boolean {
  scratch.bytes.fill(0, 0, 20);
  scratch.view.setUint16(0, AF_PACKET, true);
  scratch.view.setUint16(2, protocol, true);
  scratch.view.setInt32(4, interfaceIndex, true);
  return c.bind(fd, scratch.address, 20) === 0;
}
