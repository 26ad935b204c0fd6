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
/** More than there are slots. */
const CHUNKS = SLOT_COUNT_MAX + 100;

/** The window table of the firmware with the host half that processors have. */
describe('a full window table', () => {
  let host: FirmwareHost;
  let windows: Windows;
  let fd: number;

  beforeEach(() => {
    host = new FirmwareHost({ slotCount: SLOT_COUNT_MAX });
    host.nextBatch(); // no window is of the first one, whose senders would keep theirs
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

  /** Each in a batch of its own, so that what came before is older. */
  function open(vf: number, chunks: number, first = 0): void {
    for (let chunk = first; chunk < first + chunks; chunk++) {
      host.nextBatch();
      expect(windows.resolve(vf, BigInt(chunk * SLOT_SIZE))).toBe('mapped');
    }
  }

  /** The chunks of a VF, of the first so many, that have a window. */
  function held(vf: number, chunks: number): number[] {
    const keys = new Set(host.windowKeys());
    return Array.from({ length: chunks }, (_, chunk) => chunk).filter((chunk) =>
      keys.has(windowKey(vf, chunk)),
    );
  }

  it('takes from who has most, however old the windows of a quiet VF are', () => {
    open(QUIET, 3);
    open(GREEDY, CHUNKS);
    expect(held(QUIET, 3)).toEqual([0, 1, 2]);
    expect(held(GREEDY, CHUNKS)).toHaveLength(SLOT_COUNT_MAX - 3);
    expect(windows.evictions).toBe(CHUNKS + 3 - SLOT_COUNT_MAX);
  });

  it('takes the oldest of these', () => {
    open(GREEDY, SLOT_COUNT_MAX);
    open(QUIET, 5);
    expect(held(GREEDY, 8)).toEqual([5, 6, 7]);
  });

  it('gives two who both want all of it a half each', () => {
    open(GREEDY, CHUNKS);
    open(OTHER, CHUNKS);
    const [greedy, other] = [held(GREEDY, CHUNKS).length, held(OTHER, CHUNKS).length];
    expect(greedy + other).toBe(SLOT_COUNT_MAX);
    // Who asks while both have as many takes one more: two apart where the number is even.
    expect(Math.abs(greedy - other)).toBeLessThanOrEqual(2);
    // Those that it had last.
    expect(held(OTHER, CHUNKS).at(0)).toBe(CHUNKS - other);
  });

  it('knows no more of a VF whose memory is gone', () => {
    open(GREEDY, SLOT_COUNT_MAX);
    windows.setRegions(GREEDY, []);
    while (windows.hasLeftovers) windows.sweep();
    expect(windows.used).toBe(0);
    open(QUIET, SLOT_COUNT_MAX);
    expect(windows.evictions).toBe(0);
  });
});
