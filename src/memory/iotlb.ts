import {
  FUNCTION_COUNT_MAX,
  IOTLB_ENTRIES_MAX,
  IOTLB_ENTRIES_PER_FUNCTION_MAX,
} from '../../layout/limits.ts';
import {
  IOTLB_LARGE_SHIFT,
  IOTLB_MIDDLE_SHIFT,
  IOTLB_OWNER_SHIFT,
  IOTLB_READ,
  IOTLB_SMALL_SHIFT,
  IOTLB_WRITE,
} from '../../layout/memory.ts';

/** The smallest page of an IOMMU, in bytes. */
export const IOMMU_PAGE_SIZE = 4096;

const SHIFTS = [IOTLB_SMALL_SHIFT, IOTLB_MIDDLE_SHIFT, IOTLB_LARGE_SHIFT].map(BigInt);
const ACCESS_MASK = BigInt(IOTLB_READ | IOTLB_WRITE);
const ADDRESS_END = 1n << 64n;
/** A longer range is compared with every entry instead of being looked up page by page. */
const PAGES_LOOKED_UP_MAX = 64n;

/** A range of I/O virtual addresses and the guest memory behind it. Whole pages. */
export interface Translation {
  iova: bigint;
  sizeBytes: bigint;
  guestAddress: number;
  /** IOTLB_READ, IOTLB_WRITE or both. */
  access: number;
}

/** A message from the front-end about translations. */
export type IotlbChange =
  | ({ type: 'update' } & Translation)
  | { type: 'invalidate'; iova: bigint; sizeBytes: bigint }
  /**
   * There is no translation for this address. Valid for one use, then the front-end is asked again.
   */
  | { type: 'deny'; iova: bigint };

/** The firmware's table, which mirrors the entries. */
export interface IotlbTable {
  insertTranslation(tag: bigint, value: bigint): void;
  removeTranslation(tag: bigint): void;
}

/**
 * Translations of guests behind an IOMMU, cut into pages of 4 KiB, 2 MiB and 1 GiB.
 *
 *     update ─► pages ─► map, oldest first ─► firmware's table       if full, the oldest goes
 *
 * This is a cache. A missing translation is requested again, so it is always safe to forget too
 * much.
 */
export class Iotlb {
  readonly #table: IotlbTable | null;
  readonly #pages = new Map<number, Map<bigint, bigint>>();
  #count = 0;

  constructor(table: IotlbTable | null = null) {
    this.#table = table;
  }

  get size(): number {
    return this.#count;
  }

  apply(owner: number, change: IotlbChange): void {
    if (change.type === 'update') this.#update(owner, change);
    else if (change.type === 'deny') this.#deny(owner, change.iova);
    else this.#invalidate(owner, change.iova, change.sizeBytes);
  }

  /** Forgets all translations of a function. */
  flush(owner: number): void {
    for (const tag of [...(this.#pages.get(owner)?.keys() ?? [])]) this.#remove(owner, tag);
    this.#pages.delete(owner);
  }

  /**
   * The translations of a function, oldest first. Refusals are left out, because each is valid for
   * one use.
   */
  save(owner: number): Translation[] {
    return [...(this.#pages.get(owner) ?? [])]
      .filter(([, value]) => (value & ACCESS_MASK) !== 0n)
      .map(([tag, value]) => {
        const shift = SHIFTS[levelOf(tag)] ?? 12n;
        const access = Number(value & ACCESS_MASK);
        const guestAddress = Number(value & ~ACCESS_MASK);
        return { iova: pageOf(tag) << shift, sizeBytes: 1n << shift, guestAddress, access };
      });
  }

  /** Replaces the translations of a function with saved ones. */
  restore(owner: number, translations: readonly Translation[]): void {
    this.flush(owner);
    for (const translation of translations) this.#update(owner, translation);
  }

  /** The guest address behind an I/O virtual address, and the permitted access. */
  lookUp(owner: number, iova: bigint): { guestAddress: number; access: number } | null {
    const pages = this.#pages.get(owner);
    for (const [level, shift] of SHIFTS.entries()) {
      const value = pages?.get(tagOf(owner, level, iova));
      if (value === undefined) continue;
      const access = Number(value & ACCESS_MASK);
      if (access === 0) return null;
      const inside = iova & ((1n << shift) - 1n);
      return { guestAddress: Number((value & ~ACCESS_MASK) + inside), access };
    }
    return null;
  }

  #update(owner: number, { iova, sizeBytes, guestAddress, access }: Translation): void {
    this.#invalidate(owner, iova, sizeBytes);
    const end = iova + sizeBytes;
    let at = iova;
    let guest = BigInt(guestAddress);
    while (at < end) {
      const level = largestPage(at, end);
      this.#insert(owner, tagOf(owner, level, at), guest | BigInt(access));
      const step = 1n << (SHIFTS[level] ?? 12n);
      at += step;
      guest += step;
    }
  }

  #deny(owner: number, iova: bigint): void {
    if (this.lookUp(owner, iova) !== null) return;
    const tag = tagOf(owner, 0, iova);
    this.#remove(owner, tag); // an older refusal, which the firmware may have consumed
    this.#insert(owner, tag, 0n);
  }

  #invalidate(owner: number, iova: bigint, sizeBytes: bigint): void {
    const pages = this.#pages.get(owner);
    if (pages === undefined) return;
    const end = iova + sizeBytes;
    for (const [level, shift] of SHIFTS.entries()) {
      const first = iova >> shift;
      const last = (end - 1n) >> shift;
      if (last - first > PAGES_LOOKED_UP_MAX) {
        for (const tag of [...pages.keys()]) {
          const page = pageOf(tag);
          const isInside = levelOf(tag) === level && page >= first && page <= last;
          if (isInside) this.#remove(owner, tag);
        }
        continue;
      }
      for (let page = first; page <= last; page++) {
        this.#remove(owner, tagOf(owner, level, page << shift));
      }
    }
  }

  #insert(owner: number, tag: bigint, value: bigint): void {
    let pages = this.#pages.get(owner);
    if (pages === undefined) {
      pages = new Map();
      this.#pages.set(owner, pages);
    }
    if (pages.size >= IOTLB_ENTRIES_PER_FUNCTION_MAX) this.#removeOldest(owner);
    else if (this.#count >= IOTLB_ENTRIES_MAX) this.#removeOldest(this.#largest());
    pages.set(tag, value);
    this.#count += 1;
    this.#table?.insertTranslation(tag, value);
  }

  #remove(owner: number, tag: bigint): void {
    if (this.#pages.get(owner)?.delete(tag) !== true) return;
    this.#count -= 1;
    this.#table?.removeTranslation(tag);
  }

  #removeOldest(owner: number): void {
    const [oldest] = this.#pages.get(owner)?.keys() ?? [];
    if (oldest !== undefined) this.#remove(owner, oldest);
  }

  /** The function with the most translations. */
  #largest(): number {
    const sizes = [...this.#pages].map(([owner, pages]) => [pages.size, owner] as const);
    return sizes.reduce((most, one) => (one[0] > most[0] ? one : most), [0, -1] as const)[1];
  }
}

/** Whether an IOMMU can translate this range: whole pages, not empty, no wrap. */
export function isPageRange(iova: bigint, sizeBytes: bigint): boolean {
  const mask = BigInt(IOMMU_PAGE_SIZE - 1);
  return sizeBytes > 0n && ((iova | sizeBytes) & mask) === 0n && iova + sizeBytes <= ADDRESS_END;
}

export function pageStart(address: bigint): bigint {
  return address & ~BigInt(IOMMU_PAGE_SIZE - 1);
}

function largestPage(at: bigint, end: bigint): number {
  for (let level = SHIFTS.length - 1; level > 0; level--) {
    const size = 1n << (SHIFTS[level] ?? 12n);
    if (at % size === 0n && at + size <= end) return level;
  }
  return 0;
}

function tagOf(owner: number, level: number, iova: bigint): bigint {
  const code = BigInt(level * FUNCTION_COUNT_MAX + owner + 1);
  return (code << BigInt(IOTLB_OWNER_SHIFT)) | (iova >> (SHIFTS[level] ?? 12n));
}

function levelOf(tag: bigint): number {
  return Math.floor((Number(tag >> BigInt(IOTLB_OWNER_SHIFT)) - 1) / FUNCTION_COUNT_MAX);
}

function pageOf(tag: bigint): bigint {
  return tag & ((1n << BigInt(IOTLB_OWNER_SHIFT)) - 1n);
}
