import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SLOT_COUNT_MAX, SLOT_SIZE } from '../../layout/memory.ts';
import type { MemoryRegion } from '../../src/memory/guest-memory.ts';
import { type Windows, windowKey } from '../../src/memory/windows.ts';
import { c } from '../../src/os/libc.ts';
import { createMemoryFile } from '../../src/os/memory-file.ts';
import { FirmwareHost } from '../support/firmware-host.ts';

const QUIET = 1;
const GREEDY = 2;
const OTHER = 3;
/** More chunks than there are slots. */
const CHUNKS = SLOT_COUNT_MAX + 100;

/** The window table: the firmware's part and the processor's. */
describe('a full window table', () => {
  let host: FirmwareHost;
  let windows: Windows;
  let fd: number;

  beforeEach(() => {
    host = new FirmwareHost({ slotCount: SLOT_COUNT_MAX });
    host.nextBatch(); // no window may belong to the first batch, which would protect it
    windows = host.windows;
    fd = createMemoryFile('guests', CHUNKS * SLOT_SIZE);
    const region: MemoryRegion = {
      ...{ guestAddress: 0, userAddress: 0, fileOffset: 0, sizeBytes: CHUNKS * SLOT_SIZE },
      ...{ fd, pageSizeBytes: 4096, uses: 1 },
    };
    for (const vf of [QUIET, GREEDY, OTHER]) windows.setRegions(vf, [region]);
  });

  afterEach(() => {
    c.close(fd);
  });

  /** Opens each window in its own batch, so that earlier ones are older. */
  function open(vf: number, chunks: number, first = 0): void {
    for (let chunk = first; chunk < first + chunks; chunk++) {
      host.nextBatch();
      expect(windows.resolve(vf, BigInt(chunk * SLOT_SIZE))).toBe('mapped');
    }
  }

  /** The chunks of a VF, among the first `chunks`, that have a window. */
  function held(vf: number, chunks: number): number[] {
    const keys = new Set(host.windowKeys());
    return Array.from({ length: chunks }, (_, chunk) => chunk).filter((chunk) =>
      keys.has(windowKey(vf, chunk)),
    );
  }

  it('evicts from the VF with the most windows, however old those of a quiet VF are', () => {
    open(QUIET, 3);
    open(GREEDY, CHUNKS);
    expect(held(QUIET, 3)).toEqual([0, 1, 2]);
    expect(held(GREEDY, CHUNKS)).toHaveLength(SLOT_COUNT_MAX - 3);
    expect(windows.evictions).toBe(CHUNKS + 3 - SLOT_COUNT_MAX);
  });

  it('evicts the oldest window of that VF', () => {
    open(GREEDY, SLOT_COUNT_MAX);
    open(QUIET, 5);
    expect(held(GREEDY, 8)).toEqual([5, 6, 7]);
  });

  it('gives half each to two VFs that both want all windows', () => {
    open(GREEDY, CHUNKS);
    open(OTHER, CHUNKS);
    const [greedy, other] = [held(GREEDY, CHUNKS).length, held(OTHER, CHUNKS).length];
    expect(greedy + other).toBe(SLOT_COUNT_MAX);
    // With equal shares, the VF that requests gets one more, which makes a difference of two if the
    // number is even.
    expect(Math.abs(greedy - other)).toBeLessThanOrEqual(2);
    // It has kept those that it used last.
    expect(held(OTHER, CHUNKS).at(0)).toBe(CHUNKS - other);
  });

  it('has no entries for a VF whose memory is gone', () => {
    open(GREEDY, SLOT_COUNT_MAX);
    windows.setRegions(GREEDY, []);
    while (windows.hasLeftovers) windows.sweep();
    expect(windows.used).toBe(0);
    open(QUIET, SLOT_COUNT_MAX);
    expect(windows.evictions).toBe(0);
  });
});
