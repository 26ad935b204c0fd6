import { QUEUE_COUNT_MAX } from '../../layout/limits.ts';
import {
  CONTROL_BASE,
  UNTRANSLATED_ACCESS,
  UNTRANSLATED_ADDRESS,
  UNTRANSLATED_ENTRY_SIZE,
  UNTRANSLATED_LIST_BASE,
} from '../../layout/memory.ts';
import { CONTROL_UNTRANSLATED_COUNT } from '../../layout/processor.ts';
import { Iotlb, type IotlbChange, pageStart, type Translation } from '../memory/iotlb.ts';
import type { Report } from './commands.ts';
import { Countdown } from './countdown.ts';
import type { Firmware } from './firmware.ts';

/** Questions of one VF that wait for their answer; what comes beyond is asked when some have it. */
const PENDING_MAX = 64;

/** The loop's rounds with work between two looks at the buffers that guests have posted. */
const LOOK_AHEAD_ROUNDS = 16;

/**
 * The guests behind an IOMMU, as one processor sees them: hands translations to the firmware, and
 * what the firmware lacks to the control plane, each address once.
 */
export class Translations {
  readonly #firmware: Firmware;
  readonly #view: DataView;
  readonly #report: (report: Report) => void;
  readonly #iotlb: Iotlb;
  readonly #pending = new Map<number, Set<bigint>>();
  /** Receive rings whose buffers are looked at, and the place of the one that comes next. */
  #rings: number[] = [];
  #next = 0;
  readonly #countdown = new Countdown(LOOK_AHEAD_ROUNDS);

  constructor(firmware: Firmware, buffer: ArrayBuffer, report: (report: Report) => void) {
    this.#firmware = firmware;
    this.#view = new DataView(buffer);
    this.#report = report;
    this.#iotlb = new Iotlb(firmware);
  }

  apply(vf: number, change: IotlbChange): void {
    this.#iotlb.apply(vf, change);
    this.#settle(vf, change);
    this.#firmware.unparkRings(vf);
  }

  /** All that the control plane knows, in place of what was known here. */
  set(vf: number, translations: readonly Translation[]): void {
    this.#iotlb.restore(vf, translations);
    this.#pending.delete(vf);
    this.#firmware.unparkRings(vf);
  }

  /** All that a VF was told is void: its memory has changed, or its front-end. */
  flush(vf: number): void {
    this.#iotlb.flush(vf);
    this.#pending.delete(vf);
    this.#firmware.unparkRings(vf);
  }

  /** A receive ring whose buffers are looked at before frames come for them. */
  watch(ring: number): void {
    if (!this.#rings.includes(ring)) this.#rings.push(ring);
  }

  unwatch(ring: number): void {
    this.#rings = this.#rings.filter((one) => one !== ring);
  }

  /** While there is work. */
  lookNowAndThen(): void {
    if (this.#rings.length !== 0 && this.#countdown.isOver()) this.lookAhead();
  }

  /**
   * After commands, before sleep, and now and then while there is work: ring by ring, as far as one
   * look may walk. The next one goes on with the ring behind, and comes back to where this one
   * stopped.
   */
  lookAhead(): void {
    const count = this.#rings.length;
    if (count === 0) return;
    this.#firmware.openLookAhead();
    for (let looked = 0; looked < count; looked++) {
      this.#next = this.#next + 1 < count ? this.#next + 1 : 0;
      const ring = this.#rings[this.#next] ?? 0;
      if (!this.#hasRoom(Math.floor(ring / QUEUE_COUNT_MAX))) continue;
      const isDone = this.#firmware.lookAhead(ring) !== 0;
      // Nothing is listed that would not be reported, so the next ring has the list for itself.
      this.drain();
      if (!isDone) return;
    }
  }

  /** Reports what the firmware has found untranslated. */
  drain(): void {
    const count = this.#view.getUint32(CONTROL_BASE + CONTROL_UNTRANSLATED_COUNT, true);
    if (count === 0) return;
    this.#view.setUint32(CONTROL_BASE + CONTROL_UNTRANSLATED_COUNT, 0, true);
    for (let i = 0; i < count; i++) {
      const entry = UNTRANSLATED_LIST_BASE + i * UNTRANSLATED_ENTRY_SIZE;
      const vf = this.#view.getUint32(entry, true);
      const access = this.#view.getUint32(entry + UNTRANSLATED_ACCESS, true);
      const address = this.#view.getBigUint64(entry + UNTRANSLATED_ADDRESS, true);
      this.#ask(vf, pageStart(address), access);
    }
  }

  #hasRoom(vf: number): boolean {
    return (this.#pending.get(vf)?.size ?? 0) < PENDING_MAX;
  }

  #ask(vf: number, iova: bigint, access: number): void {
    let pending = this.#pending.get(vf);
    if (pending === undefined) {
      pending = new Set();
      this.#pending.set(vf, pending);
    }
    const key = iova | BigInt(access);
    if (pending.has(key) || pending.size >= PENDING_MAX) return;
    pending.add(key);
    this.#report({ kind: 'untranslated', vf, iova, access });
  }

  /** Questions about these addresses are answered, or have to be asked again. */
  #settle(vf: number, change: IotlbChange): void {
    const pending = this.#pending.get(vf);
    if (pending === undefined) return;
    const end = change.iova + (change.type === 'deny' ? 1n : change.sizeBytes);
    for (const key of pending) {
      const page = pageStart(key);
      if (page >= change.iova && page < end) pending.delete(key);
    }
  }
}
