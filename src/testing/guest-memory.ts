import { c } from '../os/libc.ts';
import { LinearMemory } from '../os/linear-memory.ts';
import { createMemoryFile } from '../os/memory-file.ts';
import { Random } from './random.ts';

const PAGE_SIZE = 4096;
const HUGE_PAGE_SIZE = 0x200000;
/** Size of a window of the NIC: sparse allocations often cross such a boundary. */
const WINDOW_SIZE = 0x400000;
/** Far from every guest address, so that confusing the two kinds of address fails. */
const USER_ADDRESS_BASE = 0x7e00_0000_0000;

export interface RegionPlan {
  guestAddress: number;
  sizeBytes: number;
}

export interface GuestMemoryOptions {
  regions?: readonly RegionPlan[];
  sealed?: boolean;
  hugePages?: boolean;
  /** For regions that are too large to map: only what is allocated is mapped here. */
  sparse?: boolean;
  /** Largest gap between allocations, in bytes. */
  gapBytesMax?: number;
  /** Bytes that can be mapped at once. */
  mappedBytesMax?: number;
  /**
   * The guest is behind an IOMMU: `allocate` returns I/O virtual addresses, which are the guest's
   * own addresses plus this offset.
   */
  iovaOffset?: number;
  seed?: number;
}

export interface GuestRegion extends RegionPlan {
  userAddress: number;
  fd: number;
  fileOffset: number;
}

/** A piece of guest memory: its address in the guest and its offset in this process. */
export interface Span {
  address: number;
  offset: number;
  length: number;
}

const DEFAULT_REGIONS: readonly RegionPlan[] = [
  { guestAddress: 0, sizeBytes: 0x1000000 },
  { guestAddress: 0x1_0000_0000, sizeBytes: 0x2000000 },
];

/** Every region starts at this offset of its file, so that ignoring the offset fails. */
const FILE_OFFSET = HUGE_PAGE_SIZE;

/**
 * The RAM of a mock guest: one sealed memfd per region, mapped into a linear memory.
 *
 *   allocate ─► region (in turn) ─► random gap ─► span          dense: the whole region is mapped
 *            └► anywhere in a region ─► own mapping ─► span     sparse: only the spans are mapped
 */
export class GuestMemory {
  readonly regions: GuestRegion[] = [];
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  readonly #linear: LinearMemory;
  readonly #random: Random;
  readonly #options: GuestMemoryOptions;
  readonly #general: GuestRegion[] = [];
  readonly #usedPages = new Set<string>();
  readonly #cursors = new Map<GuestRegion, number>();
  readonly #mapped = new Map<GuestRegion, number>();
  #mapCursor: number;
  #turn = 0;
  readonly #iovaOffset: number;

  constructor(options: GuestMemoryOptions = {}) {
    this.#options = options;
    this.#iovaOffset = options.iovaOffset ?? 0;
    this.#random = new Random(options.seed ?? 1);
    const plans = options.regions ?? DEFAULT_REGIONS;
    const total = plans.reduce((sum, plan) => sum + plan.sizeBytes + HUGE_PAGE_SIZE, 0);
    const wanted = options.mappedBytesMax ?? (options.sparse === true ? 0x20000000 : total);
    const reserved = Math.min(wanted + 2 * HUGE_PAGE_SIZE, 2 ** 32);
    this.#linear = new LinearMemory(reserved, { isShared: true });
    const base = this.#linear.base;
    this.#mapCursor = Math.ceil(base / HUGE_PAGE_SIZE) * HUGE_PAGE_SIZE - base;
    const { buffer } = this.#linear;
    this.bytes = new Uint8Array(buffer);
    this.view = new DataView(buffer);
    this.u16 = new Uint16Array(buffer);
    this.u32 = new Uint32Array(buffer);
    for (const plan of plans) this.#general.push(this.addRegion(plan));
  }

  /** Adds a region. `allocate` uses it only if asked to. */
  addRegion(plan: RegionPlan): GuestRegion {
    const { sealed = true, hugePages = false, sparse = false } = this.#options;
    const fileSize = plan.sizeBytes + FILE_OFFSET;
    const fd = createMemoryFile('mock-guest', fileSize, { sealed, hugePages });
    const userAddress = USER_ADDRESS_BASE + plan.guestAddress;
    const region = { ...plan, userAddress, fd, fileOffset: FILE_OFFSET };
    this.regions.push(region);
    this.#cursors.set(region, 0);
    if (!sparse) this.#mapped.set(region, this.#map(region, 0, plan.sizeBytes));
    return region;
  }

  /** Forgets a region. Its spans stay readable here, as for a guest that has not noticed yet. */
  removeRegion(region: GuestRegion): void {
    const index = this.regions.indexOf(region);
    if (index === -1) throw new Error('assertion: no such region');
    this.regions.splice(index, 1);
    c.close(region.fd);
  }

  /** A piece of RAM that is not in use. */
  allocate(length: number, alignment = 1, only?: GuestRegion): Span {
    for (let tries = 0; tries < this.#general.length; tries++) {
      const region = only ?? this.#general[this.#turn++ % this.#general.length];
      if (region === undefined) break;
      const isMapped = this.#mapped.has(region);
      const span = isMapped
        ? this.#allocateDense(region, length, alignment)
        : this.#allocateSparse(region, length, alignment);
      if (span !== null) return { ...span, address: span.address + this.#iovaOffset };
    }
    throw new Error(`assertion: the mock guest has no ${length} bytes left`);
  }

  /** The span at a guest address of a dense region. */
  spanAt(address: number, length: number): Span {
    for (const region of this.regions) {
      const inside = address - this.#iovaOffset - region.guestAddress;
      const at = this.#mapped.get(region);
      if (at === undefined || inside < 0 || inside + length > region.sizeBytes) continue;
      return { address, offset: at + inside, length };
    }
    throw new Error(`assertion: guest address ${address} is not mapped`);
  }

  /** The address that SET_VRING_ADDR carries: behind an IOMMU, the I/O virtual address itself. */
  userAddressOf(address: number): number {
    return this.#iovaOffset === 0 ? this.#userAddressOf(address) : address;
  }

  /** The front-end's own address of the memory at an I/O virtual address. */
  userOfIova(iova: number): number {
    return this.#userAddressOf(iova - this.#iovaOffset);
  }

  hasIova(iova: number): boolean {
    const address = iova - this.#iovaOffset;
    return this.regions.some(
      ({ guestAddress, sizeBytes }) =>
        address >= guestAddress && address < guestAddress + sizeBytes,
    );
  }

  #userAddressOf(address: number): number {
    const isInside = (region: GuestRegion) =>
      address >= region.guestAddress && address < region.guestAddress + region.sizeBytes;
    const region = this.regions.find(isInside);
    if (region === undefined) throw new Error(`assertion: guest address ${address} is nowhere`);
    return region.userAddress + address - region.guestAddress;
  }

  /** The mappings stay until the object is collected, so that a stray read does not crash. */
  close(): void {
    for (const region of this.regions.splice(0)) c.close(region.fd);
  }

  #allocateDense(region: GuestRegion, length: number, alignment: number): Span | null {
    const gap = this.#random.below((this.#options.gapBytesMax ?? 64) + 1);
    const cursor = this.#cursors.get(region) ?? 0;
    const start = Math.ceil((cursor + gap) / alignment) * alignment;
    if (start + length > region.sizeBytes) return null;
    this.#cursors.set(region, start + length);
    const base = this.#mapped.get(region) ?? 0;
    return { address: region.guestAddress + start, offset: base + start, length };
  }

  #allocateSparse(region: GuestRegion, length: number, alignment: number): Span | null {
    const span = Math.ceil((length + PAGE_SIZE) / PAGE_SIZE) * PAGE_SIZE;
    for (let tries = 0; tries < 64; tries++) {
      let start = this.#random.below((region.sizeBytes - span) / PAGE_SIZE) * PAGE_SIZE;
      if (this.#random.chance(1 / 8) && start > WINDOW_SIZE && length > 1) {
        // Across the end of a window, at some point of the span.
        start = Math.floor(start / WINDOW_SIZE) * WINDOW_SIZE - PAGE_SIZE;
      }
      if (!this.#claimPages(region, start, span)) continue;
      const offset = this.#map(region, start, span);
      const slack = Math.min(PAGE_SIZE, span - length);
      const skip = Math.floor(this.#random.below(slack) / alignment) * alignment;
      return { address: region.guestAddress + start + skip, offset: offset + skip, length };
    }
    return null;
  }

  #claimPages(region: GuestRegion, start: number, length: number): boolean {
    const keys: string[] = [];
    for (let page = start; page < start + length; page += PAGE_SIZE) {
      keys.push(`${region.guestAddress + page}`);
    }
    if (keys.some((key) => this.#usedPages.has(key))) return false;
    for (const key of keys) this.#usedPages.add(key);
    return true;
  }

  #map(region: GuestRegion, start: number, length: number): number {
    const step = this.#options.hugePages === true ? HUGE_PAGE_SIZE : PAGE_SIZE;
    const first = Math.floor(start / step) * step;
    const size = Math.ceil((start + length - first) / step) * step;
    const at = Math.ceil(this.#mapCursor / step) * step;
    const aligned = step === HUGE_PAGE_SIZE ? this.#mapCursor : at;
    this.#linear.map(aligned, size, region.fd, region.fileOffset + first);
    this.#mapCursor = aligned + size;
    return aligned + start - first;
  }
}
