import { VF_COUNT_MAX } from '../../layout/limits.ts';
import { CONTROL_BASE } from '../../layout/memory.ts';
import {
  CONTROL_EXHAUSTED,
  CONTROL_INVALID_ADDRESS,
  CONTROL_INVALID_VF,
  CONTROL_MISS_ADDRESS,
  CONTROL_MISS_VF,
  EXHAUSTED_FOR_BATCH,
  EXHAUSTED_FOR_FRAME,
} from '../../layout/processor.ts';
import type { Windows } from '../memory/windows.ts';
import { elapsedMicroseconds, monotonicMicroseconds } from '../os/clock.ts';
import { threadCpuMicroseconds } from '../os/cpu-time.ts';

/** CPU time of one batch from its first wait on: all others wait for its end. */
const BATCH_MICROSECONDS_MAX = 1500;

/** CPU time that windows for what one VF receives may cost in a period: a quarter of it. */
const VF_MICROSECONDS_MAX = 5000;
const PERIOD_MICROSECONDS = 20_000;

/**
 * Answers the firmware's misses. A ring that sends pays for its own with its turns (see the
 * firmware's rounds); a batch that is being delivered holds up everybody, so its receivers have
 * accounts here, in real time: a window costs 10 µs, or 300 if the one it replaces was full of
 * pages. Frames beyond that are dropped, as if there were no window left.
 */
export class Misses {
  readonly #windows: Windows;
  readonly #words: Int32Array;
  readonly #view: DataView;
  readonly #spent = new Float64Array(VF_COUNT_MAX);
  #periodStart = monotonicMicroseconds();
  /** When the batch in hand first waited, in CPU time; −1: there is none. */
  #batchStart = -1;

  constructor(windows: Windows, buffer: ArrayBuffer) {
    this.#windows = windows;
    this.#words = new Int32Array(buffer, CONTROL_BASE, 64);
    this.#view = new DataView(buffer);
  }

  /** The sender of the next batch, or a command, lacks a window: opens it or says why not. */
  resolve(): void {
    const words = this.#words;
    const vf = words[CONTROL_MISS_VF / 4] ?? 0;
    const address = this.#view.getBigUint64(CONTROL_BASE + CONTROL_MISS_ADDRESS, true);
    words[CONTROL_INVALID_VF / 4] = 0;
    const result = this.#windows.resolve(vf, address);
    if (result === 'invalid') {
      words[CONTROL_INVALID_VF / 4] = vf + 1;
      words[CONTROL_INVALID_ADDRESS / 4] = words[CONTROL_MISS_ADDRESS / 4] ?? 0;
      words[CONTROL_INVALID_ADDRESS / 4 + 1] = words[CONTROL_MISS_ADDRESS / 4 + 1] ?? 0;
    } else if (result === 'exhausted') {
      words[CONTROL_EXHAUSTED / 4] = EXHAUSTED_FOR_FRAME;
    }
  }

  /** A receiver of the batch in hand lacks a window. */
  resolveDelivery(): void {
    const vf = this.#words[CONTROL_MISS_VF / 4] ?? 0;
    const start = threadCpuMicroseconds();
    if (this.#batchStart < 0) this.#batchStart = start;
    if (start - this.#batchStart > BATCH_MICROSECONDS_MAX) {
      this.#words[CONTROL_EXHAUSTED / 4] = EXHAUSTED_FOR_BATCH;
      return;
    }
    this.#renewPeriod();
    if ((this.#spent[vf] ?? 0) > VF_MICROSECONDS_MAX) {
      this.#words[CONTROL_EXHAUSTED / 4] = EXHAUSTED_FOR_FRAME;
      return;
    }
    this.resolve();
    this.#spent[vf] = (this.#spent[vf] ?? 0) + threadCpuMicroseconds() - start;
  }

  /** No batch waits any more. */
  endBatch(): void {
    if (this.#batchStart < 0) return;
    this.#batchStart = -1;
    this.#words[CONTROL_EXHAUSTED / 4] = 0;
  }

  #renewPeriod(): void {
    const now = monotonicMicroseconds();
    if (elapsedMicroseconds(this.#periodStart, now) < PERIOD_MICROSECONDS) return;
    this.#periodStart = now;
    this.#spent.fill(0);
  }
}
