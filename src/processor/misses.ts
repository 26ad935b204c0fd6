import { FUNCTION_COUNT_MAX } from '../../layout/limits.ts';
import { REGISTERS_BASE } from '../../layout/memory.ts';
import {
  EXHAUSTED_FOR_BATCH,
  EXHAUSTED_FOR_FRAME,
  REGISTER_EXHAUSTED,
  REGISTER_INVALID_ADDRESS,
  REGISTER_INVALID_FUNCTION,
  REGISTER_MISS_ADDRESS,
  REGISTER_MISS_FUNCTION,
} from '../../layout/processor.ts';
import type { Windows } from '../memory/windows.ts';
import { elapsedMicroseconds, monotonicMicroseconds } from '../os/clock.ts';
import { threadCpuMicroseconds } from '../os/cpu-time.ts';

/** CPU time of one batch from its first wait on, where others wait for its end to send. */
const BATCH_MICROSECONDS_MAX = 1500;

/** And where nobody does: messages wait, too. */
const LONE_BATCH_MICROSECONDS_MAX = 20_000;

/**
 * CPU time that windows for what one function receives may cost in a period while others wait to
 * send: a quarter of it.
 */
const FUNCTION_MICROSECONDS_MAX = 5000;
const PERIOD_MICROSECONDS = 20_000;

/** Microseconds: monotonic ones (see src/os/clock.ts), and those of this thread's CPU time. */
export interface MissClocks {
  now(): number;
  cpu(): number;
}

const CLOCKS: MissClocks = { now: monotonicMicroseconds, cpu: threadCpuMicroseconds };

/**
 * Answers the firmware's misses. A ring that sends pays for its own with its turns (see the
 * firmware's rounds); a batch that is being delivered holds up everybody, so its receivers have
 * accounts here, in real time: a window costs 10 µs, or 300 if the one it replaces was full of
 * pages. Frames beyond that are dropped, as if there were no window left: but only where somebody
 * else waits, since an honest guest's buffers may lie scattered over all of a large memory.
 */
export class Misses {
  readonly #windows: Pick<Windows, 'resolve'>;
  readonly #registers: Int32Array;
  readonly #view: DataView;
  readonly #othersWait: (owner: number) => number;
  readonly #clocks: MissClocks;
  readonly #spent = new Float64Array(FUNCTION_COUNT_MAX);
  #periodStart: number;
  /** When the batch in hand first waited, in CPU time; −1: there is none. */
  #batchStart = -1;

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

  /** The sender of the next batch, or a request, lacks a window: opens it or says why not. */
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

  /** A receiver of the batch in hand lacks a window. */
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
    this.#spent[owner] = (this.#spent[owner] ?? 0) + this.#clocks.cpu() - start;
  }

  /** 0 while there is time left; nobody's rings are looked at before an account is used up. */
  #exhausted(owner: number, batchMicroseconds: number): number {
    if (batchMicroseconds > LONE_BATCH_MICROSECONDS_MAX) return EXHAUSTED_FOR_BATCH;
    const isBatchLong = batchMicroseconds > BATCH_MICROSECONDS_MAX;
    if (!isBatchLong && (this.#spent[owner] ?? 0) <= FUNCTION_MICROSECONDS_MAX) return 0;
    if (this.#othersWait(owner) === 0) return 0;
    return isBatchLong ? EXHAUSTED_FOR_BATCH : EXHAUSTED_FOR_FRAME;
  }

  /** No batch waits any more. */
  endBatch(): void {
    if (this.#batchStart < 0) return;
    this.#batchStart = -1;
    this.#registers[REGISTER_EXHAUSTED / 4] = 0;
  }

  #renewPeriod(): void {
    const now = this.#clocks.now();
    if (elapsedMicroseconds(this.#periodStart, now) < PERIOD_MICROSECONDS) return;
    this.#periodStart = now;
    this.#spent.fill(0);
  }
}
