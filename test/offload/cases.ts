// Super-frames for tests: each exercises one thing that segmentation can get wrong.

import { NET_HEADER_GSO_ECN } from '../../layout/virtio.ts';
import { foldSum, onesSum } from './internet-checksum.ts';
import {
  datagramToFragment,
  EXTENSION,
  PADDING,
  type Packet,
  type PacketShape,
  packet,
  superPacket,
  TCP_FLAG,
  TIMESTAMPS,
} from './packets.ts';
import { segment, transportChecksum } from './reference.ts';

export interface Case {
  name: string;
  make: (addresses: { to: string; from: string }) => Packet;
}

const VLAN = { type: 0x8100, control: 0x6064 };
const SERVICE = { type: 0x88a8, control: 0x0007 };
/** Record Route and End of Options. */
const IP_OPTIONS = Uint8Array.from([7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
const ROUTING_BODY = Uint8Array.from([0, 1, 0, 0, 0, 0, ...[0xfd, 0, 0, 9], ...Array(12).fill(3)]);

type Partly = Partial<PacketShape> & Pick<PacketShape, 'version'>;

function shapeOf(partly: Partly, addresses: { to: string; from: string }): PacketShape {
  return { transport: 'tcp', payloadLength: 5000, ...addresses, ...partly };
}

function tcp(name: string, partly: Partly, gsoSize = 1448, gsoFlags = 0): Case {
  return {
    name: `TCP over IPv${partly.version}: ${name}`,
    make: (addresses) => {
      const made = superPacket(shapeOf(partly, addresses), gsoSize);
      return { ...made, header: { ...made.header, gsoType: made.header.gsoType | gsoFlags } };
    },
  };
}

function uso(name: string, partly: Partly, gsoSize = 1200): Case {
  return {
    name: `USO over IPv${partly.version}: ${name}`,
    make: (to) => superPacket(shapeOf({ ...partly, transport: 'udp' }, to), gsoSize),
  };
}

function ufo(name: string, partly: Partly, gsoSize = 1480): Case {
  return {
    name: `UFO over IPv${partly.version}: ${name}`,
    make: (to) => datagramToFragment(shapeOf(partly, to), gsoSize),
  };
}

function undone(name: string, partly: Partly): Case {
  return {
    name: `checksum over IPv${partly.version}: ${name}`,
    make: (to) => packet(shapeOf({ payloadLength: 1000, ...partly }, to)),
  };
}

const { FIN, PSH, ACK, URG, ECE, CWR } = TCP_FLAG;
const HOP_BY_HOP = { type: EXTENSION.hopByHop, body: PADDING };
const DESTINATION = { type: EXTENSION.destination, body: PADDING };
const ROUTING = { type: EXTENSION.routing, body: ROUTING_BODY };

function both(make: (version: 4 | 6) => readonly Case[]): Case[] {
  return ([4, 6] as const).flatMap(make);
}

const TCP_CASES: readonly Case[] = [
  ...both((version) => [
    tcp('plain', { version }),
    tcp('a whole number of segments', { version, payloadLength: 1448 * 4 }),
    tcp('one byte more', { version, payloadLength: 1448 * 4 + 1 }),
    tcp('FIN and PSH only on the last segment', { version, tcpFlags: FIN | PSH | ACK }),
    tcp('CWR only on the first segment', { version, tcpFlags: CWR | ACK | PSH }),
    tcp('ECN', { version, tcpFlags: CWR | ECE | ACK }, 1448, NET_HEADER_GSO_ECN),
    tcp('urgent', { version, tcpFlags: URG | ACK }),
    tcp('timestamps', { version, tcpOptions: TIMESTAMPS }),
    tcp('all 40 bytes of options', { version, tcpOptions: new Uint8Array(40).fill(1) }),
    tcp('the sequence number wraps', { version, sequence: 0xfffffe00 }),
    tcp('odd segments', { version, payloadLength: 4001 }, 537),
    tcp('tiny segments', { version, payloadLength: 300 }, 8),
    tcp('jumbo segments', { version, payloadLength: 40000 }, 8948),
    tcp('64 KiB', { version, payloadLength: 65000 }),
    tcp('in a VLAN', { version, tags: [VLAN] }),
    tcp('in two VLANs', { version, tags: [SERVICE, VLAN] }),
  ]),
  tcp('the identification wraps', { version: 4, identification: 0xfffe, payloadLength: 9000 }),
  tcp('may be fragmented', { version: 4, dontFragment: false }),
  tcp('options', { version: 4, ipOptions: IP_OPTIONS, tcpOptions: TIMESTAMPS }),
  tcp('hop-by-hop options', { version: 6, extensions: [HOP_BY_HOP] }),
  tcp('destination options', { version: 6, extensions: [DESTINATION], tcpOptions: TIMESTAMPS }),
  tcp('a routing header', { version: 6, extensions: [ROUTING] }),
  tcp('two extension headers', { version: 6, extensions: [HOP_BY_HOP, DESTINATION] }),
];

/** Cases in which Linux differs: it treats a hop-by-hop header as part of the fragmented data. */
export const UNLIKE_LINUX: readonly Case[] = [
  ufo('hop-by-hop options', { version: 6, extensions: [HOP_BY_HOP] }),
  ufo('fragments of an odd size', { version: 4 }, 1001),
  ufo('fragments of an odd size', { version: 6 }, 1001),
];

const UDP_CASES: readonly Case[] = [
  ...both((version) => [
    uso('plain', { version }),
    uso('a whole number of datagrams', { version, payloadLength: 4800 }),
    uso('odd datagrams', { version, payloadLength: 3001 }, 333),
    uso('64 KiB', { version, payloadLength: 65000 }),
    uso('in a VLAN', { version, tags: [VLAN] }),
    uso('in two VLANs', { version, tags: [SERVICE, VLAN] }),
    ufo('plain', { version }),
    ufo('a whole number of fragments', { version, payloadLength: 1480 * 3 - 8 }),
    ufo('64 KiB', { version, payloadLength: 65000 }),
    ufo('small fragments', { version, payloadLength: 2000 }, 104),
    ufo('in a VLAN', { version, tags: [VLAN] }),
    ufo('in two VLANs', { version, tags: [SERVICE, VLAN] }),
  ]),
  uso('options', { version: 4, ipOptions: IP_OPTIONS }),
  uso('the identification wraps', { version: 4, identification: 0xffff }),
  uso('hop-by-hop options', { version: 6, extensions: [HOP_BY_HOP] }),
  uso('a routing header', { version: 6, extensions: [HOP_BY_HOP, ROUTING] }),
  ufo('options', { version: 4, ipOptions: IP_OPTIONS }),
];

const CHECKSUM_CASES: readonly Case[] = both((version) => [
  ...(['tcp', 'udp'] as const).flatMap((transport) => [
    undone(transport, { version, transport }),
    undone(`${transport}, an odd length`, { version, transport, payloadLength: 1001 }),
    undone(`${transport}, no payload`, { version, transport, payloadLength: 0 }),
    undone(`${transport} in a VLAN`, { version, transport, tags: [VLAN] }),
    undone(`${transport} that is 0`, {
      version,
      transport,
      ...zeroChecksum(version, transport),
    }),
  ]),
]);

/** The sequence number (TCP) or payload for which the checksum is 0, found by trial. */
function zeroChecksum(version: 4 | 6, transport: 'tcp' | 'udp'): Partial<PacketShape> {
  const addresses = { to: '02:00:00:00:00:02', from: '02:00:00:00:00:01' };
  for (let seed = 1; ; seed++) {
    const partly = { version, transport, payloadLength: 20, seed };
    const made = packet(shapeOf(partly, addresses));
    if (onesSum([made.frame.subarray(made.l4)]) === 0xffff) return { payloadLength: 20, seed };
  }
}

/** Segments whose checksum is 0: TCP sends 0, UDP sends 0xffff instead. */
const ZERO_CASES: readonly Case[] = both((version) =>
  (['tcp', 'udp'] as const).map((transport) => ({
    name: `${transport} over IPv${version}: segments whose checksum is 0`,
    make: (addresses) => {
      const shape = shapeOf({ version, transport, payloadLength: 600 }, addresses);
      return zeroEach(superPacket(shape, 200));
    },
  })),
);

/** Sets the first word of each segment's payload so that its checksum is 0. */
function zeroEach(made: Packet): Packet {
  const frame = made.frame.slice();
  segment(made.frame, made.header, 0).forEach((part, index) => {
    const at = made.payload + index * made.header.gsoSize;
    const word = ((frame[at] as number) << 8) | (frame[at + 1] as number);
    const wanted = foldSum(word + (transportChecksum(part) % 0xffff));
    frame[at] = wanted >> 8;
    frame[at + 1] = wanted & 0xff;
  });
  return { ...made, frame };
}

export const CASES: readonly Case[] = [
  ...TCP_CASES,
  ...UDP_CASES,
  ...CHECKSUM_CASES,
  ...ZERO_CASES,
];
