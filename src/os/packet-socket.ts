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
/** Some hundred super-frames: what arrives while a guest has the processor. */
const RECEIVE_BUFFER_BYTES = 8 << 20;

/** Some super-frames in one call, where the system's own limit has room for three. */
const SEND_BUFFER_BYTES = 1 << 20;

/** struct virtio_net_hdr without num_buffers: what PACKET_VNET_HDR puts before each frame. */
export const PACKET_HEADER_SIZE = 10;

/** What PACKET_FANOUT takes to begin a group: 0 for the group, and the kernel picks a free one. */
export const NEW_FANOUT_GROUP = (PACKET_FANOUT_FLAG_UNIQUEID | PACKET_FANOUT_HASH) << 16;

/**
 * Opens a socket on an interface: everything that comes in on it, nothing that it sends itself.
 * Frames carry a virtio-net header of 10 bytes. Sockets of one `fanoutGroup` share the flows: the
 * first takes NEW_FANOUT_GROUP, the others what `fanoutGroupOf` says of it. Returns −errno if the
 * kernel refuses.
 */
export function openPacketSocket(interfaceIndex: number, fanoutGroup: number | null): number {
  // Protocol 0: nothing comes before it is bound to the interface.
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
 * The group that a socket is in, as its next member has to name it. Groups are numbered by 16 bits
 * within a network namespace, which processes share that know nothing of each other; so only the
 * kernel can number them.
 */
export function fanoutGroupOf(fd: number): number {
  scratch.view.setUint32(4, 4, true);
  const { address } = scratch;
  checked('getsockopt', c.getsockopt(fd, SOL_PACKET, PACKET_FANOUT, address, address + 4));
  return scratch.view.getInt32(0, true);
}

/** Only root may go beyond the system's limit; whoever may not gets what the limit allows. */
function setBuffer(fd: number, forced: number, usual: number, bytes: number): void {
  if (!setOption(fd, SOL_SOCKET, forced, bytes)) setOption(fd, SOL_SOCKET, usual, bytes);
}

/**
 * Frames that the kernel had for a socket and dropped, because there was no room in its ring or its
 * buffer, since the last time that this was asked (struct tpacket_stats).
 */
export function takeDropCount(fd: number): number {
  scratch.view.setUint32(8, 8, true);
  const { address } = scratch;
  const result = c.getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, address, address + 8);
  return result === -1 ? 0 : scratch.view.getUint32(4, true);
}

/** What a socket's frames on their way may take, the kernel's own part of them counted. */
export function sendBufferBytes(fd: number): number {
  scratch.view.setUint32(4, 4, true);
  c.getsockopt(fd, SOL_SOCKET, SO_SNDBUF, scratch.address, scratch.address + 4);
  return scratch.view.getUint32(0, true);
}

/** What a socket's frames on their way take. */
export function unsentBytes(fd: number): number {
  return c.ioctl(fd, SIOCOUTQ, scratch.address) === -1 ? 0 : scratch.view.getUint32(0, true);
}

/** Blocks side by side, each of as many slots as fit, which hold a frame each. */
export interface PacketRing {
  blockSize: number;
  blockCount: number;
  slotSize: number;
}

/**
 * Gives a socket a ring to receive into: from then on its file can be mapped, as a whole, and what
 * is longer than a slot is cut. Returns 0, or −errno: the socket is then as it was.
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
 * Forgets an error that waits for the next call on a socket: that its interface went down, which a
 * frame sent after it is up again would be refused for.
 */
export function forgetError(fd: number): void {
  scratch.view.setUint32(4, 4, true);
  c.getsockopt(fd, SOL_SOCKET, SO_ERROR, scratch.address, scratch.address + 4);
}

/**
 * Sets an interface to promiscuous for as long as the descriptor returned is open; nothing is read
 * from it. Returns −errno if the kernel refuses.
 */
export function holdPromiscuity(interfaceIndex: number): number {
  const fd = c.socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  if (fd === -1) return -errno();
  if (addPromiscuity(fd, interfaceIndex)) return fd;
  const error = errno();
  c.close(fd);
  return -error;
}

/** Linux 6.2 taught virtio-net headers UDP segmentation; packet sockets have no way to ask. */
export function hasUdpSegmentation(): boolean {
  const [major = 0, minor = 0] = release().split('.').map(Number);
  return major > 6 || (major === 6 && minor >= 2);
}

/** `words`: the value, or a structure of 32-bit fields. */
export function setOption(fd: number, level: number, name: number, ...words: number[]): boolean {
  for (const [at, word] of words.entries()) scratch.view.setInt32(at * 4, word, true);
  return c.setsockopt(fd, level, name, scratch.address, words.length * 4) === 0;
}

/** struct packet_mreq: it ends with the socket, whatever becomes of the process. */
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
