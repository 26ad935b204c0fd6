import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HUGE_PAGE_SIZE, PIN_CELL_SIZE, PINS_SIZE } from '../../layout/memory.ts';
import {
  distinctPins,
  type FilePart,
  isPinOf,
  type Pin,
  PinAllocator,
  planPieces,
  planPins,
} from './pins.ts';

const file = (offset: number, pageSizeBytes = 4096) => ({ fd: 3, offset, pageSizeBytes });

/** The pin of a single part. */
function planPin(
  allocator: PinAllocator,
  file: Omit<FilePart, 'lengthBytes'>,
  lengthBytes: number,
): Pin | null {
  return planPins(allocator, [{ ...file, lengthBytes }])?.[0] ?? null;
}

describe('the allocator', () => {
  it('allocates cells, and reuses freed ones', () => {
    const pins = new PinAllocator();
    expect(pins.allocate(1, PIN_CELL_SIZE)).toBe(0);
    expect(pins.allocate(PIN_CELL_SIZE + 1, PIN_CELL_SIZE)).toBe(PIN_CELL_SIZE);
    expect(pins.usedCells).toBe(3);
    pins.free(0, 1);
    expect(pins.allocate(PIN_CELL_SIZE, PIN_CELL_SIZE)).toBe(0);
    expect(pins.usedCells).toBe(3);
  });

  it('can allocate its whole area, and not a byte more', () => {
    const pins = new PinAllocator();
    expect(pins.allocate(PINS_SIZE + 1, PIN_CELL_SIZE)).toBeNull();
    expect(pins.allocate(PINS_SIZE, PIN_CELL_SIZE)).toBe(0);
    expect(pins.allocate(1, PIN_CELL_SIZE)).toBeNull();
    pins.free(0, PINS_SIZE);
    expect(pins.usedCells).toBe(0);
  });
});

describe('a plan', () => {
  it('covers whole pages around the part', () => {
    const pin = planPin(new PinAllocator(), file(0x1234), 0x2000);
    expect(pin).toEqual({
      fd: 3,
      fileOffset: 0x1000,
      lengthBytes: 0x3000,
      partOffset: 0x234,
      pinOffset: 0,
    });
  });

  it('is aligned to 2 MiB if the file has pages of that size', () => {
    const pins = new PinAllocator();
    planPin(pins, file(0), 4096);
    const pin = planPin(pins, file(HUGE_PAGE_SIZE + 0x5000, HUGE_PAGE_SIZE), 0x1000);
    expect(pin?.pinOffset).toBe(HUGE_PAGE_SIZE);
    expect(pin?.lengthBytes).toBe(HUGE_PAGE_SIZE);
    expect(pin?.fileOffset).toBe(HUGE_PAGE_SIZE);
    expect(pin?.partOffset).toBe(0x5000);
  });

  it('is null if there is no room', () => {
    expect(planPin(new PinAllocator(), file(0), PINS_SIZE + 1)).toBeNull();
  });
});

type Step = { free: number } | { offset: number; lengthBytes: number; isHuge: boolean };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ free: fc.nat(50) }),
  fc.record({
    offset: fc.nat(2 ** 40),
    lengthBytes: fc.integer({ min: 1, max: 600_000 }),
    isHuge: fc.boolean(),
  }),
);

function expectSound(pin: Pin, others: readonly Pin[], page: number): void {
  expect(pin.pinOffset % Math.max(page, PIN_CELL_SIZE)).toBe(0);
  expect(pin.fileOffset % page).toBe(0);
  expect(pin.lengthBytes % page).toBe(0);
  expect(pin.pinOffset + pin.lengthBytes).toBeLessThanOrEqual(PINS_SIZE);
  for (const other of others) {
    const isApart =
      pin.pinOffset + pin.lengthBytes <= other.pinOffset ||
      other.pinOffset + other.lengthBytes <= pin.pinOffset;
    expect(isApart, `${pin.pinOffset} overlaps ${other.pinOffset}`).toBe(true);
  }
}

describe('pins that come and go', () => {
  it('never overlap, cover their part, and leave nothing behind', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const allocator = new PinAllocator();
        const live: Pin[] = [];
        for (const one of steps) {
          if ('free' in one) {
            const [gone] = live.splice(one.free, 1);
            if (gone !== undefined) allocator.free(gone.pinOffset, gone.lengthBytes);
            continue;
          }
          const page = one.isHuge ? HUGE_PAGE_SIZE : 4096;
          const pin = planPin(allocator, file(one.offset, page), one.lengthBytes);
          if (pin === null) continue;
          expectSound(pin, live, page);
          expect(pin.fileOffset + pin.partOffset).toBe(one.offset);
          expect(pin.partOffset + one.lengthBytes).toBeLessThanOrEqual(pin.lengthBytes);
          live.push(pin);
        }
        for (const pin of live) allocator.free(pin.pinOffset, pin.lengthBytes);
        expect(allocator.usedCells).toBe(0);
      }),
      { numRuns: 50 },
    );
  });
});

describe('the parts of one ring', () => {
  const part = (fields: Partial<FilePart>): FilePart => ({
    fd: 7,
    offset: 0,
    lengthBytes: 4096,
    pageSizeBytes: 4096,
    ...fields,
  });

  it('share a pin if they are adjacent', () => {
    const allocator = new PinAllocator();
    const parts = [part({}), part({ offset: 4096 }), part({ offset: 8192 + 64, lengthBytes: 512 })];
    const pins = planPins(allocator, parts) ?? [];
    expect(distinctPins(pins).length).toBe(1);
    expect(pins.map((pin) => pin.partOffset)).toEqual([0, 4096, 8192 + 64]);
    expect(pins[0]?.lengthBytes).toBe(3 * 4096);
    expect(allocator.usedCells).toBe(1);
  });

  it('share a huge page, instead of taking three', () => {
    const huge = { pageSizeBytes: HUGE_PAGE_SIZE };
    const parts = [part(huge), part({ ...huge, offset: 900_000 }), part({ ...huge, offset: 5000 })];
    const pins = planPins(new PinAllocator(), parts) ?? [];
    expect(distinctPins(pins).length).toBe(1);
    expect(pins[0]?.lengthBytes).toBe(HUGE_PAGE_SIZE);
  });

  it('have separate pins if they are far apart, or in several files', () => {
    const apart = [part({}), part({ offset: 100 * 4096 }), part({ offset: 200 * 4096 })];
    expect(distinctPins(planPins(new PinAllocator(), apart) ?? []).length).toBe(3);
    const files = [part({}), part({ fd: 8 }), part({ fd: 9 })];
    expect(distinctPins(planPins(new PinAllocator(), files) ?? []).length).toBe(3);
  });

  it('allocate nothing if there is no room for one of them', () => {
    const allocator = new PinAllocator();
    const parts = [part({}), part({ fd: 8, lengthBytes: PINS_SIZE })];
    expect(planPins(allocator, parts)).toBeNull();
    expect(allocator.usedCells).toBe(0);
  });
});

describe('a part in pieces', () => {
  const piece = (fd: number, pageSizeBytes = 4096): FilePart => ({
    fd,
    offset: 0x5000,
    lengthBytes: 0x2000,
    pageSizeBytes,
  });

  it('takes the room of all pieces, and belongs to all their files', () => {
    const pins = new PinAllocator();
    const pin = planPieces(pins, [piece(3), piece(4)], 0x10);
    expect(pin).toMatchObject({ lengthBytes: 0x4000, partOffset: 0x10, pinOffset: 0 });
    expect([3, 4, 5].map((fd) => pin !== null && isPinOf(pin, fd))).toEqual([true, true, false]);
    expect(pins.usedCells).toBe(1);
  });

  it.each([16384, 65536])('is refused if a piece is less than whole pages of %i bytes', (size) => {
    const pins = new PinAllocator();
    const whole = { fd: 3, offset: 2 * size, lengthBytes: size, pageSizeBytes: size };
    const half = { ...whole, offset: size / 2 };
    expect(planPieces(pins, [whole, half], 0, size)).toBeNull();
    expect(pins.usedCells).toBe(0);
    expect(planPieces(pins, [whole, whole], 0, size)).toMatchObject({ lengthBytes: 2 * size });
  });

  it.each([16384, 65536])('needs no alignment beyond its cells with pages of %i bytes', (size) => {
    const [pin] = planPins(new PinAllocator(), [{ ...piece(3, size), offset: size + 512 }]) ?? [];
    expect(pin).toMatchObject({ fileOffset: size, partOffset: 512, pinOffset: 0 });
    expect((pin?.lengthBytes ?? 1) % size).toBe(0);
  });

  it('is refused if a piece is in huge pages', () => {
    const pins = new PinAllocator();
    expect(planPieces(pins, [piece(3), piece(4, HUGE_PAGE_SIZE)], 0)).toBeNull();
    expect(pins.usedCells).toBe(0);
  });
});
