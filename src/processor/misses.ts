import { FUNCTION_COUNT_MAX } from '../../layout/limits.ts';
import { REGISTERS_BASE } from '../../layout/memory.ts';
import {
  EXHAUSTED_FOR_BATCH,
  EXHAUSTED_FOR_FRAME,
  EXHAUSTED_FOR_FUNCTION,
  REGISTER_EXHAUSTED,
  REGISTER_INVALID_ADDRESS,
  REGISTER_INVALID_FUNCTION,
  REGISTER_MISS_ADDRESS,
  REGISTER_MISS_FUNCTION,
} from '../../layout/processor.ts';
import type { Windows } from '../memory/windows.ts';
import { elapsedMicroseconds } from '../os/clock.ts';
import { CLOCKS } from './clocks.ts';

/** CPU time of one batch, counted from its first wait, while other rings wait to send. */
const BATCH_MICROSECONDS_MAX = 300;

/** Windows that a batch gets however slow the kernel is: those that an ordinary frame needs. */
const BATCH_WINDOWS_MIN = 3;

/** The same while no other ring waits. Limited because messages to the processor wait, too. */
const LONE_BATCH_MICROSECONDS_MAX = 20_000;

/**
 * CPU time per period that may be spent on windows for frames to one function, while others wait to
 * send: a quarter of the period.
 */
const FUNCTION_MICROSECONDS_MAX = 5000;
const PERIOD_MICROSECONDS = 20_000;

/**
 * Answers the firmware's misses. A sending ring pays for its own misses with its turns (see the
 * firmware's schedule). A batch that is being delivered holds up everyone, so its receivers are
 * charged here, in measured CPU time: a window costs 10 µs, or 300 µs if the one it replaces was
 * full of pages. Frames beyond the limit are dropped as if no window were free, but only while
 * another ring waits: an honest guest's buffers may be scattered over all of a large memory.
 */
export class Misses {
  readonly #windows: Pick<Windows, 'resolve'>;
  readonly #registers: Int32Array;
  readonly #view: DataView;
  readonly #othersWait: (owner: number) => number;
  readonly #clocks: typeof CLOCKS;
  readonly #spent = new Float64Array(FUNCTION_COUNT_MAX);
  #periodStart: number;
  /** CPU time at which the current batch first waited; −1: no batch waits. */
  #batchStart = -1;
  /** The windows that it has got since. */
  #batchWindows = 0;

  constructor(
    windows: Pick<Windows, 'resolve'>,
    buffer: ArrayBuffer,
    othersWait: (owner: number) => number,
    clocks = CLOCKS,
  ) {
    this.#windows = windows;
    this.#clocks = clocks;
    this.#periodStart = clocks.now();
    this.#othersWait = othersWait;
    this.#registers = new Int32Array(buffer, REGISTERS_BASE, 64);
    this.#view = new DataView(buffer);
  }

  /**
   * The sender of the next batch, or a request, lacks a window: opens it, or notes why it cannot.
   */
  resolve(): void {
    const registers = this.#registers;
    const owner = registers[REGISTER_MISS_FUNCTION / 4] ?? 0;
    const address = this.#view.getBigUint64(REGISTERS_BASE + REGISTER_MISS_ADDRESS, true);
    registers[REGISTER_INVALID_FUNCTION / 4] = 0;
    const result = this.#windows.resolve(owner, address);
    if (result === 'invalid') {
      registers[REGISTER_INVALID_FUNCTION / 4] = owner + 1;
      registers[REGISTER_INVALID_ADDRESS / 4] = registers[REGISTER_MISS_ADDRESS / 4] ?? 0;
      registers[REGISTER_INVALID_ADDRESS / 4 + 1] = registers[REGISTER_MISS_ADDRESS / 4 + 1] ?? 0;
    } else if (result === 'exhausted') {
      registers[REGISTER_EXHAUSTED / 4] = EXHAUSTED_FOR_FRAME;
    }
  }

  /** A receiver of the current batch lacks a window. */
  resolveDelivery(): void {
    const owner = this.#registers[REGISTER_MISS_FUNCTION / 4] ?? 0;
    const start = this.#clocks.cpu();
    if (this.#batchStart < 0) this.#batchStart = start;
    this.#renewPeriod();
    const exhausted = this.#exhausted(owner, start - this.#batchStart);
    if (exhausted !== 0) {
      this.#registers[REGISTER_EXHAUSTED / 4] = exhausted;
      return;
    }
    this.resolve();
    this.#batchWindows += 1;
    this.#spent[owner] = (this.#spent[owner] ?? 0) + this.#clocks.cpu() - start;
  }

  /** Returns 0 while there is time left. Checks other rings only once an account is used up. */
  #exhausted(owner: number, batchMicroseconds: number): number {
    if (batchMicroseconds > LONE_BATCH_MICROSECONDS_MAX) return EXHAUSTED_FOR_BATCH;
    const hasSome = this.#batchWindows >= BATCH_WINDOWS_MIN;
    const isBatchLong = hasSome && batchMicroseconds > BATCH_MICROSECONDS_MAX;
    if (!isBatchLong && (this.#spent[owner] ?? 0) <= FUNCTION_MICROSECONDS_MAX) return 0;
    if (this.#othersWait(owner) === 0) return 0;
    return isBatchLong ? EXHAUSTED_FOR_BATCH : EXHAUSTED_FOR_FUNCTION + owner;
  }

  /** No batch waits any more. */
  endBatch(): void {
    if (this.#batchStart < 0) return;
    this.#batchStart = -1;
    this.#batchWindows = 0;
    this.#registers[REGISTER_EXHAUSTED / 4] = 0;
  }

  #renewPeriod(): void {
    const now = this.#clocks.now();
    if (elapsedMicroseconds(this.#periodStart, now) < PERIOD_MICROSECONDS) return;
    this.#periodStart = now;
    this.#spent.fill(0);
  }
}
