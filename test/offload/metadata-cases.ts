// Invalid virtio-net headers, each with the counter that must count it.

import {
  NET_HEADER_F_NEEDS_CSUM,
  NET_HEADER_GSO_ECN,
  NET_HEADER_GSO_TCPV4,
  NET_HEADER_GSO_TCPV6,
  NET_HEADER_GSO_UDP,
  NET_HEADER_GSO_UDP_L4,
} from '../../layout/virtio.ts';
import type { Addresses } from '../../src/testing/frames.ts';
import {
  datagramToFragment,
  EXTENSION,
  type NetHeader,
  PADDING,
  type Packet,
  type PacketShape,
  packet,
  superPacket,
} from './packets.ts';

export interface Lie {
  name: string;
  reason: 'checksumField' | 'segmentation' | 'headerOffload';
  make: (addresses: Addresses) => Packet;
}

type Partly = Partial<PacketShape>;

function withHeader(made: Packet, header: Partial<NetHeader>): Packet {
  return { ...made, header: { ...made.header, ...header } };
}

function withBytes(made: Packet, act: (frame: Uint8Array, made: Packet) => void): Packet {
  const frame = made.frame.slice();
  act(frame, made);
  return { ...made, frame };
}

function cutTo(made: Packet, length: number): Packet {
  return {
    ...made,
    frame: made.frame.slice(0, length),
    header: { ...made.header, headerLength: 0 },
  };
}

function shape(addresses: Addresses, partly: Partly = {}): PacketShape {
  return { version: 4, transport: 'tcp', payloadLength: 3000, ...addresses, ...partly };
}

function tso(addresses: Addresses, partly: Partly = {}): Packet {
  return superPacket(shape(addresses, partly), 1000);
}

function lie(reason: Lie['reason'], name: string, make: Lie['make']): Lie {
  return { name, reason, make };
}

/** Invalid only in the virtio-net header. */
function headerLie(name: string, header: Partial<NetHeader>, partly: Partly = {}): Lie {
  return lie('segmentation', name, (addresses) => withHeader(tso(addresses, partly), header));
}

function checksumLie(name: string, header: Partial<NetHeader>, payloadLength = 100): Lie {
  return lie('checksumField', name, (addresses) =>
    withHeader(packet(shape(addresses, { payloadLength })), header),
  );
}

/** Invalid in the frame's own headers. */
function frameLie(
  name: string,
  act: (frame: Uint8Array, made: Packet) => void,
  partly: Partly = {},
): Lie {
  return lie('segmentation', name, (addresses) => withBytes(tso(addresses, partly), act));
}

const TAG = { type: 0x8100, control: 1 };
const V6 = { version: 6 } as const;
const UDP = { transport: 'udp' } as const;
const SMALL_EXTENSION = { type: EXTENSION.destination, body: PADDING };
const LONG_EXTENSION = { type: EXTENSION.destination, body: new Uint8Array(206) };
/** 14 + 20 + 20 + 100 bytes. */
const CHECKSUM_FRAME = 154;

const CHECKSUM_LIES: readonly Lie[] = [
  checksumLie('csum_start beyond the frame', { checksumStart: CHECKSUM_FRAME }),
  checksumLie('csum_start and csum_offset at their maximum', {
    checksumStart: 0xffff,
    checksumOffset: 0xffff,
  }),
  checksumLie('a checksum field one byte beyond the frame', {
    checksumStart: 34,
    checksumOffset: CHECKSUM_FRAME - 34 - 1,
  }),
  checksumLie('csum_start within the Ethernet header', { checksumStart: 13 }),
  checksumLie('csum_start 0: the destination address', { checksumStart: 0, checksumOffset: 0 }),
  checksumLie('a field beyond all possible headers', { checksumStart: 900 }, 1400),
  checksumLie('hdr_len beyond the frame', { headerLength: CHECKSUM_FRAME + 1 }),
];

const SIZE_LIES: readonly Lie[] = [
  headerLie('gso_size 0', { gsoSize: 0 }),
  headerLie('gso_size 1', { gsoSize: 1 }),
  headerLie('gso_size 7', { gsoSize: 7 }),
  headerLie('hdr_len beyond the frame', { headerLength: 0xffff }),
  lie('segmentation', '2049 segments', (addresses) =>
    superPacket(shape(addresses, { payloadLength: 2048 * 8 + 1 }), 8),
  ),
  lie('segmentation', '2049 fragments, because their size is rounded down to 8', (addresses) =>
    datagramToFragment(shape(addresses, { payloadLength: 2048 * 8 - 7 }), 15),
  ),
  lie('segmentation', 'an IPv4 packet of 65536 bytes', (addresses) =>
    superPacket(shape(addresses, { payloadLength: 65536 - 40 }), 65535),
  ),
];

const KIND_LIES: readonly Lie[] = [
  headerLie('TSO of UDP', { gsoType: NET_HEADER_GSO_TCPV4 }, UDP),
  headerLie('TSO of UDP over IPv6', { gsoType: NET_HEADER_GSO_TCPV6 }, { ...UDP, ...V6 }),
  headerLie('USO of TCP', { gsoType: NET_HEADER_GSO_UDP_L4 }),
  headerLie('UFO of TCP', { gsoType: NET_HEADER_GSO_UDP }),
  headerLie('TSO for IPv4 of IPv6', { gsoType: NET_HEADER_GSO_TCPV4 }, V6),
  headerLie('TSO for IPv6 of IPv4', { gsoType: NET_HEADER_GSO_TCPV6 }),
  headerLie('gso_type 2', { gsoType: 2 }),
  headerLie('gso_type 6', { gsoType: 6 }),
  headerLie('gso_type 0x7f', { gsoType: 0x7f }),
  headerLie('ECN without segmentation', { gsoType: NET_HEADER_GSO_ECN }),
  headerLie('ECN of UDP', { gsoType: NET_HEADER_GSO_UDP_L4 | NET_HEADER_GSO_ECN }, UDP),
  headerLie('segmentation without a checksum', { flags: 0 }),
  headerLie('csum_start before the transport header', { checksumStart: 33 }),
  headerLie('csum_offset of UDP for TCP', { checksumOffset: 6 }),
  headerLie('csum_start beyond the frame', { checksumStart: 0xffff }),
];

const FRAME_LIES: readonly Lie[] = [
  lie('segmentation', 'three VLAN tags', (to) => tso(to, { tags: [TAG, TAG, TAG] })),
  frameLie('an EtherType without segmentation', (frame) => frame.set([0x08, 0x06], 12)),
  frameLie('IPv6 in an IPv4 EtherType', (frame) => frame.set([0x60], 14)),
  frameLie('IPv4 in an IPv6 EtherType', (frame) => frame.set([0x45], 14), V6),
  frameLie('an IPv4 header of 16 bytes', (frame) => frame.set([0x44], 14)),
  frameLie('an IPv4 fragment with MORE', (frame) => frame.set([0x20, 0], 20)),
  frameLie('a last IPv4 fragment', (frame) => frame.set([0, 1], 20)),
  frameLie('a TCP header of 16 bytes', (frame, { l4 }) => frame.set([0x40], l4 + 12)),
  frameLie('a fragment header of IPv6', (frame) => frame.set([44], 14 + 6), V6),
  frameLie(
    'an extension header that is longer than the frame',
    (frame, { l3 }) => frame.set([255], l3 + 41),
    { ...V6, extensions: [SMALL_EXTENSION], payloadLength: 1000 },
  ),
  lie('segmentation', 'nine extension headers', (to) =>
    tso(to, { ...V6, extensions: Array(9).fill(SMALL_EXTENSION) }),
  ),
  lie('segmentation', 'headers of more than 240 bytes', (to) =>
    tso(to, { ...V6, extensions: [LONG_EXTENSION] }),
  ),
];

const TRUNCATIONS: readonly Lie[] = [
  lie('segmentation', 'an end in the VLAN tag', (to) => cutTo(tso(to, { tags: [TAG] }), 17)),
  lie('segmentation', 'an end after the EtherType', (to) => cutTo(tso(to), 14)),
  lie('segmentation', 'an end in the IPv4 header', (to) => cutTo(tso(to), 33)),
  lie('segmentation', 'an end in the IPv6 header', (to) => cutTo(tso(to, V6), 53)),
  lie('segmentation', 'an end in an extension header', (to) =>
    cutTo(tso(to, { ...V6, extensions: [SMALL_EXTENSION] }), 60),
  ),
  lie('segmentation', 'an end in the TCP header', (to) => cutTo(tso(to), 53)),
  lie('segmentation', 'an end in the TCP options', (to) =>
    cutTo(tso(to, { tcpOptions: new Uint8Array(12).fill(1) }), 60),
  ),
  lie('segmentation', 'an end in the UDP header', (to) => cutTo(tso(to, UDP), 41)),
  lie('segmentation', 'nothing to segment', (to) => cutTo(tso(to), 54)),
];

export const LIES: readonly Lie[] = [
  ...CHECKSUM_LIES,
  ...SIZE_LIES,
  ...KIND_LIES,
  ...FRAME_LIES,
  ...TRUNCATIONS,
];

/** Unusual but valid: each must arrive like an ordinary frame. */
export const ODDITIES: readonly { name: string; make: Lie['make'] }[] = [
  { name: 'hdr_len 0, since it is a hint', make: (to) => withHeader(tso(to), { headerLength: 0 }) },
  { name: 'hdr_len 1', make: (to) => withHeader(tso(to), { headerLength: 1 }) },
  {
    name: 'a checksum field at the end of the frame',
    make: (to) => withHeader(packet(shape(to, { payloadLength: 100 })), { checksumOffset: 118 }),
  },
  {
    name: 'exactly 2048 segments',
    make: (to) => superPacket(shape(to, { payloadLength: 2048 * 8 }), 8),
  },
  {
    name: 'an IPv4 packet of 65535 bytes',
    make: (to) => superPacket(shape(to, { payloadLength: 65535 - 40 }), 1448),
  },
  {
    name: 'one segment only',
    make: (to) => superPacket(shape(to, { payloadLength: 700 }), 1448),
  },
  {
    name: 'eight extension headers',
    make: (to) => tso(to, { ...V6, extensions: Array(8).fill(SMALL_EXTENSION) }),
  },
  {
    name: 'a complete datagram to fragment, csum_start by chance at its header',
    make: (to) => {
      const made = datagramToFragment(shape(to), 1480);
      return withHeader(made, { flags: 0 });
    },
  },
];

export const UNKNOWN_FLAGS = 0xff & ~NET_HEADER_F_NEEDS_CSUM;
