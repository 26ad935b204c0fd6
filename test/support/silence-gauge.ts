import { setEnvironmentData } from 'node:worker_threads';
import { PROCESSOR_COUNT_MAX } from '../../layout/limits.ts';
import {
  SILENCE,
  SILENCE_KEY,
  SILENCES_KEPT,
  type SilenceData,
  silenceOf,
} from './silence-record.ts';
import { StandstillWatch } from './standstills.ts';

const HOOK = new URL('../../build/test/support/silence-hook.js', import.meta.url);

export interface Silence {
  cpuMicroseconds: number;
  wallMilliseconds: number;
}

/**
 * How long ready rings waited for their processor, in CPU time of that processor (silence-hook.ts).
 * Start it before the NIC, because each processor's thread loads the hook at its start.
 */
export class SilenceGauge {
  readonly #memory = new SharedArrayBuffer(SILENCE.SIZE * 8);
  readonly #record = new Float64Array(this.#memory);
  readonly #standstills: StandstillWatch;
  readonly #options = process.env.NODE_OPTIONS;

  /** `rings`: the transmit rings that must not wait. */
  static async start(rings: readonly number[]): Promise<SilenceGauge> {
    return new SilenceGauge(rings, await StandstillWatch.start());
  }

  private constructor(rings: readonly number[], standstills: StandstillWatch) {
    this.#standstills = standstills;
    this.#record[SILENCE.RING_COUNT] = rings.length;
    this.#record.set(rings, SILENCE.RINGS);
    const data: SilenceData = { record: this.#memory, standstills: this.#standstills.memory };
    setEnvironmentData(SILENCE_KEY, data);
    process.env.NODE_OPTIONS = `${this.#options ?? ''} --import ${HOOK.href}`;
  }

  begin(): void {
    const { LONGEST, SIZE, EPOCH } = SILENCE;
    this.#record.fill(0, LONGEST, SIZE);
    this.#record[EPOCH] = (this.#record[EPOCH] ?? 0) + 1;
  }

  /** The longest silences since the start, longest first, of the processor with the longest. */
  longest(): Silence[] {
    const ofProcessors = Array.from({ length: PROCESSOR_COUNT_MAX }, (_, processor) =>
      Array.from({ length: SILENCES_KEPT }, (_, rank): Silence => {
        const at = silenceOf(processor, rank);
        const cpuMicroseconds = this.#record[at] ?? 0;
        return { cpuMicroseconds, wallMilliseconds: this.#record[at + 1] ?? 0 };
      }),
    );
    const worst = (silences: Silence[]) => silences[0]?.cpuMicroseconds ?? 0;
    return ofProcessors.sort((a, b) => worst(b) - worst(a))[0] ?? [];
  }

  /** The CPU time of a processor at its last turn, in microseconds. */
  now(processor: number): number {
    return this.#record[SILENCE.NOW + processor] ?? 0;
  }

  /** The processor's CPU time when a ring was last served: by default the first of `rings`. */
  servedAt(index = 0): number {
    return this.#record[SILENCE.SERVED + index] ?? 0;
  }

  async close(): Promise<void> {
    await this.#standstills.close();
    setEnvironmentData(SILENCE_KEY, undefined);
    if (this.#options === undefined) delete process.env.NODE_OPTIONS;
    else process.env.NODE_OPTIONS = this.#options;
  }
}
