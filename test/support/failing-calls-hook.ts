import { getEnvironmentData, isMainThread, workerData } from 'node:worker_threads';
import {
  FAILING,
  FAILING_CALLS,
  FAILING_CALLS_KEY,
  type FailingCall,
} from './failing-calls-record.ts';

// Loaded into each processor's thread before its own code (node --import): makes a system call of
// that thread fail, as the kernel would.

type Libc = typeof import('../../src/os/libc.ts');

/** The libc module that the processor loads: that of the product, not the copy built for tests. */
const LIBC = new URL('../../../dist/src/os/libc.js', import.meta.url);

const shared = isMainThread ? undefined : getEnvironmentData(FAILING_CALLS_KEY);
const isProcessor = typeof workerData === 'object' && 'firmware' in (workerData ?? {});
if (shared !== undefined && isProcessor) {
  const record = new Int32Array(shared as unknown as SharedArrayBuffer);
  const { c } = (await import(LIBC.href)) as Libc;
  for (const [index, name] of FAILING_CALLS.entries()) replace(c, name, index, record);
}

function replace(c: Libc['c'], name: FailingCall, index: number, record: Int32Array): void {
  const real = c[name] as (...args: number[]) => number;
  c[name] = (...args: number[]): number => {
    if (Atomics.load(record, FAILING.CALL) !== index + 1) return real(...args);
    const number = Atomics.add(record, FAILING.COUNT, 1) + 1;
    // −1, and errno says why.
    return number === Atomics.load(record, FAILING.NUMBER) ? c.close(-1) : real(...args);
  };
}
