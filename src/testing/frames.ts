import { Random } from './random.ts';

// Ethernet frames for tests, built byte by byte so that they can be compared byte by byte.

export const BROADCAST = 'ff:ff:ff:ff:ff:ff';
export const MULTICAST = '01:00:5e:00:00:fb';

const ETHERNET_SIZE = 14;
const IPV4_SIZE = 20;
const UDP_SIZE = 8;
/** Size of the pool from which `RandomFrames` copies. */
const RANDOM_POOL_BYTES = 0x20000;
/** flow u32, sequence u32, seed u32: before the seeded payload. */
const TAG_SIZE = 12;
const UDP_FRAME_SIZE_MIN = ETHERNET_SIZE + IPV4_SIZE + UDP_SIZE + TAG_SIZE;

/** A locally administered address: 02:00:00:00:hh:ll. */
export function macOf(number: number): string {
  const high = ((number >> 8) & 0xff).toString(16).padStart(2, '0');
  const low = (number & 0xff).toString(16).padStart(2, '0');
  return `02:00:00:00:${high}:${low}`;
}

export function macBytes(mac: string): Uint8Array {
  return Uint8Array.from(mac.split(':'), (part) => Number.parseInt(part, 16));
}

export function macText(bytes: Uint8Array): string {
  return [...bytes.subarray(0, 6)].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** The value of a little-endian load of the address, which is how the MAC table stores it. */
export function macNumber(mac: string): bigint {
  return macBytes(mac).reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

export interface Addresses {
  to: string;
  from: string;
}

export function ethernetFrame(addresses: Addresses, type: number, payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(ETHERNET_SIZE + payload.length);
  frame.set(macBytes(addresses.to), 0);
  frame.set(macBytes(addresses.from), 6);
  frame[12] = type >> 8;
  frame[13] = type & 0xff;
  frame.set(payload, ETHERNET_SIZE);
  return frame;
}

/** A frame of `length` bytes with a seeded payload and an EtherType for experiments. */
export function plainFrame(addresses: Addresses, length: number, seed = 1): Uint8Array {
  const payload = new Uint8Array(Math.max(0, length - ETHERNET_SIZE));
  fillSeeded(payload, seed);
  return ethernetFrame(addresses, 0x88b5, payload).subarray(0, length);
}

/** Many frames of random lengths and contents, each with its own number; cheap to make. */
export class RandomFrames {
  readonly #header: Uint8Array;
  readonly #pool: Uint8Array;
  readonly #lengthMax: number;
  #count = 0;

  constructor(addresses: Addresses, lengthMax: number) {
    this.#header = ethernetFrame(addresses, 0x88b5, new Uint8Array(0));
    this.#lengthMax = lengthMax;
    this.#pool = new Uint8Array(RANDOM_POOL_BYTES + lengthMax);
    fillSeeded(this.#pool, 1);
  }

  /** The next frames; the seed determines their lengths and contents. */
  take(count: number, seed: number): Uint8Array[] {
    const random = new Random(seed);
    return Array.from({ length: count }, () => {
      const at = random.below(RANDOM_POOL_BYTES);
      const frame = this.#pool.slice(at, at + random.between(60, this.#lengthMax));
      frame.set(this.#header);
      new DataView(frame.buffer).setUint32(ETHERNET_SIZE, this.#count++);
      return frame;
    });
  }
}

export function arpRequest(from: string, fromIp: number, toIp: number): Uint8Array {
  const payload = new Uint8Array(28);
  const view = new DataView(payload.buffer);
  view.setUint16(0, 1); // Ethernet
  view.setUint16(2, 0x0800);
  payload[4] = 6;
  payload[5] = 4;
  view.setUint16(6, 1); // request
  payload.set(macBytes(from), 8);
  view.setUint32(14, fromIp);
  view.setUint32(24, toIp);
  return ethernetFrame({ to: BROADCAST, from }, 0x0806, payload);
}

export interface UdpTag {
  flow: number;
  sequence: number;
  seed: number;
}

export interface UdpFrameOptions extends Addresses, UdpTag {
  /** Length of the whole frame. */
  length: number;
}

/**
 * An IPv4/UDP frame. Its source port is its flow; seed, flow and sequence give the payload.
 */
export function udpFrame(options: UdpFrameOptions): Uint8Array {
  const length = Math.max(options.length, UDP_FRAME_SIZE_MIN);
  const payload = new Uint8Array(length - ETHERNET_SIZE);
  const view = new DataView(payload.buffer);
  view.setUint8(0, 0x45);
  view.setUint16(2, payload.length);
  view.setUint16(4, options.sequence & 0xffff);
  view.setUint8(8, 64);
  view.setUint8(9, 17);
  view.setUint32(12, 0x0a00_0001);
  view.setUint32(16, 0x0a00_0002);
  view.setUint16(10, internetChecksum(payload.subarray(0, IPV4_SIZE)));
  view.setUint16(20, 1024 + (options.flow & 0x3fff));
  view.setUint16(22, 4789);
  view.setUint16(24, payload.length - IPV4_SIZE); // checksum 0: none, as IPv4 allows
  view.setUint32(28, options.flow);
  view.setUint32(32, options.sequence);
  view.setUint32(36, options.seed);
  fillSeeded(payload.subarray(40), mixSeed(options));
  return ethernetFrame(options, 0x0800, payload);
}

/** The tag of a frame that `udpFrame` built, or null for any other. */
export function readUdpTag(frame: Uint8Array): UdpTag | null {
  if (frame.length < UDP_FRAME_SIZE_MIN) return null;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  if (view.getUint16(12) !== 0x0800 || view.getUint16(36) !== 4789) return null;
  return { flow: view.getUint32(42), sequence: view.getUint32(46), seed: view.getUint32(50) };
}

/**
 * Whether every byte of a tagged frame is right: builds the frame again from its tag and addresses,
 * and compares.
 */
export function isIntact(frame: Uint8Array): boolean {
  const tag = readUdpTag(frame);
  if (tag === null) return false;
  const to = macText(frame);
  const from = macText(frame.subarray(6));
  const expected = udpFrame({ ...tag, to, from, length: frame.length });
  return Buffer.compare(expected, frame) === 0;
}

export function fillSeeded(bytes: Uint8Array, seed: number): void {
  const random = new Random(seed);
  for (let i = 0; i < bytes.length; i += 4) {
    const word = random.next();
    bytes[i] = word;
    if (i + 1 < bytes.length) bytes[i + 1] = word >>> 8;
    if (i + 2 < bytes.length) bytes[i + 2] = word >>> 16;
    if (i + 3 < bytes.length) bytes[i + 3] = word >>> 24;
  }
}

function mixSeed(tag: UdpTag): number {
  const mixed = Math.imul(tag.flow + 1, 0x9e3779b1) ^ Math.imul(tag.sequence + 1, 0x85ebca6b);
  return (mixed ^ tag.seed) >>> 0;
}

/** RFC 1071. */
function internetChecksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
