import { VIRTIO_F_INDIRECT_DESC } from '../../layout/virtio.ts';
import {
  DESCRIPTOR_F_INDIRECT,
  DESCRIPTOR_F_NEXT,
  DESCRIPTOR_F_WRITE,
  DESCRIPTOR_SIZE,
} from '../../layout/virtqueue.ts';
import { plainFrame } from '../../src/testing/frames.ts';
import type { GuestMemory, GuestRegion, Span } from '../../src/testing/guest-memory.ts';
import type { SplitQueue } from '../../src/testing/split-queue.ts';

/** Header size of the attacker: the legacy one, so that every byte matters. */
const HEADER = 10;
export const QUEUE_SIZE = 256;
/** Twice the size of the ring. */
export const TABLE_ENTRIES_MAX = 2 * QUEUE_SIZE;
const NEXT = DESCRIPTOR_F_NEXT;
const INDIRECT = DESCRIPTOR_F_INDIRECT;

/** What a case can use: the ring to break, and a valid packet in guest memory. */
interface Weapons {
  ring: SplitQueue;
  memory: GuestMemory;
  packet: Span;
  table: Span;
  lastRegion: GuestRegion;
}

export interface TransmitCase {
  title: string;
  /** Writes descriptors; returns the heads to offer. */
  write: (weapons: Weapons) => number[];
  /** Drop reason, counted once per head; null if the frames are valid after all. */
  reason: string | null;
  /** Feature bits; default: INDIRECT_DESC. */
  features?: number[];
}

export const ATTACKER_FEATURES = [VIRTIO_F_INDIRECT_DESC];

/** Header, and a frame of 100 bytes to the target. */
export function writePacket(memory: GuestMemory, to: string, from: string): Span {
  const span = memory.allocate(HEADER + 100, 16);
  memory.bytes.fill(0, span.offset, span.offset + HEADER);
  memory.bytes.set(plainFrame({ to, from }, 100), span.offset + HEADER);
  return span;
}

/** One descriptor, offered once. */
function single(fields: (w: Weapons) => { address: bigint; length: number; flags?: number }) {
  return (weapons: Weapons): number[] => {
    weapons.ring.writeDescriptor(0, { flags: 0, ...fields(weapons) });
    return [0];
  };
}

function at(span: Span, skip = 0): bigint {
  return BigInt(span.address + skip);
}

/** The packet with other bytes in its virtio-net header. */
function withHeader(fields: readonly number[]) {
  return ({ ring, memory, packet }: Weapons): number[] => {
    memory.bytes.set(fields, packet.offset);
    ring.writeDescriptor(0, { address: at(packet), length: packet.length, flags: 0 });
    return [0];
  };
}

/** An indirect table of `length` bytes with these first entries. */
function indirect(
  length: number,
  entries: (w: Weapons) => { address: bigint; length: number; flags: number; next?: number }[],
  flags = INDIRECT,
) {
  return (weapons: Weapons): number[] => {
    const { ring, table } = weapons;
    entries(weapons).forEach((entry, index) => {
      ring.writeDescriptor(index, entry, table);
    });
    ring.writeDescriptor(0, { address: at(table), length, flags, next: 1 });
    return [0];
  };
}

const goodEntry = ({ packet }: Weapons) => [
  { address: at(packet), length: packet.length, flags: 0 },
];

function regionEnd({ lastRegion }: Weapons): bigint {
  return BigInt(lastRegion.guestAddress + lastRegion.sizeBytes);
}

const LENGTHS: readonly TransmitCase[] = [
  {
    title: 'CVE-2020-10725: an invalid address with length 0',
    write: single(() => ({ address: 0xdead_0000_0000_0000n, length: 0 })),
    reason: 'headerShort',
  },
  {
    title: 'CVE-2022-2132: a chain shorter than the virtio-net header',
    write: single(({ packet }) => ({ address: at(packet), length: HEADER - 1 })),
    reason: 'headerShort',
  },
  {
    title: 'CVE-2022-2132: the header spread over ten descriptors (and valid)',
    write: ({ ring, packet }) => {
      for (let i = 0; i < HEADER; i++) {
        ring.writeDescriptor(i, { address: at(packet, i), length: 1, flags: NEXT, next: i + 1 });
      }
      ring.writeDescriptor(HEADER, { address: at(packet, HEADER), length: 100, flags: 0 });
      return [0];
    },
    reason: null,
  },
  {
    title: 'DPDK e31b57e732: a chain with only the header',
    write: single(({ packet }) => ({ address: at(packet), length: HEADER })),
    reason: 'runt',
  },
  {
    title: 'CVE-2026-46320, CVE-2026-46321: 1 to 13 bytes of payload',
    write: ({ ring, packet }) => {
      const heads = Array.from({ length: 13 }, (_, index) => index);
      for (const index of heads) {
        ring.writeDescriptor(index, { address: at(packet), length: HEADER + 1 + index, flags: 0 });
      }
      return heads;
    },
    reason: 'runt',
  },
  {
    title: 'CVE-2018-17963: a total length above INT_MAX',
    write: ({ ring, lastRegion }) => {
      const address = BigInt(lastRegion.guestAddress);
      ring.writeDescriptor(0, { address, length: 0x7fff_ffff, flags: NEXT, next: 1 });
      ring.writeDescriptor(1, { address, length: 0x7fff_ffff, flags: 0 });
      return [0];
    },
    reason: 'giant',
  },
  {
    title: 'rust-vmm #236: a self-referential chain longer than 2^32 bytes',
    write: ({ ring, lastRegion }) => {
      const address = BigInt(lastRegion.guestAddress);
      ring.writeDescriptor(0, { address, length: 0xffff_ffff, flags: NEXT, next: 0 });
      return [0];
    },
    reason: 'giant',
  },
];

const CHAINS: readonly TransmitCase[] = [
  {
    title: 'DPDK 6ec1778134: next out of range',
    write: ({ ring, packet }) => {
      for (const [index, next] of [QUEUE_SIZE, QUEUE_SIZE + 1, 0x8000, 0xffff].entries()) {
        ring.writeDescriptor(index, { address: at(packet), length: 20, flags: NEXT, next });
      }
      return [0, 1, 2, 3];
    },
    reason: 'chainNext',
  },
  {
    title: 'DPDK 6ec1778134: a circular chain',
    write: ({ ring, packet }) => {
      ring.writeDescriptor(0, { address: at(packet), length: 20, flags: NEXT, next: 1 });
      ring.writeDescriptor(1, { address: at(packet), length: 20, flags: NEXT, next: 0 });
      return [0];
    },
    reason: 'chainLength',
  },
  {
    title: 'CVE-2020-10725: a circular chain of empty buffers',
    write: ({ ring }) => {
      ring.writeDescriptor(7, { address: 0n, length: 0, flags: NEXT, next: 7 });
      return [7, 7, 7, 7];
    },
    reason: 'chainLength',
  },
  {
    title: 'a device-writable descriptor on transmit',
    write: single(({ packet }) => ({
      address: at(packet),
      length: packet.length,
      flags: DESCRIPTOR_F_WRITE,
    })),
    reason: 'bufferDirection',
  },
  {
    title: 'a device-writable descriptor in the middle of a chain on transmit',
    write: ({ ring, packet }) => {
      ring.writeDescriptor(0, { address: at(packet), length: 50, flags: NEXT, next: 1 });
      const flags = DESCRIPTOR_F_WRITE;
      ring.writeDescriptor(1, { address: at(packet, 50), length: 60, flags });
      return [0];
    },
    reason: 'bufferDirection',
  },
];

const ADDRESSES: readonly TransmitCase[] = [
  {
    title: 'OpenVMM #4047: address + length wraps 2^64',
    write: single(() => ({ address: 0xffff_ffff_ffff_fff0n, length: 4096 })),
    reason: 'bufferAddress',
  },
  {
    title: 'CVE-2018-1059: a buffer that crosses the end of its memory region',
    write: single((w) => ({ address: regionEnd(w) - 50n, length: 110 })),
    reason: 'bufferAddress',
  },
  {
    title: 'CVE-2018-1059: a buffer that starts at the end of its memory region',
    write: single((w) => ({ address: regionEnd(w), length: 110 })),
    reason: 'bufferAddress',
  },
  {
    title: 'CVE-2018-1059: a buffer that ends with its memory region (and valid)',
    write: (weapons) => {
      const { memory, packet, ring } = weapons;
      const address = regionEnd(weapons) - BigInt(packet.length);
      const { offset } = memory.spanAt(Number(address), packet.length);
      memory.bytes.copyWithin(offset, packet.offset, packet.offset + packet.length);
      ring.writeDescriptor(0, { address, length: packet.length, flags: 0 });
      return [0];
    },
    reason: null,
  },
  {
    title: 'CVE-2018-1059: an indirect table that crosses the end of its memory region',
    write: (weapons) => {
      const { ring, memory, packet } = weapons;
      const address = regionEnd(weapons) - 16n;
      const entry = { address: at(packet), length: 50, flags: NEXT, next: 1 };
      ring.writeDescriptor(0, entry, memory.spanAt(Number(address), 16));
      ring.writeDescriptor(0, { address, length: 32, flags: INDIRECT });
      return [0];
    },
    reason: 'bufferAddress',
  },
  {
    title: 'CVE-2018-1059: an indirect descriptor cut in two by the end of its memory region',
    write: (weapons) => {
      const address = regionEnd(weapons) - 8n;
      weapons.ring.writeDescriptor(0, { address, length: 16, flags: INDIRECT });
      return [0];
    },
    reason: 'indirectTable',
  },
  {
    title: 'a buffer in a hole between memory regions',
    write: single(() => ({ address: 0x8000_0000n, length: 110 })),
    reason: 'bufferAddress',
  },
  {
    title: "a buffer at the front-end's own address of the memory",
    write: single(({ packet, lastRegion }) => ({
      address: BigInt(lastRegion.userAddress),
      length: packet.length,
    })),
    reason: 'bufferAddress',
  },
];

/** 2.7.5.3.1: the chain must not be longer than the queue; the table may be. */
const LONG_TABLES: readonly TransmitCase[] = [
  {
    title: 'an indirect table of 4 GiB with one descriptor in use',
    write: indirect(0xffff_fff0, goodEntry),
    reason: null,
  },
  {
    title: 'an indirect table longer than the ring, whose chain leads beyond its size',
    write: ({ ring, packet, table }) => {
      const last = TABLE_ENTRIES_MAX - 1;
      const first = { address: at(packet), length: 20, flags: NEXT, next: last };
      const rest = { address: at(packet, 20), length: packet.length - 20, flags: 0 };
      ring.writeDescriptor(0, first, table);
      ring.writeDescriptor(last, rest, table);
      const length = TABLE_ENTRIES_MAX * DESCRIPTOR_SIZE;
      ring.writeDescriptor(0, { address: at(table), length, flags: INDIRECT });
      return [0];
    },
    reason: null,
  },
  ...(
    [
      ['as long as the ring', QUEUE_SIZE, null],
      ['longer than the ring', QUEUE_SIZE + 1, 'chainLength'],
    ] as const
  ).map(([what, count, reason]) => ({
    title: `an indirect table whose chain is ${what}`,
    write: indirect(TABLE_ENTRIES_MAX * DESCRIPTOR_SIZE, ({ packet }) =>
      Array.from({ length: count }, (_, index) => ({
        address: at(packet),
        length: index === count - 1 ? packet.length : 0,
        flags: index === count - 1 ? 0 : NEXT,
        next: index + 1,
      })),
    ),
    reason,
  })),
];

const TABLES: readonly TransmitCase[] = [
  {
    title: 'an indirect table within an indirect table',
    write: indirect(16, ({ table }) => [{ address: at(table), length: 16, flags: INDIRECT }]),
    reason: 'indirectTable',
  },
  ...[
    ['of length 0', 0],
    ['whose length is no multiple of 16', 17],
    ['shorter than one descriptor', 8],
  ].map(([what, length]) => ({
    title: `an indirect table ${what}`,
    write: indirect(Number(length), goodEntry),
    reason: 'indirectTable',
  })),
  {
    title: 'CVE-2026-16457 (split ring): INDIRECT together with NEXT',
    write: indirect(16, goodEntry, INDIRECT | NEXT),
    reason: 'indirectTable',
  },
  {
    title: 'an indirect table that was not negotiated',
    write: indirect(16, goodEntry),
    reason: 'indirectTable',
    features: [],
  },
  {
    title: 'an indirect table outside guest memory',
    write: single(() => ({ address: 0x7000_0000_0000n, length: 64, flags: INDIRECT })),
    reason: 'bufferAddress',
  },
  {
    title: 'next out of range within an indirect table',
    write: indirect(32, ({ packet }) => [
      { address: at(packet), length: 20, flags: NEXT, next: 2 },
    ]),
    reason: 'chainNext',
  },
  {
    title: 'a circular chain within an indirect table',
    write: indirect(32, ({ packet }) => [
      { address: at(packet), length: 20, flags: NEXT, next: 1 },
      { address: at(packet), length: 20, flags: NEXT, next: 0 },
    ]),
    reason: 'chainLength',
  },
];

const HEADERS: readonly TransmitCase[] = [
  {
    title: 'CVE-2024-11614: NEEDS_CSUM with csum_start and csum_offset beyond the packet',
    write: withHeader([1, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]),
    reason: 'headerOffload',
  },
  {
    title: 'DPDK 7023f3e532: gso_type set with gso_size 0',
    write: withHeader([0, 1, 0, 0, 0, 0, 0, 0, 0, 0]),
    reason: 'headerOffload',
  },
  {
    title: 'DPDK 7023f3e532: gso_size 1 for a large packet',
    write: withHeader([1, 1, 0, 0, 1, 0, 34, 0, 16, 0]),
    reason: 'headerOffload',
  },
  {
    title: 'DPDK 7023f3e532: hdr_len beyond the packet, without any offload (ignored)',
    write: withHeader([0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
    reason: null,
  },
];

export const TRANSMIT_CASES: readonly TransmitCase[] = [
  ...LENGTHS,
  ...CHAINS,
  ...ADDRESSES,
  ...TABLES,
  ...LONG_TABLES,
  ...HEADERS,
];
