import { setEnvironmentData } from 'node:worker_threads';
import { type HostWork, WORK, WORK_KEY } from './work-record.ts';

const HOOK = new URL('../../build/test/support/work-hook.js', import.meta.url);

/**
 * What the thread of a NIC's only processor has done, by the clock (work-hook.ts). Start it before
 * the NIC, because the thread loads the hook at its start.
 */
export class WorkGauge {
  readonly #memory = new SharedArrayBuffer(WORK.SIZE * 8);
  readonly #record = new Float64Array(this.#memory);
  readonly #options = process.env.NODE_OPTIONS;

  constructor() {
    setEnvironmentData(WORK_KEY, this.#memory);
    process.env.NODE_OPTIONS = `${this.#options ?? ''} --import ${HOOK.href}`;
  }

  /** Time in which it had something to do, in ns. */
  get busyNanoseconds(): number {
    return this.#record[WORK.BUSY] ?? 0;
  }

  /** Time that the host has taken for this between turns, in ns. */
  hostNanoseconds(what: HostWork): number {
    return this.#record[what] ?? 0;
  }

  close(): void {
    setEnvironmentData(WORK_KEY, undefined);
    if (this.#options === undefined) delete process.env.NODE_OPTIONS;
    else process.env.NODE_OPTIONS = this.#options;
  }
}
