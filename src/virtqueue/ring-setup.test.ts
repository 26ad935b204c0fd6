import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  VIRTIO_F_EVENT_IDX,
  VIRTIO_F_IN_ORDER,
  VIRTIO_F_INDIRECT_DESC,
} from '../../layout/virtio.ts';
import { RING_F_EVENT_INDEX, RING_F_IN_ORDER, RING_F_INDIRECT } from '../../layout/virtqueue.ts';
import { GuestMemory } from '../memory/guest-memory.ts';
import { PinAllocator } from '../memory/pins.ts';
import { c } from '../os/libc.ts';
import { createMemoryFile } from '../os/memory-file.ts';
import {
  createRingSetup,
  freePins,
  isAligned,
  isQueueSize,
  pinRing,
  type RingSetup,
  ringFlags,
} from './ring-setup.ts';

const bit = (number: number) => 1n << BigInt(number);

describe('a queue size', () => {
  it('is a power of two up to 32768', () => {
    const sizes = Array.from({ length: 70_000 }, (_, size) => size).filter((size) =>
      isQueueSize(size, 0n),
    );
    expect(sizes).toEqual(Array.from({ length: 16 }, (_, power) => 2 ** power));
  });

  it.each([-1, -2, 65536, 2 ** 31, 2 ** 32 - 1, 2 ** 32])('cannot be %d', (size) => {
    expect(isQueueSize(size, 0n)).toBe(false);
  });
});

describe('alignment', () => {
  it('is 16 bytes for descriptors, 2 for avail, 4 for used', () => {
    const address = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
    fc.assert(
      fc.property(address, address, address, (descriptors, avail, used) => {
        const isRight = descriptors % 16n === 0n && avail % 2n === 0n && used % 4n === 0n;
        expect(isAligned({ descriptors, avail, used }, 0n)).toBe(isRight);
        const parts = { descriptors: descriptors & ~15n, avail: avail & ~1n, used: used & ~3n };
        expect(isAligned(parts, 0n)).toBe(true);
        expect(isAligned({ ...parts, descriptors: parts.descriptors | 8n }, 0n)).toBe(false);
        expect(isAligned({ ...parts, avail: parts.avail | 1n }, 0n)).toBe(false);
        expect(isAligned({ ...parts, used: parts.used | 2n }, 0n)).toBe(false);
      }),
    );
  });
});

describe('features', () => {
  it.each([
    [VIRTIO_F_EVENT_IDX, RING_F_EVENT_INDEX],
    [VIRTIO_F_IN_ORDER, RING_F_IN_ORDER],
    [VIRTIO_F_INDIRECT_DESC, RING_F_INDIRECT],
  ])('bit %d sets ring flag %d and no other', (feature, flag) => {
    expect(ringFlags(bit(feature))).toBe(flag);
    expect(ringFlags(~bit(feature) & (2n ** 64n - 1n)) & flag).toBe(0);
  });
});

describe('pinning a ring', () => {
  const MIB = 0x100000n;
  const USER = 0x7f00_0000_0000n;
  const SIZE = 256;
  let memory: GuestMemory;
  let allocator: PinAllocator;

  beforeEach(() => {
    memory = new GuestMemory(() => false);
    allocator = new PinAllocator();
    // Two adjacent regions, in guest and in front-end addresses, of two files.
    for (const index of [0n, 1n]) {
      const fd = createMemoryFile('guest', Number(2n * MIB));
      const at = { guestAddress: index * MIB, userAddress: USER + index * MIB };
      expect(memory.add({ ...at, sizeBytes: MIB, fileOffset: MIB }, fd)).toBeNull();
    }
  });

  afterEach(() => {
    for (const region of memory.takeAll()) c.close(region.fd);
  });

  function setup(descriptors: bigint, avail: bigint, used: bigint): RingSetup {
    const addresses = { descriptors: USER + descriptors, avail: USER + avail, used: USER + used };
    return { ...createRingSetup(), size: SIZE, addresses };
  }

  it('maps each part as a whole, wherever it is', () => {
    const pins = pinRing(setup(0x10010n, MIB + 0x2002n, 0x4n), memory, allocator, 0n);
    const [low, high] = memory.regions;
    expect(pins?.descriptors).toMatchObject({ fd: low?.fd, partOffset: 0x10 });
    expect(pins?.descriptors.fileOffset).toBe(Number(MIB) + 0x10000);
    expect(pins?.descriptors.lengthBytes).toBe(0x2000);
    expect(pins?.avail).toMatchObject({ fd: high?.fd, partOffset: 2, lengthBytes: 0x1000 });
    expect(pins?.avail.fileOffset).toBe(Number(MIB) + 0x2000);
    expect(pins?.used).toMatchObject({ fd: low?.fd, fileOffset: Number(MIB), partOffset: 4 });
    expect(new Set(Object.values(pins!).map((pin) => pin.pinOffset)).size).toBe(3);
    freePins(pins!, allocator);
    expect(allocator.usedCells).toBe(0);
  });

  it('accepts a part that ends with its region, but not one byte more', () => {
    const size = BigInt(SIZE * 16);
    expect(pinRing(setup(MIB - size, 0n, 0x1000n), memory, allocator, 0n)).not.toBeNull();
    expect(pinRing(setup(MIB - size + 16n, 0n, 0x1000n), memory, allocator, 0n)).toBeNull();
  });

  it('includes the event index at the end of each ring', () => {
    const avail = BigInt(4 + SIZE * 2 + 2);
    const used = BigInt(4 + SIZE * 8 + 2);
    expect(pinRing(setup(0n, 2n * MIB - avail, 0n), memory, allocator, 0n)).not.toBeNull();
    expect(pinRing(setup(0n, 2n * MIB - avail + 2n, 0n), memory, allocator, 0n)).toBeNull();
    expect(pinRing(setup(0n, 0n, 2n * MIB - used - 2n), memory, allocator, 0n)).not.toBeNull();
    expect(pinRing(setup(0n, 0n, 2n * MIB - used + 2n), memory, allocator, 0n)).toBeNull();
  });

  it('refuses a ring outside guest memory, and frees the parts it had pinned', () => {
    for (const bad of [setup(0n, 0n, 4n * MIB), setup(0n, -2n, 0n), setup(-16n, 0n, 0n)]) {
      expect(pinRing(bad, memory, allocator, 0n)).toBeNull();
    }
    expect(allocator.usedCells).toBe(0);
  });

  it('refuses a ring if there is no room for pins', () => {
    let rings = 0;
    while (pinRing(setup(0n, 0n, 0n), memory, allocator, 0n) !== null) rings += 1;
    expect(rings).toBeGreaterThan(2000);
    const used = allocator.usedCells;
    expect(pinRing(setup(0n, 0n, 0n), memory, allocator, 0n)).toBeNull();
    expect(allocator.usedCells).toBe(used);
  });

  describe('of I/O virtual addresses', () => {
    const PAGE = 4096;
    const IOVA = 0x7000_0000n;

    /** A ring at IOVA whose n-th page is at guest address `pages[n]`; −1: unknown. */
    function pinAt(pages: readonly number[], start = 0n) {
      const addresses = {
        descriptors: IOVA + start,
        avail: IOVA + start + 0x1000n,
        used: IOVA + start + 0x2000n,
      };
      const ring = { ...createRingSetup(), size: SIZE, addresses };
      return pinRing(ring, memory, allocator, 0n, (iova) => {
        const guest = pages[Number((iova - IOVA) / BigInt(PAGE))] ?? -1;
        return guest < 0 ? null : guest;
      });
    }

    it('finds the one piece of each part', () => {
      const pins = pinAt([3 * PAGE, 9 * PAGE, 5 * PAGE]);
      expect(pins?.descriptors.fileOffset).toBe(Number(MIB) + 3 * PAGE);
      expect(pins?.avail.fileOffset).toBe(Number(MIB) + 9 * PAGE);
      expect(pins?.used).toMatchObject({ fileOffset: Number(MIB) + 5 * PAGE, partOffset: 0 });
    });

    it('combines scattered pages, even of several regions', () => {
      const [low, high] = memory.regions;
      const pins = pinAt([3 * PAGE, Number(MIB) + PAGE, 7 * PAGE, 6 * PAGE], 0x10n);
      const { pieces, partOffset, lengthBytes } = pins!.descriptors;
      expect({ partOffset, lengthBytes }).toEqual({ partOffset: 0x10, lengthBytes: 2 * PAGE });
      expect(pieces?.map(({ fd, offset }) => [fd, offset])).toEqual([
        [low?.fd, Number(MIB) + 3 * PAGE],
        [high?.fd, Number(MIB) + PAGE],
      ]);
      freePins(pins!, allocator);
      expect(allocator.usedCells).toBe(0);
    });

    it('refuses a part that is not fully translated, and frees what it had pinned', () => {
      for (const pages of [[], [PAGE], [PAGE, 5 * PAGE], [PAGE, -1, 5 * PAGE]]) {
        expect(pinAt(pages, 0x10n)).toBeNull();
      }
      expect(pinAt([PAGE, 64 * Number(MIB), 3 * PAGE]), 'beyond the memory').toBeNull();
      expect(allocator.usedCells).toBe(0);
    });
  });

  it('requires the addresses', () => {
    expect(pinRing({ ...createRingSetup(), size: 256 }, memory, allocator, 0n)).toBeNull();
  });
});
