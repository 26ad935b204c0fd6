import { SLOT_COUNT_MAX, SLOT_SIZE, WINDOW_BEHIND_IOMMU } from '../../layout/memory.ts';
import type { LinearMemory } from '../os/linear-memory.ts';
import { SystemError } from '../os/system-error.ts';
import type { MemoryRegion } from './guest-memory.ts';
import { WindowCounts } from './window-counts.ts';

/** What the firmware offers the host for the window table. */
export interface WindowFirmware {
  insertWindow(key: bigint, low: number, size: number, base: number, slot: number): void;
  removeWindow(slot: number): void;
  /** `owner`: the function that loses a window if no slot is free. */
  chooseSlot(slotCount: number, owner: number): number;
}

export type MissResult = 'mapped' | 'invalid' | 'exhausted';

/** Instead of a function: the slot holds no window. */
const NOBODY = -1;

interface Piece {
  region: MemoryRegion;
  low: number;
  high: number;
  linear: number;
}

/**
 * The host half of one processor's window table: maps the windows that the firmware misses.
 *
 *     guest address ─► region ─► the part of its 4 MiB chunk that lies in the region ─► mmap into a slot
 *
 * Evicts the least recently used slot of the function with the most windows, so that no function
 * can take the windows of all others. A slot used by the current batch is never evicted.
 */
export class Windows {
  readonly #memory: LinearMemory;
  readonly #firmware: WindowFirmware;
  readonly #slotsOffset: number;
  readonly #pinsOffset: number;
  readonly #bytes: Uint8Array;
  readonly #regions = new Map<number, readonly MemoryRegion[]>();
  readonly #behindIommu = new Set<number>();
  /** Of each slot: the file that its window shows, and the function whose window it is. */
  readonly #files = new Int32Array(SLOT_COUNT_MAX).fill(-1);
  readonly #owners = new Int32Array(SLOT_COUNT_MAX).fill(NOBODY);
  /** Functions whose guest has named an address outside all of its regions. */
  readonly #told = new Set<number>();
  /** Called for the first such address of a function after its regions were set. */
  onOutside: (owner: number, address: bigint) => void = () => undefined;
  /** Bytes mapped at each slot, whether or not its window is still valid. */
  readonly #mapped = new Uint32Array(SLOT_COUNT_MAX);
  readonly #counts = new WindowCounts();
  /** Slots whose window is gone but whose mapping is not, and whose window it was. */
  readonly #leftovers: { slot: number; owner: number }[] = [];
  misses = 0;
  evictions = 0;

  /**
   * `slotsOffset`: offset of the slots, such that their absolute address is a multiple of 2 MiB.
   * `pinsOffset`: offset of the pins.
   */
  constructor(memory: LinearMemory, firmware: WindowFirmware, slotsOffset: number, pinsOffset = 0) {
    this.#memory = memory;
    this.#firmware = firmware;
    this.#slotsOffset = slotsOffset;
    this.#pinsOffset = pinsOffset;
    this.#bytes = new Uint8Array(memory.buffer);
  }

  /**
   * Sets the regions of a function. Windows onto files that are gone are removed; if the guest
   * moves behind an IOMMU or out from behind it, all windows are removed. Their mappings are no
   * longer reachable, and `sweep` unmaps them later.
   */
  setRegions(owner: number, regions: readonly MemoryRegion[], isBehindIommu = false): void {
    this.#regions.set(owner, regions);
    this.#told.delete(owner);
    const isSame = this.#behindIommu.has(owner) === isBehindIommu;
    const kept = new Set(isSame ? regions.map((region) => region.fd) : []);
    if (isBehindIommu) this.#behindIommu.add(owner);
    else this.#behindIommu.delete(owner);
    for (let slot = 0; slot < SLOT_COUNT_MAX; slot++) {
      if (this.#owners[slot] === owner && !kept.has(this.#files[slot] ?? -1)) {
        this.#forget(slot);
        this.#leftovers.push({ slot, owner });
      }
    }
    if (regions.length === 0) this.#regions.delete(owner);
  }

  /** Slots that hold a window. */
  get used(): number {
    return this.#counts.total;
  }

  get hasLeftovers(): boolean {
    return this.#leftovers.length !== 0;
  }

  /**
   * Unmaps a removed window, and returns the function whose window it was. It takes up to 300 µs if
   * all of its pages were in use.
   */
  sweep(): number | undefined {
    const last = this.#leftovers.pop();
    if (last !== undefined && this.#owners[last.slot] === NOBODY) this.#unmapBehind(last.slot, 0);
    return last?.owner;
  }

  /** Answers a miss: maps the window for a guest address, or returns why it cannot. */
  resolve(owner: number, address: bigint): MissResult {
    this.misses += 1;
    const region = this.#find(owner, address);
    if (region === null) {
      // Once per region table: either the table is incomplete, or the guest is wrong.
      if (!this.#told.has(owner)) this.onOutside(owner, address);
      this.#told.add(owner);
      return 'invalid';
    }
    const slot = this.#firmware.chooseSlot(SLOT_COUNT_MAX, this.#counts.fullest);
    if (slot < 0) return 'exhausted';
    if (this.#owners[slot] !== NOBODY) {
      this.#forget(slot);
      this.evictions += 1;
    }
    try {
      this.#map(owner, region, Number(address), slot);
    } catch (error) {
      this.#unmapBehind(slot, 0);
      // The front-end chose the file and may have sealed it since. Only its own frames are lost.
      if (error instanceof SystemError) return 'invalid';
      throw error;
    }
    return 'mapped';
  }

  #find(owner: number, address: bigint): MemoryRegion | null {
    for (const region of this.#regions.get(owner) ?? []) {
      const start = BigInt(region.guestAddress);
      if (address >= start && address < start + BigInt(region.sizeBytes)) return region;
    }
    return null;
  }

  #map(owner: number, region: MemoryRegion, address: number, slot: number): void {
    const chunk = Math.floor(address / SLOT_SIZE);
    const first = Math.max(chunk * SLOT_SIZE, region.guestAddress);
    const last = Math.min((chunk + 1) * SLOT_SIZE, region.guestAddress + region.sizeBytes);
    if (region.pinOffset !== undefined) {
      this.#unmapBehind(slot, 0);
      const pinned = this.#pinsOffset + region.pinOffset;
      this.#enter(owner, slot, {
        region,
        low: first,
        high: last,
        linear: pinned + first - region.guestAddress,
      });
      return;
    }
    const page = region.pageSizeBytes;
    // Start on a page of the file. Huge pages may be shifted against guest addresses, and a slot
    // then may not hold the whole piece. In that case the window begins at the page that contains
    // the address.
    let start = fileOffsetOf(region, first, page);
    let low = first;
    if (mappedLength(region, start, last, page) > SLOT_SIZE) {
      start = fileOffsetOf(region, address, page);
      low = Math.max(first, region.guestAddress + (start - region.fileOffset));
    }
    const length = Math.min(SLOT_SIZE, mappedLength(region, start, last, page));
    const high = Math.min(last, region.guestAddress + (start + length - region.fileOffset));
    const offset = this.#slotsOffset + slot * SLOT_SIZE;
    // Map over the old mapping. Unmapping it first would double the cost.
    this.#memory.map(offset, length, region.fd, start);
    this.#unmapBehind(slot, length);
    const linear = offset + (region.fileOffset + (low - region.guestAddress) - start);
    this.#enter(owner, slot, { region, low, high, linear });
    this.#touch(linear + address - low);
  }

  /**
   * Faults in the missed page now, so that the cost is charged to the miss. Otherwise the page
   * faults of a frame that spans many windows would all occur in one turn, at about 25 µs each on
   * machines that are virtual themselves.
   */
  #touch(linear: number): void {
    Atomics.load(this.#bytes, linear); // a plain load could be optimized away
  }

  /**
   * Enters guest addresses `low` to `high`, which are mapped at `linear`, in the firmware's table.
   */
  #enter(owner: number, slot: number, { region, low, high, linear }: Piece): void {
    const chunk = Math.floor(low / SLOT_SIZE);
    const chunkOffset = low - chunk * SLOT_SIZE;
    const keyOwner = this.#behindIommu.has(owner) ? owner + WINDOW_BEHIND_IOMMU : owner;
    const key = windowKey(keyOwner, chunk);
    this.#firmware.insertWindow(key, chunkOffset, high - low, linear - chunkOffset, slot);
    this.#files[slot] = region.fd;
    this.#owners[slot] = owner;
    this.#counts.change(owner, 1);
  }

  /** Removes the window from the firmware's table. Its mapping stays. */
  #forget(slot: number): void {
    this.#counts.change(this.#owners[slot] ?? NOBODY, -1);
    this.#firmware.removeWindow(slot);
    this.#files[slot] = -1;
    this.#owners[slot] = NOBODY;
  }

  /** Unmaps everything in a slot beyond its first `length` bytes. */
  #unmapBehind(slot: number, length: number): void {
    const rest = (this.#mapped[slot] ?? 0) - length;
    this.#mapped[slot] = length;
    const offset = this.#slotsOffset + slot * SLOT_SIZE;
    if (rest > 0) this.#memory.unmap(offset + length, rest);
  }
}

/** `(owner + 1) << 48 | chunk`, as the firmware's `translate` computes it. */
export function windowKey(owner: number, chunk: number): bigint {
  return (BigInt(owner + 1) << 48n) | BigInt(chunk);
}

function fileOffsetOf(region: MemoryRegion, address: number, page: number): number {
  return Math.floor((region.fileOffset + (address - region.guestAddress)) / page) * page;
}

function mappedLength(region: MemoryRegion, start: number, last: number, page: number): number {
  const end = region.fileOffset + (last - region.guestAddress);
  return Math.ceil(end / page) * page - start;
}
