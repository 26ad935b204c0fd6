import { CLOCK_THREAD_CPUTIME_ID } from './constants.ts';
import { c } from './libc.ts';
import { cpuSecondsIn, readStat } from './proc-stat.ts';
import { scratch } from './scratch.ts';

/** CPU time of all threads of a process since it started. */
export function cpuSecondsOf(pid: number): number {
  return cpuSecondsIn(readStat(`/proc/${pid}`));
}

/** The lower 32 bits of the thread's CPU time in ns, signed: V8 allocates no such number. */
export function threadCpuNanosecondsLow(): number {
  c.clockGettime(CLOCK_THREAD_CPUTIME_ID, scratch.address);
  const { view } = scratch;
  return (Math.imul(view.getUint32(0, true), 1e9) + view.getUint32(8, true)) | 0;
}

/** CPU time of this thread, user and kernel; independent of other load on the machine. */
export function threadCpuMicroseconds(): number {
  c.clockGettime(CLOCK_THREAD_CPUTIME_ID, scratch.address);
  const { view } = scratch; // the lower halves suffice, and need no bigint
  return view.getUint32(0, true) * 1e6 + view.getUint32(8, true) / 1e3;
}
