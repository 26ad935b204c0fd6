import { setEnvironmentData } from 'node:worker_threads';
import { PROCESSOR_COUNT_MAX } from '../../layout/limits.ts';
import { SILENCE, SILENCE_KEY, silenceOf } from './silence-record.ts';

const HOOK = new URL('../../build/test/support/silence-hook.js', import.meta.url);

export interface Silence {
  cpuMicroseconds: number;
  wallMilliseconds: number;
}

/**
 * How long rings that were ready waited for their processor, in the CPU time of that processor: see
 * silence-hook.ts. Made before the NIC starts, since each processor loads the hook with its thread.
 */
export class SilenceGauge {
  readonly #record = new Float64Array(new SharedArrayBuffer(SILENCE.SIZE * 8));
  readonly #options = process.env.NODE_OPTIONS;

  /** `rings`: the transmit rings of those who must not wait. */
  constructor(rings: readonly number[]) {
    this.#record[SILENCE.RING_COUNT] = rings.length;
    this.#record.set(rings, SILENCE.RINGS);
    setEnvironmentData(SILENCE_KEY, this.#record.buffer);
    process.env.NODE_OPTIONS = `${this.#options ?? ''} --import ${HOOK.href}`;
  }

  begin(): void {
    for (let processor = 0; processor < PROCESSOR_COUNT_MAX; processor++) {
      this.#record[silenceOf(processor)] = 0;
      this.#record[silenceOf(processor) + 1] = 0;
    }
    this.#record[SILENCE.EPOCH] = (this.#record[SILENCE.EPOCH] ?? 0) + 1;
  }

  /** The longest since the beginning. */
  longest(): Silence {
    const longest = { cpuMicroseconds: 0, wallMilliseconds: 0 };
    for (let processor = 0; processor < PROCESSOR_COUNT_MAX; processor++) {
      const cpuMicroseconds = this.#record[silenceOf(processor)] ?? 0;
      if (cpuMicroseconds <= longest.cpuMicroseconds) continue;
      longest.cpuMicroseconds = cpuMicroseconds;
      longest.wallMilliseconds = this.#record[silenceOf(processor) + 1] ?? 0;
    }
    return longest;
  }

  close(): void {
    setEnvironmentData(SILENCE_KEY, undefined);
    if (this.#options === undefined) delete process.env.NODE_OPTIONS;
    else process.env.NODE_OPTIONS = this.#options;
  }
}
