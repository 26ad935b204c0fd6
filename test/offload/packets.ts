// Packets for the offload tests: all combinations of headers, with an incomplete checksum and a
// matching virtio-net header.

import { FRAME_SIZE_MIN } from '../../layout/limits.ts';
import {
  NET_HEADER_F_NEEDS_CSUM,
  NET_HEADER_GSO_TCPV4,
  NET_HEADER_GSO_TCPV6,
  NET_HEADER_GSO_UDP,
  NET_HEADER_GSO_UDP_L4,
  NET_HEADER_SIZE,
} from '../../layout/virtio.ts';
import { fillSeeded, macBytes } from '../../src/testing/frames.ts';
import { onesSum, pseudoSum } from './internet-checksum.ts';

type IpVersion = 4 | 6;
type Transport = 'tcp' | 'udp';

interface Tag {
  /** 0x8100 or 0x88a8. */
  type: number;
  /** Priority and VLAN number. */
  control: number;
}

interface Extension {
  type: number;
  /** Without the header's first two bytes: 6 more than a multiple of 8. */
  body: Uint8Array;
}

export interface PacketShape {
  to: string;
  from: string;
  version: IpVersion;
  transport: Transport;
  tags?: readonly Tag[];
  identification?: number;
  dontFragment?: boolean;
  /** A multiple of 4 bytes. */
  ipOptions?: Uint8Array;
  extensions?: readonly Extension[];
  tcpOptions?: Uint8Array;
  tcpFlags?: number;
  sequence?: number;
  payloadLength: number;
  seed?: number;
}

/** struct virtio_net_hdr (virtio 1.3, 5.1.6). */
export interface NetHeader {
  flags: number;
  gsoType: number;
  headerLength: number;
  gsoSize: number;
  checksumStart: number;
  checksumOffset: number;
}

export interface Packet {
  frame: Uint8Array;
  l3: number;
  l4: number;
  payload: number;
  /** NEEDS_CSUM, no segmentation. */
  header: NetHeader;
}

export const FINISHED: NetHeader = {
  flags: 0,
  gsoType: 0,
  headerLength: 0,
  gsoSize: 0,
  checksumStart: 0,
  checksumOffset: 0,
};

export const TCP_FLAG = { FIN: 1, SYN: 2, RST: 4, PSH: 8, ACK: 16, URG: 32, ECE: 64, CWR: 128 };
const PROTOCOL = { tcp: 6, udp: 17 } as const;
const CHECKSUM_OFFSET = { tcp: 16, udp: 6 } as const;
export const EXTENSION = { hopByHop: 0, routing: 43, destination: 60 };

/** The timestamp option as Linux writes it: two NOPs, kind 8, length 10. */
export const TIMESTAMPS = Uint8Array.from([1, 1, 8, 10, 0, 1, 2, 3, 0, 4, 5, 6]);
/** Pad1 and PadN that fill a hop-by-hop or destination header of 8 bytes. */
export const PADDING = Uint8Array.from([1, 4, 0, 0, 0, 0]);

const IPV4_ADDRESSES = Uint8Array.from([10, 7, 0, 1, 10, 7, 0, 2]);
const IPV6_ADDRESSES = Uint8Array.from([
  ...[0xfd, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
  ...[0xfd, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
]);

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts));
}

function u16(...values: readonly number[]): Uint8Array {
  return Uint8Array.from(values.flatMap((value) => [(value >> 8) & 0xff, value & 0xff]));
}

function u32(value: number): Uint8Array {
  return u16(value >>> 16, value & 0xffff);
}

/** A packet whose checksum field has the sum of the pseudo-header, as a driver leaves it. */
export function packet(shape: PacketShape): Packet {
  const payload = new Uint8Array(shape.payloadLength);
  fillSeeded(payload, shape.seed ?? 1);
  const transport = shape.transport === 'tcp' ? tcpHeader(shape) : udpHeader(payload.length);
  const ip = ipHeader(shape, transport.length + payload.length);
  const tags = (shape.tags ?? []).map((tag) => u16(tag.type, tag.control));
  const type = u16(shape.version === 4 ? 0x0800 : 0x86dd);
  const ethernet = concat(macBytes(shape.to), macBytes(shape.from), ...tags, type);
  const frame = concat(ethernet, ip, transport, payload);
  const l3 = ethernet.length;
  const l4 = l3 + ip.length;
  const offset = CHECKSUM_OFFSET[shape.transport];
  const sum = onesSum([
    pseudoSum(frame.subarray(l3, l4), PROTOCOL[shape.transport], frame.length - l4),
  ]);
  frame.set(u16(sum), l4 + offset);
  const header = {
    ...FINISHED,
    flags: NET_HEADER_F_NEEDS_CSUM,
    headerLength: l4 + transport.length,
    checksumStart: l4,
    checksumOffset: offset,
  };
  return { frame, l3, l4, payload: l4 + transport.length, header };
}

/** Such a packet that is also to be segmented. */
export function superPacket(shape: PacketShape, gsoSize: number): Packet {
  const whole = packet(shape);
  const tcp = shape.version === 4 ? NET_HEADER_GSO_TCPV4 : NET_HEADER_GSO_TCPV6;
  const gsoType = shape.transport === 'tcp' ? tcp : NET_HEADER_GSO_UDP_L4;
  return { ...whole, header: { ...whole.header, gsoType, gsoSize } };
}

/** A datagram that is to be fragmented (UFO). */
export function datagramToFragment(shape: PacketShape, gsoSize: number): Packet {
  const whole = superPacket({ ...shape, transport: 'udp' }, gsoSize);
  return { ...whole, header: { ...whole.header, gsoType: NET_HEADER_GSO_UDP } };
}

function tcpHeader(shape: PacketShape): Uint8Array {
  const options = shape.tcpOptions ?? new Uint8Array(0);
  const flags = shape.tcpFlags ?? TCP_FLAG.ACK | TCP_FLAG.PSH;
  return concat(
    u16(40000, 5201),
    u32(shape.sequence ?? 0x01020304),
    u32(0x0a0b0c0d),
    u16((((20 + options.length) >> 2) << 12) | flags, 501, 0, 0),
    options,
  );
}

function udpHeader(payloadLength: number): Uint8Array {
  return u16(40001, 5202, payloadLength + 8, 0);
}

function ipHeader(shape: PacketShape, length: number): Uint8Array {
  return shape.version === 4 ? ipv4Header(shape, length) : ipv6Header(shape, length);
}

function ipv4Header(shape: PacketShape, length: number): Uint8Array {
  const options = shape.ipOptions ?? new Uint8Array(0);
  const size = 20 + options.length;
  const header = concat(
    u16((0x40 | (size >> 2)) << 8, (size + length) & 0xffff, shape.identification ?? 0x1234),
    u16(shape.dontFragment === false ? 0 : 0x4000, (64 << 8) | PROTOCOL[shape.transport], 0),
    IPV4_ADDRESSES,
    options,
  );
  header.set(u16(~onesSum([header]) & 0xffff), 10);
  return header;
}

function ipv6Header(shape: PacketShape, length: number): Uint8Array {
  const extensions = shape.extensions ?? [];
  const types = [...extensions.map(({ type }) => type), PROTOCOL[shape.transport]];
  const headers = extensions.map(({ body }, index) =>
    concat(Uint8Array.from([types[index + 1] ?? 0, (body.length + 2) / 8 - 1]), body),
  );
  const size = headers.reduce((sum, header) => sum + header.length, 0);
  return concat(
    u16(0x6000, 0x1234, (size + length) & 0xffff, ((types[0] ?? 0) << 8) | 64),
    IPV6_ADDRESSES,
    ...headers,
  );
}

export function netHeaderBytes(header: NetHeader, size = NET_HEADER_SIZE): Uint8Array {
  const view = new DataView(new ArrayBuffer(size));
  view.setUint8(0, header.flags);
  view.setUint8(1, header.gsoType);
  view.setUint16(2, header.headerLength, true);
  view.setUint16(4, header.gsoSize, true);
  view.setUint16(6, header.checksumStart, true);
  view.setUint16(8, header.checksumOffset, true);
  return new Uint8Array(view.buffer);
}

export function readNetHeader(bytes: Uint8Array): NetHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return {
    flags: view.getUint8(0),
    gsoType: view.getUint8(1),
    headerLength: view.getUint16(2, true),
    gsoSize: view.getUint16(4, true),
    checksumStart: view.getUint16(6, true),
    checksumOffset: view.getUint16(8, true),
  };
}

/** A frame that arrived, and its virtio-net header. */
export interface Arrival {
  frame: Uint8Array;
  header: NetHeader;
}

/** The first difference, in words; empty if all bytes are equal. */
export function difference(actual: readonly Uint8Array[], expected: readonly Uint8Array[]): string {
  for (const [index, frame] of expected.entries()) {
    const other = actual[index];
    if (other === undefined) return `frame ${index} of ${expected.length} did not arrive`;
    const length = Math.max(frame.length, other.length);
    for (let at = 0; at < length; at++) {
      if (frame[at] === other[at]) continue;
      const [is, wanted] = [other, frame].map((one) => hexAround(one, at));
      return `frame ${index}/${expected.length}, byte ${at}: …${is}… instead of …${wanted}…`;
    }
  }
  const surplus = actual.length - expected.length;
  return surplus > 0 ? `${surplus} frames too many` : '';
}

function hexAround(frame: Uint8Array, at: number): string {
  const start = Math.max(at - FRAME_SIZE_MIN, 0);
  const text = Buffer.from(frame.subarray(start, at + 16)).toString('hex');
  return `${text} (${frame.length} bytes)`;
}
