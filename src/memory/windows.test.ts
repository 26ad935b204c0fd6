import { closeSync, openSync, readSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  HUGE_PAGE_SIZE,
  SLOT_COUNT_MAX,
  SLOT_KEY,
  SLOT_RECORD_SIZE,
  SLOT_SIZE,
  SLOTS_BASE,
  WINDOW_SLOTS_BASE,
} from '../../layout/memory.ts';
import { ENOMEM, F_ADD_SEALS, F_SEAL_WRITE } from '../os/constants.ts';
import { c } from '../os/libc.ts';
import { LinearMemory } from '../os/linear-memory.ts';
import { createMemoryFile } from '../os/memory-file.ts';
import { SystemError } from '../os/system-error.ts';
import type { MemoryRegion } from './guest-memory.ts';
import { type WindowFirmware, Windows, windowKey } from './windows.ts';

const MIB = 0x100000;
const PAGE = 4096;
const OWNER = 5;

interface Window {
  key: bigint;
  low: number;
  size: number;
  base: number;
}

/**
 * A window table without the firmware. It takes the next free slot, up to the limit of the test.
 */
class FakeFirmware implements WindowFirmware {
  readonly windows = new Map<number, Window>();
  readonly #keys: BigUint64Array;
  slotCount = SLOT_COUNT_MAX;
  nextVictim = -1;
  /** The function last named as the one to lose a window. */
  givesWay = -1;

  constructor(memory: LinearMemory) {
    const words = (SLOT_COUNT_MAX * SLOT_RECORD_SIZE) / 8;
    this.#keys = new BigUint64Array(memory.buffer, WINDOW_SLOTS_BASE + SLOT_KEY, words);
  }

  insertWindow(key: bigint, low: number, size: number, base: number, slot: number): void {
    this.windows.set(slot, { key, low, size, base });
    this.#keys[(slot * SLOT_RECORD_SIZE) / 8] = key;
  }

  removeWindow(slot: number): void {
    this.windows.delete(slot);
    this.#keys[(slot * SLOT_RECORD_SIZE) / 8] = 0n;
  }

  chooseSlot(_: number, owner: number): number {
    this.givesWay = owner;
    for (let slot = 0; slot < this.slotCount; slot++) if (!this.windows.has(slot)) return slot;
    return this.nextVictim;
  }

  /** Like `translate` of the firmware: the linear address, or −1. */
  translate(owner: number, address: number): number {
    const offset = address % SLOT_SIZE;
    const key = windowKey(owner, Math.floor(address / SLOT_SIZE));
    for (const window of this.windows.values()) {
      const isHit = window.key === key && offset >= window.low && offset < window.low + window.size;
      if (isHit) return (window.base + offset) % 2 ** 32;
    }
    return -1;
  }
}

/** A memory for which the kernel has no more mappings while `isFull` is set. */
class FullMemory extends LinearMemory {
  isFull = false;

  override map(offset: number, length: number, fd: number, fileOffset: number): void {
    if (this.isFull) {
      this.unmap(offset, length); // as a failed map does
      throw new SystemError('mmap', ENOMEM);
    }
    super.map(offset, length, fd, fileOffset);
  }
}

const memory = new FullMemory(2 ** 32);
const bytes = new Uint8Array(memory.buffer);
const align = (HUGE_PAGE_SIZE - (memory.base % HUGE_PAGE_SIZE)) % HUGE_PAGE_SIZE;
const fds: number[] = [];
let firmware: FakeFirmware;
let windows: Windows;

/** A region of a file in which each page begins with its page number + 1. */
function region(fields: Partial<MemoryRegion> = {}, fileSize = 16 * MIB): MemoryRegion {
  const fd = createMemoryFile('guest', fileSize);
  fds.push(fd);
  const view = new LinearMemory(fileSize);
  view.map(0, fileSize, fd, 0);
  const words = new Uint32Array(view.buffer);
  for (let page = 0; page < fileSize / PAGE; page++) words[(page * PAGE) / 4] = page + 1;
  return {
    guestAddress: 0,
    sizeBytes: fileSize,
    userAddress: 0,
    fd,
    fileOffset: 0,
    pageSizeBytes: PAGE,
    uses: 1,
    ...fields,
  };
}

/** Resolves an address and checks that the page mapped there is that of the region. */
function expectMapped(one: MemoryRegion, address: number, owner = OWNER): void {
  expect(windows.resolve(owner, BigInt(address))).toBe('mapped');
  expectHit(one, address, owner);
}

function expectHit(one: MemoryRegion, address: number, owner = OWNER): void {
  const inPage = address % PAGE;
  const linear = firmware.translate(owner, address);
  expect(linear, `no window for ${address}`).toBeGreaterThanOrEqual(SLOTS_BASE);
  const view = new DataView(bytes.buffer, linear - inPage, 4);
  const filePage = (one.fileOffset + address - inPage - one.guestAddress) / PAGE;
  expect(view.getUint32(0, true)).toBe(filePage + 1);
}

beforeEach(() => {
  firmware = new FakeFirmware(memory);
  bytes.fill(0, WINDOW_SLOTS_BASE, WINDOW_SLOTS_BASE + SLOT_COUNT_MAX * SLOT_RECORD_SIZE);
  windows = new Windows(memory, firmware, SLOTS_BASE + align);
});

afterEach(() => {
  windows.setRegions(OWNER, []);
  windows.setRegions(OWNER + 1, []);
  for (const fd of fds.splice(0)) c.close(fd);
});

/** Whether a page of this process has a page table entry (proc_pid_pagemap(5)). */
function isPresent(address: number): boolean {
  const entry = new BigUint64Array(1);
  const fd = openSync('/proc/self/pagemap', 'r');
  readSync(fd, new Uint8Array(entry.buffer), 0, 8, Math.floor(address / PAGE) * 8);
  closeSync(fd);
  return (entry[0] ?? 0n) >> 63n === 1n;
}

describe('a miss', () => {
  it('maps the 4 MiB chunk that contains the address', () => {
    const ram = region();
    windows.setRegions(OWNER, [ram]);
    expectMapped(ram, 5 * MIB + 3);
    for (const address of [4 * MIB, 6 * MIB, 8 * MIB - 1]) expectHit(ram, address);
    expect(firmware.translate(OWNER, 8 * MIB)).toBe(-1);
    expect([windows.misses, windows.used, windows.evictions]).toEqual([1, 1, 0]);
  });

  it('faults in the missed page, so no turn pays for the faults of many windows', () => {
    const ram = region();
    windows.setRegions(OWNER, [ram]);
    expect(windows.resolve(OWNER, BigInt(5 * MIB + 3))).toBe('mapped');
    const linear = firmware.translate(OWNER, 5 * MIB + 3);
    expect(isPresent(memory.base + linear)).toBe(true);
    expect(isPresent(memory.base + linear + MIB), 'and no page more').toBe(false);
  });

  it('outside all regions is invalid, as is one of a function without regions', () => {
    windows.setRegions(OWNER, [region({ guestAddress: MIB, sizeBytes: MIB }, MIB)]);
    for (const address of [0n, BigInt(MIB) - 1n, 2n * BigInt(MIB), 2n ** 63n, 2n ** 64n - 1n]) {
      expect(windows.resolve(OWNER, address), `${address}`).toBe('invalid');
    }
    expect(windows.resolve(OWNER + 1, BigInt(MIB))).toBe('invalid');
  });

  it('outside all regions is reported once per region table', () => {
    const told: string[] = [];
    windows.onOutside = (owner, address) => told.push(`${owner - OWNER} ${address / BigInt(MIB)}`);
    const ram = region({ guestAddress: MIB, sizeBytes: MIB }, MIB);
    windows.setRegions(OWNER, [ram]);
    for (const address of [3, 4, 5]) windows.resolve(OWNER, BigInt(address * MIB));
    windows.resolve(OWNER + 1, 0n);
    expectMapped(ram, MIB);
    windows.setRegions(OWNER, [ram]);
    windows.resolve(OWNER, BigInt(6 * MIB));
    expect(told).toEqual(['0 3', '1 0', '0 6']);
  });

  it('reaches the first and last byte of a region that does not fill a chunk', () => {
    const ram = region({ guestAddress: 3 * MIB, sizeBytes: 2 * MIB, fileOffset: MIB });
    windows.setRegions(OWNER, [ram]);
    expectMapped(ram, 3 * MIB);
    expectMapped(ram, 5 * MIB - 1);
    expect(firmware.translate(OWNER, 3 * MIB - 1)).toBe(-1);
    expect(firmware.translate(OWNER, 5 * MIB)).toBe(-1);
  });

  it('maps two regions in one chunk separately', () => {
    const low = region({ sizeBytes: MIB });
    const high = region({ guestAddress: 2 * MIB, sizeBytes: MIB, fileOffset: 3 * MIB });
    windows.setRegions(OWNER, [low, high]);
    expectMapped(low, MIB - 1);
    expectMapped(high, 2 * MIB);
    expectHit(low, 0);
    expect(firmware.translate(OWNER, MIB), 'the gap between them').toBe(-1);
    expect(windows.resolve(OWNER, BigInt(MIB))).toBe('invalid');
    expect(windows.used).toBe(2);
  });

  it('of one function never shows the memory of another', () => {
    const ours = region({ fileOffset: MIB });
    const theirs = region({ fileOffset: 2 * MIB, sizeBytes: 8 * MIB });
    windows.setRegions(OWNER, [{ ...ours, sizeBytes: 8 * MIB }]);
    windows.setRegions(OWNER + 1, [theirs]);
    expectMapped(ours, MIB);
    expectMapped(theirs, MIB, OWNER + 1);
    expectHit(ours, MIB);
  });

  it('is invalid if the kernel refuses, and nothing is mapped', () => {
    const ram = region();
    // Sealed after it was accepted, which is possible while no writable mapping of it exists.
    const fd = createMemoryFile('sealed', 4 * MIB);
    fds.push(fd);
    expect(c.fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE)).toBe(0);
    windows.setRegions(OWNER, [{ ...ram, fd, sizeBytes: 4 * MIB }]);
    expect(windows.resolve(OWNER, 0n)).toBe('invalid');
    expect(windows.used).toBe(0);
  });
});

describe('a miss for which the kernel has no room', () => {
  afterEach(() => {
    memory.isFull = false;
  });

  it('is invalid, but served once there is room again', () => {
    const ram = region();
    windows.setRegions(OWNER, [ram]);
    memory.isFull = true;
    expect(windows.resolve(OWNER, 0n)).toBe('invalid');
    expect([windows.used, firmware.windows.size]).toEqual([0, 0]);
    memory.isFull = false;
    expectMapped(ram, 0);
  });

  it('costs other functions nothing, and its own only the evicted window', () => {
    const [ours, theirs] = [region(), region()];
    windows.setRegions(OWNER, [ours]);
    windows.setRegions(OWNER + 1, [theirs]);
    firmware.slotCount = 3;
    expectMapped(ours, 0);
    expectMapped(ours, 4 * MIB);
    expectMapped(theirs, 0, OWNER + 1);
    memory.isFull = true;
    firmware.nextVictim = 0;
    expect(windows.resolve(OWNER, BigInt(8 * MIB))).toBe('invalid');
    expect(firmware.translate(OWNER, 0)).toBe(-1);
    expectHit(ours, 4 * MIB);
    expectHit(theirs, 0, OWNER + 1);
    memory.isFull = false;
    expectMapped(ours, 8 * MIB);
    expect(windows.used).toBe(3);
  });
});

describe('eviction', () => {
  it('names the function with the most windows, as they come and go', () => {
    const [ours, theirs] = [region(), region()];
    windows.setRegions(OWNER, [ours]);
    windows.setRegions(OWNER + 1, [theirs]);
    expectMapped(ours, 0);
    expectMapped(ours, 4 * MIB);
    expectMapped(theirs, 0, OWNER + 1);
    expect(firmware.givesWay).toBe(OWNER);
    expectMapped(theirs, 4 * MIB, OWNER + 1);
    expectMapped(theirs, 8 * MIB, OWNER + 1);
    expectMapped(ours, 8 * MIB);
    expect(firmware.givesWay).toBe(OWNER + 1);
    windows.setRegions(OWNER + 1, []);
    expect(windows.resolve(OWNER, BigInt(12 * MIB))).toBe('mapped');
    expect(firmware.givesWay).toBe(OWNER);
  });

  it('takes the slot that the firmware chooses, and counts it', () => {
    const ram = region();
    windows.setRegions(OWNER, [ram]);
    firmware.slotCount = 2;
    expectMapped(ram, 0);
    expectMapped(ram, 4 * MIB);
    firmware.nextVictim = 0;
    expectMapped(ram, 8 * MIB);
    expect(firmware.translate(OWNER, 0)).toBe(-1);
    expectHit(ram, 4 * MIB);
    expect([windows.evictions, windows.used]).toEqual([1, 2]);
  });

  it('never takes a slot of the current batch', () => {
    windows.setRegions(OWNER, [region()]);
    firmware.slotCount = 0;
    expect(windows.resolve(OWNER, 0n)).toBe('exhausted');
  });
});

describe('setting regions', () => {
  it('drops windows onto files that are gone, and keeps the others', () => {
    const kept = region();
    const gone = region({ guestAddress: 64 * MIB });
    windows.setRegions(OWNER, [kept, gone]);
    expectMapped(kept, 0);
    expectMapped(gone, 64 * MIB);
    windows.setRegions(OWNER, [kept]);
    expectHit(kept, 0);
    expect(firmware.translate(OWNER, 64 * MIB)).toBe(-1);
    expect(windows.used).toBe(1);
  });

  it('to none drops all windows of this function, and none of its neighbour', () => {
    const ours = region();
    const theirs = region();
    windows.setRegions(OWNER, [ours]);
    windows.setRegions(OWNER + 1, [theirs]);
    expectMapped(ours, 0);
    expectMapped(theirs, 0, OWNER + 1);
    windows.setRegions(OWNER, []);
    expect(firmware.translate(OWNER, 0)).toBe(-1);
    expectHit(theirs, 0, OWNER + 1);
    expect(windows.resolve(OWNER, 0n)).toBe('invalid');
  });
});

// An ordinary memfd that claims 2 MiB pages: the same arithmetic, without the privilege.
describe('2 MiB pages', () => {
  const pageSizeBytes = HUGE_PAGE_SIZE;

  it('aligned with guest addresses: a chunk is one window', () => {
    const ram = region({ pageSizeBytes });
    windows.setRegions(OWNER, [ram]);
    expectMapped(ram, 4 * MIB + 5);
    expectHit(ram, 4 * MIB);
    expectHit(ram, 8 * MIB - 1);
  });

  it('shifted against guest addresses: every byte of a chunk is reached', () => {
    // Guest address 3 MiB is byte 2 MiB of the file. So a chunk touches three huge pages, and a
    // slot holds two.
    const fields = { guestAddress: 3 * MIB, fileOffset: 2 * MIB, sizeBytes: 13 * MIB };
    const ram = region({ ...fields, pageSizeBytes });
    windows.setRegions(OWNER, [ram]);
    for (let address = 3 * MIB; address < 16 * MIB; address += MIB / 2) {
      if (firmware.translate(OWNER, address) === -1) expectMapped(ram, address);
      else expectHit(ram, address);
      if (firmware.translate(OWNER, address + MIB / 2 - 1) === -1) {
        expectMapped(ram, address + MIB / 2 - 1);
      }
      expectHit(ram, address + MIB / 2 - 1);
    }
    expect(firmware.translate(OWNER, 3 * MIB - 1)).toBe(-1);
    expect(firmware.translate(OWNER, 16 * MIB)).toBe(-1);
  });

  it('partly used by a region: the window has the bounds of the region', () => {
    const fields = { guestAddress: 4 * MIB, fileOffset: MIB, sizeBytes: MIB };
    const ram = region({ ...fields, pageSizeBytes });
    windows.setRegions(OWNER, [ram]);
    expectMapped(ram, 4 * MIB);
    expectHit(ram, 5 * MIB - 1);
    expect(firmware.translate(OWNER, 5 * MIB)).toBe(-1);
    expect(firmware.translate(OWNER, 4 * MIB - 1)).toBe(-1);
  });
});
