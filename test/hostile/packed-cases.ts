import { VIRTIO_F_INDIRECT_DESC, VIRTIO_F_VERSION_1 } from '../../layout/virtio.ts';
import {
  DESCRIPTOR_F_INDIRECT,
  DESCRIPTOR_F_NEXT,
  DESCRIPTOR_F_WRITE,
  PACKED_F_AVAIL,
  PACKED_F_USED,
} from '../../layout/virtqueue.ts';
import type { GuestMemory, Span } from '../../src/testing/guest-memory.ts';
import type { PackedDescriptor, PackedQueue } from '../../src/testing/packed-queue.ts';

export const PACKED_SIZE = 250;
const NEXT = DESCRIPTOR_F_NEXT;
const INDIRECT = DESCRIPTOR_F_INDIRECT;
const WRITE = DESCRIPTOR_F_WRITE;

/** What a case can use: the ring to break, and a valid packet in guest memory. */
interface PackedWeapons {
  ring: PackedQueue;
  memory: GuestMemory;
  packet: Span;
  table: Span;
}

export interface PackedCase {
  title: string;
  /** The chains to make available, in order. */
  chains: (weapons: PackedWeapons) => PackedDescriptor[][];
  /** Drop reason, counted once per chain; null if the frames are valid after all. */
  reason: string | null;
  features?: number[];
}

export const PACKED_FEATURES = [VIRTIO_F_VERSION_1, VIRTIO_F_INDIRECT_DESC];

function whole({ packet }: PackedWeapons, flags = 0, id = 7): PackedDescriptor {
  return { address: BigInt(packet.address), length: packet.length, flags, id };
}

/** Writes the entries of a table, and returns a descriptor for `length` bytes of it. */
function tableOf(
  weapons: PackedWeapons,
  length: number,
  entries: readonly PackedDescriptor[],
  flags = INDIRECT,
): PackedDescriptor {
  entries.forEach((entry, index) => {
    weapons.ring.writeDescriptor(index, entry, weapons.table);
  });
  return { address: BigInt(weapons.table.address), length, flags, id: 9 };
}

const INDIRECT_CASES: readonly PackedCase[] = [
  {
    title: 'CVE-2026-16457: INDIRECT with NEXT',
    chains: (w) => [[tableOf(w, 16, [whole(w)], INDIRECT | NEXT), whole(w)]],
    reason: 'indirectTable',
  },
  {
    title: 'CVE-2026-16457: INDIRECT with NEXT, in the whole ring',
    chains: (w) => [
      Array.from({ length: PACKED_SIZE }, (_, index) =>
        tableOf(w, 16, [whole(w)], index < PACKED_SIZE - 1 ? INDIRECT | NEXT : INDIRECT),
      ),
    ],
    reason: 'indirectTable',
  },
  ...[0, 1, 15, 17, (PACKED_SIZE + 1) * 16, 0xffff_fff0].map((length) => ({
    title: `an indirect table of ${length} bytes`,
    chains: (w: PackedWeapons) => [[tableOf(w, length, [whole(w)])]],
    reason: 'indirectTable',
  })),
  {
    title: 'a table in a table',
    chains: (w) => [[tableOf(w, 32, [whole(w, INDIRECT), whole(w)])]],
    reason: 'indirectTable',
  },
  {
    title: 'a table without INDIRECT_DESC',
    chains: (w) => [[tableOf(w, 16, [whole(w)])]],
    reason: 'indirectTable',
    features: [VIRTIO_F_VERSION_1],
  },
  {
    title: 'a table outside guest memory',
    chains: () => [[{ address: 0x7777_0000_0000n, length: 16, flags: INDIRECT, id: 1 }]],
    reason: 'bufferAddress',
  },
  {
    title: 'a table entry with NEXT, AVAIL and USED, all of which are reserved there',
    chains: (w) => [[tableOf(w, 16, [whole(w, NEXT | PACKED_F_AVAIL | PACKED_F_USED)])]],
    reason: null,
  },
];

export const PACKED_CASES: readonly PackedCase[] = [
  ...INDIRECT_CASES,
  ...[PACKED_SIZE, 0x7fff, 0x8000, 0xffff].map((id) => ({
    title: `SPDK #3860: id ${id}, which names no descriptor (and need not)`,
    chains: (w: PackedWeapons) => [[whole(w, 0, id)]],
    reason: null,
  })),
  {
    title: 'SPDK #3860: the same id for every frame',
    chains: (w) => [[whole(w)], [whole(w)], [whole(w)]],
    reason: null,
  },
  {
    title: 'a writable descriptor on transmit',
    chains: (w) => [[whole(w, WRITE)]],
    reason: 'bufferDirection',
  },
  {
    title: 'an empty chain of all descriptors of the ring',
    chains: () => [
      Array.from({ length: PACKED_SIZE }, (_, index) => {
        const flags = index < PACKED_SIZE - 1 ? NEXT : 0;
        return { address: 0n, length: 0, flags, id: index };
      }),
    ],
    reason: 'headerShort',
  },
  {
    title: 'OpenVMM #4047: address + length wraps 2^64',
    chains: () => [[{ address: 0xffff_ffff_ffff_ff00n, length: 0x200, flags: 0, id: 0 }]],
    reason: 'bufferAddress',
  },
  {
    title: 'CVE-2018-17963: a total length above INT_MAX',
    chains: (w) => [
      [
        { address: BigInt(w.packet.address), length: 0x7fff_ffff, flags: NEXT, id: 0 },
        { address: BigInt(w.packet.address), length: 0x7fff_ffff, flags: 0, id: 0 },
      ],
    ],
    reason: 'giant',
  },
];
