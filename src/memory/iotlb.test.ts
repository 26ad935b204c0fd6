import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IOTLB_ENTRIES_MAX, IOTLB_ENTRIES_PER_FUNCTION_MAX } from '../../layout/limits.ts';
import { IOTLB_READ, IOTLB_WRITE } from '../../layout/memory.ts';
import { Iotlb, type IotlbTable, isPageRange, pageStart } from './iotlb.ts';

const PAGE = 4096;
const KIB_4 = 4096n;
const MIB_2 = 0x200000n;
const GIB_1 = 0x40000000n;
const READ_WRITE = IOTLB_READ | IOTLB_WRITE;

/** The firmware's table, which checks that no tag is entered twice. */
class FakeTable implements IotlbTable {
  readonly entries = new Map<bigint, bigint>();

  insertTranslation(tag: bigint, value: bigint): void {
    expect(this.entries.has(tag), 'a tag is entered once').toBe(false);
    this.entries.set(tag, value);
  }

  removeTranslation(tag: bigint): void {
    this.entries.delete(tag);
  }
}

function update(
  iotlb: Iotlb,
  owner: number,
  iova: bigint,
  sizeBytes: bigint,
  guestAddress: number,
) {
  iotlb.apply(owner, { type: 'update', iova, sizeBytes, guestAddress, access: READ_WRITE });
}

describe('an IOTLB', () => {
  it('translates every byte of a page, and nothing outside', () => {
    const iotlb = new Iotlb();
    update(iotlb, 3, 0x7000n, KIB_4, 0x12345000);
    expect(iotlb.lookUp(3, 0x7000n)).toEqual({ guestAddress: 0x12345000, access: READ_WRITE });
    expect(iotlb.lookUp(3, 0x7fffn)).toEqual({ guestAddress: 0x12345fff, access: READ_WRITE });
    expect(iotlb.lookUp(3, 0x6fffn)).toBeNull();
    expect(iotlb.lookUp(3, 0x8000n)).toBeNull();
    expect(iotlb.lookUp(4, 0x7000n), 'of another function').toBeNull();
  });

  it('stores large ranges in few entries, whatever is behind them', () => {
    const iotlb = new Iotlb();
    const start = 3n * GIB_1 - MIB_2 - KIB_4;
    update(iotlb, 0, start, KIB_4 + MIB_2 + 2n * GIB_1 + MIB_2 + 3n * KIB_4, 0x5000);
    expect(iotlb.size).toBe(1 + 1 + 2 + 1 + 3);
    const inside = 4n * GIB_1 + 0x123n;
    expect(iotlb.lookUp(0, inside)?.guestAddress).toBe(0x5000 + Number(inside - start));
  });

  it('forgets what an invalidation touches, with the large page that contains it', () => {
    const table = new FakeTable();
    const iotlb = new Iotlb(table);
    update(iotlb, 1, 0n, MIB_2 * 2n, 0);
    iotlb.apply(1, { type: 'invalidate', iova: 0x3000n, sizeBytes: KIB_4 });
    expect(iotlb.lookUp(1, 0x3000n)).toBeNull();
    expect(iotlb.lookUp(1, MIB_2)).not.toBeNull();
    iotlb.apply(1, { type: 'invalidate', iova: 0n, sizeBytes: 1n << 64n });
    expect(table.entries.size).toBe(0);
  });

  it('replaces a translation on update', () => {
    const table = new FakeTable();
    const iotlb = new Iotlb(table);
    update(iotlb, 1, 0x1000n, 4n * KIB_4, 0x10000);
    update(iotlb, 1, 0x2000n, KIB_4, 0x90000);
    expect(iotlb.lookUp(1, 0x2000n)?.guestAddress).toBe(0x90000);
    expect(iotlb.lookUp(1, 0x3000n)?.guestAddress).toBe(0x12000);
    expect(table.entries.size).toBe(4);
  });

  it('records repeated refusals, but never instead of a translation', () => {
    const table = new FakeTable();
    const iotlb = new Iotlb(table);
    for (let i = 0; i < 3; i++) iotlb.apply(1, { type: 'deny', iova: 0x1000n });
    expect([...table.entries.values()]).toEqual([0n]);
    expect(iotlb.lookUp(1, 0x1000n)).toBeNull();
    update(iotlb, 1, 0x1000n, KIB_4, 0x5000);
    iotlb.apply(1, { type: 'deny', iova: 0x1000n });
    expect(iotlb.lookUp(1, 0x1000n)?.guestAddress).toBe(0x5000);
  });

  it('limits the entries per function: the oldest goes', () => {
    const table = new FakeTable();
    const iotlb = new Iotlb(table);
    update(iotlb, 2, 0n, KIB_4, 0);
    for (let page = 1; page <= IOTLB_ENTRIES_PER_FUNCTION_MAX; page++) {
      update(iotlb, 1, BigInt(page * PAGE), KIB_4, page * PAGE);
    }
    update(iotlb, 1, 1n << 40n, KIB_4, 0);
    expect(table.entries.size).toBe(IOTLB_ENTRIES_PER_FUNCTION_MAX + 1);
    expect(iotlb.lookUp(1, KIB_4), 'the oldest').toBeNull();
    expect(iotlb.lookUp(1, 2n * KIB_4)).not.toBeNull();
    expect(iotlb.lookUp(2, 0n), 'the neighbour').not.toBeNull();
  });

  it('limits the entries in total: the function with the most makes room', () => {
    const table = new FakeTable();
    const iotlb = new Iotlb(table);
    const full = IOTLB_ENTRIES_MAX / IOTLB_ENTRIES_PER_FUNCTION_MAX;
    for (let owner = 0; owner < full; owner++) {
      for (let page = 0; page < IOTLB_ENTRIES_PER_FUNCTION_MAX; page++) {
        update(iotlb, owner, BigInt(page * PAGE), KIB_4, 0);
      }
    }
    for (let page = 0; page < 100; page++) update(iotlb, full, BigInt(page * PAGE), KIB_4, 0);
    expect(table.entries.size).toBe(IOTLB_ENTRIES_MAX);
    for (let page = 0; page < 100; page++) {
      expect(iotlb.lookUp(full, BigInt(page * PAGE))).not.toBeNull();
    }
  });

  it('never disagrees with a table of single pages', () => {
    const page = fc.integer({ min: 0, max: 2000 });
    const change = fc.record({
      isUpdate: fc.boolean(),
      first: page,
      count: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.constantFrom(512, 1024)),
      guest: page,
    });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 12 }), page, (changes, probe) => {
        const table = new FakeTable();
        const iotlb = new Iotlb(table);
        const known = new Map<number, number>();
        for (const { isUpdate, first, count, guest } of changes) {
          const iova = BigInt(first * PAGE);
          const sizeBytes = BigInt(count * PAGE);
          if (isUpdate) update(iotlb, 1, iova, sizeBytes, guest * PAGE);
          else iotlb.apply(1, { type: 'invalidate', iova, sizeBytes });
          for (let i = 0; i < count; i++) {
            if (isUpdate) known.set(first + i, guest + i);
            else known.delete(first + i);
          }
        }
        const found = iotlb.lookUp(1, BigInt(probe * PAGE));
        // It may know less, because it forgets large pages as a whole, but never anything else.
        if (found !== null) expect(found.guestAddress).toBe((known.get(probe) ?? -1) * PAGE);
        expect(table.entries.size).toBe(iotlb.size);
      }),
    );
  });
});

describe('a range that an IOMMU can translate', () => {
  it('consists of whole pages, is not empty, and may end with the address space', () => {
    expect(isPageRange(0x1000n, 0x2000n)).toBe(true);
    expect(isPageRange((1n << 64n) - 0x1000n, 0x1000n)).toBe(true);
    expect(isPageRange((1n << 64n) - 0x1000n, 0x2000n)).toBe(false);
    expect(isPageRange(0x1000n, 0n)).toBe(false);
    expect(isPageRange(0x1001n, 0x1000n)).toBe(false);
    expect(isPageRange(0x1000n, 0x800n)).toBe(false);
    expect(pageStart(0x1fffn)).toBe(0x1000n);
  });
});
