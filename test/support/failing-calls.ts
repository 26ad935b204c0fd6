import { setEnvironmentData } from 'node:worker_threads';
import {
  FAILING,
  FAILING_CALLS,
  FAILING_CALLS_KEY,
  type FailingCall,
} from './failing-calls-record.ts';

const HOOK = new URL('../../build/test/support/failing-calls-hook.js', import.meta.url);

/**
 * Makes system calls fail in the threads of processors (failing-calls-hook.ts). Create it before
 * the NIC starts, because each processor's thread loads the hook at its start.
 */
export class FailingCalls {
  readonly #record = new Int32Array(new SharedArrayBuffer(FAILING.SIZE * 4));
  readonly #options = process.env.NODE_OPTIONS;

  constructor() {
    setEnvironmentData(FAILING_CALLS_KEY, this.#record.buffer);
    process.env.NODE_OPTIONS = `${this.#options ?? ''} --import ${HOOK.href}`;
  }

  /** From now on, call `number` of this kind fails, counted from 1 over all threads. */
  arm(name: FailingCall, number: number): void {
    Atomics.store(this.#record, FAILING.COUNT, 0);
    Atomics.store(this.#record, FAILING.NUMBER, number);
    Atomics.store(this.#record, FAILING.CALL, FAILING_CALLS.indexOf(name) + 1);
  }

  /** Returns how many such calls there were. */
  disarm(): number {
    Atomics.store(this.#record, FAILING.CALL, 0);
    return Atomics.load(this.#record, FAILING.COUNT);
  }

  close(): void {
    setEnvironmentData(FAILING_CALLS_KEY, undefined);
    if (this.#options === undefined) delete process.env.NODE_OPTIONS;
    else process.env.NODE_OPTIONS = this.#options;
  }
}
