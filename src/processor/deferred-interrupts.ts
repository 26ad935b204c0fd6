import { RING_COUNT_MAX } from '../../layout/limits.ts';
import { INTERRUPT_DUE_LIST_BASE, REGISTERS_BASE } from '../../layout/memory.ts';
import { REGISTER_INTERRUPT_DUE_COUNT, REGISTER_NOW_MICROSECONDS } from '../../layout/processor.ts';
import {
  DEFERRED_JUST_NOW,
  RING_DEFER_MICROSECONDS,
  RING_DEFERRED_SINCE,
} from '../../layout/virtqueue.ts';
import { elapsedMicroseconds, monotonicMicroseconds } from '../os/clock.ts';
import { ringRecordAt } from './ring-record-at.ts';

/**
 * The interrupts that guests want deferred (virtio 1.3, 5.1.6.5.9), as listed by one processor's
 * firmware. While there are any, the firmware is told the time, and the processor sleeps no longer
 * than until the first is due.
 */
export class DeferredInterrupts {
  readonly #registers: Uint32Array;
  readonly #rings: Uint32Array;
  readonly #view: DataView;

  constructor(buffer: ArrayBuffer) {
    this.#registers = new Uint32Array(buffer, REGISTERS_BASE, 64);
    this.#rings = new Uint32Array(buffer, INTERRUPT_DUE_LIST_BASE, RING_COUNT_MAX);
    this.#view = new DataView(buffer);
  }

  /**
   * Rings that are still due an interrupt between two turns: those with a deferred one, and during
   * naps the transmit rings whose interrupts are put off.
   */
  get count(): number {
    return this.#registers[REGISTER_INTERRUPT_DUE_COUNT / 4] ?? 0;
  }

  updateClock(): void {
    this.#registers[REGISTER_NOW_MICROSECONDS / 4] = monotonicMicroseconds();
  }

  /** −1: none is deferred. 0: one is due in less than a millisecond. */
  sleepMilliseconds(): number {
    const { count } = this;
    if (count === 0) return -1;
    this.updateClock();
    const now = this.#registers[REGISTER_NOW_MICROSECONDS / 4] ?? 0;
    let soonest = Number.POSITIVE_INFINITY;
    for (let index = 0; index < count; index++) {
      const record = ringRecordAt(this.#rings[index] ?? 0);
      const since = this.#view.getUint32(record + RING_DEFERRED_SINCE, true);
      const limit = this.#view.getUint32(record + RING_DEFER_MICROSECONDS, true);
      const waited = since <= DEFERRED_JUST_NOW ? 0 : elapsedMicroseconds(since, now);
      soonest = Math.min(soonest, Math.max(limit - waited, 0));
    }
    return Math.min(Math.floor(soonest / 1000), 2 ** 31 - 1);
  }
}
