import {
  REGISTERS_BASE,
  UNTRANSLATED_ACCESS,
  UNTRANSLATED_ADDRESS,
  UNTRANSLATED_ENTRY_SIZE,
  UNTRANSLATED_LIST_BASE,
} from '../../layout/memory.ts';
import { REGISTER_UNTRANSLATED_COUNT } from '../../layout/processor.ts';
import { Iotlb, type IotlbChange, pageStart, type Translation } from '../memory/iotlb.ts';
import type { RingBlock } from '../state/ring-numbers.ts';
import { Countdown } from './countdown.ts';
import type { Firmware } from './firmware.ts';
import type { Report } from './mailbox.ts';

/** Pending requests per VF. Further addresses are requested once some of these are answered. */
const PENDING_MAX = 64;

/** Busy rounds of the loop between two looks at the buffers that guests have posted. */
const LOOK_AHEAD_ROUNDS = 16;

/**
 * The guests behind an IOMMU, as one processor sees them. Passes translations to the firmware, and
 * the addresses that the firmware lacks to the control plane, each once.
 */
export class Translations {
  readonly #firmware: Firmware;
  readonly #view: DataView;
  readonly #report: (report: Report) => void;
  readonly #iotlb: Iotlb;
  readonly #pending = new Map<number, Set<bigint>>();
  /** Receive rings whose buffers are looked at, and the index of the next one to look at. */
  #rings: { ring: number; owner: number }[] = [];
  #next = 0;
  readonly #countdown = new Countdown(LOOK_AHEAD_ROUNDS);

  constructor(firmware: Firmware, buffer: ArrayBuffer, report: (report: Report) => void) {
    this.#firmware = firmware;
    this.#view = new DataView(buffer);
    this.#report = report;
    this.#iotlb = new Iotlb(firmware);
  }

  apply(owner: number, { first, count }: RingBlock, change: IotlbChange): void {
    this.#iotlb.apply(owner, change);
    this.#settle(owner, change);
    this.#firmware.unparkRings(first, count);
  }

  /** Replaces everything known here with what the control plane knows. */
  set(owner: number, { first, count }: RingBlock, translations: readonly Translation[]): void {
    this.#iotlb.restore(owner, translations);
    this.#pending.delete(owner);
    this.#firmware.unparkRings(first, count);
  }

  /** Drops a function's translations, because its memory or its front-end has changed. */
  flush(owner: number, { first, count }: RingBlock): void {
    this.#iotlb.flush(owner);
    this.#pending.delete(owner);
    this.#firmware.unparkRings(first, count);
  }

  /** Adds a receive ring whose buffers are looked at before frames arrive for them. */
  watch(ring: number, owner: number): void {
    if (!this.#rings.some((one) => one.ring === ring)) this.#rings.push({ ring, owner });
  }

  unwatch(ring: number): void {
    this.#rings = this.#rings.filter((one) => one.ring !== ring);
  }

  /** Called while there is work. */
  lookNowAndThen(): void {
    if (this.#rings.length !== 0 && this.#countdown.isOver()) this.lookAhead();
  }

  /**
   * Called after messages, before sleep, and now and then while there is work. Looks at ring after
   * ring, within the budget of one look. The next look starts with the following ring, and comes
   * back to where this one stopped.
   */
  lookAhead(): void {
    const count = this.#rings.length;
    if (count === 0) return;
    this.#firmware.beginHostWork();
    this.#firmware.openLookAhead();
    for (let looked = 0; looked < count; looked++) {
      this.#next = this.#next + 1 < count ? this.#next + 1 : 0;
      const watched = this.#rings[this.#next];
      if (watched === undefined || !this.#hasRoom(watched.owner)) continue;
      const isDone = this.#firmware.lookAhead(watched.ring) !== 0;
      // Only addresses that will be reported are listed, so the next ring has the list to itself.
      this.drain();
      this.#firmware.chargeHostWork(watched.owner);
      if (!isDone) return;
    }
  }

  /** Reports the addresses that the firmware found untranslated. */
  drain(): void {
    const count = this.#view.getUint32(REGISTERS_BASE + REGISTER_UNTRANSLATED_COUNT, true);
    if (count === 0) return;
    this.#view.setUint32(REGISTERS_BASE + REGISTER_UNTRANSLATED_COUNT, 0, true);
    for (let i = 0; i < count; i++) {
      const entry = UNTRANSLATED_LIST_BASE + i * UNTRANSLATED_ENTRY_SIZE;
      const owner = this.#view.getUint32(entry, true);
      const access = this.#view.getUint32(entry + UNTRANSLATED_ACCESS, true);
      const address = this.#view.getBigUint64(entry + UNTRANSLATED_ADDRESS, true);
      this.#ask(owner, pageStart(address), access);
    }
  }

  #hasRoom(owner: number): boolean {
    return (this.#pending.get(owner)?.size ?? 0) < PENDING_MAX;
  }

  #ask(owner: number, iova: bigint, access: number): void {
    let pending = this.#pending.get(owner);
    if (pending === undefined) {
      pending = new Set();
      this.#pending.set(owner, pending);
    }
    const key = iova | BigInt(access);
    if (pending.has(key) || pending.size >= PENDING_MAX) return;
    pending.add(key);
    this.#report({ kind: 'untranslated', owner, iova, access });
  }

  /** Requests for these addresses are answered, or have to be repeated. */
  #settle(owner: number, change: IotlbChange): void {
    const pending = this.#pending.get(owner);
    if (pending === undefined) return;
    const end = change.iova + (change.type === 'deny' ? 1n : change.sizeBytes);
    for (const key of pending) {
      const page = pageStart(key);
      if (page >= change.iova && page < end) pending.delete(key);
    }
  }
}
